/* The sequence model frame by frame beside its forward pass over whole pieces: posteriors, priors,
 * likelihood; copying pieces; drawing then forcing. */
#include "tests/helpers/sequence_pieces.h"
#include "trainer/model/stream.h"
#include "trainer/model/vae_sequence.h"

static stream_t *new_stream(model_t *model, size_t max_N) {
    g_autoptr(GError) error = NULL;
    stream_t *stream = stream_new(model, max_N, &error);
    g_assert_no_error(error);
    return stream;
}

static void assert_near(double a, double b, double tolerance) {
    g_assert_cmpfloat(fabs(a - b), <=, tolerance * MAX(1, fabs(b)));
}

static real_t *new_normal(size_t n, uint64_t sample) {
    real_t *values = g_new(real_t, n);
    const rng_t rng = rng_make(7, RNG_NOISE, 0, sample);
    rng_normal(&rng, values, n);
    return values;
}

/* One piece alone, forced with z = mu. */
static void force_piece(stream_t *stream, const model_config_t *config, const uint8_t *bits, size_t T,
                        meters_t meters, double *nll, double *kl) {
    const size_t Z = config->latent, S = config->sequence.segment, W = (T + S - 1) / S,
                 bytes = model_frame_bytes(config);
    g_autofree real_t *mu = g_new(real_t, W * Z), *logvar = g_new(real_t, W * Z),
                      *prior_mu = g_new(real_t, Z), *prior_logvar = g_new(real_t, Z);
    *nll = *kl = 0;
    if (Z) stream_encode(stream, bits, T, mu, logvar);
    stream_start(stream, 1);
    stream_set_meters(stream, 0, meters);
    for (size_t t = 0; t < T; t++) {
        double frame = 0;
        g_assert_cmpuint(stream_frames(stream), ==, t);
        if (Z && t % S == 0) {
            double segment;
            stream_prior(stream, prior_mu, prior_logvar);
            sequence_kl(mu + t / S * Z, logvar + t / S * Z, prior_mu, prior_logvar, &segment, 1, Z);
            *kl += segment;
            stream_set_latent(stream, mu + t / S * Z);
        }
        stream_force(stream, bits + t * bytes, FALSE, &frame);
        *nll += frame;
    }
}

static void check_forward(const model_config_t *config) {
    const uint32_t frames[] = {21, 20, 9, 4, 1};
    enum { B = G_N_ELEMENTS(frames) };
    g_autoptr(model_t) model = new_sequence_model(config, B, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, B, frames, 1);
    g_autoptr(stream_t) stream = new_stream(model, 1);
    const batch_t batch = whole_batch(pieces, NULL);
    double nll[B], kl[B], mine, divergence;
    model_forward(model, &batch, nll, kl);
    for (size_t b = 0; b < B; b++) {
        force_piece(stream, config, piece_bits(pieces, b), frames[b], piece_meters(b), &mine, &divergence);
        g_assert_cmpfloat(nll[b], >, 0);
        assert_near(mine, nll[b], 1e-5);
        assert_near(divergence, kl[b], 1e-5);
        g_assert_true((kl[b] > 0) == (config->latent > 0));
        if (config->sequence.bar == 0) continue;
        force_piece(stream, config, piece_bits(pieces, b), frames[b], piece_meters(b + 1), &mine,
                    &divergence);
        g_assert_cmpfloat(fabs(mine - nll[b]), >, 1e-3); /* other meters, other bars */
    }
}

static void test_forward(void) {
    const model_config_t configs[] = {tracks_config,
                                      one_track_config(12, 1, 3),
                                      one_track_config(16, 7, 2),
                                      one_track_config(9, 4, 0),
                                      memory_config(),
                                      bar_config()};
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) check_forward(&configs[i]);
}

