/* stream: the sequence model outside training: posteriors of a piece's segments, and N pieces side by side,
 * frame by frame, each with its carried state and its own last frames. Evaluation, particle bound and the
 * sampler stand on it. No MPI, no files. Only models of kind MODEL_SEQUENCE.
 *
 * Order of calls: stream_start(), then for each frame t = 0, 1, ...: at t mod S = 0 with a latent,
 * stream_prior() where wanted and stream_set_latent(); then one of stream_force(), stream_draw(). */
#pragma once

#include "trainer/model/head.h"
#include "trainer/model/model.h"

typedef struct stream stream_t;

/* Room for max_N pieces. The model's parameters may change between pieces: before stream_start(). NULL with
 * MODEL_ERROR_MEMORY set. Owner: caller; the model must outlive it. */
stream_t *stream_new(model_t *model, size_t max_N, GError **error);
void stream_free(stream_t *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(stream_t, stream_free)

/* N new pieces: the learned first state, silence before, t = 0. */
void stream_start(stream_t *stream, size_t N);
/* Frames done, t. */
size_t stream_frames(const stream_t *stream);
/* Piece n goes on as a copy of piece parents[n], for all n < N (N may differ from the number before): state,
 * latent, last frames. */
void stream_select(stream_t *stream, const uint32_t *parents, size_t N);

/* The learned prior of the segment that begins now: mu, logvar [N, Z]. */
void stream_prior(stream_t *stream, real_t *mu, real_t *logvar);
/* The latents z [N, Z] of the segment that begins now. */
void stream_set_latent(stream_t *stream, const real_t *z);

/* Goes on by one frame that is given: frames [N, frame bytes], or one for all where shared. nll [N], nats,
 * where not NULL. */
void stream_force(stream_t *stream, const uint8_t *frames, gboolean shared, double *nll);
/* Goes on by one frame that is drawn, rules [N]; frames [N, frame bytes] where not NULL. */
void stream_draw(stream_t *stream, const head_rule_t *rules, uint8_t *frames);

/* Posteriors of all segments of one piece: bits [T, frame bytes], T >= 1; mu, logvar [W, Z], W = ceil(T / S);
 * the last segment is filled up with silence. */
void stream_encode(stream_t *stream, const uint8_t *bits, size_t T, real_t *mu, real_t *logvar);
