/* option: owns how the words of a command line become values, the text of --help and the messages about what
 * is wrong. Refuses a value out of its range and a second value for an option that takes one. */
#include "preprocess/common/option.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/typo.h"

G_DEFINE_QUARK(mpianist_option_error, option_error)

gboolean option_fail(GError **error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(OPTION_ERROR, OPTION_ERROR_USAGE, format, arguments));
    va_end(arguments);
    return FALSE;
}

const option_t *option_find(const option_t *rows, const char *name) {
    for (const option_t *option = rows; option->name; option++)
        if (g_str_equal(option->name, name)) return option;
    return NULL;
}

const char *option_nearest_name(const option_t *rows, const char *name, int first_group) {
    const char *nearest = NULL;
    const size_t length = strlen(name);
    size_t least = (length + 1) / 3 + 1;
    for (const option_t *option = rows; option->name; option++) {
        if (option->group < first_group) continue;
        const size_t distance =
            length >= 3 && g_str_has_prefix(option->name, name) ? 0 : typo_distance(name, option->name);
        if (distance < least) nearest = option->name;
        least = MIN(least, distance);
    }
    return nearest;
}

int option_choice_index(const option_t *option, const char *text) {
    g_auto(GStrv) values = g_strsplit(option->argument, "|", -1);
    for (int i = 0; values[i]; i++)
        if (g_str_equal(values[i], text)) return i;
    return -1;
}

/* ---- values ---- */

gboolean option_parse_integer(const char *text, gint64 low, gint64 high, gint64 *value) {
    return g_ascii_string_to_signed(text, 10, low, high, value, NULL);
}

/* "nan" and "inf" are read, too: they are numbers, but in no range. */
static gboolean read_real(const char *text, double *value) {
    char *end;
    *value = g_ascii_strtod(text, &end);
    return *text && *end == '\0' && strspn(text, "+-.0123456789eEnaif") == strlen(text);
}

gboolean option_parse_real(const char *text, double low, double high, double *value) {
    return read_real(text, value) && isfinite(*value) && *value >= low && *value <= high;
}

/* The shortest text that reads back to the same bits. */
static char *format_real(double value) {
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    for (int digits = 6; digits <= 17; digits++) {
        char format[8];
        g_snprintf(format, sizeof format, "%%.%dg", digits);
        if (g_ascii_strtod(g_ascii_formatd(text, sizeof text, format, value), NULL) == value) break;
    }
    return g_strdup(text);
}

/* Writes whole numbers as 1000000, not 1e+06. */
static char *format_limit(double value) {
    return value == floor(value) ? g_strdup_printf("%.0f", value) : format_real(value);
}

/* Replaces the {names} in the pattern of a help or refusal. text comes last, so that a {name} within it stays
 * as it is. Owner: caller. */
static char *fill(const char *pattern, const option_t *option, const char *fallback, const char *label,
                  const char *text) {
    const gboolean open = isinf(option->high);
    g_autofree char *low = format_limit(option->low), *high = format_limit(option->high),
                    *range = open ? g_strdup_printf("%s or more", low) : g_strdup_printf("%s..%s", low, high),
                    *from = open ? g_strdup_printf("of at least %s", low)
                                 : g_strdup_printf("from %s to %s", low, high),
                    *give =
                        open ? g_strdup_printf("at least %s", low) : g_strdup_printf("%s to %s", low, high);
    g_auto(GStrv) values = g_strsplit(option->argument ? option->argument : "", "|", -1);
    g_autofree char *choices = g_strjoinv(", ", values);
    const char *const names[][2] = {{"{range}", range},
                                    {"{from}", from},
                                    {"{give}", give},
                                    {"{choices}", choices},
                                    {"{argument}", option->argument},
                                    {"{default}", fallback},
                                    {"{label}", label},
                                    {"{value}", text},
                                    {"{text}", text}};
    GString *filled = g_string_new(pattern);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (names[i][1]) g_string_replace(filled, names[i][0], names[i][1], 0);
    return g_string_free(filled, FALSE);
}

