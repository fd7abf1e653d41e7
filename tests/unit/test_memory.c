/* The memory beside a plain twin in double, by the equations of trainer/model/memory.h; frame by frame; what
 * it may not know; and that a key remembers what it would remember wherever it lies. (Gradients:
 * double_sequence.c; PyTorch: test_golden_sequence.c.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/memory.h"

enum { B = 3, T = 20, MAX_CELLS = 128, MAX_M = 8 };
static const uint32_t lengths[B] = {T, 7, 3};

#define SHAPE(K, L, PITCHES, M, FIRST, TIED, DRUMS, ...)                                                     \
    {                                                                                                        \
        .kind = MODEL_SEQUENCE, .tracks = K, .planes = L, .pitches = PITCHES, .sequence = {                  \
            .memory = M,                                                                                     \
            .tied_first = FIRST,                                                                             \
            .tied_pitches = TIED,                                                                            \
            .drums = DRUMS,                                                                                  \
            .order = {__VA_ARGS__}                                                                           \
        }                                                                                                    \
    }
static const model_config_t configs[] = {
    SHAPE(1, 1, 88, 8, 0, 88, 0, 0),          SHAPE(1, 1, 40, 5, 11, 17, 0, 0),
    SHAPE(1, 2, 30, 3, 2, 25, 0, 0),          SHAPE(3, 2, 26, 4, 1, 20, 0, 2, 0, 1),
    SHAPE(4, 2, 40, 3, 6, 29, 2, 3, 1, 0, 2),
};

typedef struct {
    model_config_t config;
    GArray *table;
    size_t size, bytes, rows;
    real_t *params, *gradient;
    memory_t *memory;
    memory_pass_t pass;
    packing_t packing;
    uint8_t *bits; /* [B, 1 + T, bytes] */
    const uint8_t **frames;
    uint8_t *heard;
} fixture_t;

static void fill(uint64_t stream, real_t *out, size_t n, double sigma) {
    const rng_t rng = rng_make(3, RNG_NOISE, 0, stream);
    rng_normal(&rng, out, n);
    for (size_t i = 0; i < n; i++) out[i] = (real_t)(sigma * (double)out[i]);
}

/* Frame t of sequence b, from -1. */
static uint8_t *frame_of(const fixture_t *f, size_t b, int t) {
    return f->bits + (b * (1 + T) + (size_t)(t + 1)) * f->bytes;
}

static fixture_t *fixture_new(const model_config_t *config) {
    fixture_t *f = g_new0(fixture_t, 1);
    const rng_t bits = rng_make(3, RNG_DECODE, 0, 0), heard = rng_make(3, RNG_INPUT_DROPOUT, 0, 0);
    f->config = *config;
    f->bytes = model_frame_bytes(config);
    f->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    memory_lay_out(config, f->table);
    f->size = model_count_elements(f->table);
    f->params = layers_new_block(f->size);
    f->gradient = layers_new_block(f->size);
    fill(0, f->params, f->size, 0.4);
    const model_blocks_t blocks = {.table = &g_array_index(f->table, param_t, 0),
                                   .n = f->table->len,
                                   .params = f->params,
                                   .gradient = f->gradient};
    f->memory = memory_new(config, &blocks, NULL);
    packing_init(&f->packing, T);
    packing_make(&f->packing, lengths, B, 1);
    f->rows = f->packing.rows;
    g_assert_true(memory_pass_init(&f->pass, f->memory, f->rows, NULL));
    f->bits = g_malloc0(B * (1 + T) * f->bytes);
    f->frames = g_new(const uint8_t *, f->rows);
    f->heard = g_new(uint8_t, f->rows);
    for (size_t i = 0; i < 8 * B * (1 + T) * f->bytes; i++) /* padding bits, too, and onsets as they come */
        f->bits[i / 8] = (uint8_t)(f->bits[i / 8] | (rng_uniform(&bits, i) < 0.15) << i % 8);
    for (size_t t = 0; t < T; t++)
        for (size_t b = 0; b < packing_count(&f->packing, t); b++) {
            const size_t row = f->packing.offset[t] + b;
            f->frames[row] = frame_of(f, b, (int)t);
            f->heard[row] = rng_uniform(&heard, row) < 0.8;
        }
    return f;
}

