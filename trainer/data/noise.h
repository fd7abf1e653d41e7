/* noise: the random numbers of a batch: noise of latents, and dropout of input frames and units. Those of a
 * sequence (dense: window) depend on (seed, epoch, sample) alone, not on its batch, rank or position. */
#pragma once

#include "trainer/model/model.h"

typedef struct {
    double input_dropout; /* sequence: probability that the decoder does not see the frame before, [0, 1) */
    double lag_dropout; /* sequence: probability that the head does not see the frames at its lags in all of a
                           segment, [0, 1) */
    double dropout; /* probability that a unit of the state is silenced on its way to the head (dense: a unit
                       of a hidden layer), [0, 1), in steps of 1 / 65536 */
    double memory_dropout; /* sequence: the same of units of memories and of GRUs along pitches */
} noise_rates_t;

typedef struct noise noise_t;

/* Room for batches of at most max_B sequences and max_cells = B T frames, T being the longest sequence of a
 * batch; for the dense model both count windows. Ends the program if memory runs out, as GLib does. Owner:
 * caller. */
noise_t *noise_new(const model_config_t *config, const noise_rates_t *rates, size_t max_B, size_t max_cells);
void noise_free(noise_t *noise);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(noise_t, noise_free)

/* Draws for the valid frames of batch->B sequences with numbers samples [B], in arrays of batch->T frames a
 * sequence. Points batch->eps, keep_input, keep_past, keep_state (dense: keep_hidden) and keep_memory at the
 * results, valid until the next call, and sets the rates; those with a rate of 0 stay NULL. Uses RNG_NOISE
 * (element = segment * Z + unit), RNG_INPUT_DROPOUT, RNG_LAG_DROPOUT, RNG_DROPOUT, RNG_MEMORY_DROPOUT.
 * Allocates nothing. */
void noise_draw(noise_t *noise, uint64_t seed, uint64_t epoch, const uint64_t *samples, batch_t *batch);
