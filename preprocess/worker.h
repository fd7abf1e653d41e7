/* worker: runs one function in a forked child, so that a crash, a hang or runaway memory costs that call only.
 *
 * The child sees the parent's memory as it was at the call, reads nothing, and what it prints goes nowhere but, where it crashes, the last line of
 * standard error into the message. No child outlives its parent. Call from one thread. Messages name the cause and the way out, not the file. */
#ifndef MPIANIST_PREPROCESS_WORKER_H
#define MPIANIST_PREPROCESS_WORKER_H

#include <glib.h>

typedef struct {
    double timeout_s;    /* wall clock, > 0 */
    size_t memory_bytes; /* address space on top of what the parent has mapped; not limited under AddressSanitizer */
} worker_limits_t;

#define WORKER_ERROR worker_error_quark()
GQuark worker_error_quark(void);
typedef enum { WORKER_ERROR_FORK, WORKER_ERROR_CRASHED, WORKER_ERROR_TIMEOUT, WORKER_ERROR_MEMORY, WORKER_ERROR_FAILED } worker_error_t;

/* Runs in the child: appends its result to out and returns TRUE, or sets error and returns FALSE. */
typedef gboolean (*worker_fn)(gpointer data, GByteArray *out, GError **error);

/* A running child. */
typedef struct worker worker_t;

/* Forks and starts fn(data). NULL with WORKER_ERROR_FORK set on failure. Owner: caller, ended by worker_finish(). */
worker_t *worker_start(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error);

/* Waits until one of n workers (n >= 1, none NULL) has ended or passed its time limit, draining all their pipes; returns the lowest such index.
 * Results of any size never block a child for good, as long as someone waits. The time limit is on fn alone, not on sending its result. */
size_t worker_wait_any(worker_t **workers, size_t n);

/* The result of an ended worker, owner: caller; frees worker. NULL with error set: the function's own message (WORKER_ERROR_FAILED), or that
 * the child crashed (the signal's name, its last words), timed out, or ran out of memory. A worker still running is killed. */
GByteArray *worker_finish(worker_t *worker, GError **error);

/* start, wait, finish for a single call. */
GByteArray *worker_run(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error);

#endif
