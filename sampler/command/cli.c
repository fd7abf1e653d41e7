/* Owns the sampler's command line. Refuses unknown verbs and options, values out of range and the wrong
 * number of files, before any file is opened. */
#include "sampler/command/cli.h"

#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/typo.h"
#include "preprocess/shard/shard.h"
#include "sampler/command/cli_option.h"

G_DEFINE_QUARK(cli_error, cli_error)

typedef struct {
    const char *name, *takes, *summary, *example;
    guint min_files, max_files;
    int kinds;
} verb_info_t;

static const verb_info_t verbs[VERB_COUNT] = {
    {"prior", "", "New pieces drawn from the model's prior; of a dense model one window each.",
     "prior --checkpoint best.h5 -n 8 --seed 1 --picture", 0, 0, ANY},
    {"song", "", "A long piece; of a dense model along a smooth path in latent space, windows cross-faded.",
     "song --checkpoint best.h5 --bars 64 --key Am --audio", 0, 0, ANY},
    {"continue", "SONG.mid", "A song, and how a sequence model goes on with it.",
     "continue --checkpoint best.h5 song.mid --bars 16 -n 4", 1, 1, SEQUENCE},
    {"reconstruct", "SONG.mid...", "What the model keeps of a song: encoded and decoded.",
     "reconstruct --checkpoint best.h5 song.mid", 1, G_MAXUINT, DENSE | VAE},
    {"vary", "SONG.mid", "Variations on a song: decoded from near its latent vectors.",
     "vary --checkpoint best.h5 song.mid --amount 0.3 -n 4", 1, 1, DENSE | VAE},
    {"interpolate", "A.mid B.mid", "From one song to another in equal steps (spherical).",
     "interpolate --checkpoint best.h5 a.mid b.mid --steps 8 --picture", 2, 2, DENSE | VAE},
    {"traverse", "SONG.mid", "One latent feature from -3 to 3, the others as in the song.",
     "traverse --checkpoint best.h5 song.mid --dim 3 --picture", 1, 1, DENSE | VAE},
    {"curves", "RUN...", "Pictures of a training run's losses (RUN/metrics.jsonl).",
     "curves RUN --picture=svg", 1, G_MAXUINT, ANY},
    {"score", "FILE...", "Figures of MIDI files or folders of them, beside those of a corpus' real songs.",
     "score new/ --corpus shards --seam 16 --originality shards", 1, G_MAXUINT, ANY},
};

const char *verb_name(verb_t verb) { return verbs[verb].name; }

gboolean cli_fail(GError **error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, CLI_ERROR, CLI_ERROR_USAGE, message);
    return FALSE;
}

/* "prior, reconstruct, ...". Owner: caller. */
static char *verb_list(void) {
    const char *names[VERB_COUNT + 1] = {NULL};
    for (size_t v = 0; v < VERB_COUNT; v++) names[v] = verbs[v].name;
    return g_strjoinv(", ", (char **)names);
}

static gboolean verb_from_name(const char *name, verb_t *verb, GError **error) {
    size_t nearest = 0;
    for (size_t v = 0; v < VERB_COUNT; v++) {
        if (strcmp(name, verbs[v].name) == 0) {
            *verb = (verb_t)v;
            return TRUE;
        }
        if (typo_distance(name, verbs[v].name) < typo_distance(name, verbs[nearest].name)) nearest = v;
    }
    if (typo_distance(name, verbs[nearest].name) <= 3)
        return cli_fail(error, "unknown verb '%s'; did you mean '%s'? See %s --help", name,
                        verbs[nearest].name, program_name());
    g_autofree char *list = verb_list();
    return cli_fail(error, "unknown verb '%s'; the verbs are %s; see %s --help", name, list, program_name());
}

