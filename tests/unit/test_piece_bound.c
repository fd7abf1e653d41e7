/* Figures of pieces: likelihood beside the forward pass, the particle bound beside integrals and its own
 * special cases, notes from latents, company, stopping. */
#include "tests/helpers/sequence_pieces.h"
#include "trainer/evaluate/piece_bound.h"
#include "trainer/model/optimizer.h"
#include "trainer/model/stream.h"
#include "trainer/model/vae_sequence.h"

enum { SEED = 9 };

static void assert_near(double a, double b, double tolerance) {
    g_assert_cmpfloat(fabs(a - b), <=, tolerance * MAX(1, fabs(b)));
}

static void describe(const model_config_t *config, const pieces_t *pieces, piece_bound_piece_t *described) {
    uint64_t segment = 0;
    for (size_t b = 0; b < pieces->B; b++) {
        described[b] = (piece_bound_piece_t){.bits = piece_bits(pieces, b),
                                             .frames = pieces->valid[b],
                                             .meters = piece_meters(b),
                                             .segment = segment};
        segment += (pieces->valid[b] + config->sequence.segment - 1) / config->sequence.segment;
    }
}

/* moments may be NULL. */
static void run_draws(model_t *model, int particles, int draws, uint64_t seed,
                      const piece_bound_piece_t *pieces, size_t n, piece_bound_result_t *results,
                      double *moments) {
    g_autoptr(GError) error = NULL;
    g_autoptr(piece_bound_t) figures = piece_bound_new(model, particles, draws, seed, &error);
    g_assert_no_error(error);
    g_autofree double *own = g_new0(double, 2 * model_config(model)->latent);
    g_assert_true(piece_bound_run(figures, pieces, n, results, moments ? moments : own, NULL, NULL));
}

static void run_figures(model_t *model, int particles, uint64_t seed, const piece_bound_piece_t *pieces,
                        size_t n, piece_bound_result_t *results, double *moments) {
    run_draws(model, particles, 1, seed, pieces, n, results, moments);
}

static const uint32_t lengths[] = {23, 20, 14, 14, 8, 3};
enum { N = G_N_ELEMENTS(lengths) };

/* The noise that figures.h promises, as the forward pass wants it. */
static real_t *new_noise(const model_config_t *config, const pieces_t *pieces,
                         const piece_bound_piece_t *described) {
    const size_t Z = config->latent, S = config->sequence.segment, W = (pieces->T + S - 1) / S;
    real_t *eps = g_new0(real_t, pieces->B * W * Z);
    for (size_t b = 0; b < pieces->B; b++)
        for (size_t w = 0; w * S < pieces->valid[b]; w++) {
            const rng_t rng = rng_make(SEED, RNG_EVALUATE, 0, described[b].segment + w);
            rng_normal(&rng, eps + (b * W + w) * Z, Z);
        }
    return eps;
}

static void test_likelihood(void) {
    const model_config_t configs[] = {tracks_config, one_track_config(12, 5, 3), one_track_config(9, 4, 0),
                                      bar_config()};
    for (size_t c = 0; c < G_N_ELEMENTS(configs); c++) {
        const model_config_t *config = &configs[c];
        g_autoptr(model_t) model = new_sequence_model(config, N, 2);
        g_autoptr(pieces_t) pieces = new_pieces(config, N, lengths, 1);
        piece_bound_piece_t described[N];
        piece_bound_result_t results[N];
        double nll[N], kl[N];
        describe(config, pieces, described);
        g_autofree real_t *eps = new_noise(config, pieces, described);
        const batch_t batch = whole_batch(pieces, eps);
        model_forward(model, &batch, nll, kl);
        run_figures(model, 0, SEED, described, N, results, NULL);
        for (size_t b = 0; b < N; b++) {
            assert_near(results[b].nll, nll[b], 1e-5);
            assert_near(results[b].kl, kl[b], 1e-5);
            g_assert_cmpfloat(results[b].bound, ==, 0);
        }
    }
}

/* Without a latent there is nothing to draw: all bounds are the likelihood, and nothing can be rebuilt. */
static void test_no_latent(void) {
    const model_config_t config = one_track_config(12, 4, 0);
    g_autoptr(model_t) model = new_sequence_model(&config, 1, 2);
    g_autoptr(pieces_t) pieces = new_pieces(&config, N, lengths, 1);
    piece_bound_piece_t described[N];
    piece_bound_result_t results[N];
    describe(&config, pieces, described);
    run_figures(model, 16, SEED, described, N, results, NULL);
    for (size_t b = 0; b < N; b++) {
        g_assert_cmpfloat(results[b].bound, ==, results[b].nll);
        g_assert_cmpfloat(results[b].kl, ==, 0);
        g_assert_cmpfloat(results[b].rebuilt.cells.hits + results[b].rebuilt.cells.misses +
                              results[b].floor.cells.false_alarms,
                          ==, 0);
    }
}

