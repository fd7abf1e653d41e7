/* Keys: names, estimates of pieces whose key is known, intervals between keys, and transposition within the
 * pitches of the grid. */
#include <string.h>

#include "sampler/make/key.h"

enum { LOW = 21, CHORD = 4 };

static grid_t make_grid(const char *tracks) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

static void add_note(roll_t *roll, size_t track, int pitch, size_t first, size_t frames) {
    for (size_t t = first; t < first + frames; t++)
        roll_set(roll, t, track, PLANE_SOUNDING, (size_t)(pitch - LOW));
}

/* I IV V I of a key from pitch `tonic` on, four frames a chord, in all tracks that are no drums; drums play
 * every frame. */
static roll_t *make_cadence(const grid_t *grid, int tonic, gboolean minor) {
    static const int roots[] = {0, 5, 7, 0};
    roll_t *roll = roll_new(4 * CHORD, (size_t)grid->n_tracks, (size_t)grid->pitches);
    for (size_t k = 0; k < roll->tracks; k++)
        for (size_t c = 0; c < 4; c++) {
            const int third = minor && roots[c] != 7 ? 3 : 4; /* the dominant is major */
            const int chord[] = {tonic + roots[c], tonic + roots[c] + third, tonic + roots[c] + 7};
            for (size_t i = 0; i < G_N_ELEMENTS(chord) && grid->roles[k] != ROLE_DRUMS; i++)
                add_note(roll, k, chord[i], c * CHORD, CHORD);
            for (int i = 0; i < CHORD && grid->roles[k] == ROLE_DRUMS; i++)
                add_note(roll, k, 36 + i * 2, c * CHORD, CHORD);
        }
    roll_make_canonical(roll);
    return roll;
}

static void test_text(void) {
    for (int i = 0; i < 24; i++) {
        const musical_key_t key = {.tonic = i % 12, .minor = i >= 12};
        musical_key_t back;
        g_assert_true(key_from_text(key_to_text(key), &back));
        g_assert_cmpint(back.tonic, ==, key.tonic);
        g_assert_cmpint(back.minor, ==, key.minor);
    }
    static const struct {
        const char *text;
        int tonic;
        gboolean minor;
    } good[] = {{"C", 0, FALSE},       {"Am", 9, TRUE},        {"F#m", 6, TRUE},  {"Bb", 10, FALSE},
                {"b", 11, FALSE},      {"bb", 10, FALSE},      {"Cb", 11, FALSE}, {"B#", 0, FALSE},
                {"eb minor", 3, TRUE}, {"G# major", 8, FALSE}, {"Dmin", 2, TRUE}, {"Gmaj", 7, FALSE},
                {"F♯m", 6, TRUE},      {"B♭", 10, FALSE}};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        musical_key_t key;
        g_assert_true(key_from_text(good[i].text, &key));
        g_assert_cmpint(key.tonic, ==, good[i].tonic);
        g_assert_cmpint(key.minor, ==, good[i].minor);
    }
    static const char *const bad[] = {"",           "H", "Cx", "C##",   "mC", "Amm",
                                      "A minorish", "#", " C", "C dur", "1"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        musical_key_t key;
        g_assert_false(key_from_text(bad[i], &key));
    }
}

static void test_estimate(void) {
    static const char *const tracks[] = {"merged", "melody,drums", "drums,melody,bass"};
    for (size_t g = 0; g < G_N_ELEMENTS(tracks); g++) {
        const grid_t grid = make_grid(tracks[g]);
        for (int tonic = 0; tonic < 12; tonic++)
            for (int minor = 0; minor < 2; minor++) {
                g_autoptr(roll_t) roll = make_cadence(&grid, 55 + tonic, minor);
                musical_key_t key = {.tonic = -1};
                g_assert_true(key_estimate(roll, &grid, &key));
                g_assert_cmpstr(key_to_text(key), ==,
                                key_to_text((musical_key_t){.tonic = (55 + tonic) % 12, .minor = minor}));
            }
    }
}

/* The same notes, but it is their lengths that tell A minor from C major. */
static void test_durations(void) {
    const grid_t grid = make_grid("merged");
    g_autoptr(roll_t) major = roll_new(40, 1, 88), minor = roll_new(40, 1, 88);
    static const int scale[] = {60, 62, 64, 65, 67, 69, 71};
    for (size_t i = 0; i < G_N_ELEMENTS(scale); i++) {
        const int pitch = scale[i];
        add_note(major, 0, pitch, 0, pitch == 60 || pitch == 64 || pitch == 67 ? 40 : 8);
        add_note(minor, 0, pitch, 0, pitch == 69 || pitch == 60 || pitch == 64 ? 40 : 8);
    }
    musical_key_t key;
    g_assert_true(key_estimate(major, &grid, &key));
    g_assert_cmpstr(key_to_text(key), ==, "C");
    g_assert_true(key_estimate(minor, &grid, &key));
    g_assert_cmpstr(key_to_text(key), ==, "Am");
}

