/* writer: owns the thread that writes checkpoints, and the order in which a checkpoint, the links to it and
 * the removal of older ones go to disk. */
#include "trainer/run/writer.h"

#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/watch.h"

enum { MOST_JOBS = 2 };

#define TICK_US     (G_USEC_PER_SEC / 4) /* between signs of life of one that waits */
#define LATE_S      30.0                 /* that pass between two looks, at most */
#define SLOW_S      60.0                 /* writing takes long: after so many seconds, */
#define SLOW_FACTOR 10                   /* and so many times as long as usual */

struct writer {
    writer_config_t config;
    GMutex lock; /* guards all below it */
    GCond changed;
    writer_job_t jobs[MOST_JOBS];
    size_t n, written;
    gboolean busy, quit;
    gint64 looked;         /* at this; monotonic microseconds */
    double age_s, usual_s; /* how long it takes, and may take before that is said */
    gboolean slow;         /* it was said */
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

/* Looks, with the lock, how long writing takes. Where patience ends, so does the process: the thread hangs in
 * a call and may go on at any time, so nothing that it uses can be freed, and no function can return. A look
 * that comes late counts little: the process most likely did not run meanwhile. */
static void look(writer_t *writer) {
    const gint64 now = g_get_monotonic_time();
    const int minutes = WRITER_PATIENCE_S / 60;
    const char *run = writer->config.run;
    writer->age_s += MIN((double)(now - writer->looked) / G_USEC_PER_SEC, LATE_S);
    writer->looked = now;
    if (writer->age_s > WRITER_PATIENCE_S) {
        program_say(
            "%s: the disk has not answered for %d minutes: giving up with status %d; the last checkpoint "
            "stays, and --resume auto goes on from there\n",
            run, minutes, EXIT_STOPPED_EARLY);
        _exit(EXIT_STOPPED_EARLY);
    }
    if (writer->slow || writer->age_s <= writer->usual_s) return;
    writer->slow = TRUE;
    g_warning(
        "%s: a checkpoint is not written after %.0f s: the disk is slow, or hangs; the run gives up after "
        "%d minutes",
        run, writer->age_s, minutes);
}

/* Waits, with the lock, until nothing is being written. */
static void wait_for_end(writer_t *writer) {
    while (writer->busy) {
        look(writer);
        watch_tick();
        g_cond_wait_until(&writer->changed, &writer->lock, g_get_monotonic_time() + TICK_US);
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

void writer_start(writer_t *writer, const writer_job_t *jobs, size_t n, double usual_s) {
    g_assert(n <= MOST_JOBS);
    g_mutex_lock(&writer->lock);
    wait_for_end(writer);
    g_clear_error(&writer->error);
    for (size_t i = 0; i < n; i++) writer->jobs[i] = jobs[i];
    writer->n = n;
    writer->written = 0;
    writer->looked = g_get_monotonic_time();
    writer->age_s = 0;
    writer->usual_s = MAX(SLOW_S, SLOW_FACTOR * usual_s);
    writer->slow = FALSE;
    writer->busy = TRUE;
    g_cond_broadcast(&writer->changed);
    g_mutex_unlock(&writer->lock);
    if (!writer->thread) write_jobs(writer);
}

gboolean writer_busy(writer_t *writer) {
    g_mutex_lock(&writer->lock);
    const gboolean busy = writer->busy;
    if (busy) look(writer);
    g_mutex_unlock(&writer->lock);
    return busy;
}

size_t writer_end(writer_t *writer, GError **error) {
    g_mutex_lock(&writer->lock);
    wait_for_end(writer);
    const size_t written = writer->written;
    if (writer->slow) program_say("%s: the disk answers again\n", writer->config.run);
    writer->slow = FALSE;
    if (writer->error) g_propagate_error(error, g_steal_pointer(&writer->error));
    g_mutex_unlock(&writer->lock);
    return written;
}
