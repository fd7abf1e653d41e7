/* timeline: a song's tempi and meters in frames of the grid: where they change, and where bars begin.
 *
 * A bar begins at frame 0, wherever the meter changes, and every bar of the meter in force after that; so
 * the bar before a change may be cut short, and a pickup is a bar of its own meter. Bars of some meters are
 * not a whole number of frames. The last tempo and the last meter are in force for ever. */
#pragma once

#include "preprocess/midi/midi.h"
#include "preprocess/roll/meters.h"

/* A tempo, in force from this frame on; meters, meter_change_t, likewise. */
typedef struct {
    int64_t frame;
    double bpm; /* quarter notes a minute, > 0 */
} tempo_change_t;

/* Both lists: ascending frames, the first 0, each unlike the one before; never empty. */
typedef struct {
    int steps_per_beat; /* frames a quarter note */
    GArray *tempi;      /* tempo_change_t */
    GArray *meters;     /* meter_change_t */
} timeline_t;

/* One tempo and one meter for ever. Owner: caller, timeline_free(). */
timeline_t *timeline_new(int steps_per_beat, double bpm, meter_t meter);
/* The timeline of these rows, which must be as above. Owner: caller. */
timeline_t *timeline_from_rows(int steps_per_beat, const tempo_change_t *tempi, size_t n_tempi,
                               const meter_change_t *meters, size_t n_meters);
/* The timeline of a song of so many frames: changes go to the nearest frame, halves up, as notes do; of
 * several within a frame the last one counts, and what changes nothing is left out. Before a file's first
 * tempo and meter, MIDI's own are in force: 120 bpm and 4/4. Owner: caller. */
timeline_t *timeline_from_song(const song_t *song, int steps_per_beat, int64_t frames);
void timeline_free(timeline_t *timeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(timeline_t, timeline_free)

/* Replace all tempi, or all meters, by one. */
void timeline_set_tempo(timeline_t *timeline, double bpm);
void timeline_set_meter(timeline_t *timeline, meter_t meter);

/* The timeline of so many frames from `first` on, which is frame 0 of the result and the beginning of a bar.
 * Owner: caller. */
timeline_t *timeline_slice(const timeline_t *timeline, int64_t first, int64_t frames);
/* Makes all from `frame` on, which is no earlier than the last change, as in `next` from its frame 0 on. */
void timeline_append(timeline_t *timeline, int64_t frame, const timeline_t *next);
gboolean timeline_equal(const timeline_t *a, const timeline_t *b);
/* Adds the tempi and meters, in ticks, to a song that has none; steps_per_beat divides its ticks_per_beat. */
void timeline_to_song(const timeline_t *timeline, song_t *song);

typedef struct {
    double frame; /* at which it begins; not always whole */
    /* Of a whole bar of its meter, at least 1. The bar is shorter where the meter changes within it. */
    double frames;
    meter_change_t meter;
} bar_t;

/* The bars that begin before frame `frames`, in order. Owner: caller. */
GArray *timeline_bars(const timeline_t *timeline, int64_t frames);
/* The frame at which a bar begins, counted from 0. There is always a next bar: the last meter goes on. */
double timeline_bar_frame(const timeline_t *timeline, size_t bar);
/* Bars before a frame: the whole ones, and the share of the one in which it lies. */
double timeline_bar_at(const timeline_t *timeline, double frame);
/* Frames that so many bars take, and bars that so many frames take, of which the last may be cut short. */
size_t timeline_frames_of(const timeline_t *timeline, size_t bars);
size_t timeline_bars_of(const timeline_t *timeline, size_t frames);
/* Seconds that so many frames last. */
double timeline_seconds(const timeline_t *timeline, int64_t frames);

/* The timeline's meters alone, its own, of a song of so many frames (0: not known). */
meters_t timeline_meters(const timeline_t *timeline, size_t frames);

/* Whether rows that were read from a file are as above, for a song of so many frames. */
gboolean timeline_rows_valid(const tempo_change_t *tempi, size_t n_tempi, const meter_change_t *meters,
                             size_t n_meters, int64_t frames);
