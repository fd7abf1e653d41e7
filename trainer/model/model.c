/* model: owns what all kinds of model share: the parameter and gradient blocks, their table and initial
 * values; the rest is the kind's (trainer/model/model_kind.h). Refuses sizes that are out of range or too
 * large for memory. */
#include "trainer/model/model.h"

#include <stdlib.h>

#include "trainer/model/model_kind.h"
#include "trainer/model/vae_dense.h"
#include "trainer/model/vae_sequence.h"

enum { MAX_BATCH = 1 << 20 };

static const model_kind_ops_t *const kinds[MODEL_KINDS] = {
    [MODEL_DENSE] = &vae_dense_kind, [MODEL_SEQUENCE] = &vae_sequence_kind};

static model_blocks_t list_blocks(const model_t *model) {
    return (model_blocks_t){.table = &g_array_index(model->table, param_t, 0),
                            .n = model->table->len,
                            .params = model->params,
                            .gradient = model->gradient,
                            .report = &model->report};
}

/* Parameters and gradient are allocated where NULL. */
static model_t *new_model(const model_config_t *config, size_t max_B, size_t max_frames, real_t *params,
                          real_t *gradient, GError **error) {
    if (!sizes_check(config, error) ||
        !sizes_check_range("batch (sequences a pass)", max_B, 1, MAX_BATCH, error) ||
        !kinds[config->kind]->check(config, max_B, max_frames, error))
        return NULL;
    g_autoptr(model_t) model = g_new0(model_t, 1);
    model->config = *config;
    model->kind = kinds[config->kind];
    model->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    model->kind->lay_out(config, model->table);
    model->size = model_count_elements(model->table);
    if ((!params && !(params = model->owned[0] = model_new_block(model->size, "the weights", error))) ||
        (!gradient && !(gradient = model->owned[1] = model_new_block(model->size, "the gradient", error))))
        return NULL;
    model->params = params;
    model->report.gradient = model->gradient = gradient;
    const model_blocks_t blocks = list_blocks(model);
    model->state = model->kind->create(config, &blocks, max_B, max_frames, error);
    return model->state ? g_steal_pointer(&model) : NULL;
}

model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
    return new_model(config, max_B, max_frames, NULL, NULL, error);
}

model_t *model_new_in(const model_config_t *config, size_t max_B, size_t max_frames, real_t *params,
                      real_t *gradient, GError **error) {
    return new_model(config, max_B, max_frames, params, gradient, error);
}

size_t model_elements(const model_config_t *config, GError **error) {
    if (!sizes_check(config, error)) return 0;
    g_autoptr(GArray) table = g_array_new(FALSE, FALSE, sizeof(param_t));
    kinds[config->kind]->lay_out(config, table);
    return model_count_elements(table);
}

gboolean model_allow_grains(model_t *model, size_t n, GError **error) {
    return model->kind->allow_grains(model->state, n, error);
}

void model_free(model_t *model) {
    if (!model) return;
    if (model->state) model->kind->destroy(model->state);
    for (size_t i = 0; i < G_N_ELEMENTS(model->owned); i++) free(model->owned[i]);
    g_array_unref(model->table);
    g_free(model);
}

const model_config_t *model_config(const model_t *model) { return &model->config; }
size_t model_size(const model_t *model) { return model->size; }
real_t *model_params(model_t *model) { return model->params; }
real_t *model_gradient(model_t *model) { return model->gradient; }

void model_set_gradient(model_t *model, real_t *gradient) {
    model->report.gradient = model->gradient = gradient;
    const model_blocks_t blocks = list_blocks(model);
    model->kind->find(model->state, &blocks);
}

void model_set_hook(model_t *model, model_hook_t hook, void *data) {
    model->report.hook = hook;
    model->report.data = data;
}

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

void model_train(model_t *model, const batch_t *batch, const model_objective_t *objective,
                 model_losses_t *losses) {
    model->kind->train(model->state, batch, objective, losses);
}

void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl) {
    model->kind->forward(model->state, batch, nll, kl);
}
