/* Options: precedence, every kind of bad value, run.ini there and back, the same on every locale. */
#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "trainer/run/options.h"

/* Parses "trainer --data d --output o" and more, words split at spaces. */
static options_t *parse_whole(const char *line, gboolean print, gboolean *help, GError **error) {
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autofree char **argv = g_memdup2(words, (g_strv_length(words) + 1) * sizeof *words);
    int argc = (int)g_strv_length(words);
    char **shifted = argv;
    return options_parse(&argc, &shifted, print, help, error);
}

static options_t *parse(const char *more, GError **error) {
    gboolean help;
    g_autofree char *line = g_strdup_printf("trainer --data d --output o%s%s", *more ? " " : "", more);
    return parse_whole(line, FALSE, &help, error);
}

static options_t *parsed(const char *more) {
    g_autoptr(GError) error = NULL;
    options_t *options = parse(more, &error);
    g_assert_no_error(error);
    g_assert_nonnull(options);
    return options;
}

static void assert_refused(const char *more, const char *message) {
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) options = parse(more, &error);
    g_assert_null(options);
    g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE);
    g_assert_cmpstr(error->message, ==, message);
}

/* A file with this text; owner: caller. */
static char *write_file(const char *name, const char *text) {
    char *path = g_build_filename(g_get_tmp_dir(), name, NULL);
    g_autofree char *own = g_strdup_printf("%s.%d", path, (int)getpid());
    g_free(path);
    g_assert_true(g_file_set_contents(own, text, -1, NULL));
    return g_steal_pointer(&own);
}

static void test_defaults(void) {
    g_autoptr(options_t) options = parsed("");
    g_assert_cmpstr(options->data, ==, "d");
    g_assert_cmpstr(options->output, ==, "o");
    g_assert_cmpstr(options->resume, ==, "no");
    g_assert_cmpstr(options->offsets, ==, "random");
    g_assert_cmpint(options->batch, ==, 64);
    g_assert_true(options->learning_rate == 0.001 && options->adam_epsilon == 1e-8);
    g_assert_null(options->evaluate);
    g_assert_false(options->quiet);
}

static void test_precedence(void) {
    g_autofree char *config =
        write_file("options.ini", "[training]\nbatch = 32 \noffsets=random\nepochs=7\n[model]\nlatent=5\n");
    g_autofree char *with_config = g_strdup_printf("--epochs 9 --preset seed --config %s", config);
    g_autoptr(options_t) preset = parsed("--preset seed"), all = parsed(with_config);
    g_assert_cmpstr(preset->offsets, ==, "grid"); /* preset over default */
    g_assert_cmpint(preset->window, ==, 100);
    g_assert_cmpint(preset->epochs, ==, 50);
    g_assert_cmpstr(all->offsets, ==, "random"); /* file over preset */
    g_assert_cmpint(all->batch, ==, 32);
    g_assert_cmpint(all->latent, ==, 5);
    g_assert_cmpint(all->epochs, ==, 9); /* flag over file, though it stands first */
    g_autoptr(options_t) last = parsed("--batch 8 --batch=4");
    g_assert_cmpint(last->batch, ==, 4);
    g_unlink(config);
}

