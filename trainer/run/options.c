/* options: makes of the table in option.c the command line, --help, run.ini and the presets, and puts them in
 * their order of precedence. Refuses unknown names, with the nearest known one, and combinations that make no
 * sense; knows nothing of what the options do. */
#include "trainer/run/options.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/model/sizes.h"
#include "trainer/run/option.h"

G_DEFINE_QUARK(mpianist_options_error, options_error)

/* The hyperparameters of the sequence model that its presets share. */
#define SEQUENCE_PRESET                                                                                      \
    "[model]\nmodel=sequence\nlatent=32\nstate=256\nencoder=128\nsketch=64\nnade=64\ntied=32\nposterior-"    \
    "hidden=256\nprior-hidden=128\nsketch-"                                                                  \
    "hidden=256\n"                                                                                           \
    "[training]\nlearning-rate=0.002\ndecay=cosine\nwarmup-steps=100\nfinal-rate=0.02\nadam-beta1=0."        \
    "9\nadam-beta2=0.999\nadam-epsilon=1e-08\n"                                                              \
    "weight-decay=0\nclip=1\nbeta=1\nbeta-steps=60 "                                                         \
    "%\nbeta-start=0.1\nfree-bits-steps=0\nauxiliary=0.5\ninput-dropout=0.1\naverage=0.995\n"                \
    "transpose=-5,6\n"

/* As run.ini text: what the seed project did; what suits four-part chorales (JSB), folk tunes with chords
 * (Nottingham), and songs of several tracks. */
static const struct {
    const char *name, *text;
} PRESETS[] = {
    {"seed", "[model]\nmodel=dense\nwindow=100\nhidden=256,128,64\nlatent=16\nloss=bce\nplanes=sounding\n"
             "[training]\nbatch=64\nepochs=50\nlearning-rate=0.001\ndecay=constant\nwarmup-steps=0\nadam-"
             "beta1=0.9\nadam-beta2=0.999\nadam-epsilon=1e-08\n"
             "weight-decay=0\nclip=0\nbeta=1\nbeta-steps=0\nfree-bits=0\nfree-bits-steps=0\naverage="
             "0\ntranspose=0,0\noffsets=grid\n"},
    {"chorales", SEQUENCE_PRESET
     "batch=8\nchunk=0\nepochs=200\ndropout=0.4\nlag-dropout=0\nfree-bits=2\n[keeping]\nvalidate-every=10\n"
     "[model]\nplanes=sounding\nsegment=4\nlags=1,2,4\nprofiles=0\n"},
    {"folk", SEQUENCE_PRESET
     "batch=24\nchunk=128\nepochs=30\ndropout=0.3\nlag-dropout=0\nfree-bits=4\n[keeping]\nvalidate-every=5\n"
     "[model]\nplanes=sounding\nsegment=4\nlags=1,2,4,8,16,24,32,48,64,96\nprofiles=0\n"},
    {"band", SEQUENCE_PRESET
     "batch=8\nchunk=128\nepochs=30\ndropout=0.4\nlag-dropout=0.7\nfree-bits=4\n[keeping]\nvalidate-every=5\n"
     "[model]\nplanes=both\nsegment=16\nlags=1,2,4,8,16,32\nprofiles=16,128\n"},
};

