/* fast_clock: lets the clock of a program run FAST_CLOCK times as fast, for spans that no test waits for. It
 * is loaded before GLib (LD_PRELOAD); the program is the one that users run. What GLib itself waits for goes
 * by the clock of the system. */
#include <dlfcn.h>
#include <glib.h>
#include <stdlib.h>
#include <time.h>

static gint64 first; /* when it was asked for the first time */

static gint64 factor(void) { return atoi(getenv("FAST_CLOCK")); }

gint64 g_get_monotonic_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const gint64 us = now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
    if (first == 0) first = us;
    return first + (us - first) * factor();
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end) {
    gboolean (*wait)(GCond *, GMutex *, gint64);
    *(void **)&wait = dlsym(RTLD_NEXT, "g_cond_wait_until");
    return wait(cond, mutex, first + (end - first) / factor());
}
