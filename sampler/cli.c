/* Owns the sampler's command line. Refuses unknown verbs and options, values out of range and the wrong number of files, before any file is opened. */
#include "sampler/cli.h"

#include <stdio.h>
#include <string.h>

#include "preprocess/shard.h"
#include "preprocess/word.h"

G_DEFINE_QUARK(cli_error, cli_error)

typedef struct {
    const char *name, *takes, *summary, *example;
    guint min_files, max_files;
} verb_info_t;

static const verb_info_t verbs[VERB_COUNT] = {
    {"prior", "", "New pieces of one window each, drawn from the model's prior.", "prior --checkpoint best.h5 -n 8 --seed 1 --picture", 0, 0},
    {"reconstruct", "SONG.mid...", "What the model keeps of a song: encoded and decoded window by window.",
     "reconstruct --checkpoint best.h5 song.mid", 1, G_MAXUINT},
    {"interpolate", "A.mid B.mid", "From one song's window to another's in equal steps (spherical).",
     "interpolate --checkpoint best.h5 a.mid b.mid --steps 8 --picture", 2, 2},
    {"traverse", "SONG.mid", "One latent feature from -3 to 3, the others as in the song.",
     "traverse --checkpoint best.h5 song.mid --dim 3 --picture", 1, 1},
    {"song", "", "A long piece along a smooth path in latent space, windows overlapped and cross-faded.",
     "song --checkpoint best.h5 --bars 64 --audio", 0, 0},
    {"curves", "RUN...", "Pictures of a training run's losses (RUN/metrics.jsonl).", "curves RUN --picture=svg", 1, G_MAXUINT},
    {"score", "FILE...", "Figures of MIDI files or folders of them, beside those of a corpus' real songs.",
     "score new/ --corpus shards --seam 16 --originality shards", 1, G_MAXUINT},
};

enum {
    PRIOR = 1 << VERB_PRIOR,
    RECONSTRUCT = 1 << VERB_RECONSTRUCT,
    INTERPOLATE = 1 << VERB_INTERPOLATE,
    TRAVERSE = 1 << VERB_TRAVERSE,
    SONG = 1 << VERB_SONG,
    CURVES = 1 << VERB_CURVES,
    SCORE = 1 << VERB_SCORE,
    MUSIC = PRIOR | RECONSTRUCT | INTERPOLATE | TRAVERSE | SONG,
    WRITE = MUSIC | CURVES,
    ALL = WRITE | SCORE
};

typedef struct {
    const char *name;
    char letter;
    GOptionArg type;
    size_t offset; /* in cli_t */
    int verbs;
    double low, high; /* allowed values, both included; equal: no check */
    const char *value, *help;
} option_t;