/* --resume begins from the run's own run.ini: RUN/run.ini, or the one beside the checkpoint. */
static void test_resumed(void) {
    g_autofree char *run = g_dir_make_tmp("mpianist-options-XXXXXX", NULL);
    g_autofree char *stored = g_build_filename(run, "run.ini", NULL);
    gboolean help;
    const char *const resumes[] = {"auto", NULL, "no"};
    g_autoptr(options_t) old = parsed("--latent 7 --epochs 3");
    g_autofree char *text = options_to_text(old);
    g_assert_true(g_file_set_contents(stored, text, -1, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(resumes); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *beside = g_strdup_printf("%s/checkpoint-00000001.h5", run);
        g_autofree char *line = g_strdup_printf("trainer --data d --output %s --epochs 8 --resume %s", run,
                                                resumes[i] ? resumes[i] : beside);
        g_autoptr(options_t) options = parse_whole(line, FALSE, &help, &error);
        g_assert_no_error(error);
        g_assert_cmpint(options->latent, ==, i == 2 ? 16 : 7);
        g_assert_cmpint(options->epochs, ==, 8);
    }
    g_unlink(stored);
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strdup_printf("trainer --data d --output %s --resume auto", run);
    g_autoptr(options_t) fresh = parse_whole(line, FALSE, &help, &error);
    g_assert_no_error(error); /* nothing to go on from yet */
    g_assert_cmpint(fresh->latent, ==, 16);
    g_rmdir(run);
}

static void test_bad_values(void) {
    assert_refused("--batch abc", "--batch: 'abc' is not a whole number from 1 to 1048576");
    assert_refused("--batch 0", "--batch: '0' is not a whole number from 1 to 1048576");
    assert_refused("--batch 1048577", "--batch: '1048577' is not a whole number from 1 to 1048576");
    assert_refused("--batch 6.5", "--batch: '6.5' is not a whole number from 1 to 1048576");
    assert_refused("--batch 99999999999999999999",
                   "--batch: '99999999999999999999' is not a whole number from 1 to 1048576");
    assert_refused("--batch=", "--batch: '' is not a whole number from 1 to 1048576");
    assert_refused("--batch --epochs", "--batch: '--epochs' is not a whole number from 1 to 1048576");
    assert_refused("--seed -1", "--seed: '-1' is not a whole number of at least 0");
    assert_refused("--seed 9223372036854775808",
                   "--seed: '9223372036854775808' is not a whole number of at least 0");
    assert_refused("--learning-rate 1,5", "--learning-rate: '1,5' is not a number from 0 to 10");
    assert_refused("--learning-rate nan", "--learning-rate: 'nan' is not a number from 0 to 10");
    assert_refused("--learning-rate 1e-3x", "--learning-rate: '1e-3x' is not a number from 0 to 10");
    assert_refused("--learning-rate -0.1", "--learning-rate: '-0.1' is not a number from 0 to 10");
    assert_refused("--learning-rate=", "--learning-rate: '' is not a number from 0 to 10");
    assert_refused("--learning-rate e", "--learning-rate: 'e' is not a number from 0 to 10");
    assert_refused("--clip inf", "--clip: 'inf' is not a number of at least 0");
    assert_refused("--clip 1e999", "--clip: '1e999' is not a number of at least 0");
    assert_refused("--loss BCE", "--loss: 'BCE' is not one of bce, mse");
    assert_refused("--planes b", "--planes: 'b' is not one of sounding, both");
    assert_refused("--preset sed", "--preset: 'sed' is not one of seed, chorales, folk, band");
    assert_refused("--split x --evaluate y",
                   "--split: 'x' is not one or more of train, valid, test, with commas between");
    assert_refused("--split test,test --evaluate y",
                   "--split: 'test,test' is not one or more of train, valid, test, with commas between");
    assert_refused("--split test, --evaluate y",
                   "--split: 'test,' is not one or more of train, valid, test, with commas between");
    assert_refused("--resume=", "--resume: '' is not a name");
    const char *const lags[] = {
        "", "0", "1,2,", "4,2", "2,2", "1025", "-1", "a", "1,2,3,4,5,6,7,8,9,10,11,12,13"};
    for (size_t i = 0; i < G_N_ELEMENTS(lags); i++) {
        g_autofree char *flag = g_strdup_printf("--model sequence --lags=%s", lags[i]);
        g_autofree char *message = g_strdup_printf(
            "--lags: '%s' is not 1 to 12 rising numbers of frames from 1 to 1024 with commas between",
            lags[i]);
        assert_refused(flag, message);
    }
    const char *const profiles[] = {"", "0,16", "16,", "16,16", "1025", "a", "1,2,3,4,5"};
    for (size_t i = 0; i < G_N_ELEMENTS(profiles); i++) {
        g_autofree char *flag = g_strdup_printf("--model sequence --profiles=%s", profiles[i]);
        g_autofree char *message = g_strdup_printf("--profiles: '%s' is not 0, or 1 to 4 rising numbers of "
                                                   "frames from 1 to 1024 with commas between",
                                                   profiles[i]);
        assert_refused(flag, message);
    }
    const char *const hidden[] = {"", "0", "256,,64", "256,", "65537", "-1", "a", "1,2,3,4,5,6,7,8,9"};
    for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++) {
        g_autofree char *flag = g_strdup_printf("--hidden=%s", hidden[i]);
        g_autofree char *message = g_strdup_printf(
            "--hidden: '%s' is not 1 to 8 layer sizes from 1 to 65536 with commas between", hidden[i]);
        assert_refused(flag, message);
    }
    const char *const transpose[] = {"", "5", "6,-5", "-25,0", "0,25", "a,b", "1,2,3", ","};
    for (size_t i = 0; i < G_N_ELEMENTS(transpose); i++) {
        g_autofree char *flag = g_strdup_printf("--transpose=%s", transpose[i]);
        g_autofree char *message = g_strdup_printf(
            "--transpose: '%s' is not two whole numbers LOW,HIGH from -24 to 24, LOW not above HIGH",
            transpose[i]);
        assert_refused(flag, message);
    }
    const char *const every[] = {"", "x", "-1", "500steps", "2.5", "10minutes", "-1minutes"};
    for (size_t i = 0; i < G_N_ELEMENTS(every); i++) {
        g_autofree char *flag = g_strdup_printf("--checkpoint-every=%s", every[i]);
        g_autofree char *message =
            g_strdup_printf("--checkpoint-every: '%s' is not a time between checkpoints such as '500 steps' "
                            "(or just 500), '10 minutes' or 0",
                            every[i]);
        assert_refused(flag, message);
    }
}

