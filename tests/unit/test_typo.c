/* Words of a command line: edit distance, numbers attached to flags. */
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

static void test_split_numbers(void) {
    const struct {
        const char *given, *wanted;
    } cases[] = {
        {"preprocess -j2 in", "preprocess -j 2 in"},
        {"prior -n8 -t.5 -t1.5", "prior -n 8 -t .5 -t 1.5"},
        {"prior -nq -q --seed=3 --dim 3", "prior -nq -q --seed=3 --dim 3"},
        {"prior --latent -1,2 - -", "prior --latent -1,2 - -"},
        {"preprocess -- -j2", "preprocess -- -j2"},
        {"prior", "prior"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) given = g_strsplit(cases[i].given, " ", -1);
        g_auto(GStrv) words = typo_split_numbers((int)g_strv_length(given), given);
        g_autofree char *joined = g_strjoinv(" ", words);
        g_assert_cmpstr(joined, ==, cases[i].wanted);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/word/distance", test_distance);
    g_test_add_func("/word/split-numbers", test_split_numbers);
    return g_test_run();
}
