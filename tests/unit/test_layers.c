/* Each layer beside its plain twin in double: over pitches that fill bytes and that do not, masks, far
 * logits, NaN. (Gradients: double_gradients.c.) */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/rng.h"

static double uniform(uint64_t stream, uint64_t element) {
    const rng_t rng = rng_make(11, RNG_DECODE, 0, stream);
    return rng_uniform(&rng, element);
}

static real_t *new_normal(uint64_t stream, size_t n, double sigma) {
    real_t *x = g_new(real_t, n);
    const rng_t rng = rng_make(11, RNG_NOISE, 0, stream);
    rng_normal(&rng, x, n);
    for (size_t i = 0; i < n; i++) x[i] = (real_t)(sigma * (double)x[i]);
    return x;
}

/* Random windows; every padding bit is set, and must not matter. */
typedef struct {
    layers_bits_t x;
    size_t D, stride;
    uint8_t *bits, *cells; /* packed, and unpacked [B, D] with the cells that do not count at 0 */
    uint32_t *valid;
} windows_t;

static windows_t *new_windows(size_t B, size_t T, size_t planes, size_t P, double density) {
    windows_t *w = g_new0(windows_t, 1);
    w->D = T * planes * P;
    w->stride = (P + 7) / 8;
    w->bits = g_malloc0(B * T * planes * w->stride);
    w->cells = g_malloc0(B * w->D);
    w->valid = g_new0(uint32_t, B);
    w->x = (layers_bits_t){B, T, planes, P, w->bits, w->valid};
    for (size_t b = 0; b < B; b++) {
        w->valid[b] = b == 0 ? (uint32_t)T : 1 + (uint32_t)(uniform(1, b) * (double)T);
        for (size_t row = 0; row < T * planes; row++) {
            uint8_t *packed = w->bits + (b * T * planes + row) * w->stride;
            for (size_t p = 0; p < 8 * w->stride; p++) {
                const gboolean on = p >= P || uniform(2, (b * T * planes + row) * 256 + p) < density;
                packed[p / 8] = (uint8_t)(packed[p / 8] | on << p % 8);
                if (p < P && row < w->valid[b] * planes) w->cells[b * w->D + row * P + p] = (uint8_t)on;
            }
        }
    }
    return w;
}

static void free_windows(windows_t *w) {
    g_free(w->bits);
    g_free(w->cells);
    g_free(w->valid);
    g_free(w);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(windows_t, free_windows)

static const struct {
    size_t B, T, planes, P;
    double density;
} shapes[] = {{1, 1, 1, 1, 0.5},   {3, 4, 1, 5, 0.3},    {5, 7, 2, 8, 0.3},
              {4, 3, 3, 12, 0.2},  {7, 30, 1, 88, 0.05}, {3, 100, 2, 48, 0.1},
              {2, 9, 8, 128, 0.1}, {6, 5, 1, 127, 1.0},  {3, 5, 2, 88, 0.0}};

/* || a - b || / || b ||; differences below the smallest floats do not count. */
static double distance(const real_t *a, const double *b, size_t n) {
    double wrong = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        wrong += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(wrong) / (sqrt(norm) + 1e-30);
}

static void test_list_active(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(shapes); k++) {
        g_autoptr(windows_t) w =
            new_windows(shapes[k].B, shapes[k].T, shapes[k].planes, shapes[k].P, shapes[k].density);
        g_autofree uint32_t *start = g_new(uint32_t, w->D + 1), *window = g_new(uint32_t, w->x.B * w->D + 1);
        layers_list_active(&w->x, start, window);
        uint32_t next = 0;
        for (size_t d = 0; d < w->D; d++) {
            g_assert_cmpuint(start[d], ==, next);
            for (size_t b = 0; b < w->x.B; b++)
                if (w->cells[b * w->D + d]) g_assert_cmpuint(window[next++], ==, b);
        }
        g_assert_cmpuint(start[w->D], ==, next);
    }
}

