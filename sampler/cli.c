/* Owns the sampler's command line. Refuses unknown verbs and options, values out of range and the wrong number of files, before any file is opened. */
#include "sampler/cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/program.h"
#include "preprocess/shard.h"
#include "preprocess/word.h"

G_DEFINE_QUARK(cli_error, cli_error)

/* What a verb or an option has a meaning for. */
enum { DENSE = 1, VAE = 2, PLAIN = 4, SEQUENCE = VAE | PLAIN, ANY = DENSE | SEQUENCE };

typedef struct {
    const char *name, *takes, *summary, *example;
    guint min_files, max_files;
    int kinds;
} verb_info_t;

static const verb_info_t verbs[VERB_COUNT] = {
    {"prior", "", "New pieces drawn from the model's prior; of a dense model one window each.", "prior --checkpoint best.h5 -n 8 --seed 1 --picture",
     0, 0, ANY},
    {"song", "", "A long piece; of a dense model along a smooth path in latent space, windows cross-faded.",
     "song --checkpoint best.h5 --bars 64 --key Am --audio", 0, 0, ANY},
    {"continue", "SONG.mid", "A song, and how a sequence model goes on with it.", "continue --checkpoint best.h5 song.mid --bars 16 -n 4", 1, 1,
     SEQUENCE},
    {"reconstruct", "SONG.mid...", "What the model keeps of a song: encoded and decoded.", "reconstruct --checkpoint best.h5 song.mid", 1, G_MAXUINT,
     DENSE | VAE},
    {"vary", "SONG.mid", "Variations on a song: decoded from near its latent vectors.", "vary --checkpoint best.h5 song.mid --amount 0.3 -n 4", 1, 1,
     DENSE | VAE},
    {"interpolate", "A.mid B.mid", "From one song to another in equal steps (spherical).",
     "interpolate --checkpoint best.h5 a.mid b.mid --steps 8 --picture", 2, 2, DENSE | VAE},
    {"traverse", "SONG.mid", "One latent feature from -3 to 3, the others as in the song.",
     "traverse --checkpoint best.h5 song.mid --dim 3 --picture", 1, 1, DENSE | VAE},
    {"curves", "RUN...", "Pictures of a training run's losses (RUN/metrics.jsonl).", "curves RUN --picture=svg", 1, G_MAXUINT, ANY},
    {"score", "FILE...", "Figures of MIDI files or folders of them, beside those of a corpus' real songs.",
     "score new/ --corpus shards --seam 16 --originality shards", 1, G_MAXUINT, ANY},
};

enum {
    PRIOR = 1 << VERB_PRIOR,
    SONG = 1 << VERB_SONG,
    CONTINUE = 1 << VERB_CONTINUE,
    RECONSTRUCT = 1 << VERB_RECONSTRUCT,
    VARY = 1 << VERB_VARY,
    INTERPOLATE = 1 << VERB_INTERPOLATE,
    TRAVERSE = 1 << VERB_TRAVERSE,
    CURVES = 1 << VERB_CURVES,
    SCORE = 1 << VERB_SCORE,
    NEW = PRIOR | SONG | CONTINUE,
    PART = VARY | INTERPOLATE | TRAVERSE, /* of a song */
    MUSIC = NEW | RECONSTRUCT | PART,
    WRITE = MUSIC | CURVES,
    ALL = WRITE | SCORE
};

typedef struct {
    const char *name;
    char letter;
    GOptionArg type;
    size_t offset; /* in cli_t */
    int verbs, kinds;
    double low, high;         /* allowed values, both included; equal: no check */
    const char *value, *help; /* value of G_OPTION_ARG_CALLBACK: formats, kept as 1, 2 and so on, 0: none; bare means the first */
    const char *instead;      /* for the other kinds of model; NULL: nothing */
} option_t;

