/* chord_line: a line of chords as text, for comparison. */
#pragma once

#include "sampler/make/chords.h"

/* A line as "Am 0, F 1, 2": where each chord begins, and the length. Owner: caller. */
static inline char *line_text(const chords_t *chords) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < chords->places->len; i++) {
        const chord_place_t *place = &g_array_index(chords->places, chord_place_t, i);
        g_string_append_printf(text, "%s %g, ", place->chord.name, place->begins);
    }
    g_string_append_printf(text, "%g%s", chords->length, chords->in_bars ? " bars" : "");
    return g_string_free(text, FALSE);
}
