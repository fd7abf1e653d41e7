/* head_fixture: a head with random parameters, random columns of pre, and random canonical frames, one after
 * the other, whose padding bits are random too. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "trainer/model/head.h"

enum { ROWS = 8 };

/* Lags within one bank of the head's tables, and across several. */
#define FEW_LAGS  .lags = {1, 2, 4}, .n_lags = 3
#define MANY_LAGS .lags = {1, 2, 3, 5, 8, 9, 15}, .n_lags = 7
#define FAR_LAGS  .lags = {6}, .n_lags = 1
/* Few lags and profiles; of these the first track drawn may be drums. */
#define PROFILES    FEW_LAGS, .profiles = {5, 14}, .n_profiles = 2
#define AFTER_DRUMS PROFILES, .drums = 1
/* And lags in bars, which are not there in every row. */
#define BAR_LAGS FEW_LAGS, .bar = 6, .bar_lags = {1, 2}, .n_bar_lags = 2
/* Others with memories of M units and GRUs of N units along pitches. */
#define TIED(LAGS, M, N, FIRST, PITCHES)                                                                     \
    LAGS, .memory = M, .note = N, .tied_first = FIRST, .tied_pitches = PITCHES
#define HEAD_SHAPE(K, L, P, A, Q, LAGS, ...)                                                                 \
    {                                                                                                        \
        .kind = MODEL_SEQUENCE, .tracks = K, .planes = L, .pitches = P, .sequence = {                        \
            .nade = A,                                                                                       \
            .tied = Q,                                                                                       \
            LAGS,                                                                                            \
            .order = {__VA_ARGS__}                                                                           \
        }                                                                                                    \
    }

typedef struct {
    model_config_t config;
    head_t *head;
    GArray *table;
    /* Columns of pre; elements of a block of parameters; bytes of a frame; frames before the first. */
    size_t D, columns, size, bytes, context;
    real_t *params, *gradient, *pre;
    uint8_t *bits;
    uint8_t *frames[ROWS];
    uint8_t past[ROWS]; /* every third row does not see its past */
    head_memory_t memory;
    real_t **s, **ds; /* [tracks][ROWS, tied pitches, memory] */
    const uint8_t *keep[ROWS];
    place_t place[ROWS];
    const place_t *places[ROWS];
} fixture_t;

static inline void fixture_fill(uint64_t stream, real_t *out, size_t n, double sigma) {
    const rng_t rng = rng_make(3, RNG_NOISE, 0, stream);
    rng_normal(&rng, out, n);
    for (size_t i = 0; i < n; i++) out[i] = (real_t)(sigma * (double)out[i]);
}

static inline void fixture_fill_frames(fixture_t *f, double density) {
    const rng_t rng = rng_make(3, RNG_DECODE, 0, 0);
    const size_t stride = (f->config.pitches + 7) / 8, n = (f->context + ROWS) * f->bytes;
    for (size_t i = 0; i < 8 * n; i++)
        f->bits[i / 8] = (uint8_t)(f->bits[i / 8] | (rng_uniform(&rng, i) < density) << i % 8);
    for (size_t i = 0; f->config.planes == 2 && i < n; i++) {
        if (i / stride % 2 == PLANE_SOUNDING) continue;
        const uint8_t sounds = f->bits[i - stride],
                      sounded = i < f->bytes ? 0 : f->bits[i - stride - f->bytes];
        f->bits[i] = (uint8_t)((f->bits[i] | ~sounded) & sounds);
    }
}

static inline void fixture_fill_memory(fixture_t *f) {
    const size_t units = ROWS * f->config.sequence.tied_pitches * f->config.sequence.memory;
    f->s = g_new(real_t *, f->config.tracks);
    f->ds = g_new(real_t *, f->config.tracks);
    for (size_t k = 0; k < f->config.tracks; k++) {
        f->s[k] = g_new(real_t, units + 1);
        f->ds[k] = g_new0(real_t, units + 1);
        fixture_fill(2 + k, f->s[k], units, 1);
    }
    f->memory = (head_memory_t){.s = f->s, .ds = f->ds, .kept = 1};
    if (f->config.sequence.n_bar_lags == 0) return;
    f->memory.places = f->places;
    for (size_t r = 0; r < ROWS; r++) {
        f->place[r] = (place_t){.back = {(uint16_t)(r % 4 ? 5 : 0), (uint16_t)(r % 3 ? 12 : 4)}};
        f->places[r] = &f->place[r];
    }
}

