/* evaluate_sequence: how well a sequence model does on whole pieces of a split
 * (trainer/evaluate/piece_bound.h). Pieces of similar length go side by side, and those groups to the ranks
 * by longest processing time; the groups do not depend on the rank count, so neither do the results, but for
 * the rounding of other BLAS threads. */
#ifndef MPIANIST_TRAINER_EVALUATE_EVALUATE_SEQUENCE_H
#define MPIANIST_TRAINER_EVALUATE_EVALUATE_SEQUENCE_H

#include "trainer/data/data.h"
#include "trainer/model/model.h"

/* Cells of the sounding plane; 0 where nothing is found. */
typedef struct {
    double precision, recall, f1;
} sequence_notes_t;

typedef struct {
    int64_t pieces, frames, segments;
    double nll, kl;   /* nats a frame; one draw of each latent: nll + kl estimates -ELBO. Without a latent nll
                         is exact */
    int particles;    /* K, 0: no bound computed */
    double bound;     /* -log of the particle bound, nats a frame */
    int active_units; /* by ACTIVE_UNITS_VARIANCE, over all segments */
    sequence_notes_t rebuilt,
        floor; /* from the posterior means; from prior means alone. Without a latent: 0 */
} sequence_evaluation_t;

/* Evaluates on a split of at least one piece. quiet: no progress on a terminal. Collective; every rank gets
 * the same result. FALSE with the same error set on all ranks where memory does not suffice; without an error
 * where any rank caught a stopping signal. */
gboolean evaluate_sequence(model_t *model, const data_t *data, split_t split, uint64_t seed, int particles,
                           gboolean quiet, sequence_evaluation_t *result, GError **error);

#endif
