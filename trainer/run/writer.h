/* writer: writes states of a run into its folder beside training, on a thread of its own: checkpoint file,
 * links, removal of the oldest. Rank 0 only; no MPI. */
#pragma once

#include "trainer/run/run.h"

/* Seconds for which a disk may be slow, or refuse, before a run gives up. */
#define WRITER_PATIENCE_S 600

/* Called on the writer's thread before a checkpoint is written: puts on disk what must be there before it. */
typedef gboolean (*writer_before_t)(gpointer data, GError **error);

typedef struct {
    const char *run; /* the folder */
    int keep;        /* numbered checkpoints that stay */
    owner_t *owner;  /* of the folder, not owned; NULL where nobody else can write there */
    writer_before_t before;
    gpointer before_data;
} writer_config_t;

/* A state that is to be written; best: best.h5 is to point at it. */
typedef struct {
    const run_state_t *state; /* not owned */
    gboolean best;
} writer_job_t;

typedef struct writer writer_t;

/* Where no thread can be started, writer_start() writes by itself. Owner: caller. */
writer_t *writer_new(const writer_config_t *config);
/* Waits for what is being written. */
void writer_free(writer_t *writer);

/* Starts to write these states, in order, when all that was started before has ended. The states must stay as
 * they are until they are written, which should take usual_s seconds. Where it takes much longer, functions
 * that look or wait say so once; where the disk has not answered for WRITER_PATIENCE_S they end the process,
 * with EXIT_STOPPED_EARLY. */
void writer_start(writer_t *writer, const writer_job_t *jobs, size_t n, double usual_s);
gboolean writer_busy(writer_t *writer);
/* Waits for the end of what was started, which is progress to the watchdog. Returns how many of the states
 * are whole on disk with their links; fewer than there were: error is set to why the next one is not. */
size_t writer_end(writer_t *writer, GError **error);
