/* validate: the bound of a sequence model on the whole pieces of a split, each as it is, divided among
 * the ranks by frames. The noise of a piece depends on (seed, piece) alone, so results do not depend on the
 * rank count but by rounding. */
#ifndef MPIANIST_TRAINER_EVALUATE_VALIDATE_H
#define MPIANIST_TRAINER_EVALUATE_VALIDATE_H

#include "trainer/evaluate/evaluate.h"

typedef struct piece_evaluator piece_evaluator_t;

/* For passes of at most max_B pieces and max_frames frames, at least data_longest_piece(). Collective, cannot
 * fail; data must outlive it. Owner: caller. */
piece_evaluator_t *piece_evaluator_new(const data_t *data, split_t split, const model_config_t *config,
                                       size_t max_B, size_t max_frames);
void piece_evaluator_free(piece_evaluator_t *evaluator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(piece_evaluator_t, piece_evaluator_free)

/* Evaluates on the split, of at least one piece. Collective; every rank gets the same result: windows
 * (pieces), frames, segments, nll, kl and objective, from one draw of the latents, and active_units; the rest
 * is zero. Allocates nothing. FALSE, without a result, where any rank caught a stopping signal meanwhile or
 * could not read a piece: rolls_agree(). */
gboolean piece_evaluator_run(piece_evaluator_t *evaluator, model_t *model, uint64_t seed, double beta,
                             double free_bits, evaluation_t *result);

#endif
