/* sampler: checkpoint -> music. The command line to one verb; exit status 0 done, 1 error, 2 bad usage. */
#include <signal.h>

#include "preprocess/common/program.h"
#include "sampler/command/verbs.h"

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write(), as a full disk is */
    signal(SIGPIPE, SIG_IGN);
    program_start();
    g_autoptr(GError) error = NULL;
    g_autoptr(cli_t) cli = cli_parse(verbs, argc, argv, &error);
    if (cli && verbs_run(cli, &error)) return EXIT_DONE;
    if (!error) return EXIT_DONE; /* --help, --version */
    program_say("%s\n", error->message);
    return error->domain == OPTION_ERROR ? EXIT_USAGE : EXIT_ERROR;
}
