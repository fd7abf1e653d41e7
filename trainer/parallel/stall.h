/* stall: what a run waits for when no rank gets on, in words. Local. */
#pragma once

#include <glib.h>

#include "trainer/parallel/watch.h"

/* What rank 0 knows of a rank. */
typedef struct {
    const char *host;
    watch_place_t place; /* since_us is not used */
    double phase_s;      /* how long it was in its phase at its last message */
    double silent_s;     /* since that message */
    gboolean heard;      /* whether there was one */
} stall_rank_t;

/* Names the ranks of ranks [n] that all others wait for: those that have been silent for half of span_s or
 * more, or else those that have been through the fewest calls that all ranks must come to, such as "all wait
 * for rank 3 on h2, which has been in data of step 812 since; not heard of for 298 s". If no rank is behind,
 * it says where all of them are. Ranks that were never heard of are named after that. Owner: caller. */
char *stall_describe(const stall_rank_t *ranks, int n, double span_s);

/* Names the ranks where `named` is TRUE: "rank 3 on h2, rank 5 on h3 and 7 more"; NULL if there are none.
 * Owner: caller. */
char *stall_name(const stall_rank_t *ranks, const gboolean *named, int n);