static void test_linear_bits(void) {
    static const size_t outputs[] = {1, 7, 16, 65};
    for (size_t k = 0; k < G_N_ELEMENTS(shapes) * G_N_ELEMENTS(outputs); k++) {
        const size_t s = k / G_N_ELEMENTS(outputs), N = outputs[k % G_N_ELEMENTS(outputs)];
        g_autoptr(windows_t) w =
            new_windows(shapes[s].B, shapes[s].T, shapes[s].planes, shapes[s].P, shapes[s].density);
        const size_t B = w->x.B, D = w->D;
        g_autofree uint32_t *start = g_new(uint32_t, D + 1), *window = g_new(uint32_t, B * D + 1);
        g_autofree real_t *W = new_normal(1, D * N, 1), *bias = new_normal(2, N, 1),
                          *dy = new_normal(3, B * N, 1), *y = g_new(real_t, B * N);
        g_autofree real_t *dW = new_normal(4, D * N, 1), *dbias = new_normal(5, N, 1);
        g_autofree double *y2 = g_new0(double, B *N), *dW2 = g_new0(double, D *N),
                          *dbias2 = g_new0(double, N);
        for (size_t i = 0; i < D * N; i++) dW2[i] = (double)dW[i]; /* gradients are added to what is there */
        for (size_t n = 0; n < N; n++) dbias2[n] = (double)dbias[n];
        for (size_t b = 0; b < B; b++)
            for (size_t n = 0; n < N; n++) {
                y2[b * N + n] = (double)bias[n];
                dbias2[n] += (double)dy[b * N + n];
                for (size_t d = 0; d < D; d++)
                    if (w->cells[b * D + d])
                        y2[b * N + n] += (double)W[d * N + n], dW2[d * N + n] += (double)dy[b * N + n];
            }
        layers_list_active(&w->x, start, window);
        layers_linear_bits(start, window, W, bias, y, B, D, N);
        layers_linear_bits_backward(start, window, dy, dW, dbias, B, D, N);
        g_assert_cmpfloat(distance(y, y2, B * N), <, 1e-6);
        g_assert_cmpfloat(distance(dW, dW2, D * N), <, 1e-6);
        g_assert_cmpfloat(distance(dbias, dbias2, N), <, 1e-6);
    }
}

static void test_linear(void) {
    static const size_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {64, 33, 17}, {2, 100, 300}};
    for (size_t k = 0; k < G_N_ELEMENTS(sizes); k++) {
        const size_t B = sizes[k][0], M = sizes[k][1], N = sizes[k][2];
        g_autofree real_t *x = new_normal(1, B * M, 1), *W = new_normal(2, M * N, 1),
                          *bias = new_normal(3, N, 1), *dy = new_normal(4, B * N, 1);
        g_autofree real_t *y = g_new(real_t, B * N), *dx = g_new(real_t, B * M),
                          *dW = new_normal(5, M * N, 1), *dbias = new_normal(6, N, 1);
        g_autofree double *y2 = g_new0(double, B *N), *dx2 = g_new0(double, B *M),
                          *dW2 = g_new0(double, M *N), *dbias2 = g_new0(double, N);
        for (size_t i = 0; i < M * N; i++) dW2[i] = (double)dW[i];
        for (size_t n = 0; n < N; n++) dbias2[n] = (double)dbias[n];
        for (size_t b = 0; b < B; b++)
            for (size_t n = 0; n < N; n++) {
                const double g = (double)dy[b * N + n];
                y2[b * N + n] = (double)bias[n];
                dbias2[n] += g;
                for (size_t m = 0; m < M; m++) {
                    y2[b * N + n] += (double)x[b * M + m] * (double)W[m * N + n];
                    dx2[b * M + m] += g * (double)W[m * N + n];
                    dW2[m * N + n] += g * (double)x[b * M + m];
                }
            }
        layers_linear(x, W, bias, y, B, M, N);
        layers_linear_gradient(x, dy, dW, dbias, B, M, N);
        layers_linear_backward(W, dy, dx, 0, B, M, N);
        g_assert_cmpfloat(distance(y, y2, B * N), <, 2e-6);
        g_assert_cmpfloat(distance(dx, dx2, B * M), <, 2e-6);
        g_assert_cmpfloat(distance(dW, dW2, M * N), <, 2e-6);
        g_assert_cmpfloat(distance(dbias, dbias2, N), <, 2e-6);
    }
}

static void test_relu(void) {
    real_t y[] = {-1, 0, 2, NAN, (real_t)-INFINITY}, dy[] = {5, 6, 7, 8, 9};
    layers_relu(y, G_N_ELEMENTS(y));
    layers_relu_backward(y, dy, G_N_ELEMENTS(y));
    g_assert_true(y[0] == 0 && y[1] == 0 && y[2] == 2 && isnan(y[3]) && y[4] == 0);
    g_assert_true(dy[0] == 0 && dy[1] == 0 && dy[2] == 7 && dy[4] == 0);
}

