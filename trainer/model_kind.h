/* model_kind: what a kind of network gives to model.c. Private to model.c and the kinds; everyone else uses model.h.
 *
 * A kind owns its encoder, its decoder and their activations. model.c owns the blocks, the table, the latent, the losses and their order, which
 * are the same for every VAE. All functions are local and cannot fail, but for `create`'s caller running out of memory. */
#ifndef MPIANIST_TRAINER_MODEL_KIND_H
#define MPIANIST_TRAINER_MODEL_KIND_H

#include "trainer/model.h"
#include "trainer/ops.h"

typedef struct {
    const char *name;
    /* Appends the kind's parameters to table by model_add_linear() and model_add_param(). */
    void (*lay_out)(const model_config_t *config, GArray *table);
    /* The kind's own state for batches of at most max_B windows; table, params and gradient are those of the model and outlive it. */
    void *(*create)(const model_config_t *config, const param_t *table, real_t *params, real_t *gradient, size_t max_B);
    void (*destroy)(void *state);
    /* Windows to mu and logvar [B, Z]. */
    void (*encode)(void *state, const ops_bits_t *x, real_t *mu, real_t *logvar);
    /* z [B, Z] to logits [B, D]. */
    void (*decode)(void *state, const real_t *z, real_t *logits, size_t B);
    /* After decode() and encode() on the same batch: add to the gradient block; decode_backward writes dz. */
    void (*decode_backward)(void *state, const real_t *z, const real_t *dlogits, real_t *dz, size_t B);
    void (*encode_backward)(void *state, const real_t *dmu, const real_t *dlogvar, size_t B);
} model_kind_ops_t;

/* Appends a matrix or bias; offsets follow the order of calls. */
void model_add_param(GArray *table, const char *name, const char *part, size_t rows, size_t cols);
/* Appends "<name>.weight" [inputs, outputs] and "<name>.bias" [1, outputs]. */
void model_add_linear(GArray *table, const char *name, size_t inputs, size_t outputs);

#endif
