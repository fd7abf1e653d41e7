/* distribution: how alike two sets of pieces are, real songs and others, in one number of each piece, or in
 * several that belong together, such as a histogram.
 *
 * Of n numbers x_1 .. x_n the density is estimated by Gaussian kernels of Scott's width,
 *
 *     f(x) = 1 / (n h sqrt(2 pi)) * sum over i of exp(-(x - x_i)^2 / (2 h^2)),  h = sd n^(-1/5),
 *
 * and two densities, f of real songs and g, are compared by the area that they share and by how far g is
 * from f:
 *
 *     overlap = integral of min(f(x), g(x))         1: the same; 0: apart
 *     KL(f || g) = integral of f(x) log(f(x) / g(x)), nats       0: the same
 *
 * This is done twice. Of the distances: f of those from each real song to each other real song, g of those
 * from each real song to each piece, Euclidean where there are several numbers, |x - y| of one. That is the
 * comparison of Yang & Lerch 2020, "On the evaluation of generative models in music", section 3: their
 * intra-set and inter-set distances. And of the numbers themselves, where a piece has one: do pieces have the
 * values that songs have? Pieces that are all alike in the middle of the songs have an overlap of distances,
 * but none to speak of in their values.
 *
 * Differences from the authors' mgeval: it integrates the overlap between the outermost distances only, so
 * that equal sets have less than 1; it takes the logarithm at different x for f and g; and it fails where
 * all numbers are alike. Here h is at least a hundredth of the range of both sets; g counts as no less
 * than 1e-10 of a uniform density, so KL ends at some 25; where all numbers of both sets are the same
 * one, overlap is 1 and KL 0. */
#pragma once

#include <glib.h>

/* Where densities are computed. */
enum { DISTRIBUTION_POINTS = 1024 };
/* Of larger sets so many pieces, evenly chosen, make the distances, which take 16 MB at most. */
enum { DISTRIBUTION_MOST = 1000 };

typedef struct {
    double overlap,
        kl;           /* NaN where one of both has fewer than two numbers, or, of distances, no three songs */
    double low, step; /* point i is low + i step; step 0: no densities */
    double real[DISTRIBUTION_POINTS], other[DISTRIBUTION_POINTS]; /* f, g */
} distribution_t;

/* Numbers of n pieces, `size` of each, those of the next `stride` further on. NaN, as the first of a piece,
 * counts as no number. */
typedef struct {
    const double *values;
    size_t n, stride, size;
} numbers_t;

/* Compares the numbers (of size 1), or their distances, to distribution. */
void distribution_of_values(numbers_t real, numbers_t other, distribution_t *distribution);
void distribution_of_distances(numbers_t real, numbers_t other, distribution_t *distribution);