/* log(1 + exp(-|l|)) etc. by the library, one cell at a time. */
static void plain_loss(gboolean mse, double l, int x, double *loss, double *gradient) {
    const double e = exp(-fabs(l)), sigmoid = l >= 0 ? 1 / (1 + e) : e / (1 + e),
                 rest = l >= 0 ? e / (1 + e) : 1 / (1 + e);
    if (mse) {
        const double d = x ? -rest : sigmoid;
        *loss = d * d;
        *gradient = 2 * d * sigmoid * rest;
    } else {
        *loss = fmax(x ? -l : l, 0) + log1p(e);
        *gradient = x ? -rest : sigmoid;
    }
}

typedef void (*loss_fn)(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                        double *nll);

static void check_losses(size_t k, gboolean mse, double sigma) {
    const loss_fn loss = mse ? layers_mse_logits : layers_bce_logits;
    g_autoptr(windows_t) w =
        new_windows(shapes[k].B, shapes[k].T, shapes[k].planes, shapes[k].P, shapes[k].density);
    const size_t B = w->x.B, D = w->D;
    g_autofree real_t *logits = new_normal(k, B * D, sigma), *dlogits = g_new(real_t, B * D),
                      *in_place = g_memdup2(logits, B * D * sizeof(real_t));
    g_autofree double *nll = g_new(double, B), *again = g_new(double, B), *gradient = g_new0(double, B *D);
    loss(&w->x, logits, dlogits, 0.5, nll);
    for (size_t b = 0; b < B; b++) {
        double truth = 0;
        const size_t counted = w->valid[b] * w->x.planes * w->x.P;
        for (size_t d = 0; d < counted; d++) {
            double cell;
            plain_loss(mse, (double)logits[b * D + d], w->cells[b * D + d], &cell, &gradient[b * D + d]);
            gradient[b * D + d] *= 0.5;
            truth += cell;
        }
        g_assert_cmpfloat(fabs(nll[b] - truth), <=, 1e-6 * truth + 1e-33);
        for (size_t d = counted; d < D; d++) g_assert_cmpfloat((double)dlogits[b * D + d], ==, 0);
    }
    g_assert_cmpfloat(distance(dlogits, gradient, B * D), <, 1e-6);
    loss(&w->x, logits, NULL, 1, again); /* without a gradient, and in place: the same bits */
    g_assert_cmpint(memcmp(nll, again, B * sizeof *nll), ==, 0);
    loss(&w->x, in_place, in_place, 0.5, again);
    g_assert_cmpint(memcmp(nll, again, B * sizeof *nll), ==, 0);
    g_assert_cmpint(memcmp(in_place, dlogits, B * D * sizeof *dlogits), ==, 0);
}

static void test_losses(void) {
    static const double sigmas[] = {1e-4, 0.3, 3, 30, 1000};
    for (size_t k = 0; k < G_N_ELEMENTS(shapes); k++)
        for (size_t i = 0; i < G_N_ELEMENTS(sigmas); i++)
            for (gboolean mse = FALSE; mse <= TRUE; mse++) check_losses(k, mse, sigmas[i]);
}

/* Cell by cell over the whole range of logits: loss and gradient to 1e-6 of themselves, also where they are
 * tiny. */
static void test_loss_range(void) {
    for (double l = -86; l <= 86; l += 0.0137) {
        for (unsigned x = 0; x < 4; x++) {
            const uint8_t bits = x & 1;
            const uint32_t valid = 1;
            const layers_bits_t one = {1, 1, 1, 1, &bits, &valid};
            const gboolean mse = x >= 2;
            const real_t logit = (real_t)l;
            real_t dlogit;
            double nll, loss, gradient;
            (mse ? layers_mse_logits : layers_bce_logits)(&one, &logit, &dlogit, 1, &nll);
            plain_loss(mse, (double)logit, bits, &loss, &gradient);
            g_assert_cmpfloat(fabs(nll - loss), <=, 1e-6 * loss + 1e-36);
            g_assert_cmpfloat(fabs((double)dlogit - gradient), <=, 1e-6 * fabs(gradient) + 1e-36);
        }
    }
}

