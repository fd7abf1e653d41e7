/* snapshot: a copy of the training state in memory, so that the best epoch of many need not go to disk each
 * time. No MPI, no files. */
#ifndef MPIANIST_TRAINER_CHECKPOINT_SNAPSHOT_H
#define MPIANIST_TRAINER_CHECKPOINT_SNAPSHOT_H

#include "trainer/checkpoint/checkpoint.h"

typedef struct {
    gboolean waits;          /* taken, and not written yet */
    checkpoint_t checkpoint; /* options: the running one's, not owned */
    model_t *model;
    optimizer_t *optimizer;
} snapshot_t;

/* For models of config's shape: three blocks of memory, four with an average. NULL with error set. Owner:
 * caller. */
snapshot_t *snapshot_new(const model_config_t *config, const optimizer_config_t *adam, GError **error);
void snapshot_free(snapshot_t *snapshot);
/* Copies the state and sets waits. checkpoint must outlive the snapshot. Allocates nothing. */
void snapshot_take(snapshot_t *snapshot, const checkpoint_t *checkpoint, model_t *model,
                   const optimizer_t *optimizer);

#endif