/* More segments than the encoder takes at a time: each posterior is that of its frames alone. */
static void test_encode(void) {
    const model_config_t config = one_track_config(12, 3, 4);
    const uint32_t frames[] = {500};
    enum { Z = 4, S = 3, W = 167 };
    g_autoptr(model_t) model = new_sequence_model(&config, 1, 2);
    g_autoptr(pieces_t) pieces = new_pieces(&config, 1, frames, 2);
    g_autoptr(stream_t) stream = new_stream(model, 1);
    g_autofree real_t *mu = g_new(real_t, W * Z), *logvar = g_new(real_t, W * Z);
    real_t one_mu[Z], one_logvar[Z];
    double distance = 0;
    stream_encode(stream, piece_bits(pieces, 0), frames[0], mu, logvar);
    for (size_t w = 0; w < W; w++) {
        stream_encode(stream, piece_bits(pieces, 0) + w * S * pieces->frame_bytes, MIN(S, frames[0] - w * S),
                      one_mu, one_logvar);
        for (size_t j = 0; j < Z; j++) {
            assert_near((double)mu[w * Z + j], (double)one_mu[j], 1e-5);
            assert_near((double)logvar[w * Z + j], (double)one_logvar[j], 1e-5);
            distance += fabs((double)mu[w * Z + j] - (double)mu[(w + 1) % W * Z + j]);
        }
    }
    g_assert_cmpfloat(distance, >, 1);
}

/* Pieces that went different ways, copied in the middle of a segment: each copy goes on as its parent does.
 */
static void check_select(const model_config_t *config) {
    const uint32_t frames[] = {12, 12, 12}, parents[] = {2, 0, 0, 1};
    enum { N = 3, COPIES = 4 };
    const size_t Z = config->latent, S = config->sequence.segment;
    g_autoptr(model_t) model = new_sequence_model(config, N, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, frames, 3);
    g_autoptr(stream_t) whole = new_stream(model, N), copied = new_stream(model, COPIES);
    g_autofree uint8_t *frame = g_malloc(COPIES * pieces->frame_bytes);
    stream_start(whole, N);
    stream_start(copied, N);
    for (size_t n = 0; n < N; n++) {
        stream_set_meters(whole, n, piece_meters(n));
        stream_set_meters(copied, n, piece_meters(n));
    }
    for (size_t t = 0; t < frames[0]; t++) {
        const gboolean apart = t >= 6;
        double nll[N], copies[COPIES];
        g_autofree real_t *z = new_normal(N * Z, t), *latents = g_new(real_t, COPIES * Z);
        if (t == 6) stream_select(copied, parents, COPIES);
        for (size_t n = 0; n < COPIES; n++)
            memcpy(latents + n * Z, z + (apart ? parents[n] : n % N) * Z, Z * sizeof *z);
        if (t % S == 0) {
            stream_set_latent(whole, z);
            stream_set_latent(copied, latents);
        }
        for (size_t n = 0; n < N; n++)
            memcpy(frame + n * pieces->frame_bytes, piece_bits(pieces, n) + t * pieces->frame_bytes,
                   pieces->frame_bytes);
        stream_force(whole, frame, FALSE, nll);
        for (size_t n = 0; n < COPIES; n++)
            memcpy(frame + n * pieces->frame_bytes,
                   piece_bits(pieces, apart ? parents[n] : n % N) + t * pieces->frame_bytes,
                   pieces->frame_bytes);
        stream_force(copied, frame, FALSE, copies);
        for (size_t n = 0; apart && n < COPIES; n++) assert_near(copies[n], nll[parents[n]], 1e-5);
    }
}

static void test_select(void) {
    const model_config_t memory = memory_config(), bar = bar_config();
    check_select(&tracks_config);
    check_select(&memory);
    check_select(&bar);
}

