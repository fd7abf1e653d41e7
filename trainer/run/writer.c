/* writer: owns the thread that writes checkpoints, and the order in which a checkpoint, the links to it and
 * the removal of older ones go to disk. */
#include "trainer/run/writer.h"

#include "preprocess/common/program.h"
#include "trainer/parallel/watch.h"

enum { MOST_JOBS = 2 };

#define TICK_US (G_USEC_PER_SEC / 4) /* between signs of life of one that waits */

struct writer {
    writer_config_t config;
    GMutex lock; /* guards all below it */
    GCond changed;
    writer_job_t jobs[MOST_JOBS];
    size_t n, written;
    gboolean busy, quit;
    GError *error;
    GThread *thread; /* NULL: none could be started */
};

/* Writes a state, links latest.h5 and, if best, best.h5 to it, and removes the oldest beyond --keep.
 * latest.h5 comes last: a run killed between the two links resumes from the checkpoint before, and finds this
 * best state again. */
static gboolean write_state(const writer_config_t *config, const writer_job_t *job, GError **error) {
    const run_state_t *state = job->state;
    g_autofree char *path = checkpoint_path(config->run, state->checkpoint.step);
    g_autofree char *name = g_path_get_basename(path);
    return (!config->before || config->before(config->before_data, error)) &&
           checkpoint_write(path, &state->checkpoint, state->model, state->optimizer, config->owner, error) &&
           owner_check(config->owner, error) &&
           (!job->best || checkpoint_link(config->run, "best.h5", name, error)) &&
           checkpoint_link(config->run, "latest.h5", name, error) && owner_check(config->owner, error) &&
           checkpoint_prune(config->run, config->keep, error);
}

/* Writes what was started. Without the lock: nobody else touches the jobs while the writer is busy. */
static void write_jobs(writer_t *writer) {
    GError *error = NULL;
    size_t written = 0;
    while (written < writer->n && write_state(&writer->config, &writer->jobs[written], &error)) written++;
    g_mutex_lock(&writer->lock);
    writer->written = written;
    writer->error = error;
    writer->busy = FALSE;
    g_cond_broadcast(&writer->changed);
    g_mutex_unlock(&writer->lock);
}

static gpointer serve(gpointer data) {
    writer_t *writer = data;
    g_mutex_lock(&writer->lock);
    while (!writer->quit || writer->busy) {
        if (writer->busy) {
            g_mutex_unlock(&writer->lock);
            write_jobs(writer);
            g_mutex_lock(&writer->lock);
        } else {
            g_cond_wait(&writer->changed, &writer->lock);
        }
    }
    g_mutex_unlock(&writer->lock);
    return NULL;
}

/* Waits, with the lock, until nothing is being written. */
static void wait_for_end(writer_t *writer) {
    const gint64 patient_until = g_get_monotonic_time() + WRITER_PATIENCE_S * G_USEC_PER_SEC;
    while (writer->busy) {
        const gint64 now = g_get_monotonic_time();
        if (now < patient_until) watch_tick();
        g_cond_wait_until(&writer->changed, &writer->lock, now + TICK_US);
    }
}

writer_t *writer_new(const writer_config_t *config) {
    writer_t *writer = g_new0(writer_t, 1);
    writer->config = *config;
    g_mutex_init(&writer->lock);
    g_cond_init(&writer->changed);
    writer->thread = program_start_thread("writer", serve, writer);
    return writer;
}

void writer_free(writer_t *writer) {
    if (!writer) return;
    g_mutex_lock(&writer->lock);
    wait_for_end(writer);
    writer->quit = TRUE;
    g_cond_broadcast(&writer->changed);
    g_mutex_unlock(&writer->lock);
    if (writer->thread) g_thread_join(writer->thread);
    g_clear_error(&writer->error);
    g_mutex_clear(&writer->lock);
    g_cond_clear(&writer->changed);
    g_free(writer);
}

void writer_start(writer_t *writer, const writer_job_t *jobs, size_t n) {
    g_assert(n <= MOST_JOBS);
    g_mutex_lock(&writer->lock);
    wait_for_end(writer);
    g_clear_error(&writer->error);
    for (size_t i = 0; i < n; i++) writer->jobs[i] = jobs[i];
    writer->n = n;
    writer->written = 0;
    writer->busy = TRUE;
    g_cond_broadcast(&writer->changed);
    g_mutex_unlock(&writer->lock);
    if (!writer->thread) write_jobs(writer);
}

gboolean writer_busy(writer_t *writer) {
    g_mutex_lock(&writer->lock);
    const gboolean busy = writer->busy;
    g_mutex_unlock(&writer->lock);
    return busy;
}

size_t writer_end(writer_t *writer, GError **error) {
    g_mutex_lock(&writer->lock);
    wait_for_end(writer);
    const size_t written = writer->written;
    if (writer->error) g_propagate_error(error, g_steal_pointer(&writer->error));
    g_mutex_unlock(&writer->lock);
    return written;
}
