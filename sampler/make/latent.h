/* latent: points and paths in the model's latent space, and their text form. Knows no model and no files; z
 * are vectors of Z numbers. */
#pragma once

#include <glib.h>

#include "trainer/model/rng.h"

/* z [Z] ~ N(0, temperature^2), number `index` of seed: depends on (seed, index) alone. */
void latent_prior(uint64_t seed, uint64_t index, double temperature, real_t *z, size_t Z);

/* z [Z] at t in [0, 1] from a to b along the sphere (Shoemake 1985, "Animating rotation with quaternion
 * curves"): the direction turns at constant speed in the plane of a and b, the length goes linearly. t = 0
 * gives a and t = 1 gives b, bit by bit. Where the plane is not defined: a line between parallel or zero
 * vectors; between antipodal ones a half turn through a fixed direction at right angles. z may not overlap a
 * or b. */
void latent_slerp(const real_t *a, const real_t *b, double t, real_t *z, size_t Z);

/* Path `index` of seed: z [n, Z], a stationary first-order autoregression (an Ornstein-Uhlenbeck process at
 * equal steps), so that every point is N(0, temperature^2) as the prior is, and neighbours correlate by
 * `correlation` in [0, 1]. A longer path begins with the shorter one. */
void latent_path(uint64_t seed, uint64_t index, double temperature, double correlation, real_t *z, size_t n,
                 size_t Z);

/* Writes "0.25,-1.5,...": nine digits each, which is exact for float. Owner: caller. */
char *latent_to_text(const real_t *z, size_t Z);
/* The inverse. FALSE with OPTION_ERROR_USAGE set where text is not exactly Z finite numbers, separated by
 * commas or blanks. */
gboolean latent_from_text(const char *text, real_t *z, size_t Z, GError **error);
