/* figures: what the figures of several evaluations are made of: active latent units, notes found. All sums
 * are doubles that ranks add up. Local. */
#pragma once

#include "preprocess/common/json.h"
#include "trainer/model/model.h"

/* A latent unit is active where its mean varies more than this over the segments (Burda et al. 2016). */
#define ACTIVE_UNITS_VARIANCE 0.01

/* Adds posterior means mu [n, Z] to moments [2, Z]: sums of the means, and of their squares. */
void active_units_add(double *moments, const real_t *mu, size_t n, size_t Z);
/* Active ones among the Z latent units, of the moments of n segments. */
int active_units(const double *moments, double n, size_t Z);

/* Cells of the sounding planes: found and there; found alone; there alone. */
typedef struct {
    double hits, false_alarms, misses;
} cells_t;

/* Compares two planes of a frame, ceil(pitches / 8) bytes; bits past the last pitch do not count. */
void cells_add(cells_t *cells, const uint8_t *truth, const uint8_t *found, size_t pitches);
/* In [0, 1]; 0 where nothing is found. */
double cells_precision(const cells_t *cells);
double cells_recall(const cells_t *cells);
double cells_f1(const cells_t *cells);
/* As JSON: prefix and "precision", "recall", "f1"; null where they are not known. */
void cells_tell(const cells_t *cells, const char *prefix, gboolean known, json_t *members);
