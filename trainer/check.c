/* check: owns the lines of --check. Facts come from those who own them; what is measured is measured by the
 * code that trains. */
#include "trainer/check.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/model/layers.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/watch.h"
#include "trainer/train.h"

enum { ROUNDS = 7 }; /* steps and exchanges that are timed; of an odd number the median is one of them */

#define MIB 1048576.0

static void tell(const char *label, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void tell(const char *label, const char *format, ...) {
    va_list arguments;
    if (comm_rank() > 0) return;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_print("%-12s%s\n", label, text);
}

static void warn(const char *text) {
    if (text) tell("warning", "%s", text);
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
    qsort(values, n, sizeof *values, compare);
    return values[n / 2];
}

static void tell_hosts(const hosts_t *hosts) {
    g_autofree char *ranks = hosts_describe(hosts), *cores = hosts_warn_of_cores(hosts),
                    *addresses = hosts_warn_of_addresses(hosts);
    tell("ranks", "%s", ranks);
    tell("BLAS", "%s", layers_describe_blas());
    warn(cores);
    warn(addresses);
}

/* What a step or, where hosts take several by themselves, a sync point sends, without computing any. */
static void exchange_once(exchange_t *exchange, gboolean local) {
    for (int i = 0; i < SYNC_SUMS && local; i++) exchange_sum_hosts(exchange, FALSE);
    if (local) return;
    exchange_finish(exchange);
    exchange_updated(exchange);
}

/* *sync_s: seconds of a sync point, 0 where each step is one. */
static void time_exchange(session_t *session, double *sync_s) {
    double seconds[ROUNDS];
    exchange_t *exchange = session->exchange;
    const gboolean local = session->synced != NULL;
    for (int i = 0; i < ROUNDS; i++) {
        comm_any(FALSE); /* all begin together */
        const gint64 start = g_get_monotonic_time();
        exchange_once(exchange, local);
        seconds[i] = watch_seconds_since(start);
    }
    const double median_s = median(seconds, ROUNDS);
    *sync_s = local ? median_s : 0;
    if (comm_size() > 1)
        tell("exchange", "%.1f ms alone (median of %d)%s; %s", median_s * 1e3, ROUNDS,
             local ? "" : ", of which some hides behind the computation", exchange_describe(exchange));
}

/* Takes steps whose results are thrown away. *step_s: their median, with what each has of a sync point; 0
 * where there is nothing left to do. */
static gboolean time_steps(session_t *session, double sync_s, double *step_s, GError **error) {
    double seconds[ROUNDS];
    size_t n = 0;
    for (; n < ROUNDS && session->stop == GO_ON && !train_finished(session); n++) {
        const gint64 start = g_get_monotonic_time();
        if (!train_step(session, error)) return FALSE;
        seconds[n] = watch_seconds_since(start);
    }
    const int every = session->options->sync_every; /* 1: each of these steps has it all */
    *step_s = n > 0 ? median(seconds, n) + (every > 1 ? sync_s / every : 0) : 0;
    const double left_s = *step_s * (double)(session->schedule.total_steps - session->first_step);
    if (n > 0)
        tell("step", "%.1f ms (median of %zu); the %" G_GINT64_FORMAT " that are left take %.1f minutes",
             *step_s * 1e3, n, session->schedule.total_steps - session->first_step, left_s / 60);
    else
        tell("step", "nothing is left to do: raise --epochs or --max-steps to train on");
    return TRUE;
}

/* Refuses a job that ends before a step and a checkpoint, for which train_step() reserves time, are done. */
static gboolean check_deadline(double step_s, GError **error) {
    if (step_s <= 0) return TRUE;
    if (comm_any(comm_rank() == 0 && stop_signal() == 0 && stop_due(step_s)))
        return program_fail(
            error, "the job's time is too short for a step and a checkpoint; give it more (sbatch --time)");
    if (comm_rank() == 0 && isfinite(stop_seconds_left()))
        tell("deadline", "about %.0f steps fit before the job ends", stop_seconds_left() / step_s);
    return TRUE;
}

/* Rank 0's part of check_folder(). */
static gboolean check_space(const session_t *session, GError **error) {
    const options_t *options = session->options;
    g_autoptr(GFile) folder = g_file_new_for_path(options->output);
    g_autoptr(GFileInfo) info = g_file_query_filesystem_info(
        folder, G_FILE_ATTRIBUTE_FILESYSTEM_TYPE "," G_FILE_ATTRIBUTE_FILESYSTEM_FREE, NULL, NULL);
    const double one = (double)run_state_bytes(&session->state),
                 all = one * (options->keep + 2); /* the best one, and one that is being written */
    tell("checkpoint", "%.1f MiB each, every %s, --keep %d: %.1f MiB at most", one / MIB,
         options->checkpoint_every.text, options->keep, all / MIB);
    if (!info) return TRUE;
    const char *type = g_file_info_get_attribute_string(info, G_FILE_ATTRIBUTE_FILESYSTEM_TYPE);
    const double left = (double)g_file_info_get_attribute_uint64(info, G_FILE_ATTRIBUTE_FILESYSTEM_FREE);
    tell("folder", "%s: %s, %.0f MiB free; no locks are needed", options->output, type ? type : "a disk",
         left / MIB);
    if (left < one)
        return program_fail(error,
                            "%s: has no room for a checkpoint of %.1f MiB; make room or name another "
                            "--output",
                            options->output, one / MIB);
    if (left < all) tell("warning", "there is too little room for all of them; make room, or lower --keep");
    if (g_strcmp0(type, "tmpfs") == 0)
        tell("warning", "%s is in memory, and gone when the host is; name an --output on a disk",
             options->output);
    return TRUE;
}

static gboolean check_folder(const session_t *session, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) check_space(session, &local);
    return comm_agree(local, error);
}

