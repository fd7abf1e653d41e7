/* Adam and AdamW beside a plain twin in double, the weights' average, clipping, refusal of gradients that are
 * not finite, schedules against closed forms. PyTorch's own values: test_golden.c. */
#include <math.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/optimizer.h"

static const model_config_t small = {.kind = MODEL_DENSE,
                                     .window = 3,
                                     .tracks = 1,
                                     .planes = 1,
                                     .pitches = 12,
                                     .hidden = {9},
                                     .n_hidden = 1,
                                     .latent = 3};

static model_t *new_model(void) {
    model_t *model = model_new(&small, 1, 0, NULL);
    g_assert_nonnull(model);
    model_init(model, 2);
    return model;
}

/* A new gradient a step, of norm about `size`, 0 in the padding. Returns its norm. */
static double set_gradient(model_t *model, uint64_t step, double size) {
    size_t n;
    const param_t *table = model_table(model, &n);
    double squares = 0;
    for (size_t i = 0; i < n; i++) {
        real_t *g = model_gradient(model) + table[i].offset;
        const rng_t rng = rng_make(17, RNG_NOISE, step, i);
        rng_normal(&rng, g, table[i].rows * table[i].cols);
        for (size_t k = 0; k < table[i].rows * table[i].cols; k++) {
            g[k] *= (real_t)(size / sqrt((double)model_size(model)));
            squares += (double)g[k] * (double)g[k];
        }
    }
    return sqrt(squares);
}

/* Which entries are decayed, and which are padding. */
static void mark(const model_t *model, uint8_t *decayed, uint8_t *used) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < table[i].rows * table[i].cols; k++) {
            decayed[table[i].offset + k] = (uint8_t)table[i].decay;
            used[table[i].offset + k] = 1;
        }
}

static void test_against_twin(void) {
    static const optimizer_config_t configs[] = {{1e-3, 0.9, 0.999, 1e-8, 0, 0, 0, FALSE},
                                                 {1e-2, 0.8, 0.95, 1e-3, 0.1, 0, 0.99, FALSE},
                                                 {1e-3, 0.9, 0.999, 1e-8, 0, 1.0, 0.5, FALSE},
                                                 {1e-3, 0.9, 0.999, 1e-8, 0.05, 0.3, 0, FALSE},
                                                 {1e-3, 0.9, 0.999, 1e-8, 0, 1e-3, 0.2, FALSE}};
    for (size_t c = 0; c < G_N_ELEMENTS(configs); c++) {
        const optimizer_config_t *config = &configs[c];
        g_autoptr(model_t) model = new_model();
        const size_t n = model_size(model);
        g_autoptr(optimizer_t) optimizer = optimizer_new(config, n);
        g_autofree double *theta = g_new(double, n), *m = g_new0(double, n), *v = g_new0(double, n);
        g_autofree double *average = g_new(double, n);
        g_autofree uint8_t *decayed = g_malloc0(n), *used = g_malloc0(n);
        mark(model, decayed, used);
        for (size_t i = 0; i < n; i++) theta[i] = average[i] = (double)model_params(model)[i];
        for (uint64_t step = 0; step < 20; step++) {
            const double rate = config->learning_rate * (1 + (double)(step % 3)), size = step % 2 ? 3 : 0.1;
            const double norm = set_gradient(model, step, size);
            const double clip = config->clip_norm > 0 && norm + 1e-6 > config->clip_norm
                                    ? config->clip_norm / (norm + 1e-6)
                                    : 1;
            const double t = (double)step + 1, d = fmin(config->average, t / (t + 9));
            for (size_t i = 0; i < n; i++) {
                const double g = clip * (double)model_gradient(model)[i];
                m[i] = config->beta1 * m[i] + (1 - config->beta1) * g;
                v[i] = config->beta2 * v[i] + (1 - config->beta2) * g * g;
                if (decayed[i]) theta[i] -= rate * config->weight_decay * theta[i];
                const double m_hat = m[i] / (1 - pow(config->beta1, t)),
                             v_hat = v[i] / (1 - pow(config->beta2, t));
                theta[i] -= rate * m_hat / (sqrt(v_hat) + config->epsilon);
                average[i] = d * average[i] + (1 - d) * theta[i];
            }
            g_assert_cmpfloat_with_epsilon(optimizer_step(optimizer, model, rate) / norm, 1, 1e-12);
            g_assert_cmpint(optimizer->step, ==, (int64_t)step + 1);
        }
        double wrong = 0, largest = 0, m_wrong = 0, m_largest = 0;
        for (size_t i = 0; i < n; i++) {
            wrong = fmax(wrong, fabs((double)model_params(model)[i] - theta[i]));
            if (optimizer->average) wrong = fmax(wrong, fabs((double)optimizer->average[i] - average[i]));
            m_wrong = fmax(m_wrong, fabs((double)optimizer->m[i] - m[i]));
            m_largest = fmax(m_largest, fabs(m[i]));
            largest = fmax(largest, fabs(theta[i]));
            if (!used[i])
                g_assert_cmpfloat(fabs((double)model_params(model)[i]) + fabs((double)optimizer->m[i]), ==,
                                  0);
            if (!used[i] && optimizer->average) g_assert_cmpfloat((double)optimizer->average[i], ==, 0);
        }
        g_assert_true((optimizer->average != NULL) == (config->average > 0));
        g_assert_cmpint(optimizer->averaged, ==, config->average > 0 ? 20 : 0);
        g_assert_cmpfloat(wrong, <, 2e-6 * largest);
        g_assert_cmpfloat(m_wrong, <, 2e-6 * m_largest);
    }
}

