/* model: what all kinds of network share. Owns the parameter and gradient blocks and the table, and, of kinds
 * that are VAEs of windows, the objective: latent, losses, logits; dispatches the rest to the kind
 * (trainer/model/model_kind.h). Refuses sizes that BLAS's 32-bit sizes or memory cannot hold. */
#include "trainer/model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/model_kind.h"
#include "trainer/model/vae_dense.h"
#include "trainer/model/vae_sequence.h"

enum { ALIGN_BYTES = 64, ALIGN_ELEMENTS = 16, MAX_SIDE = 1 << 20 };

static const model_kind_ops_t *const kinds[MODEL_KINDS] = {
    [MODEL_DENSE] = &vae_dense_kind, [MODEL_SEQUENCE] = &vae_sequence_kind};

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

static gboolean is_dense(const model_config_t *config) { return config->kind == MODEL_DENSE; }

size_t model_cells(const model_config_t *config) {
    return (is_dense(config) ? config->window : 1) * config->tracks * config->planes * config->pitches;
}

size_t model_frame_bytes(const model_config_t *config) {
    return config->tracks * config->planes * roll_stride(config->pitches);
}

size_t model_window_bytes(const model_config_t *config) { return config->window * model_frame_bytes(config); }

size_t model_dropout_units(const model_config_t *config) {
    size_t units = 0;
    if (config->kind == MODEL_SEQUENCE) return config->sequence.state;
    for (size_t i = 0; i < config->n_hidden; i++) units += 2 * config->hidden[i];
    return units;
}

size_t model_context(const model_config_t *config) {
    const sequence_sizes_t *sizes = &config->sequence;
    if (is_dense(config)) return 0;
    const size_t lag = sizes->lags[sizes->n_lags - 1];
    return sizes->n_profiles ? MAX(lag, sizes->profiles[sizes->n_profiles - 1]) : lag;
}

void model_order_tracks(model_config_t *config, const grid_t *grid) {
    static const role_t order[] = {ROLE_DRUMS,   ROLE_BASS,   ROLE_CHORDS,
                                   ROLE_COUNTER, ROLE_MELODY, ROLE_MERGED};
    size_t n = 0;
    memset(config->sequence.order, 0, sizeof config->sequence.order);
    config->sequence.drums = 0;
    for (int k = 0; k < grid->n_tracks; k++) config->sequence.drums += grid->roles[k] == ROLE_DRUMS;
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        for (int k = 0; k < grid->n_tracks; k++)
            if (grid->roles[k] == order[i]) config->sequence.order[n++] = (uint8_t)k;
}

void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols,
                     param_init_t init) {
    param_t param = {.rows = rows, .cols = cols, .decay = rows > 1, .init = init};
    g_snprintf(param.name, sizeof param.name, "%s.%s", name, part);
    if (table->len) {
        const param_t *last = &g_array_index(table, param_t, table->len - 1);
        param.offset =
            (last->offset + last->rows * last->cols + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    }
    g_array_append_val(table, param);
}

void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs) {
    const param_init_t init = {.bound = 1.0 / sqrt((double)inputs)}; /* PyTorch's */
    model_add_param(table, name, "weight", inputs, outputs, init);
    model_add_param(table, name, "bias", 1, outputs, init);
}

static const param_t *find_param(const model_blocks_t *blocks, const char *name, const char *part) {
    char whole[sizeof blocks->table->name];
    g_snprintf(whole, sizeof whole, "%s.%s", name, part);
    for (size_t i = 0; i < blocks->n; i++)
        if (g_str_equal(blocks->table[i].name, whole)) return &blocks->table[i];
    return NULL;
}

real_t *model_find_param(const model_blocks_t *blocks, const char *name, const char *part,
                         real_t **gradient) {
    const param_t *param = find_param(blocks, name, part);
    g_assert(param);
    *gradient = blocks->gradient + param->offset;
    return blocks->params + param->offset;
}