static void test_usage(void) {
    const struct {
        const char *line, *message;
    } cases[] = {
        {"trainer",
         "--data: missing; give the folder of shards that preprocess wrote (--help lists all options)"},
        {"trainer --data d", "--output: missing; give the run folder to write to (--help lists all options)"},
        {"trainer --lear 3", "--lear: unknown option; did you mean --learning-rate? (--help lists all)"},
        {"trainer --batsh 3", "--batsh: unknown option; did you mean --batch? (--help lists all)"},
        {"trainer --learn-rate=3",
         "--learn-rate: unknown option; did you mean --learning-rate? (--help lists all)"},
        {"trainer --foo", "--foo: unknown option (--help lists all)"},
        {"trainer --e 3", "--e: unknown option (--help lists all)"},
        {"trainer --batch", "Missing argument for --batch (--help lists all options)"},
        {"trainer -x", "Unknown option -x (--help lists all options)"},
        {"trainer --data d --output o shards",
         "'shards': unexpected argument; every option has a name (--help lists all)"},
        {"trainer --data d --output o --split test", "--split: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --output o --iwae 5", "--iwae: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --output o --particles 5",
         "--particles: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --attributes a --evaluate b",
         "--evaluate, --attributes: exclude each other; give one after the other"},
        {"trainer --data d --attributes a --split test",
         "--split: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --evaluate b --output o",
         "--output: has no meaning beside --evaluate, which does not train; leave it out"},
        {"trainer --data d --evaluate b --seed 3 --epochs 5",
         "--epochs: has no meaning beside --evaluate, which does not train; leave it out"},
        {"trainer --data d --attributes a --hidden 3",
         "--hidden: has no meaning beside --attributes, which does not train; leave it out"},
        {"trainer --data d --output o --batch 4 --accumulate 5",
         "--accumulate: more passes than a batch has samples; lower it or raise --batch"},
        {"trainer --data d --output o --model sequence --chunk 30 --segment 8",
         "--chunk: must be whole segments; give a multiple of --segment"},
    };
    gboolean help;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(options_t) options = parse_whole(cases[i].line, FALSE, &help, &error);
        g_assert_null(options);
        g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) evaluate =
        parse_whole("trainer --data d --evaluate best.h5 --iwae 8 --split valid -- ", FALSE, &help, &error);
    g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE); /* the empty word after -- */
    g_clear_error(&error);
    g_autoptr(options_t) good = parse_whole(
        "trainer --data d --evaluate best.h5 --iwae 8 --split valid --quiet", FALSE, &help, &error);
    g_assert_no_error(error);
    g_assert_true(good->iwae == 8 && good->quiet && !good->output && !help);
    g_autoptr(options_t) several = parse_whole(
        "trainer --data d --evaluate best.h5 --particles 16 --split valid,train", FALSE, &help, &error);
    g_assert_no_error(error);
    split_t splits[SPLIT_COUNT];
    size_t n = 0;
    g_assert_true(options_splits(several, splits, &n, &error));
    g_autoptr(options_t) attributes =
        parse_whole("trainer --data d --attributes best.h5 --seed 3 --threads 2 -q", FALSE, &help, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(attributes->attributes, ==, "best.h5");
    g_assert_true(several->particles == 16 && n == 2 && splits[0] == SPLIT_VALID && splits[1] == SPLIT_TRAIN);
}

