/* Owns the table of options and what follows from it: help, defaults, ranges, which options are read beside
 * which others, and what files tell of them. Refuses values out of range and options that nothing would read.
 */
#include "sampler/command/cli_option.h"

#include <math.h>
#include <string.h>

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

#define AT(member) offsetof(cli_t, member)
static const option_t table[] = {
    {"checkpoint", 'c', G_OPTION_ARG_FILENAME, AT(checkpoint), MUSIC, ANY, 0, 0, "FILE",
     "the trained model: RUN/best.h5 (required)", NULL},
    {"count", 'n', G_OPTION_ARG_INT, AT(count), NEW | VARY, ANY, 1, 9999, "N", "how many results", NULL},
    {"first", 0, G_OPTION_ARG_INT, AT(first), NEW | VARY, ANY, 1, 1000000, "N",
     "number of the first: '--first 3 -n 1' makes the third again", NULL},
    {"first", 0, G_OPTION_ARG_INT, AT(first), RECONSTRUCT, ANY, 1, 1000000, "N",
     "number of the first song: its draws depend on it", NULL},
    {"seed", 0, G_OPTION_ARG_INT64, AT(seed), MUSIC, ANY | TOLD, 0, 9007199254740992.0, "N",
     "the same seed gives the same bytes", NULL},
    {"seed", 0, G_OPTION_ARG_INT64, AT(seed), SCORE, ANY, 0, 9007199254740992.0, "N",
     "of the shuffled tracks", NULL},
    {"temperature", 't', G_OPTION_ARG_DOUBLE, AT(temperature), NEW, ANY | TOLD, 0, 10, "X",
     "spread of the draws: of latent vectors and, by a sequence model, of notes; 0: the likeliest", NULL},
    {"temperature", 't', G_OPTION_ARG_DOUBLE, AT(temperature), RECONSTRUCT | PART, SEQUENCE | TOLD, 0, 10,
     "X", "spread of the notes' draws", NULL},
    {"latent", 0, G_OPTION_ARG_STRING_ARRAY, AT(latents), PRIOR, DENSE, 0, 0, "V1,V2,...",
     "decode this latent vector (may be given several times)", "--seed and --first make a piece again"},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), PRIOR, SEQUENCE | TOLD, 1, 4096, "N", "length of each piece",
     "a piece is one window; see the verb song"},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), SONG, ANY | TOLD, 1, 4096, "N", "length of the piece", NULL},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), CONTINUE, SEQUENCE | TOLD, 1, 4096, "N", "how many bars to add",
     NULL},
    {"bars", 'b', G_OPTION_ARG_INT, AT(bars), PART, SEQUENCE | TOLD, 1, 4096, "N",
     "how many bars of the song (default: all)", "a part is one window"},
    {"bar", 0, G_OPTION_ARG_INT, AT(bar), PART, ANY | TOLD, 1, 1000000, "N",
     "bar of the song at which the part starts", NULL},
    {"keep", 0, G_OPTION_ARG_INT, AT(keep), CONTINUE, SEQUENCE | TOLD, 1, 1000000, "N",
     "go on after so many bars of the song (default: all)", NULL},
    {"only-new", 0, G_OPTION_ARG_NONE, AT(only_new), CONTINUE, SEQUENCE | TOLD, 0, 0, NULL,
     "write the continuation without the song", NULL},
    {"key", 0, G_OPTION_ARG_STRING, AT(key), PRIOR | SONG, ANY, 0, 0, "KEY",
     "transpose to this key, or its relative: C, Am, F#m, Bb", NULL},
    {"correlation", 0, G_OPTION_ARG_DOUBLE, AT(correlation), SONG, DENSE | TOLD, 0, 1, "X",
     "of neighbouring windows: 0 jumps, 1 stays where it began",
     "it goes on from what it has written; see --temperature"},
    {"amount", 'a', G_OPTION_ARG_DOUBLE, AT(amount), VARY, ANY | TOLD, 0, 1, "X",
     "0: the song as the model keeps it, 1: a draw from the prior", NULL},
    {"more", 0, G_OPTION_ARG_STRING_ARRAY, AT(more), NEW | RECONSTRUCT | VARY, DENSE | VAE | TOLD, 0, 0,
     "ATTRIBUTE", "of an attribute, such as density (may be given several times)", NULL},
    {"less", 0, G_OPTION_ARG_STRING_ARRAY, AT(less), NEW | RECONSTRUCT | VARY, DENSE | VAE | TOLD, 0, 0,
     "ATTRIBUTE", "of an attribute, such as register", NULL},
    {"strength", 0, G_OPTION_ARG_DOUBLE, AT(strength), NEW | RECONSTRUCT | VARY, DENSE | VAE | TOLD, 0, 100,
     "X", "how far, in standard deviations", NULL},
    {"steps", 's', G_OPTION_ARG_INT, AT(steps), INTERPOLATE | TRAVERSE, ANY | TOLD, 2, 999, "N",
     "how many results, both ends included", NULL},
    {"morph", 0, G_OPTION_ARG_NONE, AT(morph), INTERPOLATE, SEQUENCE | TOLD, 0, 0, NULL,
     "instead one piece that becomes B on its way", NULL},
    {"dim", 'd', G_OPTION_ARG_INT, AT(dim), TRAVERSE, ANY | TOLD, 0, G_MAXINT, "N",
     "the feature, from 0 to the model's latent size - 1 (required)", NULL},
    {"threshold", 0, G_OPTION_ARG_DOUBLE, AT(threshold), MUSIC & ~CONTINUE, DENSE, 0.001, 0.999, "P",
     "a key sounds from this probability on", "see --sample, --greedy and --temperature"},
    {"density", 0, G_OPTION_ARG_NONE, AT(density), MUSIC & ~CONTINUE, DENSE, 0, 0, NULL,
     "as many keys as the model expects instead, the likeliest first",
     "see --sample, --greedy and --temperature"},
    {"sample", 0, G_OPTION_ARG_NONE, AT(draw), NEW, ANY, 0, 0, NULL,
     "draw each key by its probability (a sequence model does anyway)", NULL},
    {"sample", 0, G_OPTION_ARG_NONE, AT(draw), RECONSTRUCT | PART, ANY, 0, 0, NULL,
     "draw each key by its probability", NULL},
    {"greedy", 0, G_OPTION_ARG_NONE, AT(greedy), NEW, SEQUENCE, 0, 0, NULL,
     "the likelier instead, key by key", "see --threshold"},
    {"greedy", 0, G_OPTION_ARG_NONE, AT(greedy), RECONSTRUCT | PART, SEQUENCE, 0, 0, NULL,
     "the likelier, key by key: the default", "see --threshold"},
    {"tempo", 0, G_OPTION_ARG_DOUBLE, AT(tempo_bpm), MUSIC, ANY | TOLD, 5, 1000, "BPM",
     "quarter notes a minute (default: the song's, or the training songs')", NULL},
    {"output", 'o', G_OPTION_ARG_FILENAME, AT(output), WRITE, ANY, 0, 0, "DIR",
     "folder for the results, created where missing", NULL},
    {"picture", 'p', G_OPTION_ARG_CALLBACK, AT(picture), MUSIC, ANY, 0, 0, "png|svg",
     "also piano rolls, as PNG (default) or SVG", NULL},
    {"picture", 'p', G_OPTION_ARG_CALLBACK, AT(picture), CURVES, ANY, 0, 0, "png|svg", "PNG (default) or SVG",
     NULL},
    {"audio", 0, G_OPTION_ARG_CALLBACK, AT(audio), MUSIC, ANY, 0, 0, "wav|flac|ogg",
     "also sound, as WAV (default), FLAC or Ogg Vorbis", NULL},
    {"soundfont", 0, G_OPTION_ARG_FILENAME, AT(soundfont), MUSIC, ANY, 0, 0, "FILE",
     "instruments (default: $SOUNDFONT or the system's)", NULL},
    {"corpus", 0, G_OPTION_ARG_FILENAME, AT(corpus), SCORE, ANY, 0, 0, "SHARDS",
     "folder of shards: the grid, and the real songs to compare with", NULL},
    {"split", 0, G_OPTION_ARG_STRING, AT(split), SCORE, ANY, 0, 0, "NAME",
     "which real songs: train, valid or test (default test)", NULL},
    {"meter", 0, G_OPTION_ARG_STRING, AT(meter), SCORE, ANY, 0, 0, "N/D",
     "bars of this meter, whatever the files say", NULL},
    {"seam", 0, G_OPTION_ARG_INT, AT(seam), SCORE, ANY, 2, 4096, "FRAMES",
     "do segments of so many frames show where they meet?", NULL},
    {"originality", 0, G_OPTION_ARG_FILENAME, AT(originality), SCORE, ANY, 0, 0, "SHARDS",
     "the longest passages shared with the training songs there", NULL},
    {"tracks", 0, G_OPTION_ARG_STRING, AT(tracks), SCORE, ANY, 0, 0, "LIST",
     "without shards: merged, or roles (default melody,chords,bass,drums)", NULL},
    {"steps-per-beat", 0, G_OPTION_ARG_INT, AT(steps_per_beat), SCORE, ANY, 1, 96, "N",
     "without shards: frames a quarter note (default 4)", NULL},
    {"version", 'V', G_OPTION_ARG_NONE, AT(version), ALL, ANY, 0, 0, NULL, "print the version", NULL},
    {"quiet", 'q', G_OPTION_ARG_NONE, AT(quiet), ALL, ANY, 0, 0, NULL, "say nothing but warnings and errors",
     NULL},
};

