/* model: what every kind of model can do: size, loss and gradient, encode, decode. One flat, 64-byte aligned block each for parameters and gradient, under
 * one table that drives init, averaging, checkpoint names and test messages. No MPI, no files.
 *
 * Letters: B windows, T frames a window, K tracks, L planes the model learns (1: sounding, 2: sounding and onset), P pitches,
 * D = T K L P cells in that order, Z latent. */
#ifndef MPIANIST_TRAINER_MODEL_H
#define MPIANIST_TRAINER_MODEL_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/real.h"
#include "trainer/rng.h"

#define MODEL_MAX_HIDDEN 8

typedef enum { MODEL_DENSE, MODEL_KINDS } model_kind_t;
typedef enum { LOSS_BCE, LOSS_MSE } loss_t;

typedef struct {
    model_kind_t kind;
    size_t window, tracks, planes, pitches; /* T, K, L, P */
    size_t hidden[MODEL_MAX_HIDDEN], n_hidden;
    size_t latent;
    loss_t loss;
} model_config_t;

/* One parameter matrix or bias. Matrices are [rows = inputs, cols = outputs], row-major: y = x W + b (PyTorch's Linear.weight is the
 * transpose). A bias has rows 1. Names: "encoder.0.weight", "encoder.0.bias", ..., "mu.weight", "logvar.weight", "decoder.0.weight", ..., "output.weight". */
typedef struct {
    char name[32];
    size_t offset, rows, cols; /* offset in elements from the block's start, a multiple of 16 */
    gboolean decay;            /* weight decay applies: matrices yes, biases no */
} param_t;

typedef struct {
    size_t B;
    const uint8_t *bits;   /* [B, T, K, L, ceil(P / 8)], packed as in preprocess/roll.h */
    const uint32_t *valid; /* [B] frames that count, 1..T; the cells after them are silence and add neither loss nor gradient */
    const real_t *eps;     /* [B, Z], or NULL for zero noise: z = mu */
} batch_t;

/* Sums over windows, in nats (reconstruction: squared error where loss is mse). Additive over batches and ranks. */
typedef struct {
    double nll; /* reconstruction */
    double kl;
} model_losses_t;

typedef struct model model_t;

#define MODEL_ERROR model_error_quark()
GQuark model_error_quark(void);
typedef enum { MODEL_ERROR_SIZE, MODEL_ERROR_MEMORY } model_error_t;

/* Allocates for batches of at most max_B windows. NULL with MODEL_ERROR set where a size is out of range (names it) or
 * memory does not suffice. Owner: caller. */
model_t *model_new(const model_config_t *config, size_t max_B, GError **error);
void model_free(model_t *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(model_t, model_free)
const model_config_t *model_config(const model_t *model);
const char *model_kind_name(model_kind_t kind);
/* Cells a window, D. */
size_t model_cells(const model_config_t *config);
/* Bytes of a packed window. */
size_t model_window_bytes(const model_config_t *config);

size_t model_size(const model_t *model); /* elements of a block, padding included (padding stays zero) */
const param_t *model_table(const model_t *model, size_t *n);
real_t *model_params(model_t *model);
real_t *model_gradient(model_t *model);

/* PyTorch's default for linear layers: weight and bias uniform in [-1 / sqrt(inputs), 1 / sqrt(inputs)). */
void model_init(model_t *model, uint64_t seed);

/* Loss and gradient in one pass. Adds d/dparams of scale * sum over the batch of [nll + beta * max(kl, free_bits)] to the gradient block, where kl is a
 * window's KL divergence from N(0, 1) (Kingma & Welling 2014, appendix B). Zero the block first. losses receives the plain sums, without beta,
 * free bits or scale. The gradient of max() is kl's where they are equal. Afterwards model_logits() holds d / d logits, not logits. Local; cannot fail (a non-finite loss shows in losses). */
void model_train(model_t *model, const batch_t *batch, double beta, double free_bits, double scale, model_losses_t *losses);

/* Forward only. Per-window losses go to nll[B] and kl[B] where not NULL. */
void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl);
/* Results of the last model_forward() on B windows: [B, Z], [B, Z], [B, Z], [B, D]. Valid until the next call. */
const real_t *model_mu(const model_t *model);
const real_t *model_logvar(const model_t *model);
const real_t *model_z(const model_t *model);
const real_t *model_logits(const model_t *model);

/* Encoder alone: batch->bits to model_mu() and model_logvar(). */
void model_encode(model_t *model, const batch_t *batch);
/* Decoder alone: z [B, Z] to model_logits() [B, D]. */
void model_decode(model_t *model, const real_t *z, size_t B);
/* Reconstruction term alone of the logits last computed, against the batch: nll[B]. (For the importance-weighted bound: encode once, decode K draws.) */
void model_reconstruction(model_t *model, const batch_t *batch, double *nll);

#endif
