/* What a rebuilt piece has of the true one, counted by hand. */
#include "trainer/evaluate/figures.h"

/* Counts of three segments by hand, with and without a plane of onsets. */
static void test_notes(void) {
    model_config_t config = {.tracks = 1, .planes = 1, .pitches = 9}; /* two bytes a plane */
    const uint8_t truth[] = {3, 0, 3, 0, 7, 0, 0, 0}, found[] = {1, 1, 3, 0, 3, 0, 16, 0};
    rebuilt_t rebuilt = {0};
    rebuilt_add(&rebuilt, &config, truth, NULL, found, NULL, 2);
    rebuilt_add(&rebuilt, &config, truth + 4, truth + 2, found + 4, found + 2, 2);
    g_assert_cmpfloat(rebuilt.cells.hits, ==, 5); /* of frames 1, 2, 3, 4: 1, 2, 2, 0 */
    g_assert_cmpfloat(rebuilt.cells.misses, ==, 2);
    g_assert_cmpfloat(rebuilt.cells.false_alarms, ==, 2);
    g_assert_cmpfloat(rebuilt.onsets.hits, ==, 1); /* true: keys 0 and 1, -, 2, -; found: 0 and 8, 1, -, 4 */
    g_assert_cmpfloat(rebuilt.onsets.misses, ==, 2);
    g_assert_cmpfloat(rebuilt.onsets.false_alarms, ==, 3);
    g_assert_cmpfloat(rebuilt.off, ==, 0); /* 4 and 4, 3 and 3 */
    rebuilt_add(&rebuilt, &config, truth, NULL, truth + 4, NULL, 2);
    g_assert_cmpfloat(rebuilt.off, ==, 1); /* 4 and 3 */
    rebuilt_add(&rebuilt, &config, truth + 4, NULL, truth, NULL, 2);
    g_assert_cmpfloat(rebuilt.off, ==, 2); /* and neither cancels the other */
    g_assert_cmpfloat_with_epsilon(rebuilt_density_error(&rebuilt), 2.0 / 14, 1e-12);

    config.planes = 2; /* the same bytes are two frames of both planes each */
    rebuilt_t both = {0};
    rebuilt_add(&both, &config, truth, NULL, found, NULL, 2);
    g_assert_cmpfloat(both.cells.hits, ==, 3);
    g_assert_cmpfloat(both.cells.misses, ==, 2);
    g_assert_cmpfloat(both.onsets.hits, ==, 2);
    g_assert_cmpfloat(both.onsets.misses, ==, 0);
    g_assert_cmpfloat(both.onsets.false_alarms, ==, 1);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rebuilt/notes", test_notes);
    return g_test_run();
}
