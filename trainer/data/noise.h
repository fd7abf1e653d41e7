/* noise: the random numbers of a batch of sequences or windows: latents' noise, input-frame dropout, dropout
 * of units. By sample index: a sequence's (window's) numbers depend on (seed, epoch, sample) alone, whatever
 * batch, rank or position it has. */
#pragma once

#include "trainer/model/model.h"

typedef struct {
    double input_dropout; /* sequence: probability that the decoder does not see the frame before, [0, 1) */
    double lag_dropout; /* sequence: probability that the head does not see the frames at its lags in all of a
                           segment, [0, 1) */
    double dropout; /* probability that a unit of the state is silenced on its way to the head (dense: a unit
                       of a hidden layer), [0, 1), in steps of 1 / 65536 */
} noise_rates_t;

typedef struct noise noise_t;

/* Room for batches of at most max_B sequences and max_cells = B T frames, T being those of the longest
 * sequence of a batch; of the dense model both are windows. Ends the program where memory does not suffice,
 * as GLib does. Owner: caller. */
noise_t *noise_new(const model_config_t *config, const noise_rates_t *rates, size_t max_B, size_t max_cells);
void noise_free(noise_t *noise);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(noise_t, noise_free)

/* Draws for the valid frames of batch->B sequences, samples [B], in arrays of batch->T frames a sequence, and
 * points batch->eps, keep_input, keep_past, keep_state (dense: keep_hidden) and keep_rate at the result,
 * valid until the next call; those with a rate of 0 stay NULL. Purposes RNG_NOISE (element = segment * Z +
 * unit), RNG_INPUT_DROPOUT, RNG_LAG_DROPOUT, RNG_DROPOUT. Allocates nothing. */
void noise_draw(noise_t *noise, uint64_t seed, uint64_t epoch, const uint64_t *samples, batch_t *batch);
