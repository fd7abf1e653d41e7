/* sample: a trained model from its checkpoint; and the dense model as a maker of music: roll -> latent ->
 * roll (the sequence model: sampler/make/compose.h). No options, no files of music. */
#pragma once

#include "preprocess/roll/roll.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/model/guide.h"

typedef struct {
    checkpoint_t checkpoint; /* its model: T = window, K = tracks, L = planes, P = pitches, Z = latent */
    char *path, *hash;       /* of the checkpoint's file: checkpoint_hash() */
    model_t *model;
} sample_model_t;

enum { SAMPLE_BATCH = 16 }; /* windows decoded at once: fewer take as long */

/* Of either kind. NULL with error set: file, cause, way out. Owner: caller. */
sample_model_t *sample_model_open(const char *path, GError **error);
/* The checkpoint's guide, for writing around what is known; *guide is NULL where it has none. FALSE with
 * error set if it cannot be read. Owner: caller. */
gboolean sample_open_guide(const sample_model_t *model, guide_t **guide, GError **error);
void sample_model_free(sample_model_t *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sample_model_t, sample_model_free)

/* Means mu [n, Z] of the n windows that begin at frames first, first + T, ... of roll (of the model's grid);
 * frames past its end are silence. Owner: caller. */
real_t *sample_encode(const sample_model_t *model, const roll_t *roll, size_t first, size_t n);

/* How probabilities become bits. The onset and the sounding bit of a cell share one uniform number, so that
 * where the model holds an onset to be no likelier than sound, no onset is drawn without its sound. */
typedef struct {
    double threshold; /* on from this probability; in (0, 1) */
    /* Instead of threshold: as many cells as the probabilities add up to, the likeliest first, in each window
     * (or hop, of an overlapped piece), track and plane. A model trained for minutes is sure of no cell, but
     * knows how many there are. */
    gboolean density;
    gboolean draw;        /* Bernoulli draws instead, by (seed, index, frame, cell) */
    uint64_t seed, index; /* index: number of the result */
} sample_rule_t;

/* Decodes z [n, Z] to n windows end to end, cut to `frames` (<= n T). Canonical; a model of one plane begins
 * a note where sound begins. Owner: caller. */
roll_t *sample_windows(const sample_model_t *model, const real_t *z, size_t n, size_t frames,
                       const sample_rule_t *rule);

/* Sets rows to those of a batch in which z [Z] becomes the same as in the first, bit by bit, and returns how
 * many they are: with some BLAS kernels not all. */
size_t sample_equal_rows(const sample_model_t *model, const real_t *z, size_t rows[SAMPLE_BATCH]);
/* Decodes z [SAMPLE_BATCH, Z] for sample_decoded(), until the model decodes anything else. */
void sample_decode(const sample_model_t *model, const real_t *z);
/* The window in a row of them, as sample_windows() makes it where the row is an equal one. Owner: caller. */
roll_t *sample_decoded(const sample_model_t *model, size_t row, size_t frames, const sample_rule_t *rule);

/* Frames between the windows of an overlapped piece: half a window, rounded down to whole bars, or else to
 * whole beats, where it has one. */
size_t sample_hop(const sample_model_t *model, meter_t meter);
/* Windows that an overlapped piece of `frames` takes. */
size_t sample_overlapped_count(const sample_model_t *model, size_t hop, size_t frames);
/* Decodes z [n, Z] to windows `hop` frames apart (1 <= hop <= T, n = sample_overlapped_count()). Where they
 * overlap their logits are averaged with weights that rise and fall linearly over a window, so that none
 * begins or ends abruptly. Otherwise as sample_windows(). NULL with error set (memory). */
roll_t *sample_overlapped(const sample_model_t *model, const real_t *z, size_t n, size_t hop, size_t frames,
                          const sample_rule_t *rule, GError **error);
