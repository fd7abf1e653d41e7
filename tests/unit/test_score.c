/* Figures of small rolls against values worked out by hand, tonal space, shuffled tracks, verdicts, and the
 * JSON they are told in. */
#include <math.h>
#include <string.h>

#include "sampler/score/score.h"
#include "sampler/score/tonal.h"

enum { C4 = 60 };

static grid_t grid_of(const char *tracks) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

static roll_t *roll_of(const grid_t *grid, size_t frames) {
    return roll_new(frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
}

static void put(roll_t *roll, size_t track, size_t frame, size_t length, int pitch) {
    const size_t p = (size_t)(pitch - grid_default().pitch_low);
    roll_set(roll, frame, track, PLANE_ONSET, p);
    for (size_t t = frame; t < frame + length; t++) roll_set(roll, t, track, PLANE_SOUNDING, p);
}

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) < 1e-9)) g_error("%.12g is not %.12g", value, expected);
}

/* One figure; bars of `bar` frames. */
static double figure(const roll_t *roll, const grid_t *grid, double bar, size_t which) {
    g_autofree double *values = g_new(double, score_numbers(grid));
    g_autoptr(timeline_t) timeline = timeline_new(1, 120, (meter_t){0, (uint8_t)(2 * bar), 8});
    score_measure(roll, grid, timeline, values);
    return values[which];
}

/* ---- tonal space ---- */

static void centroid_of(int pitch, double centroid[TONAL_DIMENSIONS]) {
    double chroma[TONAL_CLASSES] = {0};
    chroma[pitch % 12] = 3;
    g_assert_true(tonal_centroid(chroma, centroid));
}

static void test_tonal(void) {
    double c[TONAL_DIMENSIONS], e[TONAL_DIMENSIONS], g[TONAL_DIMENSIONS], f_sharp[TONAL_DIMENSIONS],
        silence[TONAL_CLASSES] = {0};
    centroid_of(60, c);
    centroid_of(64, e);
    centroid_of(67, g);
    centroid_of(66, f_sharp);
    const double expected[TONAL_DIMENSIONS] = {0, 1, 0, 1, 0, 0.5};
    for (int i = 0; i < TONAL_DIMENSIONS; i++) assert_near(c[i], expected[i]);
    assert_near(tonal_distance(c, c), 0);
    assert_near(tonal_distance(c, e), sqrt(3.75)); /* third turns of the first and last circle */
    assert_near(tonal_distance(c, g),
                sqrt(2 - sqrt(3) + 2 + 0.75));        /* a twelfth turn, a quarter turn, a third turn */
    assert_near(tonal_distance(c, f_sharp), sqrt(8)); /* half turns of the first two */
    g_assert_false(tonal_centroid(silence, c));
    const double triad[TONAL_CLASSES] = {[0] = 1, [4] = 1, [7] = 1};
    double centre[TONAL_DIMENSIONS];
    g_assert_true(tonal_centroid(triad, centre));
    for (int i = 0; i < TONAL_DIMENSIONS; i++) assert_near(centre[i], (c[i] + e[i] + g[i]) / 3);

    const grid_t grid = grid_default(); /* from A0 */
    uint8_t plane[11] = {0};
    double chroma[TONAL_CLASSES] = {0};
    plane[0] = 1 << 0 | 1 << 3; /* A0, C1 */
    plane[10] = 1 << 7;         /* C8 */
    g_assert_cmpuint(tonal_add_plane(plane, &grid, chroma), ==, 3);
    assert_near(chroma[9], 1);
    assert_near(chroma[0], 2);
}

/* ---- figures ---- */

static void test_pitch(void) {
    const grid_t grid = grid_of("merged");
    g_autoptr(roll_t) roll = roll_of(&grid, 48);
    const int scale[] = {0, 2, 4, 5, 7, 9, 11};
    for (size_t i = 0; i < 4; i++) put(roll, 0, 4 * i, 4, C4 + scale[i]); /* four bars of four: two bits */
    put(roll, 0, 16, 16, C4); /* the next four: none; and four of silence */
    assert_near(figure(roll, &grid, 4, SCORE_PITCH_CLASS_ENTROPY), 1);
    assert_near(figure(roll, &grid, 4, SCORE_SCALE_CONSISTENCY), 1);
    assert_near(figure(roll, &grid, 4, SCORE_PITCH_RANGE), 5);

    g_autoptr(roll_t) chromatic = roll_of(&grid, 16);
    for (size_t i = 0; i < 7; i++) put(chromatic, 0, i, 1, C4 - 12 + scale[i]);
    put(chromatic, 0, 7, 1, C4 + 6); /* C major lacks it, G major lacks F */
    assert_near(figure(chromatic, &grid, 4, SCORE_SCALE_CONSISTENCY), 7.0 / 8);
    put(chromatic, 0, 8, 1, C4 + 1);
    put(chromatic, 0, 9, 1, C4 + 1);
    assert_near(figure(chromatic, &grid, 4, SCORE_SCALE_CONSISTENCY),
                0.8); /* D major: D E F# G A B and both C# */
    assert_near(figure(chromatic, &grid, 4, SCORE_PITCH_RANGE), 18);
}

