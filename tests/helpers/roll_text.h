/* roll_text: songs and grids for tests, and rolls as text. */
#pragma once

#include <string.h>

#include "preprocess/roll/roll.h"

enum { TICKS = 480 };

static inline grid_t grid_of(const char *tracks, int steps_per_beat, int pitch_low, int pitches) {
    g_autoptr(GError) error = NULL;
    grid_t grid = grid_default();
    grid_set_tracks(&grid, tracks, &error);
    g_assert_no_error(error);
    grid.steps_per_beat = steps_per_beat;
    grid.pitch_low = pitch_low;
    grid.pitches = pitches;
    return grid;
}

static inline song_t *song_with(int64_t ticks) {
    song_t *song = song_new(TICKS);
    g_ptr_array_add(song->track_names, g_strdup(""));
    song->ticks = ticks;
    return song;
}

static inline void add_note(song_t *song, int channel, int pitch, int64_t onset, int64_t length) {
    note_t note = {.onset = onset,
                   .length = length,
                   .pitch = (uint8_t)pitch,
                   .velocity = 64,
                   .channel = (uint8_t)channel};
    g_array_append_val(song->notes, note);
    song_sort_notes(song);
}

static inline roll_t *lay(song_t *song, const grid_t *grid, roll_counts_t *counts) {
    g_autoptr(GError) error = NULL;
    roll_t *roll = roll_from_song(song, grid, NULL, counts, NULL, &error);
    g_assert_no_error(error);
    return roll;
}

/* Asserts that one pitch of one track is, a letter for each frame: O onset, - sounding, . silent. */
static inline void assert_line(const roll_t *roll, size_t track, size_t p, const char *expected) {
    g_autoptr(GString) line = g_string_new(NULL);
    for (size_t frame = 0; frame < roll->frames; frame++) {
        gboolean sounding = roll_get(roll, frame, track, PLANE_SOUNDING, p),
                 onset = roll_get(roll, frame, track, PLANE_ONSET, p);
        g_string_append_c(line, sounding ? (onset ? 'O' : '-') : (onset ? '?' : '.'));
    }
    g_assert_cmpstr(line->str, ==, expected);
}

static inline void assert_same_roll(const roll_t *a, const roll_t *b) {
    g_assert_cmpuint(a->frames, ==, b->frames);
    g_assert_cmpuint(a->tracks, ==, b->tracks);
    g_assert_cmpuint(a->pitches, ==, b->pitches);
    size_t bytes = a->frames * a->tracks * ROLL_PLANES * a->stride;
    g_assert_true(memcmp(a->bits, b->bits, bytes) == 0);
}

static inline roll_t *random_roll(GRand *random, const grid_t *grid, size_t frames) {
    roll_t *roll = roll_new(frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    for (size_t i = 0; i < frames * grid_frame_bytes(grid); i++)
        roll->bits[i] = (uint8_t)(g_rand_int(random) & g_rand_int(random));
    return roll;
}
