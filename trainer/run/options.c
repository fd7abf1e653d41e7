/* options: owns how the table in option_table.c becomes the command line, --help, run.ini and presets, and
 * their precedence. Refuses unknown names, suggesting the nearest known one, and options that contradict each
 * other; does not know what the options do. */
#include "trainer/run/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/run/option_table.h"

enum { MAX_TEXT = 64 << 10 /* bytes of a file of options */ };

/* The options of the sequence model that its presets share. */
#define SEQUENCE_PRESET                                                                                      \
    "[keeping]\nvalidate-every=auto\n"                                                                       \
    "[model]\nmodel=sequence\nlatent=32\nstate=256\nencoder=128\nsketch=64\nnade=64\ntied=32\n"              \
    "posterior-hidden=256\nprior-hidden=128\nsketch-hidden=256\nperformance=0\n"                             \
    "[training]\nbatch=auto\nchunk=auto\nepochs=auto\n"                                                      \
    "learning-rate=0.002\ndecay=cosine\nwarmup-steps=100\nfinal-rate=0.02\n"                                 \
    "adam-beta1=0.9\nadam-beta2=0.999\nadam-epsilon=1e-08\nweight-decay=0\nclip=1\n"                         \
    "beta=1\nbeta-steps=60 %\nbeta-start=0.1\nfree-bits-steps=0\nauxiliary=0.5\n"                            \
    "input-dropout=0.1\nlag-dropout=0\naverage=0.995\ntranspose=-5,6\n"

/* Presets as run.ini text: the settings of the seed project, then ones that suit four-part chorales (JSB),
 * folk tunes with chords (Nottingham), piano music, and songs of several tracks. */
static const struct {
    const char *name, *text;
} PRESETS[] = {
    {"seed",
     "[model]\nmodel=dense\nwindow=100\nhidden=256,128,64\nlatent=16\nloss=bce\nplanes=sounding\n"
     "[training]\nbatch=64\nepochs=50\nlearning-rate=0.001\ndecay=constant\nwarmup-steps=0\n"
     "adam-beta1=0.9\nadam-beta2=0.999\nadam-epsilon=1e-08\nweight-decay=0\nclip=0\n"
     "beta=1\nbeta-steps=0\nfree-bits=0\nfree-bits-steps=0\naverage=0\ntranspose=0,0\noffsets=grid\n"},
    {"chorales", SEQUENCE_PRESET
     "dropout=0.5\nmemory-dropout=0.5\ncontext-dropout=0.3\nlatent-rate=46 %\nfree-bits=0\n"
     "[model]\nplanes=sounding\nsegment=4\nlags=1,2,4\nbar=0\nbar-lags=0\nprofiles=0\nmemory=64\nnote=48\n"},
    {"folk", SEQUENCE_PRESET
     "dropout=0.3\nmemory-dropout=0.2\ncontext-dropout=0.3\nlatent-rate=50 %\nfree-bits=0\n"
     "[model]\nplanes=sounding\nsegment=4\nlags=1,2,4,8,16,24,32,48,64,96\nbar=0\nbar-lags=0\nprofiles=0\n"
     "memory=48\nnote=32\n"},
    {"piano",
     SEQUENCE_PRESET "dropout=0.3\nmemory-dropout=0.1\ncontext-dropout=0.3\nlatent-rate=45 %\nfree-bits=0\n"
                     "[model]\nplanes=sounding\nsegment=4\nlags=1,2,4,8,16\nbar=0\nbar-lags=0\nprofiles=0\n"
                     "memory=64\nnote=48\n"},
    {"band", SEQUENCE_PRESET
     "dropout=0.4\nmemory-dropout=0.2\ncontext-dropout=0.5\nlatent-rate=12 %\nfree-bits=0\n"
     "[model]\nplanes=both\nsegment=16\nlags=1,2,4,8\nbar=16\nbar-lags=1,2,4,8\nprofiles=16,128\n"
     "memory=32\nnote=32\n"},
};