/* A gradient with a NaN or an infinity changes nothing at all; one whose square overflows float is clipped
 * like any other. */
static void test_not_finite(void) {
    g_autoptr(model_t) model = new_model();
    const optimizer_config_t config = {1e-3, 0.9, 0.999, 1e-8, 0.1, 1, 0.9, FALSE};
    const size_t n = model_size(model), bytes = n * sizeof(real_t);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&config, n);
    set_gradient(model, 0, 1);
    optimizer_step(optimizer, model, 1e-3);
    g_autofree real_t *theta = g_memdup2(model_params(model), bytes), *m = g_memdup2(optimizer->m, bytes),
                      *v = g_memdup2(optimizer->v, bytes);
    g_autofree real_t *average = g_memdup2(optimizer->average, bytes);
    const real_t broken[] = {NAN, (real_t)INFINITY, (real_t)-INFINITY};
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        set_gradient(model, 1, 1);
        model_gradient(model)[5 + 40 * i] = broken[i];
        g_assert_false(isfinite(optimizer_step(optimizer, model, 1e-3)));
        g_assert_true(optimizer->step == 1 && optimizer->averaged == 1 &&
                      memcmp(average, optimizer->average, bytes) == 0);
        g_assert_cmpint(memcmp(theta, model_params(model), bytes) | memcmp(m, optimizer->m, bytes) |
                            memcmp(v, optimizer->v, bytes),
                        ==, 0);
    }
    set_gradient(model, 1, 1);
    model_gradient(model)[0] = 1e30f; /* its square is no float, but a double */
    g_assert_cmpfloat_with_epsilon(optimizer_step(optimizer, model, 1e-3) / (double)1e30f, 1, 1e-9);
    g_assert_cmpint(optimizer->step, ==, 2);
    for (size_t i = 0; i < n; i++) g_assert_true(isfinite(model_params(model)[i]));
}

static void test_deterministic(void) {
    const optimizer_config_t config = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, 0, FALSE};
    g_autoptr(model_t) a = new_model(), b = new_model();
    g_autoptr(optimizer_t) first = optimizer_new(&config, model_size(a)),
                           second = optimizer_new(&config, model_size(b));
    g_assert_cmpuint((uintptr_t)first->m % 64 + (uintptr_t)first->v % 64, ==, 0);
    for (uint64_t step = 0; step < 5; step++) {
        set_gradient(a, step, 1);
        set_gradient(b, step, 1);
        g_assert_cmpfloat(optimizer_step(first, a, 1e-3), ==, optimizer_step(second, b, 1e-3));
    }
    g_assert_cmpint(memcmp(model_params(a), model_params(b), model_size(a) * sizeof(real_t)), ==, 0);
}

