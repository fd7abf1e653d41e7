/* json: owns the writing of JSON. json-glib only reads it here: it writes all numbers with 17 digits. Refuses
 * nothing; the caller closes what it opens. */
#include "preprocess/common/json.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *comma, *colon, *format;
    gboolean point;
} styles[] = {
    [JSON_ROUNDED] = {",", ":", "%.6g", FALSE},
    [JSON_EXACT] = {",", ":", "%.17g", TRUE},
    [JSON_SPACED] = {", ", ": ", "%.17g", FALSE},
};

static void append_quoted(GString *text, const char *value) {
    g_string_append_c(text, '"');
    for (const char *c = value; *c; c++) {
        if ((guchar)*c < 0x20)
            g_string_append_printf(text, "\\u%04x", (guchar)*c);
        else {
            if (*c == '"' || *c == '\\') g_string_append_c(text, '\\');
            g_string_append_c(text, *c);
        }
    }
    g_string_append_c(text, '"');
}

static void begin(json_t *json, const char *name) {
    GString *text = json->text;
    if (text->len > 0 && !strchr("{[", text->str[text->len - 1]))
        g_string_append(text, styles[json->style].comma);
    if (!name) return;
    append_quoted(text, name);
    g_string_append(text, styles[json->style].colon);
}

void json_open(json_t *json, const char *name, char bracket) {
    begin(json, name);
    g_string_append_c(json->text, bracket);
}

void json_close(json_t *json, char bracket) { g_string_append_c(json->text, bracket == '{' ? '}' : ']'); }

/* Uses g_ascii_formatd(), since printf() follows the locale. */
void json_number(json_t *json, const char *name, double value) {
    char digits[G_ASCII_DTOSTR_BUF_SIZE] = "null";
    begin(json, name);
    if (isfinite(value)) g_ascii_formatd(digits, sizeof digits, styles[json->style].format, value);
    g_string_append(json->text, digits);
    if (styles[json->style].point && isfinite(value) && !strpbrk(digits, ".e"))
        g_string_append(json->text, ".0");
}

void json_count(json_t *json, const char *name, size_t value) {
    begin(json, name);
    g_string_append_printf(json->text, "%zu", value);
}

void json_boolean(json_t *json, const char *name, gboolean value) {
    begin(json, name);
    g_string_append(json->text, value ? "true" : "false");
}

void json_text(json_t *json, const char *name, const char *text) {
    begin(json, name);
    if (text)
        append_quoted(json->text, text);
    else
        g_string_append(json->text, "null");
}
