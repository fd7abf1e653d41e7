/* model: the VAE's objective over any kind of network. Owns the parameter and gradient blocks, the table, the latent and the logits; dispatches
 * encoder and decoder to the kind (trainer/model_kind.h). Refuses sizes that BLAS's 32-bit sizes or memory cannot hold. */
#include "trainer/model.h"

#include <math.h>
#include <stdlib.h>

#include "trainer/model_kind.h"
#include "trainer/vae_dense.h"

enum { ALIGN_BYTES = 64, ALIGN_ELEMENTS = 16, MAX_SIDE = 1 << 20, MAX_TRACKS = 64 };
#define MAX_BUFFER ((double)INT32_MAX) /* elements of a [B, D] array */

static const model_kind_ops_t *const kinds[MODEL_KINDS] = {[MODEL_DENSE] = &vae_dense_kind};

struct model {
    model_config_t config;
    const model_kind_ops_t *kind;
    void *state;
    size_t max_B, size;
    GArray *table; /* param_t */
    real_t *params, *gradient;
    real_t *logits;               /* [max_B, D]; dlogits after model_train() */
    real_t *mu, *logvar, *z;      /* [max_B, Z] */
    real_t *dmu, *dlogvar, *dz;   /* [max_B, Z] */
    double *nll, *kl, *kl_weight; /* [max_B] */
};

G_DEFINE_QUARK(mpianist_model_error, model_error)

const char *model_kind_name(model_kind_t kind) { return kinds[kind]->name; }

size_t model_cells(const model_config_t *config) { return config->window * config->tracks * config->planes * config->pitches; }

size_t model_window_bytes(const model_config_t *config) { return config->window * config->tracks * config->planes * ((config->pitches + 7) / 8); }

void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols) {
    param_t param = {.rows = rows, .cols = cols, .decay = rows > 1};
    g_snprintf(param.name, sizeof param.name, "%s.%s", name, part);
    if (table->len) {
        const param_t *last = &g_array_index(table, param_t, table->len - 1);
        param.offset = (last->offset + last->rows * last->cols + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    }
    g_array_append_val(table, param);
}

void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs) {
    model_add_param(table, name, "weight", inputs, outputs);
    model_add_param(table, name, "bias", 1, outputs);
}

static gboolean check_range(const char *what, size_t value, size_t highest, GError **error) {
    if (value >= 1 && value <= highest) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE, "model: %s is %zu; it must be from 1 to %zu", what, value, highest);
    return FALSE;
}

static gboolean check_config(const model_config_t *config, size_t max_B, GError **error) {
    if ((unsigned)config->kind >= MODEL_KINDS || config->loss > LOSS_MSE) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE, "model: kind %d or loss %d is unknown to this version", (int)config->kind,
                    (int)config->loss);
        return FALSE;
    }
    if (!check_range("window (frames)", config->window, MAX_SIDE, error) || !check_range("tracks", config->tracks, MAX_TRACKS, error) ||
        !check_range("planes", config->planes, 2, error) || !check_range("pitches", config->pitches, OPS_MAX_PITCHES, error) ||
        !check_range("number of hidden layers", config->n_hidden, MODEL_MAX_HIDDEN, error) ||
        !check_range("latent size", config->latent, MAX_SIDE, error) || !check_range("batch (windows a pass)", max_B, MAX_SIDE, error))
        return FALSE;
    size_t widest = MAX(model_cells(config), config->latent);
    for (size_t i = 0; i < config->n_hidden; i++) {
        if (!check_range("hidden layer's size", config->hidden[i], MAX_SIDE, error)) return FALSE;
        widest = MAX(widest, config->hidden[i]);
    }
    if ((double)max_B * (double)widest <= MAX_BUFFER) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                "model: a batch of %zu windows of %zu cells is too large; choose a smaller batch, a shorter window or more accumulation", max_B,
                model_cells(config));
    return FALSE;
}

static real_t *new_block(size_t n, const char *what, GError **error) {
    real_t *block = ops_new_block(n);
    if (!block)
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY, "model: cannot allocate %.0f MiB for %s; choose smaller layers, windows or batches",
                    (double)n * sizeof(real_t) / 0x1p20, what);
    return block;
}

static real_t *new_latents(size_t B, size_t Z) { return g_aligned_alloc0(B * Z, sizeof(real_t), ALIGN_BYTES); }

model_t *model_new(const model_config_t *config, size_t max_B, GError **error) {
    if (!check_config(config, max_B, error)) return NULL;
    g_autoptr(model_t) model = g_new0(model_t, 1);
    model->config = *config;
    model->kind = kinds[config->kind];
    model->max_B = max_B;
    model->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    model->kind->lay_out(config, model->table);
    const param_t *last = &g_array_index(model->table, param_t, model->table->len - 1);
    model->size = (last->offset + last->rows * last->cols + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    if (!(model->params = new_block(model->size, "the weights", error)) || !(model->gradient = new_block(model->size, "the gradient", error)) ||
        !(model->logits = new_block(max_B * model_cells(config), "a batch's cells", error)))
        return NULL;
    real_t **const latents[] = {&model->mu, &model->logvar, &model->z, &model->dmu, &model->dlogvar, &model->dz};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++) *latents[i] = new_latents(max_B, config->latent);
    model->nll = g_new0(double, max_B);
    model->kl = g_new0(double, max_B);
    model->kl_weight = g_new0(double, max_B);
    model->state = model->kind->create(config, &g_array_index(model->table, param_t, 0), model->params, model->gradient, max_B);
    return g_steal_pointer(&model);
}

