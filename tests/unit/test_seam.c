/* The seam score: features of a small roll by hand, the yardstick and its distance by hand, and seams put
 * into music that has none. */
#include "sampler/score/seam.h"

#include <math.h>
#include <string.h>

enum { F = 4, CELLS = SEAM_FEATURES * F, C4 = 60 };

static grid_t grid_of(const char *tracks) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

static void put(roll_t *roll, size_t track, size_t frame, size_t length, int pitch) {
    const size_t p = (size_t)(pitch - grid_default().pitch_low);
    roll_set(roll, frame, track, PLANE_ONSET, p);
    for (size_t t = frame; t < frame + length; t++) roll_set(roll, t, track, PLANE_SOUNDING, p);
}

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) < 1e-9)) g_error("%.12g is not %.12g", value, expected);
}

static void test_features(void) {
    const grid_t grid = grid_of("melody,drums");
    double values[CELLS];
    for (size_t frames = 12; frames <= 24; frames += 12) { /* silence at the end changes nothing */
        g_autoptr(roll_t) roll = roll_new(frames, 2, 88);
        put(roll, 0, 0, 6, C4);
        put(roll, 0, 6, 6, C4 + 4);
        put(roll, 1, 7, 1, 36); /* a drum is an onset and nothing else */
        seam_measure(roll, &grid, F, values);
        const double onsets[F] = {0, 0, 1.0 / 3, 1.0 / 3},
                     held[F] = {1, 1, 2.0 / 3, 1}; /* of position 2: frames 2, 6, 10 */
        const double harmony[F] = {0, 0, sqrt(3.75) / 3, 0}, jump[F] = {0, 0, 4.0 / 3, 0};
        for (size_t q = 0; q < F; q++) {
            assert_near(values[SEAM_ONSETS * F + q], onsets[q]);
            assert_near(values[SEAM_HELD * F + q], held[q]);
            assert_near(values[SEAM_HARMONY * F + q], harmony[q]);
            assert_near(values[SEAM_REGISTER * F + q], jump[q]);
        }
    }
}

static void test_undefined(void) {
    const grid_t grid = grid_of("melody");
    double values[CELLS];
    g_autoptr(roll_t) roll = roll_new(9, 1, 88);
    put(roll, 0, 2, 2, C4);
    seam_measure(roll, &grid, F, values); /* four frames with sound: no border */
    for (size_t i = 0; i < CELLS; i++) g_assert_true(isnan(values[i]));
    put(roll, 0, 4, 1, C4);
    put(roll, 0, 8, 1, C4);
    seam_measure(roll, &grid, F, values);
    assert_near(values[SEAM_ONSETS * F], 1);
    assert_near(values[SEAM_HELD * F], 0);     /* frame 4, struck again; before 8 there is silence */
    assert_near(values[SEAM_HELD * F + 1], 0); /* frame 5: gone */
    g_assert_true(isnan(values[SEAM_HELD * F + 2]));
    assert_near(values[SEAM_HELD * F + 3], 1); /* frame 3 */
    assert_near(values[SEAM_REGISTER * F], 0);
    g_assert_true(isnan(values[SEAM_REGISTER * F + 1]));
}

/* Two songs that differ by 2 everywhere have a standard deviation of the square root of 2. */
static void test_score(void) {
    double songs[2 * CELLS], values[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        songs[i] = 0;
        songs[CELLS + i] = 2;
        values[i] = 1;
    }
    for (size_t q = 0; q < F; q++) songs[CELLS + SEAM_REGISTER * F + q] = 0; /* all songs alike: no scale */
    songs[SEAM_HARMONY * F] = NAN;                                           /* one song is no scale either */
    g_autoptr(seam_yardstick_t) yardstick = seam_yardstick_new(songs, 2, F);
    seam_t seam = seam_score(yardstick, values);
    assert_near(seam.seam, 0);

    values[SEAM_ONSETS * F] = 1 + 3 * sqrt(2);
    values[SEAM_HELD * F] = 1 - sqrt(2);
    values[SEAM_HELD * F + 1] = 1 + 1.5 * sqrt(2);
    values[SEAM_HELD * F + 2] = 1 - 1.5 * sqrt(2);
    seam = seam_score(yardstick, values);
    assert_near(seam.at_border[SEAM_ONSETS], 3);
    assert_near(seam.at_border[SEAM_HELD], -1);
    assert_near(seam.at_inside[SEAM_HELD], 0);
    assert_near(seam.border, 2);
    assert_near(seam.inside, 0.5); /* of 0 and 1 */
    assert_near(seam.seam, 1.5);
    g_assert_true(isnan(seam.at_border[SEAM_HARMONY]) && isnan(seam.at_border[SEAM_REGISTER]) &&
                  isnan(seam.at_inside[SEAM_REGISTER]));
    assert_near(seam.at_inside[SEAM_HARMONY], 0);

    values[SEAM_ONSETS * F] = 1000;
    assert_near(seam_score(yardstick, values).at_border[SEAM_ONSETS], 5);
    for (size_t i = 0; i < CELLS; i++) values[i] = NAN;
    g_assert_true(isnan(seam_score(yardstick, values).seam));
}

/* Music with a pulse of four frames: chords that change at borders often, inside seldom. Copies of it whose
 * chords never change inside, but always at borders, have a seam; strange music without one (all notes twice
 * as often) has none to speak of. */
static roll_t *compose(GRand *random, double at_border, double inside) {
    enum { FRAMES = 200 };
    roll_t *roll = roll_new(FRAMES, 1, 88);
    int pitch = C4;
    size_t first = 0;
    for (size_t t = 1; t <= FRAMES; t++) {
        if (t < FRAMES && g_rand_double(random) >= (t % F == 0 ? at_border : inside)) continue;
        put(roll, 0, first, t - first, pitch);
        put(roll, 0, first, t - first, pitch + 7);
        pitch = g_rand_int_range(random, 48, 72);
        first = t;
    }
    return roll;
}

static double mean_seam(GRand *random, const seam_yardstick_t *yardstick, double at_border, double inside) {
    enum { PIECES = 30 };
    const grid_t grid = grid_of("merged");
    double sum = 0, values[CELLS];
    for (int i = 0; i < PIECES; i++) {
        g_autoptr(roll_t) roll = compose(random, at_border, inside);
        seam_measure(roll, &grid, F, values);
        sum += seam_score(yardstick, values).seam;
    }
    return sum / PIECES;
}

static void test_planted(void) {
    enum { SONGS = 60 };
    const grid_t grid = grid_of("merged");
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    g_autofree double *songs = g_new(double, SONGS *CELLS);
    for (size_t i = 0; i < SONGS; i++) {
        g_autoptr(roll_t) roll = compose(random, 0.6, 0.2);
        seam_measure(roll, &grid, F, songs + i * CELLS);
    }
    g_autoptr(seam_yardstick_t) yardstick = seam_yardstick_new(songs, SONGS, F);
    g_assert_cmpfloat(fabs(mean_seam(random, yardstick, 0.6, 0.2)), <, 0.25);
    g_assert_cmpfloat(mean_seam(random, yardstick, 0.95, 0.2), >, 1);
    g_assert_cmpfloat(mean_seam(random, yardstick, 0.1, 0.2), >,
                      1); /* nothing ever changes at borders: a seam too */
    g_assert_cmpfloat(mean_seam(random, yardstick, 0.6, 0.5), <, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/seam/features", test_features);
    g_test_add_func("/seam/undefined", test_undefined);
    g_test_add_func("/seam/score", test_score);
    g_test_add_func("/seam/planted", test_planted);
    return g_test_run();
}
