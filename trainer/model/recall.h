/* recall: where the music of a track was the same before in its piece, and how it was played there. Players
 * play what comes back much as they did before, and sections of recordings are often copies. A frame is
 * compared by the keys that are struck in it, with those around it: RECALL_WINDOWS of unequal width, so that
 * the nearest place that is somewhat alike and a farther one that is much alike are both found. The notes are
 * given, so what comes after counts as well as what came before; what lies outside the piece is like
 * everything. Places further back than RECALL_REACH frames are forgotten. */
#pragma once

#include "preprocess/roll/played.h"

enum { RECALL_WINDOWS = 6, RECALL_REACH = 4096 };

typedef struct recall recall_t;

recall_t *recall_new(size_t tracks, size_t pitches);
void recall_free(recall_t *recall);
/* A piece begins, of T frames [T, tracks, planes, stride], which must outlive its recall: nothing has been
 * played. */
void recall_begin(recall_t *recall, const uint8_t *frames, size_t T);
/* The keys struck in a track of a frame begin: finds the places that are like it. */
void recall_look(recall_t *recall, size_t track, size_t t);
/* How the n-th of these keys, from the lowest, was played at the place found by a window; NULL: there is
 * none. Valid until the next recall_take(). */
const played_t *recall_at(const recall_t *recall, size_t window, size_t n);
/* The next onset of the roll, in this track and frame, was played so. */
void recall_take(recall_t *recall, size_t track, size_t t, played_t played);