#define AT(member) offsetof(cli_t, member)
static const option_t table[] = {
    {"checkpoint", 'c', G_OPTION_ARG_FILENAME, AT(checkpoint), MUSIC, 0, 0, "FILE", "the trained model: RUN/best.h5 (required)"},
    {"count", 'n', G_OPTION_ARG_INT, AT(count), PRIOR | SONG, 1, 9999, "N", "how many results"},
    {"first", 0, G_OPTION_ARG_INT, AT(first), PRIOR | SONG, 1, 1000000, "N", "number of the first: '--first 3 -n 1' makes the third again"},
    {"seed", 0, G_OPTION_ARG_INT64, AT(seed), MUSIC | SCORE, 0, 9007199254740992.0, "N", "the same seed gives the same bytes"},
    {"temperature", 't', G_OPTION_ARG_DOUBLE, AT(temperature), PRIOR | SONG, 0, 10, "X", "standard deviation of the latent draws"},
    {"latent", 0, G_OPTION_ARG_STRING_ARRAY, AT(latents), PRIOR, 0, 0, "V1,V2,...", "decode this latent vector (may be given several times)"},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), SONG, 1, 4096, "N", "length of the piece"},
    {"correlation", 0, G_OPTION_ARG_DOUBLE, AT(correlation), SONG, 0, 1, "X", "of neighbouring windows: 0 jumps, 1 stays where it began"},
    {"steps", 's', G_OPTION_ARG_INT, AT(steps), INTERPOLATE | TRAVERSE, 2, 999, "N", "how many results, both ends included"},
    {"dim", 'd', G_OPTION_ARG_INT, AT(dim), TRAVERSE, 0, G_MAXINT, "N", "the feature, from 0 to the model's latent size - 1 (required)"},
    {"bar", 0, G_OPTION_ARG_INT, AT(bar), INTERPOLATE | TRAVERSE, 1, 1000000, "N", "bar of the song at which its window starts"},
    {"threshold", 0, G_OPTION_ARG_DOUBLE, AT(threshold), MUSIC, 0.001, 0.999, "P", "a key sounds from this probability on"},
    {"density", 0, G_OPTION_ARG_NONE, AT(density), MUSIC, 0, 0, NULL, "as many keys as the model expects instead, the likeliest first"},
    {"sample", 0, G_OPTION_ARG_NONE, AT(draw), MUSIC, 0, 0, NULL, "draw each key by its probability instead"},
    {"tempo", 0, G_OPTION_ARG_DOUBLE, AT(tempo_bpm), MUSIC, 5, 1000, "BPM", "quarter notes a minute (default: the song's, or the training songs')"},
    {"output", 'o', G_OPTION_ARG_FILENAME, AT(output), WRITE, 0, 0, "DIR", "folder for the results, created where missing"},
    {"audio", 0, G_OPTION_ARG_NONE, AT(audio), MUSIC, 0, 0, NULL, "also sound: WAV files, by libfluidsynth"},
    {"soundfont", 0, G_OPTION_ARG_FILENAME, AT(soundfont), MUSIC, 0, 0, "FILE", "instruments for --audio (default: $SOUNDFONT or the system's)"},
    {"corpus", 0, G_OPTION_ARG_FILENAME, AT(corpus), SCORE, 0, 0, "SHARDS", "folder of shards: the grid, and the real songs to compare with"},
    {"split", 0, G_OPTION_ARG_STRING, AT(split), SCORE, 0, 0, "NAME", "which real songs: train, valid or test (default test)"},
    {"meter", 0, G_OPTION_ARG_STRING, AT(meter), SCORE, 0, 0, "N/D", "bars of this meter, whatever the files say"},
    {"seam", 0, G_OPTION_ARG_INT, AT(seam), SCORE, 2, 4096, "FRAMES", "do segments of so many frames show where they meet? Needs --corpus"},
    {"originality", 0, G_OPTION_ARG_FILENAME, AT(originality), SCORE, 0, 0, "SHARDS", "the longest passages shared with the training songs there"},
    {"tracks", 0, G_OPTION_ARG_STRING, AT(tracks), SCORE, 0, 0, "LIST", "without shards: merged, or roles (default melody,chords,bass,drums)"},
    {"steps-per-beat", 0, G_OPTION_ARG_INT, AT(steps_per_beat), SCORE, 1, 96, "N", "without shards: frames a quarter note (default 4)"},
    {"quiet", 'q', G_OPTION_ARG_NONE, AT(quiet), ALL, 0, 0, NULL, "say nothing but warnings and errors"},
};

const char *verb_name(verb_t verb) { return verbs[verb].name; }

static gboolean fail_usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail_usage(GError **error, const char *format, ...) {
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
        if (word_distance(name, verbs[v].name) < word_distance(name, verbs[nearest].name)) nearest = v;
    }
    if (word_distance(name, verbs[nearest].name) <= 3)
        return fail_usage(error, "unknown verb '%s'; did you mean '%s'? See sampler --help", name, verbs[nearest].name);
    g_autofree char *list = verb_list();
    return fail_usage(error, "unknown verb '%s'; the verbs are %s; see sampler --help", name, list);
}

static void print_help(void) {
    printf("Usage: sampler VERB [OPTION...] [FILE...]\n\nMakes music with a checkpoint that mpianist's trainer wrote.\n\nVerbs:\n");
    for (size_t v = 0; v < VERB_COUNT; v++) printf("  %-12s %-12s %s\n", verbs[v].name, verbs[v].takes, verbs[v].summary);
    printf("\n'sampler VERB --help' lists a verb's options. Paths of the files written go to standard output, one a line; talk to standard error.\n"
           "Exit status: 0 done, 1 error, 2 bad usage.\n\nExamples:\n");
    for (size_t v = 0; v < VERB_COUNT; v++) printf("  sampler %s\n", verbs[v].example);
}

