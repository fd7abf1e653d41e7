/* keeper: which states of a run stay, and when they are written: RUN/checkpoint-<step>.h5, of which --keep
 * stay, latest.h5 and best.h5, which point at two of them. Writing the best state of each of many quick epochs
 * would take longer than training them: it waits in memory until the last write is 20 s old, until the next
 * checkpoint, or until the end. Rank 0 holds that copy and writes; functions with an error are collective,
 * and leave the same one on all ranks. */
#ifndef MPIANIST_TRAINER_RUN_KEEPER_H
#define MPIANIST_TRAINER_RUN_KEEPER_H

#include "trainer/run/run.h"

typedef struct keeper keeper_t;

/* Of a run whose state is in *state, which may be that of a checkpoint already. options and state must outlive
 * the keeper. NULL with error set. Owner: caller. */
keeper_t *keeper_new(const options_t *options, const run_state_t *state, GError **error);
void keeper_free(keeper_t *keeper);

/* Seconds since the newest write, by the clock of this rank. */
double keeper_age(const keeper_t *keeper);
/* The state has gone on by a step. age: keeper_age() of rank 0, for every rank. */
void keeper_step(keeper_t *keeper, double age);
/* TRUE from such a step until the next write where --checkpoint-every wants a checkpoint. */
gboolean keeper_due(const keeper_t *keeper);
/* An epoch has ended; best: its state is the best so far. Writes what is due, else holds the best in memory. */
gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error);
/* Writes the best state that waits and the state as it is, as far as they are not written yet. Refuses, as
 * keeper_epoch() does, weights that are not finite or not the same on all ranks. */
gboolean keeper_save(keeper_t *keeper, GError **error);
/* Writes the best state that waits alone: the state as it is may be broken. */
gboolean keeper_save_best(keeper_t *keeper, GError **error);
/* The newest checkpoint's path, NULL where there is none. Owner: caller. */
char *keeper_newest(const keeper_t *keeper);

#endif