static void test_files(void) {
    const struct {
        const char *text;
        int code;
        const char *message;
    } cases[] = {
        {"[training]\nbacth=3\n", OPTIONS_ERROR_USAGE, "unknown option 'bacth'; did you mean 'batch'?"},
        {"[training]\nfoo=3\n", OPTIONS_ERROR_USAGE, "unknown option 'foo'; --help lists all"},
        {"[training]\nbatch=many\n", OPTIONS_ERROR_USAGE,
         "batch: 'many' is not a whole number from 1 to 1048576"},
        {"[training]\nbatch=64 # windows\n", OPTIONS_ERROR_USAGE,
         "batch: '64 # windows' is not a whole number from 1 to 1048576"},
        {"[training]\nlatent=3\n", OPTIONS_ERROR_USAGE, "'latent' stands in [training]; move it to [model]"},
        {"[run]\ndata=x\n", OPTIONS_ERROR_USAGE,
         "'data' cannot stand in a file; give --data on the command line"},
        {"batch=3\n", OPTIONS_ERROR_FILE, "cannot read options: "},
        {"[training\n", OPTIONS_ERROR_FILE, "cannot read options: "},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = write_file("bad.ini", cases[i].text);
        g_autofree char *more = g_strdup_printf("--config %s", path),
                        *start = g_strdup_printf("%s: %s", path, cases[i].message);
        g_autoptr(options_t) options = parse(more, &error);
        g_assert_null(options);
        g_assert_error(error, OPTIONS_ERROR, cases[i].code);
        g_assert_true(g_str_has_prefix(error->message, start));
        g_unlink(path);
    }
    const char *const unreadable[] = {"--config /nonexistent/run.ini", "--config /"};
    for (size_t i = 0; i < G_N_ELEMENTS(unreadable); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(options_t) options = parse(unreadable[i], &error);
        g_assert_null(options);
        g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE);
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
    g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE);
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
    model_config_t config;
    int low, high;
    int64_t steps;
    double minutes;
    grid_t grid = {.n_tracks = 4, .pitches = 48, .roles = {ROLE_MELODY, ROLE_CHORDS, ROLE_BASS, ROLE_DRUMS}};
    g_assert_true(options_model_config(options, &grid, &config, &error));
    g_assert_true(config.kind == MODEL_DENSE && config.loss == LOSS_MSE);
    g_assert_cmpstr(MODEL_KIND_NAMES[config.kind], ==, options->model);
    g_assert_true(config.window == 32 && config.tracks == 4 && config.planes == 2 && config.pitches == 48 &&
                  config.latent == 9);
    g_assert_true(config.n_hidden == 2 && config.hidden[0] == 40 && config.hidden[1] == 30);
    g_assert_true(options_transpose_range(options, &low, &high, &error));
    g_assert_true(low == -5 && high == 6);
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
        g_assert_true(options_checkpoint_every(read, &steps, &minutes, &error));
        g_assert_true(steps == every[i].steps && minutes == every[i].minutes);
    }
    /* Set by hand past the parser: still refused. */
    g_free(options->hidden);
    options->hidden = g_strdup("x");
    g_assert_false(options_model_config(options, &grid, &config, &error));
    g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE);
}

