/* Options of a run as text and as what they mean: files, run.ini there and back in every locale, grammars. */
#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>

#include "tests/helpers/run_options.h"
#include "trainer/run/option_table.h"

static void test_files(void) {
    const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        {"[training]\nbacth=3\n", OPTION_ERROR_USAGE, "unknown option 'bacth'; did you mean 'batch'?"},
        {"[training]\nfoo=3\n", OPTION_ERROR_USAGE, "unknown option 'foo'; --help lists all"},
        {"[training]\nbatch=many\n", OPTION_ERROR_USAGE,
         "batch: 'many' is not a whole number from 1 to 1048576"},
        {"[training]\nbatch=64 # windows\n", OPTION_ERROR_USAGE,
         "batch: '64 # windows' is not a whole number from 1 to 1048576"},
        {"[training]\nlatent=3\n", OPTION_ERROR_USAGE, "'latent' stands in [training]; move it to [model]"},
        {"[run]\ndata=x\n", OPTION_ERROR_USAGE,
         "'data' cannot stand in a file; give --data on the command line"},
        {"batch=3\n", OPTION_ERROR_FILE, "cannot read options: "},
        {"[training\n", OPTION_ERROR_FILE, "cannot read options: "},
        {"[training]\nbatch=3\n [model]\n[training]\n batch =5\n", OPTION_ERROR_USAGE,
         "'batch' is there twice; give it once"},
        {"[training]\nbatch[de]=3\n", OPTION_ERROR_USAGE, "unknown option 'batch[de]'; "},
        {"[training]\nbatch=1e3\n", OPTION_ERROR_USAGE, "batch: '1e3' is not a whole number"},
        {"[training]\nbeta=1e999\n", OPTION_ERROR_USAGE, "beta: '1e999' is not a number"},
        {"[training]\nseed=9223372036854775808\n", OPTION_ERROR_USAGE, "seed: '9223372036854775808' is not"},
        {"[training]\nbatch=\xFF\n", OPTION_ERROR_FILE, "cannot read options: not a text file; "},
        {"[training]\nbatch=\n", OPTION_ERROR_USAGE, "batch: '' is not a whole number"},
        {"[]\nbatch=3\n", OPTION_ERROR_FILE, "cannot read options: "},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = write_file("bad.ini", cases[i].text);
        g_autofree char *more = g_strdup_printf("--config %s", path),
                        *start = g_strdup_printf("%s: %s", path, cases[i].message);
        g_autoptr(options_t) options = parse(more, &error);
        g_assert_null(options);
        g_assert_error(error, OPTION_ERROR, cases[i].code);
        g_assert_true(g_str_has_prefix(error->message, start));
        g_unlink(path);
    }
    const char *const unreadable[] = {"--config /nonexistent/run.ini", "--config /", "--config /dev/zero"};
    for (size_t i = 0; i < G_N_ELEMENTS(unreadable); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(options_t) options = parse(unreadable[i], &error);
        g_assert_null(options);
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_FILE);
        if (i == 0)
            g_assert_cmpstr(
                error->message, ==,
                "/nonexistent/run.ini: cannot read options: No such file or directory; give a run.ini");
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *binary = g_build_filename(g_get_tmp_dir(), "mpianist-binary.ini", NULL);
    g_autofree char *more = g_strdup_printf("--config %s", binary);
    g_assert_true(g_file_set_contents(binary, "[model]\n\0\n", 10, NULL));
    g_autoptr(options_t) options = parse(more, &error);
    g_assert_error(error, OPTION_ERROR, OPTION_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "not a text file"));
    g_unlink(binary);
    g_clear_error(&error);
    /* What a run was trained with may come along where it is evaluated. */
    g_autofree char *run = write_file("run.ini", "[training]\nepochs=5\n");
    g_autofree char *line = g_strdup_printf("trainer --data d --evaluate best.h5 --config %s", run);
    gboolean help;
    g_autoptr(options_t) evaluate = parse_whole(line, FALSE, &help, &error);
    g_assert_no_error(error);
    g_assert_cmpint(evaluate->epochs, ==, 5);
    g_unlink(run);
}

