/* active_units: which latent units carry anything. */
#ifndef MPIANIST_TRAINER_EVALUATE_ACTIVE_UNITS_H
#define MPIANIST_TRAINER_EVALUATE_ACTIVE_UNITS_H

#include <stddef.h>

/* A latent unit is active where its mean varies more than this over the set (Burda et al. 2016). */
#define ACTIVE_UNITS_VARIANCE 0.01

/* Latent units whose mean varies over n segments. moments [2, Z]: sums of the means, and of their squares. */
int active_units(const double *moments, double n, size_t Z);

#endif
