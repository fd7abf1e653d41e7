/* chords: a line of chords, as musicians give it, and what it asks for in each frame of a piece. The line
 * begins again at its end, as often as the piece needs.
 *
 * As text it is words with blanks between them, in one of three ways:
 *   Am F C G            a bar each
 *   Am | F G | C        bars: the chords of one share it equally; a bar line may also begin and end the line
 *   Am:2 F:2 C:4        each with its length in quarter notes, from 0.01 to 10000, in decimals
 * The words are symbols of chord.h. % stands for the bar before (alone in its bar), for the chord before
 * (beside others, or with a length), or for chord and length before (alone, where others have lengths).
 *
 * A text file has the same, one way throughout, on any number of lines; a new line is a new bar. From a # at
 * the beginning of a word on, the line is a comment. Repeats, endings and jumps are written out. */
#pragma once

#include "preprocess/roll/timeline.h"
#include "sampler/make/chord.h"

typedef struct {
    double begins;
    chord_t chord; /* until the next one begins; chord_t's CHORD_NONE: nothing is asked */
} chord_place_t;

/* Beginnings and length are bars of the piece's own meters, long or short, or else quarter notes. */
typedef struct {
    GArray *places; /* chord_place_t: ascending beginnings, the first 0; never empty once it was read */
    double length;  /* above the last beginning */
    gboolean in_bars;
} chords_t;

/* Reads text. label says in messages where it stood, such as "--chords". NULL with error set: usage,
 * OPTION_ERROR_USAGE. Owner: caller, chords_free(). */
chords_t *chords_from_text(const char *text, const char *label, GError **error);
/* Reads a text file, or MusicXML (musicxml.h) where the file's name ends in .xml or .musicxml or the file
 * begins with '<'. NULL with error set: file, line, cause, way out. Owner: caller. */
chords_t *chords_from_file(const char *path, GError **error);
void chords_free(chords_t *chords);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(chords_t, chords_free)

/* What stands in a frame of a piece with that timeline: its name is for titles and pictures. A chord that
 * begins between frames has the frame before, as bars do (meters.h). Owner: chords. */
const chord_t *chords_at(const chords_t *chords, const timeline_t *timeline, size_t frame);
/* Writes to classes [frames] the classes of the chord that stands in each frame, 0 where there is none. */
void chords_fill(const chords_t *chords, const timeline_t *timeline, size_t frames, uint16_t *classes);

/* For readers: a line of length 0 without chords (owner: caller), and a chord behind those that it has. */
chords_t *chords_new(void);
void chords_add(chords_t *chords, double begins, const chord_t *chord);
