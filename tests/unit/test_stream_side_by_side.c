/* Pieces side by side: the bits of each are those that it has alone, with any number of threads; and threads
 * that do rows do each of them once. */
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/row_threads.h"
#include "trainer/model/stream.h"

enum { N = 21, T = 9 };

/* Draws pieces first .. first + n - 1 of N to frames [T, N, frame bytes], and forces them to scores [T, N].
 * */
static void draw_pieces(model_t *model, size_t first, size_t n, size_t threads, uint8_t *frames,
                        double *scores) {
    const model_config_t *config = model_config(model);
    const size_t Z = config->latent, bytes = model_frame_bytes(config);
    g_autoptr(stream_t) drawn = stream_new(model, n, NULL), forced = stream_new(model, n, NULL);
    rng_t cells[N];
    g_autofree real_t *z = g_new(real_t, n * Z), *prior_mu = g_new(real_t, n * Z),
                      *prior_logvar = g_new(real_t, n * Z);
    head_rule_t rules[N];
    g_assert_true(stream_use_threads(drawn, threads, NULL) && stream_use_threads(forced, threads, NULL));
    stream_start(drawn, n);
    stream_start(forced, n);
    for (size_t i = 0; i < n; i++) {
        stream_set_meters(drawn, i, piece_meters(first + i));
        stream_set_meters(forced, i, piece_meters(first + i));
        rules[i] = (head_rule_t){.rng = &cells[i], .temperature = (first + i) % 2 ? 1 : 0.8};
    }
    for (size_t t = 0; t < T; t++) {
        for (size_t i = 0; i < n; i++) {
            const rng_t latent = rng_make(3, RNG_PRIOR, t, first + i);
            cells[i] = rng_make(3, RNG_DECODE, t, first + i);
            rng_normal(&latent, z + i * Z, Z);
        }
        if (t % config->sequence.segment == 0) {
            stream_prior(drawn, prior_mu, prior_logvar);
            for (size_t i = 0; i < n * Z; i++) z[i] += prior_mu[i];
            stream_set_latent(drawn, z);
            stream_set_latent(forced, z);
        }
        stream_draw(drawn, rules, frames + (t * N + first) * bytes, NULL);
        stream_force(forced, frames + (t * N + first) * bytes, FALSE, scores + t * N + first);
    }
}

static void check_pieces(const model_config_t *config) {
    g_autoptr(model_t) model = new_sequence_model(config, N, 3);
    const size_t bytes = T * N * model_frame_bytes(config);
    g_autofree uint8_t *alone = g_malloc0(bytes), *together = g_malloc0(bytes), *threaded = g_malloc0(bytes);
    double score_alone[T * N], score_together[T * N], score_threaded[T * N];
    for (size_t i = 0; i < N; i++) draw_pieces(model, i, 1, 1, alone, score_alone);
    draw_pieces(model, 0, N, 1, together, score_together);
    draw_pieces(model, 0, N, 3, threaded, score_threaded);
    g_assert_cmpint(memcmp(alone, together, bytes), ==, 0);
    g_assert_cmpint(memcmp(alone, threaded, bytes), ==, 0);
    g_assert_cmpint(memcmp(score_alone, score_together, sizeof score_alone), ==, 0);
    g_assert_cmpint(memcmp(score_alone, score_threaded, sizeof score_alone), ==, 0);
}

static void test_pieces(void) {
    const model_config_t memory = memory_config(), bar = bar_config();
    check_pieces(&tracks_config);
    check_pieces(&memory);
    check_pieces(&bar);
}

static void count_rows(void *data, size_t thread, size_t first, size_t end) {
    gint *count = data;
    g_assert_cmpuint(thread, <, 4);
    for (size_t i = first; i < end; i++) g_atomic_int_inc(&count[i]);
}

static void test_threads(void) {
    enum { MOST = 203 };
    for (size_t n = 1; n <= 4; n += 3) {
        row_threads_t *threads = row_threads_new(n);
        for (size_t rows = 1; rows <= MOST; rows += 101) {
            gint count[MOST + 1] = {0};
            for (int again = 0; again < 50; again++) row_threads_run(threads, rows, count_rows, count);
            for (size_t i = 0; i <= MOST; i++) g_assert_cmpint(count[i], ==, i < rows ? 50 : 0);
        }
        row_threads_free(threads);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/side_by_side", test_pieces);
    g_test_add_func("/row-threads/each_row_once", test_threads);
    return g_test_run();
}
