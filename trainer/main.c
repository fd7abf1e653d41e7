/* main: owns the program `trainer`, which trains a variational autoencoder on a corpus, evaluates a
 * checkpoint, fits vectors of attributes to it, or learns a guide, on all ranks that the launcher starts. */
#include "preprocess/common/program.h"
#include "trainer/check.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/fit_attributes.h"
#include "trainer/evaluate/fit_guide.h"
#include "trainer/model/layers.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/hosts.h"
#include "trainer/parallel/start_hint.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/threads.h"
#include "trainer/parallel/watchdog.h"
#include "trainer/train.h"

#define HINT_AFTER_S    20  /* of a start that may hang */
#define GIVE_UP_AFTER_S 600 /* a start; as long as --stall-seconds gives a step by default */

/* Sets the threads of BLAS: one for --reproducible, else --threads, the user's environment, or this rank's
 * share of the cores. */
static void set_threads(const options_t *options, const threads_t *found) {
    const gboolean chosen =
        g_getenv("OPENBLAS_NUM_THREADS") || g_getenv("BLIS_NUM_THREADS") || g_getenv("OMP_NUM_THREADS");
    if (options->reproducible > 0)
        layers_set_threads(1); /* more would divide their work, and so round, by their number */
    else if (options->threads > 0 || !chosen)
        layers_set_threads(options->threads > 0 ? options->threads : found->share);
}

/* Says on how many hosts and cores ranks run, and what of that makes them slow. */
static void tell_hosts(const options_t *options, const hosts_t *hosts) {
    if (comm_rank() > 0 || options->quiet || options->check) return;
    g_autofree char *ranks = hosts_describe(hosts), *cores = hosts_warn_of_cores(hosts);
    if (comm_size() > 1) g_printerr("%s\n", ranks);
    if (cores) g_printerr("warning: %s\n", cores);
}

/* Refuses option files that differ between hosts. */
static gboolean check_same_options(const options_t *options, GError **error) {
    g_autofree char *text = options_to_text(options);
    if (comm_same(g_str_hash(text))) return TRUE;
    g_set_error(error, OPTION_ERROR, OPTION_ERROR_FILE,
                "the ranks read different options; give all hosts the same --config file and run folder");
    return FALSE;
}

static int run(int *argc, char ***argv, GError **error) {
    GError *local = NULL;
    gboolean help = FALSE;
    g_autoptr(options_t) options = options_parse(*argc, *argv, comm_rank() == 0, &help, &local);
    if (!comm_agree(local, error))
        return g_error_matches(*error, OPTION_ERROR, OPTION_ERROR_USAGE) ? EXIT_USAGE : EXIT_ERROR;
    if (help || !options) return EXIT_DONE;
    threads_t threads;
    if (!check_same_options(options, error) || !threads_find(&threads, error)) return EXIT_ERROR;
    set_threads(options, &threads);
    g_auto(hosts_t) hosts = {0};
    hosts_find(&hosts, layers_threads(), threads.cores, threads.idle);
    tell_hosts(options, &hosts);
    watchdog_start(options->stall_seconds);
    start_hint_end();
    if (options->check) return check_run(options, &hosts, error);
    if (options->attributes) return attributes_run(options, error);
    if (options->masks) return guide_run(options, error);
    return options->evaluate ? evaluate_run(options, error) : train_run(options, error);
}

/* Leaves word of how rank 0 ends, for job scripts: launchers at times give status 0 where daemons or ranks
 * were killed. Where it cannot be written the script finds none, as if rank 0 had been killed. */
static void leave_status(int status) {
    const char *path = g_getenv("MPIANIST_STATUS_FILE");
    if (!path || comm_rank() > 0) return;
    g_autofree char *text = g_strdup_printf("%d\n", status);
    g_autoptr(GError) error = NULL;
    if (!g_file_set_contents(path, text, -1, &error))
        program_say("warning: MPIANIST_STATUS_FILE: %s; a job script may take this run for killed\n",
                    error->message);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    program_start();
    stop_catch_signals();
    start_hint_begin(HINT_AFTER_S, GIVE_UP_AFTER_S);
    threads_yield_if_crowded();
    const gboolean joined = comm_init(&argc, &argv, &error);
    /* Again: MPICH 4.0 takes SIGUSR1 for itself, and one process without mpirun then waits for ever. */
    stop_catch_signals();
    const int status = joined ? run(&argc, &argv, &error) : EXIT_ERROR;
    if (error && comm_rank() == 0) program_say("%s\n", error->message);
    start_hint_end();
    if (joined) leave_status(status);
    comm_finalize();
    watchdog_stop();
    return status;
}