static void test_groove(void) {
    const grid_t grid = grid_of("melody,drums");
    g_autoptr(roll_t) roll = roll_of(&grid, 22);
    put(roll, 0, 0, 1, C4); /* x.x. */
    put(roll, 1, 2, 1, 36);
    put(roll, 0, 4, 4, C4); /* x... */
    put(roll, 0, 8, 1, C4); /* x... of both tracks, then two silent bars and half a bar */
    put(roll, 1, 8, 1, 36);
    put(roll, 0, 20, 1, C4);
    assert_near(figure(roll, &grid, 4, SCORE_GROOVE), (0.75 + 1 + 0.75) / 3);
    g_assert_true(isnan(figure(roll, &grid, 16, SCORE_GROOVE))); /* one whole bar */

    g_autoptr(roll_t) odd =
        roll_of(&grid, 10); /* bars of 2.5 frames begin at 0, 2, 5, 7 and are compared over two */
    put(odd, 0, 0, 1, C4);
    put(odd, 0, 2, 1, C4);
    put(odd, 0, 6, 1, C4);
    put(odd, 0, 8, 1, C4);
    assert_near(figure(odd, &grid, 2.5, SCORE_GROOVE), (1 + 0 + 1) / 3.0);
}

static void test_polyphony(void) {
    const grid_t grid = grid_of("melody,chords,drums");
    g_autoptr(roll_t) roll = roll_of(&grid, 8);
    put(roll, 0, 0, 1, C4);
    put(roll, 1, 0, 2, C4 + 4);
    put(roll, 0, 5, 1, C4); /* both play the same key: one */
    put(roll, 1, 5, 1, C4);
    put(roll, 2, 7, 1, 36);
    assert_near(figure(roll, &grid, 4, SCORE_POLYPHONY), 4.0 / 3);
    assert_near(figure(roll, &grid, 4, SCORE_POLYPHONIC_RATE), 1.0 / 3);
    assert_near(figure(roll, &grid, 4, SCORE_NOTES_A_BAR), 2.5);
    assert_near(figure(roll, &grid, 4, SCORE_PITCHES_A_BAR), (2 + 1) / 2.0);
    assert_near(figure(roll, &grid, 4, SCORE_PITCH_COUNT), 2);
    assert_near(figure(roll, &grid, 4, SCORE_NOTE_COUNT), 4); /* drums are no pitched notes */
    assert_near(figure(roll, &grid, 4, SCORE_PITCH_INTERVAL), (0 + 4) / 2.0);
    assert_near(figure(roll, &grid, 4, SCORE_INTER_ONSET_INTERVAL), 1.25);
    /* The first histogram: two of five frames of sound are C's on one track, one on the other. */
    assert_near(figure(roll, &grid, 4, score_count(&grid)), 3 / 5.0);
}

static void test_bars(void) {
    const grid_t grid = grid_of("melody,bass");
    g_autoptr(roll_t) roll = roll_of(&grid, 18);
    put(roll, 0, 2, 3, C4); /* into the second bar */
    put(roll, 1, 17, 1, 40);
    assert_near(figure(roll, &grid, 4, SCORE_EMPTY_BARS), 2.0 / 5);
    assert_near(figure(roll, &grid, 4, SCORE_SILENT_TRACKS), 7.0 / 10);
    assert_near(figure(roll, &grid, 4, SCORE_NOTES_A_BAR), 2 * 4 / 18.0);
    assert_near(figure(roll, &grid, 4, SCORE_PITCHES_A_BAR), 2.0 / 5); /* of keys begun */
}

/* A bar of 1/4, two of 4/4 of which the second is cut to three beats, two of 3/4, half a bar of 6/8: each
 * begins with a note, and some have a second one. */
