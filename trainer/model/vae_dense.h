/* vae_dense: the dense VAE of the seed project. Encoder D -> hidden[0] -> ... -> hidden[n - 1], ReLU after
 * each, then two linear layers, mu and logvar; the decoder mirrors it, linear to D logits. Dropout
 * (Srivastava et al. 2014) after each ReLU divides kept units by the share that is kept. The prior is N(0,
 * 1). */
#pragma once

#include "trainer/model/model_kind.h"

/* Results of the last model_forward() on B windows: [B, Z], [B, Z], [B, Z], [B, D]. Valid until the next
 * call. All functions here need a model of this kind. */
const real_t *model_mu(const model_t *model);
const real_t *model_logvar(const model_t *model);
const real_t *model_z(const model_t *model);
const real_t *model_logits(const model_t *model);

/* Encoder alone: batch->bits to model_mu() and model_logvar(). */
void model_encode(model_t *model, const batch_t *batch);
/* Decoder alone: z [B, Z] to model_logits() [B, D]. */
void model_decode(model_t *model, const real_t *z, size_t B);
/* The reconstruction term of the last logits against the batch: nll [B], nats. (For the importance-weighted
 * bound: encode once, decode K draws.) */
void model_reconstruction(model_t *model, const batch_t *batch, double *nll);

extern const model_kind_ops_t vae_dense_kind;
