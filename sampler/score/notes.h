/* notes: what a piece's list of notes says of its pitches and its rhythm: features of Yang & Lerch 2020, "On
 * the evaluation of generative models in music", section 3. Their pitch range, and their pitches and notes a
 * bar, are among the figures of score.h.
 *
 * Drums are left out. Notes are in the order of their onsets, those of a chord from the lowest up; two notes
 * are consecutive if no note of their track is between them.
 *
 * The authors' mgeval reads one track, in ticks and seconds. Differences: all tracks count together, none of
 * them following another; times are in quarter notes, whatever the tempo; onsets at the same time are one;
 * lengths are compared with those of 4/4 in any meter; and transitions, too, are shares: mgeval's
 * normalize = 2, its default being counts, which grow with the piece. */
#pragma once

#include "preprocess/roll/roll.h"

typedef enum {
    /* How long each of 12 pitch classes sounds, notes at once each for itself. */
    NOTES_PITCH_CLASSES,
    /* [12][12], from row to column: pitch classes of two notes of a track of which the second begins where
     * the first ends. */
    NOTES_PITCH_CLASS_TRANSITIONS,
    /* Notes by length, each as the nearest of 12: whole, half, quarter, eighth, sixteenth; the last four
     * dotted; half, quarter and eighth triplets. Of two as near the first. */
    NOTES_LENGTHS,
    /* [12][12], from row to column: lengths of two consecutive notes. */
    NOTES_LENGTH_TRANSITIONS,
    NOTES_HISTOGRAMS
} notes_histogram_t;

enum { NOTES_CLASSES = 12, NOTES_NUMBERS = 2 * (NOTES_CLASSES + NOTES_CLASSES * NOTES_CLASSES) };

typedef struct {
    double pitches;              /* different ones */
    double interval;             /* semitones between consecutive notes, mean of absolute values */
    double notes;                /* how many */
    double inter_onset_interval; /* quarter notes from onset to onset, on any track, mean */
    double histograms[NOTES_NUMBERS];
} notes_t;

/* What a piece does not have (it has no note, or no two) is NaN; counts of nothing are 0. Of a histogram
 * either all numbers are NaN or they add up to 1. timeline: any; notes are timed by the grid alone. */
void notes_measure(const roll_t *roll, const grid_t *grid, const timeline_t *timeline, notes_t *notes);

/* "pitch_class_histogram"; where its numbers are among all; how many they are. */
const char *notes_histogram_name(notes_histogram_t histogram);
size_t notes_histogram_first(notes_histogram_t histogram);
size_t notes_histogram_size(notes_histogram_t histogram);