/* Sets the options that key-file text holds; source names it in errors. */
static gboolean apply_text(options_t *options, const char *text, const char *source, GError **error) {
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;
    if (!g_key_file_load_from_data(file, text, strlen(text), G_KEY_FILE_NONE, &cause)) {
        g_set_error(
            error, OPTIONS_ERROR, OPTIONS_ERROR_FILE,
            "%s: cannot read options: %s; write lines 'name=value' under [model], [training], [keeping]",
            source, cause->message);
        return FALSE;
    }
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group; group++) {
        g_auto(GStrv) keys = g_key_file_get_keys(file, *group, NULL, NULL);
        for (char **key = keys; *key; key++) {
            const option_t *option = run_option_find(*key);
            if (!option) {
                const char *nearest = run_option_nearest_name(*key, TRUE);
                g_autofree char *way_out =
                    nearest ? g_strdup_printf("did you mean '%s'?", nearest) : g_strdup("--help lists all");
                g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, "%s: unknown option '%s'; %s", source,
                            *key, way_out);
                return FALSE;
            }
            if (option->group < GROUP_MODEL) {
                g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                            "%s: '%s' cannot stand in a file; give --%s on the command line", source, *key,
                            *key);
                return FALSE;
            }
            if (!g_str_equal(*group, option_group_name(option->group))) {
                g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                            "%s: '%s' stands in [%s]; move it to [%s]", source, *key, *group,
                            option_group_name(option->group));
                return FALSE;
            }
            g_autofree char *value = g_strstrip(g_key_file_get_value(file, *group, *key, NULL));
            g_autofree char *label = g_strdup_printf("%s: %s", source, *key);
            if (!run_option_set(options, option, value, label, error)) return FALSE;
        }
    }
    return TRUE;
}

static gboolean apply_file(options_t *options, const char *path, GError **error) {
    g_autofree char *text = NULL;
    size_t length;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &text, &length, &cause)) {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE, "%s: cannot read options: %s; give a run.ini",
                    path, program_cause(cause));
        return FALSE;
    }
    if (strlen(text) != length) {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE,
                    "%s: cannot read options: not a text file; give a run.ini", path);
        return FALSE;
    }
    return apply_text(options, text, path, error);
}

static options_t *options_new(void) {
    options_t *options = g_new0(options_t, 1);
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        g_autoptr(GError) error = NULL;
        if (option->fallback && !run_option_set(options, option, option->fallback, option->name, &error))
            g_error("default of %s", error->message);
    }
    return options;
}

void options_free(options_t *options) {
    if (!options) return;
    for (const option_t *option = OPTION_TABLE; option->name; option++)
        if (option->type == OPTION_CHOICE || option->type == OPTION_TEXT)
            g_free(*(char **)(void *)((char *)options + option->offset));
    g_free(options);
}

char *options_to_text(const options_t *options) {
    GString *text = g_string_new("# Every option of this run; give it back with --config.\n");
    option_group_t group = GROUP_RUN;
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        if (option->group < GROUP_MODEL) continue;
        if (option->group != group)
            g_string_append_printf(text, "\n[%s]\n", option_group_name(option->group));
        group = option->group;
        g_autofree char *value = run_option_get(options, option);
        g_string_append_printf(text, "%s=%s\n", option->name, value);
    }
    return g_string_free(text, FALSE);
}

options_t *options_from_text(const char *text, const char *source, GError **error) {
    g_autoptr(options_t) options = options_new();
    return apply_text(options, text, source, error) ? g_steal_pointer(&options) : NULL;
}

/* The command line's flags, name -> text, applied after the files wherever they stand on the line. */
static gboolean keep_flag(const char *flag, const char *value, gpointer flags, G_GNUC_UNUSED GError **error) {
    const option_t *option = OPTION_TABLE;
    while (flag[1] == '-' ? !g_str_equal(option->name, flag + 2) : option->letter != flag[1]) option++;
    g_hash_table_insert(flags, g_strdup(option->name), g_strdup(value ? value : ""));
    return TRUE;
}

/* Help of one option with its default and range; owner: caller. */
static char *help_text(const option_t *option) {
    g_autofree char *range = option_range(option, "..");
    if (!option->fallback) return g_strdup(option->help);
    return g_strdup_printf("%s (default %s%s%s)", option->help, option->fallback, range ? ", " : "",
                           range ? range : "");
}

