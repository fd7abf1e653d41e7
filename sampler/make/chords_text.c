/* chords_text: owns the grammar of chord lines and the reading of their files. Refuses words that are no
 * chord, lengths that are none, lines that mix bars and lengths, and files that are neither text nor
 * MusicXML. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/option.h"
#include "preprocess/common/program.h"
#include "sampler/make/chords.h"
#include "sampler/make/musicxml.h"

enum { MAX_CHORDS = 100000, MAX_TEXT = 1 << 20, MAX_XML = 32 << 20 };
static const double SHORTEST = 0.01, LONGEST = 10000; /* quarter notes */

/* ---- the grammar ---- */

typedef struct {
    const char *label; /* the option or file */
    gboolean is_file;
    guint line; /* of the file, from 1; 0: all of it */
    chords_t *chords;
    guint bar; /* the first chord of the last bar */
    GError **error;
} parser_t;

static gboolean refuse(const parser_t *parser, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(const parser_t *parser, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *cause = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (!parser->is_file) return option_fail(parser->error, "%s: %s", parser->label, cause);
    if (parser->line == 0) return program_fail(parser->error, "%s: %s", parser->label, cause);
    return program_fail(parser->error, "%s: line %u: %s", parser->label, parser->line, cause);
}

static gboolean has_room(const parser_t *parser, guint more) {
    return parser->chords->places->len + more <= MAX_CHORDS ||
           refuse(parser, "more than %d chords; give fewer: the line begins again at its end", MAX_CHORDS);
}

/* Adds a chord, or the one before again, of that length. */
static gboolean add_chord(parser_t *parser, const char *symbol, double length) {
    chords_t *chords = parser->chords;
    const guint n = chords->places->len;
    chord_t chord;
    if (strcmp(symbol, "%") == 0) {
        if (n == 0)
            return refuse(parser, "%% repeats what stands before it, but it is first; begin with a chord");
        chord = g_array_index(chords->places, chord_place_t, n - 1).chord;
    } else if (!chord_from_text(symbol, &chord))
        return refuse(parser, "'%s' is no chord that is known; give " CHORD_EXAMPLES, symbol);
    if (!has_room(parser, 1)) return FALSE;
    chords_add(chords, chords->length, &chord);
    chords->length += length;
    return TRUE;
}

static gboolean repeat_bar(parser_t *parser) {
    chords_t *chords = parser->chords;
    const guint end = chords->places->len;
    if (!has_room(parser, end - parser->bar)) return FALSE;
    for (guint i = parser->bar; i < end; i++) {
        const chord_place_t place = g_array_index(chords->places, chord_place_t, i);
        chords_add(chords, place.begins + 1, &place.chord);
    }
    parser->bar = end;
    chords->length += 1;
    return TRUE;
}

static gboolean add_bar(parser_t *parser, char *const *words, guint n) {
    chords_t *chords = parser->chords;
    const guint first = chords->places->len;
    if (n == 1 && strcmp(words[0], "%") == 0 && first > 0) return repeat_bar(parser);
    for (guint i = 0; i < n; i++)
        if (!add_chord(parser, words[i], 1.0 / n)) return FALSE;
    chords->length = round(chords->length);
    parser->bar = first;
    return TRUE;
}

/* The words of a text. Owner: caller. */
static char **split_words(const char *text) {
    char **words = g_strsplit_set(text, " \t\r", -1), **end = words;
    for (char **word = words; *word; word++)
        if (**word)
            *end++ = *word;
        else
            g_free(*word);
    *end = NULL;
    return words;
}

static gboolean add_line_of_chords(parser_t *parser, const char *line) {
    g_auto(GStrv) words = split_words(line);
    for (char **word = words; *word; word++)
        if (!add_bar(parser, word, 1)) return FALSE;
    return TRUE;
}

static gboolean add_line_of_bars(parser_t *parser, const char *line) {
    g_auto(GStrv) parts = g_strsplit(line, "|", -1);
    const guint n = g_strv_length(parts);
    for (guint i = 0; i < n; i++) {
        g_auto(GStrv) words = split_words(parts[i]);
        const guint chords = g_strv_length(words);
        if (chords > 1 && n == 1)
            return refuse(parser, "several chords, but no |, which other lines have; put | between the bars");
        /* Nothing stands before a bar line that is first, after one that is last, and within a double one. */
        const gboolean may_be_empty = i == 0 || i + 1 == n || *parts[i] == '\0';
        if (chords == 0 && !may_be_empty)
            return refuse(parser, "a bar is empty; write %% to repeat the one before, or N.C. for no chord");
        if (chords > 0 && !add_bar(parser, words, chords)) return FALSE;
    }
    return TRUE;
}

static gboolean add_line_of_lengths(parser_t *parser, const char *line) {
    chords_t *chords = parser->chords;
    g_auto(GStrv) words = split_words(line);
    for (char **word = words; *word; word++) {
        char *colon = strchr(*word, ':');
        const guint n = chords->places->len;
        double length = 0;
        if (!colon && strcmp(*word, "%") != 0)
            return refuse(parser, "'%s' has no length, which others have; write %s:4 for four quarter notes",
                          *word, *word);
        if (colon && !option_parse_real(colon + 1, SHORTEST, LONGEST, &length))
            return refuse(parser,
                          "'%s': its length is not a number from %g to %g; write Am:2, in quarter notes",
                          *word, SHORTEST, LONGEST);
        if (colon) *colon = '\0';
        if (!colon && n > 0)
            length = chords->length - g_array_index(chords->places, chord_place_t, n - 1).begins;
        if (!add_chord(parser, *word, length)) return FALSE;
    }
    return TRUE;
}

/* Ends a line at the # of a comment: a # within a word is a sharp. */
static void cut_comment(char *line) {
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || strchr(" \t|", c[-1]))) {
            *c = '\0';
            return;
        }
}

