/* piece_bound: what a sequence model makes of whole pieces: likelihood, KL divergence, particle bound, notes
 * rebuilt from latents alone. Several pieces go side by side. No MPI, no files. Noise depends on (seed,
 * segment, particle) alone, so which pieces go together changes a piece's figures only by rounding.
 *
 * The particle bound draws K latents of each segment from the posterior, weighs each particle by p(frames |
 * z, past) p(z | past) / q(z | segment), and resamples systematically at the end of a segment if the
 * effective sample size is below K / 2. It is the sum of the log mean weights (Maddison et al. 2017, FIVO; Le
 * et al. 2018; Naesseth et al. 2018). K = 1 estimates the ELBO by one draw. */
#pragma once

#include "trainer/evaluate/figures.h"

#define PIECE_BOUND_PIECES 8 /* most pieces side by side */

typedef struct {
    const uint8_t *bits; /* [frames, frame bytes] */
    size_t frames;       /* >= 1 */
    meters_t meters;     /* stream_set_meters() */
    uint64_t segment;    /* number of its first segment in the split, for the noise */
} piece_bound_piece_t;

/* The figures of a piece, in nats. All members are doubles, which ranks add up. */
typedef struct {
    double nll, kl;    /* one draw of each segment's latent: nll + kl estimates -ELBO; without a latent nll is
                       exact and kl 0 */
    double bound;      /* -log of the particle bound; without a latent nll; 0 where there are no particles */
    rebuilt_t rebuilt; /* by trainer/model/rebuild.h from the posterior means, never shown the true past;
                          without a latent none */
    rebuilt_t floor;   /* the same from the prior's means along the generated past */
} piece_bound_result_t;

typedef struct piece_bound piece_bound_t;

/* Called now and then with the rows (frames of a piece or particle) done since the last call; returning FALSE
 * stops the run. */
typedef gboolean (*piece_bound_tick_t)(size_t rows, void *context);

/* particles: K, or 0 for no particle bound. draws: of each segment of pieces that are rebuilt, 1 or more; 1:
 * greedily. NULL with MODEL_ERROR_MEMORY set. Owner: caller; the model must
 * outlive it. */
piece_bound_t *piece_bound_new(model_t *model, int particles, int draws, uint64_t seed, GError **error);
void piece_bound_free(piece_bound_t *bound);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(piece_bound_t, piece_bound_free)

/* Rows that each frame of a piece costs; the ticks of a run add up to them. */
size_t piece_bound_rows_a_frame(const piece_bound_t *bound);
/* Evaluates n pieces, 1..PIECE_BOUND_PIECES, longest first, to results [n]. Adds each unit's sum of posterior
 * means over the segments, and the sum of their squares, to moments [2, Z]. FALSE if tick, which may be NULL,
 * said to stop: results and moments are then incomplete. */
gboolean piece_bound_run(piece_bound_t *bound, const piece_bound_piece_t *pieces, size_t n,
                         piece_bound_result_t *results, double *moments, piece_bound_tick_t tick,
                         void *context);
