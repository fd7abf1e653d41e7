/* Music around what is known: on a tiny model, where all fillings can be listed, drawn fillings follow the
 * true posterior and the evidence is the sum; on others what is known stays, bit by bit. */
#include "sampler/make/particles.h"

#include "sampler/make/known.h"
#include "tests/helpers/composed.h"
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/stream.h"

static timeline_t *new_timeline(void) { return timeline_new(4, 120, (meter_t){0, 3, 8}); }

/* ---- wishes ---- */

static void wish_no_sound(void *data, size_t t, size_t k, real_t *which, double *begins, double *stays) {
    (void)t, (void)k;
    memset(which, 0, *(const size_t *)data * sizeof *which);
    *begins = *stays = -50;
}
static void take_nothing(void *data, size_t t, size_t k, const uint8_t *frame) {
    (void)data, (void)t, (void)k, (void)frame;
}
static void select_nothing(void *data, const uint32_t *parents, size_t n) {
    (void)data, (void)parents, (void)n;
}
static void wish_little(void *data, size_t t, size_t k, real_t *which, double *begins, double *stays) {
    (void)k;
    for (size_t i = 0; i < *(const size_t *)data; i++) which[i] = (real_t)((double)((i + t) % 3) - 1);
    *begins = 0.5;
    *stays = -0.5;
}

/* ---- exactly ---- */

/* One track of two planes and three pitches, five frames: the middle pitch is not known in frames 1 to 3. */
enum { FRAMES = 5, PITCHES = 3, OPEN_FIRST = 1, OPEN_END = 4, HIDDEN = 1, FILLINGS = 1 << 6 };

static model_config_t tiny_config(void) {
    model_config_t config = tracks_config;
    config.tracks = 1;
    config.pitches = PITCHES;
    config.latent = 0;
    config.sequence.order[0] = 0;
    return config;
}

/* Sets the hidden cells as the code says, two bits a frame: sounding, onset. FALSE where that is no roll. */
static gboolean write_filling(roll_t *roll, size_t code) {
    for (size_t t = OPEN_FIRST; t < OPEN_END; t++)
        for (int plane = 0; plane < ROLL_PLANES; plane++) {
            *roll_plane(roll, t, 0, plane) &= (uint8_t) ~(1 << HIDDEN);
            if (code >> (2 * (t - OPEN_FIRST) + (size_t)plane) & 1) roll_set(roll, t, 0, plane, HIDDEN);
        }
    g_autoptr(roll_t) canonical = roll_new(FRAMES, 1, PITCHES);
    roll_copy(roll, 0, FRAMES, canonical, 0);
    roll_make_canonical(canonical);
    return memcmp(canonical->bits, roll->bits, FRAMES * roll_frame_bytes(roll)) == 0;
}

static size_t read_filling(const roll_t *roll) {
    size_t code = 0;
    for (size_t t = OPEN_FIRST; t < OPEN_END; t++)
        for (int plane = 0; plane < ROLL_PLANES; plane++)
            if (roll_get(roll, t, 0, plane, HIDDEN))
                code |= (size_t)1 << (2 * (t - OPEN_FIRST) + (size_t)plane);
    return code;
}

/* log p of the frames from the first open one on. */
static double score(stream_t *stream, const roll_t *roll) {
    double sum = 0;
    stream_start(stream, 1);
    for (size_t t = 0; t < FRAMES; t++) {
        uint8_t frame[ROLL_PLANES];
        double nll;
        roll_read_frame(roll, t, ROLL_PLANES, frame);
        stream_force(stream, frame, TRUE, &nll);
        sum -= t >= OPEN_FIRST ? nll : 0;
    }
    return sum;
}

/* The probabilities [FILLINGS] of all fillings of song beside what is known; returns their sum. */
static double list_fillings(model_t *model, const roll_t *song, double *p) {
    g_autoptr(stream_t) stream = stream_new(model, 1, NULL);
    g_autoptr(roll_t) roll = roll_new(FRAMES, 1, PITCHES);
    double sum = 0;
    roll_copy(song, 0, FRAMES, roll, 0);
    for (size_t code = 0; code < FILLINGS; code++) {
        p[code] = write_filling(roll, code) ? exp(score(stream, roll)) : 0;
        sum += p[code];
    }
    return sum;
}

typedef struct {
    model_t *model;
    roll_t *song, *known;
    timeline_t *timeline;
    guide_t *guide;
    particles_piece_t piece;
} tiny_t;

/* A guide with strong weights of its own, which knows nothing of the model. */
static guide_t *new_guide(const model_config_t *config) {
    guide_t *guide = guide_new(config);
    const size_t n = guide_groups(config) * guide_columns(config);
    const rng_t rng = rng_make(3, RNG_NOISE, 0, 0);
    rng_normal(&rng, guide_weights(guide), n);
    for (size_t i = 0; i < n; i++) guide_weights(guide)[i] *= (real_t)0.15;
    return guide;
}

