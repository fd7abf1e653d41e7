/* performance_past: what a performer remembers of how a piece was played so far, and the numbers by which
 * a network sees that. Songs and tracks are louder or softer as a whole, and a recording may lie beside the
 * grid as a whole. So an onset is compared with its reference: the level of its track, a running mean of
 * velocities (of all so far, and 1/256 after that; PLAYED_VELOCITY before the first), and the lag of the
 * piece, a running mean of the offsets of all tracks (1/32), taken around the circle, as half a frame late
 * is half a frame early. What is seen of an onset is its distance from both, over 16.
 *
 * Features of an onset, PERFORMANCE_FEATURES of them: the distances of the track's last onset; their running
 * means over the track's onsets, a quick one (1/8) and a slow one (1/64); those of the last onset of this
 * frame in any track, and 1 if there is one; their running means over all tracks (1/16); those of the last
 * onset of the same key, and 1 if there is one; those of this onset at each place where the track's music was
 * the same before (trainer/model/recall.h), and 1 if there is one; the running means (1/32) of the sizes of
 * the track's distances, so that what is steady is known from what is not; the track's level, less 64, over
 * 32; 1 if the track had an onset before; log2 of the frames since, over 4; how many notes of the track and
 * frame lie above, and below, over 4; 1 if none lies above; and a 1 at the frame's number mod 16. What has
 * not been heard yet is 0. */
#pragma once

#include "preprocess/roll/played.h"
#include "trainer/model/real.h"
#include "trainer/model/recall.h"

enum { PERFORMANCE_PHASES = 16, PERFORMANCE_FEATURES = 22 + 3 * RECALL_WINDOWS + PERFORMANCE_PHASES };

/* An onset: its track and pitch, its frame, and how many onsets of the track lie above and below it there. */
typedef struct {
    size_t track, pitch, t, above, below;
} performance_place_t;

typedef struct performance_past performance_past_t;

performance_past_t *performance_past_new(size_t tracks, size_t pitches);
void performance_past_free(performance_past_t *past);
/* A piece begins, as for recall_begin(): nothing has been played. on_grid: its lag is 0 and stays so. */
void performance_past_begin(performance_past_t *past, const uint8_t *frames, size_t T, gboolean on_grid);
/* What an onset of a track is compared with. */
played_t performance_past_reference(const performance_past_t *past, size_t track);
/* The distance of an offset from another one around the circle, -128..127. */
int performance_past_turn(int offset, int from);
/* Writes the features of an onset; those of a track and frame are read from the lowest. */
void performance_past_read(performance_past_t *past, const performance_place_t *place,
                           real_t features[PERFORMANCE_FEATURES]);
/* The onset was played so. Onsets come in the order of a roll's. */
void performance_past_take(performance_past_t *past, const performance_place_t *place, played_t played);
