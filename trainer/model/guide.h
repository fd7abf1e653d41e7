/* guide: what is known around a cell that is not, ahead of it above all, says how likely the cell is to be
 * set. The head sees the past and the cells before; a guide adds to the head's logit what it does not see, so
 * that particles (sampler/make/particles.h) draw what fits what is known, and few are lost. It is a proposal:
 * weights correct what it changes. It is the same for all particles of a frame, since it reads what is known
 * alone. A small network for each group, a (track, plane) in the order of a frame's rows:
 *
 *     logit_i += v . (relu(b + sum of rows of the set features of i) - relu(b))
 *
 * Features of cell (g, p) of frame t, for each group h and each frame t + o of GUIDE_AHEAD frames o ahead:
 *     known pitches p' of h that are set: the row of p - p' (o = 0: from -GUIDE_REACH_NOW, else from
 *     -GUIDE_REACH on)
 *     where h is known in part, cells p' of it that are known: the row of p - p', from -1 to 1
 *     h is known wholly; any of its known pitches is set
 * and for each of GUIDE_SPANS: the shares of the pitch classes of p, p + 1, .. p + 11 in the known sound of
 * pitched tracks in the frames from t on, as the head's profiles. Where nothing is known within reach, the
 * logit is 0. No MPI, no files. */
#pragma once

#include "trainer/model/real.h"
#include "trainer/model/rng.h"
#include "trainer/model/sizes.h"

enum { GUIDE_UNITS = 32, GUIDE_AHEADS = 6, GUIDE_SPANS = 2, GUIDE_REACH = 13, GUIDE_REACH_NOW = 27 };
extern const size_t GUIDE_AHEAD[GUIDE_AHEADS]; /* 0, 1, 2, 4, 8, 16 frames */
extern const size_t GUIDE_SPAN[GUIDE_SPANS];   /* 16, 64 frames */

typedef struct guide guide_t;

/* Weights are a matrix [groups, columns]. */
size_t guide_groups(const model_config_t *config);
size_t guide_columns(const model_config_t *config);

/* A guide that says nothing yet: its weights are zero. For one thread. Owner: caller. */
guide_t *guide_new(const model_config_t *config);
void guide_free(guide_t *guide);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(guide_t, guide_free)
real_t *guide_weights(guide_t *guide); /* [groups, columns] */
/* Initial values: rows normal, v zero, so that it says nothing. */
void guide_start(guide_t *guide, uint64_t seed);

/* What is known of a piece. */
typedef struct {
    const uint8_t *known, *given; /* [frames, frame bytes]: masks; frames, of which known cells alone count */
    size_t frames;
} guide_sight_t;

/* Writes what is added to the logits of frame t's cells to logits [D]; of cells that are known, the logit of
 * their values as good as certain. FALSE, and logits untouched, if nothing is known within reach. */
gboolean guide_read(guide_t *guide, const guide_sight_t *sight, size_t t, real_t *logits);

/* The loss of the true frame's cells that are not known, in nats, by the head's logits [D] alone and by both
 * together; adds the gradient of the latter to gradient [groups, columns], unless NULL. Cells whose logit is
 * infinite are certain. */
typedef struct {
    double alone, guided;
} guide_loss_t;
guide_loss_t guide_learn(guide_t *guide, const guide_sight_t *sight, size_t t, const uint8_t *frame,
                         const real_t *head_logits, real_t *gradient);
