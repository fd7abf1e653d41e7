/* resample: weights of particles, as logarithms, and which of them go on (Doucet & Johansen 2009, "A tutorial
 * on particle filtering and smoothing"). Knows no model. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Log of the mean of the K >= 1 weights, -INFINITY where all are 0. *effective, unless NULL: the effective
 * sample size (sum w)^2 / sum w^2, from 1 to K; 0 where all are 0. */
double resample_log_mean(const double *log_w, size_t K, double *effective);
/* Systematic resampling (Carpenter et al. 1999): the parent of particle j, `first` + 0 .. K - 1, is where
 * (j + u) / K falls among the cumulative weights. log_mean: of the weights, finite; u in [0, 1). */
void resample_systematic(const double *log_w, size_t K, double log_mean, double u, uint32_t first,
                         uint32_t *parents);
/* One particle by its weight: where u in [0, 1) falls among the cumulative weights. */
uint32_t resample_one(const double *log_w, size_t K, double log_mean, double u);