/* The value that an option has now, as text; NULL where there is nothing to show. */
static char *option_value(const option_t *option, const cli_t *cli) {
    const void *at = (const char *)cli + option->offset;
    switch (option->type) {
    case G_OPTION_ARG_INT: return *(const int *)at < 0 ? NULL : g_strdup_printf("%d", *(const int *)at);
    case G_OPTION_ARG_INT64: return g_strdup_printf("%" G_GINT64_FORMAT, *(const gint64 *)at);
    case G_OPTION_ARG_DOUBLE: return *(const double *)at <= 0 ? NULL : g_strdup_printf("%g", *(const double *)at);
    case G_OPTION_ARG_FILENAME: return g_strdup(*(char *const *)at);
    default: return NULL;
    }
}

/* Help with the range and the default as they are. Owner: caller. */
static char *option_help(const option_t *option, const cli_t *cli) {
    g_autofree char *now = option_value(option, cli);
    GString *text = g_string_new(option->help);
    const gboolean ranged = option->low < option->high && option->high < G_MAXINT;
    if (ranged) g_string_append_printf(text, " (%.10g to %.10g%s", option->low, option->high, now == NULL ? ")" : "");
    if (now != NULL) g_string_append_printf(text, "%sdefault %s)", ranged ? ", " : " (", now);
    return g_string_free(text, FALSE);
}

static gboolean option_check(const option_t *option, const cli_t *cli, GError **error) {
    if (option->low >= option->high) return TRUE;
    const void *at = (const char *)cli + option->offset;
    const double value = option->type == G_OPTION_ARG_INT     ? *(const int *)at
                         : option->type == G_OPTION_ARG_INT64 ? (double)*(const gint64 *)at
                                                              : *(const double *)at;
    if (value >= option->low && value <= option->high) return TRUE;
    return fail_usage(error, "--%s %.10g is out of range; give %.10g to %.10g", option->name, value, option->low, option->high);
}

static gboolean parse_picture(const gchar *name, const gchar *value, gpointer data, GError **error) {
    (void)name;
    cli_t *cli = data;
    cli->picture = TRUE;
    if (value == NULL || strcmp(value, "png") == 0)
        cli->format = PICTURE_PNG;
    else if (strcmp(value, "svg") == 0)
        cli->format = PICTURE_SVG;
    else
        return fail_usage(error, "--picture=%s: there is png and svg; give --picture=png or --picture=svg", value);
    return TRUE;
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
                   .bars = 64,
                   .correlation = 0.8,
                   .steps_per_beat = -1,
                   .seam = -1};
    cli->steps = verb == VERB_TRAVERSE ? 7 : 8;
    cli->output = g_strdup(".");
    return cli;
}

void cli_free(cli_t *cli) {
    if (cli == NULL) return;
    g_strfreev(cli->files);
    g_strfreev(cli->latents);
    g_free(cli->checkpoint);
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
        return fail_usage(error, "--split %s: there is no such split; give train, valid or test", cli->split);
    if (cli->tracks != NULL && !grid_set_tracks(&grid, cli->tracks, &cause)) return fail_usage(error, "--tracks: %s", cause->message);
    if (cli->meter != NULL && !meter_from_text(cli->meter, &cli->bar_meter))
        return fail_usage(error, "--meter %s: not a meter; give one like 4/4 or 6/8", cli->meter);
    if (cli->seam > 0 && cli->corpus == NULL) return fail_usage(error, "--seam is measured against real songs; give --corpus SHARDS too");
    if (cli->corpus == NULL && cli->originality == NULL) return TRUE;
    if (cli->tracks != NULL || cli->steps_per_beat > 0)
        return fail_usage(error, "--tracks and --steps-per-beat are for files alone: the shards have a grid; leave them out");
    return TRUE;
}

/* What no single option's range says. */
static gboolean cli_check(cli_t *cli, const gboolean *given, GError **error) {
    const verb_info_t *verb = &verbs[cli->verb];
    cli->n_files = cli->files == NULL ? 0 : g_strv_length(cli->files);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (given[i] && !option_check(&table[i], cli, error)) return FALSE;
    if (cli->n_files < verb->min_files || cli->n_files > verb->max_files) {
        if (verb->max_files == 0)
            return fail_usage(error, "%s takes no files, but '%s' was given; see sampler %s --help", verb->name, cli->files[0], verb->name);
        return fail_usage(error, "%s wants %s, but %u %s given: sampler %s", verb->name, verb->takes, cli->n_files,
                          cli->n_files == 1 ? "file was" : "files were", verb->example);
    }
    if (cli->verb == VERB_SCORE) return check_score(cli, error);
    if (cli->verb != VERB_CURVES && cli->checkpoint == NULL)
        return fail_usage(error, "which model? Give --checkpoint RUN/best.h5, as trainer wrote it");
    if (cli->verb == VERB_TRAVERSE && cli->dim < 0) return fail_usage(error, "which latent feature? Give --dim N, counted from 0");
    if (cli->soundfont != NULL && !cli->audio) return fail_usage(error, "--soundfont is for --audio; give both");
    if (cli->density && cli->draw) return fail_usage(error, "--density and --sample exclude each other; give one");
    if (cli->latents != NULL && cli->count != 1) return fail_usage(error, "--latent makes one result a vector; leave out --count");
    return TRUE;
}

