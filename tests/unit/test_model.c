/* The model as a whole: sizes and refusals, weight init, sums over parts of a batch, masks, forward against
 * train, learning by heart. */
#include <math.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/optimizer.h"
#include "trainer/model/vae_dense.h"

static const model_config_t small = {.kind = MODEL_DENSE,
                                     .window = 6,
                                     .tracks = 2,
                                     .planes = 2,
                                     .pitches = 12,
                                     .hidden = {24, 16},
                                     .n_hidden = 2,
                                     .latent = 5};

static model_t *new_model(const model_config_t *config, size_t max_B) {
    g_autoptr(GError) error = NULL;
    model_t *model = model_new(config, max_B, 0, &error);
    g_assert_no_error(error);
    model_init(model, 3);
    return model;
}

/* Random windows with noise; owned arrays. */
typedef struct {
    batch_t batch;
    uint8_t *bits;
    uint32_t *valid;
    real_t *eps;
} windows_t;

static windows_t *new_windows(const model_config_t *config, size_t B, gboolean whole) {
    windows_t *w = g_new0(windows_t, 1);
    const size_t bytes = B * model_window_bytes(config);
    const rng_t rng = rng_make(13, RNG_DECODE, 0, 0), noise = rng_make(13, RNG_NOISE, 0, 0);
    w->bits = g_malloc0(bytes);
    w->valid = g_new0(uint32_t, B);
    w->eps = g_new0(real_t, B * config->latent);
    for (size_t i = 0; i < 8 * bytes; i++)
        w->bits[i / 8] = (uint8_t)(w->bits[i / 8] | (rng_uniform(&rng, i) < 0.15) << i % 8);
    for (size_t b = 0; b < B; b++) w->valid[b] = (uint32_t)(whole ? config->window : 1 + b % config->window);
    rng_normal(&noise, w->eps, B * config->latent);
    w->batch = (batch_t){.B = B, .bits = w->bits, .valid = w->valid, .eps = w->eps};
    return w;
}

static void free_windows(windows_t *w) {
    g_free(w->bits);
    g_free(w->valid);
    g_free(w->eps);
    g_free(w);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(windows_t, free_windows)

static batch_t part_of(const windows_t *w, const model_config_t *config, size_t first, size_t B) {
    return (batch_t){.B = B,
                     .bits = w->bits + first * model_window_bytes(config),
                     .valid = w->valid + first,
                     .eps = w->eps + first * config->latent};
}

static void test_table(void) {
    static const char *const names[] = {
        "encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias",   "mu.weight",
        "mu.bias",          "logvar.weight",  "logvar.bias",      "decoder.0.weight", "decoder.0.bias",
        "decoder.1.weight", "decoder.1.bias", "output.weight",    "output.bias"};
    static const size_t rows[] = {288, 24, 16, 16, 5, 16, 24}, cols[] = {24, 16, 5, 5, 16, 24, 288};
    g_autoptr(model_t) model = new_model(&small, 2);
    size_t n, end = 0;
    const param_t *table = model_table(model, &n);
    g_assert_cmpuint(model_cells(&small), ==, 288);
    g_assert_cmpuint(model_window_bytes(&small), ==, 48);
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(names));
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpstr(table[i].name, ==, names[i]);
        g_assert_cmpuint(table[i].rows, ==, i % 2 ? 1 : rows[i / 2]);
        g_assert_cmpuint(table[i].cols, ==, cols[i / 2]);
        g_assert_cmpint(table[i].decay, ==, i % 2 == 0);
        g_assert_cmpuint(table[i].offset % 16, ==, 0);
        g_assert_cmpuint(table[i].offset, >=, end);
        end = table[i].offset + table[i].rows * table[i].cols;
    }
    g_assert_cmpuint(model_size(model), >=, end);
    g_assert_cmpuint((uintptr_t)model_params(model) % 64, ==, 0);
    g_assert_cmpuint((uintptr_t)model_gradient(model) % 64, ==, 0);
    g_assert_cmpstr(MODEL_KIND_NAMES[MODEL_DENSE], ==, "dense");
}