static GOptionGroup *group_new(option_group_t group, GHashTable *flags, gboolean *help, GPtrArray *texts) {
    static const char *const titles[GROUP_COUNT] = {"Run:", "Evaluation:", "Model:", "Training:", "Keeping:"};
    GOptionGroup *entries = g_option_group_new(option_group_name(group), titles[group], "", flags, NULL);
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        if (option->group != group) continue;
        char *text = help_text(option);
        g_ptr_array_add(texts, text);
        /* FILENAME takes the bytes as they are; else GLib refuses what the C locale does not know. */
        int kind = G_OPTION_FLAG_FILENAME | (option->type == OPTION_FLAG ? G_OPTION_FLAG_NO_ARG : 0);
        GOptionEntry entry[] = {{option->name, option->letter, kind, G_OPTION_ARG_CALLBACK,
                                 (gpointer)(guintptr)keep_flag, text, option->argument},
                                G_OPTION_ENTRY_NULL};
        g_option_group_add_entries(entries, entry);
    }
    GOptionEntry entry[] = {{"help", 'h', 0, G_OPTION_ARG_NONE, help, "print this and leave", NULL},
                            G_OPTION_ENTRY_NULL};
    if (group == GROUP_RUN) g_option_group_add_entries(entries, entry);
    return entries;
}

/* texts keeps the strings that GOption does not copy. */
static GOptionContext *context_new(GHashTable *flags, gboolean *help, GPtrArray *texts) {
    GOptionContext *context = g_option_context_new("--data DIR --output RUN");
    g_option_context_set_help_enabled(context, FALSE);
    g_autofree char *summary = g_strdup_printf(
        "Trains a variational autoencoder on piano-roll shards, data-parallel over MPI ranks:\n"
        "  mpirun -n 4 %s --data shards --output run --preset seed\n"
        "Options count in this order: defaults, --preset, --config, flags.",
        program_name());
    g_option_context_set_summary(context, summary);
    g_option_context_set_description(
        context,
        "SIGUSR1, SIGTERM or SIGINT: write a checkpoint and leave; --resume auto goes on from there.\n"
        "Exit status: 0 done, also where --max-steps, --max-minutes or --early-stopping ends the run; 1 "
        "error; 2 bad usage;\n"
        "75 stopped early with a checkpoint written.\n");
    for (option_group_t group = 0; group < GROUP_COUNT; group++)
        g_option_context_add_group(context, group_new(group, flags, help, texts));
    return context;
}

/* GOption's error in our words, with the nearest name of an unknown option. */
static void usage_error(const GError *cause, GError **error) {
    const char *start = strstr(cause->message, " --");
    if (g_error_matches(cause, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION) && start) {
        start += strlen(" --");
        g_autofree char *name = g_strndup(start, strcspn(start, "=")); /* without its value */
        const char *nearest = run_option_nearest_name(name, FALSE);
        g_autofree char *meant = nearest ? g_strdup_printf("; did you mean --%s?", nearest) : g_strdup("");
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, "--%s: unknown option%s (--help lists all)",
                    name, meant);
    } else {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, "%s (--help lists all options)",
                    cause->message);
    }
}

/* A flag that the model has no use for is refused: who gives it means another model. */
static gboolean check_meaning(const options_t *options, GHashTable *flags, GError **error) {
    const int kind = run_option_choice_index(run_option_find("model"), options->model);
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        if (!option->models || option->models >> kind & 1U || !g_hash_table_contains(flags, option->name))
            continue;
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, "--%s: has no meaning for --model %s; %s",
                    option->name, options->model, option->instead ? option->instead : "leave it out");
        return FALSE;
    }
    return TRUE;
}

/* A flag for training beside --evaluate or --attributes is refused; what a --config file says of it is not
 * meant for them. */
static gboolean check_scoring(const char *task, GHashTable *flags, GError **error) {
    static const char *const of_runs[] = {"output", "preset", "resume", NULL}, *const of_scoring[] = {
                                                                                   "seed", "threads", NULL};
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        const gboolean trains = option->group < GROUP_MODEL ? g_strv_contains(of_runs, option->name)
                                                            : !g_strv_contains(of_scoring, option->name);
        if (!trains || !g_hash_table_contains(flags, option->name)) continue;
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                    "--%s: has no meaning beside --%s, which does not train; leave it out", option->name,
                    task);
        return FALSE;
    }
    return TRUE;
}

