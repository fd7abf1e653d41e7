/* Self-similarity and fitness of small pieces against values worked out by hand, and what songs with a
 * form get that songs without one do not. */
#include "sampler/score/structure.h"

#include <math.h>
#include <string.h>

#include "trainer/model/rng.h"

enum { UNIT = 8, C4 = 60 };

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) < 1e-6)) g_error("%.12g is not %.12g", value, expected);
}

/* S of a text: units of the same letter are alike. Owner: caller. */
static float *similarity_of(const char *text) {
    const size_t N = strlen(text);
    float *S = g_new(float, N *N);
    for (size_t i = 0; i < N * N; i++) S[i] = text[i / N] == text[i % N] ? 1 : -2;
    return S;
}

static double fitness_of(const char *text, size_t first, size_t M) {
    g_autofree float *S = similarity_of(text);
    return structure_fitness(S, strlen(text), first, M);
}

static void test_fitness(void) {
    assert_near(fitness_of("abab", 0, 2), 0.5);      /* sigma = gamma = (4 - 2) / 4 */
    assert_near(fitness_of("abababab", 2, 2), 0.75); /* (k - 1) / k */
    assert_near(fitness_of("abcd", 0, 2), 0);
    assert_near(fitness_of("abcd", 0, 4), 0); /* all of it repeats nothing */
    assert_near(fitness_of("a", 0, 1), 0);
    assert_near(fitness_of("aa", 1, 1), 0.5);
    /* abc, and once more without its b: step (1, 2). score 3 + 2, of 5 cells, over 5 of 7 units:
     * sigma = 2 / 5, gamma = 2 / 7. */
    assert_near(fitness_of("abcxacy", 0, 3), 2 * 0.4 * (2.0 / 7) / (0.4 + 2.0 / 7));
    /* ab, and once more with something between, which a step (2, 1) passes over: score 4 of 4 cells over 5
     * of 6 units: sigma = 2 / 4, gamma = 3 / 6. */
    assert_near(fitness_of("abxayb", 0, 2), 0.5);
    assert_near(fitness_of("abcxabyc", 0, 3), 0.5); /* 6 of 6 cells over 7 of 8 units */
    /* A path begins with the segment's first unit: b alone is no repetition of ab. */
    assert_near(fitness_of("abxb", 0, 2), 0);
    /* abcd again as abxd: x costs 2, score 4 + 3 - 2 of 8 cells: sigma = 1 / 8, gamma = 4 / 9. */
    assert_near(fitness_of("abcdyabxd", 0, 4), 2 * 0.125 * (4.0 / 9) / (0.125 + 4.0 / 9));
    assert_near(fitness_of("abcdaxxd", 0, 4), 0); /* as axxd it costs as much as it gives */
}

static grid_t merged(void) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, "merged", NULL));
    return grid;
}

static void put(roll_t *roll, size_t first, size_t frames, int pitch) {
    const size_t p = (size_t)(pitch - grid_default().pitch_low);
    for (size_t t = first; t < first + frames; t++) roll_set(roll, t, 0, PLANE_SOUNDING, p);
    roll_set(roll, first, 0, PLANE_ONSET, p);
}

/* The letters of a text are chords for a unit each, moved up by so many semitones. */
static roll_t *roll_of(const char *text, int up) {
    roll_t *roll = roll_new(strlen(text) * UNIT, 1, 88);
    for (size_t n = 0; text[n]; n++) {
        const rng_t rng = rng_make(1, RNG_SHUFFLE, 0, (uint64_t)text[n]);
        for (uint64_t i = 0; i < 3; i++) put(roll, n * UNIT, UNIT, C4 + up + (int)rng_permute(&rng, i, 12));
    }
    return roll;
}

static void measure(const char *text, int up, double indicators[STRUCTURE_SPANS]) {
    const grid_t grid = merged();
    g_autoptr(roll_t) roll = roll_of(text, up);
    structure_measure(roll, &grid, indicators);
}

/* Eight units and the same again: along the diagonal that says so, means of eight are 1 from its first unit
 * forwards and from its last one backwards. Silence at the end is no part of the piece. */