G_STATIC_ASSERT(G_N_ELEMENTS(table) <= 64); /* cli_t.given */

/* What an option is read with. */
typedef struct {
    const char *name;
    int verbs;
    const char *needs;    /* "a,b": not read without one of these; NULL: nothing is needed */
    const char *excludes; /* "a,b": not read beside any of these; NULL: none */
    const char *because;  /* of the exclusion; NULL: plain enough */
} company_t;

static const company_t company[] = {
    {"count", PRIOR, NULL, "latent", "one result a vector"},
    {"first", RECONSTRUCT, "sample", NULL, NULL},
    {"seed", SCORE, "corpus", NULL, NULL},
    {"temperature", PRIOR, NULL, "latent", "a given vector is not drawn"},
    {"temperature", RECONSTRUCT | PART, "sample", NULL, NULL},
    {"strength", MUSIC, "more,less", NULL, NULL},
    {"steps", INTERPOLATE, NULL, "morph", "a morph is one piece"},
    {"threshold", MUSIC, NULL, "density,sample", NULL},
    {"density", MUSIC, NULL, "sample", NULL},
    {"greedy", MUSIC, NULL, "sample", NULL},
    {"soundfont", MUSIC, "audio", NULL, NULL},
    {"split", SCORE, "corpus,originality", NULL, NULL},
    {"seam", SCORE, "corpus", NULL, NULL},
    {"tracks", SCORE, NULL, "corpus,originality", "the shards have a grid"},
    {"steps-per-beat", SCORE, NULL, "corpus,originality", "the shards have a grid"},
};
static const company_t alone = {0};

