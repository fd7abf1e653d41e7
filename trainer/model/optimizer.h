/* optimizer: Adam and AdamW over one flat block, learning-rate schedules, gradient clipping, an average of
 * the weights. No MPI, no files. */
#pragma once

#include "trainer/model/model.h"

typedef enum { DECAY_CONSTANT, DECAY_COSINE } decay_t;

typedef struct {
    double learning_rate; /* peak */
    double beta1, beta2, epsilon;
    double weight_decay; /* decoupled (AdamW, Loshchilov & Hutter 2019); 0 is Adam (Kingma & Ba 2015) */
    double clip_norm;    /* 0: none */
    double average;      /* D, decay of the weights' average, in [0, 1); 0: none */
} optimizer_config_t;

typedef struct {
    optimizer_config_t config;
    size_t n;
    real_t *m, *v; /* first and second moments, [n], 64-byte aligned, owned */
    int64_t step;  /* steps taken */
    /* Exponential average of the weights after n + 1 steps: average = d average + (1 - d) theta, d = min(D,
     * (1 + n) / (10 + n)), begun at the weights before the first of them. */
    real_t *average;  /* [n], as m; NULL: none */
    int64_t averaged; /* steps in it; 0: its content has no meaning yet */
} optimizer_t;

/* Zero moments for a block of n elements (model_size()). Ends the program where memory does not suffice, as
 * GLib does. Owner: caller. */
optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n);
void optimizer_free(optimizer_t *optimizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(optimizer_t, optimizer_free)
/* Moments, average and counts of another one of the same size and configuration. */
void optimizer_copy(optimizer_t *to, const optimizer_t *from);

/* Learning rate of step (0-based): linear warm-up over warmup_steps to peak, then constant, or cosine down to
 * final_fraction * peak at total_steps. */
double optimizer_schedule(double peak, decay_t decay, int64_t step, int64_t warmup_steps, int64_t total_steps,
                          double final_fraction);

/* Exchanges the model's weights and their average, for evaluation; a second call exchanges them back, to the
 * bit. Does nothing where there is no average yet. */
void optimizer_swap_average(optimizer_t *optimizer, model_t *model);

/* One step, and the average's, in one pass over params and gradient, as torch.optim.Adam / AdamW computes it.
 * The gradient is first scaled down to clip_norm where its norm is larger. Returns the norm before clipping
 * (not finite where the gradient is not: nothing is changed then). Deterministic. */
double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate);
