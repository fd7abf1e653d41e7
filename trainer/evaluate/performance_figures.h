/* performance_figures: how well a sequence model says how a split's pieces were played. Each onset of a piece
 * is predicted by the medians of the model, given how those before it were played, and compared with the
 * mean of its track in the piece; and the piece is played freely, for the overlapping area of the
 * distributions over the split (Yang & Lerch 2020). */
#pragma once

#include "preprocess/common/json.h"
#include "trainer/model/performance.h"
#include "trainer/model/performer.h"

enum { PERFORMANCE_BINS = 32 }; /* 4 velocities each, 1/32 of a frame each */

/* Sums over onsets, of pieces: all members are doubles, which add up. Errors are absolute, of offsets in
 * frames. */
typedef struct {
    double onsets, nll;
    double velocity_error, velocity_error_of_mean, offset_error, offset_error_of_mean;
    /* Counts; of offsets, of their distances from the piece's mean around the circle. */
    double velocities[PERFORMANCE_BINS], drawn_velocities[PERFORMANCE_BINS];
    double offsets[PERFORMANCE_BINS], drawn_offsets[PERFORMANCE_BINS];
} performance_figures_t;

/* The figures of a piece of T frames, bits [T, frame bytes], whose onsets, n of them, were played so. */
void performance_measure(performer_t *performer, const model_config_t *config, const uint8_t *bits, size_t T,
                         meters_t meters, const played_t *played, size_t n, uint64_t seed, uint64_t index,
                         performance_figures_t *figures);
/* The shared area of two distributions, given as counts [n], 0 to 1; 0 where one is empty. */
double performance_overlap(const double *a, const double *b, size_t n);
/* Tells the sums of a split, for machines and people. */
void performance_tell(const performance_figures_t *sum, json_t *members, GString *text);
