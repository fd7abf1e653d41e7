/* model: what every kind of model can do: size, loss and gradient, encode, decode. One flat, 64-byte aligned
 * block each for parameters and gradient, under one table that drives init, averaging, checkpoint names and
 * test messages. No MPI, no files.
 *
 * Letters: B sequences (of the dense model: windows), T frames a sequence, K tracks, L planes the model
 * learns (1: sounding, 2: sounding and onset), P pitches, D cells (of a window: T K L P; of the sequence
 * model a frame: K L P; in that order), Z latent, S frames a segment, W = ceil(T / S) segments a sequence. */
#ifndef MPIANIST_TRAINER_MODEL_MODEL_H
#define MPIANIST_TRAINER_MODEL_MODEL_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/real.h"
#include "trainer/model/rng.h"

#define MODEL_MAX_HIDDEN   8
#define MODEL_MAX_TRACKS   64
#define MODEL_MAX_LAGS     12
#define MODEL_MAX_LAG      1024
#define MODEL_MAX_PROFILES 4

typedef enum { MODEL_DENSE, MODEL_SEQUENCE, MODEL_KINDS } model_kind_t;
typedef enum { LOSS_BCE, LOSS_MSE } loss_t;

/* Sizes of the sequence model (trainer/model/vae_sequence.h). */
typedef struct {
    size_t segment;              /* S, frames that share a latent */
    size_t state;                /* H, of the decoder's GRU */
    size_t encoder;              /* E, of the encoder's GRU, a direction */
    size_t sketch;               /* U, features of a frame that come from its latent */
    size_t nade;                 /* A, hidden units of the head */
    size_t tied;                 /* Q, units of the network that all pitches share */
    size_t posterior_hidden;     /* units of the layer between encoder and mu, logvar */
    size_t prior_hidden;         /* units of the layer between state and prior */
    size_t sketch_hidden;        /* units of the layer between latent and sketch */
    size_t lags[MODEL_MAX_LAGS]; /* the frames before that the head looks at: so many back, 1..MODEL_MAX_LAG,
                                    ascending */
    size_t n_lags;               /* at least 1 */
    uint8_t order[MODEL_MAX_TRACKS]; /* tracks in the order in which a frame's are drawn: drums, bass, chords,
                                        melody */
    size_t drums;                    /* of these, so many at the start are drums: their keys are no pitches */
    size_t profiles[MODEL_MAX_PROFILES]; /* pitch classes are counted over so many frames before for the
                                            head, 1..MODEL_MAX_LAG, ascending */
    size_t n_profiles;                   /* 0: they are not */
} sequence_sizes_t;

typedef struct {
    model_kind_t kind;
    size_t window;                             /* T; dense only */
    size_t tracks, planes, pitches;            /* K, L, P */
    size_t latent;                             /* Z; sequence: 0 for the plain autoregressive model */
    size_t hidden[MODEL_MAX_HIDDEN], n_hidden; /* dense only */
    loss_t loss;                               /* sequence: LOSS_BCE */
    sequence_sizes_t sequence;                 /* sequence only */
} model_config_t;

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
    size_t T; /* sequence: frames a sequence in the arrays below, >= every valid. Dense: not read, it is the
                 window */
    const uint8_t
        *bits; /* dense: [B, T, K, L, ceil(P / 8)], packed as in preprocess/roll/roll.h; sequence: [B,
                            * model_context() + T, ...], the frames before each sequence first (silence where
                            * it begins its song) */
    const uint32_t *valid; /* [B] frames that count, 1..T; the cells after them are silence and add neither
                              loss nor gradient. Sequence: descending */
    const real_t *eps;     /* noise of the latents: dense [B, Z], sequence [B, W, Z]; NULL: z = mu */
    const uint8_t *keep_input; /* sequence: [B, T], 0 where the decoder does not see the frame before; NULL:
                                  it sees all */
    const uint8_t *keep_past; /* sequence: [B, W], 0 where the head does not see the frames at its lags; NULL:
                                 it always does */
    const uint8_t *keep_state; /* sequence: [B, T, H], 0 where dropout silences a unit of the state on its way
                                  to the head; NULL: none */
    const uint8_t *keep_hidden; /* dense: [B, model_dropout_units()], 0 where dropout silences a unit of the
                                 * encoder's hidden layers, in order, and the decoder's; NULL: none */
    double keep_rate; /* the share of keep_state or keep_hidden that is 1 on average, in (0, 1]: kept units
                         are divided by it */
} batch_t;

/* What the loss is made of. */
typedef struct {
    double beta;      /* of the KL divergence */
    double free_bits; /* nats a window (sequence: mean nats a segment of a sequence) below which KL is not
                         pushed */
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

#define MODEL_ERROR model_error_quark()
GQuark model_error_quark(void);
typedef enum { MODEL_ERROR_SIZE, MODEL_ERROR_MEMORY } model_error_t;

/* Puts the tracks of a grid into the order in which the sequence model draws them: drums, bass, chords,
 * counter, melody, merged; and counts the drums. */
void model_order_tracks(model_config_t *config, const grid_t *grid);

/* Allocates for batches of at most max_B sequences and, of the sequence model, max_frames valid frames in all
 * of them (dense: not read). NULL with MODEL_ERROR set where a size is out of range (names it) or memory does
 * not suffice. Owner: caller. */
model_t *model_new(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
void model_free(model_t *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(model_t, model_free)
const model_config_t *model_config(const model_t *model);
const char *model_kind_name(model_kind_t kind);
/* Cells a window (sequence: a frame), D. */
size_t model_cells(const model_config_t *config);
/* Bytes of a packed frame (all its tracks and planes), and of a packed window. */
size_t model_frame_bytes(const model_config_t *config);
size_t model_window_bytes(const model_config_t *config);
/* Units that dropout may silence: sequence: of the state, a frame; dense: of all hidden layers, a window. */
size_t model_dropout_units(const model_config_t *config);
/* Frames before a sequence that the model looks at: its largest lag or profile; dense: 0. */
size_t model_context(const model_config_t *config);

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

/* The rest is of the dense model alone; trainer/model/vae_sequence.h has the sequence model's own. */

/* Results of the last model_forward() on B windows: [B, Z], [B, Z], [B, Z], [B, D]. Valid until the next
 * call. */
const real_t *model_mu(const model_t *model);
const real_t *model_logvar(const model_t *model);
const real_t *model_z(const model_t *model);
const real_t *model_logits(const model_t *model);

/* Encoder alone: batch->bits to model_mu() and model_logvar(). */
void model_encode(model_t *model, const batch_t *batch);
/* Decoder alone: z [B, Z] to model_logits() [B, D]. */
void model_decode(model_t *model, const real_t *z, size_t B);
/* Reconstruction term alone of the logits last computed, against the batch: nll[B]. (For the
 * importance-weighted bound: encode once, decode K draws.) */
void model_reconstruction(model_t *model, const batch_t *batch, double *nll);

#endif
