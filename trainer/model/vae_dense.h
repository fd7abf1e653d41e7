/* vae_dense: the seed's dense VAE. Encoder D -> hidden[0] -> ... -> hidden[n - 1], ReLU after each, two
 * linear layers mu and logvar; decoder mirrored, ReLU after each, linear to D logits. Dropout (Srivastava et
 * al. 2014) after each ReLU: kept units are divided by the rate at which they are. The prior is N(0, 1). */
#pragma once

#include "trainer/model/model_kind.h"

/* Results of the last model_forward() of a model of this kind on B windows: [B, Z], [B, Z], [B, Z], [B, D].
 * Valid until the next call. */
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

extern const model_kind_ops_t vae_dense_kind;
