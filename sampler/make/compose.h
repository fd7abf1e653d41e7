/* compose: the sequence model as a maker of new music: pieces of any length, frame by frame, state carried
 * from start to end; of music that is given in part: sampler/make/particles.h. Rolls and latents; no options,
 * no files.
 *
 * Letters as in trainer/model/model.h: S frames a segment, W segments, Z latent, D cells a frame. */
#pragma once

#include "preprocess/roll/roll.h"
#include "trainer/model/model.h"

typedef struct compose compose_t;

/* model: of kind MODEL_SEQUENCE; must outlive it. threads: 1 or more. NULL with error set (memory). Owner:
 * caller. */
compose_t *compose_new(model_t *model, size_t threads, GError **error);
void compose_free(compose_t *compose);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(compose_t, compose_free)

/* How many segments so many frames take: ceil(frames / S). */
size_t compose_segments(const compose_t *compose, size_t frames);
/* Posterior means [W, Z] of frames first, first + 1, ... of roll (of the model's grid, first + frames <=
 * roll->frames), the last segment filled up with silence. Z >= 1. Owner: caller. */
real_t *compose_encode(compose_t *compose, const roll_t *roll, size_t first, size_t frames);

/* How each segment's latent is made from its learned prior N(mu, sd^2), which knows what the piece has been
 * so far:
 *     z = keep * centre + (1 - keep) * mu + sd * (noise * eps + shift)
 * and z[feature] is moved by `by` * sd more. So noise 1 alone draws from the prior; centres with keep 1 are
 * decoded; a variation is between them: keep = sqrt(1 - a^2), noise = a. */
typedef struct {
    const real_t *centres; /* [segments, Z]; NULL: mu */
    size_t segments;       /* of centres; those after them have mu */
    double keep, noise;
    const real_t *shift; /* [Z], in sd; NULL: none */
    size_t feature;      /* from Z on: none */
    double by;
} compose_latents_t;

/* A piece. Its random numbers depend on (seed, index) alone: the latents of segment w on RNG_PRIOR, epoch 1 +
 * index, sample w; cell i of frame t on RNG_DECODE, sample index, element t D + i, epoch 0 or, where a
 * segment has several draws, that of the draw. So a longer piece begins with the shorter one, but for the
 * segment in which that ends, where there are several. */
typedef struct {
    size_t frames; /* >= 1 */
    uint64_t seed, index;
    gboolean draw;      /* each cell by its probability; else the likelier */
    double temperature; /* of draws: head_rule_t; 0: as where nothing is drawn */
    size_t best_of; /* draws of each segment of which one is kept (trainer/model/rebuild.h); 0: one draw */
    compose_latents_t latents;
    /* Its meters, from its first frame on: where the model knows them, not NULL. */
    const timeline_t *timeline;
    void (*tick)(void *data); /* called after each frame where not NULL */
    void *tick_data;
} compose_piece_t;

/* How many pieces go side by side. */
#define COMPOSE_TOGETHER 64
/* Writes 1 .. COMPOSE_TOGETHER pieces, canonical, to rolls [n]; all have the same frames, and all or none
 * best_of. No piece depends on those beside it. Owner of the rolls: caller. */
void compose_pieces(compose_t *compose, const compose_piece_t *pieces, size_t n, roll_t **rolls);
/* One piece. Owner: caller. */
roll_t *compose_piece(compose_t *compose, const compose_piece_t *piece);
