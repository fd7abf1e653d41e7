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

model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error) {
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
    if (!(model->params = model_new_block(model->size, "the weights", error)) ||
        !(model->gradient = model_new_block(model->size, "the gradient", error)))
        return NULL;
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
    g_array_unref(model->table);
    g_free(model);
}

const model_config_t *model_config(const model_t *model) { return &model->config; }
size_t model_size(const model_t *model) { return model->size; }
real_t *model_params(model_t *model) { return model->params; }
real_t *model_gradient(model_t *model) { return model->gradient; }

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
