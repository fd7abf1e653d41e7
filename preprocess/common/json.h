/* json: writes a line of JSON member by member, with commas where they belong. Names and texts are UTF-8 and
 * are escaped. name is NULL within an array and for the outermost bracket. */
#pragma once

#include <glib.h>

/* JSON_ROUNDED: {"name":0.1}, six digits, for reading. JSON_EXACT: {"name":0.10000000000000001}, 17 digits,
 * which tell each double from its neighbours; whole numbers end in ".0". JSON_SPACED: the same digits with
 * blanks, {"name": 0.10000000000000001}; whole numbers have no ".0". */
typedef enum { JSON_ROUNDED, JSON_EXACT, JSON_SPACED } json_style_t;

/* A line under way. Nothing is allocated but for the text as it grows. */
typedef struct {
    GString *text; /* not owned */
    json_style_t style;
} json_t;

/* Begin and end an object ('{') or an array ('['): both take the opening bracket. */
void json_open(json_t *json, const char *name, char bracket);
void json_close(json_t *json, char bracket);
/* Writes null where value is not finite. */
void json_number(json_t *json, const char *name, double value);
void json_count(json_t *json, const char *name, size_t value);
void json_boolean(json_t *json, const char *name, gboolean value);
/* Writes null where text is NULL. */
void json_text(json_t *json, const char *name, const char *text);
