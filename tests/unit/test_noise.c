/* noise: what a sequence's numbers depend on (seed, epoch, sample) and what not (batch, position, stride,
 * frames after); rates; the bits behind each unit. */
#include <math.h>
#include <string.h>

#include "trainer/data/noise.h"
#include "trainer/model/rng.h"

enum { Z = 5, S = 4, H = 10, M = 7, MAX_B = 6, MAX_T = 300 };

static model_config_t config_of(size_t latent, size_t state) {
    return (model_config_t){
        .kind = MODEL_SEQUENCE,
        .tracks = 1,
        .planes = 1,
        .pitches = 8,
        .latent = latent,
        .sequence = {.segment = S, .state = state, .lags = {1}, .n_lags = 1, .memory = M - 2, .note = 2}};
}

static noise_t *make(double input_dropout, double lag_dropout, double dropout) {
    const model_config_t config = config_of(Z, H);
    return noise_new(&config,
                     &(noise_rates_t){.input_dropout = input_dropout,
                                      .lag_dropout = lag_dropout,
                                      .dropout = dropout,
                                      .memory_dropout = dropout / 2},
                     MAX_B, MAX_B * MAX_T);
}

/* Sequence a of batch x and sequence b of batch y have the same numbers in their first `frames` frames. */
static gboolean same(const batch_t *x, size_t a, const batch_t *y, size_t b, size_t frames) {
    const size_t W_x = (x->T + S - 1) / S, W_y = (y->T + S - 1) / S;
    return memcmp(x->eps + a * W_x * Z, y->eps + b * W_y * Z, (frames + S - 1) / S * Z * sizeof *x->eps) ==
               0 &&
           memcmp(x->keep_input + a * x->T, y->keep_input + b * y->T, frames) == 0 &&
           memcmp(x->keep_past + a * W_x, y->keep_past + b * W_y, (frames + S - 1) / S) == 0 &&
           memcmp(x->keep_state + a * x->T * H, y->keep_state + b * y->T * H, frames * H) == 0 &&
           memcmp(x->keep_memory + a * x->T * M, y->keep_memory + b * y->T * M, frames * M) == 0;
}

static void test_composition(void) {
    g_autoptr(noise_t) many = make(0.5, 0.5, 0.5), alone = make(0.5, 0.5, 0.5);
    const uint64_t samples[] = {3, UINT64_C(1) << 33, 70, 4, 0};
    const uint32_t valid[] = {37, 36, 8, 3, 1};
    batch_t all = {.B = 5, .T = 37, .valid = valid};
    noise_draw(many, 11, 2, samples, &all);
    for (size_t b = 0; b < all.B; b++) {
        batch_t one = {.B = 1, .T = valid[b], .valid = valid + b}; /* another stride */
        noise_draw(alone, 11, 2, samples + b, &one);
        g_assert_true(same(&all, b, &one, 0, valid[b]));
        const uint32_t longer = valid[b] + 41; /* a prefix */
        one.T = MAX_T;
        one.valid = &longer;
        noise_draw(alone, 11, 2, samples + b, &one);
        g_assert_true(same(&all, b, &one, 0, valid[b]));
    }
    for (size_t b = 1; b < 3; b++) g_assert_false(same(&all, 0, &all, b, valid[b]));
    const uint32_t length = 37;
    batch_t other = {.B = 1, .T = 37, .valid = &length};
    noise_draw(alone, 12, 2, samples, &other);
    g_assert_false(same(&all, 0, &other, 0, 37));
    noise_draw(alone, 11, 3, samples, &other);
    g_assert_false(same(&all, 0, &other, 0, 37));
}

/* A window's numbers: Z of noise, a word of 16 bits a hidden unit; by sample, too. */
static void test_windows(void) {
    const model_config_t dense = {.kind = MODEL_DENSE,
                                  .window = 9,
                                  .tracks = 1,
                                  .planes = 1,
                                  .pitches = 8,
                                  .latent = Z,
                                  .hidden = {6, 3},
                                  .n_hidden = 2};
    const size_t units = model_dropout_units(&dense);
    const uint64_t samples[] = {8, 3, UINT64_C(1) << 33};
    const uint32_t valid[] = {9, 2, 5};
    g_autoptr(noise_t) noise = noise_new(&dense, &(noise_rates_t){.dropout = 0.2}, 3, 3),
                       alone = noise_new(&dense, &(noise_rates_t){.dropout = 0.2}, 3, 3);
    batch_t all = {.B = 3, .valid = valid};
    g_assert_cmpuint(units, ==, 2 * (6 + 3));
    noise_draw(noise, 11, 2, samples, &all);
    g_assert_true(!all.keep_state && !all.keep_input && !all.keep_past && !all.keep_memory);
    for (size_t b = 0; b < 3; b++) {
        const rng_t rng = rng_make(11, RNG_DROPOUT, 2, samples[b]),
                    normal = rng_make(11, RNG_NOISE, 2, samples[b]);
        uint64_t words[5];
        real_t eps[Z];
        rng_bits(&rng, 0, words, G_N_ELEMENTS(words));
        rng_normal(&normal, eps, Z);
        for (size_t u = 0; u < units; u++)
            g_assert_cmpint(all.keep_hidden[b * units + u], ==,
                            (words[u / 4] >> (u % 4 * 16) & 0xFFFF) >= 13107);
        g_assert_cmpint(memcmp(all.eps + b * Z, eps, sizeof eps), ==, 0);
        batch_t one = {.B = 1, .valid = valid + b};
        noise_draw(alone, 11, 2, samples + b, &one);
        g_assert_cmpint(memcmp(one.keep_hidden, all.keep_hidden + b * units, units), ==, 0);
    }
}