/* What single values cannot show. */
static gboolean check_together(const options_t *options, GHashTable *flags, GError **error) {
    const char *problem = NULL;
    const gboolean trains = !options->evaluate && !options->attributes;
    if (!options->data) {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                    "--data: missing; give the folder of shards that %s wrote (--help lists all options)",
                    program_called("preprocess"));
        return FALSE;
    }
    if (!options->output && trains)
        problem = "--output: missing; give the run folder to write to (--help lists all options)";
    else if (options->evaluate && options->attributes)
        problem = "--evaluate, --attributes: exclude each other; give one after the other";
    else if (!options->evaluate && g_hash_table_contains(flags, "split"))
        problem = "--split: has no meaning without --evaluate CHECKPOINT";
    else if (!options->evaluate && g_hash_table_contains(flags, "iwae"))
        problem = "--iwae: has no meaning without --evaluate CHECKPOINT";
    else if (!options->evaluate && g_hash_table_contains(flags, "particles"))
        problem = "--particles: has no meaning without --evaluate CHECKPOINT";
    else if (options->accumulate > options->batch)
        problem = "--accumulate: more passes than a batch has samples; lower it or raise --batch";
    else if (g_str_equal(options->model, "sequence") && options->chunk % options->segment != 0)
        problem = "--chunk: must be whole segments; give a multiple of --segment";
    else if (options->latent == 0 && g_str_equal(options->model, "dense"))
        problem = "--latent: 0 makes no sense for --model dense; give 1 or more";
    if (problem) g_set_error_literal(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE, problem);
    if (problem) return FALSE;
    return trains ? check_meaning(options, flags, error)
                  : check_scoring(options->evaluate ? "evaluate" : "attributes", flags, error);
}

/* run.ini of the run that --resume goes on with, or NULL. Owner: caller. */
static char *resumed_file(GHashTable *flags) {
    const char *resume = g_hash_table_lookup(flags, "resume"), *output = g_hash_table_lookup(flags, "output");
    if (!resume || g_str_equal(resume, "no") || (g_str_equal(resume, "auto") && !output)) return NULL;
    g_autofree char *folder = g_str_equal(resume, "auto") ? g_strdup(output) : g_path_get_dirname(resume);
    g_autofree char *path = g_build_filename(folder, "run.ini", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

/* Files and flags in their order of precedence. */
static gboolean apply_all(options_t *options, GHashTable *flags, GError **error) {
    const char *preset = g_hash_table_lookup(flags, "preset"), *config = g_hash_table_lookup(flags, "config");
    g_autofree char *resumed = resumed_file(flags);
    if (resumed && !apply_file(options, resumed, error)) return FALSE;
    for (size_t i = 0; preset && i < G_N_ELEMENTS(PRESETS); i++)
        if (g_str_equal(PRESETS[i].name, preset) && !apply_text(options, PRESETS[i].text, preset, error))
            return FALSE;
    if (config && !apply_file(options, config, error)) return FALSE;
    for (const option_t *option = OPTION_TABLE; option->name; option++) {
        const char *text = g_hash_table_lookup(flags, option->name);
        g_autofree char *label = g_strdup_printf("--%s", option->name);
        if (text && !run_option_set(options, option, text, label, error)) return FALSE;
    }
    return check_together(options, flags, error);
}

options_t *options_parse(int *argc, char ***argv, gboolean print, gboolean *help, GError **error) {
    g_autoptr(options_t) options = options_new();
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) flags = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GOptionContext) context = context_new(flags, help, texts);
    g_autoptr(GError) cause = NULL;
    *help = FALSE;
    if (!g_option_context_parse(context, argc, argv, &cause)) {
        usage_error(cause, error);
        return NULL;
    }
    if (*help) {
        g_autofree char *text = g_option_context_get_help(context, FALSE, NULL);
        if (print) g_print("%s", text);
    } else if (g_hash_table_contains(flags, "version")) {
        options->version = *help = TRUE;
        if (print) program_print_version("trainer");
    } else if (*argc > 1) {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                    "'%s': unexpected argument; every option has a name (--help lists all)", (*argv)[1]);
        return NULL;
    } else if (!apply_all(options, flags, error)) {
        return NULL;
    }
    return g_steal_pointer(&options);
}

