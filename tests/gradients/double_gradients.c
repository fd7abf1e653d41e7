/* Central differences in a double build (tests/helpers/differences.h): each layer of layers.h, and whole
 * dense models over many shapes. */
#include <string.h>

#include "tests/helpers/differences.h"
#include "trainer/model/layers.h"
#include "trainer/model/model.h"

/* Random bits at 30 %, padding bits too: they must not matter. */
static void fill_bits(uint64_t stream, uint8_t *bits, size_t n) {
    const rng_t rng = rng_make(7, RNG_DECODE, 0, stream);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < 8; k++)
            bits[i] = (uint8_t)(bits[i] | (rng_uniform(&rng, 8 * i + k) < 0.3) << k);
}

static void check(differences_fn f, gpointer data, real_t *x, const real_t *analytic, size_t n,
                  const char *name) {
    g_assert_cmpfloat(differences_check(f, data, x, analytic, n, 0, name), >, 0);
}

/* One arena for the single layers: f = sum of weight * output. */
enum { B = 3, M = 5, N = 4, T = 2, PLANES = 3, P = 5, D = T * PLANES * P, BYTES = B * T * PLANES };
typedef struct {
    uint8_t bits[BYTES];
    uint32_t valid[B], start[D + 1], window[B * D];
    real_t x[B * M], W[M * N], big[D * N], bias[N], y[B * N], dy[B * N], mu[B * N], logvar[B * N], eps[B * N],
        logits[B * D];
    double weight[B], out[B];
    gboolean mse;
} layers_t;

static layers_t *new_layers(void) {
    layers_t *l = g_new0(layers_t, 1);
    fill_bits(1, l->bits, BYTES);
    memcpy(l->valid, (uint32_t[]){2, 1, 2}, sizeof l->valid);
    const struct {
        real_t *array;
        size_t n;
    } arrays[] = {{l->x, B * M},  {l->W, M * N},      {l->big, D * N}, {l->bias, N},       {l->dy, B * N},
                  {l->mu, B * N}, {l->logvar, B * N}, {l->eps, B * N}, {l->logits, B * D}, {l->weight, B}};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) differences_fill(i, arrays[i].array, arrays[i].n);
    return l;
}