/* K = 1 by hand: the frames' nll and log q(z | segment) - log p(z | past) of the same draws. */
static void test_one_particle(void) {
    const model_config_t *config = &tracks_config;
    const size_t Z = config->latent, S = config->sequence.segment, W = (lengths[0] + S - 1) / S;
    g_autoptr(model_t) model = new_sequence_model(config, 1, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, lengths, 1);
    piece_bound_piece_t described[N];
    piece_bound_result_t results[N];
    describe(config, pieces, described);
    run_figures(model, 1, SEED, described, N, results, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(stream_t) stream = stream_new(model, 1, &error);
    g_autofree real_t *mu = g_new(real_t, W * Z), *logvar = g_new(real_t, W * Z),
                      *prior_mu = g_new(real_t, Z), *prior_logvar = g_new(real_t, Z), *z = g_new(real_t, Z),
                      *eps = g_new(real_t, Z);
    for (size_t b = 0; b < N; b++) {
        double bound = 0;
        stream_encode(stream, described[b].bits, described[b].frames, mu, logvar);
        stream_start(stream, 1);
        for (size_t t = 0; t < described[b].frames; t++) {
            double nll;
            if (t % S == 0) {
                const rng_t rng = rng_make(SEED, RNG_EVALUATE, 0, described[b].segment + t / S);
                rng_normal(&rng, eps, Z);
                stream_prior(stream, prior_mu, prior_logvar);
                for (size_t j = 0; j < Z; j++) {
                    const double m = (double)mu[t / S * Z + j], lv = (double)logvar[t / S * Z + j],
                                 pm = (double)prior_mu[j], plv = (double)prior_logvar[j];
                    z[j] = (real_t)(m + exp(lv / 2) * (double)eps[j]);
                    bound += -lv / 2 - pow((double)z[j] - m, 2) / (2 * exp(lv)) + plv / 2 +
                             pow((double)z[j] - pm, 2) / (2 * exp(plv));
                }
                stream_set_latent(stream, z);
            }
            stream_force(stream, described[b].bits + t * pieces->frame_bytes, TRUE, &nll);
            bound += nll;
        }
        assert_near(results[b].bound, bound, 1e-5);
    }
}

/* Posterior and prior the same, whatever goes in. */
static void make_equal(model_t *model) {
    static const char *const names[] = {"posterior.1.weight", "posterior.1.bias", "prior.1.weight",
                                        "prior.1.bias"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) set_values(model, names[i], 0);
}

/* Nothing hears the latent. */
static void make_deaf(model_t *model) {
    const model_config_t *config = model_config(model);
    size_t n = 0;
    set_values(model, "decoder.sketch.weight", 0);
    real_t *output = find_values(model, "head.output.weight", &n);
    for (size_t i = config->sequence.state * (n / (config->sequence.state + config->sequence.sketch)); i < n;
         i++)
        output[i] = 0;
}

static void test_equal(void) {
    const model_config_t *config = &tracks_config;
    g_autoptr(model_t) model = new_sequence_model(config, N, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, lengths, 1);
    piece_bound_piece_t described[N];
    piece_bound_result_t one[N], many[N];
    double nll[N], *moments = g_newa(double, 2 * config->latent);
    memset(moments, 0, 2 * config->latent * sizeof *moments);
    describe(config, pieces, described);
    make_equal(model);
    run_figures(model, 1, SEED, described, N, one, moments);
    for (size_t b = 0; b < N; b++) {
        assert_near(one[b].kl, 0, 1e-9);
        assert_near(one[b].bound, one[b].nll, 1e-5);
    }
    for (size_t i = 0; i < 2 * config->latent; i++) g_assert_cmpfloat(moments[i], ==, 0);
    make_deaf(model);
    const batch_t batch = whole_batch(pieces, NULL);
    model_forward(model, &batch, nll, NULL);
    run_figures(model, 12, SEED, described, N, many, NULL);
    for (size_t b = 0; b < N; b++) {
        assert_near(many[b].nll, nll[b], 1e-5);
        assert_near(many[b].bound, nll[b], 1e-5);
    }
}

/* -log p of two segments of a model with one latent unit: both integrals by the trapezoidal rule over +- 8
 * standard deviations of the prior. */
static double integrate(model_t *model, const piece_bound_piece_t *piece) {
    enum { GRID = 160 };
    const size_t S = model_config(model)->sequence.segment, bytes = model_frame_bytes(model_config(model));
    g_autoptr(GError) error = NULL;
    g_autoptr(stream_t) stream = stream_new(model, GRID * GRID, &error);
    g_autofree real_t *z = g_new(real_t, GRID * GRID), *mu = g_new(real_t, GRID),
                      *logvar = g_new(real_t, GRID);
    g_autofree double *log_p = g_new0(double, GRID), *log_pair = g_new0(double, GRID *GRID),
                      *nll = g_new(double, GRID *GRID);
    g_autofree uint32_t *parents = g_new(uint32_t, GRID * GRID);
    const double width = 16.0 / (GRID - 1), log_cell = log(width) - log(2 * G_PI) / 2;
    stream_start(stream, GRID);
    stream_prior(stream, mu, logvar);
    for (size_t i = 0; i < GRID; i++) {
        const double x = (double)i * width - 8;
        z[i] = (real_t)((double)mu[0] + exp((double)logvar[0] / 2) * x);
        log_p[i] = log_cell - x * x / 2;
    }
    stream_set_latent(stream, z);
    for (size_t t = 0; t < S; t++) {
        stream_force(stream, piece->bits + t * bytes, TRUE, nll);
        for (size_t i = 0; i < GRID; i++) log_p[i] -= nll[i];
    }
    stream_prior(stream, mu, logvar);
    for (size_t i = 0; i < GRID * GRID; i++) parents[i] = (uint32_t)(i / GRID);
    stream_select(stream, parents, GRID * GRID);
    for (size_t i = 0; i < GRID * GRID; i++) {
        const double x = (double)(i % GRID) * width - 8;
        z[i] = (real_t)((double)mu[i / GRID] + exp((double)logvar[i / GRID] / 2) * x);
        log_pair[i] = log_p[i / GRID] + log_cell - x * x / 2;
    }
    stream_set_latent(stream, z);
    for (size_t t = S; t < piece->frames; t++) {
        stream_force(stream, piece->bits + t * bytes, TRUE, nll);
        for (size_t i = 0; i < GRID * GRID; i++) log_pair[i] -= nll[i];
    }
    double most = log_pair[0], sum = 0;
    for (size_t i = 0; i < GRID * GRID; i++) most = MAX(most, log_pair[i]);
    for (size_t i = 0; i < GRID * GRID; i++) sum += exp(log_pair[i] - most);
    return -most - log(sum);
}

/* Many particles, resampled between the two segments, find the integral; few give a worse bound, one the
 * worst. */
static void test_integral(void) {
    const model_config_t config = one_track_config(10, 4, 1);
    const uint32_t frames[] = {7};
    enum { SEEDS = 1000 };
    g_autoptr(model_t) model = new_sequence_model(&config, 1, 4);
    size_t n = 0;
    set_values(model, "posterior.1.weight", 0); /* a posterior that fits badly: weights are unequal */
    real_t *posterior = find_values(model, "posterior.1.bias", &n);
    posterior[0] = (real_t)0.7;
    posterior[1] = (real_t)0.2;
    g_autoptr(pieces_t) pieces = new_pieces(&config, 1, frames, 3);
    piece_bound_piece_t piece;
    piece_bound_result_t result;
    describe(&config, pieces, &piece);
    const double exact = integrate(model, &piece);
    run_figures(model, 10000, SEED, &piece, 1, &result, NULL);
    g_test_message("exact %.4f, 10000 particles %.4f, one draw %.4f", exact, result.bound,
                   result.nll + result.kl);
    assert_near(result.bound, exact, 0.05 / exact);
    double bound[3] = {0}, ratio = 0; /* means over seeds: of the bound, which is worse than the truth; of its
                                         estimate of p over p, which is 1 */
    const int particles[] = {1, 4, 32};
    for (size_t i = 0; i < G_N_ELEMENTS(particles); i++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            run_figures(model, particles[i], seed, &piece, 1, &result, NULL);
            bound[i] += result.bound / SEEDS;
            if (i == 1) ratio += exp(exact - result.bound) / SEEDS;
        }
        g_test_message("%d particles: %.4f", particles[i], bound[i]);
        g_assert_cmpfloat(bound[i], >, exact);
        if (i > 0) g_assert_cmpfloat(bound[i], <, bound[i - 1]);
    }
    g_test_message("mean of p / p: %.4f", ratio);
    assert_near(ratio, 1, 0.1);
}