/* GLib puts back what it has changed where a later option fails, but does not free a default that it replaces. */
static gboolean cli_read(cli_t *cli, char ***words, GError **error) {
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
    cli_t before = *cli;
    gboolean given[G_N_ELEMENTS(table)] = {FALSE};
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const option_t *o = &table[i];
        if ((o->verbs & 1 << cli->verb) == 0) continue;
        char *help = option_help(o, cli);
        g_ptr_array_add(texts, help);
        const GOptionEntry entry = {o->name, o->letter, 0, o->type, (char *)cli + o->offset, help, o->value};
        g_array_append_val(entries, entry);
    }
    const GOptionEntry pictures = {"picture",
                                   'p',
                                   G_OPTION_FLAG_OPTIONAL_ARG,
                                   G_OPTION_ARG_CALLBACK,
                                   (gpointer)parse_picture,
                                   cli->verb == VERB_CURVES ? "PNG (default) or SVG" : "also piano rolls, as PNG (default) or SVG",
                                   "png|svg"};
    const GOptionEntry files = {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &cli->files, NULL, NULL};
    if (WRITE & 1 << cli->verb) g_array_append_val(entries, pictures);
    g_array_append_val(entries, files);

    const verb_info_t *verb = &verbs[cli->verb];
    g_autofree char *program = g_strdup_printf("sampler %s", verb->name);
    g_autofree char *example = g_strdup_printf("Example:\n  sampler %s", verb->example);
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
            fail_usage(error, "%s; see sampler %s --help", cause->message, verb->name);
        return FALSE;
    }
    if (cli->output != before.output) g_free(before.output);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const size_t bytes = table[i].type == G_OPTION_ARG_INT ? sizeof(int) : sizeof(gint64);
        given[i] = table[i].type != G_OPTION_ARG_NONE && memcmp((char *)cli + table[i].offset, (char *)&before + table[i].offset, bytes) != 0;
    }
    return cli_check(cli, given, error);
}

/* A bare --picture would swallow the file after it: only a format is its value. */
static void give_pictures_a_format(char **words) {
    for (char **word = words; *word && strcmp(*word, "--") != 0; word++) {
        if (strcmp(*word, "--picture") != 0 && strcmp(*word, "-p") != 0) continue;
        const gboolean named = word[1] && (strcmp(word[1], "png") == 0 || strcmp(word[1], "svg") == 0);
        g_free(*word);
        *word = g_strconcat("--picture=", named ? word[1] : "png", NULL);
        if (!named) continue;
        g_free(word[1]);
        for (char **next = word + 1; (next[0] = next[1]); next++) continue;
    }
}

cli_t *cli_parse(int argc, char **argv, GError **error) {
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("mpianist-sampler " MPIANIST_VERSION "\nLicense MIT. There is no warranty, to the extent permitted by law.");
        return NULL;
    }
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return NULL;
    }
    verb_t verb = VERB_PRIOR;
    if (argc < 2) {
        g_autofree char *list = verb_list();
        fail_usage(error, "no verb; the verbs are %s; see sampler --help", list);
        return NULL;
    }
    if (argv[1][0] == '-') {
        fail_usage(error, "the verb comes first: sampler prior %s ...; see sampler --help", argv[1]);
        return NULL;
    }
    if (!verb_from_name(argv[1], &verb, error)) return NULL;

    g_auto(GStrv) words = word_split_numbers(argc - 1, argv + 1);
    give_pictures_a_format(words);
    g_autoptr(cli_t) cli = cli_new(verb);
    if (!cli_read(cli, &words, error)) return NULL;
    return g_steal_pointer(&cli);
}
