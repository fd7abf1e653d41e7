/* Owns the writing of JSON by hand: json-glib writes numbers with 17 digits, which nobody reads. Refuses
 * nothing; whoever opens closes. */
#include "sampler/score/line.h"

#include <math.h>
#include <string.h>

static void append_quoted(GString *line, const char *text) {
    g_string_append_c(line, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if ((guchar)*c < 0x20)
            g_string_append_printf(line, "\\u%04x", (guchar)*c);
        else {
            if (*c == '"' || *c == '\\') g_string_append_c(line, '\\');
            g_string_append_c(line, *c);
        }
    }
    g_string_append_c(line, '"');
}

static void begin(GString *line, const char *name) {
    if (line->len > 0 && strchr("{[", line->str[line->len - 1]) == NULL) g_string_append_c(line, ',');
    if (name == NULL) return;
    append_quoted(line, name);
    g_string_append_c(line, ':');
}

void line_open(GString *line, const char *name, char bracket) {
    begin(line, name);
    g_string_append_c(line, bracket);
}

void line_close(GString *line, char bracket) { g_string_append_c(line, bracket == '{' ? '}' : ']'); }

void line_number(GString *line, const char *name, double value) {
    char digits[G_ASCII_DTOSTR_BUF_SIZE];
    begin(line, name);
    g_string_append(line, isfinite(value) ? g_ascii_formatd(digits, sizeof digits, "%.6g", value) : "null");
}

void line_count(GString *line, const char *name, size_t value) {
    begin(line, name);
    g_string_append_printf(line, "%zu", value);
}

void line_text(GString *line, const char *name, const char *text) {
    begin(line, name);
    if (text == NULL)
        g_string_append(line, "null");
    else
        append_quoted(line, text);
}
