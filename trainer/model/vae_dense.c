/* vae_dense: the seed's dense VAE. Owns the order of its layers and their activations; the arithmetic is in
 * ops, the objective in model. The first layer reads bits and never sees an unpacked window. */
#include "trainer/model/vae_dense.h"

enum { MAX_SIDE = 1 << 20 };

/* All arrays of activations are [max_B, outputs of their layer]; gradients of activations share two buffers
 * of the widest hidden layer. */
typedef struct {
    size_t n;            /* hidden layers a side */
    size_t cells, units; /* units: model_dropout_units() */
    linear_t encoder[MODEL_MAX_HIDDEN], mu, logvar, decoder[MODEL_MAX_HIDDEN], output;
    real_t *encoded[MODEL_MAX_HIDDEN], *decoded[MODEL_MAX_HIDDEN];
    real_t *dwide[2];
    uint32_t *start, *window; /* layers_list_active() of the last batch encoded */
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

static real_t *new_activations(size_t B, size_t N) { return g_aligned_alloc0(B * N, sizeof(real_t), 64); }

static gboolean check(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    (void)max_frames;
    if (!model_check_range("window (frames)", config->window, 1, MAX_SIDE, error) ||
        !model_check_range("number of hidden layers", config->n_hidden, 1, MODEL_MAX_HIDDEN, error) ||
        !model_check_range("latent size", config->latent, 1, MAX_SIDE, error))
        return FALSE;
    size_t widest = MAX(model_cells(config), config->latent);
    for (size_t i = 0; i < config->n_hidden; i++) {
        if (!model_check_range("hidden layer's size", config->hidden[i], 1, MAX_SIDE, error)) return FALSE;
        widest = MAX(widest, config->hidden[i]);
    }
    if ((double)max_B * (double)widest <= (double)INT32_MAX) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                "model: a batch of %zu windows of %zu cells is too large; choose a smaller batch, a shorter "
                "window or more accumulation",
                max_B, model_cells(config));
    return FALSE;
}

static void *create(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                    size_t max_frames, GError **error) {
    (void)max_frames;
    (void)error;
    vae_dense_t *vae = g_new0(vae_dense_t, 1);
    size_t widest = 0;
    char name[32];
    vae->n = config->n_hidden;
    vae->cells = model_cells(config);
    vae->units = model_dropout_units(config);
    for (size_t i = 0; i < vae->n; i++) {
        g_snprintf(name, sizeof name, "encoder.%zu", i);
        vae->encoder[i] = model_find_linear(blocks, name);
        g_snprintf(name, sizeof name, "decoder.%zu", i);
        vae->decoder[i] = model_find_linear(blocks, name);
    }
    vae->mu = model_find_linear(blocks, "mu");
    vae->logvar = model_find_linear(blocks, "logvar");
    vae->output = model_find_linear(blocks, "output");
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

/* Hidden layers are silenced by `first`, their place among all that dropout may silence. */
static void activate(const vae_dense_t *vae, real_t *y, const model_dropout_t *dropout, size_t first,
                     size_t B, size_t N) {
    layers_relu(y, B * N);
    if (dropout->keep)
        layers_dropout(y, dropout->keep + first, vae->units, (real_t)(1 / dropout->rate), B, N);
}

/* A silenced unit is 0, as one below the threshold is. */
static void activate_backward(const real_t *y, real_t *dy, const model_dropout_t *dropout, size_t n) {
    layers_relu_backward(y, dy, n);
    if (dropout->keep) layers_scale(dy, (real_t)(1 / dropout->rate), n);
}

static void encode(void *state, const layers_bits_t *x, const model_dropout_t *dropout, real_t *mu,
                   real_t *logvar) {
    vae_dense_t *vae = state;
    size_t unit = 0;
    const linear_t *first = &vae->encoder[0];
    const size_t B = x->B;
    layers_list_active(x, vae->start, vae->window);
    layers_linear_bits(vae->start, vae->window, first->W, first->bias, vae->encoded[0], B, first->inputs,
                       first->outputs);
    activate(vae, vae->encoded[0], dropout, unit, B, first->outputs);
    for (size_t i = 1; i < vae->n; i++) {
        unit += vae->encoder[i - 1].outputs;
        linear_forward(&vae->encoder[i], vae->encoded[i - 1], vae->encoded[i], B);
        activate(vae, vae->encoded[i], dropout, unit, B, vae->encoder[i].outputs);
    }
    linear_forward(&vae->mu, vae->encoded[vae->n - 1], mu, B);
    linear_forward(&vae->logvar, vae->encoded[vae->n - 1], logvar, B);
}

static void decode(void *state, const real_t *z, const model_dropout_t *dropout, real_t *logits, size_t B) {
    vae_dense_t *vae = state;
    size_t unit = vae->units / 2;
    for (size_t i = 0; i < vae->n; i++) {
        linear_forward(&vae->decoder[i], i ? vae->decoded[i - 1] : z, vae->decoded[i], B);
        activate(vae, vae->decoded[i], dropout, unit, B, vae->decoder[i].outputs);
        unit += vae->decoder[i].outputs;
    }
    linear_forward(&vae->output, vae->decoded[vae->n - 1], logits, B);
}

static void decode_backward(void *state, const real_t *z, const model_dropout_t *dropout,
                            const real_t *dlogits, real_t *dz, size_t B) {
    vae_dense_t *vae = state;
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    linear_backward(&vae->output, vae->decoded[vae->n - 1], dlogits, dy, 0, B);
    for (size_t i = vae->n; i-- > 0;) {
        activate_backward(vae->decoded[i], dy, dropout, B * vae->decoder[i].outputs);
        linear_backward(&vae->decoder[i], i ? vae->decoded[i - 1] : z, dy, i ? dx : dz, 0, B);
        real_t *const swap = dy;
        dy = dx;
        dx = swap;
    }
}

static void encode_backward(void *state, const model_dropout_t *dropout, const real_t *dmu,
                            const real_t *dlogvar, size_t B) {
    vae_dense_t *vae = state;
    const linear_t *first = &vae->encoder[0];
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    linear_backward(&vae->mu, vae->encoded[vae->n - 1], dmu, dy, 0, B);
    linear_backward(&vae->logvar, vae->encoded[vae->n - 1], dlogvar, dy, 1, B);
    for (size_t i = vae->n - 1; i > 0; i--) {
        activate_backward(vae->encoded[i], dy, dropout, B * vae->encoder[i].outputs);
        linear_backward(&vae->encoder[i], vae->encoded[i - 1], dy, dx, 0, B);
        real_t *const swap = dy;
        dy = dx;
        dx = swap;
    }
    activate_backward(vae->encoded[0], dy, dropout, B * first->outputs);
    layers_linear_bits_backward(vae->start, vae->window, dy, first->dW, first->dbias, B, first->inputs,
                                first->outputs);
}

const model_kind_ops_t vae_dense_kind = {
    .name = "dense",
    .check = check,
    .lay_out = lay_out,
    .create = create,
    .destroy = destroy,
    .encode = encode,
    .decode = decode,
    .decode_backward = decode_backward,
    .encode_backward = encode_backward,
};