static void test_meters(void) {
    const grid_t grid = grid_of("melody,bass");
    g_autoptr(roll_t) roll = roll_of(&grid, 4 + 16 + 12 + 24 + 6);
    static const size_t bars[] = {0, 4, 20, 32, 44, 56}, second[] = {36, 52};
    const tempo_change_t tempo = {0, 120};
    const meter_change_t meters[] = {{0, 1, 4}, {4, 4, 4}, {32, 3, 4}, {56, 6, 8}};
    g_autoptr(timeline_t) timeline = timeline_from_rows(4, &tempo, 1, meters, G_N_ELEMENTS(meters));
    g_autofree double *values = g_new(double, score_numbers(&grid));
    for (size_t i = 0; i < G_N_ELEMENTS(bars); i++) put(roll, 0, bars[i], 1, C4);
    for (size_t i = 0; i < G_N_ELEMENTS(second); i++) put(roll, 1, second[i], 1, 40);
    score_measure(roll, &grid, timeline, values);
    assert_near(values[SCORE_NOTES_A_BAR], 8 / 5.5);
    assert_near(values[SCORE_EMPTY_BARS], 0);
    assert_near(values[SCORE_SILENT_TRACKS], 4.0 / 12);
    assert_near(
        values[SCORE_GROOVE],
        1 - 2.0 / 12); /* the two bars of 3/4 alone: the others have no whole neighbour of their meter */
    timeline_set_meter(timeline, (meter_t){0, 4, 4});
    score_measure(roll, &grid, timeline, values);
    assert_near(values[SCORE_NOTES_A_BAR], 8 / (62 / 16.0));
}

static void test_pairs(void) {
    grid_t grid = grid_of("melody,chords");
    g_autoptr(roll_t) roll = roll_of(&grid, 30);
    put(roll, 0, 0, 8, C4); /* two beats of the same pitch class */
    put(roll, 1, 0, 4, C4 - 12);
    put(roll, 1, 4, 4, C4 - 12);
    put(roll, 0, 8, 8, C4); /* a beat of a tritone, shorter than the beat */
    put(roll, 1, 10, 2, C4 + 6);
    put(roll, 0, 16, 8, C4 + 6); /* beats in which one is silent */
    assert_near(figure(roll, &grid, 16, SCORE_TONAL_DISTANCE), (0 + 0 + sqrt(8)) / 3);
    assert_near(figure(roll, &grid, 16, SCORE_SHARED_ONSETS), 1.0 / 5); /* 0 of 0, 4, 8, 10, 16 */
    grid.steps_per_beat = 8;
    assert_near(figure(roll, &grid, 16, SCORE_TONAL_DISTANCE), sqrt(8) / 2);
}

/* Of three tracks each pair stands for itself, and the figure is their mean; drums have no harmony. */
static void test_three_tracks(void) {
    const grid_t grid = grid_of("melody,bass,drums");
    g_assert_cmpuint(score_count(&grid), ==, SCORE_FIGURES + 1 + 3);
    g_autofree char *tonal = score_name(&grid, SCORE_FIGURES), *last = score_name(&grid, SCORE_FIGURES + 3);
    g_assert_cmpstr(tonal, ==, "tonal_distance_melody_bass");
    g_assert_cmpstr(last, ==, "shared_onsets_bass_drums");
    g_assert_null(score_name(&grid, SCORE_FIGURES + 4));
    g_assert_cmpstr(score_group(SCORE_PITCH_RANGE), ==, "pitch");
    g_assert_cmpstr(score_group(SCORE_GROOVE), ==, "rhythm");
    g_assert_cmpstr(score_group(SCORE_FIGURES + 3), ==, "tracks");
    g_assert_cmpuint(score_numbers(&grid), ==, score_count(&grid) + NOTES_NUMBERS);
    g_autoptr(roll_t) roll = roll_of(&grid, 16);
    put(roll, 0, 0, 4, C4);
    put(roll, 1, 0, 4, 36);
    put(roll, 1, 4, 4, 36);
    put(roll, 2, 0, 1, 35);
    put(roll, 2, 4, 1, 35);
    put(roll, 2, 8, 1, 35);
    assert_near(figure(roll, &grid, 16, SCORE_FIGURES), 0);
    assert_near(figure(roll, &grid, 16, SCORE_FIGURES + 1), 1.0 / 2);
    assert_near(figure(roll, &grid, 16, SCORE_FIGURES + 2), 1.0 / 3);
    assert_near(figure(roll, &grid, 16, SCORE_FIGURES + 3), 2.0 / 3);
    assert_near(figure(roll, &grid, 16, SCORE_SHARED_ONSETS), 0.5);
}

