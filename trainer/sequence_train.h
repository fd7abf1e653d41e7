/* sequence_train: loss and gradient of the sequence model over a batch of unequal sequences: the functions
 * behind model_train() and model_forward(). Private to vae_sequence.c. */
#ifndef MPIANIST_TRAINER_SEQUENCE_TRAIN_H
#define MPIANIST_TRAINER_SEQUENCE_TRAIN_H

#include "trainer/vae_sequence.h"

/* As model_kind_ops_t's functions of these names. */
void *sequence_train_create(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                            size_t max_frames, GError **error);
void sequence_train_destroy(void *state);
void sequence_train_init(void *state);
void sequence_train_init_log_odds(void *state, const double *log_odds);
void sequence_train_train(void *state, const batch_t *batch, const model_objective_t *objective,
                          model_losses_t *losses);
void sequence_train_forward(void *state, const batch_t *batch, double *nll, double *kl);
/* The layers that the state owns. */
const sequence_net_t *sequence_train_net(const void *state);
/* As model_segment_means(). */
const real_t *sequence_train_means(const void *state, size_t *n);

#endif
