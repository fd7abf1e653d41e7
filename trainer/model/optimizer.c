/* optimizer: owns the moments and the average, and the steps of Adam and AdamW. Operations round alike on
 * every processor (no contraction, sums in lanes of fixed number), so that replicas on unlike hosts stay
 * equal to the bit. */
#include "trainer/model/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"

enum { LANES = 16 };

optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n) {
    optimizer_t *optimizer = g_new0(optimizer_t, 1);
    *optimizer = (optimizer_t){.config = *config, .n = n};
    optimizer->m = layers_new_block(n);
    optimizer->v = layers_new_block(n);
    if (config->average > 0) optimizer->average = layers_new_block(n);
    if (!optimizer->m || !optimizer->v || (config->average > 0 && !optimizer->average))
        g_error("optimizer: cannot allocate %d x %zu MiB for Adam's moments and the average",
                config->average > 0 ? 3 : 2, n * sizeof(real_t) >> 20);
    return optimizer;
}

void optimizer_free(optimizer_t *optimizer) {
    if (!optimizer) return;
    free(optimizer->m);
    free(optimizer->v);
    free(optimizer->average);
    g_free(optimizer);
}

void optimizer_copy(optimizer_t *to, const optimizer_t *from) {
    const size_t bytes = from->n * sizeof(real_t);
    memcpy(to->m, from->m, bytes);
    memcpy(to->v, from->v, bytes);
    if (from->average) memcpy(to->average, from->average, bytes);
    to->step = from->step;
    to->averaged = from->averaged;
}

double optimizer_schedule(double peak, decay_t decay, int64_t step, int64_t warmup_steps, int64_t total_steps,
                          double final_fraction) {
    if (step < warmup_steps) return peak * (double)(step + 1) / (double)warmup_steps;
    if (decay == DECAY_CONSTANT) return peak;
    const int64_t span = MAX(total_steps - warmup_steps, 1), done = MIN(step - warmup_steps, span);
    return peak *
           (final_fraction + (1 - final_fraction) * 0.5 * (1 + cos(G_PI * (double)done / (double)span)));
}

LAYERS_WIDE static double squared_norm(const real_t *restrict g, size_t n) {
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (double)g[i + j] * (double)g[i + j];
    for (; i < n; i++) lane[i % LANES] += (double)g[i] * (double)g[i];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

/* The step's factors, in the precision that the loop runs in. */
typedef struct {
    real_t clip, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, root_correction, epsilon,
        average, one_minus_average;
} factors_t;

/* theta <- keep theta - rate m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon), rate = lr / (1 - beta1^t), keep = 1
 * - lr weight_decay. average: NULL, or as in optimizer.h. */
static inline __attribute__((always_inline)) void
update_each(real_t *restrict theta, const real_t *restrict gradient, real_t *restrict m, real_t *restrict v,
            real_t *restrict average, size_t n, const factors_t *factors) {
    const factors_t f = *factors;
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
                               real_t *restrict v, size_t n, const factors_t *factors) {
    update_each(theta, gradient, m, v, NULL, n, factors);
}

LAYERS_WIDE static void update_averaged(real_t *restrict theta, const real_t *restrict gradient,
                                        real_t *restrict m, real_t *restrict v, real_t *restrict average,
                                        size_t n, const factors_t *factors) {
    update_each(theta, gradient, m, v, average, n, factors);
}

LAYERS_WIDE static void swap(real_t *restrict a, real_t *restrict b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const real_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void optimizer_swap_average(optimizer_t *optimizer, model_t *model) {
    if (optimizer->averaged > 0) swap(model_params(model), optimizer->average, optimizer->n);
}

double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate) {
    const optimizer_config_t *config = &optimizer->config;
    real_t *params = model_params(model);
    const real_t *gradient = model_gradient(model);
    const double norm = sqrt(squared_norm(gradient, optimizer->n));
    if (!isfinite(norm)) return norm;
    optimizer->step++;
    const double clip =
        config->clip_norm > 0 ? config->clip_norm / (norm + 1e-6) : 1; /* as torch.nn.utils.clip_grad_norm_ */
    const double t = (double)optimizer->step;
    factors_t factors = {
        .clip = (real_t)MIN(clip, 1),
        .beta1 = (real_t)config->beta1,
        .one_minus_beta1 = (real_t)(1 - config->beta1),
        .beta2 = (real_t)config->beta2,
        .one_minus_beta2 = (real_t)(1 - config->beta2),
        .rate = (real_t)(learning_rate / (1 - pow(config->beta1, t))),
        .root_correction = (real_t)(1 / sqrt(1 - pow(config->beta2, t))),
        .epsilon = (real_t)config->epsilon,
    };
    if (optimizer->average) {
        if (optimizer->averaged == 0) memcpy(optimizer->average, params, optimizer->n * sizeof *params);
        const double before = (double)optimizer->averaged++,
                     d = MIN(config->average, (1 + before) / (10 + before));
        factors.average = (real_t)d;
        factors.one_minus_average = (real_t)(1 - d);
    }
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        const size_t at = table[i].offset;
        factors.keep = (real_t)(table[i].decay ? 1 - learning_rate * config->weight_decay : 1);
        const size_t entries = table[i].rows * table[i].cols;
        if (optimizer->average)
            update_averaged(params + at, gradient + at, optimizer->m + at, optimizer->v + at,
                            optimizer->average + at, entries, &factors);
        else
            update(params + at, gradient + at, optimizer->m + at, optimizer->v + at, entries, &factors);
    }
    return norm;
}
