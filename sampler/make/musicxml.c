/* musicxml: owns what is read of MusicXML. Refuses scores that are not partwise, numbers that are none, kinds
 * of chords that are not known, and a first part without chords. */
#include "sampler/make/musicxml.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "preprocess/common/option.h"
#include "preprocess/common/program.h"
#include "sampler/make/key.h"

#define WAY_OUT "mend it in a notation program, or give the chords as text"

enum { WORD_BYTES = 24 };
typedef char word_t[WORD_BYTES]; /* longer ones are cut: no such word is known */

/* A note of a chord as it is spelled. */
typedef struct {
    word_t step; /* empty: none */
    double alter;
} spelled_t;

typedef struct {
    const char *path;
    chords_t *chords;
    GString *text; /* of the element that ends next */
    guint parts;   /* that have begun */
    size_t measures;
    double divisions; /* of a quarter note */
    double time;      /* quarter notes of a measure; 0: not known */
    word_t beats;     /* "3", "2+3" */
    double beat_type;
    /* Of the measure: all in quarter notes. */
    gboolean is_part; /* of a whole one */
    double now, end;
    /* Of the element that is open. */
    double duration; /* of a note, <backup>, <forward>: in divisions */
    gboolean is_chord_note;
    double offset; /* of the harmony, in divisions */
    spelled_t root, bass;
    word_t kind;
    GString *changes; /* "b9,#11" */
    word_t degree_type;
    double degree, degree_alter;
} reader_t;

static gboolean refuse(const reader_t *reader, GMarkupParseContext *context, GError **error,
                       const char *format, ...) G_GNUC_PRINTF(4, 5);
static gboolean refuse(const reader_t *reader, GMarkupParseContext *context, GError **error,
                       const char *format, ...) {
    gint line, character;
    g_markup_parse_context_get_position(context, &line, &character);
    if (character == 1 && line > 1)
        line--; /* GMarkup stands behind the element, and counts a line's end to the next */
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *cause = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return program_fail(error, "%s: line %d: %s", reader->path, line, cause);
}

/* ---- harmonies ---- */

static const struct {
    const char *kind, *symbol;
} KINDS[] = {
    {"major", ""},
    {"minor", "m"},
    {"augmented", "aug"},
    {"diminished", "dim"},
    {"dominant", "7"},
    {"major-seventh", "maj7"},
    {"minor-seventh", "m7"},
    {"diminished-seventh", "dim7"},
    {"augmented-seventh", "aug7"},
    {"half-diminished", "ø7"},
    {"major-minor", "m(maj7)"},
    {"major-sixth", "6"},
    {"minor-sixth", "m6"},
    {"dominant-ninth", "9"},
    {"major-ninth", "maj9"},
    {"minor-ninth", "m9"},
    {"dominant-11th", "11"},
    {"major-11th", "maj11"},
    {"minor-11th", "m11"},
    {"dominant-13th", "13"},
    {"major-13th", "maj13"},
    {"minor-13th", "m13"},
    {"suspended-second", "sus2"},
    {"suspended-fourth", "sus4"},
    {"power", "5"},
};

/* What the kind adds to the root's name: other words than the standard's may be symbols themselves. */
static const char *symbol_of(const char *kind) {
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++)
        if (strcmp(kind, KINDS[i].kind) == 0) return KINDS[i].symbol;
    return kind;
}

/* Appends a note's name; two accidentals become the name of the key that sounds so. */
static void append_note(GString *name, const spelled_t *note) {
    static const char *const accidentals[] = {"b", "", "#"};
    const int alter = (int)note->alter;
    const char *step = note->step;
    int pitch_class;
    if (ABS(alter) <= 1)
        g_string_append_printf(name, "%s%s", step, accidentals[alter + 1]);
    else if (key_read_note(&step, &pitch_class) && *step == '\0')
        g_string_append(name, key_to_text((musical_key_t){.tonic = (pitch_class + alter + 12) % 12}));
}

