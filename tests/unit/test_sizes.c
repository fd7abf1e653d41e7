/* The table of a model's sizes: text and back, ranges, what follows from them. */
#include <string.h>

#include "trainer/model/sizes.h"

static const model_config_t dense = {.kind = MODEL_DENSE,
                                     .window = 4,
                                     .tracks = 2,
                                     .planes = 1,
                                     .pitches = 13,
                                     .latent = 3,
                                     .hidden = {7, 5},
                                     .n_hidden = 2};
static const model_config_t sequence = {.kind = MODEL_SEQUENCE,
                                        .tracks = 2,
                                        .planes = 2,
                                        .pitches = 13,
                                        .latent = 3,
                                        .sequence = {.segment = 8,
                                                     .state = 10,
                                                     .encoder = 11,
                                                     .sketch = 12,
                                                     .nade = 13,
                                                     .tied = 14,
                                                     .posterior_hidden = 15,
                                                     .prior_hidden = 16,
                                                     .sketch_hidden = 17,
                                                     .lags = {1, 3, 18},
                                                     .n_lags = 3,
                                                     .profiles = {5, 40},
                                                     .n_profiles = 2}};

static const size_row_t *find(const char *name) {
    const size_row_t *size = MODEL_SIZES;
    while (size->name && !g_str_equal(size->name, name)) size++;
    g_assert_nonnull(size->name);
    return size;
}

/* A config whose sizes are read one by one from the texts of another is that one. */
static void test_round_trip(void) {
    const model_config_t *const configs[] = {&dense, &sequence};
    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        model_config_t config = {.kind = configs[i]->kind};
        g_assert_nonnull(sizes_find_wrong(&config));
        for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
            g_autofree char *text = size_text(size, configs[i]);
            if (size_applies(size, configs[i])) g_assert_true(size_parse(size, text, &config));
        }
        g_assert_cmpint(memcmp(&config, configs[i], sizeof config), ==, 0);
        g_assert_null(sizes_find_wrong(&config));
    }
    g_autofree char *lags = size_text(find("lags"), &sequence), *none = size_text(find("lags"), &dense);
    g_assert_cmpstr(lags, ==, "1,3,18");
    g_assert_cmpstr(none, ==, "");
}

static void test_texts(void) {
    static const struct {
        const char *name, *right[4], *wrong[10];
    } cases[] = {
        {"planes", {"sounding", "both"}, {"", "2", "onset", "both,both"}},
        {"latent", {"0", "65536"}, {"", "-1", "65537", "1,2", "1.5", "x"}},
        {"segment", {"1", "4096"}, {"0", "4097", "4,8"}},
        {"hidden",
         {"1", "65536,4,4", "8,8,8,8,8,8,8,8"},
         {"", "0", "4,", "4,0", "65537", "1,1,1,1,1,1,1,1,1"}},
        {"lags",
         {"1", "2,1024", "1,2,3,4,5,6,7,8,9,10,11,12"},
         {"", "0", "2,2", "4,2", "0,1", "1025", "1;2", "1,2,3,4,5,6,7,8,9,10,11,12,13"}},
        {"profiles", {"0", "16", "1,2,3,4"}, {"", "0,1", "4,2", "1,2,3,4,5", "1025"}},
        {"bar-lags", {"0", "8", "1,2,4"}, {"", "0,1", "4,2", "1,2,3,4,5,6,7", "9"}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        model_config_t config = sequence;
        for (const char *const *text = cases[i].right; *text; text++) {
            g_assert_true(size_parse(find(cases[i].name), *text, &config));
            g_autofree char *same = size_text(find(cases[i].name), &config);
            g_assert_cmpstr(same, ==, *text);
        }
        for (const char *const *text = cases[i].wrong; *text; text++)
            if (size_parse(find(cases[i].name), *text, &config))
                g_test_fail_printf("%s: '%s' is taken", cases[i].name, *text);
    }
}

/* Each number at both ends of its range, and past them. */
static void test_ranges(void) {
    for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
        if (size->count) continue;
        model_config_t config = size->kinds == 1U << MODEL_DENSE ? dense : sequence;
        const size_t lowest = size->none ? 0 : size->lowest,
                     values[] = {lowest, size->highest, lowest - 1, size->highest + 1};
        for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
            memcpy((char *)&config + size->offset, &values[i], sizeof values[i]);
            g_autoptr(GError) error = NULL;
            g_assert_true(sizes_find_wrong(&config) == (i < 2 ? NULL : size));
            g_assert_true(sizes_check(&config, &error) == (i < 2));
            g_assert_true(i < 2 || strstr(error->message, size->name));
        }
    }
    model_config_t config = dense;
    config.latent = 0; /* which the sequence model alone may have */
    g_assert_true(sizes_find_wrong(&config) == find("latent"));
}

