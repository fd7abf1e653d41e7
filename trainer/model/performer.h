/* performer: plays pieces by a sequence model that has learned how onsets are played
 * (trainer/model/performance.h). No MPI, no files. */
#pragma once

#include "trainer/model/stream.h"

typedef struct performer performer_t;

/* Whether the model has learned it. */
gboolean performer_fits(const model_t *model);
/* Only of a model that has. NULL with MODEL_ERROR_MEMORY set. Owner: caller; the model must outlive it. */
performer_t *performer_new(model_t *model, GError **error);
void performer_free(performer_t *performer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(performer_t, performer_free)

/* How a piece's onsets were played, and what the model says to each, given those before it. given, drawn and
 * medians are [onsets], or NULL. */
typedef struct {
    meters_t meters;       /* the piece's: stream_set_meters() */
    const played_t *given; /* how they were played; NULL: as they are drawn */
    gboolean on_grid;      /* as a whole the piece lies on the grid, not beside it: so it begins there */
    played_t *drawn;
    played_t *medians;
    double nll; /* of `given`: the sum of -log probabilities of its classes, in nats */
} performance_piece_t;

/* Plays a piece of T frames, bits [T, frame bytes], by the means of the posteriors of its latents where the
 * model has some. Draws depend on (seed, index, onset) alone. */
void performer_play(performer_t *performer, const uint8_t *bits, size_t T, uint64_t seed, uint64_t index,
                    performance_piece_t *piece);
