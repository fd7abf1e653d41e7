/* distribution: owns densities and what is said of two of them. Refuses nothing: what is undefined is NaN.
 *
 * Numbers are first shared out to the two points beside each (linear binning; Silverman 1982, "Algorithm AS
 * 176"), so that a density costs as much for a million distances as for ten. */
#include "sampler/score/distribution.h"

#include <math.h>
#include <string.h>

#include "sampler/score/score.h"

static const double REACH = 4;        /* bandwidths that the points go on past the outermost numbers */
static const double FAR = 8;          /* bandwidths beyond which a kernel is nothing */
static const double NARROWEST = 0.01; /* least bandwidth, of the range */
static const double FAINTEST = 1e-10; /* least density that is divided by, of a uniform one */

/* Adds up weights [DISTRIBUTION_POINTS] of numbers at the points. */
static void share_out(const double *values, size_t n, double low, double step, double *weights) {
    memset(weights, 0, DISTRIBUTION_POINTS * sizeof *weights);
    for (size_t i = 0; i < n; i++) {
        const double place = (values[i] - low) / step;
        const size_t point = MIN((size_t)place, DISTRIBUTION_POINTS - 2);
        weights[point] += 1 - (place - (double)point);
        weights[point + 1] += place - (double)point;
    }
}

static void estimate(const double *values, size_t n, double h, const distribution_t *d, double *density) {
    double weights[DISTRIBUTION_POINTS], kernel[DISTRIBUTION_POINTS];
    const size_t reach = MIN((size_t)(FAR * h / d->step), DISTRIBUTION_POINTS - 1);
    share_out(values, n, d->low, d->step, weights);
    for (size_t i = 0; i <= reach; i++) {
        const double x = (double)i * d->step / h;
        kernel[i] = exp(-x * x / 2) / ((double)n * h * sqrt(2 * G_PI));
    }
    memset(density, 0, DISTRIBUTION_POINTS * sizeof *density);
    for (size_t i = 0; i < DISTRIBUTION_POINTS; i++) {
        if (weights[i] <= 0) continue;
        const size_t end = MIN(i + reach, DISTRIBUTION_POINTS - 1);
        for (size_t j = i > reach ? i - reach : 0; j <= end; j++)
            density[j] += weights[i] * kernel[j > i ? j - i : i - j];
    }
}

/* Scott 1992, "Multivariate density estimation", section 6.5. */
static double bandwidth(const double *values, size_t n, double range) {
    return fmax(score_summarise(values, n, 1).sd * pow((double)n, -0.2), NARROWEST * range);
}

static void compare(const double *real, size_t n_real, const double *other, size_t n_other,
                    distribution_t *d) {
    double low = INFINITY, high = -INFINITY;
    *d = (distribution_t){.overlap = NAN, .kl = NAN};
    if (n_real < 2 || n_other < 2) return;
    for (size_t i = 0; i < n_real; i++) low = fmin(low, real[i]), high = fmax(high, real[i]);
    for (size_t i = 0; i < n_other; i++) low = fmin(low, other[i]), high = fmax(high, other[i]);
    if (high - low <= 1e-12 * fabs(high)) {
        d->overlap = 1;
        d->kl = 0;
        return;
    }
    const double h_real = bandwidth(real, n_real, high - low),
                 h_other = bandwidth(other, n_other, high - low), margin = REACH * fmax(h_real, h_other),
                 length = high - low + 2 * margin;
    d->low = low - margin;
    d->step = length / (DISTRIBUTION_POINTS - 1);
    estimate(real, n_real, h_real, d, d->real);
    estimate(other, n_other, h_other, d, d->other);
    d->overlap = d->kl = 0;
    for (size_t i = 0; i < DISTRIBUTION_POINTS; i++) {
        const double f = d->real[i], g = fmax(d->other[i], FAINTEST / length);
        d->overlap += d->step * fmin(f, d->other[i]);
        if (f > 0) d->kl += d->step * f * log(f / g);
    }
}

/* The pieces that have numbers, at most `most`, evenly chosen: to the numbers of each. Owner: caller. */
static const double **gather(numbers_t numbers, size_t most, size_t *n) {
    const double **of = g_new(const double *, numbers.n + 1);
    size_t found = 0;
    for (size_t i = 0; i < numbers.n; i++) {
        const double *values = numbers.values + i * numbers.stride;
        if (!isnan(values[0])) of[found++] = values;
    }
    *n = MIN(found, most);
    for (size_t i = 0; i < *n; i++) of[i] = of[i * found / *n];
    return of;
}

/* Owner: caller. */
static double *gather_values(numbers_t numbers, size_t *n) {
    g_autofree const double **of = gather(numbers, SIZE_MAX, n);
    double *values = g_new(double, *n + 1);
    for (size_t i = 0; i < *n; i++) values[i] = *of[i];
    return values;
}

void distribution_of_values(numbers_t real, numbers_t other, distribution_t *distribution) {
    size_t n_real, n_other;
    g_autofree double *of_real = gather_values(real, &n_real), *of_other = gather_values(other, &n_other);
    compare(of_real, n_real, of_other, n_other, distribution);
}

static double distance(const double *x, const double *y, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

void distribution_of_distances(numbers_t real, numbers_t other, distribution_t *distribution) {
    size_t n_real, n_other, within = 0, between = 0;
    g_autofree const double **of_real = gather(real, DISTRIBUTION_MOST, &n_real),
                            **of_other = gather(other, DISTRIBUTION_MOST, &n_other);
    if (n_real < 3) n_real = 0; /* two songs have one distance */
    g_autofree double *intra = g_new(double, n_real *n_real + 1), *inter = g_new(double, n_real *n_other + 1);
    for (size_t i = 0; i < n_real; i++) {
        for (size_t j = 0; j < n_real; j++)
            if (j != i) intra[within++] = distance(of_real[i], of_real[j], real.size);
        for (size_t j = 0; j < n_other; j++) inter[between++] = distance(of_real[i], of_other[j], real.size);
    }
    compare(intra, within, inter, between, distribution);
}
