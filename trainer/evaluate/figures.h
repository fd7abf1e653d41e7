/* figures: measures that several evaluations share: active latent units, notes found, what a piece that was
 * rebuilt has of the true one. Sums are doubles.
 * Local. */
#pragma once

#include "preprocess/common/json.h"
#include "trainer/model/model.h"

/* A latent unit is active if its posterior mean varies more than this over segments (Burda et al. 2016). */
#define ACTIVE_UNITS_VARIANCE 0.01

/* Adds posterior means mu [n, Z] to moments [2, Z]: sums of the means, and of their squares. */
void active_units_add(double *moments, const real_t *mu, size_t n, size_t Z);
/* Counts the active ones of Z latent units, from the moments of n segments. */
int active_units(const double *moments, double n, size_t Z);

/* Counts of cells in the sounding planes: found rightly, found wrongly, not found. */
typedef struct {
    double hits, false_alarms, misses;
} cells_t;

/* Compares two planes of a frame, ceil(pitches / 8) bytes each; bits past the last pitch are ignored. */
void cells_add(cells_t *cells, const uint8_t *truth, const uint8_t *found, size_t pitches);
/* In [0, 1]; 0 if there are no hits. */
double cells_precision(const cells_t *cells);
double cells_recall(const cells_t *cells);
double cells_f1(const cells_t *cells);
/* Adds JSON members "<prefix>precision", "<prefix>recall" and "<prefix>f1"; null if not known. */
void cells_tell(const cells_t *cells, const char *prefix, gboolean known, json_t *members);

/* What a rebuilt piece has of the true one. All members are doubles, which ranks add up. */
typedef struct {
    cells_t cells; /* that sound */
    cells_t
        onsets; /* of the onset plane or, where there is none, cells that sound after one frame of silence */
    double off; /* over segments: by how many sounding cells the rebuilt one has more or fewer */
} rebuilt_t;

/* Adds a segment of so many frames [frames, frame bytes] each. before: the frames before them; NULL: silence.
 */
void rebuilt_add(rebuilt_t *rebuilt, const model_config_t *config, const uint8_t *truth,
                 const uint8_t *truth_before, const uint8_t *found, const uint8_t *found_before,
                 size_t frames);
/* By how much the density of segments (notes at once) is off, as a share of the true one. */
double rebuilt_density_error(const rebuilt_t *rebuilt);
/* Adds JSON members: those of cells_tell() for cells and, with "onset_", for onsets; "density_error"; all
 * with prefix, null if not known. */
void rebuilt_tell(const rebuilt_t *rebuilt, const char *prefix, gboolean known, json_t *members);
