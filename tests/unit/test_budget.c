/* What `auto` becomes: near what is known to be good for known corpora, and something sensible for any. */
#include <glib/gstdio.h>
#include <string.h>

#include "tests/helpers/run_options.h"
#include "trainer/run/budget.h"

/* n songs of these frames on average: half of them longer by `spread`, half shorter. Owner: caller. */
static int64_t *songs_of(size_t n, int64_t mean, int64_t spread) {
    int64_t *frames = g_new(int64_t, n + 1);
    for (size_t i = 0; i < n; i++) frames[i] = mean + (i % 2 ? spread : -spread);
    return frames;
}

static options_t *chosen(const char *line, size_t n, int64_t mean, int64_t spread) {
    options_t *options = parsed(line);
    g_autofree int64_t *frames = songs_of(n, mean, spread);
    g_autofree char *text = budget_choose(options, frames, n);
    return options;
}

static void test_known(void) {
    const struct {
        const char *line;
        size_t n;
        int64_t mean, spread;
        int chunk, batch, batch_most, epochs, epochs_most;
    } cases[] = {
        {"--preset chorales", 229, 60, 30, 0, 8, 8, 130, 150},  /* JSB Chorales */
        {"--preset folk", 694, 254, 120, 128, 8, 12, 20, 25},   /* Nottingham */
        {"--preset folk", 90, 850, 500, 64, 12, 12, 15, 41},    /* piano music, 76,000 frames */
        {"--preset folk", 500, 490, 300, 64, 12, 12, 15, 40},   /* and 245,000 */
        {"--preset band", 643, 1340, 300, 128, 8, 12, 8, 15},   /* POP909 */
        {"--preset band", 11, 1097, 300, 128, 4, 4, 100, 200},  /* the demo's songs */
        {"--preset folk", 100000, 1500, 700, 64, 12, 12, 2, 2}, /* more than anyone waits for */
        {"--preset chorales", 20000, 16, 4, 0, 48, 48, 10, 20}, /* bars by themselves */
        {"--preset chorales", 100, 16, 4, 0, 12, 12, 400, 400}, /* few of these: 8 steps an epoch */
        {"--preset chorales", 20, 60, 4, 0, 4, 4, 400, 400},    /* fewer steps than that, of 4 pieces */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(options_t) options = chosen(cases[i].line, cases[i].n, cases[i].mean, cases[i].spread);
        g_test_message("case %zu: --batch %d --chunk %d --epochs %d", i, options->batch, options->chunk,
                       options->epochs);
        g_assert_cmpint(options->chunk, ==, cases[i].chunk);
        g_assert_cmpint(options->batch, >=, cases[i].batch);
        g_assert_cmpint(options->batch, <=, cases[i].batch_most);
        g_assert_cmpint(options->epochs, >=, cases[i].epochs);
        g_assert_cmpint(options->epochs, <=, cases[i].epochs_most);
        const int validations = options->epochs / options->validate_every;
        g_assert_true(options->validate_every == 1 ? options->epochs < 30
                                                   : validations > 13 && validations < 30);
    }
}

/* A few songs that are longer than most do not matter, unless one is so long that no memory would hold it. */
static void test_whole(void) {
    int64_t frames[100];
    const struct {
        size_t n_long;
        int64_t length;
        gboolean whole;
    } cases[] = {{0, 0, TRUE},   {5, 161, TRUE},  {6, 161, FALSE},
                 {6, 160, TRUE}, {5, 1000, TRUE}, {1, 1001, FALSE}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (size_t k = 0; k < G_N_ELEMENTS(frames); k++)
            frames[k] = k < cases[i].n_long ? cases[i].length : 60;
        g_autoptr(options_t) options = parsed("--preset chorales");
        g_autofree char *text = budget_choose(options, frames, G_N_ELEMENTS(frames));
        g_assert_true((options->chunk == 0) == cases[i].whole);
    }
}

