/* chord: what a chord symbol means in pitch classes, and whether notes sound like the chord asked for. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "sampler/score/tonal.h"

enum { CHORD_NONE = -1, CHORD_NAME_BYTES = 32 };

/* Sets of pitch classes are bits: bit 0 = C, bit 11 = B. */
typedef struct {
    int root, bass;              /* pitch classes, 0 = C; CHORD_NONE where there is no chord */
    uint16_t classes;            /* all notes, the bass among them; 0: no chord */
    uint16_t triad;              /* root, third (or what is there in its place) and fifth alone */
    char name[CHORD_NAME_BYTES]; /* the symbol as it was given, UTF-8 */
} chord_t;

/* Ends a message that refuses a symbol. */
#define CHORD_EXAMPLES "one such as C, Am, F#m7, Bbmaj7, Gsus4, D/F# or N.C. (no chord)"

/* Reads a chord symbol; # and b, or ♯ and ♭, are accidentals. In this order:
 *   root      a note's name: C, F#, Bb; a small letter means the same
 *   triad     nothing (major); m min mi - (minor); dim ° o; dim7 °7 o7; ø ø7; aug +; 5 (root and fifth alone)
 *   seventh   6 69 6/9; 7 9 11 13 (minor seventh); maj7 M7 Δ Δ7 maj9 M9 Δ9 maj11 maj13 M13 (major seventh);
 *             7alt; maj M (none)
 *   changes   any of sus sus2 sus4, add2 add4 add6 add7 add9 add11 add13, no3 no5 omit3 omit5,
 *             b5 #5 b6 #7 b9 #9 #11 b13
 *   bass      /G
 * The second to fourth may have brackets and commas around and between them: Fm(maj7), C7(b9,#11). A 13 has
 * no 11. "N.C." or "NC" is no chord. FALSE, chord untouched, where text is no symbol, or has CHORD_NAME_BYTES
 * bytes or more: callers say so with CHORD_EXAMPLES. */
gboolean chord_from_text(const char *text, chord_t *chord);

/* Whether notes that sound so long in each pitch class (durations [12], 0 = C, any unit) sound like the asked
 * chord: none of the 24 major and minor triads is more like them than the asked one. `asked` is a chord_t's
 * triad. Of a larger set each major or minor triad within it counts, so that Am7's classes are found in Am
 * and in C. A set without one, such as a sus4's, is compared as it is. FALSE where no pitch class stands out,
 * as in silence, or nothing is asked.
 *
 * Likeness is the correlation with a template of ones and zeros, after Fujishima 1999, "Realtime chord
 * recognition of musical sound: a system using Common Lisp Music" (ICMC). */
gboolean chord_found(const double durations[TONAL_CLASSES], uint16_t asked);