/* Each number by its definition in rng.h. */
static void test_definition(void) {
    g_autoptr(noise_t) noise = make(0.3, 0.4, 0.2);
    const uint64_t sample = 9;
    const uint32_t valid = 23;
    batch_t batch = {.B = 1, .T = 23, .valid = &valid};
    real_t eps[6 * Z];
    uint64_t words[23 * H / 4 + 1], memory_words[23 * M / 4 + 1];
    noise_draw(noise, 5, 1, &sample, &batch);
    const rng_t latent = rng_make(5, RNG_NOISE, 1, 9), input = rng_make(5, RNG_INPUT_DROPOUT, 1, 9);
    const rng_t past = rng_make(5, RNG_LAG_DROPOUT, 1, 9), state = rng_make(5, RNG_DROPOUT, 1, 9);
    rng_normal(&latent, eps, 6 * Z);
    g_assert_cmpint(memcmp(batch.eps, eps, sizeof eps), ==, 0);
    rng_bits(&state, 0, words, G_N_ELEMENTS(words));
    const rng_t memory = rng_make(5, RNG_MEMORY_DROPOUT, 1, 9);
    rng_bits(&memory, 0, memory_words, G_N_ELEMENTS(memory_words));
    for (size_t w = 0; w < 6; w++) g_assert_cmpint(batch.keep_past[w], ==, rng_uniform(&past, w) >= 0.4);
    for (size_t t = 0; t < 23; t++) {
        g_assert_cmpint(batch.keep_input[t], ==, rng_uniform(&input, t) >= 0.3);
        for (size_t u = t * H; u < (t + 1) * H; u++)
            g_assert_cmpint(batch.keep_state[u], ==, (words[u / 4] >> (u % 4 * 16) & 0xFFFF) >= 13107);
        for (size_t u = t * M; u < (t + 1) * M; u++)
            g_assert_cmpint(batch.keep_memory[u], ==, (memory_words[u / 4] >> (u % 4 * 16) & 0xFFFF) >= 6554);
    }
    g_assert_cmpfloat_with_epsilon(batch.keep_rate, 1 - 13107 / 65536.0, 1e-15);
    g_assert_cmpfloat_with_epsilon(batch.memory_rate, 1 - 6554 / 65536.0, 1e-15);
}

/* Shares of 0 within four standard deviations of the rate; neighbours and lanes independent enough to have
 * none in common. */
static void test_rates(void) {
    static const double rates[] = {0.0001, 0.1, 0.4, 0.5, 0.9};
    const uint64_t samples[] = {0, 1, 2, 3, 4, 5};
    const uint32_t valid[] = {300, 300, 300, 300, 300, 300};
    for (size_t i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autoptr(noise_t) noise = make(rates[i], rates[i], rates[i]);
        double hidden = 0, past = 0, silenced = 0, lanes[8] = {0}, frames = 0;
        for (uint64_t epoch = 0; epoch < 20; epoch++) {
            batch_t batch = {.B = MAX_B, .T = MAX_T, .valid = valid};
            noise_draw(noise, 1, epoch, samples, &batch);
            for (size_t j = 0; j < MAX_B * MAX_T; j++) hidden += !batch.keep_input[j];
            for (size_t j = 0; j < MAX_B * MAX_T / S; j++) past += !batch.keep_past[j];
            for (size_t j = 0; j < MAX_B * MAX_T * H; j++) {
                silenced += !batch.keep_state[j];
                lanes[j % 8] += !batch.keep_state[j];
            }
            frames += MAX_B * MAX_T;
            g_assert_cmpfloat_with_epsilon(batch.keep_rate, 1 - rates[i], 1.0 / 65536);
        }
        const double deviation = sqrt(rates[i] * (1 - rates[i]));
        g_assert_cmpfloat_with_epsilon(hidden / frames, rates[i], 4 * deviation / sqrt(frames));
        g_assert_cmpfloat_with_epsilon(past / (frames / S), rates[i], 4 * deviation / sqrt(frames / S));
        g_assert_cmpfloat_with_epsilon(silenced / (frames * H), rates[i],
                                       4 * deviation / sqrt(frames * H) + 1.0 / 65536);
        for (size_t j = 0; j < 8; j++)
            g_assert_cmpfloat_with_epsilon(lanes[j] / (frames * H / 8), rates[i],
                                           4 * deviation / sqrt(frames * H / 8) + 1.0 / 65536);
    }
}

static void test_none(void) {
    const model_config_t plain = config_of(0, H), latent = config_of(Z, H);
    const uint64_t sample = 1;
    const uint32_t valid = 7;
    g_autoptr(noise_t) none = noise_new(&plain, &(noise_rates_t){0}, 1, 7),
                       eps = noise_new(&latent, &(noise_rates_t){0}, 1, 7);
    batch_t batch = {.B = 1, .T = 7, .valid = &valid};
    noise_draw(none, 1, 1, &sample, &batch);
    g_assert_true(!batch.eps && !batch.keep_input && !batch.keep_past && !batch.keep_state &&
                  !batch.keep_memory && batch.keep_rate == 1);
    noise_draw(eps, 1, 1, &sample, &batch);
    g_assert_true(batch.eps && !batch.keep_input && !batch.keep_past && !batch.keep_state &&
                  batch.keep_rate == 1);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/noise/composition", test_composition);
    g_test_add_func("/noise/definition", test_definition);
    g_test_add_func("/noise/windows", test_windows);
    g_test_add_func("/noise/rates", test_rates);
    g_test_add_func("/noise/none", test_none);
    return g_test_run();
}
