/* evaluate_dense: evaluates a dense model on the grid windows of a split, each exactly once: bound, active
 * units, notes found. The noise of window i depends on (seed, i) alone. */
#pragma once

#include "trainer/evaluate/evaluator.h"
#include "trainer/evaluate/figures.h"

/* Sums over windows, nats. */
typedef struct {
    double windows, frames;
    double nll, kl;   /* of one draw of z a window, so nll + kl estimates -ELBO without bias */
    double objective; /* nll + beta * max(kl, free_bits) */
    double bound;     /* -log of the importance-weighted bound of K draws (Burda et al. 2016, equation 8) */
    cells_t cells;    /* with probability > 0.5 at z = mu */
} dense_sums_t;

/* Buffers for batches of job->max_B windows. Local; ends the program if memory runs out. Owner: caller. */
evaluator_t *evaluate_dense_new(const evaluation_job_t *job);

/* Writes the figures that training reports: JSON to members, text to found. active: active units. */
void evaluate_dense_tell_training(const dense_sums_t *sums, int active, json_t *members, evaluation_t *found);