#define AT(member) offsetof(cli_t, member)
static const option_t table[] = {
    {"checkpoint", 'c', G_OPTION_ARG_FILENAME, AT(checkpoint), MUSIC, ANY, 0, 0, "FILE", "the trained model: RUN/best.h5 (required)", NULL},
    {"count", 'n', G_OPTION_ARG_INT, AT(count), NEW | VARY, ANY, 1, 9999, "N", "how many results", NULL},
    {"first", 0, G_OPTION_ARG_INT, AT(first), NEW | VARY, ANY, 1, 1000000, "N", "number of the first: '--first 3 -n 1' makes the third again", NULL},
    {"seed", 0, G_OPTION_ARG_INT64, AT(seed), MUSIC | SCORE, ANY, 0, 9007199254740992.0, "N", "the same seed gives the same bytes", NULL},
    {"temperature", 't', G_OPTION_ARG_DOUBLE, AT(temperature), NEW, ANY, 0, 10, "X",
     "spread of the draws: of latent vectors and, by a sequence model, of notes; 0: the likeliest", NULL},
    {"temperature", 't', G_OPTION_ARG_DOUBLE, AT(temperature), RECONSTRUCT | PART, SEQUENCE, 0, 10, "X", "spread of the notes' draws, with --sample",
     NULL},
    {"latent", 0, G_OPTION_ARG_STRING_ARRAY, AT(latents), PRIOR, DENSE, 0, 0, "V1,V2,...", "decode this latent vector (may be given several times)",
     "--seed and --first make a piece again"},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), PRIOR, SEQUENCE, 1, 4096, "N", "length of each piece", "a piece is one window; see the verb song"},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), SONG, ANY, 1, 4096, "N", "length of the piece", NULL},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), CONTINUE, SEQUENCE, 1, 4096, "N", "how many bars to add", NULL},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), PART, SEQUENCE, 1, 4096, "N", "how many bars of the song (default: all)", "a part is one window"},
    {"bar", 0, G_OPTION_ARG_INT, AT(bar), PART, ANY, 1, 1000000, "N", "bar of the song at which the part starts", NULL},
    {"keep", 0, G_OPTION_ARG_INT, AT(keep), CONTINUE, SEQUENCE, 1, 1000000, "N", "go on after so many bars of the song (default: all)", NULL},
    {"only-new", 0, G_OPTION_ARG_NONE, AT(only_new), CONTINUE, SEQUENCE, 0, 0, NULL, "write the continuation without the song", NULL},
    {"key", 0, G_OPTION_ARG_STRING, AT(key), PRIOR | SONG, ANY, 0, 0, "KEY", "transpose to this key, or its relative: C, Am, F#m, Bb", NULL},
    {"correlation", 0, G_OPTION_ARG_DOUBLE, AT(correlation), SONG, DENSE, 0, 1, "X", "of neighbouring windows: 0 jumps, 1 stays where it began",
     "it goes on from what it has written; see --temperature"},
    {"amount", 'a', G_OPTION_ARG_DOUBLE, AT(amount), VARY, ANY, 0, 1, "X", "0: the song as the model keeps it, 1: a draw from the prior", NULL},
    {"more", 0, G_OPTION_ARG_STRING_ARRAY, AT(more), NEW | RECONSTRUCT | VARY, DENSE | VAE, 0, 0, "ATTRIBUTE",
     "of an attribute, such as density (may be given several times)", NULL},
    {"less", 0, G_OPTION_ARG_STRING_ARRAY, AT(less), NEW | RECONSTRUCT | VARY, DENSE | VAE, 0, 0, "ATTRIBUTE", "of an attribute, such as register",
     NULL},
    {"strength", 0, G_OPTION_ARG_DOUBLE, AT(strength), NEW | RECONSTRUCT | VARY, DENSE | VAE, 0, 100, "X",
     "of --more and --less, in standard deviations", NULL},
    {"steps", 's', G_OPTION_ARG_INT, AT(steps), INTERPOLATE | TRAVERSE, ANY, 2, 999, "N", "how many results, both ends included", NULL},
    {"morph", 0, G_OPTION_ARG_NONE, AT(morph), INTERPOLATE, SEQUENCE, 0, 0, NULL, "instead one piece that becomes B on its way", NULL},
    {"dim", 'd', G_OPTION_ARG_INT, AT(dim), TRAVERSE, ANY, 0, G_MAXINT, "N", "the feature, from 0 to the model's latent size - 1 (required)", NULL},
    {"threshold", 0, G_OPTION_ARG_DOUBLE, AT(threshold), MUSIC & ~CONTINUE, DENSE, 0.001, 0.999, "P", "a key sounds from this probability on",
     "see --sample, --greedy and --temperature"},
    {"density", 0, G_OPTION_ARG_NONE, AT(density), MUSIC & ~CONTINUE, DENSE, 0, 0, NULL,
     "as many keys as the model expects instead, the likeliest first", "see --sample, --greedy and --temperature"},
    {"sample", 0, G_OPTION_ARG_NONE, AT(draw), NEW, ANY, 0, 0, NULL, "draw each key by its probability (a sequence model does anyway)", NULL},
    {"sample", 0, G_OPTION_ARG_NONE, AT(draw), RECONSTRUCT | PART, ANY, 0, 0, NULL, "draw each key by its probability", NULL},
    {"greedy", 0, G_OPTION_ARG_NONE, AT(greedy), NEW, SEQUENCE, 0, 0, NULL, "the likelier instead, key by key", "see --threshold"},
    {"greedy", 0, G_OPTION_ARG_NONE, AT(greedy), RECONSTRUCT | PART, SEQUENCE, 0, 0, NULL, "the likelier, key by key: the default",
     "see --threshold"},
    {"tempo", 0, G_OPTION_ARG_DOUBLE, AT(tempo_bpm), MUSIC, ANY, 5, 1000, "BPM",
     "quarter notes a minute (default: the song's, or the training songs')", NULL},
    {"output", 'o', G_OPTION_ARG_FILENAME, AT(output), WRITE, ANY, 0, 0, "DIR", "folder for the results, created where missing", NULL},
    {"picture", 'p', G_OPTION_ARG_CALLBACK, AT(picture), MUSIC, ANY, 0, 0, "png|svg", "also piano rolls, as PNG (default) or SVG", NULL},
    {"picture", 'p', G_OPTION_ARG_CALLBACK, AT(picture), CURVES, ANY, 0, 0, "png|svg", "PNG (default) or SVG", NULL},
    {"audio", 0, G_OPTION_ARG_CALLBACK, AT(audio), MUSIC, ANY, 0, 0, "wav|flac|ogg", "also sound, as WAV (default), FLAC or Ogg Vorbis", NULL},
    {"soundfont", 0, G_OPTION_ARG_FILENAME, AT(soundfont), MUSIC, ANY, 0, 0, "FILE", "instruments for --audio (default: $SOUNDFONT or the system's)",
     NULL},
    {"corpus", 0, G_OPTION_ARG_FILENAME, AT(corpus), SCORE, ANY, 0, 0, "SHARDS", "folder of shards: the grid, and the real songs to compare with",
     NULL},
    {"split", 0, G_OPTION_ARG_STRING, AT(split), SCORE, ANY, 0, 0, "NAME", "which real songs: train, valid or test (default test)", NULL},
    {"meter", 0, G_OPTION_ARG_STRING, AT(meter), SCORE, ANY, 0, 0, "N/D", "bars of this meter, whatever the files say", NULL},
    {"seam", 0, G_OPTION_ARG_INT, AT(seam), SCORE, ANY, 2, 4096, "FRAMES", "do segments of so many frames show where they meet? Needs --corpus",
     NULL},
    {"originality", 0, G_OPTION_ARG_FILENAME, AT(originality), SCORE, ANY, 0, 0, "SHARDS",
     "the longest passages shared with the training songs there", NULL},
    {"tracks", 0, G_OPTION_ARG_STRING, AT(tracks), SCORE, ANY, 0, 0, "LIST", "without shards: merged, or roles (default melody,chords,bass,drums)",
     NULL},
    {"steps-per-beat", 0, G_OPTION_ARG_INT, AT(steps_per_beat), SCORE, ANY, 1, 96, "N", "without shards: frames a quarter note (default 4)", NULL},
    {"quiet", 'q', G_OPTION_ARG_NONE, AT(quiet), ALL, ANY, 0, 0, NULL, "say nothing but warnings and errors", NULL},
};

