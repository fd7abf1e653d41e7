/* evaluate_sequence: how well a sequence model does on whole pieces of a split
 * (trainer/evaluate/piece_bound.h). Pieces of similar length go side by side in groups, and those to the
 * ranks; the groups do not depend on the rank count, so neither do the results, but for the rounding of other
 * BLAS threads. */
#pragma once

#include "trainer/evaluate/evaluator.h"

/* The figures: nats a frame and a segment; of particles where job->draws > 0; notes rebuilt from latents
 * alone. Collective. NULL with the same error set on all ranks where memory does not suffice. Owner:
 * caller. */
evaluator_t *evaluate_sequence_new(const evaluation_job_t *job, GError **error);
