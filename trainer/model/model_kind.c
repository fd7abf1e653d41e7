/* model_kind: owns how the table of parameters is built and searched, and the dense layer, for all kinds. */
#include "trainer/model/model_kind.h"

#include <math.h>

real_t *model_new_block(size_t n, const char *what, GError **error) {
    real_t *block = layers_new_block(n);
    if (!block)
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY,
                    "model: cannot allocate %.0f MiB for %s; choose smaller layers, windows or batches",
                    (double)n * sizeof(real_t) / 0x1p20, what);
    return block;
}

real_t *model_add_block(GPtrArray *blocks, size_t rows, size_t cols) {
    real_t *block = layers_new_block(MAX(rows * cols, 1));
    g_ptr_array_add(blocks, block);
    return block;
}

gboolean model_check_blocks(GPtrArray *blocks, const char *what, GError **error) {
    if (!g_ptr_array_find(blocks, NULL, NULL)) return TRUE;
    g_set_error(
        error, MODEL_ERROR, MODEL_ERROR_MEMORY,
        "model: cannot allocate %s; choose smaller layers or batches, shorter windows or --chunk, or more "
        "accumulation",
        what);
    return FALSE;
}

size_t model_count_elements(const GArray *table) {
    if (table->len == 0) return 0;
    const param_t *last = &g_array_index(table, param_t, table->len - 1);
    return (last->offset + last->rows * last->cols + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
}

void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols,
                     param_init_t init) {
    param_t param = {
        .offset = model_count_elements(table), .rows = rows, .cols = cols, .decay = rows > 1, .init = init};
    g_snprintf(param.name, sizeof param.name, "%s.%s", name, part);
    g_array_append_val(table, param);
}

void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs) {
    const param_init_t init = {.bound = 1.0 / sqrt((double)inputs)}; /* PyTorch's default */
    model_add_param(table, name, "weight", inputs, outputs, init);
    model_add_param(table, name, "bias", 1, outputs, init);
}

void model_add_gru(GArray *table, const char *input, const char *name, size_t inputs, size_t units) {
    const param_init_t init = {.bound = 1.0 / sqrt((double)units)};
    model_add_param(table, input, "weight", inputs, GATES * units, init);
    model_add_param(table, input, "bias", 1, GATES * units, init);
    model_add_param(table, name, "weight", units, GATES * units, init);
    model_add_param(table, name, "bias", 1, units, init);
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

gru_t model_find_gru(const model_blocks_t *blocks, const char *name) {
    const linear_t layer = model_find_linear(blocks, name);
    return (gru_t){.U = layer.W, .dU = layer.dW, .c = layer.bias, .dc = layer.dbias, .H = layer.inputs};
}

void model_open_gru(const linear_t *input) {
    real_t *bias = (real_t *)(guintptr)input->bias; /* layers point to const parameters */
    const size_t units = input->outputs / GATES;
    for (size_t i = 0; i < units; i++) bias[units + i] += 1;
}

void linear_forward(const linear_t *layer, const real_t *x, real_t *y, const rows_t *rows) {
    rows_linear(rows, x, layer->W, layer->bias, y, layer->inputs, layer->outputs);
}

void model_report(const model_report_t *report, const real_t *gradient, size_t n) {
    if (!report->hook) return;
    const size_t first = (size_t)(gradient - report->gradient);
    report->hook(report->data, first, (n + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS);
}

void linear_report(const model_report_t *report, const linear_t *layer) {
    const real_t *end = layer->dbias ? layer->dbias + layer->outputs /* a layer's bias follows its weight */
                                     : layer->dW + layer->inputs * layer->outputs;
    model_report(report, layer->dW, (size_t)(end - layer->dW));
}

void gru_report(const model_report_t *report, const gru_t *gru) {
    model_report(report, gru->dU, (size_t)(gru->dc + gru->H - gru->dU)); /* c follows U */
}

void linear_backward(const linear_t *layer, const real_t *x, const real_t *dy, real_t *dx, int add_dx,
                     const rows_t *rows, const model_report_t *report) {
    rows_gradient(rows, x, dy, layer->dW, layer->dbias, layer->inputs, layer->outputs);
    linear_report(report, layer);
    rows_backward(rows, layer->W, dy, dx, add_dx, layer->inputs, layer->outputs);
}
