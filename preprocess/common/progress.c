/* progress: owns one line of the terminal while something is counted. Writes nothing in pipes, in the first
 * two seconds, or more than ten times a second. */
#include "preprocess/common/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 30, PATIENCE_US = 2 * G_USEC_PER_SEC, INTERVAL_US = G_USEC_PER_SEC / 10 };

progress_t progress_start(const char *label, gboolean quiet) {
    return (progress_t){
        .on = !quiet && isatty(STDERR_FILENO), .start = g_get_monotonic_time(), .label = label};
}

void progress_show(progress_t *progress, size_t done, size_t total) {
    gint64 now = g_get_monotonic_time(), spent = now - progress->start;
    if (!progress->on || done == 0 || spent < PATIENCE_US || now - progress->last < INTERVAL_US) return;
    progress->last = now;
    progress->shown = TRUE;
    int filled = (int)((double)done / (double)total * BAR);
    double left_s = (double)spent / G_USEC_PER_SEC * (double)(total - done) / (double)done;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r[%s] %zu of %zu %s, %d:%02d left\033[K", bar, done, total, progress->label,
            (int)left_s / 60, (int)left_s % 60);
    fflush(stderr);
}

void progress_end(progress_t *progress) {
    if (progress->shown) fputs("\r\033[K", stderr);
}
