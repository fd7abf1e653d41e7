/* preprocess: MIDI files to HDF5 piano-roll shards. */
#include <locale.h>
#include <stdio.h>
#include <sys/resource.h>

#include "preprocess/common/program.h"
#include "preprocess/options.h"

static int fail(const GError *error, int status) {
    program_say("%s\n", error->message);
    if (status == EXIT_USAGE) fprintf(stderr, "Try '%s --help' for more information.\n", program_name());
    return status;
}

static void say_farewell(gint64 start) {
    struct rusage self = {0}, children = {0};
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    fprintf(stderr, "mpianist preprocess " MPIANIST_VERSION ": %.1f s, %ld MiB at most\n",
            (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC,
            MAX(self.ru_maxrss, children.ru_maxrss) / 1024);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    gint64 start = g_get_monotonic_time();
    program_start();
    setlocale(LC_CTYPE, "");
    g_autoptr(preprocess_options_t) options = preprocess_options_parse(argc, argv, &error);
    if (!options) return fail(error, EXIT_USAGE);
    if (options->version) {
        program_print_version("preprocess");
        return EXIT_DONE;
    }
    if (options->info) return corpus_info(options->info, &error) ? EXIT_DONE : fail(error, EXIT_ERROR);
    if (!corpus_run(&options->corpus, &error)) return fail(error, EXIT_ERROR);
    if (!options->corpus.quiet) say_farewell(start);
    return EXIT_DONE;
}
