/* progress: one line with a bar and the time left on standard error, where that is a terminal and the work
 * takes more than two seconds. */
#ifndef MPIANIST_PREPROCESS_COMMON_PROGRESS_H
#define MPIANIST_PREPROCESS_COMMON_PROGRESS_H

#include <glib.h>

typedef struct {
    gboolean on;
    gboolean shown;
    gint64 start, last; /* monotonic microseconds */
    const char *label;
} progress_t;

/* label: what is counted ("files"). quiet: never shows. */
progress_t progress_start(const char *label, gboolean quiet);
void progress_show(progress_t *progress, size_t done, size_t total);
/* Wipes the line. */
void progress_end(progress_t *progress);

#endif
