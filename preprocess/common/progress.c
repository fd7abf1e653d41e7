/* progress: owns one line of the terminal while something is counted. Writes nothing elsewhere. */
#include "preprocess/common/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 30, PATIENCE_US = 2 * G_USEC_PER_SEC, INTERVAL_US = G_USEC_PER_SEC / 10 };

progress_t progress_start(const char *label, gboolean quiet) {
    return (progress_t){
        .on = !quiet && isatty(STDERR_FILENO), .start = g_get_monotonic_time(), .label = label};
}

gboolean progress_due(progress_t *progress) {
    const gint64 now = g_get_monotonic_time();
    if (!progress->on || now - progress->last < INTERVAL_US) return FALSE;
    progress->last = now;
    return TRUE;
}

void progress_bar(char *bar, int cells, double share) {
    for (int i = 0; i < cells; i++) bar[i] = i < (int)(share * cells) ? '#' : '.';
    bar[cells] = '\0';
}

void progress_line(progress_t *progress, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputc('\r', stderr);
    vfprintf(stderr, format, arguments);
    fputs("\033[K", stderr);
    fflush(stderr);
    va_end(arguments);
    progress->shown = TRUE;
}

void progress_show(progress_t *progress, size_t done, size_t total) {
    const gint64 spent = g_get_monotonic_time() - progress->start;
    if (done == 0 || spent < PATIENCE_US || !progress_due(progress)) return;
    char bar[BAR + 1];
    progress_bar(bar, BAR, (double)done / (double)total);
    const int left_s = (int)((double)spent / G_USEC_PER_SEC * (double)(total - done) / (double)done);
    progress_line(progress, "[%s] %zu of %zu %s, %d:%02d left", bar, done, total, progress->label,
                  left_s / 60, left_s % 60);
}

void progress_end(progress_t *progress) {
    if (progress->shown) fputs("\r\033[K", stderr);
    progress->shown = FALSE;
}
