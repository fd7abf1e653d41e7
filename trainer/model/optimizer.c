/* optimizer: owns the moments and the average, and the steps of Adam and AdamW. Operations round alike on
 * every processor (no contraction, sums in lanes of fixed number), so that replicas on unlike hosts stay
 * equal to the bit. */
#include "trainer/model/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"

optimizer_t *optimizer_new_in(const optimizer_config_t *config, size_t n, const optimizer_memory_t *memory) {
    optimizer_t *optimizer = g_new0(optimizer_t, 1);
    *optimizer = (optimizer_t){.config = *config, .n = n, .m = memory->m, .v = memory->v};
    if (config->average > 0) optimizer->average = memory->average;
    if (config->outer) optimizer->momentum = memory->momentum;
    optimizer->kept = 1;
    return optimizer;
}

optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n) {
    optimizer_memory_t memory = {NULL};
    real_t **const blocks[] = {&memory.m, &memory.v, config->average > 0 ? &memory.average : NULL,
                               config->outer ? &memory.momentum : NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++)
        if (blocks[i] && !(*blocks[i] = layers_new_block(n)))
            g_error("optimizer: cannot allocate %zu MiB for Adam's moments, the average and the momentum",
                    n * sizeof(real_t) >> 20);
    optimizer_t *optimizer = optimizer_new_in(config, n, &memory);
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) optimizer->owned[i] = blocks[i] ? *blocks[i] : NULL;
    return optimizer;
}

void optimizer_free(optimizer_t *optimizer) {
    if (!optimizer) return;
    for (size_t i = 0; i < G_N_ELEMENTS(optimizer->owned); i++) free(optimizer->owned[i]);
    g_free(optimizer);
}

void optimizer_copy(optimizer_t *to, const optimizer_t *from) {
    const size_t bytes = from->n * sizeof(real_t);
    memcpy(to->m, from->m, bytes);
    memcpy(to->v, from->v, bytes);
    if (from->average) memcpy(to->average, from->average, bytes);
    if (from->momentum) memcpy(to->momentum, from->momentum, bytes);
    to->step = from->step;
    to->averaged = from->averaged;
    to->outer_steps = from->outer_steps;
}

double optimizer_schedule(double peak, decay_t decay, int64_t step, int64_t warmup_steps, int64_t total_steps,
                          double final_fraction) {
    if (step < warmup_steps) return peak * (double)(step + 1) / (double)warmup_steps;
    if (decay == DECAY_CONSTANT) return peak;
    const int64_t span = MAX(total_steps - warmup_steps, 1), done = MIN(step - warmup_steps, span);
    return peak *
           (final_fraction + (1 - final_fraction) * 0.5 * (1 + cos(G_PI * (double)done / (double)span)));
}

/* theta <- keep theta - rate m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon), rate = lr / (1 - beta1^t), keep = 1
 * - lr weight_decay. average: NULL, or as in optimizer.h. */
static inline __attribute__((always_inline)) void
update_each(real_t *restrict theta, const real_t *restrict gradient, real_t *restrict m, real_t *restrict v,
            real_t *restrict average, size_t n, const optimizer_factors_t *factors) {
    const optimizer_factors_t f = *factors;
    for (size_t i = 0; i < n; i++) {
        const real_t g = gradient[i] * f.clip;
        m[i] = f.beta1 * m[i] + f.one_minus_beta1 * g;
        v[i] = f.beta2 * v[i] + f.one_minus_beta2 * g * g;
#ifdef MPIANIST_DOUBLE
        const real_t root = sqrt(v[i]);
#else
        const real_t root = sqrtf(v[i]);
#endif
        theta[i] = f.keep * theta[i] - f.rate * m[i] / (root * f.root_correction + f.epsilon);
        if (average) average[i] = f.average * average[i] + f.one_minus_average * theta[i];
    }
}

LAYERS_WIDE static void update(real_t *restrict theta, const real_t *restrict gradient, real_t *restrict m,
                               real_t *restrict v, size_t n, const optimizer_factors_t *factors) {
    update_each(theta, gradient, m, v, NULL, n, factors);
}

LAYERS_WIDE static void update_averaged(real_t *restrict theta, const real_t *restrict gradient,
                                        real_t *restrict m, real_t *restrict v, real_t *restrict average,
                                        size_t n, const optimizer_factors_t *factors) {
    update_each(theta, gradient, m, v, average, n, factors);
}

