/* checkpoint: writes and reads checkpoints. A checkpoint is one self-describing HDF5 file; docs/formats.md
 * describes it for other programs.
 *
 *   root attributes: format, version, tool, the members of checkpoint_t by name (the model's sizes as in
 *                    trainer/model/sizes.h; roles and meter as text) and head_sha256 over these members
 *   /weights/<name>  float32 [inputs, outputs]
 *   /adam/m/<name>, /adam/v/<name>   optimizer state
 *   /average/<name>  the weights' average, where the run keeps one
 *   /momentum/<name> of outer steps, where hosts take several steps each by itself
 *   /vectors/<name>  float32 [1, latent], vectors of attributes, where they have been fitted
 *   /guide/weights   float32 [groups, columns], a guide (trainer/model/guide.h), where one has been learned
 *
 * The same state always gives the same bytes. No MPI. */
#pragma once

#include "preprocess/common/owner.h"
#include "preprocess/roll/roll.h"
#include "trainer/model/attributes.h"
#include "trainer/model/model.h"
#include "trainer/model/optimizer.h"

#define CHECKPOINT_FORMAT "mpianist-checkpoint"
/* Older versions that are still read: 5, whose sequence models have no memory; 4, without momentum; 3, whose
 * sequence models have no profiles; 2, whose sequence models have the lags 1, 2 and 4; 1, which has the dense
 * model alone, without averages of the weights. */
#define CHECKPOINT_VERSION 6

/* What training has seen, and its losses: plain sums in nats, as in model_losses_t. */
typedef struct {
    double windows; /* sequence: pieces or chunks */
    double frames;
    double segments; /* that have a latent each; dense: windows */
    double nll, kl, auxiliary;
} training_sums_t;

/* Everything but the weights: where training stands and what it was trained on. */
typedef struct {
    model_config_t model;
    grid_t grid;
    char *options; /* run.ini's text */
    char corpus_id[65];
    double tempo_bpm; /* the training songs' median tempo and most frequent meter: the sampler's defaults */
    meter_t meter;
    uint64_t seed;
    int64_t epoch;          /* epochs done */
    int64_t step;           /* optimizer steps done */
    int64_t epoch_step;     /* steps done in the epoch under way */
    int64_t batch;          /* global batch that epoch_step counts in */
    training_sums_t so_far; /* of the epoch under way */
    double best; /* best validation loss, nats a window (sequence: a piece); INFINITY before the first */
    int64_t best_epoch;
    double multiplier; /* of --latent-rate (trainer/run/schedule.h); 0: there is none */
    double seconds;    /* training time so far, over all sessions */
} checkpoint_t;

void checkpoint_clear(checkpoint_t *checkpoint); /* frees members */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(checkpoint_t, checkpoint_clear)

#define CHECKPOINT_ERROR checkpoint_error_quark()
GQuark checkpoint_error_quark(void);
typedef enum {
    CHECKPOINT_ERROR_READ,
    CHECKPOINT_ERROR_FORMAT,
    CHECKPOINT_ERROR_SHAPE,
    CHECKPOINT_ERROR_NONE
} checkpoint_error_t;

/* Writes a checkpoint file atomically (h5_file_commit). FALSE with error set, naming the file and the cause:
 * a file that was there before is untouched. owner: of the folder, or NULL. Rank 0 only. */
gboolean checkpoint_write(const char *path, const checkpoint_t *checkpoint, model_t *model,
                          const optimizer_t *optimizer, owner_t *owner, GError **error);
/* Reads everything but the weights into an empty checkpoint (owner: caller, checkpoint_clear()). FALSE with
 * error set: CHECKPOINT_ERROR_FORMAT for another format, a later version or a value out of range,
 * CHECKPOINT_ERROR_READ or an H5_ERROR for a damaged or missing file. */
gboolean checkpoint_read(const char *path, checkpoint_t *checkpoint, GError **error);
/* For resuming: reads weights and optimizer state into a model of the same shape. If the optimizer keeps an
 * average or a momentum that the file lacks, it starts anew; one that it does not keep is skipped. FALSE with
 * CHECKPOINT_ERROR_SHAPE, naming what differs and both values, or as checkpoint_read(): model and optimizer
 * are then partly read. */
