/* Features of small lists of notes against values worked out by hand. */
#include "sampler/score/notes.h"

#include <math.h>

#define ROOM NOTES_CLASSES
enum { WHOLE, HALF, QUARTER, EIGHTH, SIXTEENTH, DOTTED_QUARTER = 6, QUARTER_TRIPLET = 10, EIGHTH_TRIPLET };
enum { C = 0, E = 4, F = 5, C3 = 48, C4 = 60 };

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) < 1e-9)) g_error("%.12g is not %.12g", value, expected);
}

static grid_t grid_of(const char *tracks, int steps_per_beat) {
    grid_t grid = grid_default();
    grid.steps_per_beat = steps_per_beat;
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

/* A note in frames [first, end). */
static void put(roll_t *roll, size_t track, size_t first, size_t end, int pitch) {
    const size_t p = (size_t)(pitch - grid_default().pitch_low);
    roll_set(roll, first, track, PLANE_ONSET, p);
    for (size_t t = first; t < end; t++) roll_set(roll, t, track, PLANE_SOUNDING, p);
}

static void measure(const roll_t *roll, const grid_t *grid, notes_t *notes) {
    g_autoptr(timeline_t) timeline = timeline_new(grid->steps_per_beat, 97, (meter_t){0, 3, 4});
    notes_measure(roll, grid, timeline, notes);
}

static const double *histogram(const notes_t *notes, notes_histogram_t which) {
    return notes->histograms + notes_histogram_first(which);
}

/* The cells given have their shares, all others none. */
static void assert_shares(const notes_t *notes, notes_histogram_t which, const size_t *cells,
                          const double *shares, size_t n) {
    const double *values = histogram(notes, which);
    double rest = 0;
    for (size_t i = 0; i < notes_histogram_size(which); i++) rest += fabs(values[i]);
    for (size_t i = 0; i < n; i++) {
        assert_near(values[cells[i]], shares[i]);
        rest -= shares[i];
    }
    assert_near(rest, 0);
}

/* Melody: C a quarter, E an eighth, after a rest C a dotted quarter. Chords: C and E together, C a half, E
 * two sixteenths longer, which is as near to a half as to a dotted one; then F a dotted quarter. */
static void test_tracks(void) {
    const grid_t grid = grid_of("melody,chords,drums", 4);
    g_autoptr(roll_t) roll = roll_new(20, 3, (size_t)grid.pitches);
    put(roll, 0, 0, 4, C4);
    put(roll, 0, 4, 6, C4 + E);
    put(roll, 0, 8, 14, C4);
    put(roll, 1, 0, 8, C3);
    put(roll, 1, 0, 10, C3 + E);
    put(roll, 1, 10, 16, C3 + F);
    put(roll, 2, 2, 3, 36);
    notes_t notes;
    measure(roll, &grid, &notes);
    assert_near(notes.pitches, 5); /* C4 twice */
    assert_near(notes.notes, 6);
    assert_near(notes.interval, (4 + 4 + 4 + 1) / 4.0); /* E4 to F3 is no interval: another track */
    assert_near(notes.inter_onset_interval, 2.5 / 3);   /* 0, 1, 2, 2.5 */
    assert_shares(&notes, NOTES_PITCH_CLASSES, (const size_t[]){C, E, F},
                  (const double[]){18 / 36.0, 12 / 36.0, 6 / 36.0}, 3);
    /* C4 ends where E4 begins, E3 where F3 does; C3 where the melody's C4 does, which is another track. */
    assert_shares(&notes, NOTES_PITCH_CLASS_TRANSITIONS, (const size_t[]){C * ROOM + E, E * ROOM + F},
                  (const double[]){0.5, 0.5}, 2);
    assert_shares(&notes, NOTES_LENGTHS, (const size_t[]){HALF, QUARTER, EIGHTH, DOTTED_QUARTER},
                  (const double[]){2 / 6.0, 1 / 6.0, 1 / 6.0, 2 / 6.0}, 4);
    assert_shares(&notes, NOTES_LENGTH_TRANSITIONS,
                  (const size_t[]){QUARTER * ROOM + EIGHTH, EIGHTH * ROOM + DOTTED_QUARTER,
                                   HALF * ROOM + HALF, HALF * ROOM + DOTTED_QUARTER},
                  (const double[]){0.25, 0.25, 0.25, 0.25}, 4);
}

/* Where a beat has twelve frames: triplets, what is longer than a whole note and shorter than all. A note
 * leads to both of a chord that begins where it ends. */
static void test_lengths(void) {
    const grid_t grid = grid_of("merged", 12);
    g_autoptr(roll_t) roll = roll_new(110, 1, (size_t)grid.pitches);
    put(roll, 0, 0, 8, C4);
    put(roll, 0, 8, 12, C4);
    put(roll, 0, 8, 12, C4 + F);
    put(roll, 0, 12, 108, C4);
    put(roll, 0, 109, 110, C4);
    notes_t notes;
    measure(roll, &grid, &notes);
    assert_near(notes.notes, 5);
    assert_near(notes.pitches, 2);
    assert_near(notes.inter_onset_interval, 109 / 12.0 / 3);
    assert_near(notes.interval, (0 + 5 + 5 + 0) / 4.0);
    assert_shares(&notes, NOTES_LENGTHS, (const size_t[]){QUARTER_TRIPLET, EIGHTH_TRIPLET, WHOLE, SIXTEENTH},
                  (const double[]){1 / 5.0, 2 / 5.0, 1 / 5.0, 1 / 5.0}, 4);
    assert_shares(&notes, NOTES_PITCH_CLASS_TRANSITIONS,
                  (const size_t[]){C * ROOM + C, C * ROOM + F, F * ROOM + C},
                  (const double[]){0.5, 0.25, 0.25}, 3);
}

/* Nothing, drums alone, one note. */
static void test_few(void) {
    const grid_t grid = grid_of("melody,drums", 4);
    g_autoptr(roll_t) roll = roll_new(8, 2, (size_t)grid.pitches);
    notes_t notes;
    put(roll, 1, 2, 3, 36);
    measure(roll, &grid, &notes);
    assert_near(notes.notes, 0);
    assert_near(notes.pitches, 0);
    g_assert_true(isnan(notes.interval) && isnan(notes.inter_onset_interval));
    for (size_t i = 0; i < NOTES_NUMBERS; i++) g_assert_true(isnan(notes.histograms[i]));
    put(roll, 0, 1, 3, C4);
    measure(roll, &grid, &notes);
    assert_near(notes.notes, 1);
    g_assert_true(isnan(notes.interval) && isnan(notes.inter_onset_interval));
    assert_near(histogram(&notes, NOTES_LENGTHS)[EIGHTH], 1);
    g_assert_true(isnan(*histogram(&notes, NOTES_LENGTH_TRANSITIONS)));
}

/* Histograms lie side by side and fill all numbers. */
static void test_places(void) {
    size_t next = 0;
    for (notes_histogram_t h = 0; h < NOTES_HISTOGRAMS; h++) {
        g_assert_cmpuint(notes_histogram_first(h), ==, next);
        next += notes_histogram_size(h);
    }
    g_assert_cmpuint(next, ==, NOTES_NUMBERS);
    g_assert_cmpstr(notes_histogram_name(NOTES_LENGTHS), ==, "note_length_histogram");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/notes/tracks", test_tracks);
    g_test_add_func("/notes/lengths", test_lengths);
    g_test_add_func("/notes/few", test_few);
    g_test_add_func("/notes/places", test_places);
    return g_test_run();
}