static void fixture_free(fixture_t *f) {
    memory_free(f->memory);
    memory_pass_clear(&f->pass);
    packing_clear(&f->packing);
    g_array_unref(f->table);
    free(f->params);
    free(f->gradient);
    g_free(f->bits);
    g_free(f->frames);
    g_free(f->heard);
    g_free(f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(fixture_t, fixture_free)

static const real_t *find(const fixture_t *f, size_t k, const char *part) {
    g_autofree char *name = g_strdup_printf("memory.%zu.%s", k, part);
    for (guint i = 0; i < f->table->len; i++) {
        const param_t *param = &g_array_index(f->table, param_t, i);
        if (g_str_equal(param->name, name)) return f->params + param->offset;
    }
    g_error("no %s", name);
}

static double cell(const fixture_t *f, const uint8_t *frame, size_t track, size_t plane, ptrdiff_t p) {
    const size_t P = f->config.pitches, row = track * f->config.planes + plane;
    return p < 0 || p >= (ptrdiff_t)P ? 0 : frame[row * roll_stride(P) + (size_t)p / 8] >> p % 8 & 1;
}

/* A value for each row of W, in its order. */
static size_t plain_inputs(const fixture_t *f, size_t k, size_t p, const uint8_t *before, double *w) {
    const model_config_t *c = &f->config;
    const sequence_sizes_t *s = &c->sequence;
    const size_t drums = s->drums, first = s->tied_first;
    size_t n = 0;
    if (k < drums) {
        for (size_t l = 0; l < c->planes; l++)
            for (size_t any = 0; any < 2; any++)
                for (size_t key = first; key < first + s->tied_pitches; key++)
                    w[n++] = any || key == p ? cell(f, before, s->order[k], l, (ptrdiff_t)key) : 0;
        return n;
    }
    for (size_t l = 0; l < c->planes; l++)
        for (ptrdiff_t d = 13; d >= -13; d--) w[n++] = cell(f, before, s->order[k], l, (ptrdiff_t)p + d);
    for (size_t j = drums; j < c->tracks; j++)
        for (ptrdiff_t d = 13; d >= -13 && j != k; d--)
            w[n++] = cell(f, before, s->order[j], 0, (ptrdiff_t)p + d);
    for (size_t class = 0; class < 12; class ++, n++) {
        w[n] = 0;
        for (size_t j = drums; j < c->tracks; j++)
            for (size_t q = 0; q < c->pitches; q++)
                if (q % 12 == (p + class) % 12) w[n] += cell(f, before, s->order[j], 0, (ptrdiff_t)q);
    }
    return n;
}

/* The state h [M] of track k at pitch p, from frame t - 1 to t. */
static void plain_step(const fixture_t *f, size_t k, size_t p, const uint8_t *before, gboolean heard,
                       size_t t, double *h) {
    const size_t M = f->config.sequence.memory, i = p - f->config.sequence.tied_first;
    const real_t *W = find(f, k, "input.weight"), *b = find(f, k, "input.bias"), *U = find(f, k, "weight"),
                 *c = find(f, k, "bias"), *e = find(f, k, "pitch"), *d = find(f, k, "phase");
    double w[2048], old[MAX_M];
    const size_t n = plain_inputs(f, k, p, before, w);
    memcpy(old, h, M * sizeof *h);
    for (size_t u = 0; u < M; u++) {
        double x[3], hU[3] = {0};
        for (size_t gate = 0; gate < 3; gate++) {
            const size_t column = gate * M + u;
            x[gate] = (double)b[column] + (double)e[i * 3 * M + column] + (double)d[t % 16 * 3 * M + column];
            for (size_t r = 0; heard && r < n; r++) x[gate] += w[r] * (double)W[r * 3 * M + column];
            for (size_t v = 0; v < M; v++) hU[gate] += old[v] * (double)U[v * 3 * M + column];
        }
        const double r = 1 / (1 + exp(-x[0] - hU[0])), g = 1 / (1 + exp(-x[1] - hU[1]));
        h[u] = (1 - g) * tanh(x[2] + r * (hU[2] + (double)c[u])) + g * old[u];
    }
}

static void run(fixture_t *f) {
    memory_forward(f->memory, &f->pass, &(memory_rows_t){&f->packing, 1, f->frames, f->heard, NULL});
}

/* s of track k, frame t of sequence b, pitch p. */
static const real_t *state(const fixture_t *f, size_t k, size_t t, size_t b, size_t p) {
    const sequence_sizes_t *s = &f->config.sequence;
    return f->pass.s[k] + ((f->packing.offset[t] + b) * s->tied_pitches + p - s->tied_first) * s->memory;
}

static void test_twin(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autoptr(fixture_t) f = fixture_new(&configs[i]);
        const sequence_sizes_t *s = &f->config.sequence;
        double wrong = 0, norm = 0;
        run(f);
        for (size_t k = 0; k < f->config.tracks; k++)
            for (size_t b = 0; b < B; b++)
                for (size_t p = s->tied_first; p < s->tied_first + s->tied_pitches; p++) {
                    double h[MAX_M];
                    for (size_t u = 0; u < s->memory; u++) h[u] = (double)find(f, k, "start")[u];
                    for (size_t t = 0; t < lengths[b]; t++) {
                        plain_step(f, k, p, frame_of(f, b, (int)t - 1), f->heard[f->packing.offset[t] + b], t,
                                   h);
                        for (size_t u = 0; u < s->memory; u++) {
                            wrong += pow(h[u] - (double)state(f, k, t, b, p)[u], 2);
                            norm += h[u] * h[u];
                        }
                    }
                }
        g_assert_cmpfloat(norm, >, 1);
        g_assert_cmpfloat(sqrt(wrong / norm), <, 1e-6);
    }
}

/* Frame by frame, side by side, as over the whole. */
static void test_step(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autoptr(fixture_t) f = fixture_new(&configs[i]);
        const sequence_sizes_t *sizes = &f->config.sequence;
        const size_t n = sizes->tied_pitches * sizes->memory;
        real_t *s[4];
        g_autofree real_t *scratch = g_new(real_t, memory_scratch(f->memory));
        memset(f->heard, 1, f->rows);
        run(f);
        for (size_t k = 0; k < f->config.tracks; k++) s[k] = g_new(real_t, B * n);
        memory_prepare(f->memory);
        memory_begin(f->memory, s, B);
        for (size_t t = 0; t < T; t++) {
            const size_t N = packing_count(&f->packing, t);
            memory_step(f->memory, 0, N, f->frames + f->packing.offset[t], NULL, t, s, scratch);
            for (size_t k = 0; k < f->config.tracks; k++)
                for (size_t j = 0; j < N * n; j++)
                    g_assert_cmpfloat_with_epsilon((double)s[k][j],
                                                   (double)state(f, k, t, 0, sizes->tied_first)[j], 2e-6);
        }
        for (size_t k = 0; k < f->config.tracks; k++) g_free(s[k]);
    }
}

