/* seam: does a piece that was made segment by segment show it where its segments meet?
 *
 * Borders fall on metrical positions, where real music changes too: so a piece is compared with real songs
 * position by position. For each of the F positions t mod F in a segment of F frames, borders being position
 * 0, four features of the step from frame t - 1 to t are averaged over the piece: value[f][q]. With the mean
 * and the standard deviation of that over real songs, z[f][q] = (value[f][q] - mean[f][q]) / sd[f][q]: how
 * far the piece is from what real songs do there, in sd of real songs.
 *
 *     seam = mean over f of |z[f][0]| - mean over f and q > 0 of |z[f][q]|
 *
 * A strange piece is strange everywhere: only what is stranger at borders than inside counts. Music without
 * seams scores what real songs score themselves: about 0 where they share a meter, more where meters mix (0.3
 * for Nottingham's tunes, F = 16), as then borders fall on other beats from song to song. Each position has
 * about as many frames as any other, so none is noisier for being rarer. Small seams that go the same way in
 * all pieces show first in the signs: mean z[f][0] against mean z[f][q] over many pieces.
 *
 * Measured on held-out pieces of POP909 and of the Nottingham piano rolls, F = 16: 0.03 as they are, 1.3
 * and 1.7 with their segments in random order, 2.5 and 3.0 with each segment from another song, 1.0 and 2.1
 * where all that is held over a border is struck again there. */
#pragma once

#include "preprocess/roll/roll.h"

/* Of the step from frame t - 1 to t, over all tracks but, for the last three, drums. Undefined steps are left
 * out of averages. */
typedef enum {
    SEAM_ONSETS, /* notes begun in t, drums too */
    /* Share of the keys sounding in t - 1 that are held over: that sound in t on the same track without an
     * onset. Undefined after silence. */
    SEAM_HELD,
    SEAM_HARMONY, /* distance of the two frames' tonal centroids (tonal.h); undefined beside a silent frame */
    SEAM_REGISTER, /* semitones between the two frames' mean pitches; undefined beside a silent frame */
    SEAM_FEATURES
} seam_feature_t;
const char *seam_feature_name(seam_feature_t feature);

/* Averages of a roll to values [SEAM_FEATURES][frames]; frames: F >= 2. Silence after the last sound is left
 * out. NaN where nothing is defined; all NaN for a piece without a border. */
void seam_measure(const roll_t *roll, const grid_t *grid, size_t frames, double *values);

typedef struct {
    size_t frames;
    double *mean, *sd; /* [SEAM_FEATURES][frames] over songs; NaN where fewer than two have a value */
} seam_yardstick_t;

/* With fewer songs their standard deviation, and so every z, is off by a quarter and more: by
 * 1 / sqrt(2 (n - 1)). */
enum { SEAM_LEAST_SONGS = 10 };

/* From the values [n][SEAM_FEATURES][frames] of n real songs. Owner: caller. */
seam_yardstick_t *seam_yardstick_new(const double *values, size_t n, size_t frames);
void seam_yardstick_free(seam_yardstick_t *yardstick);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(seam_yardstick_t, seam_yardstick_free)

typedef struct {
    double seam;                     /* border - inside; NaN where no feature has both */
    double border, inside;           /* means of |z| */
    double at_border[SEAM_FEATURES]; /* z[f][0], with its sign; NaN where undefined */
    double at_inside[SEAM_FEATURES]; /* mean of z[f][q], q > 0, with their signs */
} seam_t;
enum { SEAM_NUMBERS = sizeof(seam_t) / sizeof(double) }; /* from one seam's to the next one's */

/* The seam of a piece's values [SEAM_FEATURES][frames]. A position at which all real songs are alike has no
 * scale and is left out; a z beyond 5 counts as 5, so that one position at which real songs vary little
 * cannot stand for all. */
seam_t seam_score(const seam_yardstick_t *yardstick, const double *values);
