/* Random numbers: Philox's published answers, the streams' independence, distributions with fixed seeds,
 * permutations. */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "trainer/model/rng.h"

/* Random123 1.14, kat_vectors, philox 4x32 10. */
static void test_known_answers(void) {
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        uint32_t out[4];
        rng_philox(known[i].counter, known[i].key, out);
        g_assert_cmpint(memcmp(out, known[i].out, sizeof out), ==, 0);
    }
}

/* Every coordinate changes the number, to the edges of its documented range. */
static void test_coordinates(void) {
    const rng_t streams[] = {
        rng_make(1, RNG_NOISE, 0, 0),
        rng_make(2, RNG_NOISE, 0, 0),
        rng_make(UINT64_C(1) << 63 | 1, RNG_NOISE, 0, 0),
        rng_make(1, RNG_SHUFFLE, 0, 0),
        rng_make(1, RNG_DECODE, 0, 0),
        rng_make(1, RNG_NOISE, 1, 0),
        rng_make(1, RNG_NOISE, UINT32_MAX, 0),
        rng_make(1, RNG_NOISE, 0, 1),
        rng_make(1, RNG_NOISE, 0, UINT64_C(1) << 16),
        rng_make(1, RNG_NOISE, 0, UINT64_C(1) << 39),
    };
    const uint64_t elements[] = {0, 1, 2, 3, UINT64_C(1) << 32, UINT64_C(1) << 33, (UINT64_C(1) << 41) - 1};
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_double_hash, g_double_equal, g_free, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(streams); i++)
        for (size_t j = 0; j < G_N_ELEMENTS(elements); j++) {
            double *value = g_new(double, 1);
            *value = rng_uniform(&streams[i], elements[j]);
            g_assert_cmpfloat(*value, ==, rng_uniform(&streams[i], elements[j]));
            g_assert_true(g_hash_table_add(seen, value));
        }
}

static void test_uniform(void) {
    enum { COUNT = 200000, BINS = 50 };
    const rng_t rng = rng_make(3, RNG_OFFSET, 1, 2);
    double sum = 0, chi = 0, serial = 0, last = 0.5;
    size_t bins[BINS] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        const double u = rng_uniform(&rng, i);
        g_assert_true(u >= 0 && u < 1);
        sum += u;
        serial += (u - 0.5) * (last - 0.5);
        last = u;
        bins[(size_t)(u * BINS)]++;
    }
    for (size_t i = 0; i < BINS; i++)
        chi += pow((double)bins[i] - (double)COUNT / BINS, 2) / ((double)COUNT / BINS);
    /* four standard deviations: 1 / sqrt(12 n), 1 / (12 sqrt(n)); chi squared with 49 degrees of freedom: 49
     * +- 4 sqrt(98) */
    g_assert_cmpfloat_with_epsilon(sum / COUNT, 0.5, 4 / sqrt(12.0 * COUNT));
    g_assert_cmpfloat_with_epsilon(serial / COUNT, 0, 4 / (12 * sqrt(COUNT)));
    g_assert_cmpfloat_with_epsilon(chi, BINS - 1, 4 * sqrt(2.0 * (BINS - 1)));
}

static void test_uniform_fill(void) {
    enum { COUNT = 4097 };
    real_t values[COUNT], prefix[COUNT];
    const rng_t rng = rng_make(4, RNG_INIT, 0, 7);
    rng_uniform_fill(&rng, values, COUNT, -0.1, 0.1);
    for (size_t i = 0; i < COUNT; i++) {
        g_assert_true(values[i] >= -0.1f && values[i] < 0.1f);
        g_assert_cmpfloat_with_epsilon(values[i], -0.1 + 0.2 * rng_uniform(&rng, i), 1e-8);
    }
    for (size_t n = 0; n < 6; n++) {
        memset(prefix, 0x55, sizeof prefix);
        rng_uniform_fill(&rng, prefix, n, -0.1, 0.1);
        g_assert_cmpint(memcmp(prefix, values, n * sizeof(real_t)), ==, 0);
        g_assert_cmpint(((const uint8_t *)prefix)[n * sizeof(real_t)], ==, 0x55);
    }
    /* an interval without a float inside: never its upper end */
    rng_uniform_fill(&rng, values, COUNT, 1, (double)nextafterf(1, 2));
    for (size_t i = 0; i < COUNT; i++) g_assert_cmpfloat(values[i], ==, 1);
}

static void test_below(void) {
    const rng_t rng = rng_make(5, RNG_OFFSET, 0, 0);
    enum { COUNT = 60000 };
    size_t bins[6] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        const uint64_t value = rng_below(&rng, i, 6);
        g_assert_cmpuint(value, <, 6);
        bins[value]++;
    }
    for (size_t i = 0; i < 6; i++)
        g_assert_cmpfloat_with_epsilon((double)bins[i] / COUNT, 1.0 / 6, 4 * sqrt(5.0 / 36 / COUNT));
    for (size_t i = 0; i < 100; i++) g_assert_cmpuint(rng_below(&rng, i, 1), ==, 0);
    /* n = 3/4 2^64: a quarter of the words is drawn again; without that the multiples of 3 would come twice
     */
    size_t thirds[3] = {0};
    const uint64_t n = UINT64_C(3) << 62;
    for (size_t i = 0; i < COUNT; i++) {
        const uint64_t value = rng_below(&rng, i, n);
        g_assert_cmpuint(value, <, n);
        thirds[value % 3]++;
    }
    for (size_t i = 0; i < 3; i++)
        g_assert_cmpfloat_with_epsilon((double)thirds[i] / COUNT, 1.0 / 3, 4 * sqrt(2.0 / 9 / COUNT));
}

