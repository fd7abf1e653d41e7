/* score: figures by which pieces of music are compared, of rolls alone: no model, no files. All are numbers
 * of one piece; a figure that a piece does not have (it has one track, one bar, no sound) is NaN. Histograms
 * are compared beside them.
 *
 * Keys that sound are counted over all pitched tracks as one: a key that two of them play counts once. Notes
 * are onsets, each track's apart. Bars are those of the piece's own meters as they change; one before a
 * change and the last one may be cut short. */
#pragma once

#include "preprocess/roll/roll.h"
#include "sampler/score/notes.h"

typedef enum {
    /* ---- pitch ---- */
    /* Entropy in bits, 0 to 3.58, of the pitch classes of the notes begun in four bars, averaged over all
     * fours of bars that have any. Wu & Yang 2020, "The Jazz Transformer on the front line", section 4.1
     * (their H4). */
    SCORE_PITCH_CLASS_ENTROPY,
    /* The largest share of pitched notes that lie in one of the 12 major scales (the natural minor scales are
     * the same sets). Mogren 2016, "C-RNN-GAN". */
    SCORE_SCALE_CONSISTENCY,
    /* Different keys that are played, in the piece and in a bar, averaged over bars; semitones from the
     * lowest to the highest; semitones from note to note of a track: notes.h. Yang & Lerch 2020. */
    SCORE_PITCH_COUNT,
    SCORE_PITCHES_A_BAR,
    SCORE_PITCH_RANGE,
    SCORE_PITCH_INTERVAL,
    /* Keys sounding at once, over frames in which any sounds; share of those frames with two keys or more
     * (MusPy: of all frames). MusPy. */
    SCORE_POLYPHONY,
    SCORE_POLYPHONIC_RATE,
    /* ---- rhythm ---- */
    /* Likeness of neighbouring bars: 1 - the share of frames of the bar in which one has onsets, on any
     * track, and the other none; averaged over pairs of whole bars of one meter, those without any onset in
     * both left out. Wu & Yang 2020, section 4.2; of neighbours only: Dong et al. 2020, "MusPy". */
    SCORE_GROOVE,
    /* Notes, drums left out; quarter notes from onset to onset: notes.h. Yang & Lerch 2020. */
    SCORE_NOTE_COUNT,
    SCORE_INTER_ONSET_INTERVAL,
    SCORE_NOTES_A_BAR, /* drums too */
    /* Share of bars in which no track sounds. Dong et al. 2018, "MuseGAN". */
    SCORE_EMPTY_BARS,
    /* ---- form ---- */
    /* How much of the piece the repetitions of one of its segments explain, 0 to 1: of a bar and a half of
     * 4/4 to four, of four to seven and a half, of longer ones. Wu & Yang 2020: structure.h. */
    SCORE_STRUCTURE_SHORT,
    SCORE_STRUCTURE_MID,
    SCORE_STRUCTURE_LONG,
    /* ---- tracks ---- */
    /* Share of bars in which a track is silent, averaged over tracks where there are several. MuseGAN, empty
     * bars of one track. */
    SCORE_SILENT_TRACKS,
    /* Distance of the tonal centroids of two pitched tracks, beat by beat (a quarter note) where both sound;
     * then averaged over the pairs of tracks. Harte et al. 2006; as a measure of tracks that fit: MuseGAN. */
    SCORE_TONAL_DISTANCE,
    /* Frames in which two tracks both have onsets, as a share of those in which either has; then averaged
     * over the pairs of tracks, drums too. */
    SCORE_SHARED_ONSETS,
    SCORE_FIGURES
} score_figure_t;

/* Figures of a grid: SCORE_FIGURES, then the tonal distance of each pair of pitched tracks and the shared
 * onsets of each pair of tracks, where there are three tracks or more. */
size_t score_count(const grid_t *grid);
/* "groove", "tonal_distance_melody_bass": the name of figure i; NULL from score_count() on. Owner: caller. */
char *score_name(const grid_t *grid, size_t i);
/* "pitch", "rhythm", "form" or "tracks": what figure i is about. Those of one group follow each other. */
const char *score_group(size_t i);
/* Numbers of a piece: its figures and then its histograms (notes.h). */
size_t score_numbers(const grid_t *grid);

/* Figures and histograms of a roll, whose bars timeline tells, to values [score_numbers()]. */
void score_measure(const roll_t *roll, const grid_t *grid, const timeline_t *timeline, double *values);

/* Tracks that do not belong together: piece i < n of the songs with their tracks shuffled. Track k of it is
 * track k of song score_shuffle_source(); it is as long as the shortest of those. The sources of one piece
 * are all different where n >= tracks, and never the same for a track and track 0 where n >= 2; each song
 * gives each track once. Depends on (n, seed) alone. rolls: of one grid, n >= 2. Owner: caller. */
size_t score_shuffle_source(size_t n, size_t i, size_t track, uint64_t seed);
roll_t *score_shuffle(roll_t *const *rolls, size_t n, size_t i, uint64_t seed);

/* Mean and standard deviation (n - 1) of those of n values, `stride` apart, that are not NaN. NaN where there
 * is none; the deviation of one is NaN too. */
typedef struct {
    double mean, sd;
    size_t n;
} score_summary_t;
score_summary_t score_summarise(const double *values, size_t n, size_t stride);

/* Where the mean of pieces lies on the way from real songs (0) to shuffled tracks (1): nearer to real songs
 * below 0.5; may lie outside. NaN where real and shuffled cannot be told apart: where their means differ by
 * less than twice the standard error of that difference. */
double score_place(score_summary_t pieces, score_summary_t real, score_summary_t shuffled);
