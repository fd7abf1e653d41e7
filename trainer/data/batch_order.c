/* batch_order: owns the order in which the sequences of an epoch are trained, and how a batch is split. Every
 * rank computes the same from the same lengths. A new plan replaces the one before. Refuses nothing. */
#include "trainer/data/batch_order.h"

#include <stdlib.h>

struct batch_order {
    size_t n, batch, steps;
    uint32_t *sequences; /* [n]: batch k is [k batch, (k + 1) batch) */
    uint32_t *batches;   /* [steps] */
    uint64_t *keys;      /* [pool] scratch */
    uint32_t *pool;      /* [pool] before sorting */
};

batch_order_t *batch_order_new(size_t n, size_t batch) {
    batch_order_t *plan = g_new0(batch_order_t, 1);
    const size_t pool = MIN(n, batch * BATCH_ORDER_POOL);
    plan->n = n;
    plan->batch = batch;
    plan->steps = (n + batch - 1) / batch;
    plan->sequences = g_new0(uint32_t, n);
    plan->batches = g_new0(uint32_t, plan->steps);
    plan->keys = g_new0(uint64_t, pool);
    plan->pool = g_new0(uint32_t, pool);
    return plan;
}

void batch_order_free(batch_order_t *plan) {
    if (!plan) return;
    g_free(plan->sequences);
    g_free(plan->batches);
    g_free(plan->keys);
    g_free(plan->pool);
    g_free(plan);
}

static int compare_keys(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A key is the complement of the length, then the position, so that the longest comes first. */
void batch_order_sort(const uint32_t *sequences, size_t n, const uint32_t *frames, uint64_t *keys,
                      uint32_t *sorted) {
    for (size_t i = 0; i < n; i++) keys[i] = (uint64_t)~frames[sequences[i]] << 32 | i;
    if (n > 1) qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 0; i < n; i++) sorted[i] = sequences[(uint32_t)keys[i]];
}

/* Fills batches [first, end) with sequences sorted by length within pools. */
static void plan_pools(batch_order_t *plan, const order_t *order, size_t first, size_t end,
                       const uint32_t *frames) {
    for (size_t k = first; k < end; k += BATCH_ORDER_POOL) {
        const size_t start = k * plan->batch,
                     count = MIN(MIN(k + BATCH_ORDER_POOL, end) * plan->batch, plan->n) - start;
        for (size_t i = 0; i < count; i++) plan->pool[i] = (uint32_t)order_slot(order, (int64_t)(start + i));
        batch_order_sort(plan->pool, count, frames, plan->keys, plan->sequences + start);
    }
}

void batch_order_plan(batch_order_t *plan, const order_t *order, const uint32_t *frames) {
    const size_t groups = order_groups(order), batch = plan->batch;
    size_t next = 0; /* batch to plan */
    for (size_t group = 0; group < groups; group++) {
        const size_t end = (size_t)order_group_start(order, group + 1),
                     whole = group + 1 < groups ? end / batch : plan->steps;
        const rng_t rng = order_rng(order, group, ORDER_OF_BATCHES);
        if (next < whole) plan_pools(plan, order, next, whole, frames);
        for (size_t k = next; k < whole; k++)
            plan->batches[k] = (uint32_t)(next + rng_permute(&rng, k - next, whole - next));
        next = MAX(next, whole);
        if (group + 1 == groups || next * batch >= end) continue;
        plan_pools(plan, order, next, next + 1, frames); /* this batch spans two groups */
        plan->batches[next] = (uint32_t)next;
        next++;
    }
}

size_t batch_order_steps(const batch_order_t *plan) { return plan->steps; }

const uint32_t *batch_order_step(const batch_order_t *plan, size_t step, size_t *n) {
    const size_t first = plan->batches[step] * plan->batch;
    *n = MIN(plan->batch, plan->n - first);
    return plan->sequences + first;
}

int64_t batch_order_step_first(const batch_order_t *plan, size_t step) {
    return (int64_t)(plan->batches[step] * plan->batch);
}

void batch_order_split(const uint32_t *frames, size_t n, size_t parts, uint32_t *part, uint64_t *load) {
    for (size_t p = 0; p < parts; p++) load[p] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t least = 0;
        for (size_t p = 1; p < parts; p++)
            if (load[p] < load[least]) least = p;
        part[i] = (uint32_t)least;
        load[least] += frames[i];
    }
}

uint64_t batch_order_most(uint64_t total, uint64_t longest, size_t parts) {
    return (total + (parts - 1) * longest + parts - 1) / parts;
}
