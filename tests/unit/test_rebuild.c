/* Pieces from latents by particles: beside the same by hand, one row at a time; greedy decoding as a special
 * case; frames past a piece's end. */
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/rebuild.h"

enum { SEED = 11, MAX_FRAME = 16, MAX_S = 4, MAX_Z = 5, FRAMES = 10, N = 2 };

typedef struct {
    model_t *model;
    const model_config_t *config;
    size_t S, Z, D, bytes, W;
    real_t z[N][(FRAMES + MAX_S - 1) / MAX_S][MAX_Z];
} fixture_t;

static void fixture_set_up(fixture_t *f, const model_config_t *config) {
    *f = (fixture_t){.model = new_sequence_model(config, 1, 2),
                     .config = config,
                     .S = config->sequence.segment,
                     .Z = config->latent,
                     .D = model_cells(config),
                     .bytes = model_frame_bytes(config)};
    f->W = (FRAMES + f->S - 1) / f->S;
    g_assert_true(f->S <= MAX_S && f->Z <= MAX_Z && f->bytes <= MAX_FRAME);
    for (size_t n = 0; n < N; n++)
        for (size_t w = 0; w < f->W; w++) {
            const rng_t rng = rng_make(SEED, RNG_PRIOR, n, w);
            rng_normal(&rng, f->z[n][w], f->Z);
        }
}

static void assert_same(const fixture_t *f, const uint8_t *a, const uint8_t *b) {
    g_assert_cmpint(memcmp(a, b, f->bytes), ==, 0);
}

/* Frames [W S, bytes] of piece n by K draws, of N pieces side by side, `valid` frames of each. */
static void rebuild_all(const fixture_t *f, size_t K, double temperature, const uint32_t *valid,
                        uint8_t frames[N][FRAMES + MAX_S][MAX_FRAME]) {
    g_autoptr(GError) error = NULL;
    g_autoptr(stream_t) stream = stream_new(f->model, N * K, &error);
    g_assert_no_error(error);
    g_autoptr(rebuild_t) rebuild = rebuild_new(f->model, stream, N * K);
    g_autofree real_t *rows = g_new(real_t, N * K * f->Z), *z = g_new(real_t, N * f->Z);
    stream_start(stream, N * K);
    for (size_t w = 0; w < f->W; w++) {
        uint32_t left[N];
        for (size_t row = 0; row < N * K; row++)
            memcpy(rows + row * f->Z, f->z[row / K][w], f->Z * sizeof *rows);
        for (size_t n = 0; n < N; n++) {
            memcpy(z + n * f->Z, f->z[n][w], f->Z * sizeof *z);
            left[n] = (uint32_t)MIN(f->S, valid[n] - MIN(valid[n], w * f->S));
        }
        stream_set_latent(stream, rows);
        for (size_t t = 0; t < f->S; t++) {
            rebuild_numbers_t numbers[N];
            for (size_t n = 0; n < N; n++)
                numbers[n] = (rebuild_numbers_t){
                    .seed = SEED, .epoch = 100 * n, .stride = 3, .sample = w, .element = t * f->D};
            rebuild_draw(rebuild, N, K, numbers, temperature);
        }
        rebuild_keep(rebuild, N, K, z, left);
        for (size_t n = 0; n < N; n++)
            for (size_t t = 0; t < f->S; t++)
                memcpy(frames[n][w * f->S + t], rebuild_frames(rebuild, n) + t * f->bytes, f->bytes);
    }
}

/* Runs a stream of one row to the start of segment w, along the frames that were kept before. */
static void go_to(const fixture_t *f, stream_t *stream, size_t n, size_t w, uint8_t (*frames)[MAX_FRAME]) {
    stream_start(stream, 1);
    for (size_t t = 0; t < w * f->S; t++) {
        if (t % f->S == 0) stream_set_latent(stream, f->z[n][t / f->S]);
        stream_force(stream, frames[t], TRUE, NULL);
    }
    stream_set_latent(stream, f->z[n][w]);
}

