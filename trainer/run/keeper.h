/* keeper: decides which states of a run are kept and when they are written: RUN/checkpoint-<step>.h5, of
 * which the newest --keep remain, and the links latest.h5 and best.h5. If epochs are quick, writing every
 * best state would take longer than training, so it waits in memory until the last write is 20 s old, the
 * next checkpoint, or the end.
 *
 * A state is copied, and a thread of rank 0 writes the copy while training goes on. A write that fails, as on
 * a full disk, is tried again later with the state of then; the run ends only if that fails for ten minutes,
 * or at the run's end, or where the disk does not answer for ten minutes (writer.h). Functions with an error
 * are collective, and FALSE with the same error on all ranks. */
#pragma once

#include "trainer/run/writer.h"

typedef struct {
    const options_t *options; /* not owned */
    const run_state_t *state; /* the run's, not owned */
    gboolean unsaved;         /* the state was not given to the writer yet; rank 0: or was not written */
    gboolean due;             /* --checkpoint-every asks for a write; the same on all ranks */
    /* Of rank 0. */
    writer_t *writer;
    run_state_t best, copy; /* copies: model and optimizer, options the state's */
    gboolean best_waits;    /* best is not on disk yet */
    writer_job_t jobs[2];   /* that the writer was given */
    size_t n_jobs;
    gint64 started, ended;  /* the last write; monotonic microseconds */
    gint64 failing, warned; /* since when writes fail, 0: they do not; when that was said last */
    GError *failure;        /* of a write, that ends the run */
    double longest_write_s; /* of a state; an estimate until it is measured */
    gboolean measured;
    int64_t newest; /* step of the newest checkpoint, 0: none */
} keeper_t;

/* Starts to keep a run whose state is *state, new or just read from a checkpoint. owner, before: the
 * writer's. */
gboolean keeper_init(keeper_t *keeper, const options_t *options, owner_t *owner, const run_state_t *state,
                     writer_before_t before, gpointer before_data, GError **error);
/* Waits for what is being written. */
void keeper_clear(keeper_t *keeper);

/* Looks, on rank 0, at what the writer did: whether the run can go on. FALSE with error set; TRUE on other
 * ranks. Local. */
gboolean keeper_look(keeper_t *keeper, GError **error);
/* Whether the state after the step that begins is to be saved: on rank 0, FALSE on others. Local. */
gboolean keeper_asks(const keeper_t *keeper);
/* The state has advanced by a step. due: what rank 0 said. Local. */
void keeper_step(keeper_t *keeper, gboolean due);
/* An epoch has ended; best: its state is the best so far. Begins to write what is due, or holds a best state.
 */
gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error);
/* Begins to write the waiting best state and the current state, unless they are written already. Refuses
 * weights that are not finite or not the same on all ranks. */
gboolean keeper_save(keeper_t *keeper, GError **error);
/* The same at the end of a run: returns when all of it is on disk. */
gboolean keeper_finish(keeper_t *keeper, GError **error);
/* Writes only the waiting best state, for when the current state may be broken. */
gboolean keeper_finish_best(keeper_t *keeper, GError **error);
/* How many seconds it may take to write all that is not written yet, by rank 0's clock. Local. */
double keeper_seconds(const keeper_t *keeper);
/* The path of the newest checkpoint, or NULL. Collective. Owner: caller. */
char *keeper_newest(const keeper_t *keeper);
