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

/* Memory of someone else's, zeroed, [n] each and 64-byte aligned, which outlives the optimizer: ranks of a
 * host share it. average is not read where the configuration keeps none. */
typedef struct {
    real_t *m, *v, *average;
} optimizer_memory_t;

/* What all elements of a step have in common. */
typedef struct {
    real_t clip, keep, beta1, one_minus_beta1, beta2, one_minus_beta2, rate, root_correction, epsilon,
        average, one_minus_average;
} optimizer_factors_t;

typedef struct {
    optimizer_config_t config;
    size_t n;
    real_t *m, *v; /* first and second moments, [n], 64-byte aligned */
    int64_t step;  /* steps taken */
    /* Exponential average of the weights after n + 1 steps: average = d average + (1 - d) theta, d = min(D,
     * (1 + n) / (10 + n)), begun at the weights before the first of them. */
    real_t *average;  /* [n], as m; NULL: none */
    int64_t averaged; /* steps in it; 0: its content has no meaning yet */
    /* Private to optimizer.c. */
    optimizer_factors_t factors; /* of the step that was begun; keep where there is decay */
    real_t *owned[3];            /* of m, v and average what the optimizer frees */
} optimizer_t;

/* Makes an optimizer with zero moments for a block of n elements (model_size()). Ends the program if memory
 * runs out, as GLib does. Owner: caller. */
optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n);
/* The same in given memory. */
optimizer_t *optimizer_new_in(const optimizer_config_t *config, size_t n, const optimizer_memory_t *memory);
void optimizer_free(optimizer_t *optimizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(optimizer_t, optimizer_free)
/* Copies moments, average and counts from another optimizer of the same size and configuration. */
void optimizer_copy(optimizer_t *to, const optimizer_t *from);

/* The learning rate of a step (0-based): linear warm-up to peak over warmup_steps, then constant, or a cosine
 * down to final_fraction * peak at total_steps. */
double optimizer_schedule(double peak, decay_t decay, int64_t step, int64_t warmup_steps, int64_t total_steps,
                          double final_fraction);

/* Swaps elements [first, first + count) of the model's weights with their average, for evaluation; a second
 * call swaps them back, exact to the bit. Does nothing if there is no average yet. */
void optimizer_swap_average(optimizer_t *optimizer, model_t *model, size_t first, size_t count);

/* Begins a step whose whole gradient has this norm, and counts it. A gradient whose norm is above clip_norm
 * is scaled down to it. FALSE if the norm is not finite: then nothing is changed. */
gboolean optimizer_begin(optimizer_t *optimizer, double norm, double learning_rate);
/* Takes the step that was begun, as torch.optim.Adam / AdamW, and updates the average, for elements [first,
 * first + count) of the blocks, in one pass; gradient [count] is theirs. Each element's result has the same
 * bits however the block is cut. */
void optimizer_update(optimizer_t *optimizer, model_t *model, size_t first, size_t count,
                      const real_t *gradient);
/* The whole step by the model's own gradient. Returns the norm before clipping; if it is not finite, nothing
 * is changed. */
double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate);