linear_t model_find_linear(const model_blocks_t *blocks, const char *name) {
    const param_t *weight = find_param(blocks, name, "weight");
    linear_t layer = {.inputs = weight->rows, .outputs = weight->cols};
    layer.W = model_find_param(blocks, name, "weight", &layer.dW);
    if (find_param(blocks, name, "bias")) layer.bias = model_find_param(blocks, name, "bias", &layer.dbias);
    return layer;
}

void linear_forward(const linear_t *layer, const real_t *x, real_t *y, size_t B) {
    layers_linear(x, layer->W, layer->bias, y, B, layer->inputs, layer->outputs);
}

void linear_backward(const linear_t *layer, const real_t *x, const real_t *dy, real_t *dx, int add_dx,
                     size_t B) {
    layers_linear_backward(x, layer->W, dy, dx, add_dx, layer->dW, layer->dbias, B, layer->inputs,
                           layer->outputs);
}

gboolean model_check_range(const char *what, size_t value, size_t lowest, size_t highest, GError **error) {
    if (value >= lowest && value <= highest) return TRUE;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE, "model: %s is %zu; it must be from %zu to %zu", what,
                value, lowest, highest);
    return FALSE;
}

static gboolean check_config(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    if ((unsigned)config->kind >= MODEL_KINDS || config->loss > LOSS_MSE) {
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_SIZE,
                    "model: kind %d or loss %d is unknown to this version", (int)config->kind,
                    (int)config->loss);
        return FALSE;
    }
    return model_check_range("tracks", config->tracks, 1, MODEL_MAX_TRACKS, error) &&
           model_check_range("planes", config->planes, 1, 2, error) &&
           model_check_range("pitches", config->pitches, 1, LAYERS_MAX_PITCHES, error) &&
           model_check_range("batch (sequences a pass)", max_B, 1, MAX_SIDE, error) &&
           kinds[config->kind]->check(config, max_B, max_frames, error);
}

real_t *model_new_block(size_t n, const char *what, GError **error) {
    real_t *block = layers_new_block(n);
    if (!block)
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY,
                    "model: cannot allocate %.0f MiB for %s; choose smaller layers, windows or batches",
                    (double)n * sizeof(real_t) / 0x1p20, what);
    return block;
}

static void new_latents(model_t *model, size_t max_B) {
    real_t **const latents[] = {&model->mu,  &model->logvar,  &model->z,
                                &model->dmu, &model->dlogvar, &model->dz};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++)
        *latents[i] = g_aligned_alloc0(max_B * model->config.latent, sizeof(real_t), ALIGN_BYTES);
    model->nll = g_new0(double, max_B);
    model->kl = g_new0(double, max_B);
    model->kl_weight = g_new0(double, max_B);
}

model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    if (!check_config(config, max_B, max_frames, error)) return NULL;
    g_autoptr(model_t) model = g_new0(model_t, 1);
    model->config = *config;
    model->kind = kinds[config->kind];
    model->max_B = max_B;
    model->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    model->kind->lay_out(config, model->table);
    const param_t *last = &g_array_index(model->table, param_t, model->table->len - 1);
    model->size =
        (last->offset + last->rows * last->cols + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    if (!(model->params = model_new_block(model->size, "the weights", error)) ||
        !(model->gradient = model_new_block(model->size, "the gradient", error)) ||
        (is_dense(config) &&
         !(model->logits = model_new_block(max_B * model_cells(config), "a batch's cells", error))))
        return NULL;
    if (is_dense(config)) new_latents(model, max_B);
    const model_blocks_t blocks = {.table = &g_array_index(model->table, param_t, 0),
                                   .n = model->table->len,
                                   .params = model->params,
                                   .gradient = model->gradient};
    model->state = model->kind->create(config, &blocks, max_B, max_frames, error);
    return model->state ? g_steal_pointer(&model) : NULL;
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
void *model_state(const model_t *model) { return model->state; }
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
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        const rng_t rng = rng_make(seed, RNG_INIT, 0, i);
        const size_t entries = table[i].rows * table[i].cols;
        const param_init_t init = table[i].init;
        real_t *values = model->params + table[i].offset;
        if (init.bound > 0) {
            rng_uniform_fill(&rng, values, entries, -init.bound, init.bound);
        } else {
            rng_normal(&rng, values, entries);
            for (size_t j = 0; j < entries; j++) values[j] *= (real_t)init.sd;
        }
    }
    if (model->kind->init) model->kind->init(model->state);
}