/* Numbers that are given stay; the others follow them. */
static void test_given(void) {
    g_autofree int64_t *frames = songs_of(100, 500, 0);
    g_autoptr(options_t) some = parsed("--preset folk --chunk 256 --epochs 60"),
                         none = parsed("--batch 7 --epochs 5"),
                         passes = parsed("--preset folk --accumulate 20");
    g_autofree char *text = budget_choose(some, frames, 100), *nothing = budget_choose(none, frames, 100);
    g_assert_cmpstr(text, ==, "--batch 6 --validate-every 3"); /* 1,536 frames in pieces of 256 */
    g_assert_true(some->chunk == 256 && some->epochs == 60 && some->batch == 6 && some->validate_every == 3);
    g_assert_null(nothing);
    g_assert_true(none->batch == 7 && none->epochs == 5 && none->validate_every == 1);
    g_autofree char *all = budget_choose(passes, frames, 100);
    g_assert_cmpint(passes->batch, ==, 20);
    g_assert_cmpstr(all, ==, "--chunk 64 --batch 20 --epochs 54 --validate-every 3");
}

/* Whatever the corpus and the model, a run can begin: what is chosen is in the options' ranges, chunks begin
 * where the model lets them, and there is a batch, which no epoch has fewer samples than. More songs never
 * mean more epochs. */
static void test_any(void) {
    const int64_t lengths[] = {1, 7, 60, 160, 161, 255, 900, 5000, 4000000};
    const size_t counts[] = {0, 1, 3, 4, 31, 32, 33, 1000, 40000};
    const char *const models[] = {"--segment 4", "--segment 16 --memory 8", "--segment 63 --memory 8",
                                  "--segment 4095 --memory 8"};
    for (size_t m = 0; m < G_N_ELEMENTS(models); m++) {
        for (size_t l = 0; l < G_N_ELEMENTS(lengths); l++) {
            int before = G_MAXINT;
            for (size_t c = 0; c < G_N_ELEMENTS(counts); c++) {
                g_autofree char *line = g_strdup_printf("--preset folk %s", models[m]);
                g_autoptr(options_t) options = chosen(line, counts[c], lengths[l], 0);
                const int64_t chunk = options->chunk, songs = (int64_t)counts[c],
                              samples = songs * (chunk > 0 ? (lengths[l] + chunk - 1) / chunk : 1);
                g_assert_true(options->batch >= 1 && options->batch <= MAX(samples, 1));
                g_assert_true(options->batch >= MIN(samples, 4) && options->batch <= 64);
                g_assert_true(options->epochs >= 2 && options->epochs <= MIN(before, 400));
                g_assert_true(chunk == 0 || (size_t)chunk % model_alignment(&options->sizes) == 0);
                before = options->epochs;
                assert_sound_options(options); /* the text of their numbers is read */
                g_autofree char *text = options_to_text(options);
                g_assert_null(strstr(text, "auto\n"));
            }
        }
    }
}

/* A run's numbers stay when it is resumed with `auto`, and numbers that are given take their place. */
static void test_resumed(void) {
    g_autofree char *run = g_dir_make_tmp("mpianist-budget-XXXXXX", NULL),
                    *stored = g_build_filename(run, "run.ini", NULL);
    g_autoptr(options_t) old = chosen("--preset folk", 100, 500, 0);
    g_autofree char *text = options_to_text(old);
    g_assert_true(g_file_set_contents(stored, text, -1, NULL));
    const struct {
        const char *more;
        int batch, epochs;
    } cases[] = {{"", old->batch, old->epochs},
                 {" --preset folk", old->batch, old->epochs},
                 {" --epochs auto --batch auto", old->batch, old->epochs},
                 {" --preset folk --epochs 900", old->batch, 900}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gboolean help;
        g_autofree char *line =
            g_strdup_printf("trainer --data d --output %s --resume auto%s", run, cases[i].more);
        g_autoptr(options_t) options = parse_whole(line, FALSE, &help, &error);
        g_assert_no_error(error);
        g_assert_true(options->batch == cases[i].batch && options->epochs == cases[i].epochs &&
                      options->chunk == old->chunk && options->validate_every == old->validate_every);
    }
    g_autofree char *line = g_strdup_printf("--output %s --preset folk", run), *again = NULL;
    gboolean help;
    again = g_strdup_printf("trainer --data d %s", line);
    g_autoptr(options_t) another = parse_whole(again, FALSE, &help, NULL); /* a new run chooses anew */
    g_assert_true(another->batch == OPTIONS_AUTO && another->epochs == OPTIONS_AUTO);
    g_unlink(stored);
    g_rmdir(run);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/budget/known", test_known);
    g_test_add_func("/budget/whole", test_whole);
    g_test_add_func("/budget/given", test_given);
    g_test_add_func("/budget/any", test_any);
    g_test_add_func("/budget/resumed", test_resumed);
    return g_test_run();
}
