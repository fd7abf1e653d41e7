/* Checksums of replicas, and who is named where they differ. */
#include <math.h>
#include <string.h>

#include "tests/bench/processor.h"
#include "trainer/run/replicas.h"

enum { N = 37 }; /* no multiple of anything */
enum { SEED_MODEL = 4600000, TIMES = 41 };

static uint64_t sum_of(const real_t *values, gboolean wanted_finite) {
    gboolean finite;
    const uint64_t sum = replicas_sum(values, N, &finite);
    g_assert_cmpint(finite, ==, wanted_finite);
    return sum;
}

static void fill(real_t *values) {
    for (int i = 0; i < N; i++) values[i] = sinf((float)i);
}

static void test_any_bit(void) {
    real_t values[N];
    fill(values);
    const uint64_t good = sum_of(values, TRUE);
    for (size_t bit = 0; bit < 8 * sizeof values; bit++) {
        gboolean finite;
        uint8_t *byte = (uint8_t *)values + bit / 8;
        *byte ^= (uint8_t)(1 << bit % 8);
        g_assert_cmpuint(replicas_sum(values, N, &finite), !=, good);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    g_assert_cmpuint(sum_of(values, TRUE), ==, good);
}

static void test_order(void) {
    real_t values[N];
    fill(values);
    const uint64_t good = sum_of(values, TRUE);
    for (int i = 1; i < N; i++) {
        const real_t first = values[0];
        values[0] = values[i];
        values[i] = first;
        g_assert_cmpuint(sum_of(values, TRUE), !=, good);
        fill(values);
    }
}

static void test_not_finite(void) {
    static const real_t broken[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        real_t values[N];
        fill(values);
        values[N - 1 - i] = broken[i];
        sum_of(values, FALSE);
    }
}

/* Checksums as digits, '.' for ranks without a replica; wanted: who is wrong, such as "1,3". */
static void assert_wrong(const char *sums, const char *wanted) {
    uint64_t values[16];
    gboolean wrong[16];
    const size_t n = strlen(sums);
    g_autoptr(GString) names = g_string_new(NULL);
    for (size_t i = 0; i < n; i++) values[i] = sums[i] == '.' ? 0 : (uint64_t)(sums[i] - '0');
    const size_t found = replicas_find_wrong(values, n, wrong);
    size_t counted = 0;
    for (size_t i = 0; i < n; i++) {
        if (wrong[i]) g_string_append_printf(names, "%s%zu", counted++ ? "," : "", i);
    }
    g_assert_cmpstr(names->str, ==, wanted);
    g_assert_cmpuint(found, ==, counted);
}

static void test_majority(void) {
    assert_wrong("1", "");
    assert_wrong("11", "");
    assert_wrong("5555.5..", "");
    assert_wrong("112", "2");
    assert_wrong("1121", "2");
    assert_wrong("2.1.1.", "0");
    assert_wrong("11213", "2,4");
    assert_wrong("12", "0,1");
    assert_wrong("1..2", "0,3");
    assert_wrong("1122", "0,1,2,3");
    assert_wrong("123", "0,1,2");
}

/* With -m perf: milliseconds of processor for as many weights as the preset `seed` has, at best. */
static void time_sum(void) {
    g_autofree real_t *values = g_new0(real_t, SEED_MODEL);
    double best = INFINITY;
    gboolean finite;
    for (int i = 0; i < TIMES; i++) {
        const double start = processor_us();
        values[i] = (real_t)(replicas_sum(values, SEED_MODEL, &finite) % 2);
        best = fmin(best, (processor_us() - start) / 1e3);
    }
    g_test_minimized_result(best, "replicas_sum() of %d weights: %.2f ms", SEED_MODEL, best);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/replicas/any_bit", test_any_bit);
    g_test_add_func("/replicas/order", test_order);
    g_test_add_func("/replicas/not_finite", test_not_finite);
    g_test_add_func("/replicas/majority", test_majority);
    if (g_test_perf()) g_test_add_func("/replicas/time", time_sum);
    return g_test_run();
}
