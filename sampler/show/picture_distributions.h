/* picture_distributions: pieces beside real songs, figure by figure: a row of two panels each, with the
 * densities of values and those of distances over each other (sampler/score/distribution.h). Histograms have
 * distances alone. */
#pragma once

#include "sampler/score/distribution.h"
#include "sampler/show/picture.h"

typedef struct {
    const char *name, *group;                 /* "pitch_count", "pitch" */
    const distribution_t *values, *distances; /* values: NULL of a histogram */
} picture_row_t;

/* n >= 1 rows; the name of a group stands beside its first one. Rows without a density in either panel are
 * left out; a panel without one says so. Otherwise as picture_roll(). */
GBytes *picture_distributions(const picture_row_t *rows, size_t n, const char *title, picture_format_t format,
                              GError **error);
