/* stall: owns the rule by which a rank is held to be the one that the others wait for. */
#include "trainer/parallel/stall.h"

#include <string.h>

#define NAMED 4 /* ranks, before "and 7 more" */

char *stall_name(const stall_rank_t *ranks, const gboolean *named, int n) {
    GString *text = g_string_new(NULL);
    int count = 0;
    for (int r = 0; r < n; r++) {
        if (!named[r]) continue;
        if (count < NAMED)
            g_string_append_printf(text, "%srank %d on %s", count ? ", " : "", r, ranks[r].host);
        count++;
    }
    if (count > NAMED) g_string_append_printf(text, " and %d more", count - NAMED);
    return g_string_free(text, count == 0);
}

/* Marks the ranks that have been silent for long. Returns one of them, or -1. */
static int find_silent(const stall_rank_t *ranks, int n, double span_s, gboolean *named) {
    int one = -1;
    for (int r = n - 1; r >= 0; r--) {
        named[r] = ranks[r].heard && ranks[r].silent_s >= span_s / 2;
        if (named[r]) one = r;
    }
    return one;
}

/* Marks the ranks that are behind others. Returns one of them, or -1. */
static int find_behind(const stall_rank_t *ranks, int n, gboolean *named) {
    uint64_t lowest = G_MAXUINT64, highest = 0;
    int one = -1;
    for (int r = 0; r < n; r++) {
        if (!ranks[r].heard) continue;
        lowest = MIN(lowest, ranks[r].place.calls);
        highest = MAX(highest, ranks[r].place.calls);
    }
    for (int r = n - 1; r >= 0; r--) {
        named[r] = ranks[r].heard && lowest < highest && ranks[r].place.calls == lowest;
        if (named[r]) one = r;
    }
    return one;
}

static void append_place(GString *text, const watch_place_t *place) {
    g_string_append(text, phase_name(place->phase));
    if (place->step > 0) g_string_append_printf(text, " of step %" G_GINT64_FORMAT, place->step);
}

/* Where all ranks that were heard of are, if none is behind. */
static void append_all(GString *text, const stall_rank_t *ranks, int n) {
    int first = 0;
    while (first < n - 1 && !ranks[first].heard) first++;
    g_string_append(text, "all ranks are in ");
    append_place(text, &ranks[first].place);
    if (ranks[first].place.calls % 2 > 0)
        g_string_append(text, " and wait for messages: the network between hosts may be cut");
}

char *stall_describe(const stall_rank_t *ranks, int n, double span_s) {
    GString *text = g_string_new(NULL);
    g_autofree gboolean *named = g_new0(gboolean, n);
    int one = find_silent(ranks, n, span_s, named);
    if (one < 0) one = find_behind(ranks, n, named);
    g_autofree char *names = stall_name(ranks, named, n);
    if (one < 0) {
        append_all(text, ranks, n);
    } else {
        const stall_rank_t *rank = &ranks[one];
        g_string_append_printf(text, "all wait for %s", names);
        if (strchr(names, ','))
            g_string_append_printf(text, "; rank %d has been in ", one);
        else
            g_string_append(text, ", which has been in ");
        append_place(text, &rank->place);
        if (rank->silent_s >= span_s / 2)
            g_string_append_printf(text, " since; not heard of for %.0f s", rank->silent_s);
        else
            g_string_append_printf(text, " for %.0f s", rank->phase_s + rank->silent_s);
    }
    for (int r = 0; r < n; r++) named[r] = !ranks[r].heard;
    g_autofree char *unheard = stall_name(ranks, named, n);
    if (unheard) g_string_append_printf(text, "; never heard of: %s", unheard);
    return g_string_free(text, FALSE);
}
