/* Densities of a few numbers against values worked out by hand, what is said of two of them, and sets that
 * have no density. */
#include "sampler/score/distribution.h"

#include <math.h>

static void assert_near(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) < tolerance)) g_error("%.12g is not %.12g", value, expected);
}

static numbers_t numbers(const double *values, size_t n) { return (numbers_t){values, n, 1, 1}; }

/* Share of a normal distribution that is above x. */
static double above(double x) { return erfc(x / sqrt(2)) / 2; }

static double density_near(const distribution_t *d, const double *density, double x) {
    return density[(size_t)round((x - d->low) / d->step)];
}

/* Of two numbers, 2 apart, h = sqrt(2) / 2^(1/5) = 1.231: the density is 0 from -4 h - 1 on, and between them
 * exp(-1 / 2 h^2) / (h sqrt(2 pi)) = 0.233. */
static void test_density(void) {
    const double real[] = {-1, 1}, h = sqrt(2) * pow(2, -0.2);
    distribution_t d;
    distribution_of_values(numbers(real, 2), numbers(real, 2), &d);
    assert_near(d.low, -1 - 4 * h, 1e-12);
    assert_near(d.low + (DISTRIBUTION_POINTS - 1) * d.step, 1 + 4 * h, 1e-9);
    assert_near(density_near(&d, d.real, 0), exp(-1 / (2 * h * h)) / (h * sqrt(2 * G_PI)), 1e-4);
    assert_near(density_near(&d, d.real, 1 + 4 * h), exp(-8.0) / (2 * h * sqrt(2 * G_PI)), 1e-5);
    assert_near(d.overlap, 1, 1e-4);
    assert_near(d.kl, 0, 1e-9);
}

/* Moved by s, the two densities, which have one peak each, cross half way: overlap = 2 * what lies above s
 * / 2. KL by the sum over many x of f log(f / g), without bins. */
static void test_moved(void) {
    const double real[] = {-1, 1}, h = sqrt(2) * pow(2, -0.2);
    for (double s = 0.5; s < 4; s += 1.5) {
        const double moved[] = {s - 1, s + 1};
        double kl = 0;
        distribution_t d;
        distribution_of_values(numbers(real, 2), numbers(moved, 2), &d);
        assert_near(d.overlap, above((s / 2 - 1) / h) + above((s / 2 + 1) / h), 2e-4);
        for (double x = -8; x < 10; x += 1e-3) {
            const double f = (exp(-(x - 1) * (x - 1) / (2 * h * h)) + exp(-(x + 1) * (x + 1) / (2 * h * h))),
                         y = x - s,
                         g = (exp(-(y - 1) * (y - 1) / (2 * h * h)) + exp(-(y + 1) * (y + 1) / (2 * h * h)));
            kl += 1e-3 * f / (2 * h * sqrt(2 * G_PI)) * log(f / g);
        }
        assert_near(d.kl, kl, 2e-3);
    }
}

/* Far apart nothing is shared, and KL ends where g is taken for 1e-10 of a uniform density. */
static void test_apart(void) {
    const double real[] = {0, 1, 2}, other[] = {1000, 1001, 1002};
    distribution_t d;
    distribution_of_values(numbers(real, 3), numbers(other, 3), &d);
    assert_near(d.overlap, 0, 1e-9);
    g_assert_true(d.kl > 15 && d.kl < 30);
}