/* Which model an option is for: flags say so, files may hold all. */
static void test_models(void) {
    assert_refused(
        "--model sequence --window 50",
        "--window: has no meaning for --model sequence; its batches are whole pieces, or --chunk FRAMES");
    assert_refused("--preset folk --loss mse",
                   "--loss: has no meaning for --model sequence; its loss is the cross-entropy");
    assert_refused("--hidden 5 --model sequence", "--hidden: has no meaning for --model sequence; its layers "
                                                  "are --encoder, --state, --sketch, --nade and more");
    assert_refused("--model sequence --offsets grid",
                   "--offsets: has no meaning for --model sequence; its chunks start anywhere");
    assert_refused("--chunk 64",
                   "--chunk: has no meaning for --model dense; its batches are windows of --window FRAMES");
    assert_refused("--input-dropout 0.1",
                   "--input-dropout: has no meaning for --model dense; its decoder sees no frames");
    assert_refused("--preset chorales --model dense --state 9",
                   "--state: has no meaning for --model dense; its layers are --hidden");
    assert_refused("--latent 0", "--latent: 0 makes no sense for --model dense; give 1 or more");
    const char *const dense[] = {"window", "hidden", "loss", "offsets"};
    const char *const sequence[] = {"segment",       "state", "encoder",   "sketch",           "nade",
                                    "tied",          "lags",  "profiles",  "posterior-hidden", "prior-hidden",
                                    "sketch-hidden", "chunk", "auxiliary", "input-dropout",    "lag-dropout"};
    const char *const values[] = {"1", "3", "bce", "grid"};
    for (size_t i = 0; i < G_N_ELEMENTS(dense); i++) {
        g_autofree char *flag = g_strdup_printf("--model sequence --%s %s", dense[i], values[i]);
        g_autoptr(options_t) refused = parse(flag, NULL);
        g_assert_null(refused);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sequence); i++) {
        const char *value = i > 11 ? "0.5" : "4"; /* --chunk: whole segments */
        g_autofree char *flag = g_strdup_printf("--%s %s", sequence[i], value),
                        *meant = g_strdup_printf("--model sequence %s", flag);
        g_autofree char *line = g_strdup_printf("\n%s=%s\n", sequence[i], value);
        g_autoptr(options_t) refused = parse(flag, NULL), taken = parsed(meant);
        g_autofree char *text = options_to_text(taken);
        g_assert_null(refused);
        g_assert_nonnull(strstr(text, line));
    }
    /* A file with every option of one model serves for the other. */
    g_autoptr(options_t) dense_options = parsed("--window 7 --hidden 9");
    g_autofree char *text = options_to_text(dense_options), *path = write_file("dense.ini", text);
    g_autofree char *more = g_strdup_printf("--config %s --model sequence --chunk 96", path);
    g_autoptr(options_t) both = parsed(more);
    g_assert_true(both->window == 7 && both->chunk == 96);
    g_unlink(path);
}

static void test_sequence(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) options = parsed(
        "--model sequence --latent 0 --segment 8 --state 10 --encoder 11 --sketch 12 --nade 13 --tied 14 "
        "--posterior-hidden 15 --prior-hidden 16 --sketch-hidden 17 --planes both");
    const grid_t grid = {
        .n_tracks = 4, .pitches = 48, .roles = {ROLE_MELODY, ROLE_CHORDS, ROLE_BASS, ROLE_DRUMS}};
    const uint8_t order[] = {3, 2, 1, 0};
    model_config_t config;
    g_assert_true(options_model_config(options, &grid, &config, &error));
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
    g_assert_true(options_model_config(chorales, &grid, &config, &error));
    g_assert_true(config.kind == MODEL_SEQUENCE && config.latent == 32 && config.sequence.segment == 4);
    g_assert_true(chorales->batch == 8 && chorales->chunk == 0 && chorales->average == 0.995 &&
                  chorales->dropout == 0.4);
    g_assert_true(options_model_config(folk, &grid, &config, &error));
    g_assert_true(config.latent == 0 && folk->chunk == 128 && folk->batch == 24 && folk->dropout == 0.3);
    g_assert_true(config.sequence.n_lags == 10 && config.sequence.lags[4] == 16 &&
                  model_context(&config) == 96);
    g_autoptr(options_t) band = parsed("--preset band");
    g_assert_true(options_model_config(band, &grid, &config, &error));
    g_assert_true(config.sequence.n_profiles == 2 && config.sequence.profiles[0] == 16 &&
                  config.sequence.profiles[1] == 128);
    g_assert_true(config.planes == 2 && config.sequence.segment == 16 && model_context(&config) == 128 &&
                  band->lag_dropout == 0.7);
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
    int64_t beta, free_bits;
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text =
            g_strdup_printf("[training]\nbeta-steps=%s\nfree-bits-steps=%s\n", good[i].text, good[i].text);
        g_autoptr(options_t) options = options_from_text(text, "text", &error);
        g_assert_no_error(error);
        g_assert_true(options_spans(options, 1000, &beta, &free_bits, &error));
        g_assert_true(beta == good[i].steps && free_bits == good[i].steps);
    }
    const char *const bad[] = {"", "%", "-1", "101%", "6 0%", "60 % ", "1.5", "500steps"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text =
            g_strdup_printf("a number of steps such as 500, a share of the run such as '60 %%', or 0");
        g_autofree char *message = g_strdup_printf("--beta-steps: '%s' is not %s", bad[i], text);
        g_autoptr(options_t) options = parsed("");
        g_free(options->beta_steps);
        options->beta_steps = g_strdup(bad[i]);
        g_assert_false(options_spans(options, 1000, &beta, &free_bits, &error));
        g_assert_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE);
        g_assert_cmpstr(error->message, ==, message);
    }
    assert_refused("--free-bits-steps x", "--free-bits-steps: 'x' is not a number of steps such as 500, a "
                                          "share of the run such as '60 %', or 0");
}