/* What is odd and means what it says: line ends and marks of other systems, comments, an empty group. */
static void test_odd_files(void) {
    static const char *const texts[] = {"\xEF\xBB\xBF[training]\r\nbatch=3\r\n", "[training]\nbatch = 3",
                                        "\n#x=1\n # batch=4\n[nothing]\n[training]\n\tbatch\t=\t3 \n"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *path = write_file("odd.ini", texts[i]), *more = g_strdup_printf("--config %s", path);
        g_autoptr(options_t) options = parsed(more);
        g_assert_cmpint(options->batch, ==, 3);
        g_unlink(path);
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strnfill(10 << 20, 'x'), *path = write_file("long.ini", name),
                    *more = g_strdup_printf("--config %s", path),
                    *says =
                        g_strdup_printf("%s: cannot read options: larger than 64 KiB; give a run.ini", path);
    g_autoptr(options_t) options = parse(more, &error);
    g_assert_error(error, OPTION_ERROR, OPTION_ERROR_FILE);
    g_assert_cmpstr(error->message, ==, says);
    g_unlink(path);
}

/* Text of odd values reads back to the same text and bits, also where the locale writes numbers with commas.
 */
static void test_round_trip(void) {
    const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"}; /* those that the machine knows */
    for (size_t i = 0; i < G_N_ELEMENTS(locales); i++) {
        if (!setlocale(LC_ALL, locales[i])) continue;
        g_autoptr(GError) error = NULL;
        g_autoptr(options_t) options = parsed(
            "--learning-rate 0.1234567890123456789 --beta 1e-300 --seed 9223372036854775807 --hidden 3 "
            "--transpose -5,6 --max-minutes 0.1 --clip 123456789.25 --checkpoint-every 250 --loss mse");
        g_autofree char *text = options_to_text(options);
        g_autoptr(options_t) back = options_from_text(text, "run.ini", &error);
        g_assert_no_error(error);
        g_autofree char *again = options_to_text(back);
        g_assert_cmpstr(text, ==, again);
        g_assert_true(back->learning_rate == 0.1234567890123456789 && back->beta == 1e-300 &&
                      back->max_minutes == 0.1 && back->clip == 123456789.25);
        g_assert_true(back->seed == INT64_MAX);
        g_assert_nonnull(strstr(text, "\nmax-minutes=0.1\n"));
        g_assert_nonnull(strstr(text, "\ntranspose=-5,6\n"));
        g_assert_null(strstr(text, "data="));
    }
    setlocale(LC_ALL, "C");
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) bad = options_from_text("[model]\nlatant=3\n", "best.h5", &error);
    g_assert_null(bad);
    g_assert_cmpstr(error->message, ==, "best.h5: unknown option 'latant'; did you mean 'latent'?");
}

static void test_meanings(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) options =
        parsed("--window 32 --hidden 40,30 --latent 9 --loss mse --planes both --transpose -5,6");
    grid_t grid = {.n_tracks = 4, .pitches = 48, .roles = {ROLE_MELODY, ROLE_CHORDS, ROLE_BASS, ROLE_DRUMS}};
    const model_config_t config = options_model_config(options, &grid);
    g_assert_true(config.kind == MODEL_DENSE && config.loss == LOSS_MSE);
    g_assert_cmpstr(MODEL_KIND_NAMES[config.kind], ==, options->model);
    g_assert_true(config.window == 32 && config.tracks == 4 && config.planes == 2 && config.pitches == 48 &&
                  config.latent == 9);
    g_assert_true(config.n_hidden == 2 && config.hidden[0] == 40 && config.hidden[1] == 30);
    g_assert_true(options->transpose.low == -5 && options->transpose.high == 6);
    const struct {
        const char *text;
        int64_t steps;
        double minutes;
    } every[] = {{"0", 0, 0},           {"500", 500, 0},         {"500 steps", 500, 0}, {"1 step", 1, 0},
                 {"10 minutes", 0, 10}, {"0.5 minutes", 0, 0.5}, {"1 minute", 0, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(every); i++) {
        g_autofree char *text = g_strdup_printf("[keeping]\ncheckpoint-every=%s\n", every[i].text);
        g_autoptr(options_t) read = options_from_text(text, "text", &error);
        g_assert_no_error(error);
        g_assert_true(read->checkpoint_every.steps == every[i].steps &&
                      read->checkpoint_every.minutes == every[i].minutes);
    }
}

/* The command line takes what a model of the kind takes, and nothing else. */
static void test_sizes(void) {
    const char *const kinds[] = {"dense", "sequence"};
    for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
        const model_config_t sequence = {.kind = MODEL_SEQUENCE};
        const char *kind = kinds[size_applies(size, &sequence)];
        if (size->of_data || size->words[0]) continue;
        g_autofree char *most = g_strdup_printf("--model %s --%s %zu", kind, size->name, size->highest);
        g_autofree char *above = g_strdup_printf("--model %s --%s %zu", kind, size->name, size->highest + 1);
        g_autoptr(GError) error = NULL;
        g_autoptr(options_t) taken = parsed(most), refused = parse(above, &error);
        g_autofree char *line = g_strdup_printf("\n%s=%zu\n", size->name, size->highest),
                        *text = options_to_text(taken);
        g_assert_nonnull(strstr(text, line));
        g_assert_null(refused);
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
    }
    assert_refused("--model sequence --segment 4097",
                   "--segment: '4097' is not a whole number from 1 to 4096");
}

