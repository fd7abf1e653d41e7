/* optimizer: Adam and AdamW over one flat block, learning-rate schedules, gradient clipping, an average of
 * the weights, and the outer step of hosts that take several steps each by itself. No MPI, no files. */
#pragma once

#include "trainer/model/model.h"

typedef enum { DECAY_CONSTANT, DECAY_COSINE } decay_t;

typedef struct {
    double learning_rate; /* peak */
    double beta1, beta2, epsilon;
    double weight_decay; /* decoupled (AdamW, Loshchilov & Hutter 2019); 0 is Adam (Kingma & Ba 2015) */
    double clip_norm;    /* 0: none */
    double average;      /* D, decay of the weights' average, in [0, 1); 0: none */
    gboolean outer;      /* steps are local, and optimizer_outer_step() comes every few of them */
} optimizer_config_t;

/* Memory of someone else's, zeroed, [n] each and 64-byte aligned, which outlives the optimizer: ranks of a
 * host share it. average and momentum are not read where the configuration keeps none. */
typedef struct {
    real_t *m, *v, *average, *momentum;
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
    real_t *average;     /* [n], as m; NULL: none */
    int64_t averaged;    /* steps in it; 0: its content has no meaning yet */
    real_t *momentum;    /* [n], as m, of outer steps; NULL: none */
    int64_t outer_steps; /* taken with it; 0: its content has no meaning yet */
    /* Private to optimizer.c. */
    optimizer_factors_t factors; /* of the step that was begun; keep where there is decay */
    double kept;                 /* outer: by how much the steps since the outer step shrink the average */
    real_t *owned[4];            /* of m, v, average and momentum what the optimizer frees */
} optimizer_t;

/* Makes an optimizer with zero moments for a block of n elements (model_size()). Ends the program if memory
 * runs out, as GLib does. Owner: caller. */
optimizer_t *optimizer_new(const optimizer_config_t *config, size_t n);
/* The same in given memory. */
optimizer_t *optimizer_new_in(const optimizer_config_t *config, size_t n, const optimizer_memory_t *memory);
void optimizer_free(optimizer_t *optimizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(optimizer_t, optimizer_free)
/* Copies moments, average, momentum and counts from another optimizer of the same size and configuration. */
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

/* The same for a block of weights [n] that is no model's, all of it; without an average. */
void optimizer_update_block(optimizer_t *optimizer, real_t *weights, const real_t *gradient);

/* Local steps between hosts: DiLoCo (Douillard et al. 2023, arXiv:2311.08105). Every few steps, all hosts'
 * changes of the weights are averaged to an outer gradient, by which the weights of the last time take an
 * outer step (Sutskever et al. 2013, Nesterov, as torch.optim.SGD has it):
 *
 *     momentum = OPTIMIZER_OUTER_MOMENTUM momentum + gradient
 *     theta = synced - OPTIMIZER_OUTER_RATE (gradient + OPTIMIZER_OUTER_MOMENTUM momentum)
 *
 * The average of the weights then only sees these weights, once for all of the steps before. */
#define OPTIMIZER_OUTER_RATE     0.7 /* both as in the paper, section 3.1 */
#define OPTIMIZER_OUTER_MOMENTUM 0.9
/* Takes the outer step for elements [first, first + count) of the blocks. synced [n]: the weights after the
 * last outer step, or before the first step; it gets the new ones. gradient [count]. */
void optimizer_outer_step(optimizer_t *optimizer, model_t *model, real_t *synced, size_t first, size_t count,
                          const real_t *gradient);
/* Counts the outer step, once all elements have taken it. */
void optimizer_outer_end(optimizer_t *optimizer);

/* The whole step by the model's own gradient. Returns the norm before clipping; if it is not finite, nothing
 * is changed. */
double optimizer_step(optimizer_t *optimizer, model_t *model, double learning_rate);