static void test_init(void) {
    g_autoptr(model_t) model = new_model(&small, 2), other = new_model(&small, 2);
    size_t n;
    const param_t *table = model_table(model, &n);
    g_assert_cmpint(memcmp(model_params(model), model_params(other), model_size(model) * sizeof(real_t)), ==,
                    0);
    model_init(other, 4);
    for (size_t i = 0; i < n; i++) {
        const real_t *x = model_params(model) + table[i].offset;
        const size_t count = table[i].rows * table[i].cols;
        const double bound = 1 / sqrt((double)table[i & ~(size_t)1].rows);
        double squares = 0, largest = 0;
        for (size_t k = 0; k < count; k++) {
            squares += (double)x[k] * (double)x[k] / (double)count;
            largest = fmax(largest, fabs((double)x[k]));
        }
        g_assert_cmpfloat(largest, <=, bound * (1 + 1e-6));
        g_assert_cmpfloat(largest, >, bound * (count < 10 ? 0.4 : 0.8)); /* fills the interval ... */
        if (count > 300)
            g_assert_cmpfloat_with_epsilon(squares / (bound * bound), 1.0 / 3, 0.07); /* ... evenly */
        g_assert_cmpint(memcmp(x, model_params(other) + table[i].offset, count * sizeof *x), !=, 0);
    }
}

static void assert_refused(const model_config_t *config, size_t max_B, const char *names) {
    g_autoptr(GError) error = NULL;
    g_assert_null(model_new(config, max_B, 0, &error));
    g_assert_nonnull(error);
    g_assert_true(error->domain == MODEL_ERROR);
    if (!g_pattern_match_simple(names, error->message))
        g_test_fail_printf("\"%s\" does not name %s", error->message, names);
}

