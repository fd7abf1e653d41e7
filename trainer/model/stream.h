/* stream: the sequence model outside training, for evaluation and the sampler: encodes pieces, and runs N
 * pieces side by side, frame by frame, each with its own state and last frames. No MPI, no files. Only models
 * of kind MODEL_SEQUENCE.
 *
 * Order of calls: stream_start(), where the model knows places in the bar stream_set_meters() for each piece,
 * then for each frame t = 0, 1, ...: if t mod S = 0 and there is a latent,
 * stream_prior() if wanted and stream_set_latent(); then one of stream_force() and its kin, stream_draw(). */
#pragma once

#include "trainer/model/head.h"
#include "trainer/model/model.h"

typedef struct stream stream_t;

/* Room for max_N pieces. No piece's bits depend on the pieces beside it or on the number of threads. NULL
 * with MODEL_ERROR_MEMORY set. Owner: caller; the model must outlive it. */
stream_t *stream_new(model_t *model, size_t max_N, GError **error);
/* Uses n threads from now on, 1 or more. FALSE with MODEL_ERROR_MEMORY set. */
gboolean stream_use_threads(stream_t *stream, size_t n, GError **error);
/* Reads the model's parameters anew: call it after they have changed. */
void stream_prepare(stream_t *stream);
void stream_free(stream_t *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(stream_t, stream_free)

/* Starts N new pieces, 1..max_N, at t = 0: the learned first state, with silence before. */
void stream_start(stream_t *stream, size_t N);
/* Sets piece n's meters, whose rows must outlive the piece and its copies: its frames are counted from the
 * first bar line, and so many as the meters say are to come in all. Read by models with places in the bar
 * alone. */
void stream_set_meters(stream_t *stream, size_t n, meters_t meters);
/* Number of frames done, t. */
size_t stream_frames(const stream_t *stream);
/* Makes piece n a copy of piece parents[n], for n < N: state, latent, last frames, meters. N may
 * change. */
void stream_select(stream_t *stream, const uint32_t *parents, size_t N);

/* The learned prior of the segment that begins now, to mu, logvar [N, Z]. */
void stream_prior(stream_t *stream, real_t *mu, real_t *logvar);
/* Sets the latents z [N, Z] of the segment that begins now. */
void stream_set_latent(stream_t *stream, const real_t *z);

/* Advances by one given frame: frames [N, frame bytes], or one for all if shared. Writes each piece's loss to
 * nll [N], in nats, unless NULL. */
void stream_force(stream_t *stream, const uint8_t *frames, gboolean shared, double *nll);
/* The same with frames [N, frame bytes], losses to nll [N], and the logits of the cells, given those before
 * each, to logits [N, D], as head_record_t has them. */
void stream_force_logits(stream_t *stream, const uint8_t *frames, double *nll, real_t *logits);
/* The same with units of the onsets in place of losses and logits: head_record_t. Only of a model that learns
 * onsets. */
void stream_force_units(stream_t *stream, const uint8_t *frames, const head_record_t *record);
/* Advances by one drawn frame, by rules [N]; writes it to frames [N, frame bytes] unless NULL. Where a rule
 * knows cells, their values are those that frames has before. Writes what head_draw() returns to log_p [N]
 * unless NULL. */
void stream_draw(stream_t *stream, const head_rule_t *rules, uint8_t *frames, double *log_p);

/* Posteriors of all segments of one piece: bits [T, frame bytes], T >= 1, to mu, logvar [W, Z], W = ceil(T /
 * S); silence fills up the last segment. */
void stream_encode(stream_t *stream, const uint8_t *bits, size_t T, real_t *mu, real_t *logvar);