static void print_help(void) {
    const char *name = program_name();
    g_print("Usage: %s VERB [OPTION...] [FILE...]\n\nMakes music with a checkpoint that mpianist's trainer "
            "wrote.\n\nVerbs:\n",
            name);
    for (size_t v = 0; v < VERB_COUNT; v++)
        g_print("  %-12s %-12s %s\n", verbs[v].name, verbs[v].takes, verbs[v].summary);
    g_print("\n'%s VERB --help' lists a verb's options. Paths of the files written go to standard output, "
            "one a line; talk to standard error.\n"
            "Exit status: 0 done, 1 error, 2 bad usage.\n\nExamples:\n",
            name);
    for (size_t v = 0; v < VERB_COUNT; v++) g_print("  %s %s\n", name, verbs[v].example);
}

static cli_t *cli_new(verb_t verb) {
    cli_t *cli = g_new0(cli_t, 1);
    *cli = (cli_t){.verb = verb,
                   .count = 1,
                   .first = 1,
                   .seed = 1,
                   .temperature = 1,
                   .threshold = 0.5,
                   .dim = -1,
                   .bar = 1,
                   .correlation = 0.8,
                   .amount = 0.3,
                   .strength = 1,
                   .keep = -1,
                   .steps_per_beat = -1,
                   .seam = -1};
    cli->picture = verb == VERB_CURVES ? PICTURE_PNG : PICTURE_NONE;
    cli->steps = verb == VERB_TRAVERSE ? 7 : 8;
    cli->bars = verb == VERB_PRIOR ? 8 : verb == VERB_SONG ? 64 : verb == VERB_CONTINUE ? 16 : -1;
    return cli;
}

void cli_free(cli_t *cli) {
    if (cli == NULL) return;
    g_strfreev(cli->files);
    g_strfreev(cli->latents);
    g_free(cli->checkpoint);
    g_strfreev(cli->more);
    g_strfreev(cli->less);
    g_free(cli->key);
    g_free(cli->output);
    g_free(cli->soundfont);
    g_free(cli->corpus);
    g_free(cli->originality);
    g_free(cli->split);
    g_free(cli->tracks);
    g_free(cli->meter);
    g_free(cli);
}

static gboolean check_score(cli_t *cli, GError **error) {
    split_t split;
    grid_t grid;
    g_autoptr(GError) cause = NULL;
    if (cli->split != NULL && !split_from_name(cli->split, &split))
        return cli_fail(error, "--split %s: there is no such split; give train, valid or test", cli->split);
    if (cli->tracks != NULL && !grid_set_tracks(&grid, cli->tracks, &cause))
        return cli_fail(error, "--tracks: %s", cause->message);
    if (cli->meter != NULL && !meter_from_text(cli->meter, &cli->bar_meter))
        return cli_fail(error, "--meter %s: not a meter; give one like 4/4 or 6/8", cli->meter);
    return TRUE;
}

static gboolean check_attributes(const cli_t *cli, GError **error) {
    static const char *const none[] = {NULL};
    const char *const *more = cli->more != NULL ? (const char *const *)cli->more : none;
    const char *const *less = cli->less != NULL ? (const char *const *)cli->less : none;
    for (size_t i = 0; more[i] != NULL; i++)
        if (g_strv_contains(less, more[i]))
            return cli_fail(error, "--more %s and --less %s exclude each other; give one", more[i], more[i]);
    return TRUE;
}