static void test_refusals(void) {
    const model_config_t least = {
        .window = 1, .tracks = 1, .planes = 1, .pitches = 88, .hidden = {4}, .n_hidden = 1, .latent = 2};
    const struct {
        size_t offset, value;
        const char *names;
    } wrong[] = {
        {offsetof(model_config_t, window), 0, "*window*0*"},
        {offsetof(model_config_t, window), 65537, "*window*65537*"},
        {offsetof(model_config_t, tracks), 0, "*tracks*0*"},
        {offsetof(model_config_t, planes), 3, "*planes*3*"},
        {offsetof(model_config_t, pitches), 129, "*pitches*129*"},
        {offsetof(model_config_t, n_hidden), 0, "*hidden*0 numbers*"},
        {offsetof(model_config_t, n_hidden), 9, "*hidden*9 numbers*"},
        {offsetof(model_config_t, hidden), 0, "*hidden*: 0*"},
        {offsetof(model_config_t, latent), 0, "*latent*0*"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        model_config_t config = least;
        memcpy((char *)&config + wrong[i].offset, &wrong[i].value, sizeof(size_t));
        assert_refused(&config, 1, wrong[i].names);
    }
    model_config_t config = least;
    assert_refused(&config, 0, "*batch*0*");
    config.loss = (loss_t)7;
    assert_refused(&config, 1, "*loss 7*");
    config = least;
    config.kind = MODEL_KINDS;
    assert_refused(&config, 1, "*kind*");
    config = (model_config_t){
        .window = 65536, .tracks = 8, .planes = 2, .pitches = 88, .hidden = {4}, .n_hidden = 1, .latent = 2};
    assert_refused(&config, 64, "*batch of 64*smaller*");
    config.tracks = 64;
    config.pitches = 128;
    config.hidden[0] = 65536; /* more bytes than there are addresses */
    assert_refused(&config, 1, "*MiB*smaller*");
}

/* Ranks hold parts of a batch: their losses and gradients add up to the whole's, in any cut. */
static void test_parts(void) {
    enum { B = 12 };
    for (loss_t loss = LOSS_BCE; loss <= LOSS_MSE; loss++) {
        model_config_t config = small;
        config.loss = loss;
        g_autoptr(windows_t) w = new_windows(&config, B, FALSE);
        g_autoptr(model_t) whole = new_model(&config, B), parts = new_model(&config, B);
        model_losses_t all, part, sum = {0};
        model_train(whole, &w->batch, &(model_objective_t){.beta = 0.5, .free_bits = 0.1, .scale = 1.0 / B},
                    &all);
        static const size_t cuts[] = {0, 1, 4, 9, 12};
        for (size_t i = 0; i + 1 < G_N_ELEMENTS(cuts); i++) {
            const batch_t batch = part_of(w, &config, cuts[i], cuts[i + 1] - cuts[i]);
            model_train(parts, &batch, &(model_objective_t){.beta = 0.5, .free_bits = 0.1, .scale = 1.0 / B},
                        &part);
            sum.nll += part.nll;
            sum.kl += part.kl;
        }
        g_assert_cmpfloat_with_epsilon(sum.nll / all.nll, 1, 1e-6);
        g_assert_cmpfloat_with_epsilon(sum.kl / all.kl, 1, 1e-6);
        double wrong = 0, norm = 0;
        for (size_t i = 0; i < model_size(whole); i++) {
            wrong += pow((double)model_gradient(parts)[i] - (double)model_gradient(whole)[i], 2);
            norm += pow((double)model_gradient(whole)[i], 2);
        }
        g_assert_cmpfloat(sqrt(wrong / norm), <, 1e-6);
    }
}

/* What lies after a window's valid frames, and in padding bits, changes nothing. */
static void test_masks(void) {
    enum { B = 6 };
    model_config_t config = small;
    config.pitches = 11; /* five padding bits a row */
    const size_t frame = model_window_bytes(&config) / config.window;
    g_autoptr(windows_t) w = new_windows(&config, B, FALSE);
    g_autoptr(model_t) clean = new_model(&config, B), dirty = new_model(&config, B);
    model_losses_t a, b;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < B * model_window_bytes(&config); i++) {
            const size_t window = i / model_window_bytes(&config),
                         t = i % model_window_bytes(&config) / frame;
            if (t >= w->valid[window])
                w->bits[i] = pass ? 0xFF : 0;
            else if (i % 2)
                w->bits[i] = (uint8_t)(pass ? w->bits[i] | 0xF8 : w->bits[i] & 0x07);
        }
        model_train(pass ? dirty : clean, &w->batch,
                    &(model_objective_t){.beta = 1, .free_bits = 0, .scale = 1}, pass ? &b : &a);
    }
    g_assert_cmpfloat(a.nll, ==, b.nll);
    g_assert_cmpfloat(a.kl, ==, b.kl);
    g_assert_cmpint(memcmp(model_gradient(clean), model_gradient(dirty), model_size(clean) * sizeof(real_t)),
                    ==, 0);
}