/* A piece's figures are the same alone, in company, and with any number of companions' particles. */
static void test_company(void) {
    const model_config_t *config = &tracks_config;
    g_autoptr(model_t) model = new_sequence_model(config, 1, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, lengths, 1);
    piece_bound_piece_t described[N];
    piece_bound_result_t together[N], alone;
    describe(config, pieces, described);
    for (int particles = 5; particles < 400;
         particles *= 20) { /* 5: all pieces' at a time; 100: two; 200 and more would be one */
        run_draws(model, particles, 3, SEED, described, N, together, NULL);
        for (size_t b = 0; b < N; b++) {
            run_draws(model, particles, 3, SEED, &described[b], 1, &alone, NULL);
            assert_near(alone.nll, together[b].nll, 1e-5);
            assert_near(alone.kl, together[b].kl, 1e-5);
            assert_near(alone.bound, together[b].bound, 1e-4);
            g_assert_cmpfloat(alone.rebuilt.cells.hits, ==, together[b].rebuilt.cells.hits);
            g_assert_cmpfloat(alone.floor.cells.false_alarms, ==, together[b].floor.cells.false_alarms);
        }
    }
}

/* wrong: cells that may be, and segments that may have so many more or fewer. */
static void assert_rebuilt(model_t *model, int draws, double wrong, const piece_bound_piece_t *pieces,
                           size_t n) {
    piece_bound_result_t results[PIECE_BOUND_PIECES];
    double rebuilt = 0, floor = 0, sounding = 0;
    run_draws(model, 0, draws, SEED, pieces, n, results, NULL);
    for (size_t b = 0; b < n; b++) {
        const cells_t *own = &results[b].rebuilt.cells, *prior = &results[b].floor.cells;
        g_test_message("%d draws: %.0f hits, %.0f false, %.0f missed; floor %.0f, %.0f, %.0f", draws,
                       own->hits, own->false_alarms, own->misses, prior->hits, prior->false_alarms,
                       prior->misses);
        rebuilt += own->false_alarms + own->misses + results[b].rebuilt.off;
        floor += prior->false_alarms + prior->misses;
        sounding += own->hits;
    }
    g_assert_cmpfloat(rebuilt, <=, wrong);
    g_assert_cmpfloat(sounding, >, 20);
    g_assert_cmpfloat(floor, >, 10);
}

