/* option: the one engine behind the command lines of the three programs. A program's table has a typed row
 * for each option; reading, defaults, ranges, --help and what is said of a wrong value follow from it. No
 * function here reads a file or uses the locale. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_ERROR option_error_quark()
GQuark option_error_quark(void);
/* USAGE: bad usage, on the command line or in a file (exit status 2). FILE: an unreadable file (1). */
typedef enum { OPTION_ERROR_USAGE, OPTION_ERROR_FILE } option_error_t;

/* The kind of a value, and the type of the member that keeps it. */
typedef enum {
    OPTION_FLAG,   /* gboolean; takes no value */
    OPTION_INT,    /* int */
    OPTION_INT64,  /* int64_t */
    OPTION_REAL,   /* double */
    OPTION_CHOICE, /* char *: one of the words of argument, "a|b" */
    OPTION_FORMAT, /* int: 1, 2, ... for the words of argument, 0: none; without a value the first is meant */
    OPTION_TEXT,   /* char *; may be empty only where refusal is NULL */
    OPTION_LIST,   /* char **: a text for each time that it is given; none empty */
    OPTION_READ    /* any: read() sets it, write() turns it into text */
} option_type_t;

/* These stand in help and refusal for what the row holds: {default}, {argument}; {range}: "1..8" or "0 or
 * more"; {from}: "from 1 to 8" or "of at least 0"; {give}: "1 to 8" or "at least 0"; {choices}: "a, b". */
typedef struct option option_t;
struct option {
    const char *name;
    char letter; /* of the short form, 0: none */
    int group;   /* of --help, from 0 */
    option_type_t type;
    size_t offset;        /* of the member */
    const char *fallback; /* the default as text; NULL: what the member has */
    const char *argument; /* the value's name in --help; of a choice or format: all values, "a|b" */
    const char *help;
    double low, high; /* range of a number; high INFINITY: no limit */
    /* The message about a wrong value. {label}: where it stood, such as "--batch"; {text}: the value;
     * {value}: the same as a number: what is no number then gets GOption's own message. */
    const char *refusal;
    /* For values with a grammar of their own: read() sets the member from text, or returns FALSE where text
     * does not fit; write() returns the member as text (owner: caller). An OPTION_TEXT may have read(), too:
     * its member is then a struct that begins with the text as given. */
    gboolean (*read)(const option_t *option, const char *text, void *member);
    char *(*write)(const option_t *option, const void *member);
    unsigned whom;        /* kinds of model that the option is for, as the program's own bits */
    const char *instead;  /* what the other kinds have in its place */
    const char *needs;    /* "a,b": refused without one of these, which --help says; NULL: needs nothing */
    const char *excludes; /* "a,b": refused beside any of these; NULL: none */
    const char *because;  /* why it excludes them; NULL: no reason is given */
};

typedef struct {
    const option_t *rows;      /* ended by a row without a name */
    const char *const *groups; /* titles in --help, of a table with a row "help"; NULL: GOption's own group */
    const char *parameters;    /* how --help goes on after "program [OPTION...]" */
    const char *summary;       /* above the options; NULL: none */
    const char *description;   /* below them */
    unsigned whom;             /* kinds of model that the command is for */
    const char *(*only)(unsigned whom); /* what --help says of a row that is not for all these */
} option_command_t;

/* A command line as it was read: texts, not yet checked. */
typedef struct {
    GHashTable *given; /* name -> GPtrArray of texts */
    char **files;      /* the words that are no options; NULL: none */
    char *help; /* where a row "help" was given; a table without that row: GOption prints it and exits */
} option_line_t;

/* Reads argv, which stays as it is, into line (option_line_clear() frees it). options holds the defaults that
 * --help shows. FALSE with error set: OPTION_ERROR_USAGE for an option that takes one value and is there
 * twice; G_OPTION_ERROR for an unknown one, with the nearest name, or a value that is missing. */
gboolean option_read_line(const option_command_t *command, const void *options, int argc, char *const *argv,
                          option_line_t *line, GError **error);
void option_line_clear(option_line_t *line);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(option_line_t, option_line_clear)
/* The text given for an option, "" for a flag; NULL where it is not given. Owner: line. */
const char *option_given(const option_line_t *line, const char *name);

/* option_set_defaults() sets the members to the defaults of their rows; option_clear() frees their texts. */
void option_set_defaults(const option_t *rows, void *options);
void option_clear(const option_t *rows, void *options);
/* Sets the members that the line gives, in the order of the rows. FALSE with error set, as option_set(). */
gboolean option_set_given(const option_t *rows, const option_line_t *line, void *options, GError **error);
/* Sets one member from text. FALSE with error set, which begins with label (where the text stood, such as
 * "--batch"): OPTION_ERROR_USAGE, or G_OPTION_ERROR where refusal has {value} and text is no number. A number
 * or text is unchanged then. */
gboolean option_set(void *options, const option_t *option, const char *text, const char *label,
                    GError **error);
/* The member as text that option_set() reads back to the same bits; NULL: unset. Owner: caller. */
char *option_get(const void *options, const option_t *option);

/* The row of that name; NULL where there is none. */
const option_t *option_find(const option_t *rows, const char *name);
/* The name, in group first_group or later, that a mistyped one probably means: one that begins with it (3
 * letters or more), else the nearest where edits change about a third of it at most. NULL: none is near. */
const char *option_nearest_name(const option_t *rows, const char *name, int first_group);
/* Position of text among the values of a choice or format, or -1. */
int option_choice_index(const option_t *option, const char *text);

/* "a,b" as "--a or --b". Owner: caller. */
char *option_list_names(const char *names);

/* Both set error and return FALSE: option_refuse() with the row's message about text, as in option_set();
 * option_fail() with OPTION_ERROR_USAGE and any other message. */
gboolean option_refuse(const option_t *option, const char *label, const char *text, GError **error);
gboolean option_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Read a whole, or a finite, decimal number from low to high, without blanks. FALSE where text is none. */
gboolean option_parse_integer(const char *text, gint64 low, gint64 high, gint64 *value);
gboolean option_parse_real(const char *text, double low, double high, double *value);
