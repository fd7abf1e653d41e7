/* Latent vectors (prior, slerp, path, text) and the way from them to rolls: bits against the model's own
 * logits, draws against their probabilities, cross-fading against sums by hand, and sampled music through a
 * MIDI file and back. */
#include <math.h>
#include <string.h>

#include "preprocess/common/option.h"
#include "preprocess/corpus/song_file.h"
#include "sampler/make/latent.h"
#include "tests/helpers/made_model.h"
#include "trainer/model/vae_dense.h"

static double dot(const real_t *a, const real_t *b, size_t Z) {
    double sum = 0;
    for (size_t i = 0; i < Z; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double length(const real_t *a, size_t Z) { return sqrt(dot(a, a, Z)); }

/* ---- latent ---- */

static void test_prior(void) {
    enum { N = 2000, Z = 8 };
    static real_t z[N * Z];
    double sum = 0, squares = 0;
    for (size_t i = 0; i < N; i++) latent_prior(3, i, 0.5, z + i * Z, Z);
    for (size_t i = 0; i < N * Z; i++) {
        sum += z[i];
        squares += (double)z[i] * z[i];
    }
    g_assert_cmpfloat(fabs(sum / (N * Z)), <, 5 * 0.5 / sqrt(N * Z));
    g_assert_cmpfloat(fabs(squares / (N * Z) / 0.25 - 1), <, 5 * sqrt(2.0 / (N * Z)));
    real_t again[Z], other[Z], frozen[Z];
    latent_prior(3, 7, 0.5, again, Z);
    latent_prior(4, 7, 0.5, other, Z);
    latent_prior(3, 7, 0, frozen, Z);
    g_assert_true(memcmp(again, z + 7 * Z, sizeof again) == 0);
    g_assert_true(memcmp(again, other, sizeof again) != 0);
    g_assert_true(memcmp(z, z + Z, sizeof again) != 0);
    g_assert_cmpfloat(length(frozen, Z), ==, 0);
}

static void test_slerp(void) {
    enum { Z = 5 };
    real_t a[Z], b[Z], z[Z];
    latent_prior(1, 1, 1, a, Z);
    latent_prior(1, 2, 2, b, Z);
    latent_slerp(a, b, 0, z, Z);
    g_assert_true(memcmp(z, a, sizeof a) == 0);
    latent_slerp(a, b, 1, z, Z);
    g_assert_true(memcmp(z, b, sizeof b) == 0);
    const double whole = acos(dot(a, b, Z) / length(a, Z) / length(b, Z));
    for (double t = 0.125; t < 1; t += 0.125) { /* constant speed of direction, linear length */
        latent_slerp(a, b, t, z, Z);
        g_assert_cmpfloat(fabs(acos(dot(a, z, Z) / length(a, Z) / length(z, Z)) - t * whole), <, 1e-3);
        g_assert_cmpfloat(fabs(acos(dot(b, z, Z) / length(b, Z) / length(z, Z)) - (1 - t) * whole), <, 1e-3);
        g_assert_cmpfloat(fabs(length(z, Z) - (1 - t) * length(a, Z) - t * length(b, Z)), <, 1e-5);
    }
    const real_t x[2] = {1, 0}, y[2] = {0, 1};
    latent_slerp(x, y, 0.5, z, 2);
    g_assert_cmpfloat(fabs(z[0] - M_SQRT1_2), <, 1e-6);
    g_assert_cmpfloat(fabs(z[1] - M_SQRT1_2), <, 1e-6);
}

/* Where the great circle is not defined. */
static void test_slerp_odd(void) {
    const real_t a[3] = {1, 2, 3}, twice[3] = {2, 4, 6}, near[3] = {1, 2, 3.0000005F}, back[3] = {-1, -2, -3},
                 zero[3] = {0};
    real_t z[3];
    latent_slerp(a, twice, 0.5, z, 3);
    for (size_t i = 0; i < 3; i++) g_assert_cmpfloat(fabs(z[i] - 1.5 * a[i]), <, 1e-5);
    latent_slerp(a, near, 0.5, z, 3);
    for (size_t i = 0; i < 3; i++) g_assert_cmpfloat(fabs((double)z[i] - a[i]), <, 1e-5);
    latent_slerp(a, back, 0.5, z, 3); /* at right angles, not through the origin */
    g_assert_cmpfloat(fabs(dot(a, z, 3)), <, 1e-4);
    g_assert_cmpfloat(fabs(length(z, 3) - length(a, 3)), <, 1e-4);
    latent_slerp(a, zero, 0.25, z, 3);
    for (size_t i = 0; i < 3; i++) g_assert_cmpfloat(fabs(z[i] - 0.75 * a[i]), <, 1e-6);
    latent_slerp(zero, zero, 0.5, z, 3);
    g_assert_cmpfloat(length(z, 3), ==, 0);
    const real_t up = 2, down = -2; /* one dimension has no way around */
    latent_slerp(&up, &down, 0.5, z, 1);
    g_assert_cmpfloat(z[0], ==, 0);
}

static void test_path(void) {
    enum { N = 4000, Z = 4 };
    static real_t z[N * Z], begin[10 * Z];
    latent_path(5, 1, 2, 0.8, z, N, Z);
    latent_path(5, 1, 2, 0.8, begin, 10, Z);
    g_assert_true(memcmp(z, begin, sizeof begin) == 0);
    double squares = 0, neighbours = 0;
    for (size_t i = 0; i < (N - 1) * Z; i++) {
        squares += (double)z[i] * z[i];
        neighbours += (double)z[i] * z[i + Z];
    }
    g_assert_cmpfloat(fabs(squares / ((N - 1) * Z) / 4 - 1), <, 0.15);
    g_assert_cmpfloat(fabs(neighbours / squares - 0.8), <, 0.03);
    latent_path(5, 2, 2, 0.8, begin, 10, Z);
    g_assert_true(memcmp(z, begin, sizeof begin) != 0);
    latent_path(5, 1, 2, 1, begin, 10, Z); /* stays where it began */
    g_assert_true(memcmp(begin, begin + 9 * Z, Z * sizeof(real_t)) == 0);
}

static void test_text(void) {
    enum { Z = 6 };
    real_t z[Z], back[Z];
    latent_prior(9, 9, 1, z, Z);
    z[2] = 1e-30F;
    g_autofree char *text = latent_to_text(z, Z);
    g_assert_true(latent_from_text(text, back, Z, NULL));
    g_assert_true(memcmp(z, back, sizeof z) == 0);
    g_assert_true(latent_from_text("1, 2 3\t4,5 ,6", back, Z, NULL));
    g_assert_cmpfloat(back[5], ==, 6);
    const char *const bad[] = {
        "", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,x,4,5,6", "1,2,nan,4,5,6", "1,2,inf,4,5,6", "1,2,3,4,5,1e999"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(latent_from_text(bad[i], back, Z, &error));
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
    }
}

/* ---- sample ---- */

static void test_bits(void) {
    for (int planes = 1; planes <= 2; planes++) {
        g_autofree char *arguments = g_strdup_printf("--planes %d --tracks melody,bass --window 20", planes);
        g_autoptr(sample_model_t) model = made_model(arguments);
        enum { T = 20, K = 2, P = 88, Z = 4 };
        const size_t L = (size_t)planes;
        real_t z[Z];
        latent_prior(1, 2, 1, z, Z);
        const sample_rule_t rule = {.threshold = 0.3};
        g_autoptr(roll_t) roll = sample_windows(model, z, 1, T, &rule);
        model_decode(model->model, z, 1);
        const real_t *logits = model_logits(model->model);
        size_t on = 0;
        for (size_t t = 0; t < T; t++)
            for (size_t k = 0; k < K; k++)
                for (size_t p = 0; p < P; p++) {
                    const real_t *cell = logits + ((t * K + k) * L) * P + p;
                    const gboolean sounds = 1 / (1 + exp(-cell[0])) >= 0.3,
                                   begins = L == 2 && 1 / (1 + exp(-cell[P])) >= 0.3;
                    const gboolean before = t > 0 && roll_get(roll, t - 1, k, PLANE_SOUNDING, p);
                    g_assert_cmpint(roll_get(roll, t, k, PLANE_SOUNDING, p), ==, sounds || begins);
                    g_assert_cmpint(roll_get(roll, t, k, PLANE_ONSET, p), ==, begins || (sounds && !before));
                    on += sounds ? 1 : 0;
                }
        g_assert_cmpuint(on, >, 10);
        g_assert_cmpuint(on, <, T * K * P / 2);
    }
}

/* Pieces decoded together are those decoded alone, whichever row they are in. */
static void test_together(void) {
    g_autoptr(sample_model_t) model = made_model("--planes 2 --tracks melody,bass --window 20 --bias -3");
    enum { T = 20, Z = 4 };
    const sample_rule_t rule = {.threshold = 0.3, .density = TRUE};
    real_t z[SAMPLE_BATCH * Z] = {0};
    size_t rows[SAMPLE_BATCH];
    latent_prior(1, 0, 1, z, Z);
    const size_t n = sample_equal_rows(model, z, rows);
    g_assert_cmpuint(n, >=, 1);
    g_assert_cmpuint(rows[0], ==, 0);
    roll_t *together[SAMPLE_BATCH];
    for (size_t i = 0; i < n; i++) latent_prior(1, i, 1, z + rows[i] * Z, Z);
    sample_decode(model, z);
    for (size_t i = 0; i < n; i++) together[i] = sample_decoded(model, rows[i], T, &rule);
    for (size_t i = 0; i < n; i++) {
        g_autoptr(roll_t) alone = sample_windows(model, z + rows[i] * Z, 1, T, &rule);
        const size_t bytes = T * alone->tracks * ROLL_PLANES * alone->stride;
        g_assert_true(memcmp(together[i]->bits, alone->bits, bytes) == 0);
        g_assert_true(i == 0 || memcmp(alone->bits, together[0]->bits, bytes) != 0);
    }
    for (size_t i = 0; i < n; i++) roll_free(together[i]);
}

/* Every cell by its probability: the count of ones within five deviations, and no onset drawn without its
 * sound where it is the less likely. */
static void test_draws(void) {
    g_autoptr(sample_model_t) model = made_model("--planes 1 --tracks merged --window 16 --bias -3");
    enum { T = 16, P = 88, Z = 4, N = 200 };
    real_t z[Z];
    latent_prior(1, 1, 0.3, z, Z);
    model_decode(model->model, z, 1);
    double expected = 0, variance = 0;
    for (size_t i = 0; i < T * P; i++) {
        const double p = 1 / (1 + exp(-model_logits(model->model)[i]));
        expected += N * p;
        variance += N * p * (1 - p);
    }
    double on = 0;
    g_autoptr(roll_t) first = NULL;
    for (size_t n = 0; n < N; n++) {
        const sample_rule_t rule = {.threshold = 0.5, .draw = TRUE, .seed = 11, .index = n};
        g_autoptr(roll_t) roll = sample_windows(model, z, 1, T, &rule),
                          again = sample_windows(model, z, 1, T, &rule);
        const size_t bytes = T * ROLL_PLANES * roll->stride;
        g_assert_true(memcmp(roll->bits, again->bits, bytes) == 0);
        g_assert_true(first == NULL || memcmp(roll->bits, first->bits, bytes) != 0);
        for (size_t t = 0; t < T; t++)
            for (size_t p = 0; p < P; p++) on += roll_get(roll, t, 0, PLANE_SOUNDING, p);
        if (first == NULL) first = g_steal_pointer(&roll);
    }
    g_assert_cmpfloat(variance, >, 100);
    g_assert_cmpfloat(fabs(on - expected), <, 5 * sqrt(variance));
}

/* As many cells as are expected, and none left out that is likelier than one taken. */
static void test_density(void) {
    g_autoptr(sample_model_t) model = made_model("--planes 1 --tracks melody,bass --window 16 --bias -3");
    enum { T = 16, K = 2, P = 88, Z = 4 };
    real_t z[Z];
    latent_prior(1, 1, 0.1, z, Z);
    const sample_rule_t rule = {.threshold = 0.5, .density = TRUE};
    g_autoptr(roll_t) roll = sample_windows(model, z, 1, T, &rule);
    model_decode(model->model, z, 1);
    for (size_t k = 0; k < K; k++) {
        double expected = 0, least = INFINITY, most = -INFINITY;
        size_t on = 0, certain = 0;
        for (size_t t = 0; t < T; t++)
            for (size_t p = 0; p < P; p++) {
                const double logit = model_logits(model->model)[(t * K + k) * P + p];
                const gboolean sounds = roll_get(roll, t, k, PLANE_SOUNDING, p);
                expected += 1 / (1 + exp(-logit));
                certain += logit >= 0 ? 1 : 0;
                on += sounds ? 1 : 0;
                if (sounds)
                    least = fmin(least, logit);
                else
                    most = fmax(most, logit);
            }
        g_assert_cmpfloat(fabs((double)on - expected), <, 1);
        g_assert_cmpfloat(least, >, most);
        g_assert_cmpuint(on, >, 10);
        g_assert_cmpuint(on, !=, certain);
    }
}

/* mu of windows cut out by hand: each plane, and silence past the song's end. */
static void test_encode(void) {
    for (size_t L = 1; L <= 2; L++) {
        g_autofree char *arguments = g_strdup_printf("--planes %zu --tracks melody,drums --window 16", L);
        g_autoptr(sample_model_t) model = made_model(arguments);
        enum { T = 16, K = 2, Z = 4, FRAMES = 300, WINDOWS = 19 };
        const size_t stride = 11;
        g_autoptr(roll_t) roll = roll_new(FRAMES, K, 88);
        for (size_t t = 0; t < FRAMES; t++) roll_set(roll, t, t % 2, PLANE_SOUNDING, t * 13 % 88);
        roll_make_canonical(roll);
        g_autofree real_t *mu = sample_encode(model, roll, 0, WINDOWS),
                          *late = sample_encode(model, roll, T, 1);
        g_assert_true(memcmp(late, mu + Z, Z * sizeof(real_t)) == 0);
        for (size_t w = 0; w < WINDOWS; w++) {
            g_autofree uint8_t *bits = g_malloc0(T * K * L * stride);
            for (size_t t = 0; t < T && w * T + t < FRAMES; t++)
                for (size_t k = 0; k < K; k++)
                    for (size_t l = 0; l < L; l++)
                        for (size_t p = 0; p < 88; p++)
                            if (roll_get(roll, w * T + t, k, (int)l, p))
                                bits[((t * K + k) * L + l) * stride + p / 8] |= (uint8_t)(1 << p % 8);
            const uint32_t valid = (uint32_t)MIN(T, FRAMES - w * T);
            const batch_t batch = {.B = 1, .bits = bits, .valid = &valid};
            model_encode(model->model, &batch);
            for (size_t i = 0; i < Z; i++)
                g_assert_cmpfloat(fabs((double)model_mu(model->model)[i] - mu[w * Z + i]), <, 1e-4);
        }
        g_assert_cmpfloat(fabs((double)mu[0] - mu[Z]), >, 1e-3);
    }
}

static void test_hop(void) {
    static const struct {
        int window;
        meter_t meter;
        size_t hop;
    } cases[] = {{100, {0, 4, 4}, 48}, {64, {0, 4, 4}, 32}, {64, {0, 3, 4}, 24}, {20, {0, 4, 4}, 8},
                 {7, {0, 4, 4}, 3},    {2, {0, 4, 4}, 1},   {1, {0, 4, 4}, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        sample_model_t model = {
            .checkpoint = {.grid = grid_default(), .model = {.window = (size_t)cases[i].window}}};
        g_assert_cmpuint(sample_hop(&model, cases[i].meter), ==, cases[i].hop);
        for (size_t frames = 1; frames < 400; frames++) { /* just enough windows */
            const size_t n = sample_overlapped_count(&model, cases[i].hop, frames),
                         T = model.checkpoint.model.window;
            g_assert_cmpuint((n - 1) * cases[i].hop + T, >=, frames);
            g_assert_true(n == 1 || (n - 2) * cases[i].hop + T < frames);
        }
    }
}

static void test_overlapped(void) {
    g_autoptr(sample_model_t) model = made_model("--planes 1 --tracks merged --window 16");
    enum { T = 16, P = 88, Z = 4, HOP = 8, FRAMES = 40, N = 4 };
    const sample_rule_t rule = {.threshold = 0.5};
    real_t z[N * Z];
    latent_path(1, 1, 1, 0.5, z, N, Z);
    g_assert_cmpuint(sample_overlapped_count(model, HOP, FRAMES), ==, N);
    g_autoptr(roll_t) roll = sample_overlapped(model, z, N, HOP, FRAMES, &rule, NULL);
    g_assert_cmpuint(roll->frames, ==, FRAMES);

    double sum[FRAMES][P] = {{0}};
    size_t on = 0, faded = 0;
    model_decode(model->model, z, N);
    for (size_t w = 0; w < N; w++)
        for (size_t t = 0; t < T && w * HOP + t < FRAMES;
             t++) /* rises 1/9, 2/9 ... 8/9 and falls again; the first and last half stand alone */
            for (size_t p = 0; p < P; p++) {
                const gboolean alone = (w == 0 && t < HOP) || (w == N - 1 && t >= HOP);
                const double weight = alone ? 1 : (double)(t < HOP ? t + 1 : T - t) / 9;
                sum[w * HOP + t][p] += weight * model_logits(model->model)[(w * T + t) * P + p];
            }
    for (size_t t = 0; t < FRAMES; t++)
        for (size_t p = 0; p < P; p++) {
            if (fabs(sum[t][p]) < 1e-3) continue;
            g_assert_cmpint(roll_get(roll, t, 0, PLANE_SOUNDING, p), ==, sum[t][p] > 0);
            on += sum[t][p] > 0 ? 1 : 0;
            faded += t >= HOP && t < FRAMES - HOP ? 1 : 0;
        }
    g_assert_cmpuint(on, >, 20);
    g_assert_cmpuint(faded, >, 100);

    g_autoptr(roll_t) apart = sample_overlapped(model, z, 2, T, 2 * T, &rule, NULL),
                      joined = sample_windows(model, z, 2, 2 * T, &rule);
    g_assert_true(memcmp(apart->bits, joined->bits, 2 * T * ROLL_PLANES * joined->stride) == 0);
}

/* Sampled bits, as music in a file, read as training data is read: the same bits. */
static void test_round_trip(void) {
    const char *const models[] = {"--tracks merged --planes 1",
                                  "--tracks melody,chords,bass,drums --planes 2",
                                  "--tracks bass,drums --planes 2 --window 50"};
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++)
        for (int draw = 0; draw <= 1; draw++) {
            g_autoptr(sample_model_t) model = made_model(models[m]);
            const grid_t *grid = &model->checkpoint.grid;
            const size_t Z = model->checkpoint.model.latent, frames = 3 * model->checkpoint.model.window - 5;
            g_autofree real_t *z = g_new(real_t, 3 * Z);
            latent_path(2, m, 1, 0.2, z, 3, Z);
            const sample_rule_t rule = {.threshold = 0.4, .draw = draw, .seed = 6, .index = 1};
            g_autoptr(roll_t) roll = sample_windows(model, z, 3, frames, &rule);
            g_autoptr(timeline_t) timeline = timeline_new(grid->steps_per_beat, 93, (meter_t){0, 3, 4}),
                                  back_timeline = NULL;
            g_autoptr(song_t) song = roll_to_song(roll, grid, timeline);
            g_autoptr(GError) error = NULL;
            g_assert_true(midi_write(song, "round.mid", &error));
            song_file_t entry;
            g_autoptr(roll_t) back =
                song_file_read_roll("round.mid", grid, &entry, &back_timeline, NULL, &error);
            g_assert_no_error(error);
            g_assert_cmpuint(song->notes->len, >, 10);
            g_assert_cmpuint(back->frames, ==, frames);
            g_assert_true(
                memcmp(back->bits, roll->bits, frames * roll->tracks * ROLL_PLANES * roll->stride) == 0);
            g_assert_cmpfloat(fabs(entry.tempo_bpm - 93), <, 0.01);
            g_assert_cmpuint(entry.meter.numerator, ==, 3);
        }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/latent/prior", test_prior);
    g_test_add_func("/latent/slerp", test_slerp);
    g_test_add_func("/latent/slerp-odd", test_slerp_odd);
    g_test_add_func("/latent/path", test_path);
    g_test_add_func("/latent/text", test_text);
    g_test_add_func("/sample/bits", test_bits);
    g_test_add_func("/sample/together", test_together);
    g_test_add_func("/sample/draws", test_draws);
    g_test_add_func("/sample/density", test_density);
    g_test_add_func("/sample/encode", test_encode);
    g_test_add_func("/sample/hop", test_hop);
    g_test_add_func("/sample/overlapped", test_overlapped);
    g_test_add_func("/sample/round-trip", test_round_trip);
    return g_test_run();
}
