/* tonal: chroma and tonal centroids: how far apart two sets of sounding notes are in harmony. */
#pragma once

#include "preprocess/roll/roll.h"

enum { TONAL_CLASSES = 12, TONAL_DIMENSIONS = 6, TONAL_MAX_STRIDE = 16 };

/* Keys that sound in a frame on any of the tracks (bit k for track k), drums left out, as one plane; the rest
 * of keys is 0. */
void tonal_merge_tracks(const roll_t *roll, const grid_t *grid, guint tracks, size_t frame,
                        uint8_t keys[TONAL_MAX_STRIDE]);

/* Adds the keys of a plane [ceil(pitches / 8)] to chroma [12], 1 a key, by pitch class (0 = C). Returns how
 * many keys there are. */
size_t tonal_add_plane(const uint8_t *plane, const grid_t *grid, double chroma[TONAL_CLASSES]);

/* Pearson's correlation, -1 to 1, of chroma, from the pitch class `first` on, with a profile. 0 where either
 * is flat. */
double tonal_correlation(const double chroma[TONAL_CLASSES], int first, const double profile[TONAL_CLASSES]);

/* Tonal centroid of a chroma vector: the mean place of its notes on the circles of fifths (radius 1), minor
 * thirds (1) and major thirds (0.5). FALSE, centroid untouched, where chroma is all zero. Harte, Sandler &
 * Gasser 2006, "Detecting harmonic change in musical audio", equations 1 and 2. */
gboolean tonal_centroid(const double chroma[TONAL_CLASSES], double centroid[TONAL_DIMENSIONS]);

/* Euclidean distance of two centroids, 0 to 3. The same, equation 3. */
double tonal_distance(const double a[TONAL_DIMENSIONS], const double b[TONAL_DIMENSIONS]);