/* The first ones stay when the last leave; one frame for all is the same frame for each. */
static void test_leave(void) {
    const model_config_t config = one_track_config(12, 5, 0);
    const uint32_t frames[] = {10, 10, 10}, stay[] = {0, 1};
    g_autoptr(model_t) model = new_sequence_model(&config, 3, 2);
    g_autoptr(pieces_t) pieces = new_pieces(&config, 1, frames, 4);
    g_autoptr(stream_t) stream = new_stream(model, 3);
    double nll[3], sum[3] = {0}, forward;
    stream_start(stream, 3);
    for (size_t t = 0; t < frames[0]; t++) {
        if (t == 4) stream_select(stream, stay, 2);
        stream_force(stream, piece_bits(pieces, 0) + t * pieces->frame_bytes, TRUE, nll);
        for (size_t n = 0; n < 3; n++) sum[n] += n < 2 || t < 4 ? nll[n] : 0;
    }
    const batch_t batch = whole_batch(pieces, NULL);
    model_forward(model, &batch, &forward, NULL);
    assert_near(sum[0], forward, 1e-5);
    assert_near(sum[1], forward, 1e-5);
    g_assert_cmpfloat(sum[2], <, forward);
}

/* Drawn frames, given back, lead to the same states; and each cell of a greedy frame is the likelier one. */
static void check_draw(const model_config_t *config) {
    const size_t Z = config->latent, S = config->sequence.segment, D = model_cells(config),
                 bytes = model_frame_bytes(config);
    enum { N = 2, T = 24 };
    g_autoptr(model_t) model = new_sequence_model(config, N, 3);
    g_autoptr(stream_t) drawn = new_stream(model, N), forced = new_stream(model, N);
    g_autofree uint8_t *frames = g_malloc(N * bytes);
    g_autofree real_t *a_mu = g_new(real_t, N * Z), *a_logvar = g_new(real_t, N * Z),
                      *b_mu = g_new(real_t, N * Z), *b_logvar = g_new(real_t, N * Z);
    rng_t rng;
    const head_rule_t rules[N] = {{.rng = NULL}, {.rng = &rng, .temperature = 1}};
    size_t set = 0;
    stream_start(drawn, N);
    stream_start(forced, N);
    for (size_t n = 0; n < N; n++) {
        stream_set_meters(drawn, n, piece_meters(n));
        stream_set_meters(forced, n, piece_meters(n));
    }
    for (size_t t = 0; t < T; t++) {
        g_autofree real_t *z = new_normal(N * Z, t);
        double nll[N];
        rng = rng_make(3, RNG_DECODE, 0, t);
        if (t % S == 0) {
            stream_prior(drawn, a_mu, a_logvar);
            stream_prior(forced, b_mu, b_logvar);
            for (size_t i = 0; i < N * Z; i++) {
                assert_near((double)a_mu[i], (double)b_mu[i], 1e-6);
                assert_near((double)a_logvar[i], (double)b_logvar[i], 1e-6);
            }
            stream_set_latent(drawn, z);
            stream_set_latent(forced, z);
        }
        stream_draw(drawn, rules, frames, NULL);
        stream_force(forced, frames, FALSE, t % 3 ? NULL : nll);
        if (t % 3 == 0) g_assert_cmpfloat(nll[0], <=, (double)D * log(2)); /* no cell is below 1/2 */
        for (size_t i = 0; i < N * bytes; i++) set += (size_t)__builtin_popcount(frames[i]);
    }
    g_assert_cmpuint(set, >, 0);
    g_assert_cmpuint(set, <, N * T * D);
}

static void test_draw(void) {
    const model_config_t memory = memory_config(), bar = bar_config();
    check_draw(&tracks_config);
    check_draw(&memory);
    check_draw(&bar);
}

/* The tables are made by stream_prepare() and at no frame or start: weights count from then on. */
static void test_tables(void) {
    const model_config_t config = one_track_config(12, 5, 0);
    const uint32_t frames[] = {8};
    g_autoptr(model_t) model = new_sequence_model(&config, 1, 2);
    g_autoptr(pieces_t) pieces = new_pieces(&config, 1, frames, 4);
    g_autoptr(stream_t) stream = new_stream(model, 1);
    double nll[3] = {0};
    size_t n;
    real_t *weights = find_values(model, "head.tied.0.weight", &n);
    for (size_t pass = 0; pass < 3; pass++) {
        if (pass == 2) stream_prepare(stream);
        stream_start(stream, 1);
        for (size_t i = 0; pass == 1 && i < n; i++) weights[i] += 0.5f;
        for (size_t t = 0; t < frames[0]; t++) {
            double one;
            stream_force(stream, piece_bits(pieces, 0) + t * pieces->frame_bytes, TRUE, &one);
            nll[pass] += one;
        }
    }
    g_assert_cmpfloat(nll[1], ==, nll[0]);
    g_assert_cmpfloat(fabs(nll[2] - nll[1]), >, 1e-3);
}

