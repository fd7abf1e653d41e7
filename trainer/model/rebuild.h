/* rebuild: draws pieces from latents that are given, by particles: of each segment a piece has K draws from
 * the same past, of which the one goes on that tells its latent best:
 *
 *     log q(z | frames of the draw), q the encoder
 *
 * The likeliest draw by log p(frames | z) would not do: where the model doubts, the likeliest music is the
 * sparsest. Draws have the right density by themselves, and the encoder says which of them means z. The first
 * of the K takes the likelier of each cell, so K = 1 is greedy decoding. N pieces go side by side through a
 * stream of the sequence model (trainer/model/stream.h); piece n has rows [n K, (n + 1) K). No MPI, no files.
 *
 * Order of calls, from a segment's start: stream_set_latent(), the same for the K rows of a piece;
 * rebuild_draw() for each frame of the segment; rebuild_keep(). */
#pragma once

#include "trainer/model/stream.h"

#define REBUILD_DRAWS       16 /* K, unless somebody asks for another */
#define REBUILD_MOST        64
#define REBUILD_TEMPERATURE 0.5 /* likewise */

typedef struct rebuild rebuild_t;

/* The random numbers of a piece's frame: particle k has those of (seed, RNG_DECODE, epoch + k * stride,
 * sample), cell i element `element` + i. */
typedef struct {
    uint64_t seed, epoch, stride, sample, element;
} rebuild_numbers_t;

/* For up to max_rows of the stream, which is of this model and outlives it, as the model does. Owner: caller.
 */
rebuild_t *rebuild_new(const model_t *model, stream_t *stream, size_t max_rows);
void rebuild_free(rebuild_t *rebuild);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(rebuild_t, rebuild_free)

/* Draws a frame of each row; numbers [N]. temperature: head_rule_t's. */
void rebuild_draw(rebuild_t *rebuild, size_t N, size_t K, const rebuild_numbers_t *numbers,
                  double temperature);
/* Ends the segment: all rows of a piece become its best one. z [N, Z]; valid [N]: frames of the segment that
 * belong to the piece, those after them count as silence. */
void rebuild_keep(rebuild_t *rebuild, size_t N, size_t K, const real_t *z, const uint32_t *valid);
/* The frames of piece n's best draw of the segment that rebuild_keep() has ended: [S, frame bytes], silence
 * from valid on. Until the next rebuild_draw(). */
const uint8_t *rebuild_frames(const rebuild_t *rebuild, size_t n);
