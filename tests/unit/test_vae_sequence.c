/* The sequence model as a whole: table, first values and refusals, sums over parts of a batch, what must not
 * matter, a distribution over pieces that sums to 1, forward against train. (Values: test_golden_sequence.c;
 * gradients: double_sequence.c.) */
#include <math.h>
#include <string.h>

#include "tests/helpers/sequence_pieces.h"
#include "tests/helpers/sequences.h"
#include "trainer/model/layers.h"
#include "trainer/model/vae_sequence.h"

static const sequences_chances_t dropout = {
    .density = 0.3, .keep_input = 0.8, .keep_past = 0.7, .keep_state = 0.6, .keep_memory = 0.8};
static const model_objective_t everything = {.beta = 0.6, .free_bits = 4, .auxiliary = 0.5, .scale = 0.1};

static sequences_t *draw(const model_config_t *config, const uint32_t *valid, size_t B, size_t T,
                         uint64_t step) {
    sequences_t *s = sequences_new(config, valid, B, T);
    sequences_draw(s, &dropout, 23, step);
    return s;
}

static void test_table(void) {
    static const struct {
        const char *name;
        size_t rows, cols;
    } wanted[] = {{"encoder.forward.input.weight", 52, 30},
                  {"encoder.forward.input.bias", 1, 30},
                  {"encoder.forward.weight", 10, 30},
                  {"encoder.forward.bias", 1, 10},
                  {"encoder.backward.input.weight", 52, 30},
                  {"encoder.backward.input.bias", 1, 30},
                  {"encoder.backward.weight", 10, 30},
                  {"encoder.backward.bias", 1, 10},
                  {"posterior.0.weight", 20, 12},
                  {"posterior.0.bias", 1, 12},
                  {"posterior.1.weight", 12, 10},
                  {"posterior.1.bias", 1, 10},
                  {"prior.0.weight", 24, 9},
                  {"prior.0.bias", 1, 9},
                  {"prior.1.weight", 9, 10},
                  {"prior.1.bias", 1, 10},
                  {"sketch.0.weight", 5, 11},
                  {"sketch.0.bias", 1, 11},
                  {"sketch.1.weight", 11, 24},
                  {"sketch.1.bias", 1, 24},
                  {"auxiliary.weight", 6, 52},
                  {"auxiliary.bias", 1, 52},
                  {"decoder.sketch.weight", 6, 72},
                  {"decoder.input.weight", 52, 72},
                  {"decoder.input.bias", 1, 72},
                  {"decoder.weight", 24, 72},
                  {"decoder.bias", 1, 24},
                  {"decoder.phase.weight", 4, 72},
                  {"decoder.start.state", 1, 24},
                  {"head.output.weight", 30, 91},
                  {"head.output.bias", 1, 91}};
    g_autoptr(model_t) model = new_sequence_model(&tracks_config, 1, 1);
    model_config_t plain = tracks_config;
    plain.latent = 0;
    g_autoptr(model_t) without = new_sequence_model(&plain, 1, 1);
    size_t n, m, end = 0;
    const param_t *table = model_table(model, &n), *rest = model_table(without, &m);
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(wanted) + 3 + 2 * 4); /* and the head's own */
    for (size_t i = 0; i < n; i++) {
        if (i < G_N_ELEMENTS(wanted)) {
            g_assert_cmpstr(table[i].name, ==, wanted[i].name);
            g_assert_cmpuint(table[i].rows, ==, wanted[i].rows);
            g_assert_cmpuint(table[i].cols, ==, wanted[i].cols);
        }
        g_assert_cmpint(table[i].decay, ==, table[i].rows > 1);
        g_assert_cmpuint(table[i].offset, >=, end);
        end = table[i].offset + table[i].rows * table[i].cols;
    }
    g_assert_cmpuint(m, ==, n - 23); /* no encoder, posterior, prior, sketch, auxiliary */
    for (size_t i = 0; i < m; i++) g_assert_cmpstr(rest[i].name, ==, table[23 + i].name);
    g_assert_cmpuint(rest[6].rows, ==, 24); /* head.output has no sketch to read */
    g_assert_cmpstr(MODEL_KIND_NAMES[MODEL_SEQUENCE], ==, "sequence");
}

