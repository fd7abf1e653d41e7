/* full_disk: files that cannot grow, as on a full disk. */
#pragma once

#include <glib.h>
#include <signal.h>
#include <sys/resource.h>

/* From now on no file may grow past so many bytes; returns the limit that full_disk_end() sets again. */
static inline struct rlimit full_disk_begin(rlim_t bytes) {
    struct rlimit old;
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    const struct rlimit low = {.rlim_cur = bytes, .rlim_max = old.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &low), ==, 0);
    return old;
}

static inline void full_disk_end(struct rlimit old) { g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0); }