gboolean option_refuse(const option_t *option, const char *label, const char *text, GError **error) {
    double value = 0;
    const gboolean number = strstr(option->refusal, "{value}") != NULL, real = option->type == OPTION_REAL;
    if (number && !read_real(text, &value)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Cannot parse %s value \u201c%s\u201d for %s", real ? "double" : "integer", text, label);
        return FALSE;
    }
    g_autofree char *shown = number && real ? format_real(value) : g_strdup(text),
                    *message = fill(option->refusal, option, NULL, label, shown);
    return option_fail(error, "%s", message);
}

static gboolean set_number(void *member, const option_t *option, const char *text) {
    gint64 integer, most = option->type == OPTION_INT ? G_MAXINT : G_MAXINT64;
    if (option->type == OPTION_REAL) {
        double real;
        if (!option_parse_real(text, option->low, option->high, &real)) return FALSE;
        *(double *)member = real;
        return TRUE;
    }
    if (!isinf(option->high)) most = (gint64)option->high;
    if (!option_parse_integer(text, (gint64)option->low, most, &integer)) return FALSE;
    if (option->type == OPTION_INT)
        *(int *)member = (int)integer;
    else
        *(int64_t *)member = integer;
    return TRUE;
}

gboolean option_set(void *options, const option_t *option, const char *text, const char *label,
                    GError **error) {
    void *member = (char *)options + option->offset;
    gboolean good = TRUE;
    switch (option->type) {
    case OPTION_FLAG: *(gboolean *)member = TRUE; break;
    case OPTION_INT:
    case OPTION_INT64:
    case OPTION_REAL: good = set_number(member, option, text); break;
    case OPTION_CHOICE: good = option_choice_index(option, text) >= 0; break;
    case OPTION_FORMAT: good = (*(int *)member = option_choice_index(option, text) + 1) > 0; break;
    case OPTION_TEXT:
        good = (*text || !option->refusal) && (!option->read || option->read(option, text, member));
        break;
    case OPTION_LIST: good = *text != '\0'; break;
    case OPTION_READ: good = option->read(option, text, member);
    }
    if (!good) return option_refuse(option, label, text, error);
    if (option->type == OPTION_CHOICE || option->type == OPTION_TEXT) {
        g_free(*(char **)member);
        *(char **)member = g_strdup(text);
    } else if (option->type == OPTION_LIST) {
        char **list = *(char ***)member;
        const size_t n = list ? g_strv_length(list) : 0;
        *(char ***)member = list = g_renew(char *, list, n + 2);
        list[n] = g_strdup(text);
        list[n + 1] = NULL;
    }
    return TRUE;
}

char *option_get(const void *options, const option_t *option) {
    const void *member = (const char *)options + option->offset;
    switch (option->type) {
    case OPTION_FLAG: return g_strdup(*(const gboolean *)member ? "true" : "false");
    case OPTION_INT: return g_strdup_printf("%d", *(const int *)member);
    case OPTION_INT64: return g_strdup_printf("%" G_GINT64_FORMAT, *(const int64_t *)member);
    case OPTION_REAL: return format_real(*(const double *)member);
    case OPTION_CHOICE:
    case OPTION_TEXT: return g_strdup(*(char *const *)member);
    case OPTION_READ: return option->write ? option->write(option, member) : NULL;
    default: return NULL;
    }
}

void option_set_defaults(const option_t *rows, void *options) {
    for (const option_t *option = rows; option->name; option++) {
        g_autoptr(GError) error = NULL;
        if (option->fallback && !option_set(options, option, option->fallback, option->name, &error))
            g_error("default of %s", error->message);
    }
}

void option_clear(const option_t *rows, void *options) {
    for (const option_t *option = rows; option->name; option++) {
        void *member = (char *)options + option->offset;
        if (option->type == OPTION_CHOICE || option->type == OPTION_TEXT)
            g_clear_pointer((char **)member, g_free);
        if (option->type == OPTION_LIST) g_clear_pointer((char ***)member, g_strfreev);
    }
}