/* --help and --version go to standard output and win over what is wrong with the rest; other ranks print
 * nothing. */
static void test_help(void) {
    gboolean help = FALSE;
    if (g_test_subprocess()) {
        g_autoptr(options_t) first = parse_whole("trainer --batch abc --help", TRUE, &help, NULL);
        g_assert_true(help && first);
        g_autoptr(options_t) second = parse_whole("trainer --version", TRUE, &help, NULL);
        g_assert_true(help && second && second->version);
        g_autoptr(options_t) third = parse_whole("trainer -V", TRUE, &help, NULL);
        g_assert_true(help && third && third->version);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stdout("*Run:*--data=DIR*Evaluation:*--iwae=K*Model:*Training:*(default 64, "
                              "1..1048576)*Keeping:*(default 3, *");
    g_test_trap_assert_stdout("*--learning-rate=RATE*(default 0.001, 0..10)*");
    g_test_trap_assert_stdout("*mpianist-trainer " MPIANIST_VERSION "\nLicense MIT*");
    /* The man page has every option that --help has, and its default. */
    g_autoptr(GError) error = NULL;
    g_autofree char *page = g_test_build_filename(G_TEST_DIST, "..", "docs", "mpianist-trainer.1", NULL);
    g_autofree char *text = NULL, *defaults = NULL;
    g_assert_true(g_file_get_contents(page, &text, NULL, &error));
    g_autoptr(options_t) options = parsed("");
    defaults = options_to_text(options);
    g_auto(GStrv) lines = g_strsplit(defaults, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (!strchr(*line, '=')) continue;
        g_auto(GStrv) pair = g_strsplit(*line, "=", 2);
        g_auto(GStrv) words = g_strsplit(pair[0], "-", -1);
        g_autofree char *escaped = g_strjoinv("\\-", words);
        g_autofree char *entry = g_strdup_printf(".BR \\-\\-%s =", escaped),
                        *value = g_strdup_printf("(default: %s", pair[1]);
        const char *found = strstr(text, entry);
        const char *next = found ? strstr(found, "\n.TP") : NULL;
        const char *shown = found ? strstr(found, value) : NULL;
        if (!found || !shown || (next && shown > next))
            g_error("docs/mpianist-trainer.1: no --%s with %s)", pair[0], value);
    }
}

static void test_help_elsewhere(void) {
    gboolean help = FALSE;
    if (g_test_subprocess()) {
        g_autoptr(options_t) options = parse_whole("trainer --help", FALSE, &help, NULL);
        g_assert_true(help && options);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stdout_unmatched("*--data*");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/precedence", test_precedence);
    g_test_add_func("/options/resumed", test_resumed);
    g_test_add_func("/options/bad-values", test_bad_values);
    g_test_add_func("/options/usage", test_usage);
    g_test_add_func("/options/files", test_files);
    g_test_add_func("/options/round-trip", test_round_trip);
    g_test_add_func("/options/meanings", test_meanings);
    g_test_add_func("/options/models", test_models);
    g_test_add_func("/options/sequence", test_sequence);
    g_test_add_func("/options/spans", test_spans);
    g_test_add_func("/options/help", test_help);
    g_test_add_func("/options/help-elsewhere", test_help_elsewhere);
    return g_test_run();
}