static void test_sequence(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) options = parsed(
        "--model sequence --latent 0 --segment 8 --state 10 --encoder 11 --sketch 12 --nade 13 --tied 14 "
        "--posterior-hidden 15 --prior-hidden 16 --sketch-hidden 17 --planes both");
    const grid_t grid = {
        .n_tracks = 4, .pitches = 48, .roles = {ROLE_MELODY, ROLE_CHORDS, ROLE_BASS, ROLE_DRUMS}};
    const uint8_t order[] = {3, 2, 1, 0};
    model_config_t config = options_model_config(options, &grid);
    const sequence_sizes_t *s = &config.sequence;
    g_assert_true(config.kind == MODEL_SEQUENCE && config.loss == LOSS_BCE && config.latent == 0 &&
                  config.window == 0 && config.n_hidden == 0);
    g_assert_true(config.tracks == 4 && config.planes == 2 && config.pitches == 48);
    g_assert_true(s->segment == 8 && s->state == 10 && s->encoder == 11 && s->sketch == 12 && s->nade == 13 &&
                  s->tied == 14);
    g_assert_true(s->posterior_hidden == 15 && s->prior_hidden == 16 && s->sketch_hidden == 17);
    g_assert_cmpint(memcmp(s->order, order, sizeof order), ==, 0);
    /* Presets: with their latent, and without. */
    g_autoptr(options_t) chorales = parsed("--preset chorales"), folk = parsed("--preset folk --latent 0");
    config = options_model_config(chorales, &grid);
    g_assert_true(config.kind == MODEL_SEQUENCE && config.latent == 32 && config.sequence.segment == 4);
    g_assert_true(chorales->batch == OPTIONS_AUTO && chorales->chunk == OPTIONS_AUTO &&
                  chorales->average == 0.995 && chorales->dropout == 0.5);
    config = options_model_config(folk, &grid);
    g_assert_true(config.latent == 0 && folk->epochs == OPTIONS_AUTO && folk->dropout == 0.3);
    g_assert_true(config.sequence.n_lags == 10 && config.sequence.lags[4] == 16 &&
                  model_context(&config) == 96);
    g_autoptr(options_t) band = parsed("--preset band");
    config = options_model_config(band, &grid);
    g_assert_true(config.sequence.n_profiles == 2 && config.sequence.profiles[0] == 16 &&
                  config.sequence.profiles[1] == 128);
    g_assert_true(config.planes == 2 && config.sequence.segment == 16 && model_context(&config) == 128 &&
                  band->lag_dropout == 0 && band->context_dropout == 0.5 && config.sequence.bar == 16);
    g_assert_true(config.sequence.memory == 32 && config.sequence.note == 32 && band->memory_dropout == 0.2 &&
                  band->latent_rate.share == 0.12);
    /* A preset says all that matters: it is the same after another one's run.ini. */
    g_autofree char *text = options_to_text(chorales);
    g_autofree char *path = write_file("chorales.ini", text);
    g_autofree char *more = g_strdup_printf("--config %s", path);
    g_autoptr(options_t) again = parsed(more);
    g_autofree char *same = options_to_text(again);
    g_assert_cmpstr(text, ==, same);
    g_unlink(path);
}

static void test_spans(void) {
    const struct {
        const char *text;
        int64_t steps; /* of 1000 */
    } good[] = {{"0", 0},   {"250", 250},    {"60 %", 600}, {"60%", 600},
                {"0 %", 0}, {"100 %", 1000}, {"0.15 %", 2}};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text =
            g_strdup_printf("[training]\nbeta-steps=%s\nfree-bits-steps=%s\n", good[i].text, good[i].text);
        g_autoptr(options_t) options = options_from_text(text, "text", &error);
        g_assert_no_error(error);
        g_assert_cmpint(options_span_steps(&options->beta_steps, 1000), ==, good[i].steps);
        g_assert_cmpint(options_span_steps(&options->free_bits_steps, 1000), ==, good[i].steps);
    }
    const char *const bad[] = {"", "%", "-1", "101%", "6 0%", "60 % ", "1.5", "500steps"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text =
            g_strdup_printf("a number of steps such as 500, a share of the run such as '60 %%', or 0");
        g_autofree char *message = g_strdup_printf("--beta-steps: '%s' is not %s", bad[i], text);
        g_autoptr(options_t) options = parsed("");
        const option_t *option = option_find(option_rows(), "beta-steps");
        g_assert_false(option_set(options, option, bad[i], "--beta-steps", &error));
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
        g_assert_cmpstr(error->message, ==, message);
    }
    assert_refused("--free-bits-steps x", "--free-bits-steps: 'x' is not a number of steps such as 500, a "
                                          "share of the run such as '60 %', or 0");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/files", test_files);
    g_test_add_func("/options-text/odd-files", test_odd_files);
    g_test_add_func("/options/round-trip", test_round_trip);
    g_test_add_func("/options/meanings", test_meanings);
    g_test_add_func("/options/sizes", test_sizes);
    g_test_add_func("/options/sequence", test_sequence);
    g_test_add_func("/options/spans", test_spans);
    return g_test_run();
}