/* The frames before, of a config that nobody has checked, too. */
static void test_context(void) {
    model_config_t config = sequence;
    g_assert_cmpuint(model_context(&config), ==, 40);
    config.sequence.n_profiles = 0;
    g_assert_cmpuint(model_context(&config), ==, 18);
    config.sequence.n_lags = 0;
    g_assert_cmpuint(model_context(&config), ==, 0);
    config.sequence.bar = 24;
    config.sequence.bar_lags[0] = 2;
    config.sequence.n_bar_lags = 1;
    g_assert_cmpuint(model_context(&config), ==, 48);
    g_assert_cmpuint(model_context(&dense), ==, 0);
}

/* The pitches that have memories: a margin around those that sound, as far as there are keys. */
static void test_ties(void) {
    static const struct {
        size_t lowest, highest, first, end;
    } cases[] = {{5, 7, 3, 10}, {1, 12, 0, 13}, {0, 0, 0, 3}, {12, 12, 10, 13}, {2, 10, 0, 13}};
    model_config_t config = sequence;
    model_tie_all(&config);
    g_assert_true(config.sequence.tied_first == 0 && config.sequence.tied_pitches == 0);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        config.sequence.memory = i % 2 ? 4 : 0;
        config.sequence.note = i % 2 ? 0 : 4;
        model_tie_range(&config, cases[i].lowest, cases[i].highest);
        g_assert_cmpuint(config.sequence.tied_first, ==, cases[i].first);
        g_assert_cmpuint(config.sequence.tied_first + config.sequence.tied_pitches, ==, cases[i].end);
    }
    model_tie_all(&config);
    g_assert_true(config.sequence.tied_first == 0 && config.sequence.tied_pitches == 13);
    config.sequence.memory = 4;
    config.sequence.note = 5;
    g_assert_cmpuint(model_memory_units(&config), ==, 18);
    g_assert_cmpuint(model_memory_units(&dense), ==, 0);
}

/* Where chunks of pieces may begin: at segments and, with a memory, at the start of its count of frames. */
static void test_alignment(void) {
    static const size_t segments[] = {1, 4, 8, 12, 16, 24, 48, 7},
                        wanted[] = {16, 16, 16, 48, 16, 48, 48, 112};
    model_config_t config = sequence;
    for (size_t i = 0; i < G_N_ELEMENTS(segments); i++) {
        config.sequence.segment = segments[i];
        config.sequence.memory = 0;
        g_assert_cmpuint(model_alignment(&config), ==, segments[i]);
        config.sequence.memory = 4;
        g_assert_cmpuint(model_alignment(&config), ==, wanted[i]);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sizes/round-trip", test_round_trip);
    g_test_add_func("/sizes/texts", test_texts);
    g_test_add_func("/sizes/ranges", test_ranges);
    g_test_add_func("/sizes/context", test_context);
    g_test_add_func("/sizes/ties", test_ties);
    g_test_add_func("/sizes/alignment", test_alignment);
    return g_test_run();
}