static void test_normal(void) {
    enum { COUNT = 200001 };
    g_autofree real_t *values = g_new(real_t, COUNT), *prefix = g_new(real_t, COUNT);
    const rng_t rng = rng_make(6, RNG_NOISE, 9, 1);
    rng_normal(&rng, values, COUNT);
    double moment[5] = {0}, pairs = 0;
    size_t beyond_two = 0;
    for (size_t i = 0; i < COUNT; i++) {
        g_assert_true(isfinite(values[i]));
        for (int k = 1; k <= 4; k++) moment[k] += pow(values[i], k) / COUNT;
        if (i) pairs += (double)values[i] * values[i - 1] / COUNT;
        beyond_two += fabs((double)values[i]) > 2;
    }
    const double root = sqrt(COUNT); /* variances of x, x^2, x^3, x^4: 1, 2, 15, 96 */
    g_assert_cmpfloat_with_epsilon(moment[1], 0, 4 / root);
    g_assert_cmpfloat_with_epsilon(moment[2], 1, 4 * sqrt(2) / root);
    g_assert_cmpfloat_with_epsilon(moment[3], 0, 4 * sqrt(15) / root);
    g_assert_cmpfloat_with_epsilon(moment[4], 3, 4 * sqrt(96) / root);
    g_assert_cmpfloat_with_epsilon(pairs, 0, 4 / root);
    g_assert_cmpfloat_with_epsilon((double)beyond_two / COUNT, erfc(sqrt(2)),
                                   4 * sqrt(0.0455 * 0.9545) / root);
    for (size_t n = 0; n < 8; n++) {
        memset(prefix, 0x55, 16 * sizeof(real_t));
        rng_normal(&rng, prefix, n);
        g_assert_cmpint(memcmp(prefix, values, n * sizeof(real_t)), ==, 0);
        g_assert_cmpint(((const uint8_t *)prefix)[n * sizeof(real_t)], ==, 0x55);
    }
}

static void test_permute_bijective(void) {
    static const uint64_t sizes[] = {1,  2,  3,   4,   5,   7,   8,    15,   16,   17,   31,   63,
                                     64, 65, 100, 255, 256, 257, 1000, 1023, 1024, 1025, 4097, 65537};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const uint64_t n = sizes[i];
        const rng_t rng = rng_make(7, RNG_SHUFFLE, i, 0);
        g_autofree uint8_t *seen = g_malloc0(n);
        for (uint64_t index = 0; index < n; index++) {
            const uint64_t to = rng_permute(&rng, index, n);
            g_assert_cmpuint(to, <, n);
            g_assert_cmpint(seen[to]++, ==, 0);
        }
    }
    /* far sizes: no listing, but within range and unequal */
    const rng_t rng = rng_make(7, RNG_SHUFFLE, 0, 0);
    const uint64_t far = (UINT64_C(1) << 40) + 12345;
    for (uint64_t index = 0; index < 100; index++) {
        g_assert_cmpuint(rng_permute(&rng, index, far), <, far);
        g_assert_cmpuint(rng_permute(&rng, index, far), !=, rng_permute(&rng, index + 1, far));
    }
}

/* Over epochs each index goes everywhere equally often, also for the smallest sizes, where the network has
 * few bits. */
static void test_permute_uniform(void) {
    static const uint64_t sizes[] = {2, 3, 5, 12, 16};
    enum { EPOCHS = 8000 };
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const uint64_t n = sizes[i];
        g_autofree size_t *count = g_new0(size_t, n * n);
        double chi = 0;
        for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
            const rng_t rng = rng_make(8, RNG_SHUFFLE, epoch, 0);
            for (uint64_t index = 0; index < n; index++) count[index * n + rng_permute(&rng, index, n)]++;
        }
        const double expected = (double)EPOCHS / (double)n, freedom = (double)((n - 1) * (n - 1));
        for (uint64_t k = 0; k < n * n; k++) chi += pow((double)count[k] - expected, 2) / expected;
        /* chi / (1 - 1 / n) has (n - 1)^2 degrees of freedom */
        g_assert_cmpfloat(chi * (1 - 1 / (double)n), <, freedom + 5 * sqrt(2 * freedom));
    }
}

/* A window's neighbours in the corpus are no neighbours in an epoch, and another epoch has another order. */
static void test_permute_mixes(void) {
    enum { N = 5000 };
    const rng_t one = rng_make(9, RNG_SHUFFLE, 0, 0), two = rng_make(9, RNG_SHUFFLE, 1, 0);
    double products = 0;
    size_t fixed = 0, same = 0;
    for (uint64_t i = 0; i + 1 < N; i++) {
        const double a = (double)rng_permute(&one, i, N) / N - 0.5,
                     b = (double)rng_permute(&one, i + 1, N) / N - 0.5;
        products += a * b;
        fixed += rng_permute(&one, i, N) == i;
        same += rng_permute(&one, i, N) == rng_permute(&two, i, N);
    }
    g_assert_cmpfloat_with_epsilon(products / N, 0, 4 / (12 * sqrt(N)));
    g_assert_cmpuint(fixed, <, 8); /* Poisson, mean 1 */
    g_assert_cmpuint(same, <, 8);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rng/known-answers", test_known_answers);
    g_test_add_func("/rng/coordinates", test_coordinates);
    g_test_add_func("/rng/uniform", test_uniform);
    g_test_add_func("/rng/uniform-fill", test_uniform_fill);
    g_test_add_func("/rng/below", test_below);
    g_test_add_func("/rng/normal", test_normal);
    g_test_add_func("/rng/permute-bijective", test_permute_bijective);
    g_test_add_func("/rng/permute-uniform", test_permute_uniform);
    g_test_add_func("/rng/permute-mixes", test_permute_mixes);
    return g_test_run();
}
