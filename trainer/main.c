/* main: owns the program `trainer`, which trains a variational autoencoder on a corpus, evaluates a
 * checkpoint, or fits vectors of attributes to it, on all ranks that the launcher starts. */
#include "preprocess/common/program.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/fit_attributes.h"
#include "trainer/model/layers.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/threads.h"
#include "trainer/parallel/watchdog.h"
#include "trainer/train.h"

/* Sets the threads of BLAS: one with --reproducible, --threads, else the user's environment, else this rank's
 * share of the cores. */
static gboolean set_threads(const options_t *options, GError **error) {
    int idle = 0;
    const int share = threads_find(&idle, error);
    const gboolean chosen =
        g_getenv("OPENBLAS_NUM_THREADS") || g_getenv("BLIS_NUM_THREADS") || g_getenv("OMP_NUM_THREADS");
    if (share == 0) return FALSE;
    if (options->reproducible > 0)
        layers_set_threads(1); /* more would divide their work, and so round, by their number */
    else if (options->threads > 0 || !chosen)
        layers_set_threads(options->threads > 0 ? options->threads : share);
    if (idle > 0 && comm_rank() == 0 && !options->quiet)
        g_printerr("binding leaves %d %s of a host idle: start with `mpirun --bind-to none` or more ranks to "
                   "use them\n",
                   idle, g_dngettext(NULL, "core", "cores", (gulong)idle));
    return TRUE;
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
    if (!check_same_options(options, error) || !set_threads(options, error)) return EXIT_ERROR;
    watchdog_start(options->stall_seconds);
    if (options->attributes) return attributes_run(options, error);
    return options->evaluate ? evaluate_run(options, error) : train_run(options, error);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    program_start();
    stop_catch_signals();
    const gboolean joined = comm_init(&argc, &argv, &error);
    /* Again: MPICH 4.0 takes SIGUSR1 for itself, and one process without mpirun then waits for ever. */
    stop_catch_signals();
    const int status = joined ? run(&argc, &argv, &error) : EXIT_ERROR;
    if (error && comm_rank() == 0) program_say("%s\n", error->message);
    comm_finalize();
    watchdog_stop();
    return status;
}
