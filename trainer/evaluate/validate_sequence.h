/* validate_sequence: the bound of a sequence model on the whole pieces of a split, each as it is, by one pass
 * forward as in training. The noise of a piece depends on (seed, piece) alone. */
#pragma once

#include "trainer/evaluate/evaluator.h"

/* Sums over pieces, nats; of one draw of the latents. */
typedef struct {
    double pieces, frames;
    double segments; /* latents drawn: 0 of a model without a latent */
    double nll, kl;
    double objective; /* nll + beta * max(kl, segments * free_bits) */
} sequence_sums_t;

/* Batches hold at most max_B pieces and max_frames frames, at least data_longest_piece(). Local, cannot fail.
 * Owner: caller. */
evaluator_t *validate_sequence_new(const evaluation_job_t *job);

/* What training tells of the sums. */
void validate_sequence_tell(const sequence_sums_t *sums, int active, json_t *members, evaluation_t *found);