static void end_degree(reader_t *reader) {
    static const char *const accidentals[] = {"b", "add", "#"};
    const int degree = (int)reader->degree, alter = (int)reader->degree_alter;
    const gboolean subtracts = strcmp(reader->degree_type, "subtract") == 0;
    if (!subtracts && alter == 0 && strcmp(reader->degree_type, "alter") == 0) return;
    if (reader->changes->len > 0) g_string_append_c(reader->changes, ',');
    g_string_append_printf(reader->changes, "%s%d", subtracts ? "no" : accidentals[alter + 1], degree);
}

/* The chord's symbol. Owner: caller. */
static char *harmony_symbol(const reader_t *reader) {
    if (strcmp(reader->kind, "none") == 0) return g_strdup("N.C.");
    GString *name = g_string_new(NULL);
    append_note(name, &reader->root);
    g_string_append(name, symbol_of(reader->kind));
    if (reader->changes->len > 0) g_string_append_printf(name, "(%s)", reader->changes->str);
    if (*reader->bass.step) {
        g_string_append_c(name, '/');
        append_note(name, &reader->bass);
    }
    return g_string_free(name, FALSE);
}

static gboolean end_harmony(reader_t *reader, GMarkupParseContext *context, GError **error) {
    g_autofree char *symbol = harmony_symbol(reader);
    const double place = MAX(reader->now + reader->offset / reader->divisions, 0);
    chord_t chord;
    if (*reader->root.step == '\0' && strcmp(reader->kind, "none") != 0)
        return refuse(reader, context, error, "a harmony without a root; " WAY_OUT);
    if (!chord_from_text(symbol, &chord))
        return refuse(reader, context, error, "the harmony '%s' (kind '%s') is not known; write it as %s",
                      symbol, reader->kind, CHORD_EXAMPLES);
    chords_add(reader->chords, reader->chords->length + place, &chord);
    return TRUE;
}

/* ---- time ---- */

static void go_on(reader_t *reader, double divisions) {
    reader->now = MAX(reader->now + divisions / reader->divisions, 0);
    reader->end = MAX(reader->end, reader->now);
}

static gboolean end_beat_type(reader_t *reader, GMarkupParseContext *context, GError **error) {
    g_auto(GStrv) terms = g_strsplit(reader->beats, "+", -1);
    for (char **term = terms; *term; term++) {
        gint64 beats;
        if (!option_parse_integer(g_strstrip(*term), 1, 1000, &beats))
            return refuse(reader, context, error, "a time of '%s' beats; " WAY_OUT, reader->beats);
        reader->time += (double)beats * 4 / reader->beat_type;
    }
    return TRUE;
}

static void end_measure(reader_t *reader) {
    chords_t *chords = reader->chords;
    const gboolean is_cut = reader->is_part && reader->end > 0 && reader->end < reader->time;
    const gboolean is_pickup = reader->measures++ == 0 && is_cut;
    if (!is_pickup) chords->length += is_cut || reader->time <= 0 ? reader->end : reader->time;
    for (guint i = 0; i < chords->places->len && is_pickup; i++)
        g_array_index(chords->places, chord_place_t, i).begins = 0;
}

/* ---- elements ---- */