static inline fixture_t *fixture_new(const model_config_t *config, double density) {
    fixture_t *f = g_new0(fixture_t, 1);
    f->config = *config;
    f->D = model_cells(config);
    f->bytes = model_frame_bytes(config);
    f->context = model_context(config);
    f->columns = head_columns(config);
    f->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    head_lay_out(config, f->table);
    const param_t *last = &g_array_index(f->table, param_t, f->table->len - 1);
    f->size = last->offset + last->rows * last->cols;
    f->params = layers_new_block(f->size);
    f->gradient = layers_new_block(f->size);
    f->pre = layers_new_block(ROWS * f->columns);
    f->bits = g_malloc0((f->context + ROWS) * f->bytes);
    fixture_fill(0, f->params, f->size, 0.5);
    fixture_fill(1, f->pre, ROWS * f->columns, 1);
    fixture_fill_frames(f, density);
    fixture_fill_memory(f);
    for (size_t r = 0; r < ROWS; r++) {
        f->frames[r] = f->bits + (f->context + r) * f->bytes;
        f->past[r] = r % 3 != 1;
    }
    const model_blocks_t blocks = {.table = &g_array_index(f->table, param_t, 0),
                                   .n = f->table->len,
                                   .params = f->params,
                                   .gradient = f->gradient};
    f->head = head_new(config, &blocks, NULL);
    g_assert_nonnull(f->head);
    head_prepare(f->head);
    return f;
}

static inline void fixture_free(fixture_t *f) {
    head_free(f->head);
    g_array_unref(f->table);
    free(f->params);
    free(f->gradient);
    free(f->pre);
    g_free(f->bits);
    for (size_t k = 0; k < f->config.tracks; k++) {
        g_free(f->s[k]);
        g_free(f->ds[k]);
    }
    g_free(f->s);
    g_free(f->ds);
    g_free(f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(fixture_t, fixture_free)

/* The shapes that are tested, and the share of cells that sound. */
static const struct {
    model_config_t config;
    double density;
} HEAD_CASES[] = {
    {HEAD_SHAPE(1, 1, 88, 64, 32, FEW_LAGS, 0), 0.05},
    {HEAD_SHAPE(1, 2, 88, 16, 16, FEW_LAGS, 0), 0.15},
    {HEAD_SHAPE(3, 2, 21, 24, 8, FEW_LAGS, 2, 0, 1), 0.3},
    {HEAD_SHAPE(4, 1, 12, 5, 3, FEW_LAGS, 3, 1, 0, 2), 0.3},
    {HEAD_SHAPE(2, 2, 3, 7, 9, FEW_LAGS, 1, 0), 0.7},
    {HEAD_SHAPE(1, 1, 128, 17, 33, FEW_LAGS, 0), 0.1},
    {HEAD_SHAPE(2, 2, 100, 32, 16, FEW_LAGS, 1, 0), 0.02},
    {HEAD_SHAPE(1, 2, 1, 1, 1, FEW_LAGS, 0), 0.5},
    {HEAD_SHAPE(1, 1, 88, 64, 32, MANY_LAGS, 0), 0.05},
    {HEAD_SHAPE(3, 2, 21, 24, 8, MANY_LAGS, 2, 0, 1), 0.3},
    {HEAD_SHAPE(2, 2, 30, 5, 6, FAR_LAGS, 1, 0), 0.2},
    {HEAD_SHAPE(1, 1, 88, 64, 32, PROFILES, 0), 0.05},
    {HEAD_SHAPE(4, 2, 40, 9, 5, AFTER_DRUMS, 3, 1, 0, 2), 0.1},
    {HEAD_SHAPE(1, 1, 88, 64, 32, TIED(FEW_LAGS, 48, 32, 0, 88), 0), 0.05},
    {HEAD_SHAPE(1, 2, 88, 8, 7, TIED(PROFILES, 5, 3, 20, 41), 0), 0.15},
    {HEAD_SHAPE(3, 2, 21, 24, 8, TIED(FEW_LAGS, 6, 0, 2, 19), 2, 0, 1), 0.3},
    {HEAD_SHAPE(2, 1, 12, 5, 3, TIED(FEW_LAGS, 0, 4, 0, 1), 1, 0), 0.3},
    {HEAD_SHAPE(4, 2, 40, 9, 5, TIED(AFTER_DRUMS, 4, 3, 12, 20), 3, 1, 0, 2), 0.1},
    {HEAD_SHAPE(1, 1, 88, 64, 32, BAR_LAGS, 0), 0.05},
    {HEAD_SHAPE(3, 2, 21, 24, 8, TIED(BAR_LAGS, 6, 3, 2, 19), 2, 0, 1), 0.3},
};

static inline const uint8_t *const *rows_of(const fixture_t *f) { return (const uint8_t *const *)f->frames; }

static inline gboolean get(const fixture_t *f, const uint8_t *frame, size_t cell) {
    const size_t P = f->config.pitches;
    return frame[cell / P * roll_stride(P) + cell % P / 8] >> cell % P % 8 & 1;
}

static inline void flip(const fixture_t *f, uint8_t *frame, size_t cell) {
    const size_t P = f->config.pitches;
    frame[cell / P * roll_stride(P) + cell % P / 8] ^= (uint8_t)(1 << cell % P % 8);
}

/* The cell that is drawn as number i. */
static inline size_t cell_drawn(const fixture_t *f, size_t i) {
    const size_t P = f->config.pitches, per_track = f->config.planes * P;
    return f->config.sequence.order[i / per_track] * per_track + i % per_track;
}