/* Sets one option of a key file; source names it in errors. */
static gboolean apply_key(options_t *options, const char *group, const char *key, const char *value,
                          const char *source, GError **error) {
    const option_t *option = option_find(option_rows(), key);
    g_autofree char *label = g_strdup_printf("%s: %s", source, key);
    if (!option) {
        const char *nearest = option_nearest_name(option_rows(), key, GROUP_MODEL);
        g_autofree char *way_out =
            nearest ? g_strdup_printf("did you mean '%s'?", nearest) : g_strdup("--help lists all");
        return option_fail(error, "%s: unknown option '%s'; %s", source, key, way_out);
    }
    if (option->group < GROUP_MODEL)
        return option_fail(error, "%s: '%s' cannot stand in a file; give --%s on the command line", source,
                           key, key);
    if (!g_str_equal(group, OPTION_GROUPS[option->group]))
        return option_fail(error, "%s: '%s' stands in [%s]; move it to [%s]", source, key, group,
                           OPTION_GROUPS[option->group]);
    return option_set(options, option, value, label, error);
}

/* Refuses a name that stands on two lines: of these GKeyFile keeps the last. */
static gboolean check_once(const char *text, const char *source, GError **error) {
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        char *name = g_strchug(*line), *equals = strchr(name, '=');
        if (!equals || *name == '#' || *name == '[') continue;
        *equals = '\0';
        if (!g_hash_table_add(seen, g_strchomp(name)))
            return option_fail(error, "%s: '%s' is there twice; give it once", source, name);
    }
    return TRUE;
}

/* Sets the options that key-file text holds. */
static gboolean apply_text(options_t *options, const char *text, const char *source, GError **error) {
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;
    /* Otherwise names such as "batch[de]" are passed over. */
    if (!g_key_file_load_from_data(file, text, strlen(text), G_KEY_FILE_KEEP_TRANSLATIONS, &cause)) {
        g_set_error(
            error, OPTION_ERROR, OPTION_ERROR_FILE,
            "%s: cannot read options: %s; write lines 'name=value' under [model], [training], [keeping]",
            source, cause->message);
        return FALSE;
    }
    if (!check_once(text, source, error)) return FALSE;
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group; group++) {
        g_auto(GStrv) keys = g_key_file_get_keys(file, *group, NULL, NULL);
        for (char **key = keys; *key; key++) {
            g_autofree char *value = g_strstrip(g_key_file_get_value(file, *group, *key, NULL));
            if (!apply_key(options, *group, *key, value, source, error)) return FALSE;
        }
    }
    return TRUE;
}

/* The text of a file, which may be a pipe. NULL with error set. Owner: caller. */
static char *read_text(const char *path, GError **error) {
    g_autofree char *text = g_malloc(MAX_TEXT + 1);
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(text, 1, MAX_TEXT + 1, file) : 0;
    const char *cause = !file || ferror(file)                     ? g_strerror(errno)
                        : n > MAX_TEXT                            ? "larger than 64 KiB"
                        : !g_utf8_validate(text, (gssize)n, NULL) ? "not a text file"
                                                                  : NULL;
    if (file) fclose(file);
    if (cause) {
        g_set_error(error, OPTION_ERROR, OPTION_ERROR_FILE, "%s: cannot read options: %s; give a run.ini",
                    path, cause);
        return NULL;
    }
    text[n] = '\0';
    return g_steal_pointer(&text);
}

static gboolean apply_file(options_t *options, const char *path, GError **error) {
    static const char mark[] = "\xEF\xBB\xBF"; /* with which some editors begin a text */
    g_autofree char *text = read_text(path, error);
    return text && apply_text(options, text + (g_str_has_prefix(text, mark) ? strlen(mark) : 0), path, error);
}

static options_t *options_new(void) {
    options_t *options = g_new0(options_t, 1);
    option_set_defaults(option_rows(), options);
    return options;
}

