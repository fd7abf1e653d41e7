/* structure: does a piece repeat itself, and over which spans? The structureness indicators of Wu & Yang
 * 2020, "The Jazz Transformer on the front line": the largest fitness of any segment whose length lies in
 * a span.
 *
 * The piece is cut into units of two quarter notes, which at 120 bpm last a second: so the spans are the
 * authors' 3 to 8, 8 to 15 and from 15 seconds on, whatever the tempo. Unit n has the vector x_n of its
 * pitch classes, drums left out: how many frames each sounds in, a key on two tracks counted once, of
 * length 1; all twelve alike in silence. Self-similarity, as in Mueller 2015, "Fundamentals of music
 * processing", 4.2:
 *
 *     S(n, m) = largest over transpositions i of the mean over k < 8 of <x_(n+k), x_(m+k) up by i>, or over
 *               n - k and m - k, terms past the ends being 0
 *
 * The largest quarter of all S(n, m) is stretched to 0 .. 1, all others become -2, and S(n, n) = 1. A
 * segment's fitness says how well and how much of the piece its repetitions explain (Mueller, Jiang &
 * Grosche 2013, "A robust fitness measure for capturing repetitions in music recordings"). Of a segment of
 * M of the N units a path goes through S from its first unit to its last, by steps (1, 1), (2, 1) and (1,
 * 2); a family of paths has no unit of the piece in common. Of the family of the largest score, the sum of
 * S over its L cells, which covers so many units,
 *
 *     sigma = (score - M) / L,  gamma = (covered - M) / N,  fitness = 2 sigma gamma / (sigma + gamma)
 *
 * M is taken away because each segment repeats itself. 0: no repetition; k times the same: (k - 1) / k.
 * The authors read sound, at two units a second, and allow repetitions at other speeds; a roll has a beat,
 * and one speed. */
#pragma once

#include "preprocess/roll/roll.h"

enum { STRUCTURE_MOST = 512 }; /* units of a piece that count: its first 1024 quarter notes */

/* Short: 3 to 8 units, a bar and a half of 4/4 to four; mid: 8 to 15; long: from 15 on. */
typedef enum { STRUCTURE_SHORT, STRUCTURE_MID, STRUCTURE_LONG, STRUCTURE_SPANS } structure_span_t;

/* The indicators of a roll, 0 to 1. NaN of a span that is longer than the piece, up to its last sound. */
void structure_measure(const roll_t *roll, const grid_t *grid, double indicators[STRUCTURE_SPANS]);

/* S [N, N], N at most STRUCTURE_MOST; NULL where nothing sounds. Owner: caller. */
float *structure_similarity(const roll_t *roll, const grid_t *grid, size_t *N);
/* The fitness of the segment of M >= 1 units from `first` on, given S [N, N]. */
double structure_fitness(const float *S, size_t N, size_t first, size_t M);
