/* vae_dense: owns the layers of the dense VAE, their activations and its objective; the arithmetic is in
 * layers. The first layer reads bits; windows are never unpacked. */
#include "trainer/model/vae_dense.h"

#include <stdlib.h>

enum { REPORTED = 1 << 18 }; /* elements of the first layer's gradient that are reported at a time, about */

/* All arrays of activations are [max_B, outputs of their layer]; gradients of activations share two buffers
 * of the widest hidden layer. */
typedef struct {
    model_config_t config;
    const model_report_t *report;
    size_t max_B, units; /* units: model_dropout_units() */
    linear_t encoder[MODEL_MAX_HIDDEN], mu_layer, logvar_layer, decoder[MODEL_MAX_HIDDEN], output;
    real_t *encoded[MODEL_MAX_HIDDEN], *decoded[MODEL_MAX_HIDDEN], *dwide[2];
    real_t *mu, *logvar, *z, *dmu, *dlogvar, *dz; /* [max_B, Z] */
    real_t *logits;                               /* [max_B, D]; their gradient after train() */
    real_t *scratch;                              /* of grains.h */
    double *nll, *kl, *kl_weight;                 /* [max_B] */
    uint32_t *start, *window;                     /* layers_list_active() of the last batch encoded */
    GPtrArray *blocks;                            /* all real_t of the above */
} vae_dense_t;

/* The name of a hidden layer. */
typedef struct {
    char text[16];
} layer_name_t;

static layer_name_t name_layer(const char *side, size_t i) {
    layer_name_t name;
    g_snprintf(name.text, sizeof name.text, "%s.%zu", side, i);
    return name;
}

static void lay_out(const model_config_t *config, GArray *table) {
    const size_t n = config->n_hidden, D = model_cells(config), *hidden = config->hidden;
    for (size_t i = 0; i < n; i++)
        model_add_linear(table, name_layer("encoder", i).text, i ? hidden[i - 1] : D, hidden[i]);
    model_add_linear(table, "mu", hidden[n - 1], config->latent);
    model_add_linear(table, "logvar", hidden[n - 1], config->latent);
    for (size_t i = 0; i < n; i++)
        model_add_linear(table, name_layer("decoder", i).text, i ? hidden[n - i] : config->latent,
                         hidden[n - 1 - i]);
    model_add_linear(table, "output", hidden[0], D);
}

static size_t widest_hidden(const model_config_t *config) {
    size_t widest = 0;
    for (size_t i = 0; i < config->n_hidden; i++) widest = MAX(widest, config->hidden[i]);
    return widest;
}

static gboolean check(const model_config_t *config, size_t max_B, G_GNUC_UNUSED size_t max_frames,
                      GError **error) {
    const size_t widest = MAX(model_cells(config), MAX(config->latent, widest_hidden(config)));
    if ((double)max_B * (double)widest <= (double)INT32_MAX) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                "model: a batch of %zu windows of %zu cells is too large; choose a smaller batch, a shorter "
                "window or more accumulation",
                max_B, model_cells(config));
    return FALSE;
}

static void destroy(void *state) {
    vae_dense_t *vae = state;
    void *const arrays[] = {vae->nll, vae->kl, vae->kl_weight, vae->start, vae->window, vae};
    g_ptr_array_unref(vae->blocks);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
}

static void find(void *state, const model_blocks_t *blocks) {
    vae_dense_t *vae = state;
    vae->report = blocks->report;
    for (size_t i = 0; i < vae->config.n_hidden; i++) {
        vae->encoder[i] = model_find_linear(blocks, name_layer("encoder", i).text);
        vae->decoder[i] = model_find_linear(blocks, name_layer("decoder", i).text);
    }
    vae->mu_layer = model_find_linear(blocks, "mu");
    vae->logvar_layer = model_find_linear(blocks, "logvar");
    vae->output = model_find_linear(blocks, "output");
}

static void *create(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                    G_GNUC_UNUSED size_t max_frames, GError **error) {
    vae_dense_t *vae = g_new0(vae_dense_t, 1);
    const size_t D = model_cells(config);
    *vae = (vae_dense_t){.config = *config,
                         .max_B = max_B,
                         .units = model_dropout_units(config),
                         .nll = g_new0(double, max_B),
                         .kl = g_new0(double, max_B),
                         .kl_weight = g_new0(double, max_B),
                         .start = g_new0(uint32_t, D + 1),
                         .window = g_new0(uint32_t, max_B * D),
                         .blocks = g_ptr_array_new_with_free_func(free)};
    find(vae, blocks);
    for (size_t i = 0; i < config->n_hidden; i++) {
        vae->encoded[i] = model_add_block(vae->blocks, max_B, vae->encoder[i].outputs);
        vae->decoded[i] = model_add_block(vae->blocks, max_B, vae->decoder[i].outputs);
    }
    for (size_t i = 0; i < 2; i++) vae->dwide[i] = model_add_block(vae->blocks, max_B, widest_hidden(config));
    real_t **const latents[] = {&vae->mu, &vae->logvar, &vae->z, &vae->dmu, &vae->dlogvar, &vae->dz};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++)
        *latents[i] = model_add_block(vae->blocks, max_B, config->latent);
    vae->logits = model_add_block(vae->blocks, max_B, D);
    if (model_check_blocks(vae->blocks, "the activations of a batch", error)) return vae;
    destroy(vae);
    return NULL;
}

