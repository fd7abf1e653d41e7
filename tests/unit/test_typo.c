/* Misspelt names: edit distance. */
#include "preprocess/common/typo.h"

static void test_distance(void) {
    const struct {
        const char *a, *b;
        size_t edits;
    } cases[] = {{"", "", 0},     {"prior", "prior", 0},    {"priro", "prior", 2}, {"", "song", 4},
                 {"song", "", 4}, {"kitten", "sitting", 3}, {"dim", "dims", 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(typo_distance(cases[i].a, cases[i].b), ==, cases[i].edits);
        g_assert_cmpuint(typo_distance(cases[i].b, cases[i].a), ==, cases[i].edits);
    }
    g_autofree char *longest = g_strnfill(10000, 'x'); /* only the first 63 bytes of b count */
    g_assert_cmpuint(typo_distance("x", longest), ==, 62);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/word/distance", test_distance);
    return g_test_run();
}