gboolean checkpoint_read_state(const char *path, model_t *model, optimizer_t *optimizer, GError **error);
/* Reads the average of the weights if the file has one, else the weights. Errors as before. */
gboolean checkpoint_read_weights(const char *path, model_t *model, GError **error);
/* Rewrites a checkpoint with these vectors in place of its own; all other state, a guide too, stays the same
 * to the bit, in the newest version of the format. A link such as best.h5 is followed, and its target
 * replaced atomically. The whole checkpoint but the old vectors is read and verified first. attributes->Z
 * must be its latent size. FALSE with error set: the file is untouched. owner: of the target's folder, or
 * NULL. Rank 0 only. */
gboolean checkpoint_write_attributes(const char *path, const attributes_t *attributes, owner_t *owner,
                                     GError **error);
/* Reads the vectors of a checkpoint (owner: caller, attributes_clear()). FALSE with error set:
 * CHECKPOINT_ERROR_NONE if it has none, with advice on how to make them; else as checkpoint_read(). */
gboolean checkpoint_read_attributes(const char *path, attributes_t *attributes, GError **error);

/* A guide, beside how it was learned. */
typedef struct {
    int64_t epochs; /* of learning */
    /* Nats a frame that is not known, without and with it, on the valid split (where that has no songs on the
     * train split). */
    double alone, guided;
    real_t *weights; /* [guide_groups(), guide_columns()] of the checkpoint's model */
} checkpoint_guide_t;

void checkpoint_guide_clear(checkpoint_guide_t *guide); /* frees members */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(checkpoint_guide_t, checkpoint_guide_clear)
/* Rewrites a checkpoint with this guide in place of its own, as checkpoint_write_attributes() does; vectors
 * stay the same to the bit. FALSE with error set also where the model is dense and so has no guide
 * (CHECKPOINT_ERROR_SHAPE), and for values that checkpoint_read_guide() would refuse
 * (CHECKPOINT_ERROR_FORMAT): the file is untouched. */
gboolean checkpoint_write_guide(const char *path, const checkpoint_guide_t *guide, owner_t *owner,
                                GError **error);
/* Reads the guide of a checkpoint (owner: caller, checkpoint_guide_clear()): all numbers are finite, and
 * neither epochs nor losses below 0. FALSE with error set: CHECKPOINT_ERROR_NONE if it has none, with advice
 * on how to learn one; else as checkpoint_read(), with the same advice where only the guide is damaged. */
gboolean checkpoint_read_guide(const char *path, checkpoint_guide_t *guide, GError **error);

/* The first 16 hexadecimal digits of the file's SHA-256, which identify the checkpoint in files made from it.
 * NULL with error set. Owner: caller. */
char *checkpoint_hash(const char *path, GError **error);

/* RUN/checkpoint-<step, 8 digits>.h5; owner: caller. */
char *checkpoint_path(const char *run, int64_t step);
/* Points RUN/<link> (latest.h5, best.h5) at a file in the same folder, atomically. FALSE with error set. */
gboolean checkpoint_link(const char *run, const char *link, const char *target, GError **error);
/* Removes temporary files of killed writers. Only the owner of the folder may call it. */
void checkpoint_sweep(const char *run);
/* Removes the oldest numbered checkpoints beyond `keep`, except those that latest.h5 and best.h5 point at.
 * FALSE with error set. */
gboolean checkpoint_prune(const char *run, int keep, GError **error);
/* Does for RUN/name, which is read, what a run that was killed after it wrote that had still to do: the
 * links, best.h5 too where that is missing and `best` says that it is this state, and checkpoint_prune().
 * Nothing where latest.h5 points at another checkpoint. FALSE with error set. */
gboolean checkpoint_complete(const char *run, const char *name, gboolean best, int keep, GError **error);
/* The path of the newest intact checkpoint in RUN: latest.h5, else the one of the highest step. Each
 * candidate is read in full; a damaged one is skipped with a warning. NULL without an error if there is none.
 * Owner: caller. */
char *checkpoint_find_latest(const char *run, GError **error);
