/* rank_batches: a rank's part of the global batch of a step, as batches that the model can hold. Every rank
 * knows the size of the global batch, so that all scale their losses alike. The global batch is divided into
 * shares, one a rank or a fixed number of which each rank has some; which samples a share has, and how they
 * are put into batches, does not depend on the ranks.
 *
 * Windows (dense): data_part() divides the samples; noise depends on a sample's place in the epoch.
 * Sequences: batch_order.h plans an epoch at its first step in this session, and divides frames about equally
 * among shares and the batches of a share; noise and dropout depend on the slot, and so does which chunks
 * have silence before them (context_dropout). A share may have no batch. */
#pragma once

#include "trainer/data/data.h"
#include "trainer/data/noise.h"

typedef struct {
    size_t batch;      /* samples a step over all ranks, at most data_samples() */
    size_t shares;     /* that the batch of a step is divided into */
    size_t together;   /* most shares that go into one batch, as its grains; 0: one, without grains */
    size_t accumulate; /* least number of batches that a share is cut into; 1 where there are grains */
    uint64_t seed;     /* of noise and dropout */
    noise_rates_t rates;
    double context_dropout; /* sequence: probability that a chunk has silence before it, [0, 1) */
} rank_batches_config_t;

typedef struct rank_batches rank_batches_t;

/* Bounds on the batches of any rank, step and epoch: samples and, for sequences, frames (else 0). */
typedef struct {
    size_t B, frames;
} rank_batches_sizes_t;
rank_batches_sizes_t rank_batches_sizes(const data_t *data, model_kind_t kind,
                                        const rank_batches_config_t *config);

/* Buffers for any step of any epoch. Local; ends the program if memory runs out, as GLib does. data must
 * outlive them. Owner: caller. */
rank_batches_t *rank_batches_new(const data_t *data, const model_config_t *model,
                                 const rank_batches_config_t *config);
void rank_batches_free(rank_batches_t *batches);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(rank_batches_t, rank_batches_free)

/* The global batch of a step. */
typedef struct {
    int64_t samples;
    double weight;    /* samples; for sequences frames; the loss is scaled by 1 / weight */
    gboolean stopped; /* a signal came before the songs were in memory: there are no batches */
} rank_batches_step_t;

/* Begins a step of an epoch; rank_batches_share() comes next. Collective, once all ranks have finished the
 * step before; allocates nothing. FALSE with the same error on all ranks if songs cannot be read. */
gboolean rank_batches_begin(rank_batches_t *batches, int64_t epoch, int64_t step, rank_batches_step_t *global,
                            GError **error);
/* What shares [share, share + count) have of the step's weight. */
double rank_batches_weight(const rank_batches_t *batches, size_t share, size_t count);
/* Goes to the first batch of shares [share, share + count), count at most config.together, or 1. */
void rank_batches_share(rank_batches_t *batches, size_t share, size_t count);
/* Whether the shares have one more batch. */
gboolean rank_batches_more(const rank_batches_t *batches);
/* The shares' next batch, valid until the next call; NULL after the last. */
const batch_t *rank_batches_next(rank_batches_t *batches);