/* ---- the command line ---- */

const char *option_given(const option_line_t *line, const char *name) {
    const GPtrArray *texts = g_hash_table_lookup(line->given, name);
    return texts ? texts->pdata[0] : NULL;
}

gboolean option_set_given(const option_t *rows, const option_line_t *line, void *options, GError **error) {
    for (const option_t *option = rows; option->name; option++) {
        const GPtrArray *texts = g_hash_table_lookup(line->given, option->name);
        g_autofree char *label = g_strconcat("--", option->name, NULL);
        for (guint i = 0; texts && i < texts->len; i++)
            if (!option_set(options, option, texts->pdata[i], label, error)) return FALSE;
    }
    return TRUE;
}

void option_line_clear(option_line_t *line) {
    g_clear_pointer(&line->given, g_hash_table_unref);
    g_clear_pointer(&line->files, g_strfreev);
    g_clear_pointer(&line->help, g_free);
}

/* What keep_text(), which GOption calls for each option of the line, works on. */
typedef struct {
    const option_t *rows;
    GHashTable *given;
} reader_t;

/* The row that a word names: "--batch", "-n". */
static const option_t *option_of_word(const option_t *rows, const char *word) {
    for (const option_t *option = rows; option->name; option++) {
        const char letter[] = {'-', option->letter, '\0'};
        if (g_str_has_prefix(word, "--") ? g_str_equal(option->name, word + 2)
                                         : option->letter && g_str_equal(letter, word))
            return option;
    }
    return NULL;
}

static gboolean keep_text(const char *word, const char *text, gpointer data, GError **error) {
    const reader_t *reader = data;
    const option_t *option = option_of_word(reader->rows, word);
    GPtrArray *texts = g_hash_table_lookup(reader->given, option->name);
    if (texts && option->type == OPTION_FLAG) return TRUE;
    if (texts && option->type != OPTION_LIST)
        return option_fail(error, "--%s: is there twice, with '%s' and '%s'; give it once", option->name,
                           (const char *)texts->pdata[0], text ? text : "");
    if (!texts) {
        texts = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(reader->given, (gpointer)option->name, texts);
    }
    if (!text && option->type == OPTION_FORMAT)
        g_ptr_array_add(texts, g_strndup(option->argument, strcspn(option->argument, "|")));
    else
        g_ptr_array_add(texts, g_strdup(text ? text : ""));
    return TRUE;
}

/* The words as GOption wants them: a number attached to its letter stands alone, as in -j 2; an OPTION_FORMAT
 * has its value attached, since a bare --picture would take the next file for it. Owner: caller. */