static double dot(const real_t *a, const real_t *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static layers_bits_t layer_bits(const layers_t *l) {
    return (layers_bits_t){B, T, PLANES, P, l->bits, l->valid};
}

static double linear(gpointer data) {
    layers_t *l = data;
    layers_linear(l->x, l->W, l->bias, l->y, B, M, N);
    return dot(l->y, l->dy, B * N);
}

static void test_linear(void) {
    g_autofree layers_t *l = new_layers();
    real_t dx[B * M] = {0}, dW[M * N] = {0}, dbias[N] = {0};
    layers_linear_gradient(l->x, l->dy, dW, dbias, B, M, N);
    layers_linear_backward(l->W, l->dy, dx, 0, B, M, N);
    check(linear, l, l->x, dx, B * M, "linear dx");
    check(linear, l, l->W, dW, M * N, "linear dW");
    check(linear, l, l->bias, dbias, N, "linear dbias");
    real_t twice[B * M];
    memcpy(twice, dx, sizeof dx);
    layers_linear_gradient(l->x, l->dy, dW, dbias, B, M, N);
    layers_linear_backward(l->W, l->dy, twice, 1, B, M, N);
    for (size_t i = 0; i < B * M; i++) g_assert_cmpfloat_with_epsilon(twice[i], 2 * dx[i], 1e-12);
}

static double linear_bits(gpointer data) {
    layers_t *l = data;
    layers_linear_bits(l->start, l->window, l->big, l->bias, l->y, B, D, N);
    return dot(l->y, l->dy, B * N);
}

static void test_linear_bits(void) {
    g_autofree layers_t *l = new_layers();
    const layers_bits_t x = layer_bits(l);
    real_t dW[D * N] = {0}, dbias[N] = {0};
    layers_list_active(&x, l->start, l->window);
    layers_linear_bits_backward(l->start, l->window, l->dy, dW, dbias, B, D, N);
    check(linear_bits, l, l->big, dW, D * N, "linear_bits dW");
    check(linear_bits, l, l->bias, dbias, N, "linear_bits dbias");
}

static double relu(gpointer data) {
    layers_t *l = data;
    memcpy(l->y, l->mu, sizeof l->y);
    layers_relu(l->y, B * N);
    return dot(l->y, l->dy, B * N);
}

static void test_relu(void) {
    g_autofree layers_t *l = new_layers();
    relu(l);
    real_t dx[B * N];
    memcpy(dx, l->dy, sizeof dx);
    layers_relu_backward(l->y, dx, B * N);
    check(relu, l, l->mu, dx, B * N, "relu");
}

static double sample_latent(gpointer data) {
    layers_t *l = data;
    layers_sample_latent(l->mu, l->logvar, l->eps, l->y, B * N);
    return dot(l->y, l->dy, B * N);
}

static void test_sample_latent(void) {
    g_autofree layers_t *l = new_layers();
    real_t dmu[B * N], dlogvar[B * N];
    layers_sample_latent_backward(l->logvar, l->eps, l->dy, dmu, dlogvar, B * N);
    check(sample_latent, l, l->mu, dmu, B * N, "sample_latent dmu");
    check(sample_latent, l, l->logvar, dlogvar, B * N, "sample_latent dlogvar");
}

static double kl(gpointer data) {
    layers_t *l = data;
    layers_kl(l->mu, l->logvar, l->out, B, N);
    return dot(l->out, l->weight, B);
}

static void test_kl(void) {
    g_autofree layers_t *l = new_layers();
    real_t dmu[B * N] = {0}, dlogvar[B * N] = {0};
    layers_kl_backward(l->mu, l->logvar, l->weight, dmu, dlogvar, B, N);
    check(kl, l, l->mu, dmu, B * N, "kl dmu");
    check(kl, l, l->logvar, dlogvar, B * N, "kl dlogvar");
}

static double loss_logits(gpointer data) {
    layers_t *l = data;
    const layers_bits_t x = layer_bits(l);
    (l->mse ? layers_mse_logits : layers_bce_logits)(&x, l->logits, NULL, 1, l->out);
    return 0.25 * (l->out[0] + l->out[1] + l->out[2]);
}

static void test_losses(void) {
    g_autofree layers_t *l = new_layers();
    for (l->mse = FALSE; l->mse <= TRUE; l->mse++) {
        const layers_bits_t x = layer_bits(l);
        real_t dlogits[B * D];
        (l->mse ? layers_mse_logits : layers_bce_logits)(&x, l->logits, dlogits, 0.25, l->out);
        check(loss_logits, l, l->logits, dlogits, B * D, l->mse ? "mse" : "bce");
        for (size_t i = D + D / T; i < 2 * D; i++)
            g_assert_cmpfloat(dlogits[i], ==, 0); /* valid[1] = 1 frame */
    }
}

typedef struct {
    model_config_t config;
    double beta, free_bits;
    gboolean no_noise;
    int held_back; /* windows whose KL is below free_bits */
    double dropout;
} case_t;

typedef struct {
    const case_t *c;
    model_t *model;
    batch_t batch;
} whole_t;

static double objective(gpointer data) {
    whole_t *w = data;
    double nll[B], kls[B], sum = 0;
    model_forward(w->model, &w->batch, nll, kls);
    for (size_t b = 0; b < B; b++) sum += nll[b] + w->c->beta * MAX(kls[b], w->c->free_bits);
    return 0.3 * sum;
}

static void test_model(gconstpointer data) {
    const case_t *c = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(model_t) model = model_new(&c->config, B, 0, &error);
    g_assert_no_error(error);
    const size_t bytes = B * model_window_bytes(&c->config), T_ = c->config.window;
    g_autofree uint8_t *bits = g_malloc0(bytes);
    g_autofree real_t *eps = g_new0(real_t, B * c->config.latent);
    const uint32_t valid[B] = {(uint32_t)T_, 1, (uint32_t)(T_ + 1) / 2};
    const size_t units = model_dropout_units(&c->config);
    g_autofree uint8_t *keep = g_malloc(B * units);
    const rng_t rng = rng_make(7, RNG_DROPOUT, 0, 0);
    for (size_t i = 0; i < B * units; i++) keep[i] = rng_uniform(&rng, i) >= c->dropout;
    fill_bits(3, bits, bytes);
    differences_fill(11, eps, B * c->config.latent);
    whole_t whole = {c, model, {.B = B, .bits = bits, .valid = valid, .eps = c->no_noise ? NULL : eps}};
    if (c->dropout > 0) {
        whole.batch.keep_hidden = keep;
        whole.batch.keep_rate = 1 - c->dropout;
    }
    model_init(model, 5);
    for (size_t i = 0; i < model_size(model); i++)
        model_params(model)[i] *= 2; /* away from the linear range */
    model_losses_t losses;
    model_train(model, &whole.batch,
                &(model_objective_t){.beta = c->beta, .free_bits = c->free_bits, .scale = 0.3}, &losses);
    double nll[B], kls[B];
    model_forward(model, &whole.batch, nll, kls);
    g_assert_cmpfloat_with_epsilon(losses.nll, nll[0] + nll[1] + nll[2], 1e-9);
    g_assert_cmpfloat_with_epsilon(losses.kl, kls[0] + kls[1] + kls[2], 1e-9);
    g_assert_cmpint((kls[0] < c->free_bits) + (kls[1] < c->free_bits) + (kls[2] < c->free_bits), ==,
                    c->held_back);
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++)
        check(objective, &whole, model_params(model) + table[i].offset,
              model_gradient(model) + table[i].offset, table[i].rows * table[i].cols, table[i].name);
}

