/* row_threads: does the same to many rows on several threads at once, a few rows at a time, whichever thread
 * is free. What is done to a row may not depend on the rows beside it or on the thread: then neither do its
 * bits. */
#pragma once

#include <stddef.h>

typedef struct row_threads row_threads_t;

enum { ROW_THREADS_ROWS = 8 }; /* that a thread takes at once: as many as products take together */

/* For n threads, 1 or more, of which the caller is one. Owner: caller. */
row_threads_t *row_threads_new(size_t n);
void row_threads_free(row_threads_t *threads);

/* Rows first .. end - 1, on thread `thread` of 0 .. n - 1. */
typedef void (*row_task_t)(void *data, size_t thread, size_t first, size_t end);
/* Calls task for all of 0 .. rows - 1, each once, and returns when all are done. */
void row_threads_run(row_threads_t *threads, size_t rows, row_task_t task, void *data);
