/* key: the key of a piece, and a piece in another key. Drums have no pitch and stay as they are. */
#pragma once

#include "preprocess/roll/roll.h"

typedef struct {
    int tonic; /* pitch class, 0 = C */
    gboolean minor;
} musical_key_t;

/* Reads the name of a note, "C", "F#", "eb", "B♭", and moves *text behind it. FALSE, both untouched, where
 * text does not begin with one. */
gboolean key_read_note(const char **text, int *pitch_class);

/* Reads "C", "Am", "F#m", "Bb", "eb minor". FALSE where text is no key. */
gboolean key_from_text(const char *text, musical_key_t *key);
/* In its usual spelling: "Eb", "G#m". Static text. */
const char *key_to_text(musical_key_t key);

/* The key whose profile of a listener's ratings correlates best with how long each pitch class sounds
 * (Krumhansl & Kessler 1982; Krumhansl 1990, "Cognitive foundations of musical pitch", chapter 4). FALSE, key
 * untouched, where all pitch classes sound alike, as in silence. */
gboolean key_estimate(const roll_t *roll, const grid_t *grid, musical_key_t *key);

/* Semitones, -6 to 5, from one key to another; where one is major and the other minor, to the other's
 * relative key: C major is as good as A minor. */
int key_interval(musical_key_t from, musical_key_t to);

/* Transposes a canonical roll in place by that interval, or an octave lower or higher where fewer notes then
 * leave the grid's pitches; returns the semitones taken. Notes that still leave them (*folded: how many) move
 * in by octaves, and become one with others that they meet. */
int key_transpose(roll_t *roll, const grid_t *grid, int interval, size_t *folded);