void model_init_log_odds(model_t *model, const double *log_odds) {
    if (model->kind->init_log_odds) model->kind->init_log_odds(model->state, log_odds);
}

static layers_bits_t batch_bits(const model_t *model, const batch_t *batch) {
    const model_config_t *config = &model->config;
    return (layers_bits_t){batch->B,        config->window, config->tracks * config->planes,
                           config->pitches, batch->bits,    batch->valid};
}

/* nll[B] of the logits; turns them into dlogits where train. */
static void reconstruction(model_t *model, const batch_t *batch, gboolean train, double scale, double *nll) {
    const layers_bits_t x = batch_bits(model, batch);
    real_t *dlogits = train ? model->logits : NULL;
    if (model->config.loss == LOSS_BCE)
        layers_bce_logits(&x, model->logits, dlogits, scale, nll);
    else
        layers_mse_logits(&x, model->logits, dlogits, scale, nll);
}

static model_dropout_t batch_dropout(const batch_t *batch) {
    return (model_dropout_t){batch->keep_hidden, batch->keep_rate};
}

static void forward_to_logits(model_t *model, const batch_t *batch) {
    const model_dropout_t dropout = batch_dropout(batch);
    model_encode(model, batch);
    layers_sample_latent(model->mu, model->logvar, batch->eps, model->z, batch->B * model->config.latent);
    model->kind->decode(model->state, model->z, &dropout, model->logits, batch->B);
}

void model_train(model_t *model, const batch_t *batch, const model_objective_t *objective,
                 model_losses_t *losses) {
    const size_t B = batch->B, Z = model->config.latent;
    const model_dropout_t dropout = batch_dropout(batch);
    if (model->kind->train) {
        model->kind->train(model->state, batch, objective, losses);
        return;
    }
    forward_to_logits(model, batch);
    reconstruction(model, batch, TRUE, objective->scale, model->nll);
    layers_kl(model->mu, model->logvar, model->kl, B, Z);
    *losses = (model_losses_t){.segments = (double)B};
    for (size_t b = 0; b < B; b++) {
        losses->nll += model->nll[b];
        losses->kl += model->kl[b];
        model->kl_weight[b] = model->kl[b] >= objective->free_bits ? objective->scale * objective->beta : 0;
    }
    model->kind->decode_backward(model->state, model->z, &dropout, model->logits, model->dz, B);
    layers_sample_latent_backward(model->logvar, batch->eps, model->dz, model->dmu, model->dlogvar, B * Z);
    layers_kl_backward(model->mu, model->logvar, model->kl_weight, model->dmu, model->dlogvar, B, Z);
    model->kind->encode_backward(model->state, &dropout, model->dmu, model->dlogvar, B);
}

void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl) {
    if (model->kind->forward) {
        model->kind->forward(model->state, batch, nll, kl);
        return;
    }
    forward_to_logits(model, batch);
    if (nll) reconstruction(model, batch, FALSE, 1, nll);
    if (kl) layers_kl(model->mu, model->logvar, kl, batch->B, model->config.latent);
}

void model_encode(model_t *model, const batch_t *batch) {
    g_assert(batch->B >= 1 && batch->B <= model->max_B);
    const layers_bits_t x = batch_bits(model, batch);
    const model_dropout_t dropout = batch_dropout(batch);
    model->kind->encode(model->state, &x, &dropout, model->mu, model->logvar);
}

void model_decode(model_t *model, const real_t *z, size_t B) {
    g_assert(B >= 1 && B <= model->max_B);
    model->kind->decode(model->state, z, &(model_dropout_t){0}, model->logits, B);
}

void model_reconstruction(model_t *model, const batch_t *batch, double *nll) {
    reconstruction(model, batch, FALSE, 1, nll);
}
