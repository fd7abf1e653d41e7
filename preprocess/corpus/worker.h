/* worker: runs a function in a process of its own, so that a crash, a hang or runaway memory costs that call
 * only.
 *
 * A worker takes one task after the other. Its process sees the caller's memory as it was when the process
 * started and has no standard input. What it prints is dropped, except that after a crash the message has the
 * last line of standard error. It is replaced when it dies, when a task takes too long, and when it keeps
 * much memory. A result does not depend on earlier tasks: a task that fails in a process that has done others
 * is tried once more in a new one. No process outlives its parent. Call from one thread. Messages name the
 * cause and the way out, not the task. */
#pragma once

#include <glib.h>

typedef struct {
    double timeout_s; /* of a task, wall clock, > 0 */
    /* Address space beyond what the caller has mapped; no limit under AddressSanitizer. */
    size_t memory_bytes;
} worker_limits_t;

#define WORKER_ERROR worker_error_quark()
GQuark worker_error_quark(void);
typedef enum {
    WORKER_ERROR_FORK,
    WORKER_ERROR_CRASHED,
    WORKER_ERROR_TIMEOUT,
    WORKER_ERROR_MEMORY,
    WORKER_ERROR_FAILED
} worker_error_t;

/* Runs in the worker's process: appends the task's result to out and returns TRUE, or sets error and
 * returns FALSE. */
typedef gboolean (*worker_fn)(gpointer data, const char *task, GByteArray *out, GError **error);

typedef struct worker worker_t;

/* A worker without a process yet. data must outlive it. Owner: caller, worker_free(). */
worker_t *worker_new(worker_fn fn, gpointer data, const worker_limits_t *limits);

/* Ends the process, whatever it is doing. NULL is allowed. */
void worker_free(worker_t *worker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(worker_t, worker_free)

/* Tasks that a worker may have at once. With two, its process need not wait for the parent between them. */
#define WORKER_TASKS 2

/* Adds a task, fn(data, task), behind the one that the worker may have; fewer than WORKER_TASKS must be
 * there. task is copied. FALSE with WORKER_ERROR_FORK set where no process can be started; the worker then
 * has no task. */
gboolean worker_give(worker_t *worker, const char *task, GError **error);

/* Waits until one of n workers (n >= 1, each with a task) has done its first task, has failed in it or has
 * passed its time limit, and reads from all meanwhile; returns the lowest such index. Results of any size
 * never block a worker for good, as long as someone waits. The time limit is on fn alone, not on sending
 * its result. */
size_t worker_wait_any(worker_t **workers, size_t n);

/* The result of the first task, owner: caller; the second one then becomes the first. NULL with error set:
 * the function's own message (WORKER_ERROR_FAILED), or that the process crashed (the signal's name, its last
 * words), took too long, ran out of memory, or could not be started again (WORKER_ERROR_FORK). A task that is
 * still running is stopped. */
GByteArray *worker_take(worker_t *worker, GError **error);