/* After the steps, when all that a run touches is in memory and all ranks that talk have connected. */
static void tell_used(const hosts_t *before) {
    g_auto(hosts_t) hosts = {0};
    gboolean short_of = FALSE;
    const host_rank_t *mine = &before->of[comm_rank()];
    hosts_find(&hosts, mine->threads, mine->cores, mine->idle);
    g_autofree char *networks = hosts_networks(&hosts), *memory = hosts_memory(&hosts, &short_of);
    if (networks) tell("network", "MPI uses %s; " HOSTS_CHOSEN " chooses", networks);
    tell("memory", "%s", memory);
    if (short_of)
        tell("warning",
             "hardly any memory is left: start fewer ranks a host, lower --batch, raise --accumulate, "
             "or give --data-memory");
}

static gboolean check(session_t *session, const hosts_t *hosts, GError **error) {
    double step_s = 0, sync_s;
    g_autofree char *deadline = comm_rank() == 0 ? stop_find_deadline() : NULL;
    tell_hosts(hosts);
    if (deadline) tell("deadline", "%s", deadline);
    if (session->chosen) tell("auto", "%s", session->chosen);
    if (!check_folder(session, error)) return FALSE;
    time_exchange(session, &sync_s);
    if (!time_steps(session, sync_s, &step_s, error) || !check_deadline(step_s, error)) return FALSE;
    tell_used(hosts);
    return TRUE;
}

/* Lists the folders of a path that are not there, the deepest first. Owner: caller. */
static GPtrArray *list_missing(const char *path) {
    GPtrArray *missing = g_ptr_array_new_with_free_func(g_free);
    for (g_autofree char *at = g_canonicalize_filename(path, NULL); !g_file_test(at, G_FILE_TEST_EXISTS);) {
        char *parent = g_path_get_dirname(at);
        g_ptr_array_add(missing, at);
        at = parent;
    }
    return missing;
}

int check_run(options_t *options, const hosts_t *hosts, GError **error) {
    session_t session;
    g_autoptr(GPtrArray) missing = comm_rank() == 0 ? list_missing(options->output) : NULL;
    const gboolean done = session_open(&session, options, error) && check(&session, hosts, error);
    const gboolean stopped = session.stop == STOP_AGAIN;
    session_close(&session);
    for (guint i = 0; missing && i < missing->len; i++) g_rmdir(g_ptr_array_index(missing, i));
    if (done && !stopped) tell("ok", "nothing was found that keeps the run from starting");
    return done ? EXIT_DONE : EXIT_ERROR;
}