static void tiny_init(tiny_t *tiny, size_t particles) {
    const model_config_t config = tiny_config();
    *tiny = (tiny_t){.model = new_sequence_model(&config, 1, 3), .timeline = new_timeline()};
    tiny->guide = new_guide(&config);
    tiny->song = roll_new(FRAMES, 1, PITCHES);
    roll_set(tiny->song, 0, 0, PLANE_ONSET, 0);
    roll_set(tiny->song, 2, 0, PLANE_ONSET, 2);
    roll_set(tiny->song, 3, 0, PLANE_SOUNDING, 2);
    roll_set(tiny->song, 4, 0, PLANE_ONSET, 1);
    roll_make_canonical(tiny->song);
    tiny->known = known_all(tiny->song);
    known_forget(tiny->known, &(known_region_t){OPEN_FIRST, OPEN_END, 1, HIDDEN, HIDDEN + 1});
    known_close(tiny->known, tiny->song);
    tiny->piece = (particles_piece_t){.song = tiny->song,
                                      .known = tiny->known,
                                      .timeline = tiny->timeline,
                                      .particles = particles,
                                      .look_ahead = FRAMES,
                                      .temperature = 1};
}

static void tiny_clear(tiny_t *tiny) {
    model_free(tiny->model);
    guide_free(tiny->guide);
    roll_free(tiny->song);
    roll_free(tiny->known);
    timeline_free(tiny->timeline);
}

/* Pearson's chi-square against its 99.99 % bound (Wilson & Hilferty 1931); and the mean of the evidence,
 * which is unbiased, within five standard errors of the sum. */
static void check_posterior(gboolean guided) {
    enum { PARTICLES = 100, DRAWS = 1000 };
    tiny_t tiny;
    double p[FILLINGS], chi = 0, n = 0, rare = 0, expected_rare = 0, mean = 0, squares = 0;
    size_t count[FILLINGS] = {0};
    tiny_init(&tiny, PARTICLES);
    if (guided) tiny.piece.guide = tiny.guide;
    const double sum = list_fillings(tiny.model, tiny.song, p);
    g_autoptr(particles_t) particles = particles_new(tiny.model, PARTICLES, 1, NULL);
    for (size_t i = 0; i < DRAWS; i++) {
        particles_evidence_t evidence;
        tiny.piece.index = i;
        g_autoptr(roll_t) roll = particles_write(particles, &tiny.piece, &evidence);
        count[read_filling(roll)]++;
        mean += exp(evidence.log_evidence) / DRAWS;
        squares += exp(2 * evidence.log_evidence) / DRAWS;
        g_assert_cmpuint(evidence.frames, ==, FRAMES - OPEN_FIRST);
    }
    g_assert_cmpfloat(fabs(mean - sum), <, 5 * sqrt((squares - mean * mean) / DRAWS));
    g_assert_cmpfloat(squares, >, mean * mean);
    for (size_t code = 0; code < FILLINGS; code++) {
        const double expected = DRAWS * p[code] / sum, drawn = (double)count[code];
        if (p[code] == 0) g_assert_cmpfloat(drawn, ==, 0);
        if (expected < 5) {
            rare += drawn;
            expected_rare += expected;
        } else {
            chi += (drawn - expected) * (drawn - expected) / expected;
            n++;
        }
    }
    if (expected_rare > 1) chi += (rare - expected_rare) * (rare - expected_rare) / expected_rare;
    g_assert_cmpfloat(n, >, 5);
    g_assert_cmpfloat(chi, <, n * pow(1 - 2 / (9 * n) + 3.719 * sqrt(2 / (9 * n)), 3));
    tiny_clear(&tiny);
}

static void test_posterior(void) { check_posterior(FALSE); }
static void test_guided(void) { check_posterior(TRUE); }

/* With any temperature and wish a guide changes what is drawn, but not how well a filling fits, nor the
 * evidence, which both ways are unbiased: within five standard errors. */
