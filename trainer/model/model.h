/* model: what every kind of model can do: weights, loss and gradient. One flat, 64-byte aligned block each
 * for parameters and gradient, under one table that drives init, averaging, checkpoint names and test
 * messages. No MPI, no files.
 *
 * Letters as in trainer/model/sizes.h, and B sequences (of the dense model: windows), T frames a sequence,
 * W = ceil(T / S) segments a sequence. */
#pragma once

#include "trainer/model/real.h"
#include "trainer/model/rng.h"
#include "trainer/model/sizes.h"

/* How an entry of a parameter starts: uniform in [-bound, bound), or normal with standard deviation sd where
 * bound is 0, or zero where both are. */
typedef struct {
    double bound, sd;
} param_init_t;

/* One parameter matrix or bias. Matrices are [rows = inputs, cols = outputs], row-major: y = x W + b
 * (PyTorch's Linear.weight is the transpose). A bias has rows 1. Names: "encoder.0.weight", "encoder.0.bias",
 * ..., "mu.weight", "logvar.weight", "decoder.0.weight", ..., "output.weight". */
typedef struct {
    char name[32];
    size_t offset, rows, cols; /* offset in elements from the block's start, a multiple of 16 */
    gboolean decay;            /* weight decay applies: matrices yes, biases no */
    param_init_t init;
} param_t;

typedef struct {
    size_t B;
    /* Sequence: frames a sequence in the arrays below, >= every valid. Dense: not read, it is the window. */
    size_t T;
    /* Dense: [B, T, K, L, ceil(P / 8)], packed as in preprocess/roll/roll.h; sequence: [B, model_context() +
     * T, ...], the frames before each sequence first (silence where it begins its song). */
    const uint8_t *bits;
    /* [B] frames that count, 1..T; the cells after them are silence and add neither loss nor gradient.
     * Sequence: descending. */
    const uint32_t *valid;
    /* Noise of the latents: dense [B, Z], sequence [B, W, Z]; NULL: z = mu. */
    const real_t *eps;
    /* Dropout, NULL: none. Each has 0 where
     *     keep_input   sequence [B, T]: the decoder does not see the frame before;
     *     keep_past    sequence [B, W]: the head does not see the frames at its lags;
     *     keep_state   sequence [B, T, H]: a unit of the state is silenced on its way to the head;
     *     keep_hidden  dense [B, model_dropout_units()]: a unit of the hidden layers is silenced, the
     *                  encoder's layers in order, then the decoder's.
     * keep_rate is the share of keep_state or keep_hidden that is 1 on average, in (0, 1]: kept units are
     * divided by it. */
    const uint8_t *keep_input, *keep_past, *keep_state, *keep_hidden;
    double keep_rate;
} batch_t;

/* What the loss is made of. */
typedef struct {
    double beta; /* of the KL divergence */
    /* Nats a window (sequence: mean nats a segment of a sequence) below which KL is not pushed. */
    double free_bits;
    double auxiliary; /* sequence: of the loss that keeps the sketch useful; 0: none */
    double scale;     /* of the whole: 1 / windows (sequence: 1 / valid frames) of the global batch */
} model_objective_t;

/* Sums over sequences, in nats (reconstruction: squared error where loss is mse). Additive over batches and
 * ranks. */
typedef struct {
    double nll; /* reconstruction */
    double kl;
    double segments;  /* latents drawn: dense: windows */
    double auxiliary; /* sequence: BCE of the frames from the sketch alone */
} model_losses_t;

typedef struct model model_t;

/* Allocates for batches of at most max_B sequences and, of the sequence model, max_frames valid frames in all
 * of them (dense: not read). NULL with MODEL_ERROR set where a size is out of range (names it) or memory does
 * not suffice. Owner: caller. */
model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
void model_free(model_t *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(model_t, model_free)
const model_config_t *model_config(const model_t *model);

size_t model_size(const model_t *model); /* elements of a block, padding included (padding stays zero) */
const param_t *model_table(const model_t *model, size_t *n);
real_t *model_params(model_t *model);
real_t *model_gradient(model_t *model);

/* Draws every entry by its param_init_t; matrices and their biases as PyTorch's default for linear layers
 * (uniform, 1 / sqrt(inputs)) unless the kind says otherwise. */
void model_init(model_t *model, uint64_t seed);
/* Sequence: starts the head's and the auxiliary loss's biases at log_odds [D] of the cells in the training
 * songs. Dense: does nothing. */
void model_init_log_odds(model_t *model, const double *log_odds);

/* Loss and gradient in one pass. Adds to the gradient block d/dparams of
 *     scale * sum over sequences of [nll + beta * n * max(kl / n, free_bits) + auxiliary * auxiliary loss],
 * n: segments of the sequence (dense: 1), kl: its KL divergence from the prior, N(0, 1) (Kingma & Welling
 * 2014, appendix B) or learned. Zero the block first. losses receives the plain sums, without weights, free
 * bits or scale. The gradient of max() is kl's where they are equal. Dense: afterwards model_logits() holds
 * d / d logits, not logits. Local; cannot fail (a non-finite loss shows in losses). */
void model_train(model_t *model, const batch_t *batch, const model_objective_t *objective,
                 model_losses_t *losses);

/* Forward only. Losses of each sequence go to nll[B] and kl[B] where not NULL. */
void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl);
