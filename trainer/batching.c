/* batching: owns the order in which an epoch's sequences are trained on and how a batch is shared. Every rank computes it all alike from the same lengths. Memory is for
 * one epoch; planning another one replaces it. Refuses nothing. */
#include "trainer/batching.h"

#include <stdlib.h>

#include "trainer/rng.h"

enum { ORDER_OF_SEQUENCES, ORDER_OF_BATCHES }; /* samples of RNG_SHUFFLE */

struct batching {
    size_t n, batch, steps;
    uint32_t *sequences; /* [n]: batch k is [k batch, (k + 1) batch) */
    uint32_t *batches;   /* [steps] */
    uint64_t *keys;      /* [pool] scratch */
    uint32_t *pool;      /* [pool] in random order */
};

batching_t *batching_new(size_t n, size_t batch) {
    batching_t *batching = g_new0(batching_t, 1);
    const size_t pool = MIN(n, batch * BATCHING_POOL);
    batching->n = n;
    batching->batch = batch;
    batching->steps = (n + batch - 1) / batch;
    batching->sequences = g_new0(uint32_t, n);
    batching->batches = g_new0(uint32_t, batching->steps);
    batching->keys = g_new0(uint64_t, pool);
    batching->pool = g_new0(uint32_t, pool);
    return batching;
}

void batching_free(batching_t *batching) {
    if (!batching) return;
    g_free(batching->sequences);
    g_free(batching->batches);
    g_free(batching->keys);
    g_free(batching->pool);
    g_free(batching);
}

static int compare_keys(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Keys: complement of the length, then position. */
void batching_sort(const uint32_t *sequences, size_t n, const uint32_t *frames, uint64_t *keys, uint32_t *sorted) {
    for (size_t i = 0; i < n; i++) keys[i] = (uint64_t)~frames[sequences[i]] << 32 | i;
    if (n > 1) qsort(keys, n, sizeof *keys, compare_keys); /* not NULL then */
    for (size_t i = 0; i < n; i++) sorted[i] = sequences[(uint32_t)keys[i]];
}

void batching_plan(batching_t *batching, uint64_t seed, uint64_t epoch, const uint32_t *frames) {
    const size_t n = batching->n, pool = batching->batch * BATCHING_POOL;
    const rng_t sequences = rng_make(seed, RNG_SHUFFLE, epoch, ORDER_OF_SEQUENCES), batches = rng_make(seed, RNG_SHUFFLE, epoch, ORDER_OF_BATCHES);
    for (size_t first = 0; first < n; first += pool) {
        const size_t count = MIN(pool, n - first);
        for (size_t i = 0; i < count; i++) batching->pool[i] = (uint32_t)rng_permute(&sequences, first + i, n);
        batching_sort(batching->pool, count, frames, batching->keys, batching->sequences + first);
    }
    for (size_t k = 0; k < batching->steps; k++) batching->batches[k] = (uint32_t)rng_permute(&batches, k, batching->steps);
}

size_t batching_steps(const batching_t *batching) { return batching->steps; }

const uint32_t *batching_step(const batching_t *batching, size_t step, size_t *n) {
    const size_t first = batching->batches[step] * batching->batch;
    *n = MIN(batching->batch, batching->n - first);
    return batching->sequences + first;
}

void batching_split(const uint32_t *frames, size_t n, size_t parts, uint32_t *part, uint64_t *load) {
    for (size_t p = 0; p < parts; p++) load[p] = 0;
    for (size_t i = 0; i < n; i++) {
        size_t least = 0;
        for (size_t p = 1; p < parts; p++)
            if (load[p] < load[least]) least = p;
        part[i] = (uint32_t)least;
        load[least] += frames[i];
    }
}

uint64_t batching_most(uint64_t total, uint64_t longest, size_t parts) { return (total + (parts - 1) * longest + parts - 1) / parts; }
