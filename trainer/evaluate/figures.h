/* figures: measures that several evaluations share: active latent units, notes found. Sums are doubles.
 * Local. */
#pragma once

#include "preprocess/common/json.h"
#include "trainer/model/model.h"

/* A latent unit is active if its posterior mean varies more than this over segments (Burda et al. 2016). */
#define ACTIVE_UNITS_VARIANCE 0.01

/* Adds posterior means mu [n, Z] to moments [2, Z]: sums of the means, and of their squares. */
void active_units_add(double *moments, const real_t *mu, size_t n, size_t Z);
/* Counts the active ones of Z latent units, from the moments of n segments. */
int active_units(const double *moments, double n, size_t Z);

/* Counts of cells in the sounding planes: found rightly, found wrongly, not found. */
typedef struct {
    double hits, false_alarms, misses;
} cells_t;

/* Compares two planes of a frame, ceil(pitches / 8) bytes each; bits past the last pitch are ignored. */
void cells_add(cells_t *cells, const uint8_t *truth, const uint8_t *found, size_t pitches);
/* In [0, 1]; 0 if there are no hits. */
double cells_precision(const cells_t *cells);
double cells_recall(const cells_t *cells);
double cells_f1(const cells_t *cells);
/* Adds JSON members "<prefix>precision", "<prefix>recall" and "<prefix>f1"; null if not known. */
void cells_tell(const cells_t *cells, const char *prefix, gboolean known, json_t *members);
