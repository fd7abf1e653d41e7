/* particles: keeps what is known of a piece and writes the rest, by sequential Monte Carlo (Doucet & Johansen
 * 2009, "A tutorial on particle filtering and smoothing"). The sequence model tells exactly how probable a
 * frame is given those before it, so it also tells how probable what is known is after each guess at what is
 * not. K guesses, the particles, go side by side, each with its own state, latent and frames:
 *
 *     a frame     each particle draws its unknown cells; those that are known take their values, and how
 *                 probable these are is multiplied into its weight; with a guide they are drawn by what is
 *                 known, and the weight corrects how much likelier that has made them
 * a latent    is drawn from the prior, or, where the whole segment is known, from the posterior q with the
 * weight prior / q: the root of K draws, of which each particle takes one, so that most differences
 *                 of weights come from what the particles have written
 *     resampling  systematic, where the effective sample size falls below K / 2
 *     look-ahead  after the last unknown frame particles are weighed by so many known ones, so that the seam
 *                 fits; then one of them is drawn by its weight and goes on alone
 *
 * Where nothing known lies ahead, no weight can change any more, and one particle goes on
 * alone. Known frames before the first unknown one are no guess: one state goes through them, with the
 * posterior means as latents. The more particles, the nearer the piece is to a draw from the exact posterior.
 * Rolls, no options, no files. */
#pragma once

#include "sampler/make/compose.h"
#include "trainer/model/guide.h"

typedef struct particles particles_t;

/* For up to `most` particles, on so many threads. model: of kind MODEL_SEQUENCE; must outlive it. NULL with
 * MODEL_ERROR_MEMORY set. Owner: caller. */
particles_t *particles_new(model_t *model, size_t most, size_t threads, GError **error);
void particles_free(particles_t *particles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(particles_t, particles_free)

/* What somebody wishes of the cells that are not known: the music is then drawn as if the model were one that
 * heeds it (head_wish_t), and the evidence is that model's. */
typedef struct {
    /* Writes what is wished of the cells [D] of particle k's frame t to which; *begins and *stays are 0. */
    void (*cells)(void *data, size_t t, size_t k, real_t *which, double *begins, double *stays);
    /* Particle k has this frame t. */
    void (*take)(void *data, size_t t, size_t k, const uint8_t *frame);
    /* Particle k < n becomes a copy of particle parents[k]. */
    void (*select)(void *data, const uint32_t *parents, size_t n);
    void *data;
} particles_wish_t;

/* A piece. Its random numbers depend on (seed, index) alone. */
typedef struct {
    const roll_t *song;         /* what is known, in its place; cells that are not known are silent */
    const roll_t *known;        /* of the same shape: a set bit for each cell that is known, plane by plane */
    const timeline_t *timeline; /* its meters, from its first frame on */
    size_t particles;           /* K >= 1 */
    size_t look_ahead;          /* frames */
    double
        temperature; /* of draws: head_rule_t. 0: the likelier of each cell, the weightiest particle; then no
                            cell is known in a frame that is open, and nothing wished */
    const real_t *shift; /* [Z], in sd: moves the latents of segments of which nothing is known; NULL: none */
    /* Latents of segments that are not wholly known: keep times centres [segments, Z], 1 - keep times the
     * prior's mean, and `noise` times the prior's spread. NULL: as the prior has them. */
    const compose_latents_t *near;
    uint64_t seed, index;
    const particles_wish_t *wish; /* NULL: none */
    /* Measuring, by a model without latents: the true piece, which the first particle follows (conditional
     * sequential Monte Carlo; Andrieu et al. 2010). The evidence is then too large on average, as it is too
     * small without. NULL: no particle does. */
    const roll_t *truth;
    guide_t *guide;           /* draws what fits what is known (trainer/model/guide.h); NULL: none */
    void (*tick)(void *data); /* called after each frame where not NULL */
    void *tick_data;
} particles_piece_t;

/* How sure the filling is. */
typedef struct {
    /* log p(what is known from the first unknown frame on | what is before and what is written), in nats. */
    double log_fit;
    double log_evidence; /* log p(what is known from the first unknown frame on | what is before), in nats */
    size_t frames;       /* the frames with known cells that both are of */
    double fewest;       /* the least effective sample size after a frame, in particles */
    size_t fewest_frame;
} particles_evidence_t;

/* The piece: known cells as they are, the others written. Canonical. Owner: caller. */
roll_t *particles_write(particles_t *particles, const particles_piece_t *piece,
                        particles_evidence_t *evidence);