/* forward, encode, decode and reconstruction agree with train, to the bit. */
static void test_forward(void) {
    enum { B = 5 };
    g_autoptr(windows_t) w = new_windows(&small, B, FALSE);
    g_autoptr(model_t) model = new_model(&small, B);
    const size_t D = model_cells(&small), Z = small.latent;
    double nll[B], kl[B], again[B];
    model_losses_t losses;
    model_train(model, &w->batch, &(model_objective_t){.beta = 1, .free_bits = 0, .scale = 1}, &losses);
    model_forward(model, &w->batch, nll, kl);
    double sum_nll = 0, sum_kl = 0;
    for (size_t b = 0; b < B; b++) sum_nll += nll[b], sum_kl += kl[b];
    g_assert_cmpfloat(sum_nll, ==, losses.nll);
    g_assert_cmpfloat(sum_kl, ==, losses.kl);
    g_autofree real_t *z = g_memdup2(model_z(model), B * Z * sizeof(real_t)),
                      *mu = g_memdup2(model_mu(model), B * Z * sizeof(real_t));
    g_autofree real_t *logvar = g_memdup2(model_logvar(model), B * Z * sizeof(real_t));
    g_autofree real_t *logits = g_memdup2(model_logits(model), B * D * sizeof(real_t));
    for (size_t i = 0; i < B * Z; i++)
        g_assert_cmpfloat_with_epsilon(
            (double)z[i], (double)mu[i] + exp(0.5 * (double)logvar[i]) * (double)w->eps[i], 1e-5);
    model_encode(model, &w->batch);
    g_assert_cmpint(memcmp(mu, model_mu(model), B * Z * sizeof(real_t)), ==, 0);
    model_decode(model, z, B);
    g_assert_cmpint(memcmp(logits, model_logits(model), B * D * sizeof(real_t)), ==, 0);
    model_reconstruction(model, &w->batch, again);
    g_assert_cmpint(memcmp(nll, again, sizeof nll), ==, 0);
    const batch_t quiet = {.B = B, .bits = w->bits, .valid = w->valid, .eps = NULL};
    model_forward(model, &quiet, NULL, NULL);
    g_assert_cmpint(memcmp(mu, model_z(model), B * Z * sizeof(real_t)), ==, 0);
}

/* The parameter of that name, "mu.weight"; its row of weights goes out from one unit. */
static real_t *row_of(model_t *model, const char *name, size_t row, size_t *cols) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        if (!g_str_equal(table[i].name, name)) continue;
        *cols = table[i].cols;
        return model_params(model) + table[i].offset + row * table[i].cols;
    }
    g_assert_not_reached();
}

static void scale_row(model_t *model, const char *name, size_t row, double by) {
    size_t cols = 0;
    real_t *weights = row_of(model, name, row, &cols);
    for (size_t i = 0; i < cols; i++) weights[i] = (real_t)(weights[i] * by);
}

/* Units that are silenced in all windows: as if what goes out from them were 0, and what goes out from the
 * others divided by the rate. */
static void test_dropout(void) {
    enum { B = 5 };
    const double rate = 0.75;
    const size_t n = small.n_hidden, units = model_dropout_units(&small);
    g_autoptr(windows_t) w = new_windows(&small, B, FALSE);
    g_autoptr(model_t) model = new_model(&small, B), plain = new_model(&small, B);
    g_autofree uint8_t *keep = g_malloc(B * units);
    size_t unit = 0;
    for (size_t i = 0; i < B * units; i++) keep[i] = i % units % 3 != 1;
    for (size_t layer = 0; layer < 2 * n; layer++) {
        const gboolean last = layer % n == n - 1, encoder = layer < n;
        g_autofree char *next =
            g_strdup_printf("%s.%zu.weight", encoder ? "encoder" : "decoder", layer % n + 1);
        for (size_t i = 0; i < small.hidden[encoder ? layer : 2 * n - 1 - layer]; i++, unit++) {
            const double by = keep[unit] ? 1 / rate : 0;
            scale_row(plain, !last ? next : encoder ? "mu.weight" : "output.weight", i, by);
            if (last && encoder) scale_row(plain, "logvar.weight", i, by);
        }
    }
    g_assert_cmpuint(unit, ==, units);
    const model_objective_t objective = {.beta = 1, .scale = 1};
    model_losses_t with, without, none, before;
    model_train(model, &w->batch, &objective, &before);
    model_train(plain, &w->batch, &objective, &without);
    batch_t batch = w->batch;
    batch.keep_hidden = keep;
    batch.keep_rate = rate;
    model_train(model, &batch, &objective, &with);
    g_assert_cmpfloat_with_epsilon(with.nll, without.nll, 1e-4 * without.nll);
    g_assert_cmpfloat_with_epsilon(with.kl, without.kl, 1e-4 * without.kl);
    g_assert_cmpfloat(fabs(with.nll - before.nll), >, 1e-3 * before.nll);
    model_train(model, &w->batch, &objective, &none); /* nothing of it stays */
    g_assert_cmpfloat(none.nll, ==, before.nll);
}

