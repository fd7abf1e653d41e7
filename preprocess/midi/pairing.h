/* pairing: which note-off ends which note, track by track. The rules stand at the top of pairing.c. */
#pragma once

#include "preprocess/midi/midi.h"

typedef struct pairing pairing_t;

/* Appends notes (note_t) to the array, which must outlive it. Owner: caller. */
pairing_t *pairing_new(GArray *notes, int ticks_per_beat);
void pairing_free(pairing_t *pairing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pairing_t, pairing_free)

/* The events of one track, in order of time; the length of note is not read. */
void pairing_strike(pairing_t *pairing, note_t note);
void pairing_release(pairing_t *pairing, uint8_t channel, uint8_t pitch, int64_t tick);
void pairing_release_all(pairing_t *pairing, uint8_t channel, int64_t tick);

/* Ends the track: its notes get their lengths. The next one begins. */
void pairing_end_track(pairing_t *pairing, int64_t tick);
