/* segment_encoder: the posteriors of a piece's segments, outside training, as trainer/model/sequence_net.h
 * has them. No segment's bits depend on the segments beside it. Letters as there. */
#pragma once

#include "trainer/model/sequence_net.h"

typedef struct segment_encoder segment_encoder_t;

/* net must outlive it and have a latent. NULL with MODEL_ERROR_MEMORY set. Owner: caller. */
segment_encoder_t *segment_encoder_new(const sequence_net_t *net, GError **error);
void segment_encoder_free(segment_encoder_t *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(segment_encoder_t, segment_encoder_free)

/* As stream_encode(). */
void segment_encoder_run(segment_encoder_t *encoder, const uint8_t *bits, size_t T, real_t *mu,
                         real_t *logvar);