LAYERS_WIDE static void swap(real_t *restrict a, real_t *restrict b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const real_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void optimizer_swap_average(optimizer_t *optimizer, model_t *model, size_t first, size_t count) {
    if (optimizer->averaged > 0) swap(model_params(model) + first, optimizer->average + first, count);
}

gboolean optimizer_begin(optimizer_t *optimizer, double norm, double learning_rate) {
    const optimizer_config_t *config = &optimizer->config;
    if (!isfinite(norm)) return FALSE;
    const double clip =
        config->clip_norm > 0 ? config->clip_norm / (norm + 1e-6) : 1; /* as torch.nn.utils.clip_grad_norm_ */
    const double t = (double)++optimizer->step;
    optimizer->factors = (optimizer_factors_t){
        .clip = (real_t)MIN(clip, 1),
        .keep = (real_t)(1 - learning_rate * config->weight_decay),
        .beta1 = (real_t)config->beta1,
        .one_minus_beta1 = (real_t)(1 - config->beta1),
        .beta2 = (real_t)config->beta2,
        .one_minus_beta2 = (real_t)(1 - config->beta2),
        .rate = (real_t)(learning_rate / (1 - pow(config->beta1, t))),
        .root_correction = (real_t)(1 / sqrt(1 - pow(config->beta2, t))),
        .epsilon = (real_t)config->epsilon,
    };
    if (optimizer->average) {
        const double before = (double)optimizer->averaged++,
                     d = MIN(config->average, (1 + before) / (10 + before));
        optimizer->factors.average = (real_t)d;
        optimizer->factors.one_minus_average = (real_t)(1 - d);
        optimizer->kept *= before > 0 ? d : 0; /* there is nothing yet that could be kept */
    }
    return TRUE;
}

void optimizer_update(optimizer_t *optimizer, model_t *model, size_t first, size_t count,
                      const real_t *gradient) {
    real_t *params = model_params(model), *average = optimizer->momentum ? NULL : optimizer->average;
    size_t n;
    const param_t *table = model_table(model, &n);
    if (average && optimizer->averaged == 1) memcpy(average + first, params + first, count * sizeof *params);
    for (size_t i = 0; i < n; i++) {
        const size_t at = MAX(table[i].offset, first),
                     end = MIN(table[i].offset + table[i].rows * table[i].cols, first + count);
        if (at >= end) continue;
        optimizer_factors_t factors = optimizer->factors;
        if (!table[i].decay) factors.keep = 1;
        if (average)
            update_averaged(params + at, gradient + (at - first), optimizer->m + at, optimizer->v + at,
                            average + at, end - at, &factors);
        else
            update(params + at, gradient + (at - first), optimizer->m + at, optimizer->v + at, end - at,
                   &factors);
    }
}

void optimizer_update_block(optimizer_t *optimizer, real_t *weights, const real_t *gradient) {
    update(weights, gradient, optimizer->m, optimizer->v, optimizer->n, &optimizer->factors);
}

LAYERS_WIDE static void step_outer(real_t *restrict theta, real_t *restrict synced,
                                   const real_t *restrict gradient, real_t *restrict momentum, size_t n) {
    const real_t rate = (real_t)OPTIMIZER_OUTER_RATE, decay = (real_t)OPTIMIZER_OUTER_MOMENTUM;
    for (size_t i = 0; i < n; i++) {
        momentum[i] = decay * momentum[i] + gradient[i];
        theta[i] = synced[i] -= rate * (gradient[i] + decay * momentum[i]);
    }
}

LAYERS_WIDE static void add_to_average(real_t *restrict average, const real_t *restrict theta, real_t keep,
                                       real_t add, size_t n) {
    for (size_t i = 0; i < n; i++) average[i] = keep * average[i] + add * theta[i];
}

void optimizer_outer_step(optimizer_t *optimizer, model_t *model, real_t *synced, size_t first, size_t count,
                          const real_t *gradient) {
    real_t *params = model_params(model) + first;
    step_outer(params, synced + first, gradient, optimizer->momentum + first, count);
    if (optimizer->averaged > 0)
        add_to_average(optimizer->average + first, params, (real_t)optimizer->kept,
                       (real_t)(1 - optimizer->kept), count);
}

void optimizer_outer_end(optimizer_t *optimizer) {
    optimizer->outer_steps++;
    optimizer->kept = 1;
}

double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate) {
    const double norm = sqrt(layers_squared_norm(model_gradient(model), optimizer->n));
    if (optimizer_begin(optimizer, norm, learning_rate))
        optimizer_update(optimizer, model, 0, optimizer->n, model_gradient(model));
    return norm;
}
