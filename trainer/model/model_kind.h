/* model_kind: what a kind of model gives to model.c, and what all kinds build on. Private to trainer/model;
 * everyone else uses model.h and the header of a kind.
 *
 * A kind owns its layers, their activations and its objective; model.c owns the blocks and the table. All
 * functions are local and cannot fail, but for create(). */
#pragma once

#include "trainer/model/gru.h"
#include "trainer/model/layers.h"
#include "trainer/model/model.h"
#include "trainer/model/rows.h"

enum { ALIGN_ELEMENTS = 16 }; /* alignment of parameters in the blocks: 64 bytes */

/* Who waits for gradients, by model_set_hook(). The model owns it; kinds keep its address. */
typedef struct {
    model_hook_t hook;
    void *data;
    const real_t *gradient; /* the block */
} model_report_t;

/* The blocks that a kind's layers point into; they outlive it. */
typedef struct {
    const param_t *table;
    size_t n;
    real_t *params, *gradient;
    const model_report_t *report;
} model_blocks_t;

typedef struct {
    /* FALSE with MODEL_ERROR_SIZE set if sizes that are each in range are too large together. */
    gboolean (*check)(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
    /* Appends the kind's parameters to table by model_add_linear() and model_add_param(). */
    void (*lay_out)(const model_config_t *config, GArray *table);
    /* The kind's own state, for batches of these sizes. NULL with MODEL_ERROR_MEMORY set. */
    void *(*create)(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                    size_t max_frames, GError **error);
    void (*destroy)(void *state);
    /* As model_allow_grains(). */
    gboolean (*allow_grains)(void *state, size_t n, GError **error);
    /* Finds the layers anew, in other blocks. */
    void (*find)(void *state, const model_blocks_t *blocks);
    /* Initial values that the table cannot express; NULL: none. */
    void (*init)(void *state);
    void (*init_log_odds)(void *state, const double *log_odds);
    /* As model_train() and model_forward(). */
    void (*train)(void *state, const batch_t *batch, const model_objective_t *objective,
                  model_losses_t *losses);
    void (*forward)(void *state, const batch_t *batch, double *nll, double *kl);
} model_kind_ops_t;

struct model {
    model_config_t config;
    const model_kind_ops_t *kind;
    void *state;   /* what the kind's create() made */
    GArray *table; /* param_t */
    size_t size;
    real_t *params, *gradient;
    real_t *owned[2]; /* of params and gradient what the model frees */
    model_report_t report;
};

/* A dense layer's parameters in the blocks. */
typedef struct {
    const real_t *W, *bias; /* [inputs, outputs], [outputs] or NULL */
    real_t *dW, *dbias;
    size_t inputs, outputs;
} linear_t;

/* n zeros by layers_new_block(). NULL with MODEL_ERROR_MEMORY set, naming what they are for. */
real_t *model_new_block(size_t n, const char *what, GError **error);
/* Blocks of activations that are freed together: g_ptr_array_new_with_free_func(free). model_add_block()
 * appends zeros [rows, cols], or NULL if memory runs out; model_check_blocks() is FALSE with
 * MODEL_ERROR_MEMORY set if any block is NULL. */
real_t *model_add_block(GPtrArray *blocks, size_t rows, size_t cols);
gboolean model_check_blocks(GPtrArray *blocks, const char *what, GError **error);
/* Appends a parameter "<name>.<part>" with initial values by init; offsets follow the order of calls. */
void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols,
                     param_init_t init);
/* Appends "<name>.weight" [inputs, outputs] and "<name>.bias" [1, outputs], uniform in 1 / sqrt(inputs). */
void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs);
/* Appends a GRU "<name>" with the layer "<input>" before it: weights and biases of both start uniform in 1 /
 * sqrt(units), as in PyTorch. */
void model_add_gru(GArray *table, const char *input, const char *name, size_t inputs, size_t units);
/* Number of elements in a block that the table describes. */
size_t model_count_elements(const GArray *table);
/* Finds a parameter, which must exist: returns its values, and points *gradient at its gradient. */
real_t *model_find_param(const model_blocks_t *blocks, const char *name, const char *part, real_t **gradient);
/* Finds the layer "<name>.weight" and, if it exists, "<name>.bias". */
linear_t model_find_linear(const model_blocks_t *blocks, const char *name);
gru_t model_find_gru(const model_blocks_t *blocks, const char *name);
/* Adds 1 to the biases of gate g in the layer before a GRU: at first it keeps more than it lets in. Only
 * before training. */
void model_open_gru(const linear_t *input);
/* The gradients of parameters, n elements from `gradient` on, are final for this batch; of a layer. */
void model_report(const model_report_t *report, const real_t *gradient, size_t n);
void linear_report(const model_report_t *report, const linear_t *layer);
void gru_report(const model_report_t *report, const gru_t *gru);
/* y [B, outputs] = x W + bias, and its gradient: first the parameters', which is reported, then dx [B,
 * inputs], which is written, or added to if add_dx. */
void linear_forward(const linear_t *layer, const real_t *x, real_t *y, const rows_t *rows);
void linear_backward(const linear_t *layer, const real_t *x, const real_t *dy, real_t *dx, int add_dx,
                     const rows_t *rows, const model_report_t *report);