/* Songs at 0, 1, 3: distances 1, 2, 3, each from either end. A piece at 1: distances 1, 0, 2. */
static void test_distances(void) {
    const double real[] = {0, NAN, 1, 3}, piece[] = {1}, within[] = {1, 2, 3, 1, 2, 3}, between[] = {1, 0, 2};
    distribution_t d, expected;
    distribution_of_distances(numbers(real, 4), numbers(piece, 1), &d);
    distribution_of_values(numbers(within, 6), numbers(between, 3), &expected);
    assert_near(d.overlap, expected.overlap, 1e-12);
    assert_near(d.kl, expected.kl, 1e-12);
    /* All pieces alike in the middle of the songs: near in distances, far in values. */
    const double songs[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, same[] = {4.9, 5, 5.1};
    distribution_t values;
    distribution_of_distances(numbers(songs, 9), numbers(same, 3), &d);
    distribution_of_values(numbers(songs, 9), numbers(same, 3), &values);
    g_assert_cmpfloat(d.overlap, >, 0.6);
    g_assert_cmpfloat(values.overlap, <, 0.3);
}

/* Songs at (0, 0), (3, 4), (0, 8), a piece at (3, 0), one that is nowhere. */
static void test_several(void) {
    const double songs[] = {0, 0, 9, 3, 4, 9, 0, 8, 9}, pieces[] = {3, 0, 9, NAN, NAN, 9},
                 within[] = {5, 8, 5, 5, 8, 5}, between[] = {3, 4, sqrt(9 + 64)};
    distribution_t d, expected;
    distribution_of_distances((numbers_t){songs, 3, 3, 2}, (numbers_t){pieces, 2, 3, 2}, &d);
    distribution_of_values(numbers(within, 6), numbers(between, 3), &expected);
    assert_near(d.overlap, expected.overlap, 1e-12);
    assert_near(d.kl, expected.kl, 1e-12);
    g_assert_true(d.overlap > 0.1 && d.overlap < 0.9);
    distribution_of_distances((numbers_t){songs, 2, 3, 2}, (numbers_t){songs, 3, 3, 2}, &d);
    g_assert_true(isnan(d.overlap) && d.step == 0); /* two songs have one distance */
}

static void test_stride(void) {
    const double table[] = {1, 50, 2, 60, 4, 70}, real[] = {1, 2, 4}, other[] = {50, 60, 70};
    distribution_t d, expected;
    distribution_of_values((numbers_t){table, 3, 2, 1}, (numbers_t){table + 1, 3, 2, 1}, &d);
    distribution_of_values(numbers(real, 3), numbers(other, 3), &expected);
    assert_near(d.kl, expected.kl, 1e-12);
}

static void test_none(void) {
    const double real[] = {1, NAN, 1}, one[] = {2, NAN}, same[] = {1, 1, 1};
    distribution_t d;
    distribution_of_values(numbers(real, 3), numbers(one, 2), &d);
    g_assert_true(isnan(d.overlap) && isnan(d.kl) && d.step == 0);
    distribution_of_values(numbers(real, 3), numbers(one, 0), &d);
    g_assert_true(isnan(d.overlap));
    distribution_of_values(numbers(real, 3), numbers(same, 3), &d); /* the one number is the same */
    assert_near(d.overlap, 1, 1e-12);
    assert_near(d.kl, 0, 1e-12);
    const double other[] = {2, 2, 2}; /* or another one */
    distribution_of_values(numbers(real, 3), numbers(other, 3), &d);
    assert_near(d.overlap, 0, 1e-9);
}

/* Of more songs than are compared, some of all parts. */
static void test_many(void) {
    enum { N = 3 * DISTRIBUTION_MOST / 2 };
    double songs[N];
    for (size_t i = 0; i < N; i++) songs[i] = (double)i / N;
    distribution_t d;
    distribution_of_distances(numbers(songs, N), numbers(songs, N), &d);
    assert_near(d.overlap, 1, 0.01);
    /* Two points at random in 0 .. 1 are x apart with density 2 (1 - x). */
    assert_near(density_near(&d, d.real, 0.5), 1, 0.02);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/distribution/density", test_density);
    g_test_add_func("/distribution/moved", test_moved);
    g_test_add_func("/distribution/apart", test_apart);
    g_test_add_func("/distribution/distances", test_distances);
    g_test_add_func("/distribution/several", test_several);
    g_test_add_func("/distribution/stride", test_stride);
    g_test_add_func("/distribution/none", test_none);
    g_test_add_func("/distribution/many", test_many);
    return g_test_run();
}