#define HIDDEN(...) .hidden = {__VA_ARGS__}, .n_hidden = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)
#define SHAPE(T, K, L, P, Z)                                                                                 \
    .kind = MODEL_DENSE, .window = T, .tracks = K, .planes = L, .pitches = P, .latent = Z

static const case_t cases[] = {
    {{SHAPE(3, 1, 1, 5, 2), HIDDEN(6), .loss = LOSS_BCE}, .beta = 1},
    {{SHAPE(2, 2, 1, 12, 3), HIDDEN(7, 5), .loss = LOSS_BCE}, .beta = 0.4},
    {{SHAPE(2, 3, 2, 5, 4), HIDDEN(8, 6, 4), .loss = LOSS_BCE}, .beta = 1},
    {{SHAPE(1, 1, 1, 88, 3), HIDDEN(6, 4), .loss = LOSS_BCE}, .beta = 2},
    {{SHAPE(3, 1, 2, 12, 2), HIDDEN(6), .loss = LOSS_MSE}, .beta = 1},
    {{SHAPE(2, 2, 1, 5, 3), HIDDEN(7, 5, 5), .loss = LOSS_MSE}, .beta = 0.1},
    {{SHAPE(2, 1, 1, 12, 3), HIDDEN(6, 5), .loss = LOSS_BCE}, .beta = 1, .free_bits = 100, .held_back = 3},
    {{SHAPE(2, 1, 1, 12, 3), HIDDEN(6, 5), .loss = LOSS_BCE}, .beta = 1, .free_bits = 1, .held_back = 1},
    {{SHAPE(2, 1, 1, 5, 3), HIDDEN(6, 5), .loss = LOSS_BCE}, .beta = 1, .no_noise = TRUE},
    {{SHAPE(2, 1, 1, 5, 3), HIDDEN(6, 5), .loss = LOSS_BCE}, .beta = 0},
    {{SHAPE(2, 2, 1, 12, 3), HIDDEN(9, 7), .loss = LOSS_BCE}, .beta = 1, .dropout = 0.3},
    {{SHAPE(2, 1, 2, 5, 3), HIDDEN(9, 8, 8), .loss = LOSS_MSE}, .beta = 0.5, .dropout = 0.25},
};

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/gradients/linear", test_linear);
    g_test_add_func("/gradients/linear_bits", test_linear_bits);
    g_test_add_func("/gradients/relu", test_relu);
    g_test_add_func("/gradients/sample_latent", test_sample_latent);
    g_test_add_func("/gradients/kl", test_kl);
    g_test_add_func("/gradients/losses", test_losses);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const case_t *c = &cases[i];
        g_autofree char *path =
            g_strdup_printf("/gradients/model/%zu-T%zu-K%zu-L%zu-P%zu-%zu-hidden-%s", i, c->config.window,
                            c->config.tracks, c->config.planes, c->config.pitches, c->config.n_hidden,
                            c->config.loss == LOSS_BCE ? "bce" : "mse");
        g_test_add_data_func(path, c, test_model);
    }
    return g_test_run();
}