/* Before the first frame: the prior of the learned start. */
static void test_prior(void) {
    const model_config_t *config = &tracks_config;
    const size_t Z = config->latent;
    g_autoptr(model_t) model = new_sequence_model(config, 1, 2);
    const sequence_net_t *net = model_sequence_net(model);
    for (size_t i = 0; i < net->H; i++) net->h0[i] = (real_t)(0.3 * (double)(i % 5) - 0.5);
    g_autoptr(stream_t) stream = new_stream(model, 3);
    g_autofree real_t *mu = g_new(real_t, 3 * Z), *logvar = g_new(real_t, 3 * Z),
                      *hidden = g_new(real_t, net->prior[0].outputs), *moments = g_new(real_t, 2 * Z);
    sequence_mlp_forward(net->prior, net->h0, hidden, moments, &(rows_t){.n = 1});
    stream_start(stream, 3);
    stream_prior(stream, mu, logvar);
    for (size_t n = 0; n < 3; n++) {
        for (size_t j = 0; j < Z; j++) {
            assert_near((double)mu[n * Z + j], (double)moments[j], 1e-6);
            assert_near((double)logvar[n * Z + j], (double)moments[Z + j], 1e-6);
        }
    }
}

/* The losses of the logits add up to the frames' losses; certain cells have none. */
static void check_logits(const model_config_t *config) {
    const uint32_t frames[] = {12, 12, 12};
    enum { N = G_N_ELEMENTS(frames), T = 12 };
    const size_t D = model_cells(config), bytes = model_frame_bytes(config), P = config->pitches;
    g_autoptr(model_t) model = new_sequence_model(config, N, 2);
    g_autoptr(pieces_t) pieces = new_pieces(config, N, frames, 1);
    g_autoptr(stream_t) stream = new_stream(model, N);
    g_autofree real_t *logits = g_new(real_t, N * D), *z = new_normal(N * config->latent, 3);
    g_autofree uint8_t *now = g_malloc(N * bytes);
    double nll[N];
    size_t certain = 0;
    stream_start(stream, N);
    for (size_t n = 0; n < N; n++) stream_set_meters(stream, n, piece_meters(n));
    for (size_t t = 0; t < T; t++) {
        if (config->latent && t % config->sequence.segment == 0) stream_set_latent(stream, z);
        for (size_t n = 0; n < N; n++) memcpy(now + n * bytes, piece_bits(pieces, n) + t * bytes, bytes);
        stream_force_logits(stream, now, nll, logits);
        for (size_t n = 0; n < N; n++) {
            double sum = 0;
            for (size_t i = 0; i < D; i++) {
                const uint8_t byte = now[n * bytes + i / P * ((P + 7) / 8) + i % P / 8];
                const double logit = (double)logits[n * D + i], sign = byte >> (i % P % 8) & 1 ? -1 : 1;
                certain += isinf(logit) ? 1 : 0;
                sum += log1p(exp(sign * logit));
            }
            assert_near(sum, nll[n], 1e-5);
        }
    }
    g_assert_true((certain > 0) == (config->planes > 1));
}

static void test_logits(void) {
    const model_config_t configs[] = {tracks_config, memory_config(), bar_config(),
                                      one_track_config(13, 4, 0)};
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) check_logits(&configs[i]);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/forward", test_forward);
    g_test_add_func("/stream/encode", test_encode);
    g_test_add_func("/stream/select", test_select);
    g_test_add_func("/stream/leave", test_leave);
    g_test_add_func("/stream/draw", test_draw);
    g_test_add_func("/stream/tables", test_tables);
    g_test_add_func("/stream/prior", test_prior);
    g_test_add_func("/stream/logits", test_logits);
    return g_test_run();
}
