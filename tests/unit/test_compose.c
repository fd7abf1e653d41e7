/* Pieces of the sequence model: what they depend on and what not, frames that are given, latents between
 * posterior and prior. */
#include "tests/helpers/composed.h"
#include "trainer/model/stream.h"

static size_t count_cells(const roll_t *roll) {
    size_t n = 0;
    for (size_t i = 0; i < roll->frames * roll->tracks * ROLL_PLANES * roll->stride; i++)
        n += (size_t)__builtin_popcount(roll->bits[i]);
    return n;
}

static const char *const models[] = {"--tracks merged --planes 1", "--tracks melody,bass,drums --planes 2",
                                     "--tracks merged --planes 2 --latent 0"};

static void test_determinism(void) {
    enum { FRAMES = 50 };
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        g_autoptr(sample_model_t) model = make_model(models[m]);
        g_autoptr(compose_t) compose = make_compose(model), fresh = make_compose(model);
        compose_piece_t piece = draw_of(7, 3, FRAMES);
        g_autoptr(roll_t) roll = compose_piece(compose, &piece);
        g_assert_cmpuint(count_cells(roll), >, 20);
        piece.frames = 2 * FRAMES + 3;
        g_autoptr(roll_t) longer = compose_piece(compose, &piece); /* after another piece, and a longer one */
        g_assert_true(same_frames(roll, longer, FRAMES));
        piece.frames = FRAMES;
        g_autoptr(roll_t) again = compose_piece(fresh, &piece);
        g_assert_true(same_frames(roll, again, FRAMES));
        piece.index = 4;
        g_autoptr(roll_t) other = compose_piece(compose, &piece);
        g_assert_false(same_frames(roll, other, FRAMES));
        piece.index = 3;
        piece.seed = 8;
        g_autoptr(roll_t) reseeded = compose_piece(compose, &piece);
        g_assert_false(same_frames(roll, reseeded, FRAMES));
    }
}

/* Canonical as it is: written to a song and read back, and by its planes. */
static void test_canonical(void) {
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        g_autoptr(sample_model_t) model = make_model(models[m]);
        g_autoptr(compose_t) compose = make_compose(model);
        const compose_piece_t piece = draw_of(1, 1, 45);
        g_autoptr(roll_t) roll = compose_piece(compose, &piece);
        g_autoptr(timeline_t) timeline =
            timeline_new(model->checkpoint.grid.steps_per_beat, 90, (meter_t){0, 4, 4});
        g_autoptr(song_t) song = roll_to_song(roll, &model->checkpoint.grid, timeline);
        roll_counts_t counts;
        g_autoptr(roll_t) back = roll_from_song(song, &model->checkpoint.grid, NULL, &counts, NULL, NULL);
        g_assert_nonnull(back);
        g_assert_cmpuint(back->frames, ==, roll->frames);
        g_assert_true(same_frames(roll, back, roll->frames));
    }
}

/* Nothing is drawn: temperature 0, whatever the seed, and the likelier of each cell. */
static void test_greedy(void) {
    enum { FRAMES = 40 };
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        g_autoptr(sample_model_t) model = make_model(models[m]);
        g_autoptr(compose_t) compose = make_compose(model);
        compose_piece_t cold = draw_of(1, 1, FRAMES), greedy = draw_of(2, 9, FRAMES);
        cold.temperature = cold.latents.noise = greedy.latents.noise = 0;
        greedy.draw = FALSE;
        g_autoptr(roll_t) a = compose_piece(compose, &cold), b = compose_piece(compose, &greedy);
        g_assert_true(same_frames(a, b, FRAMES));
        const compose_piece_t warm = draw_of(1, 1, FRAMES);
        g_autoptr(roll_t) d = compose_piece(compose, &warm);
        g_assert_false(same_frames(a, d, FRAMES));
    }
}

/* Another temperature is another piece, of about as many cells: it neither silences nor floods. */
static void test_temperature(void) {
    g_autoptr(sample_model_t) model = make_model("--tracks merged --planes 1");
    g_autoptr(compose_t) compose = make_compose(model);
    compose_piece_t piece = draw_of(1, 1, 60);
    g_autoptr(roll_t) warm = compose_piece(compose, &piece);
    for (size_t i = 0; i < 2; i++) {
        piece.temperature = i == 0 ? 0.5 : 1.5;
        g_autoptr(roll_t) roll = compose_piece(compose, &piece);
        g_assert_false(same_frames(warm, roll, 60));
        g_assert_cmpuint(count_cells(roll), >, count_cells(warm) / 2);
        g_assert_cmpuint(count_cells(roll), <, count_cells(warm) * 2);
    }
}

