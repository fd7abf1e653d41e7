/* The sequence model by grains: losses and gradients of grains that are computed together have the bits of
 * their halves, added up, down to each alone, whatever lengths stand beside each other and with empty ones
 * too; and the values of plain passes, to rounding. */
#include <math.h>
#include <string.h>

#include "tests/helpers/sequence_pieces.h"
#include "tests/helpers/sequences.h"

enum { B = 13, GRAINS = 8, T = 12 };

/* Longest first in each grain. */
static const uint32_t valid[B] = {9, 12, 3, 5, 7, 7, 1, 6, 5, 4, 4, 2, 11},
                      begin[GRAINS + 1] = {0, 1, 3, 3, 4, 7, 7, 12, 13};

typedef struct {
    model_t *model;
    sequences_t *sequences;
    model_objective_t objective;
} fixture_t;

/* Grains [first, first + n) of the batch, by themselves. */
static batch_t part(const sequences_t *s, size_t first, size_t n, uint32_t *from) {
    const batch_t *whole = &s->batch;
    const size_t b = begin[first], W = s->segments;
    for (size_t i = 0; i <= n; i++) from[i] = begin[first + i] - begin[first];
    batch_t batch = *whole;
    batch.B = begin[first + n] - b;
    batch.bits += b * (s->context + T) * s->frame_bytes;
    batch.valid += b;
    batch.eps += b * W * s->config.latent;
    if (batch.places) batch.places += b * T;
    if (batch.keep_input) batch.keep_input += b * T;
    if (batch.keep_past) batch.keep_past += b * W;
    if (batch.keep_state) batch.keep_state += b * T * s->config.sequence.state;
    if (batch.keep_memory) batch.keep_memory += b * T * model_memory_units(&s->config);
    if (batch.songs) batch.songs += b;
    batch.grains = (grains_t){.begin = from, .n = n};
    return batch;
}

/* The gradient of grains [first, first + n), which is written over what is there; of none it is 0. */
static real_t *train(const fixture_t *f, size_t first, size_t n, model_losses_t *losses) {
    real_t *gradient = model_gradient(f->model);
    const size_t size = model_size(f->model);
    uint32_t from[GRAINS + 1];
    const batch_t batch = part(f->sequences, first, n, from);
    memset(losses, 0, n * sizeof *losses);
    for (size_t i = 0; i < size; i++) gradient[i] = batch.B > 0 ? (real_t)NAN : 0;
    if (batch.B > 0) model_train(f->model, &batch, &f->objective, losses);
    return g_memdup2(gradient, size * sizeof *gradient);
}

static gboolean same(const fixture_t *f, const real_t *a, const real_t *b) {
    size_t n;
    const param_t *table = model_table(f->model, &n);
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + table[i].offset, b + table[i].offset, table[i].rows * table[i].cols * sizeof *a) !=
            0) {
            g_test_message("%s differs", table[i].name);
            return FALSE;
        }
    return TRUE;
}

static void check_tree(const fixture_t *f, size_t first, size_t n) {
    model_losses_t together[GRAINS], apart[GRAINS];
    if (n == 1) return;
    g_autofree real_t *whole = train(f, first, n, together);
    g_autofree real_t *left = train(f, first, n / 2, apart);
    g_autofree real_t *right = train(f, first + n / 2, n / 2, apart + n / 2);
    for (size_t i = 0; i < model_size(f->model); i++) left[i] += right[i];
    g_assert_true(same(f, whole, left));
    g_assert_true(memcmp(together, apart, n * sizeof *together) == 0);
    check_tree(f, first, n / 2);
    check_tree(f, first + n / 2, n / 2);
}

/* Against a plain pass for each grain, which adds to the gradient. */
static void check_plain(const fixture_t *f) {
    model_losses_t found[GRAINS], losses;
    g_autofree real_t *whole = train(f, 0, GRAINS, found);
    real_t *plain = model_gradient(f->model);
    memset(plain, 0, model_size(f->model) * sizeof *plain);
    for (size_t i = 0; i < GRAINS; i++) {
        uint32_t from[2];
        batch_t batch = part(f->sequences, i, 1, from);
        batch.grains.n = 0;
        losses = (model_losses_t){0};
        if (batch.B > 0) model_train(f->model, &batch, &f->objective, &losses);
        g_assert_cmpfloat_with_epsilon(losses.nll, found[i].nll, 1e-9 + 1e-5 * losses.nll);
        g_assert_cmpfloat_with_epsilon(losses.kl, found[i].kl, 1e-9 + 1e-5 * losses.kl);
        g_assert_cmpfloat_with_epsilon(losses.auxiliary, found[i].auxiliary, 1e-9 + 1e-5 * losses.auxiliary);
        g_assert_cmpfloat_with_epsilon(losses.performance, found[i].performance,
                                       1e-9 + 1e-5 * losses.performance);
        g_assert_cmpfloat(losses.segments, ==, found[i].segments);
    }
    size_t n;
    const param_t *table = model_table(f->model, &n);
    for (size_t i = 0; i < n; i++) {
        double wrong = 0, norm = 0;
        for (size_t j = table[i].offset; j < table[i].offset + table[i].rows * table[i].cols; j++) {
            wrong += pow((double)whole[j] - (double)plain[j], 2);
            norm += pow((double)plain[j], 2);
        }
        g_test_message("%s: %g of %g", table[i].name, sqrt(wrong), sqrt(norm));
        g_assert_cmpfloat(sqrt(wrong), <=, 1e-5 * sqrt(norm));
    }
}

static void check(const model_config_t *config, double auxiliary) {
    static const sequences_chances_t dropout = {
        .density = 0.3, .keep_input = 0.8, .keep_past = 0.7, .keep_state = 0.6, .keep_memory = 0.8};
    g_autoptr(GError) error = NULL;
    g_autoptr(sequences_t) sequences = sequences_new(config, valid, B, T);
    g_autoptr(model_t) model = new_sequence_model(config, B, 2);
    g_assert_true(model_allow_grains(model, GRAINS, &error));
    g_assert_no_error(error);
    sequences_draw(sequences, &dropout, 29, 0);
    const fixture_t f = {
        model, sequences, {.beta = 0.6, .free_bits = 4, .auxiliary = auxiliary, .scale = 0.1}};
    check_plain(&f);
    check_tree(&f, 0, GRAINS);
}

static void test_grains(void) {
    model_config_t without = tracks_config, with_profiles = tracks_config;
    without.latent = 0;
    with_profiles.sequence.n_profiles = 2;
    with_profiles.sequence.profiles[0] = 4;
    with_profiles.sequence.profiles[1] = 16;
    check(&with_profiles, 0.5);
    check(&tracks_config, 0);
    check(&without, 0);
    model_config_t memory = memory_config();
    const model_config_t bar = bar_config();
    check(&bar, 0.5);
    check(&memory, 0.5);
    memory.sequence.performance = without.sequence.performance = 7;
    check(&memory, 0.5);
    check(&without, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sequence/grains", test_grains);
    return g_test_run();
}