const option_t *option_at(size_t i) { return i < G_N_ELEMENTS(table) ? &table[i] : NULL; }

static gboolean is_given(const cli_t *cli, size_t i) { return (cli->given >> i & 1) != 0; }

static const company_t *company_of(const option_t *option, verb_t verb) {
    for (size_t i = 0; i < G_N_ELEMENTS(company); i++)
        if (company[i].verbs & 1 << verb && strcmp(company[i].name, option->name) == 0) return &company[i];
    return &alone;
}

/* "a,b" as "--a or --b". Owner: caller. */
static char *list_names(const char *names) {
    g_auto(GStrv) each = g_strsplit(names, ",", -1);
    g_autofree char *joined = g_strjoinv(" or --", each);
    return g_strconcat("--", joined, NULL);
}

/* The value that an option has now, as text; NULL where there is nothing to show. */
static char *option_value(const option_t *option, const cli_t *cli) {
    const void *at = (const char *)cli + option->offset;
    switch (option->type) {
    case G_OPTION_ARG_INT: return *(const int *)at < 0 ? NULL : g_strdup_printf("%d", *(const int *)at);
    case G_OPTION_ARG_INT64: return g_strdup_printf("%" G_GINT64_FORMAT, *(const gint64 *)at);
    case G_OPTION_ARG_DOUBLE:
        return *(const double *)at <= 0 ? NULL : g_strdup_printf("%g", *(const double *)at);
    case G_OPTION_ARG_FILENAME: return g_strdup(*(char *const *)at);
    default: return NULL;
    }
}

