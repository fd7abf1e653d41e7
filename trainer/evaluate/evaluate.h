/* evaluate: how well a model does on a split: bound, active units, notes found. Grid windows, each exactly
 * once, divided among the ranks; the noise of window i depends on (seed, i) alone, so results do not depend
 * on the rank count but by rounding. */
#ifndef MPIANIST_TRAINER_EVALUATE_EVALUATE_H
#define MPIANIST_TRAINER_EVALUATE_EVALUATE_H

#include "trainer/data/data.h"
#include "trainer/model/model.h"
#include "trainer/run/options.h"

typedef struct {
    int64_t windows, frames; /* sequence: pieces in place of windows, also below */
    int64_t segments;        /* latents: dense: windows */
    double nll,
        kl; /* means, nats a window; one draw of z a window, so nll + kl estimates -ELBO without bias */
    double objective; /* mean of nll + beta * max(kl, free_bits) */
    int draws;        /* K of the importance-weighted bound, 0: not computed */
    double iwae;      /* -log of the K-draw bound, mean, nats a window (Burda et al. 2016, equation 8) */
    int active_units; /* trainer/evaluate/active_units.h */
    double precision, recall,
        f1; /* cells of the sounding plane with probability > 0.5 at z = mu; 0 where nothing is found */
} evaluation_t;

typedef struct evaluator evaluator_t;

/* Buffers for passes of at most max_B windows (the model's). draws: K, 0 for none. Local, cannot fail. Owner:
 * caller. */
evaluator_t *evaluator_new(const model_config_t *config, size_t max_B, int draws);
void evaluator_free(evaluator_t *evaluator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(evaluator_t, evaluator_free)

/* Evaluates on a split of at least one window. Collective; every rank gets the same result. Allocates
 * nothing. FALSE, without a result, where any rank caught a stopping signal meanwhile or could not read a
 * song: rolls_agree(). */
gboolean evaluator_run(evaluator_t *evaluator, model_t *model, const data_t *data, split_t split,
                       uint64_t seed, double beta, double free_bits, evaluation_t *result);

/* --evaluate: prints one line of JSON to standard output (rank 0) and a table to standard error. Collective.
 * Returns an exit status; errors are agreed and set on every rank. */
int evaluate_run(const options_t *options, GError **error);

#endif