/* What a piece does not have is no number, and nothing breaks. */
static void test_silence(void) {
    const grid_t all = grid_of("melody,chords,bass,drums"), merged = grid_of("merged");
    g_assert_cmpuint(score_count(&all), ==, SCORE_FIGURES + 3 + 6);
    g_assert_cmpuint(score_count(&merged), ==, SCORE_FIGURES);
    g_autoptr(roll_t) roll = roll_of(&all, 1);
    g_autofree double *values = g_new(double, score_numbers(&all));
    g_autoptr(timeline_t) timeline = timeline_new(4, 120, (meter_t){0, 3, 4});
    score_measure(roll, &all, timeline, values);
    for (size_t i = 0; i < score_count(&all); i++) {
        const gboolean counts = i == SCORE_EMPTY_BARS || i == SCORE_SILENT_TRACKS || i == SCORE_NOTES_A_BAR ||
                                i == SCORE_PITCHES_A_BAR || i == SCORE_PITCH_COUNT || i == SCORE_NOTE_COUNT;
        g_assert_true(counts ? isfinite(values[i]) : isnan(values[i]));
    }
    assert_near(values[SCORE_EMPTY_BARS], 1);
    g_autoptr(roll_t) one = roll_of(&merged, 4);
    put(one, 0, 0, 4, C4);
    g_assert_true(isnan(figure(one, &merged, 4, SCORE_TONAL_DISTANCE)));
    g_assert_true(isnan(figure(one, &merged, 4, SCORE_SILENT_TRACKS)));
}

/* ---- shuffled tracks ---- */

static void test_shuffle(void) {
    enum { N = 7, TRACKS = 3 };
    const grid_t grid = grid_of("melody,chords,bass");
    roll_t *rolls[N];
    for (size_t i = 0; i < N; i++) { /* song i plays key 60 + i on all tracks, for 10 + i frames */
        rolls[i] = roll_of(&grid, 10 + i);
        for (size_t k = 0; k < TRACKS; k++) put(rolls[i], k, 0, 10 + i, C4 + (int)i);
    }
    size_t taken[TRACKS][N] = {{0}}, moved = 0;
    for (size_t i = 0; i < N; i++) {
        size_t source[TRACKS], frames = SIZE_MAX;
        for (size_t k = 0; k < TRACKS; k++) {
            source[k] = score_shuffle_source(N, i, k, 5);
            taken[k][source[k]]++;
            frames = MIN(frames, 10 + source[k]);
            for (size_t other = 0; other < k; other++) g_assert_cmpuint(source[k], !=, source[other]);
        }
        moved += source[1] != score_shuffle_source(N, i, 1, 6);
        g_autoptr(roll_t) roll = score_shuffle(rolls, N, i, 5);
        g_assert_cmpuint(roll->frames, ==, frames);
        for (size_t k = 0; k < TRACKS; k++) {
            const size_t p = (size_t)(C4 - grid.pitch_low) + source[k];
            g_assert_true(roll_get(roll, 0, k, PLANE_ONSET, p) &&
                          roll_get(roll, frames - 1, k, PLANE_SOUNDING, p));
        }
        g_assert_false(roll_get(roll, 0, 0, PLANE_ONSET, (size_t)(C4 - grid.pitch_low) + source[1]));
    }
    for (size_t k = 0; k < TRACKS; k++)
        for (size_t i = 0; i < N; i++) g_assert_cmpuint(taken[k][i], ==, 1);
    g_assert_cmpuint(moved, >, 0);
    for (size_t i = 0; i < 2; i++) /* fewer songs than tracks: never with track 0's */
        for (size_t k = 1; k < TRACKS; k++)
            g_assert_cmpuint(score_shuffle_source(2, i, k, 1), !=, score_shuffle_source(2, i, 0, 1));
    for (size_t i = 0; i < N; i++) roll_free(rolls[i]);
}

static void test_place(void) {
    const double numbers[] = {1, NAN, 3, 5};
    const score_summary_t some = score_summarise(numbers, 4, 1), one = score_summarise(numbers, 1, 1),
                          none = score_summarise(numbers + 1, 1, 1);
    assert_near(some.mean, 3);
    assert_near(some.sd, 2);
    g_assert_cmpuint(some.n, ==, 3);
    g_assert_true(isnan(one.sd) && isnan(none.mean) && none.n == 0);
    const score_summary_t real = {1, 1, 8}, shuffled = {3, 1, 8}, near = {1.9, 1, 8}, gap = {2.5, 0, 1};
    assert_near(score_place(gap, real, shuffled), 0.75);
    g_assert_true(isnan(score_place(gap, real, near))); /* standard error 0.5: 0.9 apart is not apart */
    g_assert_true(isnan(score_place(gap, real, none)));
    g_assert_true(isnan(score_place(none, real, shuffled)));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/score/tonal", test_tonal);
    g_test_add_func("/score/pitch", test_pitch);
    g_test_add_func("/score/groove", test_groove);
    g_test_add_func("/score/polyphony", test_polyphony);
    g_test_add_func("/score/bars", test_bars);
    g_test_add_func("/score/meters", test_meters);
    g_test_add_func("/score/pairs", test_pairs);
    g_test_add_func("/score/three-tracks", test_three_tracks);
    g_test_add_func("/score/silence", test_silence);
    g_test_add_func("/score/shuffle", test_shuffle);
    g_test_add_func("/score/place", test_place);
    return g_test_run();
}
