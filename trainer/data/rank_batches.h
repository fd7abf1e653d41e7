/* rank_batches: what a rank computes of a step: its part of the global batch, as batches that the model can
 * hold. Every rank knows the whole batch's size, so that each scales its loss alike.
 *
 * Windows (dense): sample i of a step goes to a rank by data_part(), noise by its place in the epoch.
 * Sequences: the order of batch_order.h, planned at the first step of an epoch that this run takes. Each rank
 * gets about the same number of frames, and so does each of its batches. Noise and dropout depend on the
 * sequence's slot. A rank may have no batch in a step. */
#pragma once

#include "trainer/data/data.h"
#include "trainer/data/noise.h"

typedef struct {
    size_t batch;        /* samples a step over all ranks, at most data_samples() */
    size_t accumulate;   /* batches that a rank's part is cut into, at least */
    uint64_t seed;       /* of noise and dropout */
    noise_rates_t rates; /* sequences */
} rank_batches_config_t;

typedef struct rank_batches rank_batches_t;

/* What the largest batch of any rank, step and epoch holds: samples and, of sequences, frames (else 0). */
typedef struct {
    size_t B, frames;
} rank_batches_sizes_t;
rank_batches_sizes_t rank_batches_sizes(const data_t *data, model_kind_t kind,
                                        const rank_batches_config_t *config);

/* Buffers for any step of any epoch. Local; ends the program where memory does not suffice, as GLib does.
 * data must outlive it. Owner: caller. */
rank_batches_t *rank_batches_new(const data_t *data, const model_config_t *model,
                                 const rank_batches_config_t *config);
void rank_batches_free(rank_batches_t *batches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(rank_batches_t, rank_batches_free)

/* The global batch of a step. */
typedef struct {
    int64_t samples;
    double scale;     /* of the loss: 1 / samples, of sequences 1 / frames */
    gboolean stopped; /* a signal came before its songs were in memory: there are no batches */
} rank_batches_step_t;

/* Turns to step `step` of an epoch. Collective, once all ranks are done with the step before; allocates
 * nothing. FALSE with the same error on all ranks where songs cannot be read. */
gboolean rank_batches_begin(rank_batches_t *batches, int64_t epoch, int64_t step, rank_batches_step_t *global,
                            GError **error);
/* This rank's next batch, valid until the next call; NULL after the last. */
const batch_t *rank_batches_next(rank_batches_t *batches);
