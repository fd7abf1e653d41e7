/* checkpoint: the checkpoint format: writer and reader. One self-describing HDF5 file; docs/formats.md
 * describes it for other programs.
 *
 *   root attributes: format, version, tool, the members of checkpoint_t by name (the model's sizes as in
 *                    trainer/model/sizes.h; roles and meter as text) and head_sha256 over these members
 *   /weights/<name>  float32 [inputs, outputs]
 *   /adam/m/<name>, /adam/v/<name>   optimizer state
 *   /average/<name>  the weights' average, where the run keeps one
 *   /vectors/<name>  float32 [1, latent], vectors of attributes, where they have been fitted
 *
 * The same state always gives the same bytes. No MPI. */
#pragma once

#include "preprocess/roll/roll.h"
#include "trainer/model/attributes.h"
#include "trainer/model/model.h"
#include "trainer/model/optimizer.h"

#define CHECKPOINT_FORMAT "mpianist-checkpoint"
/* Still read: 3, whose sequence models have no profiles; 2, whose sequence models have the lags 1, 2 and 4;
 * 1, of the dense model alone, without averages. */
#define CHECKPOINT_VERSION 4

/* What training has seen, and its losses: plain sums in nats, as in model_losses_t. */
typedef struct {
    double windows; /* sequence: pieces or chunks */
    double frames;
    double segments; /* latents; dense: windows */
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
    double seconds; /* training time so far, over all sessions */
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

/* Writes atomically (h5_file_commit). FALSE with error set: file, cause; the file that stood there is
 * untouched. Rank 0 only. */
gboolean checkpoint_write(const char *path, const checkpoint_t *checkpoint, model_t *model,
                          const optimizer_t *optimizer, GError **error);
/* Everything but the weights, into an empty checkpoint (owner: caller, checkpoint_clear()). FALSE with error
 * set: CHECKPOINT_ERROR_FORMAT for another format, a later version or a value that cannot be,
 * CHECKPOINT_ERROR_READ or an H5_ERROR for a damaged or missing file. */
gboolean checkpoint_read(const char *path, checkpoint_t *checkpoint, GError **error);
/* To go on training: weights and optimizer state, into a model of the same shape. An average that the
 * optimizer keeps and the file has not begins anew; one that it does not keep is passed over. FALSE with
 * CHECKPOINT_ERROR_SHAPE, naming what differs with both values, or as checkpoint_read(): model and
 * optimizer are then part read. */
gboolean checkpoint_read_state(const char *path, model_t *model, optimizer_t *optimizer, GError **error);
/* To evaluate and sample: the weights' average where the file has one, else the weights. Errors as before. */
gboolean checkpoint_read_weights(const char *path, model_t *model, GError **error);
/* Writes a checkpoint anew with these vectors in place of those that it had: the same state otherwise, to the
 * bit, in the newest version of the format. Atomically, in the place of the file that a link such as best.h5
 * points at. All of the checkpoint is read and verified first. attributes->Z must be its latent size. FALSE
 * with error set: the file is untouched. Rank 0 only. */
gboolean checkpoint_write_attributes(const char *path, const attributes_t *attributes, GError **error);
/* The vectors of a checkpoint (owner: caller, attributes_clear()). FALSE with error set:
 * CHECKPOINT_ERROR_NONE where it has none, and how to get them; else as checkpoint_read(). */
gboolean checkpoint_read_attributes(const char *path, attributes_t *attributes, GError **error);
/* SHA-256 of the file, first 16 hexadecimal digits: names a checkpoint in what it made. NULL with error set.
 */
char *checkpoint_hash(const char *path, GError **error);

/* RUN/checkpoint-<step, 8 digits>.h5; owner: caller. */
char *checkpoint_path(const char *run, int64_t step);
/* Points RUN/<link> (latest.h5, best.h5) at a file beside it, atomically. */
gboolean checkpoint_link(const char *run, const char *link, const char *target, GError **error);
/* Removes the oldest numbered checkpoints beyond keep, never one that latest.h5 or best.h5 points at, and
 * temporaries of killed writers. */
gboolean checkpoint_prune(const char *run, int keep, GError **error);
/* The newest checkpoint in RUN that opens as one: latest.h5, else the highest number. All of it is read and
 * verified; a damaged one is passed over with a warning. NULL and no error where there is none. Owner:
 * caller. */
char *checkpoint_find_latest(const char *run, GError **error);