void options_free(options_t *options) {
    if (options) option_clear(option_rows(), options);
    g_free(options);
}

model_kind_t options_model_kind(const options_t *options) {
    return (model_kind_t)option_choice_index(option_find(option_rows(), "model"), options->model);
}

char *options_to_text(const options_t *options) {
    GString *text = g_string_new("# Every option of this run; give it back with --config.\n");
    int group = GROUP_RUN;
    for (const option_t *option = option_rows(); option->name; option++) {
        if (option->group < GROUP_MODEL) continue;
        if (option->group != group) g_string_append_printf(text, "\n[%s]\n", OPTION_GROUPS[option->group]);
        group = option->group;
        g_autofree char *value = option_get(options, option);
        g_string_append_printf(text, "%s=%s\n", option->name, value);
    }
    return g_string_free(text, FALSE);
}

options_t *options_from_text(const char *text, const char *source, GError **error) {
    g_autoptr(options_t) options = options_new();
    return apply_text(options, text, source, error) ? g_steal_pointer(&options) : NULL;
}

/* ---- the command line ---- */

/* Refuses a flag that the model does not use: whoever gives it means another model. */
static gboolean check_meaning(const options_t *options, const option_line_t *line, GError **error) {
    const model_kind_t kind = options_model_kind(options);
    for (const option_t *option = option_rows(); option->name; option++)
        if (option->whom && !(option->whom >> kind & 1U) && option_given(line, option->name))
            return option_fail(error, "--%s: has no meaning for --model %s; %s", option->name, options->model,
                               option->instead ? option->instead : "leave it out");
    if (kind == MODEL_DENSE && (options->batch == OPTIONS_AUTO || options->epochs == OPTIONS_AUTO))
        return option_fail(error, "--batch, --epochs: auto is for --model sequence; give numbers");
    return TRUE;
}

/* What the program is to do in place of training, by its option; NULL: it trains. */
static const char *task_of(const options_t *options) {
    return options->evaluate     ? "evaluate"
           : options->attributes ? "attributes"
           : options->masks      ? "masks"
                                 : NULL;
}

/* Refuses a training flag beside --evaluate, --attributes or --masks; such options in a --config file are
 * ignored. */
static gboolean check_scoring(const char *task, const option_line_t *line, GError **error) {
    static const char *const of_runs[] = {"output", "preset", "resume", NULL};
    static const char *const of_scoring[] = {"seed", "threads", NULL};
    for (const option_t *option = option_rows(); option->name; option++) {
        const gboolean trains = option->group < GROUP_MODEL ? g_strv_contains(of_runs, option->name)
                                                            : !g_strv_contains(of_scoring, option->name),
                       learns = g_str_equal(task, "masks") && g_str_equal(option->name, "epochs");
        if (trains && !learns && option_given(line, option->name))
            return option_fail(error, "--%s: has no meaning beside --%s, which trains no model; leave it out",
                               option->name, task);
    }
    return TRUE;
}

/* Refuses what --latent-rate takes the place of, and the rate of a latent that is not there, on the command
 * line: a preset has such options of its own. */
static gboolean check_rate(const options_t *options, const option_line_t *line, GError **error) {
    static const char *const replaced[] = {"beta",      "beta-steps",      "beta-start",
                                           "free-bits", "free-bits-steps", "free-bits-start"};
    if (!options_hold_rate(options)) return TRUE;
    for (size_t i = 0; i < G_N_ELEMENTS(replaced); i++)
        if (option_given(line, replaced[i]))
            return option_fail(error,
                               "--%s: has no meaning beside --latent-rate, which learns the weight of the KL "
                               "divergence; leave it out, or give --latent-rate 0",
                               replaced[i]);
    if (options->sizes.latent == 0 && option_given(line, "latent-rate"))
        return option_fail(error, "--latent-rate: there is no latent to hold (--latent 0); leave it out");
    return TRUE;
}