/* Help with the range and the default as they are. Owner: caller. */
char *option_help(const option_t *option, const cli_t *cli, int verb_kinds) {
    g_autofree char *now = option_value(option, cli);
    GString *text = g_string_new(option->help);
    const gboolean ranged = option->low < option->high && option->high < G_MAXINT;
    if (ranged)
        g_string_append_printf(text, " (%.16g to %.16g%s", option->low, option->high, now == NULL ? ")" : "");
    if (now != NULL) g_string_append_printf(text, "%sdefault %s)", ranged ? ", " : " (", now);
    const char *needed = company_of(option, cli->verb)->needs;
    g_autofree char *needs = needed != NULL ? list_names(needed) : NULL;
    if (needs != NULL) g_string_append_printf(text, "; needs %s", needs);
    if (verb_kinds & ~option->kinds)
        g_string_append(text, (option->kinds & ANY) == DENSE ? "; dense models only"
                              : option->kinds & DENSE        ? "; models with latent vectors"
                                                             : "; sequence models only");
    return g_string_free(text, FALSE);
}

/* A value that no option can have: the option is not on the command line. */
static const double NOT_GIVEN = -1e300;

/* Sets an option to what means "not given". */
void option_unset(const option_t *option, cli_t *cli) {
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
gboolean option_settle(const option_t *option, cli_t *cli, const cli_t *defaults) {
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

static gboolean is_empty(const option_t *option, const void *at) {
    switch (option->type) {
    case G_OPTION_ARG_FILENAME:
    case G_OPTION_ARG_STRING: return **(const char *const *)at == '\0';
    case G_OPTION_ARG_STRING_ARRAY: return g_strv_contains(*(const char *const *const *)at, "");
    default: return FALSE;
    }
}

static gboolean check_value(const option_t *option, const cli_t *cli, GError **error) {
    const void *at = (const char *)cli + option->offset;
    if (is_empty(option, at)) return cli_fail(error, "--%s is empty; give %s", option->name, option->value);
    if (option->low >= option->high) return TRUE;
    if (option->type == G_OPTION_ARG_INT64) { /* beyond 2^53 a double would not tell it from its neighbours */
        const gint64 value = *(const gint64 *)at;
        if (value >= (gint64)option->low && value <= (gint64)option->high) return TRUE;
        return cli_fail(error, "--%s %" G_GINT64_FORMAT " is out of range; give %.16g to %.16g", option->name,
                        value, option->low, option->high);
    }
    const double value = option->type == G_OPTION_ARG_INT ? *(const int *)at : *(const double *)at;
    if (value >= option->low && value <= option->high) return TRUE;
    if (option->type == G_OPTION_ARG_INT && option->high >= G_MAXINT)
        return cli_fail(error, "--%s %.16g is out of range; give at least %.16g", option->name, value,
                        option->low);
    return cli_fail(error, "--%s %.16g is out of range; give %.16g to %.16g", option->name, value,
                    option->low, option->high);
}

gboolean option_check_values(const cli_t *cli, GError **error) {
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (is_given(cli, i) && !check_value(&table[i], cli, error)) return FALSE;
    return TRUE;
}

/* ---- options beside others ---- */

gboolean cli_given(const cli_t *cli, const char *name) {
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (is_given(cli, i) && strcmp(table[i].name, name) == 0) return TRUE;
    return FALSE;
}

/* The first of "a,b" that is on the command line. Owner: caller; NULL: none. */
static char *first_given(const cli_t *cli, const char *names) {
    g_auto(GStrv) each = g_strsplit(names != NULL ? names : "", ",", -1);
    for (size_t i = 0; each[i] != NULL; i++)
        if (cli_given(cli, each[i])) return g_strdup(each[i]);
    return NULL;
}

/* Is it read, so far as other options decide on that? If not, *other is the one that it excludes; NULL: one
 * is needed. */
static gboolean is_read(const cli_t *cli, const company_t *rule, char **other) {
    g_autofree char *needed = first_given(cli, rule->needs);
    *other = first_given(cli, rule->excludes);
    return *other == NULL && (rule->needs == NULL || needed != NULL);
}

gboolean option_check_company(const cli_t *cli, GError **error) {
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const company_t *rule = company_of(&table[i], cli->verb);
        g_autofree char *other = NULL, *needs = NULL;
        if (!is_given(cli, i) || is_read(cli, rule, &other)) continue;
        const char *name = table[i].name, *because = rule->because != NULL ? rule->because : "";
        if (other != NULL)
            return cli_fail(error, "--%s and --%s exclude each other%s%s; give one", other, name,
                            *because != '\0' ? ": " : "", because);
        needs = list_names(rule->needs);
        return cli_fail(error, "--%s needs %s, or nothing reads it; give both or leave it out", name, needs);
    }
    return TRUE;
}

/* ---- what files tell ---- */

/* The shortest text that reads back as the same number. Owner: caller. */
static char *number_text(double value) {
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    if (g_ascii_strtod(g_ascii_formatd(text, sizeof text, "%.10g", value), NULL) != value)
        g_ascii_dtostr(text, sizeof text, value);
    return g_strdup(text);
}

static void add_text(GPtrArray *texts, const option_t *option, const char *value) {
    g_ptr_array_add(texts, g_strdup_printf("%s: %s", option->name, value));
}

static void add_value(GPtrArray *texts, const option_t *option, const cli_t *cli) {
    const void *at = (const char *)cli + option->offset;
    g_autofree char *value = NULL;
    switch (option->type) {
    case G_OPTION_ARG_STRING_ARRAY:
        for (char *const *each = *(char *const *const *)at; each != NULL && *each != NULL; each++)
            add_text(texts, option, *each);
        return;
    case G_OPTION_ARG_NONE: value = *(const gboolean *)at ? g_strdup("yes") : NULL; break;
    case G_OPTION_ARG_DOUBLE: value = number_text(*(const double *)at); break;
    default: value = option_value(option, cli);
    }
    if (value != NULL) add_text(texts, option, value);
}

void cli_add_texts(const cli_t *cli, GPtrArray *texts) {
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const option_t *o = &table[i];
        g_autofree char *other = NULL;
        if (!(o->kinds & TOLD) || !(o->verbs & 1 << cli->verb) || !(o->kinds & cli->kind)) continue;
        const gboolean unset = o->type == G_OPTION_ARG_DOUBLE && o->low > 0 &&
                               !is_given(cli, i); /* --tempo has no default of its own */
        if (!unset && is_read(cli, company_of(o, cli->verb), &other)) add_value(texts, o, cli);
    }
}

