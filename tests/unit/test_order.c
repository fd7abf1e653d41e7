/* order: every sample once, groups that fit, a shuffle that keeps no trace of the corpus' order, and the same
 * order as ever where all is one group. */
#include <math.h>
#include <string.h>

#include "trainer/data/order.h"

enum { BLOCKS = 203, GROUPS = 8 };

/* Blocks of 1 to 9 slots of 50 to 149 bytes each; returns all their bytes. */
static size_t make_blocks(order_block_t *blocks, size_t n) {
    const rng_t rng = rng_make(11, RNG_DECODE, 0, 0);
    size_t bytes = 0;
    int64_t slots = 0;
    for (size_t i = 0; i < n; i++) {
        blocks[i] = (order_block_t){.first_song = i,
                                    .n_songs = 1,
                                    .first_slot = slots,
                                    .slots = 1 + (int64_t)rng_below(&rng, 2 * i, 9)};
        blocks[i].bytes = (size_t)blocks[i].slots * (50 + rng_below(&rng, 2 * i + 1, 100));
        slots += blocks[i].slots;
        bytes += blocks[i].bytes;
    }
    return bytes;
}

static order_t *make_order(const order_block_t *blocks, size_t bytes, uint64_t seed) {
    order_t *order = order_new(blocks, BLOCKS, (bytes + GROUPS - 1) / GROUPS, seed);
    g_assert_cmpuint(order_groups(order), ==, GROUPS);
    return order;
}

/* What runs have been trained in since the first version. */
static void test_one_group(void) {
    order_block_t blocks[BLOCKS];
    const size_t bytes = make_blocks(blocks, BLOCKS);
    g_autoptr(order_t) order = order_new(blocks, BLOCKS, bytes, 7);
    g_assert_cmpuint(order_groups(order), ==, 1);
    g_assert_cmpuint(order_group_bytes(order), ==, bytes);
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        const rng_t rng = rng_make(7, RNG_SHUFFLE, (uint64_t)epoch, 0);
        order_plan(order, epoch);
        for (int64_t i = 0; i < order_samples(order); i++)
            g_assert_cmpint(order_slot(order, i), ==,
                            (int64_t)rng_permute(&rng, (uint64_t)i, (uint64_t)order_samples(order)));
    }
}

static void check_group(const order_t *order, size_t group, gboolean *seen) {
    size_t n = 0, bytes = 0, of = 0;
    int64_t slots = 0;
    const uint32_t *blocks = order_group_blocks(order, group, &n);
    for (size_t i = 0; i < n; i++) {
        const order_block_t *block = order_block(order, blocks[i]);
        g_assert_cmpuint(order_block_offset(order, blocks[i], &of), ==, bytes);
        g_assert_cmpuint(of, ==, group);
        g_assert_true(i == 0 || blocks[i] > blocks[i - 1]);
        bytes += block->bytes;
        slots += block->slots;
    }
    g_assert_cmpuint(bytes, <=, order_group_bytes(order));
    g_assert_cmpint(order_group_start(order, group + 1) - order_group_start(order, group), ==, slots);
    for (int64_t i = order_group_start(order, group); i < order_group_start(order, group + 1); i++) {
        const int64_t slot = order_slot(order, i);
        g_assert_cmpuint(order_group_of(order, i), ==, group);
        g_assert_false(seen[slot]);
        seen[slot] = TRUE;
        size_t k = 0;
        while (k < n &&
               slot >= order_block(order, blocks[k])->first_slot + order_block(order, blocks[k])->slots)
            k++;
        g_assert_true(k < n && slot >= order_block(order, blocks[k])->first_slot);
    }
}

static void test_groups(void) {
    order_block_t blocks[BLOCKS];
    const size_t bytes = make_blocks(blocks, BLOCKS);
    g_autoptr(order_t) order = make_order(blocks, bytes, 7);
    g_autoptr(order_t) copy = order_copy(order);
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        g_autofree gboolean *seen = g_new0(gboolean, (size_t)order_samples(order));
        order_plan(order, epoch);
        for (size_t group = 0; group < GROUPS; group++) check_group(order, group, seen);
        for (int64_t i = 0; i < order_samples(order); i++) g_assert_true(seen[i]);
        order_plan(copy, epoch + 3); /* planned in any sequence */
        order_plan(copy, epoch);
        for (int64_t i = 0; i < order_samples(order); i++)
            g_assert_cmpint(order_slot(order, i), ==, order_slot(copy, i));
        for (size_t n = 1; n < 400; n += 13)
            for (int64_t i = 0; i + (int64_t)n <= order_samples(order); i++)
                g_assert_cmpuint(order_group_of(order, i + (int64_t)n - 1) - order_group_of(order, i), <,
                                 order_most_groups(order, n));
    }
    g_assert_cmpuint(order_most_groups(order, 2), ==, 2);
}

