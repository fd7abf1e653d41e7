/* Pieces side by side: the bits of each are those that it has alone, with any number of threads; and threads
 * that do rows do each of them once. */
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/row_threads.h"
#include "trainer/model/stream.h"

enum { N = 21, T = 9 };

/* What is made of pieces. */
typedef struct {
    uint8_t *frames; /* [T, N, frame bytes]: drawn */
    double *scores;  /* [T, N]: of those */
    real_t *units;   /* [T, N, tracks, pitches, tied]: of their onsets */
    size_t per_row;  /* tracks * pitches * tied */
} made_t;

static made_t make_room(const model_config_t *config) {
    const size_t per_row = config->tracks * config->pitches * config->sequence.tied;
    return (made_t){g_malloc0(T * N * model_frame_bytes(config)), g_new0(double, T *N),
                    g_new0(real_t, T * N * per_row), per_row};
}

static void clear_made(made_t *made) {
    g_free(made->frames);
    g_free(made->scores);
    g_free(made->units);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(made_t, clear_made)

/* Forces the units of pieces first .. first + n - 1 at frame t. */
static void force_units(stream_t *stream, const model_config_t *config, size_t t, size_t first, size_t n,
                        made_t *made) {
    uint32_t rows[N * MODEL_MAX_TRACKS];
    const head_record_t record = {
        .units = made->units + (t * N + first) * made->per_row, .step = config->sequence.tied, .first = rows};
    for (size_t i = 0; i < n * config->tracks; i++) rows[i] = (uint32_t)(i * config->pitches);
    stream_force_units(stream, made->frames + (t * N + first) * model_frame_bytes(config), &record);
}

/* Draws pieces first .. first + n - 1 of N, and forces them for their scores and for their units. */
static void draw_pieces(model_t *model, size_t first, size_t n, size_t threads, made_t *made) {
    const model_config_t *config = model_config(model);
    const size_t Z = config->latent, bytes = model_frame_bytes(config);
    g_autoptr(stream_t) drawn = stream_new(model, n, NULL), scored = stream_new(model, n, NULL),
                        heard = stream_new(model, n, NULL);
    stream_t *const streams[] = {drawn, scored, heard};
    rng_t cells[N];
    g_autofree real_t *z = g_new(real_t, n * Z), *prior_mu = g_new(real_t, n * Z),
                      *prior_logvar = g_new(real_t, n * Z);
    head_rule_t rules[N];
    for (size_t s = 0; s < G_N_ELEMENTS(streams); s++) {
        g_assert_true(stream_use_threads(streams[s], threads, NULL));
        stream_start(streams[s], n);
        for (size_t i = 0; i < n; i++) stream_set_meters(streams[s], i, piece_meters(first + i));
    }
    for (size_t i = 0; i < n; i++)
        rules[i] = (head_rule_t){.rng = &cells[i], .temperature = (first + i) % 2 ? 1 : 0.8};
    for (size_t t = 0; t < T; t++) {
        for (size_t i = 0; i < n; i++) {
            const rng_t latent = rng_make(3, RNG_PRIOR, t, first + i);
            cells[i] = rng_make(3, RNG_DECODE, t, first + i);
            rng_normal(&latent, z + i * Z, Z);
        }
        if (t % config->sequence.segment == 0) {
            stream_prior(drawn, prior_mu, prior_logvar);
            for (size_t i = 0; i < n * Z; i++) z[i] += prior_mu[i];
            for (size_t s = 0; s < G_N_ELEMENTS(streams); s++) stream_set_latent(streams[s], z);
        }
        stream_draw(drawn, rules, made->frames + (t * N + first) * bytes, NULL);
        stream_force(scored, made->frames + (t * N + first) * bytes, FALSE, made->scores + t * N + first);
        force_units(heard, config, t, first, n, made);
    }
}

static void assert_same(const made_t *a, const made_t *b, const model_config_t *config) {
    g_assert_cmpint(memcmp(a->frames, b->frames, T * N * model_frame_bytes(config)), ==, 0);
    g_assert_cmpint(memcmp(a->scores, b->scores, T * N * sizeof *a->scores), ==, 0);
    g_assert_cmpint(memcmp(a->units, b->units, T * N * a->per_row * sizeof *a->units), ==, 0);
}

static void check_pieces(const model_config_t *config) {
    g_autoptr(model_t) model = new_sequence_model(config, N, 3);
    g_auto(made_t) alone = make_room(config), together = make_room(config), threaded = make_room(config);
    size_t written = 0;
    for (size_t i = 0; i < N; i++) draw_pieces(model, i, 1, 1, &alone);
    draw_pieces(model, 0, N, 1, &together);
    draw_pieces(model, 0, N, 3, &threaded);
    for (size_t i = 0; i < T * N * alone.per_row; i++) written += alone.units[i] > 0;
    g_assert_cmpuint(written, >, 0);
    assert_same(&alone, &together, config);
    assert_same(&alone, &threaded, config);
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
