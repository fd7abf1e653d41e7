/* batch_order: every sequence once an epoch, similar lengths together, no order that length or number gives
 * away, equal parts. */
#include <string.h>

#include "trainer/data/batch_order.h"
#include "trainer/model/rng.h"

/* All sequences in one block, so that they are shuffled whole. */
static void plan(batch_order_t *batches, size_t n, uint64_t seed, int64_t epoch, const uint32_t *frames) {
    const order_block_t block = {.slots = (int64_t)n, .bytes = n};
    g_autoptr(order_t) order = order_new(&block, 1, ORDER_GROUP_BYTES, seed);
    order_plan(order, epoch);
    batch_order_plan(batches, order, frames);
}

enum { N = 1003, BATCH = 8, STEPS = 126 };

/* Lengths of 1 .. 400 frames. */
static void draw_frames(uint32_t *frames, size_t n, uint64_t seed) {
    const rng_t rng = rng_make(seed, RNG_DECODE, 0, 0);
    for (size_t i = 0; i < n; i++) frames[i] = 1 + (uint32_t)rng_below(&rng, i, 400);
}

static void list_epoch(const batch_order_t *batches, uint32_t *sequences) {
    size_t done = 0, count = 0;
    for (size_t step = 0; step < batch_order_steps(batches); step++) {
        const uint32_t *batch = batch_order_step(batches, step, &count);
        memcpy(sequences + done, batch, count * sizeof *batch);
        done += count;
    }
    g_assert_cmpuint(done, ==, N);
}

static void test_epoch(void) {
    uint32_t frames[N], order[N], again[N];
    draw_frames(frames, N, 1);
    g_autoptr(batch_order_t) batches = batch_order_new(N, BATCH), other = batch_order_new(N, BATCH);
    g_assert_cmpuint(batch_order_steps(batches), ==, STEPS);
    gboolean seen[N] = {FALSE};
    size_t small = 0, rising = 0, near = 0;
    double spread = 0;
    uint32_t last = 0;
    plan(batches, N, 5, 2, frames);
    for (size_t step = 0; step < STEPS; step++) {
        size_t count = 0;
        const uint32_t *batch = batch_order_step(batches, step, &count);
        g_assert_true(count == BATCH || count == N % BATCH);
        small += count < BATCH;
        for (size_t i = 0; i < count; i++) {
            g_assert_false(seen[batch[i]]);
            seen[batch[i]] = TRUE;
            if (i > 0) g_assert_cmpuint(frames[batch[i]], <=, frames[batch[i - 1]]);
            if (i > 0) near += batch[i] == batch[i - 1] + 1;
        }
        spread += frames[batch[0]] - frames[batch[count - 1]];
        rising += frames[batch[0]] > last;
        last = frames[batch[0]];
    }
    g_assert_cmpuint(small, ==, 1);
    g_assert_cmpfloat(spread / STEPS, <, 400.0 / BATCH_ORDER_POOL + 10); /* of 400 without sorting: 350 */
    g_assert_cmpuint(rising, >, STEPS / 3);
    g_assert_cmpuint(rising, <, STEPS * 2 / 3);
    g_assert_cmpuint(near, <, 20);

    list_epoch(batches, order);
    plan(other, N, 5, 1, frames); /* another epoch between, as after a resume there is none */
    plan(other, N, 5, 2, frames);
    list_epoch(other, again);
    g_assert_cmpint(memcmp(order, again, sizeof order), ==, 0);
    plan(other, N, 5, 3, frames);
    list_epoch(other, again);
    g_assert_cmpint(memcmp(order, again, sizeof order), !=, 0);
    plan(other, N, 6, 2, frames);
    list_epoch(other, again);
    g_assert_cmpint(memcmp(order, again, sizeof order), !=, 0);
}

/* Where all are as long, batches are random too: the short batch comes at any step, and neighbours change. */
static void test_equal_lengths(void) {
    uint32_t frames[N];
    for (size_t i = 0; i < N; i++) frames[i] = 128;
    g_autoptr(batch_order_t) batches = batch_order_new(N, BATCH);
    gboolean early = FALSE, late = FALSE;
    for (int64_t epoch = 0; epoch < 40; epoch++) {
        plan(batches, N, 5, epoch, frames);
        for (size_t step = 0; step < STEPS; step++) {
            size_t count = 0;
            batch_order_step(batches, step, &count);
            if (count == BATCH) continue;
            early |= step < STEPS / 2;
            late |= step >= STEPS / 2;
        }
    }
    g_assert_true(early && late);
}