static void test_similarity(void) {
    const grid_t grid = merged();
    size_t N;
    g_autoptr(roll_t) roll = roll_of("abcdefghabcdefgh--", 0);
    memset(roll->bits + 16 * UNIT * roll_frame_bytes(roll), 0, 2 * UNIT * roll_frame_bytes(roll));
    g_autofree float *S = structure_similarity(roll, &grid, &N);
    g_assert_cmpuint(N, ==, 16);
    assert_near(S[0 * N + 8], 1);
    assert_near(S[7 * N + 15], 1);
    assert_near(S[8 * N + 0], 1);
    g_assert_true(S[4 * N + 12] > 0 && S[4 * N + 12] < 1); /* five of eight */
    assert_near(S[0 * N + 15], -2);
    size_t kept = 0;
    for (size_t i = 0; i < N * N; i++) kept += S[i] >= 0;
    g_assert_cmpuint(kept, >=, N * N / 4);
    g_assert_cmpuint(kept, <, N * N / 3);
    for (size_t n = 0; n < N; n++) assert_near(S[n * N + n], 1);
    /* The second half moved up repeats the first one all the same. */
    g_autoptr(roll_t) half = roll_of("abcdefgh", 0), moved = roll_of("abcdefgh", 5),
                      both = roll_of("abcdefghijklmnop", 0);
    roll_copy(half, 0, half->frames, both, 0);
    roll_copy(moved, 0, moved->frames, both, half->frames);
    g_autofree float *T = structure_similarity(both, &grid, &N);
    assert_near(T[0 * N + 8], 1);
    assert_near(T[15 * N + 7], 1);
    g_autoptr(roll_t) silence = roll_new(4 * UNIT, 1, 88);
    g_autofree float *none = structure_similarity(silence, &grid, &N);
    g_assert_true(!none && N == 0);
}

static void test_form(void) {
    double form[STRUCTURE_SPANS], moved[STRUCTURE_SPANS], none[STRUCTURE_SPANS];
    /* Sixteen units, other eight, the sixteen again. */
    measure("abcdefghijklmnopqrstuvwxabcdefghijklmnop", 0, form);
    measure("abcdefghijklmnopqrstuvwxabcdefghijklmnop", 3, moved);
    measure("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN", 0, none);
    /* Of 40 units the sixteen explain sixteen more: gamma = 16 / 40, sigma = (32 - 16) / 32, fitness
     * 0.444. */
    g_assert_cmpfloat(form[STRUCTURE_LONG], >, 0.44);
    g_assert_cmpfloat(form[STRUCTURE_LONG], <, 0.5);
    g_assert_cmpfloat(none[STRUCTURE_LONG], <, form[STRUCTURE_LONG] - 0.1);
    for (size_t span = 0; span < STRUCTURE_SPANS; span++) assert_near(form[span], moved[span]);
}

static void test_short_pieces(void) {
    double indicators[STRUCTURE_SPANS];
    measure("ab", 0, indicators);
    g_assert_true(isnan(indicators[STRUCTURE_SHORT]) && isnan(indicators[STRUCTURE_LONG]));
    measure("abcdabcd", 0, indicators);
    g_assert_true(indicators[STRUCTURE_SHORT] > 0 && !isnan(indicators[STRUCTURE_MID]) &&
                  isnan(indicators[STRUCTURE_LONG]));
    measure("aaaaaaaaaaaaaaaa", 0, indicators); /* one chord */
    g_assert_cmpfloat(indicators[STRUCTURE_SHORT], >, 0.5);
}

/* A song of any length takes no longer than one of STRUCTURE_MOST units. */
static void test_long_pieces(void) {
    const grid_t grid = merged();
    size_t N;
    g_autoptr(roll_t) roll = roll_new((STRUCTURE_MOST + 100) * UNIT, 1, 88);
    put(roll, roll->frames - 1, 1, C4);
    g_autofree float *S = structure_similarity(roll, &grid, &N);
    g_assert_cmpuint(N, ==, STRUCTURE_MOST);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/structure/fitness", test_fitness);
    g_test_add_func("/structure/similarity", test_similarity);
    g_test_add_func("/structure/form", test_form);
    g_test_add_func("/structure/short-pieces", test_short_pieces);
    g_test_add_func("/structure/long-pieces", test_long_pieces);
    return g_test_run();
}