/* Elements whose text is a number, or a word. */
static const struct {
    const char *parent, *name;
    size_t offset; /* of the member */
    double low, high;
    gboolean whole;
} NUMBERS[] = {
    {"attributes", "divisions", offsetof(reader_t, divisions), 1e-3, 1e6, FALSE},
    {"time", "beat-type", offsetof(reader_t, beat_type), 1, 1024, TRUE},
    {"note", "duration", offsetof(reader_t, duration), 0, 1e9, FALSE},
    {"backup", "duration", offsetof(reader_t, duration), 0, 1e9, FALSE},
    {"forward", "duration", offsetof(reader_t, duration), 0, 1e9, FALSE},
    {"harmony", "offset", offsetof(reader_t, offset), -1e9, 1e9, FALSE},
    {"root", "root-alter", offsetof(reader_t, root.alter), -2, 2, TRUE},
    {"bass", "bass-alter", offsetof(reader_t, bass.alter), -2, 2, TRUE},
    {"degree", "degree-value", offsetof(reader_t, degree), 1, 13, TRUE},
    {"degree", "degree-alter", offsetof(reader_t, degree_alter), -1, 1, TRUE},
};
static const struct {
    const char *parent, *name;
    size_t offset;
} WORDS[] = {
    {"time", "beats", offsetof(reader_t, beats)},
    {"root", "root-step", offsetof(reader_t, root.step)},
    {"bass", "bass-step", offsetof(reader_t, bass.step)},
    {"harmony", "kind", offsetof(reader_t, kind)},
    {"degree", "degree-type", offsetof(reader_t, degree_type)},
};

static gboolean read_value(reader_t *reader, GMarkupParseContext *context, const char *parent,
                           const char *name, GError **error) {
    const char *text = g_strstrip(reader->text->str);
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if (strcmp(name, WORDS[i].name) == 0 && strcmp(parent, WORDS[i].parent) == 0)
            g_strlcpy(G_STRUCT_MEMBER_P(reader, WORDS[i].offset), text, WORD_BYTES);
    for (size_t i = 0; i < G_N_ELEMENTS(NUMBERS); i++) {
        if (strcmp(name, NUMBERS[i].name) != 0 || strcmp(parent, NUMBERS[i].parent) != 0) continue;
        double value;
        if (!option_parse_real(text, NUMBERS[i].low, NUMBERS[i].high, &value) ||
            (NUMBERS[i].whole && value != floor(value)))
            return refuse(reader, context, error, "<%s> is '%s', not a %snumber from %g to %g; " WAY_OUT,
                          name, text, NUMBERS[i].whole ? "whole " : "", NUMBERS[i].low, NUMBERS[i].high);
        *(double *)G_STRUCT_MEMBER_P(reader, NUMBERS[i].offset) = value;
    }
    return TRUE;
}

static gboolean is_read(const reader_t *reader) { return reader->parts == 1; }

static const char *value_of(const char *wanted, const char **names, const char **values) {
    for (; *names; names++, values++)
        if (strcmp(*names, wanted) == 0) return *values;
    return "";
}

static void begin_harmony(reader_t *reader) {
    reader->offset = 0;
    reader->root = reader->bass = (spelled_t){0};
    reader->kind[0] = '\0';
    g_string_truncate(reader->changes, 0);
}

static void begin_element(GMarkupParseContext *context, const char *name, const char **names,
                          const char **values, void *data, GError **error) {
    reader_t *reader = data;
    const GSList *open = g_markup_parse_context_get_element_stack(context);
    if (!open->next && strcmp(name, "score-partwise") != 0)
        refuse(reader, context, error,
               "<%s> is no partwise score of MusicXML; save the score as MusicXML "
               "(score-partwise), or give the chords as text",
               name);
    if (strcmp(name, "part") == 0) reader->parts++;
    if (!is_read(reader)) return;
    g_string_truncate(reader->text, 0);
    if (strcmp(name, "measure") == 0) {
        reader->now = reader->end = 0;
        reader->is_part = strcmp(value_of("implicit", names, values), "yes") == 0 ||
                          strcmp(value_of("number", names, values), "0") == 0;
    } else if (strcmp(name, "time") == 0) {
        reader->time = 0;
        reader->beats[0] = '\0';
    } else if (strcmp(name, "harmony") == 0)
        begin_harmony(reader);
    else if (strcmp(name, "degree") == 0) {
        reader->degree = reader->degree_alter = 0;
        reader->degree_type[0] = '\0';
    } else if (strcmp(name, "chord") == 0)
        reader->is_chord_note = TRUE;
    else if (strcmp(name, "note") == 0 || strcmp(name, "backup") == 0 || strcmp(name, "forward") == 0) {
        reader->duration = 0;
        reader->is_chord_note = FALSE;
    }
}