/* However the block is cut, and wherever the gradient's parts lie, the result has the same bits; so does the
 * average, swapped in part by part. Decay stops at the border of its parameter, not of a part. */
static void test_slices(void) {
    static const size_t cuts[] = {0, 1, 17, 100, 101, 330, 352, 353, 400};
    const optimizer_config_t config = {1e-3, 0.9, 0.999, 1e-8, 0.1, 0.5, 0.8, FALSE};
    g_autoptr(model_t) a = new_model(), b = new_model();
    const size_t n = model_size(a), bytes = n * sizeof(real_t);
    real_t *const m = layers_new_block(n), *const v = layers_new_block(n),
                  *const average = layers_new_block(n);
    g_autoptr(optimizer_t) whole = optimizer_new(&config, n);
    g_assert_cmpuint(n, >, 400);
    for (int round = 0; round < 2; round++) { /* freeing an optimizer leaves the memory */
        g_autoptr(optimizer_t) parts =
            optimizer_new_in(&config, n, &(optimizer_memory_t){.m = m, .v = v, .average = average});
        if (round > 0) optimizer_copy(parts, whole);
        for (uint64_t step = 0; step < 4; step++) {
            set_gradient(a, step, 1);
            set_gradient(b, step, 1);
            const double norm = optimizer_step(whole, a, 1e-2);
            g_assert_cmpfloat(norm, ==, sqrt(layers_squared_norm(model_gradient(b), n)));
            g_assert_true(optimizer_begin(parts, norm, 1e-2));
            for (size_t i = G_N_ELEMENTS(cuts); i-- > 0;) {
                const size_t first = cuts[i], end = i + 1 < G_N_ELEMENTS(cuts) ? cuts[i + 1] : n;
                g_autofree real_t *gradient =
                    g_memdup2(model_gradient(b) + first, (end - first) * sizeof(real_t));
                optimizer_update(parts, b, first, end - first, gradient);
            }
        }
        g_assert_true(memcmp(model_params(a), model_params(b), bytes) == 0 &&
                      memcmp(whole->m, m, bytes) == 0 && memcmp(whole->v, v, bytes) == 0 &&
                      memcmp(whole->average, average, bytes) == 0);
        optimizer_swap_average(parts, b, 0, 57);
        optimizer_swap_average(parts, b, 57, n - 57);
        g_assert_true(memcmp(model_params(b), whole->average, bytes) == 0);
        optimizer_swap_average(parts, b, 0, n);
    }
    free(m);
    free(v);
    free(average);
}

/* The squared norm is that of chunks, in order. */
static void test_norm(void) {
    enum { N = 3 * LAYERS_NORM_CHUNK + 77 };
    real_t *x = layers_new_block(N);
    const rng_t rng = rng_make(3, RNG_NOISE, 0, 0);
    rng_normal(&rng, x, N);
    double sum = 0, plain = 0;
    for (size_t i = 0; i < N; i += LAYERS_NORM_CHUNK)
        sum += layers_squared_norm(x + i, MIN(N - i, LAYERS_NORM_CHUNK));
    for (size_t i = 0; i < N; i++) plain += (double)x[i] * (double)x[i];
    g_assert_cmpfloat(layers_squared_norm(x, N), ==, sum);
    g_assert_cmpfloat_with_epsilon(sum / plain, 1, 1e-13);
    free(x);
}

