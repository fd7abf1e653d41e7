/* snapshot: owns one copy of weights, moments, average and the place in training that goes with them. */
#include "trainer/checkpoint/snapshot.h"

#include <string.h>

snapshot_t *snapshot_new(const model_config_t *config, const optimizer_config_t *adam, GError **error) {
    model_t *model = model_new(config, 1, 1, error);
    if (!model) return NULL;
    snapshot_t *snapshot = g_new0(snapshot_t, 1);
    snapshot->model = model;
    snapshot->optimizer = optimizer_new(adam, model_size(model));
    return snapshot;
}

void snapshot_free(snapshot_t *snapshot) {
    if (!snapshot) return;
    model_free(snapshot->model);
    optimizer_free(snapshot->optimizer);
    g_free(snapshot);
}

void snapshot_take(snapshot_t *snapshot, const checkpoint_t *checkpoint, model_t *model,
                   const optimizer_t *optimizer) {
    size_t bytes = model_size(model) * sizeof(real_t);
    snapshot->checkpoint = *checkpoint;
    memcpy(model_params(snapshot->model), model_params(model), bytes);
    memcpy(snapshot->optimizer->m, optimizer->m, bytes);
    memcpy(snapshot->optimizer->v, optimizer->v, bytes);
    snapshot->optimizer->step = optimizer->step;
    if (optimizer->average) memcpy(snapshot->optimizer->average, optimizer->average, bytes);
    snapshot->optimizer->averaged = optimizer->averaged;
    snapshot->waits = TRUE;
}