G_STATIC_ASSERT(G_N_ELEMENTS(table) <= 64); /* cli_t.given */

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
        return fail_usage(error, "unknown verb '%s'; did you mean '%s'? See %s --help", name, verbs[nearest].name, program_name());
    g_autofree char *list = verb_list();
    return fail_usage(error, "unknown verb '%s'; the verbs are %s; see %s --help", name, list, program_name());
}

static void print_help(void) {
    const char *name = program_name();
    printf("Usage: %s VERB [OPTION...] [FILE...]\n\nMakes music with a checkpoint that mpianist's trainer wrote.\n\nVerbs:\n", name);
    for (size_t v = 0; v < VERB_COUNT; v++) printf("  %-12s %-12s %s\n", verbs[v].name, verbs[v].takes, verbs[v].summary);
    printf("\n'%s VERB --help' lists a verb's options. Paths of the files written go to standard output, one a line; talk to standard error.\n"
           "Exit status: 0 done, 1 error, 2 bad usage.\n\nExamples:\n",
           name);
    for (size_t v = 0; v < VERB_COUNT; v++) printf("  %s %s\n", name, verbs[v].example);
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
    if (verbs[cli->verb].kinds & ~option->kinds)
        g_string_append(text, option->kinds == DENSE  ? "; dense models only"
                              : option->kinds & DENSE ? "; models with latent vectors"
                                                      : "; sequence models only");
    return g_string_free(text, FALSE);
}

