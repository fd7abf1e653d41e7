/* line: one line of JSON, grown member by member; commas come by themselves. Names and texts are UTF-8 and
 * are escaped. A name is NULL within an array. */
#ifndef MPIANIST_SAMPLER_SCORE_LINE_H
#define MPIANIST_SAMPLER_SCORE_LINE_H

#include <glib.h>

/* bracket: '{' or '['. */
void line_open(GString *line, const char *name, char bracket);
void line_close(GString *line, char bracket);
/* Six digits; null where value is no finite number. */
void line_number(GString *line, const char *name, double value);
void line_count(GString *line, const char *name, size_t value);
/* null where text is NULL. */
void line_text(GString *line, const char *name, const char *text);

#endif
