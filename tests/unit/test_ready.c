/* When gradients are final: both kinds of model report each element of the block once a batch, at multiples
 * of 16, and nothing touches it afterwards; in whichever block the gradient is. Blocks of others' are used
 * and left to them. */
#include <string.h>

#include "tests/helpers/sequence_pieces.h"
#include "tests/helpers/sequences.h"
#include "trainer/model/layers.h"
#include "trainer/model/model.h"

typedef struct {
    model_t *model;
    real_t *seen; /* the gradient at the time when it was reported */
    uint8_t *times;
    size_t reports;
} watch_t;

static void note(void *data, size_t first, size_t count) {
    watch_t *watch = data;
    g_assert_true(first % 16 == 0 && count % 16 == 0);
    g_assert_cmpuint(first + count, <=, model_size(watch->model));
    memcpy(watch->seen + first, model_gradient(watch->model) + first, count * sizeof *watch->seen);
    for (size_t i = first; i < first + count; i++) watch->times[i]++;
    watch->reports++;
}

/* Trains on a batch with and without anyone waiting, which must not matter; returns the number of reports. */
static size_t check(model_t *model, const batch_t *batch, double auxiliary) {
    const model_objective_t objective = {.beta = 0.6, .free_bits = 0.5, .auxiliary = auxiliary, .scale = 0.1};
    const size_t n = model_size(model);
    real_t *own = model_gradient(model);
    g_autofree watch_t *watch = g_new0(watch_t, 1);
    g_autofree uint8_t *times = g_malloc0(n);
    real_t *seen = layers_new_block(n), *other = layers_new_block(n);
    model_losses_t losses[2];
    *watch = (watch_t){.model = model, .seen = seen, .times = times};
    memset(own, 0, n * sizeof *own);
    model_train(model, batch, &objective, &losses[0]);
    model_set_gradient(model, other);
    g_assert_true(model_gradient(model) == other);
    model_set_hook(model, note, watch);
    model_train(model, batch, &objective, &losses[1]);
    for (size_t i = 0; i < n; i++) g_assert_cmpint(times[i], ==, 1);
    g_assert_cmpint(memcmp(seen, other, n * sizeof *seen), ==, 0);
    g_assert_cmpint(memcmp(own, other, n * sizeof *own), ==, 0);
    g_assert_cmpint(memcmp(&losses[0], &losses[1], sizeof losses[0]), ==, 0);
    model_set_hook(model, NULL, NULL);
    model_set_gradient(model, own);
    free(seen);
    free(other);
    return watch->reports;
}

static void test_dense(void) {
    enum { B = 3 };
    static const struct {
        model_config_t config;
        size_t reports;
    } cases[] = {
        {{.window = 6,
          .tracks = 2,
          .planes = 2,
          .pitches = 12,
          .hidden = {24, 16, 7},
          .n_hidden = 3,
          .latent = 5},
         9},
        {{.window = 5, .tracks = 1, .planes = 1, .pitches = 9, .hidden = {13}, .n_hidden = 1, .latent = 3},
         5},
        /* the first layer, of 720,896 weights, in three parts */
        {{.window = 64, .tracks = 1, .planes = 2, .pitches = 88, .hidden = {64}, .n_hidden = 1, .latent = 2},
         7}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        model_config_t config = cases[i].config;
        config.kind = MODEL_DENSE;
        g_autoptr(model_t) model = model_new(&config, B, 0, NULL);
        g_assert_nonnull(model);
        model_init(model, 3);
        const uint32_t valid[B] = {(uint32_t)config.window, 2, 1};
        const size_t bytes = B * model_window_bytes(&config), units = model_dropout_units(&config);
        g_autofree uint8_t *bits = g_malloc(bytes), *keep = g_malloc(B * units);
        for (size_t j = 0; j < bytes; j++) bits[j] = (uint8_t)(j * 37);
        for (size_t j = 0; j < B * units; j++) keep[j] = j % 3 > 0;
        batch_t batch = {.B = B, .bits = bits, .valid = valid, .keep_rate = 0.6};
        g_assert_cmpuint(check(model, &batch, 0), ==, cases[i].reports);
        batch.keep_hidden = keep;
        g_assert_cmpuint(check(model, &batch, 0), ==, cases[i].reports);
    }
}

static void test_sequence(void) {
    enum { B = 4, T = 11 };
    static const uint32_t valid[B] = {11, 8, 5, 1};
    static const sequences_chances_t
        whole = {.density = 0.3, .keep_input = 1, .keep_past = 1, .keep_state = 1},
        dropout = {
            .density = 0.3, .keep_input = 0.8, .keep_past = 0.7, .keep_state = 0.6, .keep_memory = 0.8};
    for (int with = 0; with < 8; with++) {
        model_config_t config = with & 4 ? memory_config() : tracks_config;
        if (with & 1) config.latent = 0;
        if (with & 2) {
            config.sequence.profiles[0] = 4;
            config.sequence.n_profiles = 1;
        }
        g_autoptr(model_t) model = new_sequence_model(&config, B, 1);
        g_autoptr(sequences_t) s = sequences_new(&config, valid, B, T);
        sequences_draw(s, with & 2 ? &whole : &dropout, 23, 0);
        const size_t reports = check(model, &s->batch, 0.5);
        g_assert_cmpuint(reports, ==, (with & 1 ? 6 : 18) + (with & 4 ? config.tracks : 0));
        g_assert_cmpuint(check(model, &s->batch, 0), ==, reports);
    }
}

/* A model in others' memory is like one in its own. */
static void test_memory(void) {
    enum { B = 2, T = 5 };
    static const uint32_t valid[B] = {5, 3};
    g_autoptr(GError) error = NULL;
    const size_t n = model_elements(&tracks_config, &error);
    g_assert_no_error(error);
    real_t *params = layers_new_block(n), *gradient = layers_new_block(n);
    g_autoptr(model_t) own = new_sequence_model(&tracks_config, B, 1);
    g_assert_cmpuint(model_size(own), ==, n);
    for (int round = 0; round < 2; round++) { /* freeing a model leaves the memory */
        g_autoptr(model_t) model = model_new_in(&tracks_config, B, B * T, params, gradient, &error);
        g_assert_no_error(error);
        g_assert_true(model_params(model) == params && model_gradient(model) == gradient);
        memcpy(params, model_params(own), n * sizeof *params);
        g_autoptr(sequences_t) s = sequences_new(&tracks_config, valid, B, T);
        sequences_draw(s, &(sequences_chances_t){0.3, 1, 1, 1, 1}, 1, 0);
        model_losses_t losses;
        model_train(model, &s->batch, &(model_objective_t){.scale = 1}, &losses);
        model_train(own, &s->batch, &(model_objective_t){.scale = 1}, &losses);
        g_assert_cmpint(memcmp(gradient, model_gradient(own), n * sizeof *gradient), ==, 0);
    }
    free(params);
    free(gradient);
    model_config_t wrong = tracks_config;
    wrong.sequence.state = 0;
    g_assert_cmpuint(model_elements(&wrong, &error), ==, 0);
    g_assert_error(error, MODEL_ERROR, MODEL_ERROR_SIZE);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/ready/dense", test_dense);
    g_test_add_func("/ready/sequence", test_sequence);
    g_test_add_func("/ready/memory", test_memory);
    return g_test_run();
}
