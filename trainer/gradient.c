/* gradient: owns the blocks in which grains are computed, and the order in which they are added up on this
 * rank: each as soon as its sibling is there, parameter by parameter while it is in cache. */
#include "trainer/gradient.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/model_kind.h"
#include "trainer/parallel/watch.h"

enum { MAX_LEVELS = 12, PIECE = 4096 }; /* PIECE: elements that are added up together, in cache */

struct gradient {
    model_t *model;
    rank_batches_t *batches;
    exchange_t *exchange;
    gboolean together, apart; /* a node's grains go in one batch, and the model adds them up */
    size_t n;
    model_losses_t *losses; /* of a batch, by grain */
    /* Of the node under way: grains that wait for their siblings. The first is the exchange's block, the
     * others are owned; there are as many as a node of this rank needs. */
    real_t *levels[MAX_LEVELS];
    size_t level,
        merges;      /* where the grain under way is; how often what is there is added to the level below */
    gboolean leaves; /* what is final then may leave */
};

size_t gradient_most_grains(const exchange_t *exchange) {
    size_t most = 1, first, count;
    for (size_t node = 0; node < exchange_nodes(exchange); node++) {
        exchange_node_grains(exchange, node, &first, &count);
        most = MAX(most, count);
    }
    return most;
}

gradient_t *gradient_new(model_t *model, rank_batches_t *batches, exchange_t *exchange, size_t together,
                         gboolean apart, GError **error) {
    gradient_t *gradient = g_new0(gradient_t, 1);
    *gradient = (gradient_t){.model = model,
                             .batches = batches,
                             .exchange = exchange,
                             .together = together > 0,
                             .apart = apart,
                             .n = model_size(model),
                             .losses = g_new(model_losses_t, MAX(together, 1))};
    for (size_t level = 1, left = gradient_most_grains(exchange); together == 0 && left > 1;
         level++, left /= 2) {
        g_assert(level < MAX_LEVELS);
        if ((gradient->levels[level] = model_new_block(gradient->n, "the gradients of grains", error)))
            continue;
        gradient_free(gradient);
        return NULL;
    }
    return gradient;
}

void gradient_free(gradient_t *gradient) {
    if (!gradient) return;
    for (size_t level = 1; level < MAX_LEVELS; level++) free(gradient->levels[level]);
    g_free(gradient->losses);
    g_free(gradient);
}

LAYERS_WIDE static void add(real_t *restrict to, const real_t *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* Elements [first, first + count) of the grain under way are final, or a while has passed. */
static void finish_part(void *data, size_t first, size_t count) {
    gradient_t *gradient = data;
    for (size_t at = first; gradient->merges > 0 && at < first + count; at += PIECE)
        for (size_t i = 0, level = gradient->level; i < gradient->merges; i++, level--)
            add(gradient->levels[level - 1] + at, gradient->levels[level] + at,
                MIN(PIECE, first + count - at));
    if (!gradient->leaves) return;
    if (count > 0)
        exchange_ready(gradient->exchange, first, count);
    else
        exchange_progress(gradient->exchange);
}

/* Adds the losses of a batch, whose grains are shares [share, ...). */
static void add_losses(const gradient_t *gradient, const batch_t *batch, size_t share,
                       training_sums_t *sums) {
    const uint32_t whole[] = {0, (uint32_t)batch->B};
    const grains_t grains = batch->grains.n > 0 ? batch->grains : (grains_t){.begin = whole, .n = 1};
    for (size_t i = 0; i < grains.n; i++) {
        const model_losses_t *losses = &gradient->losses[i];
        training_sums_t *to = gradient->apart ? &sums[share + i] : sums;
        to->windows += (double)(grains.begin[i + 1] - grains.begin[i]);
        to->segments += losses->segments;
        to->nll += losses->nll;
        to->kl += losses->kl;
        to->auxiliary += losses->auxiliary;
        for (size_t b = grains.begin[i]; b < grains.begin[i + 1]; b++) to->frames += batch->valid[b];
    }
}

/* Computes shares [share, share + count). Only their last batch makes the gradient final. */
static void compute_shares(gradient_t *gradient, size_t share, size_t count,
                           const model_objective_t *objective, int64_t number, training_sums_t *sums) {
    model_t *model = gradient->model;
    rank_batches_t *batches = gradient->batches;
    rank_batches_share(batches, share, count);
    model_set_gradient(model, gradient->levels[gradient->level]);
    const gboolean any = rank_batches_more(batches);
    if (!any || !gradient->together) memset(model_gradient(model), 0, gradient->n * sizeof(real_t));
    if (!any) finish_part(gradient, 0, gradient->n); /* an empty grain counts, as 0 */
    for (const batch_t *batch; (batch = rank_batches_next(batches));) {
        model_set_hook(model, rank_batches_more(batches) ? NULL : finish_part, gradient);
        watch_phase(PHASE_COMPUTE, number);
        model_train(model, batch, objective, gradient->losses);
        watch_phase(PHASE_DATA, number);
        add_losses(gradient, batch, share, sums);
    }
}

void gradient_compute(gradient_t *gradient, const model_objective_t *objective, int64_t number,
                      training_sums_t *sums) {
    const size_t nodes = exchange_nodes(gradient->exchange);
    for (size_t node = 0; node < nodes; node++) {
        size_t first, count;
        exchange_node_grains(gradient->exchange, node, &first, &count);
        const size_t taken = gradient->together ? count : 1;
        gradient->levels[0] = exchange_gradient(gradient->exchange, node);
        for (size_t i = 0; i < count; i += taken) {
            /* As in a binary counter: the ones of i are the subtrees that wait, those at its end are whole
             * once grain i is there. */
            gradient->level = !gradient->together ? (size_t)__builtin_popcountll(i) : 0;
            gradient->merges = !gradient->together ? (size_t)__builtin_ctzll(~(unsigned long long)i) : 0;
            gradient->leaves = node + 1 == nodes && i + taken == count;
            compute_shares(gradient, first + i, taken, objective, number, sums);
        }
    }
}