/* ---- side by side ---- */

/* Each of several pieces is the piece that it is alone. */
static void test_together(void) {
    enum { FRAMES = 29, N = 11 };
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        g_autoptr(sample_model_t) model = make_model(models[m]);
        g_autoptr(compose_t) compose = make_compose(model), threaded = compose_new(model->model, 3, NULL);
        compose_piece_t pieces[N];
        roll_t *rolls[N];
        for (size_t i = 0; i < N; i++) {
            pieces[i] = draw_of(5, 1 + i, FRAMES);
            pieces[i].temperature = i % 3 ? 0.9 : 1;
        }
        compose_pieces(threaded, pieces, N, rolls);
        for (size_t i = 0; i < N; i++) {
            g_autoptr(roll_t) alone = compose_piece(compose, &pieces[i]);
            g_assert_true(same_frames(alone, rolls[i], FRAMES));
            g_assert_true(i == 0 || !same_frames(rolls[i], rolls[i - 1], FRAMES));
        }
        for (size_t i = 0; i < N; i++) roll_free(rolls[i]);
    }
}

/* ---- all of a piece by hand; one track, one plane ---- */

enum { MAX_Z = 8, MAX_BYTES = 16 };

static void pack(const roll_t *roll, size_t t, uint8_t *frame) {
    memcpy(frame, roll->bits + t * ROLL_PLANES * roll->stride, roll->stride);
}

/* Its random numbers are those that compose.h names. */
static void test_numbers(void) {
    enum { FRAMES = 3 * S + 2, D = 88 };
    g_autoptr(sample_model_t) model = make_model("--tracks merged --planes 1");
    g_autoptr(compose_t) compose = make_compose(model);
    g_autoptr(stream_t) stream = stream_new(model->model, 1, NULL);
    const size_t Z = model->checkpoint.model.latent;
    g_assert_cmpuint(Z, <=, MAX_Z);
    compose_piece_t piece = draw_of(5, 7, FRAMES);
    piece.temperature = 0.9;
    piece.latents.noise = 0.8;
    g_autoptr(roll_t) roll = compose_piece(compose, &piece);
    const rng_t cells = rng_make(5, RNG_DECODE, 0, 7);
    head_rule_t rule = {.rng = &cells, .temperature = 0.9};
    uint8_t drawn[MAX_BYTES] = {0}, frame[MAX_BYTES];
    stream_start(stream, 1);
    for (size_t t = 0; t < FRAMES; t++) {
        if (t % S == 0) {
            real_t z[MAX_Z], mu[MAX_Z], logvar[MAX_Z];
            const rng_t rng = rng_make(5, RNG_PRIOR, 1 + 7, t / S);
            rng_normal(&rng, z, Z);
            stream_prior(stream, mu, logvar);
            for (size_t i = 0; i < Z; i++) z[i] = (real_t)(mu[i] + 0.8 * exp(logvar[i] / 2) * z[i]);
            stream_set_latent(stream, z);
        }
        rule.element = t * D;
        stream_draw(stream, &rule, drawn, NULL);
        pack(roll, t, frame);
        g_assert_true(memcmp(frame, drawn, roll->stride) == 0);
    }
}

/* ---- latents ---- */

