/* played: how the onsets of a roll were played: how hard, and how far from the grid. Music that was typed has
 * an offset of 0 everywhere. */
#pragma once

#include "preprocess/midi/midi.h"

#define PLAYED_UNITS    256 /* of offsets, a frame */
#define PLAYED_VELOCITY 80  /* of notes of which nothing is known */

/* An onset. Those of a roll are in the order of its bits: by frame, track and pitch; transposed, a roll's
 * onsets keep that order. */
typedef struct {
    uint8_t velocity; /* 1..127 */
    int8_t offset;    /* of the note from its frame, in 1 / PLAYED_UNITS of a frame: negative is early */
} played_t;

/* How a note of the song was played, to the nearest unit of an offset. */
played_t played_of_note(const song_t *song, const note_t *note, int steps_per_beat);
/* A song of T frames [T, tracks, ROLL_PLANES, stride] and how all its onsets were played, of which a part
 * begins at frame `start`. */
typedef struct {
    const uint8_t *frames;
    size_t T, start;
    const played_t *played;
} played_song_t;

/* On the grid, with PLAYED_VELOCITY. */
static inline played_t played_typed(void) { return (played_t){PLAYED_VELOCITY, 0}; }

/* Plays the notes of roll_to_song(), which are the onsets of the roll in their order. amount: 0 leaves the
 * song as it is, 1 plays as played says, more exaggerates. A note stays within half a frame of its own, and
 * none begins before the song; it ends where it did, or earlier where its key is struck again: laid on the
 * grid, the song gives the same roll. */
void played_to_song(const played_t *played, double amount, int steps_per_beat, song_t *song);

/* Sums over onsets: they add up. */
typedef struct {
    double n, velocity, velocity_squares, offset, offset_squares; /* offsets in frames */
} played_sums_t;

void played_add(played_sums_t *sums, const played_t *played, size_t n);
/* Standard deviations; 0 where there is no onset. */
double played_velocity_sd(const played_sums_t *sums);
double played_offset_sd(const played_sums_t *sums);
