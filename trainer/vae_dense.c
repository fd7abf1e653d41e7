/* vae_dense: the seed's dense VAE. Owns the order of its layers and their activations; the arithmetic is in ops, the objective in model. The first
 * layer reads bits and never sees an unpacked window. */
#include "trainer/vae_dense.h"

typedef struct {
    const real_t *W, *bias;
    real_t *dW, *dbias;
    size_t inputs, outputs;
} linear_t;

/* All arrays of activations are [max_B, outputs of their layer]; gradients of activations share two buffers of the widest hidden layer. */
typedef struct {
    size_t n; /* hidden layers a side */
    size_t cells;
    linear_t encoder[MODEL_MAX_HIDDEN], mu, logvar, decoder[MODEL_MAX_HIDDEN], output;
    real_t *encoded[MODEL_MAX_HIDDEN], *decoded[MODEL_MAX_HIDDEN];
    real_t *dwide[2];
    uint32_t *start, *window; /* ops_list_active() of the last batch encoded */
} vae_dense_t;

static void lay_out(const model_config_t *config, GArray *table) {
    const size_t n = config->n_hidden, D = model_cells(config);
    char name[32];
    for (size_t i = 0; i < n; i++) {
        g_snprintf(name, sizeof name, "encoder.%zu", i);
        model_add_linear(table, name, i ? config->hidden[i - 1] : D, config->hidden[i]);
    }
    model_add_linear(table, "mu", config->hidden[n - 1], config->latent);
    model_add_linear(table, "logvar", config->hidden[n - 1], config->latent);
    for (size_t i = 0; i < n; i++) {
        g_snprintf(name, sizeof name, "decoder.%zu", i);
        model_add_linear(table, name, i ? config->hidden[n - i] : config->latent, config->hidden[n - 1 - i]);
    }
    model_add_linear(table, "output", config->hidden[0], D);
}

/* The layer whose matrix is table[*next]; steps over matrix and bias. */
static linear_t take_linear(const param_t *table, size_t *next, real_t *params, real_t *gradient) {
    const param_t *weight = &table[*next], *bias = &table[*next + 1];
    *next += 2;
    return (linear_t){params + weight->offset, params + bias->offset, gradient + weight->offset, gradient + bias->offset, weight->rows, weight->cols};
}

static real_t *new_activations(size_t B, size_t N) { return g_aligned_alloc0(B * N, sizeof(real_t), 64); }

static void *create(const model_config_t *config, const param_t *table, real_t *params, real_t *gradient, size_t max_B) {
    vae_dense_t *vae = g_new0(vae_dense_t, 1);
    size_t next = 0, widest = 0;
    vae->n = config->n_hidden;
    vae->cells = model_cells(config);
    for (size_t i = 0; i < vae->n; i++) vae->encoder[i] = take_linear(table, &next, params, gradient);
    vae->mu = take_linear(table, &next, params, gradient);
    vae->logvar = take_linear(table, &next, params, gradient);
    for (size_t i = 0; i < vae->n; i++) vae->decoder[i] = take_linear(table, &next, params, gradient);
    vae->output = take_linear(table, &next, params, gradient);
    for (size_t i = 0; i < vae->n; i++) {
        vae->encoded[i] = new_activations(max_B, vae->encoder[i].outputs);
        vae->decoded[i] = new_activations(max_B, vae->decoder[i].outputs);
        widest = MAX(widest, config->hidden[i]);
    }
    for (size_t i = 0; i < 2; i++) vae->dwide[i] = new_activations(max_B, widest);
    vae->start = g_new0(uint32_t, vae->cells + 1);
    vae->window = g_new0(uint32_t, max_B * vae->cells);
    return vae;
}

static void destroy(void *state) {
    vae_dense_t *vae = state;
    for (size_t i = 0; i < vae->n; i++) {
        g_aligned_free(vae->encoded[i]);
        g_aligned_free(vae->decoded[i]);
    }
    for (size_t i = 0; i < 2; i++) g_aligned_free(vae->dwide[i]);
    g_free(vae->start);
    g_free(vae->window);
    g_free(vae);
}

static void forward(const linear_t *layer, const real_t *x, real_t *y, size_t B) {
    ops_linear(x, layer->W, layer->bias, y, B, layer->inputs, layer->outputs);
}

static void backward(const linear_t *layer, const real_t *x, const real_t *dy, real_t *dx, int add_dx, size_t B) {
    ops_linear_backward(x, layer->W, dy, dx, add_dx, layer->dW, layer->dbias, B, layer->inputs, layer->outputs);
}

static void encode(void *state, const ops_bits_t *x, real_t *mu, real_t *logvar) {
    vae_dense_t *vae = state;
    const linear_t *first = &vae->encoder[0];
    const size_t B = x->B;
    ops_list_active(x, vae->start, vae->window);
    ops_linear_bits(vae->start, vae->window, first->W, first->bias, vae->encoded[0], B, first->inputs, first->outputs);
    ops_relu(vae->encoded[0], B * first->outputs);
    for (size_t i = 1; i < vae->n; i++) {
        forward(&vae->encoder[i], vae->encoded[i - 1], vae->encoded[i], B);
        ops_relu(vae->encoded[i], B * vae->encoder[i].outputs);
    }
    forward(&vae->mu, vae->encoded[vae->n - 1], mu, B);
    forward(&vae->logvar, vae->encoded[vae->n - 1], logvar, B);
}

static void decode(void *state, const real_t *z, real_t *logits, size_t B) {
    vae_dense_t *vae = state;
    for (size_t i = 0; i < vae->n; i++) {
        forward(&vae->decoder[i], i ? vae->decoded[i - 1] : z, vae->decoded[i], B);
        ops_relu(vae->decoded[i], B * vae->decoder[i].outputs);
    }
    forward(&vae->output, vae->decoded[vae->n - 1], logits, B);
}

static void decode_backward(void *state, const real_t *z, const real_t *dlogits, real_t *dz, size_t B) {
    vae_dense_t *vae = state;
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    backward(&vae->output, vae->decoded[vae->n - 1], dlogits, dy, 0, B);
    for (size_t i = vae->n; i-- > 0;) {
        ops_relu_backward(vae->decoded[i], dy, B * vae->decoder[i].outputs);
        backward(&vae->decoder[i], i ? vae->decoded[i - 1] : z, dy, i ? dx : dz, 0, B);
        real_t *const swap = dy;
        dy = dx;
        dx = swap;
    }
}

static void encode_backward(void *state, const real_t *dmu, const real_t *dlogvar, size_t B) {
    vae_dense_t *vae = state;
    const linear_t *first = &vae->encoder[0];
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    backward(&vae->mu, vae->encoded[vae->n - 1], dmu, dy, 0, B);
    backward(&vae->logvar, vae->encoded[vae->n - 1], dlogvar, dy, 1, B);
    for (size_t i = vae->n - 1; i > 0; i--) {
        ops_relu_backward(vae->encoded[i], dy, B * vae->encoder[i].outputs);
        backward(&vae->encoder[i], vae->encoded[i - 1], dy, dx, 0, B);
        real_t *const swap = dy;
        dy = dx;
        dx = swap;
    }
    ops_relu_backward(vae->encoded[0], dy, B * first->outputs);
    ops_linear_bits_backward(vae->start, vae->window, dy, first->dW, first->dbias, B, first->inputs, first->outputs);
}

const model_kind_ops_t vae_dense_kind = {
    .name = "dense",
    .lay_out = lay_out,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .decode_backward = decode_backward,
    .encode_backward = encode_backward,
};