static void test_not_finite(void) {
    g_autoptr(windows_t) w = new_windows(&small, 3, TRUE);
    g_autoptr(model_t) model = new_model(&small, 3);
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) { /* a NaN in any parameter that acts shows in the loss */
        real_t *weight = model_params(model) + table[i].offset, saved[288];
        const size_t cols = MIN(table[i].cols, G_N_ELEMENTS(saved));
        memcpy(saved, weight, cols * sizeof *saved);
        for (size_t k = 0; k < cols; k++) weight[k] = NAN;
        for (size_t b = 0; b < 3; b++)
            w->bits[b * model_window_bytes(&small)] |=
                1; /* row 0 of the first matrix acts where cell 0 sounds */
        model_losses_t losses;
        model_train(model, &w->batch, &(model_objective_t){.beta = 1, .free_bits = 0, .scale = 1}, &losses);
        g_assert_false(isfinite(losses.nll) && isfinite(losses.kl));
        memcpy(weight, saved, cols * sizeof *saved);
    }
}

/* A model that works learns a few random windows by heart. */
static void test_by_heart(void) {
    enum { B = 8, STEPS = 400 };
    model_config_t config = small;
    config.hidden[0] = 64, config.hidden[1] = 48, config.latent = 12;
    for (config.loss = LOSS_BCE; config.loss <= LOSS_MSE; config.loss++) {
        g_autoptr(windows_t) w = new_windows(&config, B, TRUE);
        g_autoptr(model_t) model = new_model(&config, B);
        const optimizer_config_t adam = {
            .learning_rate = 5e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
        g_autoptr(optimizer_t) optimizer = optimizer_new(&adam, model_size(model));
        for (uint64_t step = 0; step < STEPS; step++) {
            const rng_t noise = rng_make(1, RNG_NOISE, step, 0);
            rng_normal(&noise, w->eps, B * config.latent);
            memset(model_gradient(model), 0, model_size(model) * sizeof(real_t));
            model_losses_t losses;
            model_train(model, &w->batch,
                        &(model_objective_t){.beta = 1e-3, .free_bits = 0, .scale = 1.0 / B}, &losses);
            optimizer_step(optimizer, model, adam.learning_rate);
        }
        double nll[B], sum = 0;
        const batch_t quiet = {.B = B, .bits = w->bits, .valid = w->valid, .eps = NULL};
        model_forward(model, &quiet, nll, NULL);
        size_t hit = 0, sounding = 0, predicted = 0;
        const size_t D = model_cells(&config), P = config.pitches, stride = (P + 7) / 8;
        for (size_t b = 0; b < B; b++) sum += nll[b];
        for (size_t i = 0; i < B * D; i++) {
            const gboolean on = w->bits[i / P * stride + i % P / 8] >> (i % P % 8) & 1,
                           guess = model_logits(model)[i] > 0;
            hit += (size_t)(on && guess);
            sounding += (size_t)on;
            predicted += (size_t)guess;
        }
        const double f1 = 2.0 * (double)hit / (double)(sounding + predicted);
        g_test_message("loss %d: %g a window, F1 %g", (int)config.loss, sum / B, f1);
        g_assert_cmpfloat(f1, >, 0.99);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/model/table", test_table);
    g_test_add_func("/model/init", test_init);
    g_test_add_func("/model/refusals", test_refusals);
    g_test_add_func("/model/parts", test_parts);
    g_test_add_func("/model/masks", test_masks);
    g_test_add_func("/model/forward", test_forward);
    g_test_add_func("/model/dropout", test_dropout);
    g_test_add_func("/model/not-finite", test_not_finite);
    g_test_add_func("/model/by-heart", test_by_heart);
    return g_test_run();
}