static void add_text(GMarkupParseContext *context, const char *text, gsize length, void *data,
                     GError **error) {
    reader_t *reader = data;
    (void)context, (void)error;
    if (is_read(reader)) g_string_append_len(reader->text, text, (gssize)length);
}

static void end_element(GMarkupParseContext *context, const char *name, void *data, GError **error) {
    reader_t *reader = data;
    const GSList *open = g_markup_parse_context_get_element_stack(context);
    if (!is_read(reader) || !open->next) return;
    if (!read_value(reader, context, open->next->data, name, error)) return;
    if (strcmp(name, "beat-type") == 0)
        end_beat_type(reader, context, error);
    else if (strcmp(name, "note") == 0 || strcmp(name, "forward") == 0)
        go_on(reader, reader->is_chord_note ? 0 : reader->duration);
    else if (strcmp(name, "backup") == 0)
        go_on(reader, -reader->duration);
    else if (strcmp(name, "degree") == 0)
        end_degree(reader);
    else if (strcmp(name, "harmony") == 0)
        end_harmony(reader, context, error);
    else if (strcmp(name, "measure") == 0)
        end_measure(reader);
    g_string_truncate(reader->text, 0);
}

/* ---- the whole ---- */

static int compare_beginnings(const void *a, const void *b) {
    const double x = ((const chord_place_t *)a)->begins, y = ((const chord_place_t *)b)->begins;
    return (x > y) - (x < y);
}

/* Chords in order, one at a place: the last in the file; and one at the beginning. */
static chords_t *in_order(const chords_t *read) {
    chords_t *chords = chords_new();
    const chord_place_t *places = (const chord_place_t *)(void *)read->places->data;
    const guint n = read->places->len;
    chord_t none;
    chord_from_text("N.C.", &none);
    chords->length = read->length;
    g_array_sort(read->places, compare_beginnings); /* stable */
    if (n == 0 || places[0].begins > 0) chords_add(chords, 0, &none);
    for (guint i = 0; i < n && places[i].begins < read->length; i++)
        if (i + 1 == n || places[i + 1].begins > places[i].begins)
            chords_add(chords, places[i].begins, &places[i].chord);
    return chords;
}

static gboolean read_score(reader_t *reader, const char *text, GError **error) {
    static const GMarkupParser parser = {
        .start_element = begin_element, .end_element = end_element, .text = add_text};
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, reader, NULL);
    g_autoptr(GError) cause = NULL;
    if (g_markup_parse_context_parse(context, text, (gssize)strlen(text), &cause) &&
        g_markup_parse_context_end_parse(context, &cause))
        return TRUE;
    if (cause->domain == G_MARKUP_ERROR) /* it names the line itself */
        return program_fail(
            error,
            "%s: cannot be read as MusicXML: %s; save it again in a notation program, as uncompressed "
            "MusicXML",
            reader->path, cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

chords_t *musicxml_read_chords(const char *path, const char *text, GError **error) {
    g_autoptr(chords_t) chords = chords_new();
    g_autoptr(GString) element = g_string_new(NULL), changes = g_string_new(NULL);
    reader_t reader = {
        .path = path, .chords = chords, .text = element, .divisions = 1, .beat_type = 4, .changes = changes};
    if (!read_score(&reader, text, error)) return NULL;
    if (chords->places->len == 0)
        program_fail(error,
                     "%s: no chord symbols (harmony) in its first part; put them there, or give the "
                     "chords as text",
                     path);
    else if (chords->length <= 0)
        program_fail(error, "%s: no whole measure in its first part; give it a time signature", path);
    else
        return in_order(chords);
    return NULL;
}