/* A frame changes what comes after it, and nothing that is not after it, to the bit; unless input dropout
 * hides it. */
static void test_causality(void) {
    enum { AT = 4 };
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        for (int hidden = 0; hidden < 2; hidden++) {
            g_autoptr(fixture_t) f = fixture_new(&configs[i]);
            const size_t K = f->config.tracks,
                         n = f->rows * f->config.sequence.tied_pitches * f->config.sequence.memory,
                         row = n / f->rows, first = f->packing.offset[AT + 1] * row;
            g_autofree real_t *before = g_new(real_t, K * n);
            size_t changed = 0;
            for (size_t b = 0; b < packing_count(&f->packing, AT + 1); b++)
                f->heard[f->packing.offset[AT + 1] + b] = !hidden;
            run(f);
            for (size_t k = 0; k < K; k++) memcpy(before + k * n, f->pass.s[k], n * sizeof *before);
            for (size_t b = 0; b < B; b++)
                for (size_t j = 0; j < f->bytes; j++) frame_of(f, b, AT)[j] ^= 0x5A;
            run(f);
            for (size_t k = 0; k < K; k++) {
                g_assert_cmpint(memcmp(before + k * n, f->pass.s[k], first * sizeof *before), ==, 0);
                for (size_t j = first; j < n; j++) changed += before[k * n + j] != f->pass.s[k][j];
            }
            g_assert_true(hidden ? changed == 0 : changed > n / 2);
        }
    }
}

