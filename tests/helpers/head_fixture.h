/* head_fixture: a head with random parameters, random columns of pre and random canonical frames, one after
 * the other; padding bits at random. */
#ifndef MPIANIST_TESTS_HELPERS_HEAD_FIXTURE_H
#define MPIANIST_TESTS_HELPERS_HEAD_FIXTURE_H

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
    size_t D, columns, size, bytes, context; /* columns of pre; elements of a block of parameters; bytes of a
                                                frame; frames before the first */
    real_t *params, *gradient, *pre;
    uint8_t *bits;
    uint8_t *frames[ROWS];
    uint8_t past[ROWS]; /* every third row does not see its past */
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
    for (size_t r = 0; r < ROWS; r++) {
        f->frames[r] = f->bits + (f->context + r) * f->bytes;
        f->past[r] = r % 3 != 1;
    }
    const model_blocks_t blocks = {&g_array_index(f->table, param_t, 0), f->table->len, f->params,
                                   f->gradient};
    f->head = head_new(config, &blocks, NULL);
    g_assert_nonnull(f->head);
    return f;
}

static inline void fixture_free(fixture_t *f) {
    head_free(f->head);
    g_array_unref(f->table);
    free(f->params);
    free(f->gradient);
    free(f->pre);
    g_free(f->bits);
    g_free(f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(fixture_t, fixture_free)

#endif