static void test_loss_extremes(void) {
    const uint8_t bits = 0x0A; /* cells 1 and 3 sound */
    const uint32_t valid = 1;
    const layers_bits_t x = {1, 1, 1, 4, &bits, &valid};
    real_t logits[] = {1e4, 1e4, -1e4, -1e4}, dlogits[4];
    double nll;
    layers_bce_logits(&x, logits, dlogits, 1, &nll);
    g_assert_cmpfloat_with_epsilon(nll, 2e4, 1e-2);
    g_assert_true(dlogits[0] == 1 && fabsf((float)dlogits[1]) < 1e-30f && fabsf((float)dlogits[2]) < 1e-30f &&
                  dlogits[3] == -1);
    layers_mse_logits(&x, logits, dlogits, 1, &nll);
    g_assert_cmpfloat_with_epsilon(nll, 2, 1e-6);
    for (size_t i = 0; i < 4; i++) g_assert_true(fabsf((float)dlogits[i]) < 1e-30f);
    for (size_t i = 0; i < 4; i++) { /* one NaN among many cells shows, in either target */
        real_t broken[] = {1, 1, 1, 1};
        broken[i] = NAN;
        layers_bce_logits(&x, broken, dlogits, 1, &nll);
        g_assert_true(isnan(nll) && isnan(dlogits[i]));
        layers_mse_logits(&x, broken, dlogits, 1, &nll);
        g_assert_true(isnan(nll) && isnan(dlogits[i]));
        broken[i] = (real_t)(i % 2 ? -INFINITY : INFINITY); /* infinitely wrong */
        layers_bce_logits(&x, broken, dlogits, 1, &nll);
        g_assert_false(isfinite(nll));
    }
}

static void test_kl(void) {
    const real_t mu[] = {0, 0, 1, -2, NAN, 0}, logvar[] = {0, 0, 0, 1, 0, 0};
    double kl[3];
    layers_kl(mu, logvar, kl, 3, 2);
    g_assert_cmpfloat(kl[0], ==, 0);
    g_assert_cmpfloat_with_epsilon(kl[1], 0.5 * (1 + 4 + exp(1) - 1 - 1), 1e-12);
    g_assert_true(isnan(kl[2]));
    const real_t near[] = {(real_t)1e-4},
                 none[] = {0}; /* no cancellation near the prior: exp(l) - 1 - l = l^2 / 2 */
    layers_kl(none, near, kl, 1, 1);
    g_assert_cmpfloat_with_epsilon(kl[0] / 2.5e-9, 1, 1e-3);
}

static void test_sample_latent(void) {
    const real_t mu[] = {1, -2}, logvar[] = {0, (real_t)log(4)}, eps[] = {0.5, -1};
    real_t z[2];
    layers_sample_latent(mu, logvar, eps, z, 2);
    g_assert_cmpfloat_with_epsilon((double)z[0], 1.5, 1e-6);
    g_assert_cmpfloat_with_epsilon((double)z[1], -4, 1e-6);
    layers_sample_latent(mu, logvar, NULL, z, 2);
    g_assert_true(z[0] == 1 && z[1] == -2);
}

/* OpenBLAS and BLIS have threads to set, others have not. */
static void test_blas(void) {
    const gboolean threaded = g_str_has_prefix(layers_describe_blas(), "OpenBLAS ") ||
                              g_str_has_prefix(layers_describe_blas(), "BLIS ");
    for (int threads = 2; threads >= 0; threads--) { /* at least one */
        g_autofree char *end =
            threaded ? g_strdup_printf("threads: %d", MAX(threads, 1)) : g_strdup("of one thread");
        layers_set_threads(threads);
        g_assert_true(g_str_has_suffix(layers_describe_blas(), end));
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/ops/list-active", test_list_active);
    g_test_add_func("/ops/linear-bits", test_linear_bits);
    g_test_add_func("/ops/linear", test_linear);
    g_test_add_func("/ops/relu", test_relu);
    g_test_add_func("/ops/losses", test_losses);
    g_test_add_func("/ops/loss-range", test_loss_range);
    g_test_add_func("/ops/loss-extremes", test_loss_extremes);
    g_test_add_func("/ops/kl", test_kl);
    g_test_add_func("/ops/sample-latent", test_sample_latent);
    g_test_add_func("/ops/blas", test_blas);
    return g_test_run();
}
