/* recall: owns the search for places of a piece that are alike, and how all onsets so far were played.
 * Refuses nothing. */
#include "trainer/model/recall.h"

#include <string.h>

#include "preprocess/roll/roll.h"

/* Frames that must be alike before and after the frame itself. */
static const struct {
    size_t before, after;
} windows[RECALL_WINDOWS] = {{0, 0}, {2, 2}, {8, 8}, {32, 0}, {0, 32}, {32, 32}};
enum { WIDEST = 32, NOWHERE = -1 };

struct recall {
    size_t tracks, stride;
    const uint8_t *frames;
    size_t T;
    size_t room;     /* frames */
    uint32_t *first; /* [room, tracks]: number of a frame's first onset in a track, where there is one */
    GArray *played;  /* played_t of all onsets so far */
    size_t last_track, last_t;
    int64_t found[RECALL_WINDOWS]; /* number of the first onset there, or NOWHERE */
};

recall_t *recall_new(size_t tracks, size_t pitches) {
    recall_t *recall = g_new0(recall_t, 1);
    recall->tracks = tracks;
    recall->stride = roll_stride(pitches);
    recall->played = g_array_new(FALSE, FALSE, sizeof(played_t));
    return recall;
}

void recall_free(recall_t *recall) {
    if (!recall) return;
    g_free(recall->first);
    g_array_unref(recall->played);
    g_free(recall);
}

void recall_begin(recall_t *recall, const uint8_t *frames, size_t T) {
    recall->frames = frames;
    recall->T = T;
    g_array_set_size(recall->played, 0);
    if (T <= recall->room) return;
    recall->room = T + T / 4;
    recall->first = g_renew(uint32_t, recall->first, recall->room * recall->tracks);
}

/* Whether the same keys are struck in a track of two frames. */
static gboolean alike(const recall_t *recall, size_t track, size_t a, size_t b) {
    const size_t row = ROLL_PLANES * recall->stride, frame = recall->tracks * row,
                 from = track * row + PLANE_ONSET * recall->stride;
    return memcmp(recall->frames + a * frame + from, recall->frames + b * frame + from, recall->stride) == 0;
}

/* How many frames before two of them, s before t, are alike: WIDEST at most. */
static size_t count_before(const recall_t *recall, size_t track, size_t s, size_t t) {
    size_t n = 0;
    while (n < WIDEST && n < s && alike(recall, track, s - n - 1, t - n - 1)) n++;
    return n == s ? WIDEST : n;
}

static size_t count_after(const recall_t *recall, size_t track, size_t s, size_t t) {
    size_t n = 0;
    while (n < WIDEST && t + n + 1 < recall->T && alike(recall, track, s + n + 1, t + n + 1)) n++;
    return t + n + 1 == recall->T ? WIDEST : n;
}

void recall_look(recall_t *recall, size_t track, size_t t) {
    size_t left = RECALL_WINDOWS;
    for (size_t i = 0; i < RECALL_WINDOWS; i++) recall->found[i] = NOWHERE;
    for (size_t back = 1; back <= MIN(t, RECALL_REACH) && left > 0; back++) {
        const size_t s = t - back;
        if (!alike(recall, track, s, t)) continue;
        const size_t before = count_before(recall, track, s, t), after = count_after(recall, track, s, t);
        for (size_t i = 0; i < RECALL_WINDOWS; i++) {
            if (recall->found[i] != NOWHERE || before < windows[i].before || after < windows[i].after)
                continue;
            recall->found[i] = recall->first[s * recall->tracks + track];
            left--;
        }
    }
}

const played_t *recall_at(const recall_t *recall, size_t window, size_t n) {
    const int64_t found = recall->found[window];
    return found == NOWHERE ? NULL : &g_array_index(recall->played, played_t, (guint)found + n);
}

void recall_take(recall_t *recall, size_t track, size_t t, played_t played) {
    const guint n = recall->played->len;
    if (n == 0 || track != recall->last_track || t != recall->last_t)
        recall->first[t * recall->tracks + track] = n;
    recall->last_track = track;
    recall->last_t = t;
    g_array_append_val(recall->played, played);
}
