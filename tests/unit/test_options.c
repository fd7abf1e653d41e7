/* Options of a run on the command line: precedence, every kind of bad value, what goes together, help. */
#include <glib/gstdio.h>
#include <string.h>

#include "tests/helpers/run_options.h"

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
    g_assert_cmpuint(preset->sizes.window, ==, 100);
    g_assert_cmpint(preset->epochs, ==, 50);
    g_assert_cmpstr(all->offsets, ==, "random"); /* file over preset */
    g_assert_cmpint(all->batch, ==, 32);
    g_assert_cmpuint(all->sizes.latent, ==, 5);
    g_assert_cmpint(all->epochs, ==, 9); /* flag over file, though it stands first */
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
        g_assert_cmpuint(options->sizes.latent, ==, i == 2 ? 16 : 7);
        g_assert_cmpint(options->epochs, ==, 8);
    }
    g_unlink(stored);
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strdup_printf("trainer --data d --output %s --resume auto", run);
    g_autoptr(options_t) fresh = parse_whole(line, FALSE, &help, &error);
    g_assert_no_error(error); /* nothing to go on from yet */
    g_assert_cmpuint(fresh->sizes.latent, ==, 16);
    g_rmdir(run);
}

static void test_bad_values(void) {
    assert_refused("--batch 8 --batch=4", "--batch: is there twice, with '8' and '4'; give it once");
    assert_refused("--batch abc", "--batch: 'abc' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--batch 0", "--batch: '0' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--batch 1048577", "--batch: '1048577' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--batch 6.5", "--batch: '6.5' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--batch 99999999999999999999",
                   "--batch: '99999999999999999999' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--batch=", "--batch: '' is not a whole number from 1 to 1048576, or auto");
    assert_refused("--epochs autos", "--epochs: 'autos' is not a whole number from 1 to 100000, or auto");
    assert_refused("--epochs -1", "--epochs: '-1' is not a whole number from 1 to 100000, or auto");
    assert_refused("--batch --epochs",
                   "--batch: '--epochs' is not a whole number from 1 to 1048576, or auto");
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
    assert_refused("--preset sed", "--preset: 'sed' is not one of seed, chorales, folk, piano, band");
    assert_refused("--split x --evaluate y",
                   "--split: 'x' is not one or more of train, valid, test, with commas between");
    assert_refused("--split test,test --evaluate y",
                   "--split: 'test,test' is not one or more of train, valid, test, with commas between");
    assert_refused("--split test, --evaluate y",
                   "--split: 'test,' is not one or more of train, valid, test, with commas between");
    const char *const rates[] = {"", "x", "-1", "nan", "100001", "0 %", "96 %", "45%%", "%", "12 nats"};
    for (size_t i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *flag = g_strdup_printf("--latent-rate=%s", rates[i]);
        char *words[] = {"trainer", "--data", "d", "--output", "o", "--model", "sequence", flag};
        gboolean help;
        g_assert_null(options_parse(G_N_ELEMENTS(words), words, FALSE, &help, &error));
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "is not a number of nats such as 12, a share from 1 to 95"));
    }
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
        {"trainer --lear 3",
         "--lear: unknown option; did you mean --learning-rate? (--help lists all options)"},
        {"trainer --batsh 3", "--batsh: unknown option; did you mean --batch? (--help lists all options)"},
        {"trainer --learn-rate=3",
         "--learn-rate: unknown option; did you mean --learning-rate? (--help lists all options)"},
        {"trainer --foo", "--foo: unknown option (--help lists all options)"},
        {"trainer --e 3", "--e: unknown option (--help lists all options)"},
        {"trainer --batch", "Missing argument for --batch (--help lists all options)"},
        {"trainer -x", "Unknown option -x (--help lists all options)"},
        {"trainer --data d --output o shards",
         "'shards': unexpected argument; every option has a name (--help lists all)"},
        {"trainer --data d --output o --split test", "--split: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --output o --iwae 5", "--iwae: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --output o --particles 5",
         "--particles: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --attributes a --evaluate b",
         "--evaluate, --attributes, --masks: exclude each other; give one after the other"},
        {"trainer --data d --attributes a --split test",
         "--split: has no meaning without --evaluate CHECKPOINT"},
        {"trainer --data d --evaluate b --output o",
         "--output: has no meaning beside --evaluate, which trains no model; leave it out"},
        {"trainer --data d --evaluate b --seed 3 --epochs 5",
         "--epochs: has no meaning beside --evaluate, which trains no model; leave it out"},
        {"trainer --data d --attributes a --hidden 3",
         "--hidden: has no meaning beside --attributes, which trains no model; leave it out"},
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
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(options_t) evaluate =
        parse_whole("trainer --data d --evaluate best.h5 --iwae 8 --split valid -- ", FALSE, &help, &error);
    g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE); /* the empty word after -- */
    g_clear_error(&error);
    g_autoptr(options_t) good = parse_whole(
        "trainer --data d --evaluate best.h5 --iwae 8 --split valid --quiet", FALSE, &help, &error);
    g_assert_no_error(error);
    g_assert_true(good->iwae == 8 && good->quiet && !good->output && !help);
    g_autoptr(options_t) several = parse_whole(
        "trainer --data d --evaluate best.h5 --particles 16 --split valid,train", FALSE, &help, &error);
    g_assert_no_error(error);
    const option_splits_t *split = &several->split;
    g_autoptr(options_t) attributes =
        parse_whole("trainer --data d --attributes best.h5 --seed 3 --threads 2 -q", FALSE, &help, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(attributes->attributes, ==, "best.h5");
    g_assert_true(several->particles == 16 && split->n == 2 && split->splits[0] == SPLIT_VALID &&
                  split->splits[1] == SPLIT_TRAIN);
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
    assert_refused(
        "--latent-rate 5",
        "--latent-rate: has no meaning for --model dense; the weight of its KL divergence is --beta");
    assert_refused("--model sequence --latent 0 --latent-rate 5",
                   "--latent-rate: there is no latent to hold (--latent 0); leave it out");
    assert_refused("--preset folk --latent-rate 5 --beta-steps 3",
                   "--beta-steps: has no meaning beside --latent-rate, which learns the weight of the KL "
                   "divergence; leave it out, or give --latent-rate 0");
    g_autoptr(options_t) held = parsed("--preset folk --latent-rate 5"),
                         let_go = parsed("--preset folk --latent-rate 0 --free-bits 3");
    g_assert_true(held->latent_rate.nats == 5 && let_go->free_bits == 3);
    assert_refused("--preset chorales --model dense --state 9",
                   "--state: has no meaning for --model dense; its layers are --hidden");
    assert_refused("--preset chorales --model dense --batch 4",
                   "--batch, --epochs: auto is for --model sequence; give numbers");
    assert_refused("--latent 0", "--latent: 0 makes no sense for --model dense; give 1 or more");
    const char *const dense[] = {"window", "hidden", "loss", "offsets"};
    assert_refused("--memory 8",
                   "--memory: has no meaning for --model dense; it draws a window's cells at once");
    assert_refused("--memory-dropout 0.1",
                   "--memory-dropout: has no meaning for --model dense; leave it out");
    assert_refused("--model sequence --memory 0 --note 0 --memory-dropout 0.1",
                   "--memory-dropout: has no meaning without --memory or --note; leave it out");
    assert_refused("--model sequence --memory 1025", "--memory: '1025' is not a whole number from 0 to 1024");
    assert_refused("--model sequence --note -1", "--note: '-1' is not a whole number from 0 to 1024");
    assert_refused("--model sequence --memory 8 --chunk 12",
                   "--chunk: must be 16 frames or more with this --segment and --memory");
    g_autoptr(options_t) note = parsed("--model sequence --note 5 --memory-dropout 0.1 --chunk 12");
    g_assert_true(note->sizes.sequence.note == 5 && note->sizes.sequence.memory == 0);
    const char *const sequence[] = {
        "segment", "state",    "encoder",          "sketch",        "nade",          "tied",
        "lags",    "profiles", "posterior-hidden", "prior-hidden",  "sketch-hidden", "memory",
        "note",    "chunk",    "auxiliary",        "input-dropout", "lag-dropout",   "context-dropout"};
    const char *const values[] = {"1", "3", "bce", "grid"};
    for (size_t i = 0; i < G_N_ELEMENTS(dense); i++) {
        g_autofree char *flag = g_strdup_printf("--model sequence --%s %s", dense[i], values[i]);
        g_autoptr(options_t) refused = parse(flag, NULL);
        g_assert_null(refused);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sequence); i++) {
        const char *value = i > 13 ? "0.5" : "4"; /* --chunk: whole segments */
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
    g_assert_true(both->sizes.window == 7 && both->chunk == 96);
    g_unlink(path);
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
                              "1..1048576 or auto)*Keeping:*(default 3, *");
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
    g_test_add_func("/options/models", test_models);
    g_test_add_func("/options/help", test_help);
    g_test_add_func("/options/help-elsewhere", test_help_elsewhere);
    return g_test_run();
}
