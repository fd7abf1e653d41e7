/* composed: small models, and pieces that the sampler draws from them. */
#pragma once

#include <math.h>
#include <string.h>

#include "sampler/make/compose.h"
#include "tests/helpers/made_model.h"

enum { S = 8 };

/* made_model() with segments of S frames. */
static inline sample_model_t *make_model(const char *arguments) {
    g_autofree char *all = g_strdup_printf("--segment %d --bias -4 %s", S, arguments);
    return made_model(all);
}

static inline compose_t *make_compose(const sample_model_t *model) {
    compose_t *compose = compose_new(model->model, 1, NULL);
    g_assert_nonnull(compose);
    return compose;
}

static inline compose_piece_t draw_of(uint64_t seed, uint64_t index, size_t frames) {
    return (compose_piece_t){.frames = frames,
                             .seed = seed,
                             .index = index,
                             .draw = TRUE,
                             .temperature = 1,
                             .latents = {.keep = 1, .noise = 1}};
}

/* Whether the first frames are the same, bit by bit. */
static inline gboolean same_frames(const roll_t *a, const roll_t *b, size_t frames) {
    g_assert_cmpuint(a->frames, >=, frames);
    g_assert_cmpuint(b->frames, >=, frames);
    return memcmp(a->bits, b->bits, frames * a->tracks * ROLL_PLANES * a->stride) == 0;
}