static gboolean allow_grains(void *state, G_GNUC_UNUSED size_t n, GError **error) {
    vae_dense_t *vae = state;
    vae->scratch = model_add_block(vae->blocks, 1, grains_scratch(vae->max_B));
    return model_check_blocks(vae->blocks, "the products of grains", error);
}

/* The batch's windows as rows. */
static rows_t batch_rows(const vae_dense_t *vae, const batch_t *batch) {
    return (rows_t){.n = batch->B, .grains = batch->grains, .scratch = vae->scratch};
}

/* ReLU, then the batch's dropout; `first` is the layer's first unit among all that dropout may silence. */
static void activate(const vae_dense_t *vae, real_t *y, const batch_t *batch, size_t first, size_t N) {
    layers_relu(y, batch->B * N);
    if (batch->keep_hidden)
        layers_dropout(y, batch->keep_hidden + first, vae->units, (real_t)(1 / batch->keep_rate), batch->B,
                       N);
}

/* A silenced unit is 0, like one that ReLU cuts off, so layers_relu_backward() handles both. */
static void activate_backward(const real_t *y, real_t *dy, const batch_t *batch, size_t N) {
    layers_relu_backward(y, dy, batch->B * N);
    if (batch->keep_hidden) layers_scale(dy, (real_t)(1 / batch->keep_rate), batch->B * N);
}

static layers_bits_t batch_bits(const vae_dense_t *vae, const batch_t *batch) {
    const model_config_t *config = &vae->config;
    return (layers_bits_t){batch->B,        config->window, config->tracks * config->planes,
                           config->pitches, batch->bits,    batch->valid};
}

/* batch->bits to mu and logvar. */
static void encode(vae_dense_t *vae, const batch_t *batch) {
    const linear_t *first = &vae->encoder[0];
    const size_t B = batch->B, n = vae->config.n_hidden;
    const layers_bits_t x = batch_bits(vae, batch);
    const rows_t rows = batch_rows(vae, batch);
    size_t unit = 0;
    g_assert(B >= 1 && B <= vae->max_B);
    layers_list_active(&x, vae->start, vae->window);
    layers_linear_bits(vae->start, vae->window, first->W, first->bias, vae->encoded[0], B, first->inputs,
                       first->outputs);
    activate(vae, vae->encoded[0], batch, unit, first->outputs);
    for (size_t i = 1; i < n; i++) {
        unit += vae->encoder[i - 1].outputs;
        linear_forward(&vae->encoder[i], vae->encoded[i - 1], vae->encoded[i], &rows);
        activate(vae, vae->encoded[i], batch, unit, vae->encoder[i].outputs);
    }
    linear_forward(&vae->mu_layer, vae->encoded[n - 1], vae->mu, &rows);
    linear_forward(&vae->logvar_layer, vae->encoded[n - 1], vae->logvar, &rows);
}

/* z to logits. */
static void decode(vae_dense_t *vae, const real_t *z, const batch_t *batch) {
    const size_t n = vae->config.n_hidden;
    const rows_t rows = batch_rows(vae, batch);
    size_t unit = vae->units / 2;
    g_assert(batch->B >= 1 && batch->B <= vae->max_B);
    for (size_t i = 0; i < n; i++) {
        linear_forward(&vae->decoder[i], i ? vae->decoded[i - 1] : z, vae->decoded[i], &rows);
        activate(vae, vae->decoded[i], batch, unit, vae->decoder[i].outputs);
        unit += vae->decoder[i].outputs;
    }
    linear_forward(&vae->output, vae->decoded[n - 1], vae->logits, &rows);
}

static void swap(real_t **a, real_t **b) {
    real_t *const kept = *a;
    *a = *b;
    *b = kept;
}

/* The gradient of the logits to dz; adds to the gradient block, as encode_backward() does. */
static void decode_backward(vae_dense_t *vae, const batch_t *batch) {
    const size_t n = vae->config.n_hidden;
    const rows_t rows = batch_rows(vae, batch);
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    linear_backward(&vae->output, vae->decoded[n - 1], vae->logits, dy, 0, &rows, vae->report);
    for (size_t i = n; i-- > 0; swap(&dy, &dx)) {
        activate_backward(vae->decoded[i], dy, batch, vae->decoder[i].outputs);
        linear_backward(&vae->decoder[i], i ? vae->decoded[i - 1] : vae->z, dy, i ? dx : vae->dz, 0, &rows,
                        vae->report);
    }
}

/* The gradient of the first layer, which is large and comes last: reported in parts, of which the last has
 * the bias, so that there is not much left to wait for. */
