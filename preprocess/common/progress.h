/* progress: one line on standard error that says how far a long task is, where that is a terminal. The next
 * one overwrites it, at most ten times a second. */
#pragma once

#include <glib.h>

typedef struct {
    gboolean on;
    gboolean shown;     /* a line stands there */
    gint64 start, last; /* monotonic microseconds */
    const char *label;
} progress_t;

/* label: what is counted ("files"), not copied; NULL where only progress_line() is used. quiet: never
 * shows. */
progress_t progress_start(const char *label, gboolean quiet);
/* Shows a bar, the count and the time left, once the task has taken two seconds. */
void progress_show(progress_t *progress, size_t done, size_t total);
/* Wipes the line. */
void progress_end(progress_t *progress);

/* For lines of another form. progress_due(): whether it is time for the next one. progress_bar(): writes to
 * bar [cells + 1] the bar for a share in [0, 1]. progress_line(): shows the line. */
gboolean progress_due(progress_t *progress);
void progress_bar(char *bar, int cells, double share);
void progress_line(progress_t *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