/* Latents start narrow around what they say, the prior near N(0, 1), and cells at their log-odds. */
static void test_start(void) {
    g_autoptr(model_t) model = new_sequence_model(&tracks_config, 1, 1);
    const size_t Z = tracks_config.latent, D = model_cells(&tracks_config);
    double log_odds[52], largest = 0, widest = 0;
    size_t n;
    for (size_t d = 0; d < D; d++) log_odds[d] = -3 + 0.01 * (double)d;
    model_init_log_odds(model, log_odds);
    const real_t *bias = find_values(model, "posterior.1.bias", &n);
    for (size_t i = 0; i < Z; i++) {
        g_assert_cmpfloat(bias[i], !=, 0);
        g_assert_cmpfloat(bias[Z + i], ==, -3);
    }
    const real_t *weights = find_values(model, "posterior.1.weight", &n);
    for (size_t i = 0; i < n; i++) {
        double *most = i % (2 * Z) < Z ? &widest : &largest;
        *most = fmax(*most, fabs((double)weights[i]));
    }
    g_assert_cmpfloat(largest, <, 0.3001 / sqrt(12));
    g_assert_cmpfloat(largest, >, 0.25 / sqrt(12));
    g_assert_cmpfloat(widest, >, 0.8 / sqrt(12));
    bias = find_values(model, "prior.1.bias", &n);
    for (size_t i = 0; i < n; i++) g_assert_cmpfloat(bias[i], ==, 0);
    weights = find_values(model, "prior.1.weight", &n);
    for (size_t i = 0; i < n; i++) g_assert_cmpfloat(fabs((double)weights[i]), <=, 0.1001 / 3);
    const real_t *const cells[] = {find_values(model, "head.output.bias", &n),
                                   find_values(model, "auxiliary.bias", &n)};
    for (size_t d = 0; d < D; d++) {
        g_assert_cmpfloat_with_epsilon((double)cells[0][d], log_odds[d], 1e-6);
        g_assert_cmpfloat_with_epsilon((double)cells[1][d], log_odds[d], 1e-6);
    }
}

/* logvar is kept in [-8, 4] whatever the layers say; the divergence by its integral's closed form. */
static void test_moments(void) {
    static const real_t moments[] = {
        1, -2, 0, 30, /* logvar */ -20, 5, -8, 3.5f, /* the next row */ 0, 0, 0, 0, 4, 0, NAN, -7};
    static const real_t wanted[] = {-8, 4, -8, 3.5f, 4, 0, NAN, -7};
    real_t mu[8], logvar[8];
    sequence_split_moments(moments, mu, logvar, 2, 4);
    g_assert_cmpint(memcmp(mu, moments, 4 * sizeof *mu), ==, 0);
    for (size_t i = 0; i < 8; i++)
        g_assert_true(logvar[i] == wanted[i] || (isnan(logvar[i]) && isnan(wanted[i])));
    static const real_t mu_q[] = {1, -1, 0.5f, 0}, lv_q[] = {0, -2, 1, 2}, mu_p[] = {0, 1, 0.5f, 0},
                        lv_p[] = {0, 1, -1, 2};
    double kl[2];
    sequence_kl(mu_q, lv_q, mu_p, lv_p, kl, 2, 2);
    g_assert_cmpfloat_with_epsilon(kl[0], 0.5 * (1 + (3 + (4 + exp(-2)) / exp(1) - 1)), 1e-12);
    g_assert_cmpfloat_with_epsilon(kl[1], 0.5 * (-2 + exp(2) - 1), 1e-12);
}

