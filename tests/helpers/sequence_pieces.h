/* sequence_pieces: a small sequence model with strong weights, and random pieces for it. */
#pragma once

#include <glib.h>
#include <math.h>
#include <string.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/model.h"

enum { PIECES_MAX = 8, PIECE_FRAMES_MAX = 60 };

/* Two tracks, both planes, pitches that do not fill bytes; the second track is drawn first. */
static const model_config_t tracks_config = {.kind = MODEL_SEQUENCE,
                                             .tracks = 2,
                                             .planes = 2,
                                             .pitches = 13,
                                             .latent = 5,
                                             .loss = LOSS_BCE,
                                             .sequence = {.segment = 4,
                                                          .state = 24,
                                                          .encoder = 10,
                                                          .sketch = 6,
                                                          .nade = 7,
                                                          .tied = 8,
                                                          .posterior_hidden = 12,
                                                          .prior_hidden = 9,
                                                          .sketch_hidden = 11,
                                                          .lags = {1, 2, 5, 9},
                                                          .n_lags = 4,
                                                          .order = {1, 0}}};

/* The same with memories and GRUs along pitches, which do not fill the keys; the first track drawn is drums.
 * */
static inline model_config_t memory_config(void) {
    model_config_t config = tracks_config;
    config.sequence.drums = 1;
    config.sequence.memory = 6;
    config.sequence.note = 5;
    config.sequence.tied_first = 1;
    config.sequence.tied_pitches = 11;
    return config;
}

/* That with places in the bar, and lags in bars. */
static inline model_config_t bar_config(void) {
    model_config_t config = memory_config();
    config.sequence.bar = 5;
    config.sequence.bar_lags[0] = 1;
    config.sequence.bar_lags[1] = 3;
    config.sequence.n_bar_lags = 2;
    return config;
}

/* The meters of piece b: bars of 4 frames, then of 3; or of 6 to its end, longer than the model tells apart.
 */
static const meter_change_t pieces_meters[] = {{0, 2, 4}, {12, 3, 8}, {0, 3, 4}};
static inline meters_t piece_meters(size_t b) {
    return (meters_t){2, pieces_meters + (b % 2 ? 2 : 0), b % 2 ? 1 : 2, 8};
}

static inline model_config_t one_track_config(size_t pitches, size_t segment, size_t latent) {
    model_config_t config = tracks_config;
    config.tracks = config.planes = 1;
    config.pitches = pitches;
    config.latent = latent;
    config.sequence.segment = segment;
    config.sequence.order[0] = 0;
    return config;
}

/* A model whose matrices are `factor` times as strong as fresh ones, so that what goes in matters. */
static inline model_t *new_sequence_model(const model_config_t *config, size_t max_B, double factor) {
    g_autoptr(GError) error = NULL;
    model_t *model = model_new(config, max_B, max_B * PIECE_FRAMES_MAX, &error);
    g_assert_no_error(error);
    model_init(model, 5);
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; table[i].rows > 1 && j < table[i].rows * table[i].cols; j++)
            model_params(model)[table[i].offset + j] *= (real_t)factor;
    const rng_t rng = rng_make(5, RNG_NOISE, 0, 0);
    for (size_t i = 0; i < n; i++) /* places in the bar start at 0 */
        if (strstr(table[i].name, ".bar"))
            rng_normal(&rng, model_params(model) + table[i].offset, table[i].rows * table[i].cols);
    return model;
}

static inline real_t *find_values(model_t *model, const char *name, size_t *count) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        if (!g_str_equal(table[i].name, name)) continue;
        *count = table[i].rows * table[i].cols;
        return model_params(model) + table[i].offset;
    }
    g_error("no parameter %s", name);
}

/* Sets every value of a parameter. */
static inline void set_values(model_t *model, const char *name, double value) {
    size_t n = 0;
    real_t *values = find_values(model, name, &n);
    for (size_t i = 0; i < n; i++) values[i] = (real_t)value;
}

/* Random pieces in canonical form, longest first, as a batch with silence before; owned arrays. */
typedef struct {
    size_t B, T, frame_bytes, context;
    uint8_t *bits; /* [B, context + T, frame bytes] */
    uint32_t valid[PIECES_MAX];
    place_t *places; /* [B, T], NULL where the model knows none */
} pieces_t;

static inline const uint8_t *piece_bits(const pieces_t *pieces, size_t b) {
    return pieces->bits + (b * (pieces->context + pieces->T) + pieces->context) * pieces->frame_bytes;
}

/* Random pieces of so many frames each, whose notes last: a cell keeps its state with probability 0.7. */
static inline pieces_t *new_pieces(const model_config_t *config, size_t B, const uint32_t *frames,
                                   uint64_t seed) {
    const rng_t rng = rng_make(seed, RNG_DECODE, 0, 0);
    const size_t stride = (config->pitches + 7) / 8;
    uint64_t element = 0;
    pieces_t *pieces = g_new0(pieces_t, 1);
    pieces->B = B;
    pieces->T = frames[0];
    pieces->frame_bytes = model_frame_bytes(config);
    pieces->context = model_context(config);
    pieces->bits = g_malloc0(B * (pieces->context + pieces->T) * pieces->frame_bytes);
    if (config->sequence.bar > 0) pieces->places = g_new0(place_t, B * pieces->T);
    for (size_t b = 0; b < B; b++) {
        g_autoptr(roll_t) roll = roll_new(frames[b], config->tracks, config->pitches);
        pieces->valid[b] = frames[b];
        for (size_t t = 0; t < frames[b]; t++)
            for (size_t k = 0; k < config->tracks; k++)
                for (size_t p = 0; p < config->pitches; p++) {
                    const gboolean before = t > 0 && roll_get(roll, t - 1, k, PLANE_SOUNDING, p),
                                   stays = rng_uniform(&rng, element++) < 0.7;
                    if (stays ? before : rng_uniform(&rng, element++) < 0.3)
                        roll_set(roll, t, k, PLANE_SOUNDING, p);
                    if (rng_uniform(&rng, element++) < 0.05) roll_set(roll, t, k, PLANE_ONSET, p);
                }
        roll_make_canonical(roll);
        for (size_t t = 0; pieces->places && t < frames[b]; t++)
            place_find(piece_meters(b), t, config, &pieces->places[b * pieces->T + t]);
        uint8_t *to =
            pieces->bits + (b * (pieces->context + pieces->T) + pieces->context) * pieces->frame_bytes;
        for (size_t row = 0; row < frames[b] * config->tracks; row++)
            memcpy(to + row * config->planes * stride, roll->bits + row * ROLL_PLANES * stride,
                   config->planes * stride);
    }
    return pieces;
}

static inline void free_pieces(pieces_t *pieces) {
    g_free(pieces->bits);
    g_free(pieces->places);
    g_free(pieces);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pieces_t, free_pieces)

static inline batch_t whole_batch(const pieces_t *pieces, const real_t *eps) {
    return (batch_t){.B = pieces->B,
                     .T = pieces->T,
                     .bits = pieces->bits,
                     .valid = pieces->valid,
                     .eps = eps,
                     .places = pieces->places};
}