/* Two pieces learned by heart come back whole from their latents; the prior, which is not told which one,
 * finds less. */
static void test_rebuilt(void) {
    const model_config_t config = one_track_config(12, 4, 4);
    const uint32_t frames[] = {14, 13};
    enum { B = 2, STEPS = 400 };
    g_autoptr(model_t) model = new_sequence_model(&config, B, 1);
    g_autoptr(pieces_t) pieces = new_pieces(&config, B, frames, 6);
    const optimizer_config_t adam = {.learning_rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&adam, model_size(model));
    const batch_t batch = whole_batch(pieces, NULL);
    const model_objective_t objective = {.beta = 0.01, .auxiliary = 1, .scale = 1.0 / (14 + 13)};
    for (int step = 0; step < STEPS; step++) {
        model_losses_t losses;
        memset(model_gradient(model), 0, model_size(model) * sizeof(real_t));
        model_train(model, &batch, &objective, &losses);
        optimizer_step(optimizer, model, adam.learning_rate);
    }
    piece_bound_piece_t described[B];
    describe(&config, pieces, described);
    assert_rebuilt(model, 1, 0, described, B);
    assert_rebuilt(model, 8, 4, described, B);
}

typedef struct {
    size_t rows, left;
} ticks_t;

static gboolean count_ticks(size_t rows, void *context) {
    ticks_t *ticks = context;
    ticks->rows += rows;
    return ticks->left-- > 0;
}

static void test_ticks(void) {
    const model_config_t *config = &tracks_config;
    g_autoptr(model_t) model = new_sequence_model(config, 1, 1);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, lengths, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(piece_bound_t) figures = piece_bound_new(model, 100, 3, SEED, &error);
    piece_bound_piece_t described[N];
    piece_bound_result_t results[N];
    double *moments = g_newa0(double, 2 * config->latent);
    size_t frames = 0, calls = 0;
    describe(config, pieces, described);
    for (size_t b = 0; b < N; b++) frames += lengths[b];
    ticks_t ticks = {.left = G_MAXSIZE};
    g_assert_true(piece_bound_run(figures, described, N, results, moments, count_ticks, &ticks));
    g_assert_cmpuint(ticks.rows, ==, frames * piece_bound_rows_a_frame(figures));
    calls = G_MAXSIZE - ticks.left;
    for (size_t left = 0; left < calls; left += 3) { /* stops wherever it is told to, and can begin anew */
        ticks_t few = {.left = left};
        g_assert_false(piece_bound_run(figures, described, N, results, moments, count_ticks, &few));
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/figures/likelihood", test_likelihood);
    g_test_add_func("/figures/no-latent", test_no_latent);
    g_test_add_func("/figures/one-particle", test_one_particle);
    g_test_add_func("/figures/equal", test_equal);
    g_test_add_func("/figures/integral", test_integral);
    g_test_add_func("/figures/company", test_company);
    g_test_add_func("/figures/rebuilt", test_rebuilt);
    g_test_add_func("/figures/ticks", test_ticks);
    return g_test_run();
}
