/* order: owns which block is in which group of the planned epoch, and where. Every rank, and the thread that
 * reads ahead, computes the same plan. Refuses nothing. */
#include "trainer/data/order.h"

#include <math.h>

struct order {
    const order_block_t *blocks; /* [n] */
    size_t n, groups, wanted_bytes;
    uint64_t bytes;
    size_t largest; /* bytes of a block */
    uint64_t seed;
    int64_t epoch;         /* planned, -1: none */
    uint32_t *group_of;    /* [n] */
    size_t *offset;        /* [n] bytes of its group before it */
    uint32_t *dealt;       /* [n] blocks, by group, in corpus order within one */
    int64_t *dealt_start;  /* [n + 1] slots of the dealt blocks before */
    size_t *first;         /* [groups + 1]: group g has dealt [first[g], first[g + 1]) */
    size_t *next, *filled; /* [groups] scratch of planning: places and bytes taken */
};

order_t *order_new(const order_block_t *blocks, size_t n, size_t group_bytes, uint64_t seed) {
    order_t *order = g_new0(order_t, 1);
    order->blocks = blocks;
    order->n = n;
    order->wanted_bytes = group_bytes;
    order->seed = seed;
    order->epoch = -1;
    for (size_t i = 0; i < n; i++) {
        order->bytes += blocks[i].bytes;
        order->largest = MAX(order->largest, blocks[i].bytes);
    }
    order->groups = MAX(1, (size_t)((order->bytes + group_bytes - 1) / group_bytes));
    order->group_of = g_new0(uint32_t, n);
    order->offset = g_new0(size_t, n);
    order->dealt = g_new0(uint32_t, n);
    order->dealt_start = g_new0(int64_t, n + 1);
    order->first = g_new0(size_t, order->groups + 1);
    order->next = g_new0(size_t, order->groups);
    order->filled = g_new0(size_t, order->groups);
    return order;
}

order_t *order_copy(const order_t *order) {
    return order_new(order->blocks, order->n, order->wanted_bytes, order->seed);
}

void order_free(order_t *order) {
    if (!order) return;
    void *const buffers[] = {order->group_of, order->offset, order->dealt, order->dealt_start,
                             order->first,    order->next,   order->filled};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(order);
}

int64_t order_samples(const order_t *order) {
    return order->n ? order->blocks[order->n - 1].first_slot + order->blocks[order->n - 1].slots : 0;
}
size_t order_groups(const order_t *order) { return order->groups; }

size_t order_block_bytes(const order_t *order) { return order->largest; }

/* The blocks of a group begin within bytes / groups bytes, see deal(); the last one may extend past that. */
size_t order_group_bytes(const order_t *order) {
    return order->groups == 1 ? (size_t)order->bytes
                              : (size_t)(order->bytes / order->groups) + 1 + order->largest;
}

/* n consecutive samples begin in one group, end in another, and take all samples of the groups between. Such
 * a group has at least least_bytes of frames, and at least as many samples as these would have in the block
 * with the fewest samples a byte. */
size_t order_most_groups(const order_t *order, size_t n) {
    const double least_bytes = (double)order->bytes / (double)order->groups - (double)order->largest;
    double density = INFINITY;
    for (size_t i = 0; i < order->n; i++)
        density = MIN(density, (double)order->blocks[i].slots / (double)order->blocks[i].bytes);
    const double fewest = least_bytes * density;
    if (n < 2 || order->groups == 1) return 1;
    return fewest < 1 ? order->groups : MIN(order->groups, 2 + (size_t)((double)(n - 2) / fewest));
}

rng_t order_rng(const order_t *order, size_t group, order_purpose_t purpose) {
    return rng_make(order->seed, RNG_SHUFFLE, (uint64_t)order->epoch, group * ORDER_PURPOSES + purpose);
}

/* Lays the blocks in random order on a line, which is cut into equal stretches, one a group: a block belongs
 * to the group in which it begins. */
static void deal(order_t *order) {
    const rng_t rng = order_rng(order, 0, ORDER_OF_BLOCKS);
    uint64_t before = 0;
    for (size_t g = 0; g <= order->groups; g++) order->first[g] = 0;
    for (size_t i = 0; i < order->n; i++) {
        const size_t block = rng_permute(&rng, i, order->n);
        const size_t group = (size_t)((unsigned __int128)before * order->groups / order->bytes);
        order->group_of[block] = (uint32_t)group;
        order->first[group + 1]++;
        before += order->blocks[block].bytes;
    }
    for (size_t g = 0; g < order->groups; g++) order->first[g + 1] += order->first[g];
}

void order_plan(order_t *order, int64_t epoch) {
    if (order->epoch == epoch) return;
    order->epoch = epoch;
    deal(order);
    for (size_t g = 0; g < order->groups; g++) {
        order->next[g] = order->first[g];
        order->filled[g] = 0;
    }
    for (size_t i = 0; i < order->n; i++) {
        const size_t group = order->group_of[i];
        order->dealt[order->next[group]++] = (uint32_t)i;
        order->offset[i] = order->filled[group];
        order->filled[group] += order->blocks[i].bytes;
    }
    for (size_t i = 0; i < order->n; i++)
        order->dealt_start[i + 1] = order->dealt_start[i] + order->blocks[order->dealt[i]].slots;
}

int64_t order_group_start(const order_t *order, size_t group) {
    return order->dealt_start[order->first[group]];
}

size_t order_find(const int64_t *starts, size_t n, int64_t at) {
    size_t low = 0, high = n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (starts[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t order_group_of(const order_t *order, int64_t i) {
    return order->group_of[order->dealt[order_find(order->dealt_start, order->n, i)]];
}

int64_t order_slot(const order_t *order, int64_t i) {
    const size_t group = order_group_of(order, i);
    const int64_t start = order_group_start(order, group), n = order_group_start(order, group + 1) - start;
    const rng_t rng = order_rng(order, group, ORDER_OF_SLOTS);
    const int64_t at = start + (int64_t)rng_permute(&rng, (uint64_t)(i - start), (uint64_t)n);
    const size_t dealt = order_find(order->dealt_start, order->n, at);
    return order->blocks[order->dealt[dealt]].first_slot + at - order->dealt_start[dealt];
}

const uint32_t *order_group_blocks(const order_t *order, size_t group, size_t *n) {
    *n = order->first[group + 1] - order->first[group];
    return order->dealt + order->first[group];
}

size_t order_blocks(const order_t *order) { return order->n; }
const order_block_t *order_block(const order_t *order, size_t block) { return &order->blocks[block]; }

size_t order_block_offset(const order_t *order, size_t block, size_t *group) {
    *group = order->group_of[block];
    return order->offset[block];
}
