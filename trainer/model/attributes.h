/* attributes: musical attributes of segments (of the dense model: windows), and for each a vector in latent
 * space along which it grows. No MPI, no files.
 *
 * Latents are measured from the prior's mean in its sd. A window's prior is N(0, 1). A segment's is learned
 * and depends on what came before, so its latents tell what changes: for segments the vectors are fitted to
 * the change of an attribute from the segment before, for windows to the attribute itself.
 *
 * Attributes are counted in the bits that the model learns: with one plane a note begins where sound begins.
 * Of pitched tracks:
 *     density    notes begun a beat (a quarter note)
 *     register   mean pitch of the keys that sound, frame by frame, MIDI semitones
 *     polyphony  keys that sound at once, over frames in which any does; a key that two tracks play counts
 *                once
 * and of drums, where the grid has them:
 *     drums      strokes a beat
 * A segment in which no pitched key (if all tracks are drums: no drum) sounds has no attributes. */
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
/* Whether songs on the grid have the attribute. */
gboolean attribute_exists(attribute_t attribute, const grid_t *grid);

typedef struct {
    const grid_t *grid;
    size_t planes;         /* of the bits, 1 or 2 */
    const uint8_t *bits;   /* [frames, tracks, planes, stride] */
    const uint8_t *before; /* the frame before, where a note of one plane may have begun; NULL: silence */
    size_t frames;         /* >= 1 */
} attribute_span_t;

/* Measures a span to values [ATTRIBUTE_COUNT]; 0 for attributes that do not exist. FALSE if the span has no
 * attributes, as above. */
gboolean attribute_measure(const attribute_span_t *span, double *values);

#define ATTRIBUTES_MAX  32 /* attributes in a file */
#define ATTRIBUTES_TEXT 32 /* bytes of a name or unit, with its end */

typedef struct {
    char name[ATTRIBUTES_TEXT], unit[ATTRIBUTES_TEXT];
    double mean; /* of the segments (windows), in unit */
    double sd;   /* of its changes from segment to segment (dense: of the attribute itself), in unit; > 0 */
    double r2;   /* share of that variance that the best linear reading of the latents explains, 0 to 1 */
    /* How many sd the reading grows along the vector: 1, or less if that would lead too far from the
     * segments' latents. */
    double reach;
} attribute_info_t;

/* Vectors in latent space. To add s * reach[i] sd of attribute i to z, as its linear reading sees it, take z
 * + s * prior_sd * vector[i], unit by unit. */
typedef struct {
    size_t n, Z;
    attribute_info_t info[ATTRIBUTES_MAX]; /* [n] */
    real_t *vectors;                       /* [n, Z] */
} attributes_t;

void attributes_clear(attributes_t *attributes); /* frees members */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(attributes_t, attributes_clear)
/* Index of the attribute of that name, or attributes->n. */
size_t attributes_find(const attributes_t *attributes, const char *name);

/* The sums over segments from which the vectors are computed. All are doubles, which ranks add up. */
typedef struct {
    size_t Z, n; /* n: doubles in sums */
    /* Count; attributes [A]; changes [A]; their products [A, A]; mu [Z]; posterior variance [Z]; changes and
     * mu [A, Z]; mu's products [Z, Z]. */
    double *sums;
} attribute_moments_t;

/* Allocates zero sums for Z latent units. FALSE with MODEL_ERROR_MEMORY set. Owner: caller. */
gboolean attribute_moments_init(attribute_moments_t *moments, size_t Z, GError **error);
void attribute_moments_clear(attribute_moments_t *moments);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(attribute_moments_t, attribute_moments_clear)
/* Adds a segment: its posterior, mu and logvar [Z], measured from the prior's mean in its sd; its attributes;
 * their changes (dense: the attributes again). */
void attribute_moments_add(attribute_moments_t *moments, const real_t *mu, const real_t *logvar,
                           const double *values, const double *changes);
/* Number of segments added. */
double attribute_moments_count(const attribute_moments_t *moments);

#define ATTRIBUTES_FAINT_R2 0.02 /* below it the latents hardly tell an attribute: its vector does little */
#define ATTRIBUTES_LEAST_R2 0.01 /* below it the latents do not tell it: no vector */
#define ATTRIBUTES_RIDGE    0.1
/* Greatest Mahalanobis length of a vector, in sd of the segments' latents along it. */
#define ATTRIBUTES_FARTHEST 2.0

/* Fits the vectors, from at least one segment. Attributes that do not exist on the grid, do not vary, or are
 * not told by the latents get none.
 *
 * The reading of an attribute is its linear regression on latents drawn from the posteriors. Along its vector
 * the reading grows while those of the others stay the same, as far as the latents tell these apart: v = C (R
 * + ATTRIBUTES_RIDGE A)^-1 e, where C is the covariance of latents and attributes, R that of the readings, A
 * that of the attributes; attributes in sd. The difference between the mean latents of segments with much and
 * with little of an attribute (Roberts et al. 2018) would also contain what correlates with it. FALSE with
 * MODEL_ERROR_MEMORY set. Owner of the vectors: caller, attributes_clear(). */
gboolean attributes_fit(const attribute_moments_t *moments, const grid_t *grid, attributes_t *attributes,
                        GError **error);
