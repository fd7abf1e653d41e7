/* preprocess: MIDI files to HDF5 piano-roll shards. */
#include <locale.h>
#include <stdio.h>
#include <sys/resource.h>

#include "preprocess/options.h"

enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2 };

static int fail(const GError *error, int status) {
    fprintf(stderr, "preprocess: %s\n", error->message);
    if (status == EXIT_USAGE) fputs("Try 'preprocess --help' for more information.\n", stderr);
    return status;
}

static void say_farewell(gint64 start) {
    struct rusage self = {0}, children = {0};
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    fprintf(stderr, "mpianist preprocess " MPIANIST_VERSION ": %.1f s, %ld MiB at most\n", (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC,
            MAX(self.ru_maxrss, children.ru_maxrss) / 1024);
}

/* UTF-8 as it is: GLib would write ? for what the locale lacks, and a container often has none. */
static void print_help(const char *text) { fputs(text, stdout); }

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    gint64 start = g_get_monotonic_time();
    setlocale(LC_CTYPE, "");
    g_set_print_handler(print_help);
    g_set_prgname("preprocess");
    g_autoptr(preprocess_options_t) options = preprocess_options_parse(argc, argv, &error);
    if (!options) return fail(error, EXIT_USAGE);
    if (options->version) {
        puts("mpianist-preprocess " MPIANIST_VERSION "\nLicense MIT. There is no warranty, to the extent permitted by law.");
        return EXIT_DONE;
    }
    if (options->info) return corpus_info(options->info, &error) ? EXIT_DONE : fail(error, EXIT_ERROR);
    if (!corpus_run(&options->corpus, &error)) return fail(error, EXIT_ERROR);
    if (!options->corpus.quiet) say_farewell(start);
    return EXIT_DONE;
}