static chords_t *parse(const char *text, const char *label, gboolean is_file, GError **error) {
    g_autoptr(chords_t) chords = chords_new();
    parser_t parser = {.label = label, .is_file = is_file, .chords = chords, .error = error};
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    gboolean bars = FALSE, lengths = FALSE;
    for (char **line = lines; *line; line++) {
        if (is_file) cut_comment(*line);
        bars |= strchr(*line, '|') != NULL;
        lengths |= strchr(*line, ':') != NULL;
    }
    if (bars && lengths) {
        refuse(&parser,
               "both | and : are there, but chords have either bars or lengths; give one of them, and "
               "write out what is repeated");
        return NULL;
    }
    chords->in_bars = !lengths;
    for (guint i = 0; lines[i]; i++) {
        parser.line = i + 1;
        if (!(lengths ? add_line_of_lengths
              : bars  ? add_line_of_bars
                      : add_line_of_chords)(&parser, lines[i]))
            return NULL;
    }
    parser.line = 0;
    if (chords->places->len > 0) return g_steal_pointer(&chords);
    refuse(&parser, "no chords; give some, such as Am F C G, or Am | F G | C, or Am:2 F:2 C:4");
    return NULL;
}

chords_t *chords_from_text(const char *text, const char *label, GError **error) {
    return parse(text, label, FALSE, error);
}

/* ---- files ---- */

static gboolean refuse_file(const char *path, const char *cause, GError **error) {
    return program_fail(
        error,
        "%s: cannot read chords: %s; give a text of chords such as Am | F G | C, or MusicXML, in "
        "UTF-8",
        path, cause);
}

/* The text of a file, which may be a pipe, and its length. NULL with error set. Owner: caller. */
static char *read_text(const char *path, size_t *length, GError **error) {
    g_autofree char *text = g_malloc(MAX_XML + 1);
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(text, 1, MAX_XML + 1, file) : 0;
    const gboolean is_packed = n >= 4 && memcmp(text, "PK\3\4", 4) == 0;
    const char *cause = !file || ferror(file)                     ? g_strerror(errno)
                        : n > MAX_XML                             ? "larger than 32 MiB"
                        : !g_utf8_validate(text, (gssize)n, NULL) ? "not a text in UTF-8"
                                                                  : NULL;
    if (file) fclose(file);
    if (is_packed)
        program_fail(
            error,
            "%s: compressed MusicXML (.mxl) is not read; save it uncompressed, as .musicxml, or unzip it "
            "and give the .xml file within",
            path);
    else if (cause)
        refuse_file(path, cause, error);
    if (is_packed || cause) return NULL;
    text[n] = '\0';
    *length = n;
    return g_realloc(g_steal_pointer(&text), n + 1);
}

chords_t *chords_from_file(const char *path, GError **error) {
    static const char mark[] = "\xEF\xBB\xBF"; /* with which some editors begin a text */
    size_t length = 0;
    g_autofree char *text = read_text(path, &length, error), *lower = g_ascii_strdown(path, -1);
    if (!text) return NULL;
    const char *begin = text + (g_str_has_prefix(text, mark) ? strlen(mark) : 0);
    if (g_str_has_suffix(lower, ".xml") || g_str_has_suffix(lower, ".musicxml") ||
        begin[strspn(begin, " \t\r\n")] == '<')
        return musicxml_read_chords(path, begin, error);
    if (length <= MAX_TEXT) return parse(begin, path, TRUE, error);
    refuse_file(path, "larger than 1 MiB", error);
    return NULL;
}
