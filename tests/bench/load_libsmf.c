/* load_libsmf: loads the MIDI files that standard input names, a line each, with libsmf and does nothing
 * with them. It keeps them all, since smf_delete() takes time quadratic in the events. What `make bench-
 * preprocess` compares preprocess with. Not a test. */
#include <smf.h>
#include <stdio.h>
#include <string.h>

static void ignore_message(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data) {
    (void)domain, (void)level, (void)message, (void)data;
}

int main(void) {
    char path[4096];
    unsigned refused = 0;
    g_log_set_handler("libsmf", G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION, ignore_message, NULL);
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        refused += smf_load(path) == NULL;
    }
    if (refused > 0) fprintf(stderr, "load_libsmf: %u files refused\n", refused);
    return 0;
}
