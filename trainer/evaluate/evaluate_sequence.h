/* evaluate_sequence: evaluates a sequence model on whole pieces of a split (trainer/evaluate/piece_bound.h).
 * Groups of pieces of similar length run side by side, and the groups are divided among the ranks. They do
 * not depend on the rank count, so the results differ only by rounding, where BLAS has other threads. */
#pragma once

#include "trainer/evaluate/evaluator.h"

/* Its figures: nats a frame and a segment, the particle bound if job->draws > 0, and notes rebuilt from
 * latents alone. Collective. NULL with the same error set on all ranks if memory runs out. Owner: caller. */
evaluator_t *evaluate_sequence_new(const evaluation_job_t *job, GError **error);
