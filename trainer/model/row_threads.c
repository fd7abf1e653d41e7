/* row_threads: owns the threads, which start with the first work for them and wait between calls. */
#include "trainer/model/row_threads.h"

#include <glib.h>

typedef struct {
    row_threads_t *threads;
    size_t index;
    GThread *thread;
} helper_t;

struct row_threads {
    size_t n;
    helper_t *helpers; /* [n]; the first is the caller and has no thread */
    GMutex mutex;
    GCond started, finished;
    guint64 call; /* number of the call under way */
    size_t busy;  /* helpers that have not finished it */
    gboolean stop;
    gsize taken; /* blocks of rows, an atomic counter */
    size_t rows;
    row_task_t task;
    void *data;
};

static void work(row_threads_t *threads, size_t index) {
    for (;;) {
        const size_t first = (size_t)g_atomic_pointer_add(&threads->taken, 1) * ROW_THREADS_ROWS;
        if (first >= threads->rows) return;
        threads->task(threads->data, index, first, MIN(first + ROW_THREADS_ROWS, threads->rows));
    }
}

static void *help(void *data) {
    const helper_t *helper = data;
    row_threads_t *threads = helper->threads;
    g_mutex_lock(&threads->mutex);
    for (guint64 done = 0;; done++) {
        while (!threads->stop && threads->call == done) g_cond_wait(&threads->started, &threads->mutex);
        if (threads->stop) break;
        g_mutex_unlock(&threads->mutex);
        work(threads, helper->index);
        g_mutex_lock(&threads->mutex);
        if (--threads->busy == 0) g_cond_signal(&threads->finished);
    }
    g_mutex_unlock(&threads->mutex);
    return NULL;
}

row_threads_t *row_threads_new(size_t n) {
    row_threads_t *threads = g_new0(row_threads_t, 1);
    threads->n = n;
    threads->helpers = g_new0(helper_t, n);
    g_mutex_init(&threads->mutex);
    g_cond_init(&threads->started);
    g_cond_init(&threads->finished);
    return threads;
}

/* Threads start when there is work: a process that forks before, as to read a song, has none that might hold
 * a lock. */
static void start(row_threads_t *threads) {
    for (size_t i = 1; i < threads->n && !threads->helpers[i].thread; i++) {
        threads->helpers[i] = (helper_t){.threads = threads, .index = i};
        threads->helpers[i].thread = g_thread_new("rows", help, &threads->helpers[i]);
    }
}

void row_threads_free(row_threads_t *threads) {
    if (!threads) return;
    g_mutex_lock(&threads->mutex);
    threads->stop = TRUE;
    g_cond_broadcast(&threads->started);
    g_mutex_unlock(&threads->mutex);
    for (size_t i = 1; i < threads->n; i++)
        if (threads->helpers[i].thread) g_thread_join(threads->helpers[i].thread);
    g_mutex_clear(&threads->mutex);
    g_cond_clear(&threads->started);
    g_cond_clear(&threads->finished);
    g_free(threads->helpers);
    g_free(threads);
}

void row_threads_run(row_threads_t *threads, size_t rows, row_task_t task, void *data) {
    if (threads->n == 1 || rows <= ROW_THREADS_ROWS) {
        task(data, 0, 0, rows);
        return;
    }
    start(threads);
    g_mutex_lock(&threads->mutex);
    threads->rows = rows;
    threads->task = task;
    threads->data = data;
    threads->taken = 0;
    threads->busy = threads->n - 1;
    threads->call++;
    g_cond_broadcast(&threads->started);
    g_mutex_unlock(&threads->mutex);
    work(threads, 0);
    g_mutex_lock(&threads->mutex);
    while (threads->busy > 0) g_cond_wait(&threads->finished, &threads->mutex);
    g_mutex_unlock(&threads->mutex);
}