static void test_small(void) {
    const uint32_t frames[] = {3, 9, 1};
    for (size_t n = 1; n <= 3; n++) {
        for (size_t batch = 1; batch <= n; batch++) {
            g_autoptr(batch_order_t) batches = batch_order_new(n, batch);
            size_t total = 0, count = 0;
            plan(batches, n, 1, 1, frames);
            for (size_t step = 0; step < batch_order_steps(batches); step++) {
                batch_order_step(batches, step, &count);
                total += count;
            }
            g_assert_cmpuint(total, ==, n);
        }
    }
}

/* Groups: every sequence once, batch after batch of the groups that it is said to be of. */
static void test_groups(void) {
    enum { BLOCKS = 17 };
    uint32_t frames[N];
    order_block_t blocks[BLOCKS];
    draw_frames(frames, N, 1);
    for (size_t b = 0; b < BLOCKS; b++)
        blocks[b] = (order_block_t){
            .first_slot = (int64_t)b * 59, .slots = b + 1 < BLOCKS ? 59 : N - 59 * (BLOCKS - 1), .bytes = 59};
    for (size_t groups = 2; groups <= BLOCKS; groups += 5) {
        g_autoptr(order_t) order = order_new(blocks, BLOCKS, (size_t)59 * BLOCKS / groups + 1, 5);
        g_autoptr(batch_order_t) batches = batch_order_new(N, BATCH);
        gboolean seen[N] = {FALSE};
        size_t last_group = 0, across = 0, moved = 0;
        g_assert_cmpuint(order_groups(order), ==, groups);
        order_plan(order, 2);
        batch_order_plan(batches, order, frames);
        for (size_t step = 0; step < batch_order_steps(batches); step++) {
            size_t n = 0;
            const uint32_t *batch = batch_order_step(batches, step, &n);
            const int64_t from = batch_order_step_first(batches, step);
            const size_t first = order_group_of(order, from),
                         last = order_group_of(order, from + (int64_t)n - 1);
            for (size_t i = 0; i < n; i++) {
                size_t group = 0;
                g_assert_false(seen[batch[i]]);
                seen[batch[i]] = TRUE;
                order_block_offset(order, MIN(batch[i] / 59, BLOCKS - 1), &group);
                g_assert_true(group >= first && group <= last);
                if (i > 0) g_assert_cmpuint(frames[batch[i]], <=, frames[batch[i - 1]]);
            }
            g_assert_cmpuint(first, >=, last_group);
            last_group = first;
            across += first != last;
            moved += (size_t)from != step * BATCH;
        }
        g_assert_cmpuint(across, <, groups);
        g_assert_cmpuint(across, >, 0);
        g_assert_cmpuint(moved, >, STEPS / 2);
        for (size_t i = 0; i < N; i++) g_assert_true(seen[i]);
    }
}

static int compare_down(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

static void test_split(void) {
    enum { MOST = 40 };
    uint32_t frames[MOST], part[MOST];
    uint64_t load[MOST];
    for (size_t n = 1; n <= MOST; n++) {
        draw_frames(frames, n, n);
        qsort(frames, n, sizeof *frames, compare_down);
        for (size_t parts = 1; parts <= 12; parts++) {
            uint64_t sums[MOST] = {0}, total = 0, highest = 0, lowest = G_MAXUINT64;
            batch_order_split(frames, n, parts, part, load);
            for (size_t i = 0; i < n; i++) {
                g_assert_cmpuint(part[i], <, parts);
                if (i < parts)
                    g_assert_cmpuint(part[i], ==, i); /* nobody idles while there is something left */
                sums[part[i]] += frames[i];
                total += frames[i];
            }
            for (size_t p = 0; p < parts; p++) {
                g_assert_cmpuint(sums[p], ==, load[p]);
                highest = MAX(highest, load[p]);
                lowest = MIN(lowest, load[p]);
            }
            g_assert_cmpuint(highest - lowest, <=, frames[0]);
            g_assert_cmpuint(highest, <=, batch_order_most(total, frames[0], parts));
        }
    }
    const uint32_t known[] = {7, 6, 5, 4, 4}; /* 7, 6 + 4, 5 + 4 */
    const uint32_t wanted[] = {0, 1, 2, 2, 1};
    batch_order_split(known, 5, 3, part, load);
    g_assert_cmpint(memcmp(part, wanted, sizeof wanted), ==, 0);
    g_assert_cmpuint(batch_order_most(26, 7, 3), ==, 14); /* ceil(26 / 3 + 14 / 3) */
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/batches/epoch", test_epoch);
    g_test_add_func("/batches/equal lengths", test_equal_lengths);
    g_test_add_func("/batches/small", test_small);
    g_test_add_func("/batches/groups", test_groups);
    g_test_add_func("/batches/split", test_split);
    return g_test_run();
}