/* What no single option's range says. */
static gboolean cli_check(cli_t *cli, GError **error) {
    const verb_info_t *verb = &verbs[cli->verb];
    cli->n_files = cli->files == NULL ? 0 : g_strv_length(cli->files);
    if (!option_check_values(cli, error)) return FALSE;
    if (cli->n_files < verb->min_files || cli->n_files > verb->max_files) {
        if (verb->max_files == 0)
            return cli_fail(error, "%s takes no files, but '%s' was given; see %s %s --help", verb->name,
                            cli->files[0], program_name(), verb->name);
        return cli_fail(error, "%s wants %s, but %u %s given: %s %s", verb->name, verb->takes, cli->n_files,
                        cli->n_files == 1 ? "file was" : "files were", program_name(), verb->example);
    }
    for (guint i = 0; i < cli->n_files; i++)
        if (*cli->files[i] == '\0')
            return cli_fail(error, "%s: the name of file %u is empty; give %s", verb->name, i + 1,
                            verb->takes);
    if (!option_check_company(cli, error)) return FALSE;
    if (cli->verb == VERB_SCORE) return check_score(cli, error);
    if (cli->verb != VERB_CURVES && cli->checkpoint == NULL)
        return cli_fail(error, "which model? Give --checkpoint RUN/best.h5, as %s wrote it",
                        program_called("trainer"));
    if (cli->verb == VERB_TRAVERSE && cli->dim < 0)
        return cli_fail(error, "which latent feature? Give --dim N, counted from 0");
    if (cli->key != NULL && !key_from_text(cli->key, &cli->wanted_key))
        return cli_fail(error, "--key %s: not a key; give one like C, Am, F#m or Bb", cli->key);
    return check_attributes(cli, error);
}

static gboolean cli_read(cli_t *cli, char ***words, GError **error) {
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
    const cli_t defaults = *cli;
    const option_t *o;
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if ((o->verbs & 1 << cli->verb) == 0) continue;
        char *help = option_help(o, cli, verbs[cli->verb].kinds);
        g_ptr_array_add(texts, help);
        option_unset(o, cli);
        const gboolean format = o->type == G_OPTION_ARG_CALLBACK;
        const GOptionEntry entry = {o->name,
                                    o->letter,
                                    format ? G_OPTION_FLAG_OPTIONAL_ARG : 0,
                                    o->type,
                                    format ? (gpointer)option_parse_format : (char *)cli + o->offset,
                                    help,
                                    o->value};
        g_array_append_val(entries, entry);
    }
    const GOptionEntry files = {G_OPTION_REMAINING, 0,    0,   G_OPTION_ARG_FILENAME_ARRAY,
                                &cli->files,        NULL, NULL};
    g_array_append_val(entries, files);

    const verb_info_t *verb = &verbs[cli->verb];
    g_autofree char *program = g_strdup_printf("%s %s", program_name(), verb->name);
    g_autofree char *example = g_strdup_printf("Example:\n  %s %s", program_name(), verb->example);
    g_set_prgname(program);
    g_autoptr(GOptionContext) context = g_option_context_new(verb->takes);
    g_option_context_set_summary(context, verb->summary);
    g_option_context_set_description(context, example);
    GOptionGroup *group = g_option_group_new("sampler", "", "", cli, NULL);
    g_option_group_add_entries(group, (const GOptionEntry *)(void *)entries->data);
    g_option_context_set_main_group(context, group);
    g_autoptr(GError) cause = NULL;
    if (!g_option_context_parse_strv(context, words, &cause)) {
        if (cause->domain == CLI_ERROR)
            g_propagate_error(error, g_steal_pointer(&cause));
        else
            cli_fail(error, "%s; see %s %s --help", cause->message, program_name(), verb->name);
        return FALSE;
    }
    for (size_t i = 0; (o = option_at(i)) != NULL; i++)
        if (o->verbs & 1 << cli->verb && option_settle(o, cli, &defaults))
            cli->given |= G_GUINT64_CONSTANT(1) << i;
    if (cli->output == NULL) cli->output = g_strdup(".");
    return TRUE;
}

/* A bare --picture or --audio would swallow the file after it: only a format is its value. */
static void give_formats(char **words, verb_t verb) {
    for (char **word = words; *word && strcmp(*word, "--") != 0; word++) {
        const option_t *option = option_of_format(verb, *word);
        if (option == NULL) continue;
        const gboolean named = word[1] && option_format_from_name(option, word[1]);
        g_free(*word);
        const char *format = named ? word[1] : option->value;
        *word = g_strdup_printf("--%s=%.*s", option->name, (int)strcspn(format, "|"), format);
        if (!named) continue;
        g_free(word[1]);
        for (char **next = word + 1; (next[0] = next[1]); next++) continue;
    }
}