/* Correlation of x [n] with 0 .. n - 1. */
static double correlation_with_place(const int64_t *x, size_t n) {
    double mean = ((double)n - 1) / 2, xy = 0, xx = 0;
    for (size_t i = 0; i < n; i++) {
        xy += ((double)i - mean) * ((double)x[i] - mean);
        xx += ((double)i - mean) * ((double)i - mean);
    }
    return xy / xx;
}

/* Nothing of the corpus' order is left over epochs: not where a sample comes, not who is near to whom. */
static void test_shuffle(void) {
    enum { EPOCHS = 200 };
    order_block_t blocks[BLOCKS];
    const size_t bytes = make_blocks(blocks, BLOCKS);
    g_autoptr(order_t) order = make_order(blocks, bytes, 7);
    const size_t n = (size_t)order_samples(order);
    g_autofree int64_t *slots = g_new(int64_t, n), *before = g_new(int64_t, n);
    double worst = 0, mean = 0, together = 0, again = 0, repeated = 0;
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        order_plan(order, epoch);
        for (size_t i = 0; i < n; i++) {
            slots[i] = order_slot(order, (int64_t)i);
            repeated += epoch > 0 && slots[i] == before[i];
        }
        const double r = correlation_with_place(slots, n);
        worst = MAX(worst, fabs(r));
        mean += r / EPOCHS;
        for (size_t b = 0; b + 1 < BLOCKS; b++) {
            size_t group = 0, next = 0;
            order_block_offset(order, b, &group);
            order_block_offset(order, b + 1, &next);
            together += group == next;
            again += group == 0;
        }
        memcpy(before, slots, n * sizeof *slots);
    }
    g_assert_cmpfloat(worst, <, 0.3); /* of blocks in 8 groups: standard deviation about 0.07 */
    g_assert_cmpfloat(fabs(mean), <, 0.02);
    g_assert_cmpfloat(fabs(together / (EPOCHS * (BLOCKS - 1)) - 1.0 / GROUPS), <,
                      0.02); /* neighbours meet like any two */
    g_assert_cmpfloat(fabs(again / (EPOCHS * (BLOCKS - 1)) - 1.0 / GROUPS), <, 0.02);
    g_assert_cmpfloat(repeated, <, 3.0 * EPOCHS); /* of n: about one an epoch */
}

static void test_seed(void) {
    order_block_t blocks[BLOCKS];
    const size_t bytes = make_blocks(blocks, BLOCKS);
    g_autoptr(order_t) one = make_order(blocks, bytes, 7), other = make_order(blocks, bytes, 8);
    size_t same = 0;
    order_plan(one, 2);
    order_plan(other, 2);
    for (int64_t i = 0; i < order_samples(one); i++) same += order_slot(one, i) == order_slot(other, i);
    g_assert_cmpuint(same, <, 10);
}

/* One block larger than all others together: groups may be empty, and nothing is lost. */
static void test_large_block(void) {
    const order_block_t blocks[] = {{.slots = 3, .bytes = 10},
                                    {.first_slot = 3, .slots = 2, .bytes = 500},
                                    {.first_slot = 5, .slots = 4, .bytes = 10}};
    g_autoptr(order_t) order = order_new(blocks, G_N_ELEMENTS(blocks), 50, 7);
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        gboolean seen[9] = {FALSE};
        order_plan(order, epoch);
        for (size_t group = 0; group < order_groups(order); group++) check_group(order, group, seen);
        for (size_t i = 0; i < G_N_ELEMENTS(seen); i++) g_assert_true(seen[i]);
        g_assert_cmpuint(order_group_of(order, 8) - order_group_of(order, 0), <, order_most_groups(order, 9));
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/order/one group", test_one_group);
    g_test_add_func("/order/groups", test_groups);
    g_test_add_func("/order/shuffle", test_shuffle);
    g_test_add_func("/order/seed", test_seed);
    g_test_add_func("/order/large block", test_large_block);
    return g_test_run();
}