static void test_refusals(void) {
    static const struct {
        size_t offset, value, max_frames;
        const char *names;
    } wrong[] = {
        {offsetof(model_config_t, sequence.segment), 0, 9, "*segment*0*"},
        {offsetof(model_config_t, sequence.state), 0, 9, "*state*0*"},
        {offsetof(model_config_t, sequence.encoder), 65537, 9, "*encoder*65537*"},
        {offsetof(model_config_t, sequence.sketch), 0, 9, "*sketch is 0*"},
        {offsetof(model_config_t, sequence.nade), 0, 9, "*nade*0*"},
        {offsetof(model_config_t, sequence.tied), 0, 9, "*tied*0*"},
        {offsetof(model_config_t, sequence.posterior_hidden), 0, 9, "*posterior-hidden*0*"},
        {offsetof(model_config_t, sequence.prior_hidden), 0, 9, "*prior-hidden*0*"},
        {offsetof(model_config_t, sequence.sketch_hidden), 0, 9, "*sketch-hidden*0*"},
        {offsetof(model_config_t, sequence.segment), 4097, 9, "*segment*4097*"},
        {offsetof(model_config_t, sequence.n_lags), 0, 9, "*lags*0 numbers*"},
        {offsetof(model_config_t, sequence.n_lags), 13, 9, "*lags*13 numbers*"},
        {offsetof(model_config_t, sequence.lags), 1025, 9, "*lags*1025*"},
        {offsetof(model_config_t, sequence.lags), 4, 9, "*lags*4,2,*rising*"},
        {offsetof(model_config_t, sequence.n_profiles), 5, 9, "*profiles*5 numbers*"},
        {offsetof(model_config_t, sequence.note), 4, 9, "*pitches 0 to 0 of 13*memory*"},
        {offsetof(model_config_t, latent), 65537, 9, "*latent*65537*"},
        {offsetof(model_config_t, tracks), 0, 9, "*tracks*0*"},
        {offsetof(model_config_t, planes), 3, 9, "*planes*3*"},
        {offsetof(model_config_t, pitches), 129, 9, "*pitches*129*"},
        {offsetof(model_config_t, latent), 5, 0, "*frames a pass*0*"},
        {offsetof(model_config_t, sequence.state), 65536, 100000, "*100008 frames*--chunk*"},
        {offsetof(model_config_t, sequence.nade), 65536, 2000000, "*frames*--chunk*"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        model_config_t config = tracks_config;
        memcpy((char *)&config + wrong[i].offset, &wrong[i].value, sizeof(size_t));
        g_assert_null(model_new(&config, 2, wrong[i].max_frames, &error));
        g_assert_error(error, MODEL_ERROR, MODEL_ERROR_SIZE);
        if (!g_pattern_match_simple(wrong[i].names, error->message))
            g_test_fail_printf("\"%s\" does not name %s", error->message, wrong[i].names);
    }
    g_autoptr(GError) error = NULL;
    model_config_t config = tracks_config;
    config.loss = LOSS_MSE;
    g_assert_null(model_new(&config, 1, 9, &error));
    g_assert_error(error, MODEL_ERROR, MODEL_ERROR_SIZE);
    g_assert_nonnull(strstr(error->message, "--loss bce"));
}

static batch_t part_of(const sequences_t *s, size_t first, size_t B) {
    const size_t T = s->batch.T, H = s->config.sequence.state;
    batch_t part = s->batch;
    part.B = B;
    part.bits += first * (s->context + T) * s->frame_bytes;
    part.valid += first;
    part.eps += first * s->segments * s->config.latent;
    part.keep_input += first * T;
    part.keep_past += first * s->segments;
    part.keep_state += first * T * H;
    if (part.keep_memory) part.keep_memory += first * T * model_memory_units(&s->config);
    return part;
}

/* Ranks hold parts of a batch: their losses and gradients add up to the whole's, in any cut. */
static void test_parts(gconstpointer data) {
    const model_config_t *config = data;
    enum { B = 9 };
    static const uint32_t valid[B] = {13, 12, 9, 9, 8, 5, 4, 2, 1};
    static const size_t cuts[] = {0, 1, 4, 6, 9};
    g_autoptr(sequences_t) s = draw(config, valid, B, 14, 0);
    g_autoptr(model_t) whole = new_sequence_model(config, B, 1), parts = new_sequence_model(config, B, 1);
    model_losses_t all, part, sum = {0};
    model_train(whole, &s->batch, &everything, &all);
    for (size_t i = 0; i + 1 < G_N_ELEMENTS(cuts); i++) {
        const batch_t batch = part_of(s, cuts[i], cuts[i + 1] - cuts[i]);
        model_train(parts, &batch, &everything, &part);
        sum.nll += part.nll;
        sum.kl += part.kl;
        sum.segments += part.segments;
        sum.auxiliary += part.auxiliary;
    }
    g_assert_cmpfloat_with_epsilon(sum.nll / all.nll, 1, 1e-6);
    g_assert_cmpfloat_with_epsilon(sum.kl / all.kl, 1, 1e-6);
    g_assert_cmpfloat_with_epsilon(sum.auxiliary / all.auxiliary, 1, 1e-6);
    g_assert_cmpfloat(sum.segments, ==, all.segments);
    double wrong = 0, norm = 0;
    for (size_t i = 0; i < model_size(whole); i++) {
        wrong += pow((double)model_gradient(parts)[i] - (double)model_gradient(whole)[i], 2);
        norm += pow((double)model_gradient(whole)[i], 2);
    }
    g_assert_cmpfloat(sqrt(wrong / norm), <, 1e-6);
}

/* What a model gives for a batch, to the bit. */
static void check_same(model_t *a, const batch_t *of_a, model_t *b, const batch_t *of_b) {
    double nll[2][MAX(PIECES_MAX, 9)], kl[2][MAX(PIECES_MAX, 9)];
    model_losses_t losses[2];
    model_t *const models[] = {a, b};
    const batch_t *const batches[] = {of_a, of_b};
    const size_t bytes = model_size(a) * sizeof(real_t);
    for (size_t i = 0; i < 2; i++) {
        memset(model_gradient(models[i]), 0, bytes);
        model_forward(models[i], batches[i], nll[i], kl[i]);
        model_train(models[i], batches[i], &everything, &losses[i]);
    }
    g_assert_cmpint(memcmp(nll[0], nll[1], of_a->B * sizeof(double)), ==, 0);
    g_assert_cmpint(memcmp(kl[0], kl[1], of_a->B * sizeof(double)), ==, 0);
    g_assert_cmpint(memcmp(&losses[0], &losses[1], sizeof losses[0]), ==, 0);
    g_assert_cmpint(memcmp(model_gradient(a), model_gradient(b), bytes), ==, 0);
}

/* What lies after a sequence's valid frames, in padding bits, and in longer arrays changes nothing. */
static void test_masks(gconstpointer data) {
    const model_config_t *config = data;
    enum { B = 4, T = 9, LONGER = 14 };
    static const uint32_t valid[B] = {9, 7, 4, 1};
    const size_t Z = config->latent, H = config->sequence.state, M = model_memory_units(config);
    g_autoptr(sequences_t) clean = draw(config, valid, B, T, 0), dirty = draw(config, valid, B, LONGER, 0);
    g_autoptr(model_t) model = new_sequence_model(config, B, 1), other = new_sequence_model(config, B, 1);
    for (size_t b = 0; b < B; b++) {
        for (int t = -(int)dirty->context; t < LONGER; t++)
            for (size_t i = 0; i < dirty->frame_bytes; i++) {
                uint8_t *byte = sequences_frame(dirty, b, t) + i;
                *byte = t >= (int)valid[b] ? 0xFF : (uint8_t)(i % 2 ? *byte | 0xE0 : *byte);
            }
        for (size_t i = ((valid[b] + 3) / 4) * Z; i < dirty->segments * Z; i++)
            dirty->eps[b * dirty->segments * Z + i] = NAN;
        memset(dirty->keep_input + b * LONGER + valid[b], 1, LONGER - valid[b]);
        memset(dirty->keep_past + b * dirty->segments + (valid[b] + 3) / 4, 1,
               dirty->segments - (valid[b] + 3) / 4);
        memset(dirty->keep_state + (b * LONGER + valid[b]) * H, 1, (LONGER - valid[b]) * H);
        if (M > 0) memset(dirty->keep_memory + (b * LONGER + valid[b]) * M, 1, (LONGER - valid[b]) * M);
    }
    check_same(model, &clean->batch, other, &dirty->batch);
}

/* A model that has seen another, larger batch gives what a fresh one gives. */
static void test_scratch(void) {
    enum { B = 8, SMALL = 3 };
    static const uint32_t many[B] = {20, 20, 19, 13, 9, 9, 8, 2}, few[SMALL] = {6, 5, 3};
    for (size_t k = 0; k < 4; k++) {
        model_config_t config = k < 2 ? tracks_config : memory_config();
        if (k % 2) config.latent = 0;
        g_autoptr(sequences_t) large = draw(&config, many, B, 20, 1), small = draw(&config, few, SMALL, 6, 2);
        g_autoptr(model_t) used = new_sequence_model(&config, B, 1),
                           fresh = new_sequence_model(&config, B, 1);
        model_losses_t losses;
        model_train(used, &large->batch, &everything, &losses);
        check_same(used, &small->batch, fresh, &small->batch);
    }
}

/* forward and train agree to the bit, with the noise or without; no noise is noise of zero. */
static void test_forward(gconstpointer data) {
    const model_config_t *config = data;
    enum { B = 5 };
    static const uint32_t valid[B] = {11, 8, 8, 3, 1};
    g_autoptr(sequences_t) s = draw(config, valid, B, 11, 0);
    g_autoptr(model_t) model = new_sequence_model(config, B, 1);
    double nll[3][B], kl[3][B], sum_nll = 0, sum_kl = 0;
    model_losses_t losses;
    model_forward(model, &s->batch, nll[0], kl[0]);
    model_train(model, &s->batch, &everything, &losses);
    for (size_t b = 0; b < B; b++) sum_nll += nll[0][b], sum_kl += kl[0][b];
    g_assert_cmpfloat_with_epsilon(sum_nll / losses.nll, 1, 1e-12); /* the same terms in another order */
    g_assert_cmpfloat_with_epsilon(sum_kl / losses.kl, 1, 1e-12);
    s->batch.eps = NULL;
    model_forward(model, &s->batch, nll[1], kl[1]);
    memset(s->eps, 0, B * s->segments * config->latent * sizeof *s->eps);
    s->batch.eps = s->eps;
    model_forward(model, &s->batch, nll[2], NULL);
    model_forward(model, &s->batch, NULL, kl[2]);
    g_assert_cmpint(memcmp(nll[1], nll[2], sizeof nll[1]), ==, 0);
    g_assert_cmpint(memcmp(kl[1], kl[2], sizeof kl[1]), ==, 0);
    for (size_t b = 0; b < B; b++)
        g_assert_cmpfloat(nll[0][b], !=, nll[1][b]); /* the latent reaches the cells */
}

/* A piece's probability given its latents may depend on nothing but the latents and the past: then, and only
 * then, the probabilities of all canonical pieces of a length sum to 1. The posterior is made blind, or it
 * would know the piece. */
static void check_sum(const model_config_t *config, size_t T, size_t pieces_wanted) {
    enum { B = 8 };
    const size_t D = model_cells(config), P = config->pitches, stride = (P + 7) / 8,
                 combinations = (size_t)1 << T * D;
    uint32_t valid[B];
    for (size_t b = 0; b < B; b++) valid[b] = (uint32_t)T;
    g_autoptr(sequences_t) s = sequences_new(config, valid, B, T);
    g_autoptr(model_t) model = new_sequence_model(config, B, 3);
    if (config->latent) set_values(model, "posterior.1.weight", 0);
    for (size_t b = 0; b < B; b++)
        memcpy(s->eps + b * s->segments * config->latent, s->eps,
               s->segments * config->latent * sizeof *s->eps);
    double sum = 0, nll[B];
    size_t pieces = 0, filled = 0;
    for (size_t k = 0; k < combinations; k++) {
        uint8_t *first = sequences_frame(s, filled, 0);
        memset(first, 0, T * s->frame_bytes);
        for (size_t i = 0; i < T * D; i++)
            first[i / P * stride + i % P / 8] |= (uint8_t)((k >> i & 1) << i % P % 8);
        g_autofree uint8_t *drawn = g_memdup2(first, T * s->frame_bytes);
        for (size_t t = 0; t < T; t++) sequences_make_canonical(s, filled, (int)t);
        const size_t canonical = !memcmp(drawn, first, T * s->frame_bytes);
        pieces += canonical;
        filled += canonical;
        if (filled == B || (k + 1 == combinations && filled)) {
            s->batch.B = filled;
            model_forward(model, &s->batch, nll, NULL);
            for (size_t b = 0; b < filled; b++) sum += exp(-nll[b]);
            filled = 0;
        }
    }
    g_test_message("%zu pieces: %.9f", pieces, sum);
    g_assert_cmpuint(pieces, ==, pieces_wanted);
    g_assert_cmpfloat_with_epsilon(sum, 1, 2e-6);
}

static void test_sum(void) {
    model_config_t plain = one_track_config(3, 2, 0), latent = one_track_config(2, 2, 3),
                   tracks = tracks_config;
    check_sum(&plain, 3, 512);
    check_sum(&latent, 5, 1024); /* a latent drawn in the middle, and one at the last frame */
    tracks.pitches = 2;
    check_sum(
        &tracks, 2,
        625); /* each of 4 keys: silent twice, struck then silent, held or struck again, silent then struck */
}

/* A NaN in any parameter shows in the losses. */
static void test_not_finite(void) {
    enum { B = 3 };
    static const uint32_t valid[B] = {9, 6, 2};
    g_autoptr(sequences_t) s = draw(&tracks_config, valid, B, 9, 0);
    g_autoptr(model_t) model = new_sequence_model(&tracks_config, B, 1);
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        const size_t entries = table[i].rows * table[i].cols;
        real_t *x = model_params(model) + table[i].offset;
        g_autofree real_t *saved = g_memdup2(x, entries * sizeof *x);
        model_losses_t losses;
        for (size_t j = 0; j < entries; j++) x[j] = (real_t)NAN;
        model_train(model, &s->batch, &everything, &losses);
        if (isfinite(losses.nll) && isfinite(losses.kl) && isfinite(losses.auxiliary))
            g_test_fail_printf("NaN in %s does not show", table[i].name);
        memcpy(x, saved, entries * sizeof *x);
        memset(model_gradient(model), 0, model_size(model) * sizeof *x);
        model_train(model, &s->batch, &everything, &losses); /* and leaves nothing behind */
        g_assert_true(isfinite(losses.nll) && isfinite(losses.kl) && isfinite(losses.auxiliary));
        for (size_t j = 0; j < model_size(model); j++) g_assert_true(isfinite(model_gradient(model)[j]));
    }
}

int main(int argc, char **argv) {
    const model_config_t memory = memory_config();
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/vae-sequence/table", test_table);
    g_test_add_func("/vae-sequence/start", test_start);
    g_test_add_func("/vae-sequence/moments", test_moments);
    g_test_add_func("/vae-sequence/refusals", test_refusals);
    g_test_add_data_func("/vae-sequence/parts", &tracks_config, test_parts);
    g_test_add_data_func("/vae-sequence/parts_memory", &memory, test_parts);
    g_test_add_data_func("/vae-sequence/masks", &tracks_config, test_masks);
    g_test_add_data_func("/vae-sequence/masks_memory", &memory, test_masks);
    g_test_add_func("/vae-sequence/scratch", test_scratch);
    g_test_add_data_func("/vae-sequence/forward", &tracks_config, test_forward);
    g_test_add_data_func("/vae-sequence/forward_memory", &memory, test_forward);
    g_test_add_func("/vae-sequence/sum", test_sum);
    g_test_add_func("/vae-sequence/not-finite", test_not_finite);
    return g_test_run();
}
