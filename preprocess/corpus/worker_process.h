/* worker_process: the process of a worker, from within, and what parent and process say to each other.
 * Private to worker.c.
 *
 * A socket carries tasks to the process and results back: each task behind a guint32, its length, each result
 * behind a header. Standard error goes to a pipe, of which the end is kept as the reason of a crash. */
#pragma once

#include <sys/types.h>

#include "preprocess/corpus/worker.h"

enum { WORKER_CHANNEL, WORKER_CHATTER, WORKER_FDS };

/* What a process runs, and under which limits. */
typedef struct {
    worker_fn fn;
    gpointer data;
    worker_limits_t limits;
} worker_work_t;

/* Before each result. */
typedef struct {
    guint64 bytes;
    guint8 done;   /* 1: a result; 0: the message of a failure */
    guint8 leaves; /* 1: the process ends itself after this result */
} worker_header_t;

/* Sends a header and what belongs to it, as one message as far as it goes, so that the receiver is woken
 * once. Never raises SIGPIPE. TRUE once all is sent. */
gboolean worker_send(int fd, const void *header, size_t header_bytes, const void *body, size_t body_bytes);

/* Call it in the new process, with all signals blocked: does the tasks that come by fds [WORKER_FDS] until
 * the parent closes them. */
G_NORETURN void worker_process(const worker_work_t *work, const int *fds, pid_t parent);