/* A value that no option can have: the option is not on the command line. */
static const double NOT_GIVEN = -1e300;

/* Sets an option to what means "not given". */
static void option_unset(const option_t *option, cli_t *cli) {
    void *at = (char *)cli + option->offset;
    switch (option->type) {
    case G_OPTION_ARG_INT: *(int *)at = G_MININT; break;
    case G_OPTION_ARG_INT64: *(gint64 *)at = G_MININT64; break;
    case G_OPTION_ARG_DOUBLE: *(double *)at = NOT_GIVEN; break;
    case G_OPTION_ARG_CALLBACK:
    case G_OPTION_ARG_NONE: *(gboolean *)at = FALSE; break;
    default: *(void **)at = NULL;
    }
}

/* Whether the command line has it; if not, puts back its default. */
static gboolean option_settle(const option_t *option, cli_t *cli, const cli_t *defaults) {
    void *at = (char *)cli + option->offset;
    const void *standard = (const char *)defaults + option->offset;
    switch (option->type) {
    case G_OPTION_ARG_INT:
        if (*(int *)at != G_MININT) return TRUE;
        *(int *)at = *(const int *)standard;
        return FALSE;
    case G_OPTION_ARG_INT64:
        if (*(gint64 *)at != G_MININT64) return TRUE;
        *(gint64 *)at = *(const gint64 *)standard;
        return FALSE;
    case G_OPTION_ARG_DOUBLE:
        if (*(double *)at > NOT_GIVEN || isnan(*(double *)at)) return TRUE;
        *(double *)at = *(const double *)standard;
        return FALSE;
    case G_OPTION_ARG_CALLBACK:
        if (*(int *)at != 0) return TRUE;
        *(int *)at = *(const int *)standard;
        return FALSE;
    case G_OPTION_ARG_NONE: return *(gboolean *)at;
    default: return *(void **)at != NULL;
    }
}