/* Without what is a pitch's own, a transposed piece has the same states, moved, to the bit. */
static void test_transposition(void) {
    for (size_t i = 0; i < 4; i++)
        for (size_t up = 1; up < 6; up++) {
            g_autoptr(fixture_t) low = fixture_new(&configs[i]), high = fixture_new(&configs[i]);
            const model_config_t *c = &low->config;
            const sequence_sizes_t *s = &c->sequence;
            const size_t P = c->pitches, stride = roll_stride(P);
            memset(high->bits, 0, B * (1 + T) * high->bytes);
            for (size_t r = 0; r < B * (1 + T) * low->bytes / stride; r++) {
                uint8_t *from = low->bits + r * stride, *to = high->bits + r * stride;
                for (size_t p = 0; p < 8 * stride; p++) {
                    if (p + up >= P)
                        from[p / 8] = (uint8_t)(from[p / 8] & ~(1U << p % 8)); /* no room above */
                    if (p + up < P && from[p / 8] >> p % 8 & 1)
                        to[(p + up) / 8] = (uint8_t)(to[(p + up) / 8] | 1U << (p + up) % 8);
                }
            }
            for (size_t k = 0; k < c->tracks; k++) {
                memset((real_t *)(guintptr)find(low, k, "pitch"), 0,
                       s->tied_pitches * 3 * s->memory * sizeof(real_t));
                memset((real_t *)(guintptr)find(high, k, "pitch"), 0,
                       s->tied_pitches * 3 * s->memory * sizeof(real_t));
            }
            run(low);
            run(high);
            for (size_t k = 0; k < c->tracks; k++)
                for (size_t row = 0; row < low->rows; row++)
                    for (size_t p = 0; p + up < s->tied_pitches; p++)
                        g_assert_cmpint(memcmp(low->pass.s[k] + (row * s->tied_pitches + p) * s->memory,
                                               high->pass.s[k] + (row * s->tied_pitches + p + up) * s->memory,
                                               s->memory * sizeof(real_t)),
                                        ==, 0);
            const real_t *a = state(low, 0, T - 1, 0, s->tied_first + 3);
            g_assert_cmpint(memcmp(a, high->pass.s[0] + (a - low->pass.s[0]), s->memory * sizeof *a), !=, 0);
        }
}

/* Sizes that do not go together. */
static void test_refusals(void) {
    static const struct {
        size_t memory, note, first, pitches, frames;
        const char *message;
    } cases[] = {
        {6, 5, 3, 11, 60, "model: pitches 3 to 14 of 13 cannot have a memory"},
        {6, 0, 0, 0, 60, "model: pitches 0 to 0 of 13 cannot have a memory"},
        {0, 5, 0, 0, 60, "model: pitches 0 to 0 of 13 cannot have a memory"},
        {1025, 0, 1, 11, 60, "model: memory is 1025; it must be from 0 to 1024"},
        {1024, 0, 1, 11, 60000,
         "model: a pass of 60008 frames with 45056 values each is too large; choose a "
         "smaller batch, shorter --chunk or more accumulation"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        model_config_t config = memory_config();
        config.sequence.memory = cases[i].memory;
        config.sequence.note = cases[i].note;
        config.sequence.tied_first = cases[i].first;
        config.sequence.tied_pitches = cases[i].pitches;
        g_assert_null(model_new(&config, 2, cases[i].frames, &error));
        g_assert_error(error, MODEL_ERROR, MODEL_ERROR_SIZE);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/memory/twin", test_twin);
    g_test_add_func("/memory/step", test_step);
    g_test_add_func("/memory/causality", test_causality);
    g_test_add_func("/memory/transposition", test_transposition);
    g_test_add_func("/memory/refusals", test_refusals);
    return g_test_run();
}
