/* model: the interface to every kind of model: weights, loss and gradient. Parameters and gradient are one
 * flat, 64-byte aligned block each, described by one table, which drives init, averaging, checkpoint names
 * and test messages. No MPI, no files.
 *
 * Letters as in trainer/model/sizes.h, and B sequences (of the dense model: windows), T frames a sequence,
 * W = ceil(T / S) segments a sequence. */
#pragma once

#include "preprocess/roll/played.h"
#include "trainer/model/grains.h"
#include "trainer/model/place.h"
#include "trainer/model/real.h"
#include "trainer/model/rng.h"
#include "trainer/model/sizes.h"

/* Initial values of a parameter: uniform in [-bound, bound) if bound > 0, else normal with standard deviation
 * sd if sd > 0, else zero. */
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
    /* Sequence: frames a sequence in the arrays below, >= every valid. Dense: not read. */
    size_t T;
    /* Dense: [B, T, K, L, ceil(P / 8)], packed as in preprocess/roll/roll.h; sequence: [B, model_context() +
     * T, ...], the frames before each sequence first (silence where it begins its song). */
    const uint8_t *bits;
    /* Sequence: [B, T], where each frame is in its bar; NULL where config.sequence.bar is 0. */
    const place_t *places;
    /* [B] frames that count, 1..T; the cells after them are silence and add neither loss nor gradient.
     * Sequence: descending, in each grain. */
    const uint32_t *valid;
    /* Sequence [B]: the songs whose parts the sequences are, and how they were played, for a model that
     * learns it; they may be transposed otherwise. NULL: not known. */
    const played_song_t *songs;
    /* Noise of the latents: dense [B, Z], sequence [B, W, Z]. NULL: z = mu. */
    const real_t *eps;
    /* Dropout, NULL: none. Each has 0 where
     *     keep_input   sequence [B, T]: the decoder does not see the frame before;
     *     keep_past    sequence [B, W]: the head does not see the frames at its lags, nor the memory;
     *     keep_state   sequence [B, T, H]: a unit of the state is silenced on its way to the head;
     *     keep_memory  sequence [B, T, model_memory_units()]: a unit of a track's memory, at all pitches, or
     *                  of its GRU along pitches is silenced: K M, then K N, tracks in drawing order;
     *     keep_hidden  dense [B, model_dropout_units()]: a unit of the hidden layers is silenced, the
     *                  encoder's layers in order, then the decoder's.
     * keep_rate is the share of keep_state or keep_hidden that is 1 on average, in (0, 1]: kept units are
     * divided by it; memory_rate that of keep_memory. */
    const uint8_t *keep_input, *keep_past, *keep_state, *keep_memory, *keep_hidden;
    double keep_rate, memory_rate;
    /* Parts of the batch that are summed apart (trainer/model/grains.h): gradients are then written, not
     * added to the block, and there are losses for each. n 0: no grains. */
    grains_t grains;
} batch_t;

/* The weights of the loss. */
typedef struct {
    double beta; /* of the KL divergence */
    /* Nats a window (sequence: mean a segment of a sequence) below which KL is not penalised. */
    double free_bits;
    double auxiliary; /* sequence: of the sketch's own loss; 0: none */
    double scale;     /* of the whole: 1 / windows (sequence: 1 / valid frames) of the global batch */
} model_objective_t;

/* Sums over sequences, nats (LOSS_MSE: nll is a squared error); they add up over batches and ranks. */
typedef struct {
    double nll; /* reconstruction */
    double kl;
    double segments;  /* latents drawn: dense: windows */
    double auxiliary; /* sequence: BCE of the frames from the sketch alone */
    double
        performance; /* sequence: -log-likelihood of how onsets were played; whether it is known or not, the
                           gradient of nothing else depends on it */
} model_losses_t;

typedef struct model model_t;

/* Allocates a model for batches of at most max_B sequences and, for the sequence model, max_frames valid
 * frames in total (dense: not read). NULL with MODEL_ERROR set if a size, which is named, is out of range or
 * memory runs out. Owner: caller. */
model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
/* The same with parameters and gradient in memory of someone else's, model_elements() zeros each, 64-byte
 * aligned, which outlives the model: ranks of a host share it. NULL: the model's own. */
model_t *model_new_in(const model_config_t *config, size_t max_B, size_t max_frames, real_t *params,
                      real_t *gradient, GError **error);
/* model_size() of such a model, before there is one. 0 with MODEL_ERROR_SIZE set. */
size_t model_elements(const model_config_t *config, GError **error);
/* Makes room for batches in up to n grains, once; without it there may be none. FALSE with MODEL_ERROR_MEMORY
 * set. */
gboolean model_allow_grains(model_t *model, size_t n, GError **error);
void model_free(model_t *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(model_t, model_free)
const model_config_t *model_config(const model_t *model);

size_t model_size(const model_t *model); /* elements of a block, padding included (padding stays zero) */
const param_t *model_table(const model_t *model, size_t *n);
real_t *model_params(model_t *model);
real_t *model_gradient(model_t *model);
/* From now on adds gradients to another block, which the caller owns. */
void model_set_gradient(model_t *model, real_t *gradient);

/* Called while model_train() runs, after each parameter's gradient of the batch has been added: nothing
 * touches elements [first, first + count) any more, and a call with count 0 only says that a while has
 * passed. first and first + count are multiples of 16; together the calls of a batch have each element of the
 * block once, in the order in which the backward pass ends with them. NULL: none. */
typedef void (*model_hook_t)(void *data, size_t first, size_t count);
void model_set_hook(model_t *model, model_hook_t hook, void *data);

/* Draws initial values by each param_init_t. Unless the kind says otherwise, matrices and their biases are
 * uniform in 1 / sqrt(inputs), as PyTorch's linear layers. */
void model_init(model_t *model, uint64_t seed);
/* Sequence: sets the biases of the head and the auxiliary loss to log_odds [D], those of the cells in the
 * training songs. Dense: does nothing. */
void model_init_log_odds(model_t *model, const double *log_odds);

/* Loss and gradient in one pass. Adds to the gradient block d/dparams of
 *     scale * sum over sequences of [nll + beta * n * max(kl / n, free_bits) + auxiliary * auxiliary loss],
 * n: segments of the sequence (dense: 1), kl: its KL divergence from the prior, N(0, 1) (Kingma & Welling
 * 2014, appendix B) or learned. Zero the block first. losses receives the plain sums, without weights, free
 * bits or scale; with grains there are as many of them. If both sides of max() are equal, its gradient is
 * kl's. Dense: afterwards model_logits() is the gradient of the logits. Local; cannot fail (a non-finite loss
 * shows in losses). */
void model_train(model_t *model, const batch_t *batch, const model_objective_t *objective,
                 model_losses_t *losses);

/* Forward pass only. The losses of each sequence go to nll[B] and kl[B], either of which may be NULL. */
void model_forward(model_t *model, const batch_t *batch, double *nll, double *kl);
