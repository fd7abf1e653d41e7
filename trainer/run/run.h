/* run: manages the run folder: its content, which checkpoint may be resumed, and how all ranks get the same
 * state. Only rank 0 touches files. All functions but run_check_grid() and
 * run_state_bytes() are collective, and FALSE with the same error on all ranks. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/options.h"

/* The whole state of a training run, which a checkpoint holds. */
typedef struct {
    checkpoint_t checkpoint;
    model_t *model;
    optimizer_t *optimizer;
    /* Whether this rank fills in weights, moments and average. Others see those of a rank of their host, in
     * memory that they share. */
    gboolean fills;
} run_state_t;

/* Bytes of its blocks: what a checkpoint takes on disk, and a copy in memory. */
size_t run_state_bytes(const run_state_t *state);

/* Makes rank 0 the owner of a folder with checkpoints, as owner_take() does: *owner (owner: caller), NULL on
 * the other ranks. Warns where ranks on other hosts do not see its mark, and so not the folder. */
gboolean run_own(const char *folder, owner_t **owner, GError **error);
/* Creates the folder --output if missing, owns it by run_own(), and finds the checkpoint that --resume asks
 * for: *checkpoint (owner: caller), or "" for a new run. Refuses a folder that holds checkpoints unless it is
 * resumed. */
gboolean run_open(const options_t *options, owner_t **owner, char **checkpoint, GError **error);
/* Writes RUN/run.ini. owner: run_own()'s. */
gboolean run_write_options(const options_t *options, owner_t *owner, GError **error);
/* Loads the checkpoint at path into the state of a new run of these options, and completes its links
 * (checkpoint_complete()). Refuses, naming each difference,
 * options that would make it another run (model, batch, seed, augmentation), another corpus and another grid;
 * reports other options that changed. */
gboolean run_resume(const options_t *options, const char *path, run_state_t *state, GError **error);

/* checkpoint_read() for every rank; members that are pointers are NULL on ranks above 0. */
gboolean run_read_checkpoint(const char *path, checkpoint_t *checkpoint, GError **error);
/* checkpoint_read_weights() for every rank. */
gboolean run_read_weights(const char *path, model_t *model, GError **error);
/* Refuses data on another grid than the checkpoint's, naming what differs. Local, the same on all ranks. */
gboolean run_check_grid(const char *path, const checkpoint_t *checkpoint, const grid_t *grid, GError **error);
