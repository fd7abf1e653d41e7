/* Times the head on one thread: microseconds a row (a frame) of its training pass, its score, a draw and its
 * plain twin, over voices that move by chance. Not a test. make build/release/tests/bench/bench_head &&
 * build/release/tests/bench/bench_head [seconds a figure] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/processor.h"
#include "tests/helpers/head_twin.h"

enum { ROWS = 400, VOICES = 5 };

typedef struct {
    head_t *head;
    const model_config_t *config;
    size_t columns;
    const uint8_t *frames[ROWS];
    real_t *pre, *scratch;
    uint8_t *drawn; /* the last frame, drawn again and again */
    double nll[ROWS];
    real_t *states; /* [2, K, ROWS, pitches, M] */
    real_t *s[4], *ds[4];
    head_memory_t memory;
} bench_t;

/* Each voice of a track moves with probability `move` a frame, and is silent one time in ten. */
static void fill_frames(const model_config_t *config, double move, uint8_t *bits) {
    const rng_t rng = rng_make(1, RNG_DECODE, 0, 0);
    const size_t stride = (config->pitches + 7) / 8, row = config->planes * stride;
    uint64_t element = 0;
    const size_t context = model_context(config);
    for (size_t k = 0; k < config->tracks; k++)
        for (size_t voice = 0; voice < VOICES; voice++) {
            size_t pitch = 0;
            for (size_t t = 0; t < context + ROWS; t++) {
                const gboolean moves = t == 0 || rng_uniform(&rng, element++) < move;
                if (moves)
                    pitch = rng_uniform(&rng, element) < 0.1
                                ? SIZE_MAX
                                : 15 + 10 * voice + (size_t)rng_below(&rng, element + 1, 15);
                element += 2;
                if (pitch == SIZE_MAX) continue;
                uint8_t *byte = bits + (t * config->tracks + k) * row + pitch / 8;
                *byte = (uint8_t)(*byte | 1 << pitch % 8);
                if (moves && config->planes == 2) byte[stride] = (uint8_t)(byte[stride] | 1 << pitch % 8);
            }
        }
}

static void train(bench_t *b) {
    memcpy(b->scratch, b->pre, ROWS * b->columns * sizeof *b->pre);
    head_train(b->head, ROWS, b->frames, NULL, &b->memory, b->scratch, 1e-3, b->nll);
}
static void score(bench_t *b) {
    head_prepare(b->head);
    head_score(b->head, ROWS, b->frames, NULL, &b->memory, b->pre, b->nll);
}
static void draw(bench_t *b) {
    const head_rule_t greedy = {.temperature = 1};
    for (size_t i = 0; i < 100; i++)
        head_draw(b->head, b->drawn, &b->memory, 0, b->pre + i * b->columns, &greedy);
}
static void plain(bench_t *b) {
    head_logits(b->head, b->config, b->frames[0], &b->memory, 0, b->pre, b->scratch);
}

/* The fastest of the calls made in `seconds`, in microseconds a row. */
static double fastest(bench_t *b, void (*call)(bench_t *), size_t rows, double seconds) {
    double best = 1e30;
    for (const double end = processor_us() + seconds * 1e6; processor_us() < end;) {
        const double start = processor_us();
        call(b);
        best = MIN(best, (processor_us() - start) / (double)rows);
    }
    return best;
}

/* States of a memory of M units, and room for their gradient. */
static void fill_states(bench_t *b, size_t K, size_t M) {
    const size_t n = ROWS * b->config->sequence.tied_pitches * M;
    const rng_t rng = rng_make(1, RNG_NOISE, 0, 1);
    b->states = layers_new_block(MAX(2 * K * n, 1));
    rng_normal(&rng, b->states, K * n);
    for (size_t k = 0; k < K; k++) {
        b->s[k] = b->states + k * n;
        b->ds[k] = b->states + (K + k) * n;
    }
    b->memory = (head_memory_t){.s = b->s, .ds = b->ds};
}

/* M, N: units of memories and of GRUs along pitches. */
static void run(size_t K, size_t L, double move, size_t M, size_t N, double seconds) {
    const model_config_t config = {.kind = MODEL_SEQUENCE,
                                   .tracks = K,
                                   .planes = L,
                                   .pitches = 88,
                                   .sequence = {.nade = 64,
                                                .tied = 32,
                                                .lags = {1, 2, 4},
                                                .n_lags = 3,
                                                .order = {0, 1, 2, 3},
                                                .memory = M,
                                                .note = N,
                                                .tied_pitches = M + N ? 88 : 0}};
    g_autoptr(GArray) table = g_array_new(FALSE, FALSE, sizeof(param_t));
    head_lay_out(&config, table);
    const param_t *last = &g_array_index(table, param_t, table->len - 1);
    const size_t size = last->offset + last->rows * last->cols, columns = head_columns(&config),
                 bytes = model_frame_bytes(&config), context = model_context(&config);
    real_t *params = layers_new_block(size), *gradient = layers_new_block(size);
    g_autofree uint8_t *bits = g_malloc0((context + ROWS) * bytes);
    bench_t b = {.config = &config,
                 .columns = columns,
                 .pre = layers_new_block(ROWS * columns),
                 .scratch = layers_new_block(ROWS * columns)};
    const rng_t rng = rng_make(1, RNG_NOISE, 0, 0);
    rng_normal(&rng, params, size);
    rng_normal(&rng, b.pre, ROWS * columns);
    for (size_t i = 0; i < size; i++) params[i] *= 0.05f;
    for (size_t i = 0; i < ROWS * columns; i++)
        b.pre[i] -= i % columns < columns - 64 ? 3 : 0; /* sparse draws */
    fill_frames(&config, move, bits);
    fill_states(&b, K, M);
    for (size_t r = 0; r < ROWS; r++) b.frames[r] = bits + (context + r) * bytes;
    b.drawn = bits + (context + ROWS - 1) * bytes;
    b.head = head_new(&config,
                      &(model_blocks_t){.table = &g_array_index(table, param_t, 0),
                                        .n = table->len,
                                        .params = params,
                                        .gradient = gradient},
                      NULL);
    printf("tracks %zu, planes %zu, memory %2zu, note %2zu, voices move %3.0f %% of frames: train %6.2f, "
           "score %6.2f, draw %6.2f, "
           "plain twin %8.0f us a row\n",
           K, L, M, N, 100 * move, fastest(&b, train, ROWS, seconds), fastest(&b, score, ROWS, seconds),
           fastest(&b, draw, 100, seconds), fastest(&b, plain, 1, seconds));
    head_free(b.head);
    free(params);
    free(gradient);
    free(b.pre);
    free(b.scratch);
    free(b.states);
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? g_ascii_strtod(argv[1], NULL) : 1;
    run(1, 1, 1, 0, 0, seconds);
    run(1, 1, 0.3, 0, 0, seconds);
    run(1, 2, 0.3, 0, 0, seconds);
    run(4, 2, 0.3, 0, 0, seconds);
    run(1, 1, 0.3, 48, 32, seconds);
    run(4, 2, 0.3, 48, 32, seconds);
    return 0;
}