/* The average changes nothing in training; swapping it in and out gives back every bit of both. */
static void test_average(void) {
    const optimizer_config_t plain = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, 0, FALSE},
                             averaging = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, 0.8, FALSE};
    g_autoptr(model_t) a = new_model(), b = new_model();
    const size_t bytes = model_size(a) * sizeof(real_t);
    g_autoptr(optimizer_t) first = optimizer_new(&plain, model_size(a)),
                           second = optimizer_new(&averaging, model_size(b));
    g_autofree real_t *start = g_memdup2(model_params(b), bytes);
    optimizer_swap_average(second, b, 0, model_size(b)); /* none yet */
    g_assert_cmpint(memcmp(model_params(b), start, bytes), ==, 0);
    for (uint64_t step = 0; step < 6; step++) {
        set_gradient(a, step, 1);
        set_gradient(b, step, 1);
        optimizer_step(first, a, 1e-2);
        optimizer_step(second, b, 1e-2);
        g_autofree real_t *theta = g_memdup2(model_params(b), bytes),
                          *average = g_memdup2(second->average, bytes);
        g_assert_cmpint(memcmp(model_params(a), theta, bytes), ==, 0);
        g_assert_cmpint(memcmp(average, theta, bytes), !=, 0);
        optimizer_swap_average(second, b, 0, model_size(b));
        g_assert_true(memcmp(model_params(b), average, bytes) == 0 &&
                      memcmp(second->average, theta, bytes) == 0);
        optimizer_swap_average(second, b, 0, model_size(b));
        g_assert_true(memcmp(model_params(b), theta, bytes) == 0 &&
                      memcmp(second->average, average, bytes) == 0);
    }
    optimizer_swap_average(first, a, 0, model_size(a)); /* keeps none */
    g_assert_cmpint(memcmp(model_params(a), model_params(b), bytes), ==, 0);
}

static void test_schedule(void) {
    for (int64_t step = 0; step < 30; step++) /* without warm-up: the peak from the first step on */
        g_assert_cmpfloat(optimizer_schedule(2e-3, DECAY_CONSTANT, step, 0, 30, 0.1), ==, 2e-3);
    /* warm-up: 1/10, 2/10, ... of the peak, never 0 */
    for (int64_t step = 0; step < 10; step++)
        for (decay_t decay = DECAY_CONSTANT; decay <= DECAY_COSINE; decay++)
            g_assert_cmpfloat_with_epsilon(optimizer_schedule(1, decay, step, 10, 110, 0.1),
                                           (double)(step + 1) / 10, 1e-15);
    g_assert_cmpfloat(optimizer_schedule(1, DECAY_CONSTANT, 10, 10, 110, 0.1), ==, 1);
    /* cosine: peak, the middle, thirds (cos(60 degrees) = 1/2), the end and beyond */
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 10, 10, 130, 0.1), 4, 1e-12);
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 50, 10, 130, 0.1),
                                   4 * (0.1 + 0.9 * 0.75), 1e-12);
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 70, 10, 130, 0.1), 4 * 0.55, 1e-12);
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 90, 10, 130, 0.1),
                                   4 * (0.1 + 0.9 * 0.25), 1e-12);
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 130, 10, 130, 0.1), 0.4, 1e-12);
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(4, DECAY_COSINE, 999, 10, 130, 0.1), 0.4, 1e-12);
    double last = 5;
    for (int64_t step = 10; step <= 130; step++) {
        const double rate = optimizer_schedule(4, DECAY_COSINE, step, 10, 130, 0);
        g_assert_cmpfloat(rate, <, last);
        last = rate;
    }
    /* runs shorter than their warm-up, and no steps at all */
    g_assert_cmpfloat_with_epsilon(optimizer_schedule(1, DECAY_COSINE, 4, 10, 5, 0.1), 0.5, 1e-15);
    g_assert_true(isfinite(optimizer_schedule(1, DECAY_COSINE, 10, 10, 5, 0.1)) &&
                  isfinite(optimizer_schedule(1, DECAY_COSINE, 0, 0, 0, 0)));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/optimizer/against-twin", test_against_twin);
    g_test_add_func("/optimizer/not-finite", test_not_finite);
    g_test_add_func("/optimizer/deterministic", test_deterministic);
    g_test_add_func("/optimizer/slices", test_slices);
    g_test_add_func("/optimizer/norm", test_norm);
    g_test_add_func("/optimizer/average", test_average);
    g_test_add_func("/optimizer/schedule", test_schedule);
    return g_test_run();
}
