/* vae_dense: the seed's dense VAE. Encoder D -> hidden[0] -> ... -> hidden[n - 1], ReLU after each, two
 * linear heads mu and logvar; decoder mirrored, ReLU after each, linear to D logits. Dropout (Srivastava et
 * al. 2014) after each ReLU: kept units are divided by the rate at which they are. */
#ifndef MPIANIST_TRAINER_MODEL_VAE_DENSE_H
#define MPIANIST_TRAINER_MODEL_VAE_DENSE_H

#include "trainer/model/model_kind.h"

extern const model_kind_ops_t vae_dense_kind;

#endif
