/* vae_sequence: the sequence model: loss and gradient of its net (trainer/model/sequence_net.h) over a batch
 * of unequal sequences. */
#pragma once

#include "trainer/model/sequence_net.h"

/* The net of a model of this kind. */
const sequence_net_t *model_sequence_net(const model_t *model);
/* The loss of how the last model_forward()'s or, without grains, model_train()'s onsets were played; 0 where
 * it was not known. */
double model_performance_loss(const model_t *model);
/* The posterior means [n, Z] of all n segments of the last model_forward() or model_train(), in no particular
 * order; NULL without a latent. Valid until the next. */
const real_t *model_segment_means(const model_t *model, size_t *n);

extern const model_kind_ops_t vae_sequence_kind;