/* All sizes but the order of tracks. */
static gboolean sequence_sizes(const options_t *options, sequence_sizes_t *sizes, GError **error) {
    sizes->segment = (size_t)options->segment;
    sizes->state = (size_t)options->state;
    sizes->encoder = (size_t)options->encoder;
    sizes->sketch = (size_t)options->sketch;
    sizes->nade = (size_t)options->nade;
    sizes->tied = (size_t)options->tied;
    sizes->posterior_hidden = (size_t)options->posterior_hidden;
    sizes->prior_hidden = (size_t)options->prior_hidden;
    sizes->sketch_hidden = (size_t)options->sketch_hidden;
    if (!sizes_parse_lags(options->lags, sizes->lags, &sizes->n_lags))
        return run_option_refuse(run_option_find("lags"), "--lags", options->lags, error);
    return sizes_parse_profiles(options->profiles, sizes->profiles, &sizes->n_profiles) ||
           run_option_refuse(run_option_find("profiles"), "--profiles", options->profiles, error);
}

gboolean options_model_config(const options_t *options, const grid_t *grid, model_config_t *config,
                              GError **error) {
    *config = (model_config_t){
        .kind = (model_kind_t)run_option_choice_index(run_option_find("model"), options->model),
        .tracks = (size_t)grid->n_tracks,
        .planes = g_str_equal(options->planes, "both") ? 2 : 1,
        .pitches = (size_t)grid->pitches,
        .latent = (size_t)options->latent,
        .loss = LOSS_BCE,
    };
    if (config->kind == MODEL_SEQUENCE) {
        model_order_tracks(config, grid);
        return sequence_sizes(options, &config->sequence, error);
    }
    config->window = (size_t)options->window;
    config->loss = (loss_t)run_option_choice_index(run_option_find("loss"), options->loss);
    return sizes_parse_hidden(options->hidden, config->hidden, &config->n_hidden) ||
           run_option_refuse(run_option_find("hidden"), "--hidden", options->hidden, error);
}

optimizer_config_t options_optimizer_config(const options_t *options) {
    return (optimizer_config_t){.learning_rate = options->learning_rate,
                                .beta1 = options->adam_beta1,
                                .beta2 = options->adam_beta2,
                                .epsilon = options->adam_epsilon,
                                .weight_decay = options->weight_decay,
                                .clip_norm = options->clip,
                                .average = options->average};
}

gboolean options_transpose_range(const options_t *options, int *low, int *high, GError **error) {
    return option_parse_transpose(options->transpose, low, high) ||
           run_option_refuse(run_option_find("transpose"), "--transpose", options->transpose, error);
}

gboolean options_context(const options_t *options, size_t *context, GError **error) {
    model_config_t config = {.kind = MODEL_SEQUENCE};
    if (!sequence_sizes(options, &config.sequence, error)) return FALSE;
    *context = model_context(&config);
    return TRUE;
}

gboolean options_splits(const options_t *options, split_t splits[SPLIT_COUNT], size_t *n, GError **error) {
    return option_parse_splits(options->split, splits, n) ||
           run_option_refuse(run_option_find("split"), "--split", options->split, error);
}

gboolean options_checkpoint_every(const options_t *options, int64_t *steps, double *minutes, GError **error) {
    return option_parse_checkpoint_every(options->checkpoint_every, steps, minutes) ||
           run_option_refuse(run_option_find("checkpoint-every"), "--checkpoint-every",
                             options->checkpoint_every, error);
}

static gboolean span(const char *name, const char *text, int64_t total_steps, int64_t *steps,
                     GError **error) {
    double share = 0;
    g_autofree char *label = g_strdup_printf("--%s", name);
    if (!option_parse_span(text, steps, &share))
        return run_option_refuse(run_option_find(name), label, text, error);
    if (share > 0) *steps = (int64_t)llround(share * (double)total_steps);
    return TRUE;
}

gboolean options_spans(const options_t *options, int64_t total_steps, int64_t *beta_steps,
                       int64_t *free_bits_steps, GError **error) {
    return span("beta-steps", options->beta_steps, total_steps, beta_steps, error) &&
           span("free-bits-steps", options->free_bits_steps, total_steps, free_bits_steps, error);
}
