/* fast_clock: lets the clock of a program run FAST_CLOCK times as fast, for spans that no test waits for. It
 * is loaded before GLib (LD_PRELOAD); the program is the one that users run. What waits within GLib goes by
 * the clock of the system. */
#include <glib.h>
#include <stdlib.h>
#include <time.h>

gint64 g_get_monotonic_time(void) {
    static gint64 first;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const gint64 us = now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
    if (first == 0) first = us;
    return first + (us - first) * atoi(getenv("FAST_CLOCK"));
}