static void bits_backward(vae_dense_t *vae, const real_t *dy, const batch_t *batch) {
    const linear_t *first = &vae->encoder[0];
    const size_t N = first->outputs, most = (REPORTED / N + ALIGN_ELEMENTS) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    const rows_t rows = batch_rows(vae, batch);
    for (size_t d = 0; d < first->inputs; d += most) {
        const size_t n = MIN(most, first->inputs - d);
        const gboolean last = d + n == first->inputs;
        real_t *dW = first->dW + d * N;
        rows_bits_gradient(&rows, vae->start + d, vae->window, dy, dW, last ? first->dbias : NULL, n, N);
        model_report(vae->report, dW, last ? (size_t)(first->dbias + N - dW) : n * N);
    }
}

/* Takes the gradient on from dmu and dlogvar. */
static void encode_backward(vae_dense_t *vae, const batch_t *batch) {
    const linear_t *first = &vae->encoder[0];
    const size_t n = vae->config.n_hidden;
    const rows_t rows = batch_rows(vae, batch);
    real_t *dy = vae->dwide[0], *dx = vae->dwide[1];
    linear_backward(&vae->mu_layer, vae->encoded[n - 1], vae->dmu, dy, 0, &rows, vae->report);
    linear_backward(&vae->logvar_layer, vae->encoded[n - 1], vae->dlogvar, dy, 1, &rows, vae->report);
    for (size_t i = n - 1; i > 0; i--, swap(&dy, &dx)) {
        activate_backward(vae->encoded[i], dy, batch, vae->encoder[i].outputs);
        linear_backward(&vae->encoder[i], vae->encoded[i - 1], dy, dx, 0, &rows, vae->report);
    }
    activate_backward(vae->encoded[0], dy, batch, first->outputs);
    bits_backward(vae, dy, batch);
}

/* Computes nll [B] of the logits; if train, also turns them into their gradient. */
static void reconstruct(vae_dense_t *vae, const batch_t *batch, gboolean train, double scale, double *nll) {
    const layers_bits_t x = batch_bits(vae, batch);
    (vae->config.loss == LOSS_BCE ? layers_bce_logits : layers_mse_logits)(
        &x, vae->logits, train ? vae->logits : NULL, scale, nll);
}

static void forward_to_logits(vae_dense_t *vae, const batch_t *batch) {
    encode(vae, batch);
    layers_sample_latent(vae->mu, vae->logvar, batch->eps, vae->z, batch->B * vae->config.latent);
    decode(vae, vae->z, batch);
}

static void train(void *state, const batch_t *batch, const model_objective_t *objective,
                  model_losses_t *losses) {
    vae_dense_t *vae = state;
    const size_t B = batch->B, Z = vae->config.latent;
    forward_to_logits(vae, batch);
    reconstruct(vae, batch, TRUE, objective->scale, vae->nll);
    layers_kl(vae->mu, vae->logvar, vae->kl, B, Z);
    const uint32_t whole[] = {0, (uint32_t)B};
    const grains_t grains = batch->grains.n > 0 ? batch->grains : (grains_t){.begin = whole, .n = 1};
    for (size_t i = 0; i < grains.n; i++) {
        losses[i] = (model_losses_t){.segments = (double)(grains.begin[i + 1] - grains.begin[i])};
        for (size_t b = grains.begin[i]; b < grains.begin[i + 1]; b++) {
            losses[i].nll += vae->nll[b];
            losses[i].kl += vae->kl[b];
        }
    }
    for (size_t b = 0; b < B; b++)
        vae->kl_weight[b] = vae->kl[b] >= objective->free_bits ? objective->scale * objective->beta : 0;
    decode_backward(vae, batch);
    layers_sample_latent_backward(vae->logvar, batch->eps, vae->dz, vae->dmu, vae->dlogvar, B * Z);
    layers_kl_backward(vae->mu, vae->logvar, vae->kl_weight, vae->dmu, vae->dlogvar, B, Z);
    encode_backward(vae, batch);
}

static void forward(void *state, const batch_t *batch, double *nll, double *kl) {
    vae_dense_t *vae = state;
    forward_to_logits(vae, batch);
    if (nll) reconstruct(vae, batch, FALSE, 1, nll);
    if (kl) layers_kl(vae->mu, vae->logvar, kl, batch->B, vae->config.latent);
}

const model_kind_ops_t vae_dense_kind = {.check = check,
                                         .lay_out = lay_out,
                                         .create = create,
                                         .destroy = destroy,
                                         .allow_grains = allow_grains,
                                         .find = find,
                                         .train = train,
                                         .forward = forward};

static vae_dense_t *dense(const model_t *model) {
    g_assert(model->kind == &vae_dense_kind);
    return model->state;
}

const real_t *model_mu(const model_t *model) { return dense(model)->mu; }
const real_t *model_logvar(const model_t *model) { return dense(model)->logvar; }
const real_t *model_z(const model_t *model) { return dense(model)->z; }
const real_t *model_logits(const model_t *model) { return dense(model)->logits; }

void model_encode(model_t *model, const batch_t *batch) { encode(dense(model), batch); }

void model_decode(model_t *model, const real_t *z, size_t B) { decode(dense(model), z, &(batch_t){.B = B}); }

void model_reconstruction(model_t *model, const batch_t *batch, double *nll) {
    reconstruct(dense(model), batch, FALSE, 1, nll);
}