static gboolean option_check(const option_t *option, const cli_t *cli, GError **error) {
    if (option->low >= option->high) return TRUE;
    const void *at = (const char *)cli + option->offset;
    const double value = option->type == G_OPTION_ARG_INT     ? *(const int *)at
                         : option->type == G_OPTION_ARG_INT64 ? (double)*(const gint64 *)at
                                                              : *(const double *)at;
    if (value >= option->low && value <= option->high) return TRUE;
    if (option->type == G_OPTION_ARG_INT && option->high >= G_MAXINT)
        return fail_usage(error, "--%s %.10g is out of range; give at least %.10g", option->name, value, option->low);
    return fail_usage(error, "--%s %.16g is out of range; give %.16g to %.16g", option->name, value, option->low, option->high);
}

/* The verb's option of a format that a word of the command line names: "--picture", "-p". NULL: none. */
static const option_t *format_option(verb_t verb, const char *word) {
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const option_t *o = &table[i];
        const char letter[] = {'-', o->letter, '\0'};
        if (o->type != G_OPTION_ARG_CALLBACK || (o->verbs & 1 << verb) == 0) continue;
        if ((o->letter != 0 && strcmp(word, letter) == 0) || (g_str_has_prefix(word, "--") && strcmp(word + 2, o->name) == 0)) return o;
    }
    return NULL;
}

/* 0: there is none of this name. */
static int format_from_name(const option_t *option, const char *name) {
    g_auto(GStrv) names = g_strsplit(option->value, "|", -1);
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(name, names[i]) == 0) return i + 1;
    return 0;
}

static gboolean parse_format(const gchar *name, const gchar *value, gpointer data, GError **error) {
    cli_t *cli = data;
    const option_t *option = format_option(cli->verb, name);
    const int format = value == NULL ? 1 : format_from_name(option, value);
    *(int *)((char *)cli + option->offset) = format;
    if (format != 0) return TRUE;
    g_auto(GStrv) names = g_strsplit(option->value, "|", -1);
    g_autofree char *last = g_steal_pointer(&names[g_strv_length(names) - 1]), *others = g_strjoinv(", ", names);
    return fail_usage(error, "--%s=%s: there is %s and %s; give one, as in --%s=%s", option->name, value, others, last, option->name, last);
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

static gboolean check_attributes(const cli_t *cli, GError **error) {
    static const char *const none[] = {NULL};
    const char *const *more = cli->more != NULL ? (const char *const *)cli->more : none;
    const char *const *less = cli->less != NULL ? (const char *const *)cli->less : none;
    for (size_t i = 0; more[i] != NULL; i++)
        if (g_strv_contains(less, more[i])) return fail_usage(error, "--more %s and --less %s exclude each other; give one", more[i], more[i]);
    return TRUE;
}

/* What no single option's range says. */
static gboolean cli_check(cli_t *cli, GError **error) {
    const verb_info_t *verb = &verbs[cli->verb];
    cli->n_files = cli->files == NULL ? 0 : g_strv_length(cli->files);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (cli->given >> i & 1 && !option_check(&table[i], cli, error)) return FALSE;
    if (cli->n_files < verb->min_files || cli->n_files > verb->max_files) {
        if (verb->max_files == 0)
            return fail_usage(error, "%s takes no files, but '%s' was given; see %s %s --help", verb->name, cli->files[0], program_name(),
                              verb->name);
        return fail_usage(error, "%s wants %s, but %u %s given: %s %s", verb->name, verb->takes, cli->n_files,
                          cli->n_files == 1 ? "file was" : "files were", program_name(), verb->example);
    }
    if (cli->verb == VERB_SCORE) return check_score(cli, error);
    if (cli->verb != VERB_CURVES && cli->checkpoint == NULL)
        return fail_usage(error, "which model? Give --checkpoint RUN/best.h5, as %s wrote it", program_called("trainer"));
    if (cli->verb == VERB_TRAVERSE && cli->dim < 0) return fail_usage(error, "which latent feature? Give --dim N, counted from 0");
    if (cli->soundfont != NULL && !cli->audio) return fail_usage(error, "--soundfont is for --audio; give both");
    if (cli->key != NULL && !key_from_text(cli->key, &cli->wanted_key))
        return fail_usage(error, "--key %s: not a key; give one like C, Am, F#m or Bb", cli->key);
    if (cli->density && cli->draw) return fail_usage(error, "--density and --sample exclude each other; give one");
    if (!check_attributes(cli, error)) return FALSE;
    if (cli->greedy && cli->draw) return fail_usage(error, "--greedy and --sample exclude each other; give one");
    if (cli->latents != NULL && cli->count != 1) return fail_usage(error, "--latent makes one result a vector; leave out --count");
    return TRUE;
}

static gboolean cli_read(cli_t *cli, char ***words, GError **error) {
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
    const cli_t defaults = *cli;
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const option_t *o = &table[i];
        if ((o->verbs & 1 << cli->verb) == 0) continue;
        char *help = option_help(o, cli);
        g_ptr_array_add(texts, help);
        option_unset(o, cli);
        const gboolean format = o->type == G_OPTION_ARG_CALLBACK;
        const GOptionEntry entry = {
            o->name, o->letter, format ? G_OPTION_FLAG_OPTIONAL_ARG : 0, o->type, format ? (gpointer)parse_format : (char *)cli + o->offset,
            help,    o->value};
        g_array_append_val(entries, entry);
    }
    const GOptionEntry files = {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &cli->files, NULL, NULL};
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
            fail_usage(error, "%s; see %s %s --help", cause->message, program_name(), verb->name);
        return FALSE;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (table[i].verbs & 1 << cli->verb && option_settle(&table[i], cli, &defaults)) cli->given |= G_GUINT64_CONSTANT(1) << i;
    if (cli->output == NULL) cli->output = g_strdup(".");
    return cli_check(cli, error);
}