static void test_guided_wish(void) {
    enum { PARTICLES = 20, DRAWS = 1500 };
    tiny_t tiny;
    double mean[2] = {0}, squares[2] = {0}, fit[FILLINGS] = {0};
    tiny_init(&tiny, PARTICLES);
    size_t D = model_cells(model_config(tiny.model)), differ = 0;
    const particles_wish_t wish = {wish_little, take_nothing, select_nothing, &D};
    g_autoptr(particles_t) particles = particles_new(tiny.model, PARTICLES, 1, NULL);
    tiny.piece.wish = &wish;
    tiny.piece.temperature = 0.7;
    for (size_t i = 0; i < DRAWS; i++) {
        size_t code[2];
        tiny.piece.index = i;
        for (int guided = 0; guided < 2; guided++) {
            particles_evidence_t evidence;
            tiny.piece.guide = guided ? tiny.guide : NULL;
            g_autoptr(roll_t) roll = particles_write(particles, &tiny.piece, &evidence);
            code[guided] = read_filling(roll);
            if (fit[code[guided]] >= 0) fit[code[guided]] = evidence.log_fit;
            g_assert_cmpfloat(fabs(fit[code[guided]] - evidence.log_fit), <, 1e-4);
            g_assert_cmpfloat(evidence.log_fit, <, 0);
            mean[guided] += exp(evidence.log_evidence) / DRAWS;
            squares[guided] += exp(2 * evidence.log_evidence) / DRAWS;
        }
        differ += code[0] != code[1];
    }
    const double variance = (squares[0] - mean[0] * mean[0] + squares[1] - mean[1] * mean[1]) / DRAWS;
    g_assert_cmpfloat(fabs(mean[0] - mean[1]), <, 5 * sqrt(variance));
    g_assert_cmpfloat(5 * sqrt(variance), <, mean[0] / 5);
    g_assert_cmpuint(differ, >, DRAWS / 20);
    tiny_clear(&tiny);
}

/* Few particles: the logarithm of the evidence is too small on average, and too large where the first
 * particle follows the truth, if that is a draw from the posterior. */
static void test_bounds(void) {
    enum { PARTICLES = 3, DRAWS = 1500 };
    tiny_t tiny;
    double p[FILLINGS], mean[2] = {0}, squares[2] = {0};
    tiny_init(&tiny, PARTICLES);
    const double sum = list_fillings(tiny.model, tiny.song, p);
    g_autoptr(particles_t) particles = particles_new(tiny.model, PARTICLES, 1, NULL);
    g_autoptr(roll_t) truth = roll_new(FRAMES, 1, PITCHES);
    roll_copy(tiny.song, 0, FRAMES, truth, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        const rng_t rng = rng_make(1, RNG_EVALUATE, 0, i);
        double left = rng_uniform(&rng, 0) * sum;
        size_t code = 0;
        while (code + 1 < FILLINGS && (left -= p[code]) >= 0) code++;
        write_filling(truth, code);
        tiny.piece.index = i;
        for (int upper = 0; upper < 2; upper++) {
            particles_evidence_t evidence;
            tiny.piece.truth = upper ? truth : NULL;
            g_autoptr(roll_t) roll = particles_write(particles, &tiny.piece, &evidence);
            mean[upper] += evidence.log_evidence / DRAWS;
            squares[upper] += evidence.log_evidence * evidence.log_evidence / DRAWS;
        }
    }
    const double error[2] = {sqrt((squares[0] - mean[0] * mean[0]) / DRAWS),
                             sqrt((squares[1] - mean[1] * mean[1]) / DRAWS)};
    g_test_message("below by %.1f, above by %.1f standard errors", (log(sum) - mean[0]) / error[0],
                   (mean[1] - log(sum)) / error[1]);
    g_assert_cmpfloat(mean[0] + 2 * error[0], <, log(sum));
    g_assert_cmpfloat(mean[1] - 2 * error[1], >, log(sum));
    g_assert_cmpfloat(mean[1] - mean[0], <, 0.5);
    tiny_clear(&tiny);
}

/* ---- what is known stays ---- */

static const char *const models[] = {"--tracks merged --planes 1", "--tracks melody,bass --planes 2",
                                     "--tracks melody,bass --planes 2 --latent 0"};

static roll_t *new_song(const sample_model_t *model, size_t frames) {
    g_autoptr(compose_t) compose = make_compose(model);
    const compose_piece_t piece = draw_of(5, 1, frames);
    return compose_piece(compose, &piece);
}

static gboolean keeps(const roll_t *roll, const roll_t *song, const roll_t *known) {
    for (size_t i = 0; i < song->frames * roll_frame_bytes(song); i++)
        if ((roll->bits[i] ^ song->bits[i]) & known->bits[i]) return FALSE;
    return TRUE;
}

