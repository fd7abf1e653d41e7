/* keeper: decides which states of a run are kept and when they are written: RUN/checkpoint-<step>.h5, of
 * which the newest --keep remain, and the links latest.h5 and best.h5. If epochs are quick, writing every
 * best state would take longer than training, so it waits in memory until the last write is 20 s old, the
 * next checkpoint, or the end. Rank 0 holds that copy and writes; functions with an error are collective, and
 * FALSE with the same error on all ranks. */
#pragma once

#include "trainer/run/run.h"

typedef struct {
    const options_t *options; /* not owned */
    owner_t *owner;           /* of the run folder, rank 0; not owned */
    const run_state_t *state; /* the run's, not owned */
    run_state_t best;         /* a copy: model and optimizer on rank 0 only, options the state's */
    gboolean best_waits;      /* best is not written yet */
    gboolean unsaved;         /* the state is not written yet */
    gboolean due;             /* --checkpoint-every asks for a write */
    gint64 last_write;        /* monotonic microseconds */
    double age;               /* see keeper_step() */
    double longest_write_s;   /* of a state; an estimate until it is measured */
    gboolean measured;
    int64_t newest; /* step of the newest checkpoint, 0: none */
} keeper_t;

/* Starts to keep a run whose state is *state, new or just read from a checkpoint. owner: run_open()'s. */
gboolean keeper_init(keeper_t *keeper, const options_t *options, owner_t *owner, const run_state_t *state,
                     GError **error);
void keeper_clear(keeper_t *keeper);

/* The state has advanced by a step. age: seconds since the last write by rank 0's clock, on every rank. */
void keeper_step(keeper_t *keeper, double age);
/* An epoch has ended; best: its state is the best so far. Writes what is due, or holds a best state. */
gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error);
/* Writes the waiting best state and the current state, unless they are written already. Like keeper_epoch(),
 * refuses weights that are not finite or not the same on all ranks. */
gboolean keeper_save(keeper_t *keeper, GError **error);
/* Writes only the waiting best state, for when the current state may be broken. */
gboolean keeper_save_best(keeper_t *keeper, GError **error);
/* How many seconds it may take to write all that is not written yet, by rank 0's clock. Local. */
double keeper_seconds(const keeper_t *keeper);
/* The path of the newest checkpoint, or NULL. Owner: caller. */
char *keeper_newest(const keeper_t *keeper);