cli_t *cli_parse(int argc, char **argv, GError **error) {
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        program_print_version("sampler");
        return NULL;
    }
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return NULL;
    }
    verb_t verb = VERB_PRIOR;
    if (argc < 2) {
        g_autofree char *list = verb_list();
        cli_fail(error, "no verb; the verbs are %s; see %s --help", list, program_name());
        return NULL;
    }
    if (argv[1][0] == '-') {
        cli_fail(error, "the verb comes first: %s prior %s ...; see %s --help", program_name(), argv[1],
                 program_name());
        return NULL;
    }
    if (!verb_from_name(argv[1], &verb, error)) return NULL;

    g_auto(GStrv) words = typo_split_numbers(argc - 1, argv + 1);
    give_formats(words, verb);
    g_autoptr(cli_t) cli = cli_new(verb);
    if (!cli_read(cli, &words, error)) return NULL;
    if (cli->version) {
        program_print_version("sampler");
        return NULL;
    }
    return cli_check(cli, error) ? g_steal_pointer(&cli) : NULL;
}

/* What is accepted but, with this model and these values, read by nothing: harmless, as the piece is the one
 * asked for, so only said. */
static void warn_unread(const cli_t *cli) {
    const gboolean notes = cli->draw && (cli->kind == DENSE || cli->temperature > 0);
    const gboolean fresh = cli->verb == VERB_PRIOR || cli->verb == VERB_SONG || cli->verb == VERB_CONTINUE;
    const gboolean latents =
        cli->kind != PLAIN &&
        (cli->verb == VERB_VARY ? cli->amount > 0 : fresh && cli->latents == NULL && cli->temperature > 0);
    if (notes || latents) return;
    if (cli_given(cli, "seed"))
        program_say("warning: --seed changes nothing: nothing is drawn here%s\n",
                    cli->draw ? "" : "; see --sample");
    if (cli_given(cli, "temperature") && cli->greedy)
        program_say("warning: --temperature changes nothing: with --greedy this model draws nothing\n");
}

gboolean cli_fit(cli_t *cli, const model_config_t *model, GError **error) {
    const verb_info_t *verb = &verbs[cli->verb];
    const int kind = model->kind == MODEL_DENSE ? DENSE : model->latent > 0 ? VAE : PLAIN;
    const option_t *o;
    if (!(verb->kinds & kind) && kind == DENSE)
        return cli_fail(error,
                        "%s: has no meaning for a dense model: its windows know nothing of each other; use a "
                        "model trained with --model sequence",
                        verb->name);
    if (!(verb->kinds & kind))
        return cli_fail(error,
                        "%s: has no meaning for this model, which has no latent vectors (--latent 0); it has "
                        "prior, song and continue",
                        verb->name);
    for (size_t i = 0; (o = option_at(i)) != NULL; i++)
        if (cli->given >> i & 1 && !(o->kinds & kind))
            return cli_fail(error, "--%s has no meaning for %s%s%s", o->name,
                            kind == DENSE         ? "a dense model"
                            : o->kinds & SEQUENCE ? "a model without latent vectors"
                                                  : "a sequence model",
                            o->instead != NULL ? ": " : "; leave it out",
                            o->instead != NULL ? o->instead : "");
    if (cli->verb == VERB_TRAVERSE && (size_t)cli->dim >= model->latent)
        return cli_fail(error, "%s: has no latent feature %d: it has %zu; give --dim 0 to %zu",
                        cli->checkpoint, cli->dim, model->latent, model->latent - 1);
    if (kind != DENSE && !cli->greedy && (verb->kinds & PLAIN)) cli->draw = TRUE;
    cli->kind = kind;
    warn_unread(cli);
    return TRUE;
}
