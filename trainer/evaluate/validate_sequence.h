/* validate_sequence: the bound of a sequence model on the whole pieces of a split, not augmented, by one
 * forward pass as in training. The noise of a piece depends on (seed, piece) alone. */
#pragma once

#include "trainer/evaluate/evaluator.h"

/* Sums over pieces, nats; of one draw of the latents. */
typedef struct {
    double pieces, frames;
    double segments; /* latents drawn: 0 of a model without a latent */
    double nll, kl;
    double objective;           /* max(nll + beta * max(kl, segments * free_bits), nll / (1 - free_share)) */
    double onsets, performance; /* of a model that learns how onsets are played */
} sequence_sums_t;

/* Batches hold at most job->max_B pieces and job->max_frames frames, at least data_longest_piece(). Local;
 * ends the program if memory runs out. Owner: caller. */
evaluator_t *validate_sequence_new(const evaluation_job_t *job);

/* Writes the figures that training reports: JSON to members, text to found. active: active units. */
void validate_sequence_tell(const sequence_sums_t *sums, int active, json_t *members, evaluation_t *found);
