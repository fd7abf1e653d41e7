/* keeper: which states of a run stay, and when they are written: RUN/checkpoint-<step>.h5, of which --keep
 * stay, latest.h5 and best.h5, which point at two of them. Writing the best state of each of many quick
 * epochs would take longer than training them: it waits in memory until the last write is 20 s old, until the
 * next checkpoint, or until the end. Rank 0 holds that copy and writes; functions with an error are
 * collective, and leave the same one on all ranks. */
#pragma once

#include "trainer/run/run.h"

typedef struct {
    const options_t *options; /* not owned */
    const run_state_t *state; /* the run's, not owned */
    run_state_t best;         /* a copy: model and optimizer on rank 0 alone, options are the state's */
    gboolean best_waits;      /* is not written yet */
    gboolean unsaved;         /* the state is not written yet */
    gboolean due;             /* --checkpoint-every wants it written */
    gint64 last_write;        /* monotonic microseconds */
    double age;               /* see keeper_step() */
    int64_t newest;           /* step of the newest checkpoint, 0: none */
} keeper_t;

/* Of a run whose state is *state, which may be that of a checkpoint already. */
gboolean keeper_init(keeper_t *keeper, const options_t *options, const run_state_t *state, GError **error);
void keeper_clear(keeper_t *keeper);

/* The state has gone on by a step. age: seconds since the last write by rank 0's clock, for every rank. */
void keeper_step(keeper_t *keeper, double age);
/* An epoch has ended; best: its state is the best so far. Writes what is due, else holds the best one. */
gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error);
/* Writes the best state that waits and the state as it is, as far as they are not written yet. Refuses, as
 * keeper_epoch() does, weights that are not finite or not the same on all ranks. */
gboolean keeper_save(keeper_t *keeper, GError **error);
/* Writes the best state that waits alone: the state as it is may be broken. */
gboolean keeper_save_best(keeper_t *keeper, GError **error);
/* The newest checkpoint's path, NULL where there is none. Owner: caller. */
char *keeper_newest(const keeper_t *keeper);