/* ---- formats ---- */

/* The verb's option of a format that a word of the command line names: "--picture", "-p". NULL: none. */
const option_t *option_of_format(verb_t verb, const char *word) {
    const char *name = strncmp(word, "--", 2) == 0 ? word + 2 : "";
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const option_t *o = &table[i];
        const char letter[] = {'-', o->letter, '\0'};
        if (o->type != G_OPTION_ARG_CALLBACK || (o->verbs & 1 << verb) == 0) continue;
        if ((o->letter != 0 && strcmp(word, letter) == 0) || strcmp(name, o->name) == 0) return o;
    }
    return NULL;
}

/* 0: there is none of this name. */
int option_format_from_name(const option_t *option, const char *name) {
    g_auto(GStrv) names = g_strsplit(option->value, "|", -1);
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(name, names[i]) == 0) return i + 1;
    return 0;
}

gboolean option_parse_format(const gchar *name, const gchar *value, gpointer data, GError **error) {
    cli_t *cli = data;
    const option_t *option = option_of_format(cli->verb, name);
    const int format = value == NULL ? 1 : option_format_from_name(option, value);
    *(int *)((char *)cli + option->offset) = format;
    if (format != 0) return TRUE;
    g_auto(GStrv) names = g_strsplit(option->value, "|", -1);
    g_autofree char *last = g_steal_pointer(&names[g_strv_length(names) - 1]),
                    *others = g_strjoinv(", ", names);
    return cli_fail(error, "--%s=%s: there is %s and %s; give one, as in --%s=%s", option->name, value,
                    others, last, option->name, last);
}
