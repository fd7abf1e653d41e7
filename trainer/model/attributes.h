/* attributes: musical attributes of segments (of the dense model: windows), and for each a vector in latent
 * space along which it grows. No MPI, no files.
 *
 * Latents are counted in the prior's sd from the prior's mean. A window's prior is N(0, 1); a segment's is
 * learned, and knows what came before: its latents tell what changes. So of segments the vectors are fitted
 * to by how much an attribute changed from the segment before, of windows to the attribute itself.
 *
 * A segment's attributes are counted in its bits as the model learns them: with one plane a note begins where
 * sound begins. Of pitched tracks:
 *     density    notes begun a beat (a quarter note)
 *     register   mean pitch of the keys that sound, frame by frame, MIDI semitones
 *     polyphony  keys that sound at once, over frames in which any does; a key that two tracks play counts
 *                once
 * and of drums, where the grid has them:
 *     drums      strokes a beat
 * Segments in which no pitched key sounds (where all tracks are drums: no drum) have none. */
#pragma once

#include "trainer/model/model.h"

typedef enum {
    ATTRIBUTE_DENSITY,
    ATTRIBUTE_REGISTER,
    ATTRIBUTE_POLYPHONY,
    ATTRIBUTE_DRUMS,
    ATTRIBUTE_COUNT
} attribute_t;

const char *attribute_name(attribute_t attribute);
const char *attribute_unit(attribute_t attribute);
/* TRUE where songs on the grid have it. */
gboolean attribute_exists(attribute_t attribute, const grid_t *grid);

typedef struct {
    const grid_t *grid;
    size_t planes;         /* of the bits, 1 or 2 */
    const uint8_t *bits;   /* [frames, tracks, planes, stride] */
    const uint8_t *before; /* the frame before, in which one-plane notes may have begun; NULL: silence */
    size_t frames;         /* >= 1 */
} attribute_span_t;

/* values [ATTRIBUTE_COUNT]; 0 of those that do not exist. FALSE where the span is silent, as above. */
gboolean attribute_measure(const attribute_span_t *span, double *values);

#define ATTRIBUTES_MAX  32 /* in a file */
#define ATTRIBUTES_TEXT 32 /* bytes of a name or unit, with its end */

typedef struct {
    char name[ATTRIBUTES_TEXT], unit[ATTRIBUTES_TEXT];
    double mean; /* of the segments (windows), in unit */
    double sd;   /* of its changes from segment to segment (dense: of the attribute itself), in unit; > 0 */
    double r2;   /* share of that variance that the best linear reading of the latents explains, 0 to 1 */
    /* sd that the reading grows by along the vector: 1, or less where that would lead too far from the
     * segments' latents. */
    double reach;
} attribute_info_t;

/* Vectors in latent space: z + s * prior_sd * vector[i], unit by unit, has s * reach[i] sd more of attribute
 * i than z, as the linear reading sees it. */
typedef struct {
    size_t n, Z;
    attribute_info_t info[ATTRIBUTES_MAX]; /* [n] */
    real_t *vectors;                       /* [n, Z] */
} attributes_t;

void attributes_clear(attributes_t *attributes); /* frees members */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(attributes_t, attributes_clear)
/* Position of the attribute of that name, or attributes->n. */
size_t attributes_find(const attributes_t *attributes, const char *name);

/* Sums over segments that the vectors are made of. All doubles: ranks add them up. */
typedef struct {
    size_t Z, n; /* n: doubles in sums */
    /* Count; attributes [A]; changes [A]; their products [A, A]; mu [Z]; posterior variance [Z]; changes and
     * mu [A, Z]; mu's products [Z, Z]. */
    double *sums;
} attribute_moments_t;

/* FALSE with MODEL_ERROR_MEMORY set. */
gboolean attribute_moments_init(attribute_moments_t *moments, size_t Z, GError **error);
void attribute_moments_clear(attribute_moments_t *moments);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(attribute_moments_t, attribute_moments_clear)
/* A segment's posterior, mu and logvar [Z], in the prior's sd from the prior's mean; its attributes and their
 * changes (dense: the attributes again). */
void attribute_moments_add(attribute_moments_t *moments, const real_t *mu, const real_t *logvar,
                           const double *values, const double *changes);
/* Segments added. */
double attribute_moments_count(const attribute_moments_t *moments);

#define ATTRIBUTES_FAINT_R2 0.02 /* below it the latents hardly tell an attribute: its vector does little */
#define ATTRIBUTES_LEAST_R2 0.01 /* below it they do not tell it */
#define ATTRIBUTES_RIDGE    0.1
/* Mahalanobis length of a vector at most: sd of the segments' latents along it. */
#define ATTRIBUTES_FARTHEST 2.0

/* Vectors of the attributes that exist on the grid, vary, and are told by the latents; the others are left
 * out. Of at least one segment.
 *
 * The reading of an attribute is its linear regression on latents drawn from the posteriors. Along its vector
 * it grows while the readings of the others stay as they are, so far as the latents tell these (v = C (R +
 * ATTRIBUTES_RIDGE A)^-1 e, where C is the covariance of latents and attributes, R that of the readings, A
 * that of the attributes; attributes in sd). The difference of the mean latents of segments with much and
 * with little of it (Roberts et al. 2018) would also carry what goes along with it in the songs. FALSE with
 * MODEL_ERROR_MEMORY set. */
gboolean attributes_fit(const attribute_moments_t *moments, const grid_t *grid, attributes_t *attributes,
                        GError **error);
