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

/* Makes an optimizer with zero moments for a block of n elements (model_size()). Ends the program if memory
 * runs out, as GLib does. Owner: caller. */
optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n);
void optimizer_free(optimizer_t *optimizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(optimizer_t, optimizer_free)
/* Copies moments, average and counts from another optimizer of the same size and configuration. */
void optimizer_copy(optimizer_t *to, const optimizer_t *from);

/* The learning rate of a step (0-based): linear warm-up to peak over warmup_steps, then constant, or a cosine
 * down to final_fraction * peak at total_steps. */
double optimizer_schedule(double peak, decay_t decay, int64_t step, int64_t warmup_steps, int64_t total_steps,
                          double final_fraction);

/* Swaps the model's weights with their average, for evaluation; a second call swaps them back, exact to the
 * bit. Does nothing if there is no average yet. */
void optimizer_swap_average(optimizer_t *optimizer, model_t *model);

/* Takes one step, and updates the average, in one pass over the blocks, as torch.optim.Adam / AdamW. A
 * gradient whose norm is above clip_norm is first scaled down to it. Returns the norm before clipping; if it
 * is not finite, nothing is changed. Deterministic. */
double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate);