static void test_none(void) {
    const grid_t grid = make_grid("melody,drums");
    g_autoptr(roll_t) roll = roll_new(8, 2, 88);
    musical_key_t key;
    g_assert_false(key_estimate(roll, &grid, &key));
    for (int p = 0; p < 7; p++) add_note(roll, 1, 36 + p, 0, 4);
    g_assert_false(key_estimate(roll, &grid, &key)); /* drums alone */
    for (int p = 0; p < 12; p++) add_note(roll, 0, 60 + p, 0, 4);
    g_assert_false(key_estimate(roll, &grid, &key)); /* all alike */
}

static int interval(const char *from, const char *to) {
    musical_key_t a, b;
    g_assert_true(key_from_text(from, &a) && key_from_text(to, &b));
    return key_interval(a, b);
}

static void test_interval(void) {
    g_assert_cmpint(interval("C", "C"), ==, 0);
    g_assert_cmpint(interval("C", "D"), ==, 2);
    g_assert_cmpint(interval("C", "F"), ==, 5);
    g_assert_cmpint(interval("C", "F#"), ==, -6);
    g_assert_cmpint(interval("C", "G"), ==, -5);
    g_assert_cmpint(interval("C", "Bb"), ==, -2);
    g_assert_cmpint(interval("Am", "F#m"), ==, -3);
    g_assert_cmpint(interval("C", "Am"), ==, 0);
    g_assert_cmpint(interval("Am", "C"), ==, 0);
    g_assert_cmpint(interval("C", "Cm"), ==, 3);
    g_assert_cmpint(interval("Cm", "C"), ==, -3);
    g_assert_cmpint(interval("G", "Am"), ==, 5);
}

/* After transposition the key is the wanted one or its relative; drums stay bit by bit. */
static void test_transpose(void) {
    const grid_t grid = make_grid("drums,melody");
    for (int tonic = 0; tonic < 12; tonic++)
        for (int minor = 0; minor < 2; minor++) {
            g_autoptr(roll_t) roll = make_cadence(&grid, 60, minor), before = make_cadence(&grid, 60, minor);
            const musical_key_t wanted = {.tonic = tonic, .minor = TRUE};
            musical_key_t key;
            size_t folded = 9;
            g_assert_true(key_estimate(roll, &grid, &key));
            const int semitones = key_transpose(roll, &grid, key_interval(key, wanted), &folded);
            g_assert_cmpuint(folded, ==, 0);
            g_assert_cmpint(abs(semitones), <=, 6);
            g_assert_true(key_estimate(roll, &grid, &key));
            g_assert_cmpint(key.tonic, ==, key.minor ? tonic : (tonic + 3) % 12);
            g_assert_cmpint(key.minor, ==, minor);
            for (size_t t = 0; t < roll->frames; t++)
                for (size_t p = 0; p < 88; p++)
                    for (int plane = 0; plane < ROLL_PLANES; plane++) {
                        g_assert_cmpint(roll_get(roll, t, 0, plane, p), ==, roll_get(before, t, 0, plane, p));
                        const int from = (int)p - semitones;
                        g_assert_cmpint(roll_get(roll, t, 1, plane, p), ==,
                                        from >= 0 && from < 88 &&
                                            roll_get(before, t, 1, plane, (size_t)from));
                    }
        }
}

static void test_range(void) {
    const grid_t grid = make_grid("merged");
    g_autoptr(roll_t) high = roll_new(4, 1, 88), wide = roll_new(8, 1, 88);
    size_t folded;
    add_note(high, 0, 107, 0, 2); /* a semitone below the top */
    roll_make_canonical(high);
    g_assert_cmpint(key_transpose(high, &grid, 5, &folded), ==, -7);
    g_assert_cmpuint(folded, ==, 0);
    g_assert_true(roll_get(high, 1, 0, PLANE_SOUNDING, 100 - LOW));
    g_assert_cmpint(key_transpose(high, &grid, 0, &folded), ==, 0);
    add_note(wide, 0, 21, 0, 2);
    add_note(wide, 0, 22, 2, 2);
    add_note(wide, 0, 108, 4, 2);
    roll_make_canonical(wide);
    g_assert_cmpint(key_transpose(wide, &grid, -2, &folded), ==,
                    10); /* one note leaves it at the top, two would at the bottom */
    g_assert_cmpuint(folded, ==, 1);
    g_assert_true(roll_get(wide, 4, 0, PLANE_ONSET, 106 - LOW));
    g_assert_true(roll_get(wide, 0, 0, PLANE_ONSET, 31 - LOW));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/key/text", test_text);
    g_test_add_func("/key/estimate", test_estimate);
    g_test_add_func("/key/durations", test_durations);
    g_test_add_func("/key/none", test_none);
    g_test_add_func("/key/interval", test_interval);
    g_test_add_func("/key/transpose", test_transpose);
    g_test_add_func("/key/range", test_range);
    return g_test_run();
}