/* What particle k makes of segment w, and log q(z | it) without the constant. */
static double try_particle(const fixture_t *f, stream_t *stream, size_t n, size_t w, size_t k,
                           double temperature, uint8_t (*frames)[MAX_FRAME], uint8_t *segment) {
    const rng_t rng = rng_make(SEED, RNG_DECODE, 100 * n + 3 * k, w);
    real_t mu[MAX_Z], logvar[MAX_Z];
    double log_q = 0;
    go_to(f, stream, n, w, frames);
    for (size_t t = 0; t < f->S; t++) {
        const head_rule_t rule = {
            .rng = k > 0 ? &rng : NULL, .element = t * f->D, .temperature = temperature};
        stream_draw(stream, &rule, segment + t * f->bytes, NULL);
    }
    stream_encode(stream, segment, f->S, mu, logvar);
    for (size_t j = 0; j < f->Z; j++)
        log_q -=
            ((double)logvar[j] + pow((double)f->z[n][w][j] - (double)mu[j], 2) / exp((double)logvar[j])) / 2;
    return log_q;
}

/* Each segment is the draw that the encoder finds likeliest to mean z; later ones go on from it. */
static void assert_best(const model_config_t *config, size_t K, double temperature) {
    fixture_t f;
    fixture_set_up(&f, config);
    uint8_t frames[N][FRAMES + MAX_S][MAX_FRAME], segment[MAX_S * MAX_FRAME], best[MAX_S * MAX_FRAME] = {0};
    const uint32_t valid[N] = {(uint32_t)(f.W * f.S), (uint32_t)(f.W * f.S)};
    size_t drawn = 0;
    g_autoptr(stream_t) stream = stream_new(f.model, 1, NULL);
    rebuild_all(&f, K, temperature, valid, frames);
    for (size_t n = 0; n < N; n++)
        for (size_t w = 0; w < f.W; w++) {
            double most = -INFINITY;
            size_t winner = 0;
            for (size_t k = 0; k < K; k++) {
                const double log_q = try_particle(&f, stream, n, w, k, temperature, frames[n], segment);
                if (log_q <= most) continue;
                most = log_q;
                winner = k;
                memcpy(best, segment, f.S * f.bytes);
            }
            for (size_t t = 0; t < f.S; t++) assert_same(&f, frames[n][w * f.S + t], best + t * f.bytes);
            drawn += winner > 0;
        }
    if (K > 1) g_assert_cmpuint(drawn, >, 0);
    model_free(f.model);
}

static void test_best(void) {
    const model_config_t one = one_track_config(12, 4, 3), memory = memory_config();
    assert_best(&tracks_config, 6, 1);
    assert_best(&one, 9, 0.6);
    assert_best(&memory, 6, 1);
}

/* One draw is greedy decoding. */
static void test_greedy(void) { assert_best(&tracks_config, 1, 1); }

/* Frames from a piece's end on are silence, and the draws are judged by that. */
static void test_end(void) {
    fixture_t f;
    fixture_set_up(&f, &tracks_config);
    uint8_t whole[N][FRAMES + MAX_S][MAX_FRAME], cut[N][FRAMES + MAX_S][MAX_FRAME], silence[MAX_FRAME] = {0};
    const uint32_t all[N] = {FRAMES, FRAMES}, some[N] = {FRAMES, 6};
    rebuild_all(&f, 6, 1, all, whole);
    rebuild_all(&f, 6, 1, some, cut);
    for (size_t t = 0; t < FRAMES; t++) assert_same(&f, whole[0][t], cut[0][t]); /* company changes nothing */
    for (size_t t = 0; t < 4; t++) assert_same(&f, whole[1][t], cut[1][t]);
    for (size_t t = 6; t < 8; t++) assert_same(&f, cut[1][t], silence);
    g_assert_cmpint(memcmp(whole[1][6], silence, f.bytes), !=, 0);
    model_free(f.model);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rebuild/best", test_best);
    g_test_add_func("/rebuild/greedy", test_greedy);
    g_test_add_func("/rebuild/end", test_end);
    return g_test_run();
}
