/* picture_distributions: pieces beside real songs, figure by figure: a row of two panels each, with the
 * densities of values and those of distances over each other (sampler/score/distribution.h). */
#pragma once

#include "sampler/score/distribution.h"
#include "sampler/show/picture.h"

/* n >= 1 figures by name. Those without a density in either panel are left out; a panel without one says so.
 * Otherwise as picture_roll(). */
GBytes *picture_distributions(const distribution_t *values, const distribution_t *distances,
                              char *const *names, size_t n, const char *title, picture_format_t format,
                              GError **error);