/* A bare --picture or --audio would swallow the file after it: only a format is its value. */
static void give_formats(char **words, verb_t verb) {
    for (char **word = words; *word && strcmp(*word, "--") != 0; word++) {
        const option_t *option = format_option(verb, *word);
        if (option == NULL) continue;
        const gboolean named = word[1] && format_from_name(option, word[1]);
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
        fail_usage(error, "no verb; the verbs are %s; see %s --help", list, program_name());
        return NULL;
    }
    if (argv[1][0] == '-') {
        fail_usage(error, "the verb comes first: %s prior %s ...; see %s --help", program_name(), argv[1], program_name());
        return NULL;
    }
    if (!verb_from_name(argv[1], &verb, error)) return NULL;

    g_auto(GStrv) words = word_split_numbers(argc - 1, argv + 1);
    give_formats(words, verb);
    g_autoptr(cli_t) cli = cli_new(verb);
    if (!cli_read(cli, &words, error)) return NULL;
    return g_steal_pointer(&cli);
}

gboolean cli_fit(cli_t *cli, const model_config_t *model, GError **error) {
    const verb_info_t *verb = &verbs[cli->verb];
    const int kind = model->kind == MODEL_DENSE ? DENSE : model->latent > 0 ? VAE : PLAIN;
    if (!(verb->kinds & kind) && kind == DENSE)
        return fail_usage(error,
                          "%s: has no meaning for a dense model: its windows know nothing of each other; use a model trained with --model sequence",
                          verb->name);
    if (!(verb->kinds & kind))
        return fail_usage(error, "%s: has no meaning for this model, which has no latent vectors (--latent 0); it has prior, song and continue",
                          verb->name);
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (cli->given >> i & 1 && !(table[i].kinds & kind))
            return fail_usage(error, "--%s has no meaning for %s%s%s", table[i].name,
                              kind == DENSE               ? "a dense model"
                              : table[i].kinds & SEQUENCE ? "a model without latent vectors"
                                                          : "a sequence model",
                              table[i].instead != NULL ? ": " : "; leave it out", table[i].instead != NULL ? table[i].instead : "");
    if (kind != DENSE && !cli->greedy && NEW & 1 << cli->verb) cli->draw = TRUE;
    return TRUE;
}