void model_free(model_t *model) {
    if (!model) return;
    if (model->state) model->kind->destroy(model->state);
    free(model->params);
    free(model->gradient);
    free(model->logits);
    real_t *const latents[] = {model->mu, model->logvar, model->z, model->dmu, model->dlogvar, model->dz};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++) g_aligned_free(latents[i]);
    g_free(model->nll);
    g_free(model->kl);
    g_free(model->kl_weight);
    g_array_unref(model->table);
    g_free(model);
}

const model_config_t *model_config(const model_t *model) { return &model->config; }
size_t model_size(const model_t *model) { return model->size; }
real_t *model_params(model_t *model) { return model->params; }
real_t *model_gradient(model_t *model) { return model->gradient; }
const real_t *model_mu(const model_t *model) { return model->mu; }
const real_t *model_logvar(const model_t *model) { return model->logvar; }
const real_t *model_z(const model_t *model) { return model->z; }
const real_t *model_logits(const model_t *model) { return model->logits; }

const param_t *model_table(const model_t *model, size_t *n) {
    *n = model->table->len;
    return &g_array_index(model->table, param_t, 0);
}

void model_init(model_t *model, uint64_t seed) {
    size_t n, inputs = 1;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        if (table[i].decay) inputs = table[i].rows; /* a bias follows its matrix and takes its bound */
        const rng_t rng = rng_make(seed, RNG_INIT, 0, i);
        const double bound = 1.0 / sqrt((double)inputs);
        rng_uniform_fill(&rng, model->params + table[i].offset, table[i].rows * table[i].cols, -bound, bound);
    }
}

static ops_bits_t batch_bits(const model_t *model, const batch_t *batch) {
    const model_config_t *config = &model->config;
    return (ops_bits_t){batch->B, config->window, config->tracks * config->planes, config->pitches, batch->bits, batch->valid};
}

/* nll[B] of the logits; turns them into dlogits where train. */
static void reconstruction(model_t *model, const batch_t *batch, gboolean train, double scale, double *nll) {
    const ops_bits_t x = batch_bits(model, batch);
    real_t *dlogits = train ? model->logits : NULL;
    if (model->config.loss == LOSS_BCE)
        ops_bce_logits(&x, model->logits, dlogits, scale, nll);
    else
        ops_mse_logits(&x, model->logits, dlogits, scale, nll);
}

static void forward_to_logits(model_t *model, const batch_t *batch) {
    model_encode(model, batch);
    ops_sample_latent(model->mu, model->logvar, batch->eps, model->z, batch->B * model->config.latent);
    model->kind->decode(model->state, model->z, model->logits, batch->B);
}

void model_train(model_t *model, const batch_t *batch, double beta, double free_bits, double scale, model_losses_t *losses) {
    const size_t B = batch->B, Z = model->config.latent;
    forward_to_logits(model, batch);
    reconstruction(model, batch, TRUE, scale, model->nll);
    ops_kl(model->mu, model->logvar, model->kl, B, Z);
    *losses = (model_losses_t){0};
    for (size_t b = 0; b < B; b++) {
        losses->nll += model->nll[b];
        losses->kl += model->kl[b];
        model->kl_weight[b] = model->kl[b] >= free_bits ? scale * beta : 0;
    }
    model->kind->decode_backward(model->state, model->z, model->logits, model->dz, B);
    ops_sample_latent_backward(model->logvar, batch->eps, model->dz, model->dmu, model->dlogvar, B * Z);
    ops_kl_backward(model->mu, model->logvar, model->kl_weight, model->dmu, model->dlogvar, B, Z);
    model->kind->encode_backward(model->state, model->dmu, model->dlogvar, B);
}

void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl) {
    forward_to_logits(model, batch);
    if (nll) reconstruction(model, batch, FALSE, 1, nll);
    if (kl) ops_kl(model->mu, model->logvar, kl, batch->B, model->config.latent);
}

void model_encode(model_t *model, const batch_t *batch) {
    g_assert(batch->B >= 1 && batch->B <= model->max_B);
    const ops_bits_t x = batch_bits(model, batch);
    model->kind->encode(model->state, &x, model->mu, model->logvar);
}

void model_decode(model_t *model, const real_t *z, size_t B) {
    g_assert(B >= 1 && B <= model->max_B);
    model->kind->decode(model->state, z, model->logits, B);
}

void model_reconstruction(model_t *model, const batch_t *batch, double *nll) { reconstruction(model, batch, FALSE, 1, nll); }