static char **prepare_words(const option_t *rows, int argc, char *const *argv) {
    GPtrArray *words = g_ptr_array_new();
    gboolean flags = TRUE; /* up to "--" */
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        flags = flags && !g_str_equal(word, "--");
        const option_t *option = flags ? option_of_word(rows, word) : NULL;
        if (option && option->type == OPTION_FORMAT) {
            const gboolean named = i + 1 < argc && option_choice_index(option, argv[i + 1]) >= 0;
            const char *format = named ? argv[++i] : option->argument;
            const int length = (int)strcspn(format, "|");
            g_ptr_array_add(words, g_strdup_printf("--%s=%.*s", option->name, length, format));
            continue;
        }
        if (flags && word[0] == '-' && g_ascii_isalpha(word[1]) &&
            (g_ascii_isdigit(word[2]) || word[2] == '.')) {
            g_ptr_array_add(words, g_strndup(word, 2));
            word += 2;
        }
        g_ptr_array_add(words, g_strdup(word));
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

char *option_list_names(const char *names) {
    g_auto(GStrv) each = g_strsplit(names, ",", -1);
    g_autofree char *joined = g_strjoinv(" or --", each);
    return g_strconcat("--", joined, NULL);
}

/* The help of a row, with its default and range filled in. Owner: caller. */
static char *help_text(const option_command_t *command, const void *options, const option_t *option) {
    g_autofree char *now = option_get(options, option), *needs = NULL,
                    *help = fill(option->help, option, now ? now : option->fallback, NULL, NULL);
    const char *only = command->whom & ~option->whom ? command->only(option->whom) : NULL;
    if (option->needs) needs = option_list_names(option->needs);
    return g_strconcat(help, needs ? "; needs " : "", needs ? needs : "", only ? "; " : "", only ? only : "",
                       NULL);
}

/* Adds the rows of one group of --help to GOption's. texts keeps the strings, which GOption does not copy. */
static void add_rows(GOptionGroup *group, int number, const option_command_t *command, const void *options,
                     GPtrArray *texts) {
    for (const option_t *option = command->rows; option->name; option++) {
        if (command->groups && option->group != number) continue;
        char *help = help_text(command, options, option);
        g_ptr_array_add(texts, help);
        /* FILENAME takes the bytes as they are; otherwise GLib refuses what the C locale does not know. */
        const int flags =
            G_OPTION_FLAG_FILENAME | (option->type == OPTION_FLAG     ? G_OPTION_FLAG_NO_ARG
                                      : option->type == OPTION_FORMAT ? G_OPTION_FLAG_OPTIONAL_ARG
                                                                      : 0);
        const GOptionEntry entry[] = {{option->name, option->letter, flags, G_OPTION_ARG_CALLBACK,
                                       (gpointer)(guintptr)keep_text, help, option->argument},
                                      G_OPTION_ENTRY_NULL};
        g_option_group_add_entries(group, entry);
    }
}

static GOptionContext *context_new(const option_command_t *command, const void *options, reader_t *reader,
                                   option_line_t *line, GPtrArray *texts) {
    const GOptionEntry files[] = {
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &line->files, NULL, NULL},
        G_OPTION_ENTRY_NULL};
    GOptionContext *context = g_option_context_new(command->parameters);
    GOptionGroup *main = g_option_group_new("main", "", "", reader, NULL);
    g_option_context_set_help_enabled(context, !option_find(command->rows, "help"));
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_description(context, command->description);
    if (!command->groups) add_rows(main, 0, command, options, texts);
    g_option_group_add_entries(main, files);
    g_option_context_set_main_group(context, main);
    for (int i = 0; command->groups && command->groups[i]; i++) {
        GOptionGroup *group = g_option_group_new(command->groups[i], command->groups[i], "", reader, NULL);
        add_rows(group, i, command, options, texts);
        g_option_context_add_group(context, group);
    }
    return context;
}

/* Hands cause on; of an unknown option it then says which one is near. Returns FALSE. */
static gboolean explain(const option_t *rows, GError *cause, GError **error) {
    const char *start = strstr(cause->message, " --");
    if (g_error_matches(cause, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION) && start) {
        start += strlen(" --");
        g_autofree char *name = g_strndup(start, strcspn(start, "=")); /* without its value */
        const char *nearest = option_nearest_name(rows, name, 0);
        g_autofree char *meant = nearest ? g_strdup_printf("; did you mean --%s?", nearest) : g_strdup("");
        g_free(cause->message);
        cause->message = g_strdup_printf("--%s: unknown option%s", name, meant);
    }
    g_propagate_error(error, cause);
    return FALSE;
}

gboolean option_read_line(const option_command_t *command, const void *options, int argc, char *const *argv,
                          option_line_t *line, GError **error) {
    g_auto(GStrv) words = prepare_words(command->rows, argc, argv);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    *line = (option_line_t){
        .given = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref)};
    reader_t reader = {.rows = command->rows, .given = line->given};
    g_autoptr(GOptionContext) context = context_new(command, options, &reader, line, texts);
    GError *cause = NULL;
    if (!g_option_context_parse_strv(context, &words, &cause)) return explain(command->rows, cause, error);
    if (option_given(line, "help")) line->help = g_option_context_get_help(context, FALSE, NULL);
    return TRUE;
}