static void test_known(void) {
    enum { LONG = 60, K = 30 };
    const known_region_t regions[] = {{13, 29, ~0u, 0, 88}, {0, LONG, 1, 0, 88},    {20, 45, ~0u, 20, 40},
                                      {0, 9, ~0u, 0, 88},   {40, LONG, ~0u, 0, 88}, {0, LONG, ~0u, 0, 88}};
    g_autoptr(timeline_t) timeline = new_timeline();
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        g_autoptr(sample_model_t) model = make_model(models[m]);
        g_autoptr(particles_t) one = particles_new(model->model, K, 1, NULL),
                               three = particles_new(model->model, K, 3, NULL);
        g_autoptr(roll_t) whole = new_song(model, LONG);
        for (size_t i = 0; i < G_N_ELEMENTS(regions); i++) {
            g_autoptr(roll_t) song = roll_new(LONG, whole->tracks, whole->pitches), known = known_all(whole);
            roll_copy(whole, 0, LONG, song, 0);
            known_forget(known, &regions[i]);
            if (i == 1) known_keep_top(known, song, 0, 30);
            known_close(known, song);
            particles_piece_t piece = {.song = song,
                                       .known = known,
                                       .timeline = timeline,
                                       .particles = K,
                                       .look_ahead = i % 3 * 10,
                                       .temperature = i % 2 ? 1 : 0.9,
                                       .seed = 3};
            particles_evidence_t evidence;
            g_autoptr(roll_t) roll = particles_write(one, &piece, &evidence),
                              again = particles_write(three, &piece, &evidence);
            g_assert_true(keeps(roll, whole, known) || evidence.log_evidence == -INFINITY);
            g_assert_cmpfloat(evidence.log_evidence, >, -INFINITY);
            g_assert_true(same_frames(roll, again, LONG));
            piece.index++;
            g_autoptr(roll_t) other = particles_write(one, &piece, &evidence);
            g_assert_false(same_frames(roll, other, LONG));
            roll_make_canonical(again);
            g_assert_true(same_frames(roll, again, LONG));
        }
    }
}

/* Without a latent the state is all there is: a piece whose beginning is known goes on as it did; the
 * likelier of each cell is the same for each seed. */
static void test_continued(void) {
    enum { LONG = 60 };
    g_autoptr(sample_model_t) model = make_model(models[2]);
    g_autoptr(particles_t) particles = particles_new(model->model, 4, 1, NULL);
    g_autoptr(roll_t) song = new_song(model, LONG);
    g_autoptr(timeline_t) timeline = new_timeline();
    for (size_t given = 1; given < LONG; given += 13) {
        g_autoptr(roll_t) kept = roll_new(LONG, song->tracks, song->pitches), known = known_all(song);
        roll_copy(song, 0, LONG, kept, 0);
        known_forget(known, &(known_region_t){given, LONG, ~0u, 0, song->pitches});
        known_close(known, kept);
        particles_piece_t piece = {.song = kept,
                                   .known = known,
                                   .timeline = timeline,
                                   .particles = 4,
                                   .temperature = 1,
                                   .seed = 5,
                                   .index = 1};
        particles_evidence_t evidence;
        g_autoptr(roll_t) roll = particles_write(particles, &piece, &evidence);
        g_assert_true(same_frames(roll, song, LONG));
        g_assert_cmpuint(evidence.frames, ==, 0);
        piece.temperature = 0;
        g_autoptr(roll_t) greedy = particles_write(particles, &piece, &evidence);
        piece.seed = 6;
        g_autoptr(roll_t) same = particles_write(particles, &piece, &evidence);
        g_assert_true(same_frames(greedy, same, LONG));
    }
}

/* ---- all at once ---- */

static void test_wish(void) {
    enum { LONG = 24, K = 8 };
    g_autoptr(sample_model_t) model = make_model(models[1]);
    g_autoptr(particles_t) particles = particles_new(model->model, K, 1, NULL);
    g_autoptr(roll_t) song = new_song(model, LONG), known = known_all(song);
    g_autoptr(timeline_t) timeline = new_timeline();
    size_t D = model_cells(&model->checkpoint.model);
    const particles_wish_t wish = {wish_no_sound, take_nothing, select_nothing, &D};
    known_forget(known, &(known_region_t){0, LONG, ~0u, 0, song->pitches});
    known_close(known, song);
    const particles_piece_t piece = {.song = song,
                                     .known = known,
                                     .timeline = timeline,
                                     .particles = K,
                                     .temperature = 1,
                                     .seed = 5,
                                     .wish = &wish};
    particles_evidence_t evidence;
    g_autoptr(roll_t) roll = particles_write(particles, &piece, &evidence);
    g_assert_cmpuint(roll_sounding_end(roll), ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/particles/posterior", test_posterior);
    g_test_add_func("/particles/guided", test_guided);
    g_test_add_func("/particles/guided_wish", test_guided_wish);
    g_test_add_func("/particles/bounds", test_bounds);
    g_test_add_func("/particles/known", test_known);
    g_test_add_func("/particles/continued", test_continued);
    g_test_add_func("/particles/wish", test_wish);
    return g_test_run();
}