/* Checks options that depend on each other. */
static gboolean check_together(const options_t *options, const option_line_t *line, GError **error) {
    static const char *const of_evaluation[] = {"split", "iwae", "particles", "rebuild"};
    const gboolean trains = !task_of(options), dense = options_model_kind(options) == MODEL_DENSE;
    if (!options->data)
        return option_fail(
            error, "--data: missing; give the folder of shards that %s wrote (--help lists all options)",
            program_called("preprocess"));
    if (!options->output && trains)
        return option_fail(error,
                           "--output: missing; give the run folder to write to (--help lists all options)");
    if (!!options->evaluate + !!options->attributes + !!options->masks > 1)
        return option_fail(error,
                           "--evaluate, --attributes, --masks: exclude each other; give one after the other");
    if (options->reproducible > 0 && !g_str_equal(options->wire, "float"))
        return option_fail(error, "--wire bf16: rounds on each host; leave it out, or --reproducible");
    if (options->reproducible > 0 && options->sync_every > 0)
        return option_fail(error,
                           "--sync-every: steps of a host by itself depend on how many hosts there are; "
                           "leave it out, or --reproducible");
    for (size_t i = 0; i < G_N_ELEMENTS(of_evaluation) && !options->evaluate; i++)
        if (option_given(line, of_evaluation[i]))
            return option_fail(error, "--%s: has no meaning without --evaluate CHECKPOINT", of_evaluation[i]);
    if (options->batch != OPTIONS_AUTO && options->accumulate > options->batch)
        return option_fail(error,
                           "--accumulate: more passes than a batch has samples; lower it or raise --batch");
    if (!dense && options->chunk > 0 && (size_t)options->chunk % options->sizes.sequence.segment != 0)
        return option_fail(error, "--chunk: must be whole segments; give a multiple of --segment");
    if (!dense && options->chunk > 0 && (size_t)options->chunk < model_alignment(&options->sizes))
        return option_fail(error, "--chunk: must be %zu frames or more with this --segment and --memory",
                           model_alignment(&options->sizes));
    if (!dense && options->sizes.sequence.memory + options->sizes.sequence.note == 0 &&
        option_given(line, "memory-dropout"))
        return option_fail(error,
                           "--memory-dropout: has no meaning without --memory or --note; leave it out");
    if (dense && options->sizes.latent == 0)
        return option_fail(error, "--latent: 0 makes no sense for --model dense; give 1 or more");
    if (!dense && !check_rate(options, line, error)) return FALSE;
    return trains ? check_meaning(options, line, error) : check_scoring(task_of(options), line, error);
}

