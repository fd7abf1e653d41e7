/* json: one line of JSON, grown member by member; commas come by themselves. Names and texts are UTF-8 and
 * are escaped. A name is NULL within an array and for the outermost bracket. */
#pragma once

#include <glib.h>

/* How a line looks: with six digits, {"name":0.1}, to be read; with 17, which tell each double from its
 * neighbours, {"name":0.10000000000000001}, whole numbers ending in ".0"; or with 17 and blanks,
 * {"name": 0.10000000000000001}, whole numbers as they are. */
typedef enum { JSON_ROUNDED, JSON_EXACT, JSON_SPACED } json_style_t;

/* Nothing is allocated but by the text as it grows. */
typedef struct {
    GString *text; /* not owned */
    json_style_t style;
} json_t;

/* bracket: '{' or '['. */
void json_open(json_t *json, const char *name, char bracket);
void json_close(json_t *json, char bracket);
/* null where value is no finite number. */
void json_number(json_t *json, const char *name, double value);
void json_count(json_t *json, const char *name, size_t value);
void json_boolean(json_t *json, const char *name, gboolean value);
/* null where text is NULL. */
void json_text(json_t *json, const char *name, const char *text);
