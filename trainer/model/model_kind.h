/* model_kind: what a kind of network gives to model.c. Private to model.c and the kinds; everyone else uses
 * model.h.
 *
 * A kind owns its layers and their activations. model.c owns the blocks and the table. A VAE of windows with
 * the prior N(0, 1) fills in encode() and decode() and their gradients: model.c has the latent, the losses
 * and their order. A kind with an objective of its own fills in train() and forward() instead. All functions
 * are local and cannot fail, but for create(). */
#ifndef MPIANIST_TRAINER_MODEL_MODEL_KIND_H
#define MPIANIST_TRAINER_MODEL_MODEL_KIND_H

#include "trainer/model/layers.h"
#include "trainer/model/model.h"

/* The blocks that a kind's layers point into; they outlive it. */
typedef struct {
    const param_t *table;
    size_t n;
    real_t *params, *gradient;
} model_blocks_t;

/* As in batch_t: keep [B, model_dropout_units()], NULL: none; rate. */
typedef struct {
    const uint8_t *keep;
    double rate;
} model_dropout_t;

typedef struct {
    const char *name;
    /* FALSE with MODEL_ERROR_SIZE set where a size cannot be. */
    gboolean (*check)(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
    /* Appends the kind's parameters to table by model_add_linear() and model_add_param(). */
    void (*lay_out)(const model_config_t *config, GArray *table);
    /* The kind's own state for such batches. NULL with MODEL_ERROR_MEMORY set. */
    void *(*create)(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                    size_t max_frames, GError **error);
    void (*destroy)(void *state);
    /* What model_init() cannot do by the table; NULL: nothing. */
    void (*init)(void *state);
    void (*init_log_odds)(void *state, const double *log_odds);

    /* Windows to mu and logvar [B, Z]. */
    void (*encode)(void *state, const layers_bits_t *x, const model_dropout_t *dropout, real_t *mu,
                   real_t *logvar);
    /* z [B, Z] to logits [B, D]. */
    void (*decode)(void *state, const real_t *z, const model_dropout_t *dropout, real_t *logits, size_t B);
    /* After decode() and encode() on the same batch, with the same dropout: add to the gradient block;
     * decode_backward writes dz. */
    void (*decode_backward)(void *state, const real_t *z, const model_dropout_t *dropout,
                            const real_t *dlogits, real_t *dz, size_t B);
    void (*encode_backward)(void *state, const model_dropout_t *dropout, const real_t *dmu,
                            const real_t *dlogvar, size_t B);

    /* As model_train() and model_forward(). */
    void (*train)(void *state, const batch_t *batch, const model_objective_t *objective,
                  model_losses_t *losses);
    void (*forward)(void *state, const batch_t *batch, double *nll, double *kl);
} model_kind_ops_t;

/* A dense layer's parameters in the blocks. */
typedef struct {
    const real_t *W, *bias; /* [inputs, outputs], [outputs] or NULL */
    real_t *dW, *dbias;
    size_t inputs, outputs;
} linear_t;

/* FALSE with MODEL_ERROR_SIZE set, naming `what`, where value is not from lowest to highest. */
gboolean model_check_range(const char *what, size_t value, size_t lowest, size_t highest, GError **error);
/* n zeros by layers_new_block(). NULL with MODEL_ERROR_MEMORY set, naming what it is for. */
real_t *model_new_block(size_t n, const char *what, GError **error);
/* What the kind's create() made. */
void *model_state(const model_t *model);
/* Appends a matrix or bias "<name>.<part>" that starts by init; offsets follow the order of calls. */
void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols,
                     param_init_t init);
/* Appends "<name>.weight" [inputs, outputs] and "<name>.bias" [1, outputs], both uniform in 1 / sqrt(inputs).
 */
void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs);
/* The parameter of that name, which must exist: its values and gradient. */
real_t *model_find_param(const model_blocks_t *blocks, const char *name, const char *part, real_t **gradient);
/* The layer "<name>.weight" and, where there is one, "<name>.bias". */
linear_t model_find_linear(const model_blocks_t *blocks, const char *name);
/* y [B, outputs] = x W + bias; and its gradient: dx [B, inputs] is written (added to where add_dx) unless
 * NULL. */
void linear_forward(const linear_t *layer, const real_t *x, real_t *y, size_t B);
void linear_backward(const linear_t *layer, const real_t *x, const real_t *dy, real_t *dx, int add_dx,
                     size_t B);

#endif
