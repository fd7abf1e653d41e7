/* cut: notes that hang and silences that mean nothing, cut to whole bars. */
#pragma once

#include "preprocess/midi/midi.h"

#define CUT_MAX_BARS 100000 /* the most that may be asked for */

/* How long a note and a silence may be, in bars; 0: as long as the file says. */
typedef struct {
    int max_note, max_silence;
} cut_t;

/* 64 and 16 bars: longer than those of the published sets of piano rolls (38 and 13.4). */
cut_t cut_default(void);

/* Ends each note after so many bars, by the meters in force while it sounds (bars >= 1), and sets cut [notes]
 * TRUE for those that were longer. */
void cut_notes(song_t *song, int bars, gboolean *cut);

/* Takes whole bars, from bar line to bar line, out of each silence of more than `bars` bars (>= 1): before
 * the first note, between notes, after the last. sounds [notes]: which notes count (NULL: all). More than
 * bars - 2 and at most `bars` bars stay, and what follows keeps its place in its bar. Tempi, meters and
 * pedals within a cut move to where it was; the last of each holds there. Returns how many bars were taken
 * out. */
int64_t cut_silences(song_t *song, int bars, const gboolean *sounds);