static void test_encode(void) {
    enum { FRAMES = 5 * S - 3 };
    g_autoptr(sample_model_t) model = make_model("--tracks melody,bass --planes 2");
    g_autoptr(compose_t) compose = make_compose(model);
    const size_t Z = model->checkpoint.model.latent;
    const compose_piece_t piece = draw_of(5, 1, FRAMES);
    g_autoptr(roll_t) song = compose_piece(compose, &piece),
                      padded = roll_new(5 * S, song->tracks, song->pitches);
    memcpy(padded->bits, song->bits, FRAMES * song->tracks * ROLL_PLANES * song->stride);
    g_assert_cmpuint(compose_segments(compose, FRAMES), ==, 5);
    g_assert_cmpuint(compose_segments(compose, 5 * S), ==, 5);
    g_assert_cmpuint(compose_segments(compose, 5 * S + 1), ==, 6);
    g_autofree real_t *all = compose_encode(compose, song, 0, FRAMES),
                      *late = compose_encode(compose, song, S, FRAMES - S);
    g_autofree real_t *silent = compose_encode(compose, padded, 0, 5 * S);
    for (size_t i = 0; i < 4 * Z; i++) g_assert_cmpfloat(fabs((double)late[i] - all[Z + i]), <, 1e-4);
    for (size_t i = 0; i < 5 * Z; i++) g_assert_cmpfloat(fabs((double)silent[i] - all[i]), <, 1e-4);
    g_assert_cmpfloat(fabs((double)all[0] - all[Z]), >, 1e-3);
}

static void test_latents(void) {
    enum { FRAMES = 5 * S };
    g_autoptr(sample_model_t) model = make_model("--tracks merged --planes 1");
    g_autoptr(compose_t) compose = make_compose(model);
    const size_t Z = model->checkpoint.model.latent;
    const compose_piece_t prior = draw_of(5, 1, FRAMES);
    g_autoptr(roll_t) song = compose_piece(compose, &prior);
    g_autofree real_t *mu = compose_encode(compose, song, 0, FRAMES);
    compose_piece_t piece = draw_of(5, 1, FRAMES);
    piece.latents = (compose_latents_t){.centres = mu, .segments = 5, .keep = 0, .noise = 1};
    g_autoptr(roll_t) drawn = compose_piece(compose, &piece); /* a variation that keeps nothing is a draw */
    g_assert_true(same_frames(drawn, song, FRAMES));

    piece.draw = FALSE;
    piece.latents.keep = 1;
    piece.latents.noise = 0;
    g_autoptr(roll_t) decoded = compose_piece(compose, &piece);
    piece.seed = 77;
    g_autoptr(roll_t) again = compose_piece(compose, &piece); /* nothing is random */
    g_assert_true(same_frames(decoded, again, FRAMES));
    piece.latents.segments = 2; /* then the prior's means */
    g_autoptr(roll_t) begun = compose_piece(compose, &piece);
    g_assert_true(same_frames(decoded, begun, 2 * S));
    g_assert_false(same_frames(decoded, begun, FRAMES));
    piece.latents.segments = 5;
    piece.latents.feature = 2;
    piece.latents.by = 3;
    g_autoptr(roll_t) shifted = compose_piece(compose, &piece);
    g_assert_false(same_frames(decoded, shifted, FRAMES));

    g_autofree real_t *shift = g_new0(real_t, Z); /* a shift of that feature alone does the same */
    shift[2] = 3;
    piece.latents.by = 0;
    piece.latents.shift = shift;
    g_autoptr(roll_t) by_shift = compose_piece(compose, &piece);
    g_assert_true(same_frames(shifted, by_shift, FRAMES));
    shift[1] = -3; /* and counts in every unit */
    g_autoptr(roll_t) by_both = compose_piece(compose, &piece);
    g_assert_false(same_frames(shifted, by_both, FRAMES));
}

static void count_tick(void *data) { ++*(size_t *)data; }

static void test_ticks(void) {
    g_autoptr(sample_model_t) model = make_model("--tracks merged --planes 1");
    g_autoptr(compose_t) compose = make_compose(model);
    size_t ticks = 0;
    compose_piece_t piece = draw_of(5, 1, 30);
    piece.tick = count_tick;
    piece.tick_data = &ticks;
    g_autoptr(roll_t) roll = compose_piece(compose, &piece);
    g_assert_cmpuint(ticks, ==, 30);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compose/determinism", test_determinism);
    g_test_add_func("/compose/canonical", test_canonical);
    g_test_add_func("/compose/greedy", test_greedy);
    g_test_add_func("/compose/temperature", test_temperature);
    g_test_add_func("/compose/together", test_together);
    g_test_add_func("/compose/numbers", test_numbers);
    g_test_add_func("/compose/encode", test_encode);
    g_test_add_func("/compose/latents", test_latents);
    g_test_add_func("/compose/ticks", test_ticks);
    return g_test_run();
}
