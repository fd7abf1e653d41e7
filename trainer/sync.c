/* sync: owns the sums over hosts that are not gradients. They go by the exchange: a rank writes its slices
 * over its own gradient, which nobody needs between steps. */
#include "trainer/sync.h"

#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/parallel/comm.h"

void sync_begin(sync_t *sync, exchange_t *exchange, run_state_t *state, real_t *synced) {
    *sync = (sync_t){.exchange = exchange, .state = state, .synced = synced};
    if (synced && state->fills)
        memcpy(synced, model_params(state->model), model_size(state->model) * sizeof(real_t));
    comm_node_barrier();
}

/* A host whose ranks have nothing of a small batch takes a step by its momentum alone. */
double sync_scale(sync_t *sync, const rank_batches_t *batches, const rank_batches_step_t *global) {
    sync->steps++;
    if (!sync->synced) return 1 / global->weight;
    size_t share, count;
    exchange_grains(sync->exchange, &share, &count);
    const double own = rank_batches_weight(batches, share - (size_t)exchange_host_index(sync->exchange),
                                           (size_t)exchange_host_size(sync->exchange));
    sync->own += own;
    sync->all += global->weight;
    return 1 / (own > 0 ? own : global->weight);
}

LAYERS_WIDE static void scale(const real_t *restrict from, real_t by, real_t *restrict to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = by * from[i];
}

LAYERS_WIDE static void scale_change(const real_t *restrict from, const real_t *restrict to, real_t by,
                                     real_t *restrict change, size_t n) {
    for (size_t i = 0; i < n; i++) change[i] = by * (from[i] - to[i]);
}

/* Replaces a block by its mean over hosts. */
static void average(const sync_t *sync, real_t *block, real_t part) {
    size_t n;
    const exchange_slice_t *slices = exchange_slices(sync->exchange, &n);
    real_t *sums = exchange_gradient(sync->exchange, 0);
    for (size_t i = 0; i < n; i++)
        scale(block + slices[i].first, part, sums + slices[i].first, slices[i].count);
    exchange_sum_hosts(sync->exchange, FALSE);
    for (size_t i = 0; i < n; i++)
        memcpy(block + slices[i].first, slices[i].sum, slices[i].count * sizeof *block);
}

static void step(const sync_t *sync, real_t part) {
    size_t n;
    const exchange_slice_t *slices = exchange_slices(sync->exchange, &n);
    model_t *model = sync->state->model;
    real_t *sums = exchange_gradient(sync->exchange, 0);
    for (size_t i = 0; i < n; i++) {
        const size_t first = slices[i].first;
        scale_change(sync->synced + first, model_params(model) + first, part, sums + first, slices[i].count);
    }
    exchange_sum_hosts(sync->exchange, TRUE);
    for (size_t i = 0; i < n; i++)
        optimizer_outer_step(sync->state->optimizer, model, sync->synced, slices[i].first, slices[i].count,
                             slices[i].sum);
    optimizer_outer_end(sync->state->optimizer);
}

void sync_hosts(sync_t *sync) {
    optimizer_t *optimizer = sync->state->optimizer;
    const gboolean apart = sync->synced && sync->steps > 0;
    sync->steps = 0;
    if (!apart) return;
    const real_t part = (real_t)(sync->own / sync->all);
    average(sync, optimizer->m, part);
    average(sync, optimizer->v, part);
    step(sync, part);
    sync->own = sync->all = 0;
    comm_node_barrier();
}