/* Path of the run.ini of the run that --resume asks for, or NULL. Owner: caller. */
static char *resumed_file(const option_line_t *line) {
    const char *resume = option_given(line, "resume"), *output = option_given(line, "output");
    if (!resume || g_str_equal(resume, "no") || (g_str_equal(resume, "auto") && !output)) return NULL;
    g_autofree char *folder = g_str_equal(resume, "auto") ? g_strdup(output) : g_path_get_dirname(resume);
    g_autofree char *path = g_build_filename(folder, "run.ini", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

/* Applies files and flags in their order of precedence. */
static gboolean apply_all(options_t *options, const option_line_t *line, GError **error) {
    const char *preset = option_given(line, "preset"), *config = option_given(line, "config");
    g_autofree char *resumed = resumed_file(line);
    if (resumed && !apply_file(options, resumed, error)) return FALSE;
    int *const numbers[] = {&options->batch, &options->chunk, &options->epochs, &options->validate_every};
    int run[G_N_ELEMENTS(numbers)];
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) run[i] = *numbers[i];
    for (size_t i = 0; preset && i < G_N_ELEMENTS(PRESETS); i++)
        if (g_str_equal(PRESETS[i].name, preset) && !apply_text(options, PRESETS[i].text, preset, error))
            return FALSE;
    if ((config && !apply_file(options, config, error)) ||
        !option_set_given(option_rows(), line, options, error))
        return FALSE;
    for (size_t i = 0; resumed && i < G_N_ELEMENTS(numbers); i++)
        if (*numbers[i] == OPTIONS_AUTO) *numbers[i] = run[i];
    return check_together(options, line, error);
}

static gboolean read_line(const options_t *defaults, int argc, char *const *argv, option_line_t *line,
                          GError **error) {
    static const char *const titles[] = {"Run:", "Evaluation:", "Model:", "Training:", "Keeping:", NULL};
    g_autofree char *summary = g_strdup_printf(
        "Trains a variational autoencoder on piano-roll shards, data-parallel over MPI ranks:\n"
        "  mpirun -n 4 %s --data shards --output run --preset seed\n"
        "Options count in this order: defaults, --preset, --config, flags.",
        program_name());
    const option_command_t command = {
        .rows = option_rows(),
        .groups = titles,
        .parameters = "--data DIR --output RUN",
        .summary = summary,
        .description =
            "SIGUSR1, SIGTERM or SIGINT: write a checkpoint and leave; --resume auto goes on from there.\n"
            "Exit status: 0 done, also where --max-steps, --max-minutes or --early-stopping ends the run; 1 "
            "error; 2 bad usage;\n"
            "75 stopped early with a checkpoint written.\n"};
    g_autoptr(GError) cause = NULL;
    if (option_read_line(&command, defaults, argc, argv, line, &cause)) return TRUE;
    if (cause->domain == G_OPTION_ERROR)
        return option_fail(error, "%s (--help lists all options)", cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

options_t *options_parse(int argc, char *const *argv, gboolean print, gboolean *help, GError **error) {
    g_autoptr(options_t) options = options_new();
    g_auto(option_line_t) line = {0};
    *help = FALSE;
    if (!read_line(options, argc, argv, &line, error)) return NULL;
    options->version = !line.help && option_given(&line, "version");
    *help = line.help || options->version;
    if (print && line.help) g_print("%s", line.help);
    if (print && options->version) program_print_version("trainer");
    if (*help) return g_steal_pointer(&options);
    if (line.files) {
        option_fail(error, "'%s': unexpected argument; every option has a name (--help lists all)",
                    line.files[0]);
        return NULL;
    }
    if (!apply_all(options, &line, error)) return NULL;
    if (options->masks && !option_given(&line, "epochs")) options->epochs = OPTIONS_AUTO;
    return g_steal_pointer(&options);
}

/* ---- what the options ask for ---- */

model_config_t options_model_config(const options_t *options, const grid_t *grid) {
    model_config_t config = options->sizes;
    config.kind = options_model_kind(options);
    config.loss = config.kind == MODEL_DENSE && g_str_equal(options->loss, "mse") ? LOSS_MSE : LOSS_BCE;
    config.tracks = (size_t)grid->n_tracks;
    config.pitches = (size_t)grid->pitches;
    sizes_clear_others(&config);
    if (config.kind == MODEL_SEQUENCE) model_order_tracks(&config, grid);
    if (config.kind == MODEL_SEQUENCE) model_tie_all(&config);
    return config;
}

size_t options_context(const options_t *options) {
    const grid_t none = {0};
    const model_config_t config = options_model_config(options, &none);
    return model_context(&config);
}

optimizer_config_t options_optimizer_config(const options_t *options) {
    return (optimizer_config_t){.learning_rate = options->learning_rate,
                                .beta1 = options->adam_beta1,
                                .beta2 = options->adam_beta2,
                                .epsilon = options->adam_epsilon,
                                .weight_decay = options->weight_decay,
                                .clip_norm = options->clip,
                                .average = options->average,
                                .outer = options->sync_every > 0};
}

gboolean options_hold_rate(const options_t *options) {
    return options->latent_rate.nats > 0 || options->latent_rate.share > 0;
}

int64_t options_span_steps(const option_span_t *span, int64_t total_steps) {
    return span->share > 0 ? (int64_t)llround(span->share * (double)total_steps) : span->steps;
}
