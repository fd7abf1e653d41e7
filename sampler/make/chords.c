/* chords: owns where chords stand in a piece. Refuses nothing. */
#include "sampler/make/chords.h"

#include <math.h>

chords_t *chords_new(void) {
    chords_t *chords = g_new0(chords_t, 1);
    chords->places = g_array_new(FALSE, FALSE, sizeof(chord_place_t));
    return chords;
}

void chords_free(chords_t *chords) {
    if (!chords) return;
    g_array_unref(chords->places);
    g_free(chords);
}

void chords_add(chords_t *chords, double begins, const chord_t *chord) {
    const chord_place_t place = {.begins = begins, .chord = *chord};
    g_array_append_val(chords->places, place);
}

static const chord_place_t *place_at(const chords_t *chords, guint i) {
    return &g_array_index(chords->places, chord_place_t, i);
}

/* The end of a frame, but for rounding, in the unit of the line and from its beginning. */
static double end_in_line(const chords_t *chords, const timeline_t *timeline, size_t frame) {
    static const double rounding = 1e-6;
    const double end = (double)frame + 1;
    const double in_piece = chords->in_bars ? timeline_bar_at(timeline, end) : end / timeline->steps_per_beat;
    return fmod(fmax(in_piece - rounding, 0), chords->length);
}

const chord_t *chords_at(const chords_t *chords, const timeline_t *timeline, size_t frame) {
    const double end = end_in_line(chords, timeline, frame);
    guint found = 0, beyond = chords->places->len; /* the one begins before the end, the other does not */
    while (beyond - found > 1) {
        const guint middle = found + (beyond - found) / 2;
        if (place_at(chords, middle)->begins < end)
            found = middle;
        else
            beyond = middle;
    }
    return &place_at(chords, found)->chord;
}

void chords_fill(const chords_t *chords, const timeline_t *timeline, size_t frames, uint16_t *classes) {
    for (size_t t = 0; t < frames; t++) classes[t] = chords_at(chords, timeline, t)->classes;
}
