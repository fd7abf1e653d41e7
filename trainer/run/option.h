/* option: one row of the table of run options: its type, default, range and help, and its value's way from
 * text into options_t and back. Private to options.c, which makes flags, --help and run.ini of it. No
 * function here reads a file or uses the locale. */
#ifndef MPIANIST_TRAINER_RUN_OPTION_H
#define MPIANIST_TRAINER_RUN_OPTION_H

#include "trainer/run/options.h"

typedef enum { OPTION_FLAG, OPTION_INT, OPTION_INT64, OPTION_REAL, OPTION_CHOICE, OPTION_TEXT } option_type_t;

/* The groups of --help; GROUP_MODEL and those after it are also the groups of run.ini. */
typedef enum {
    GROUP_RUN,
    GROUP_EVALUATION,
    GROUP_MODEL,
    GROUP_TRAINING,
    GROUP_KEEPING,
    GROUP_COUNT
} option_group_t;

typedef struct {
    const char *name;
    option_group_t group;
    option_type_t type;
    size_t offset;        /* of the member of options_t */
    const char *fallback; /* the default as text, NULL: unset */
    const char *argument; /* its name in --help; of a choice: all values, "a|b", in the order of their enum */
    const char *help;
    char letter;                         /* of the flag's short form, 0: none */
    double low, high;                    /* range of a number; high INFINITY: no limit */
    gboolean (*valid)(const char *text); /* of a text with a grammar, which wanted describes */
    const char *wanted;
    unsigned models;     /* 1 << kind of each model that it has a meaning for; 0: all */
    const char *instead; /* what the other models have or take */
} option_t;

/* The table, by group, ended by a row without a name. */
extern const option_t OPTION_TABLE[];
/* Key of a group in run.ini, in lower case. */
const char *option_group_name(option_group_t group);

/* NULL where there is none. */
const option_t *run_option_find(const char *name);
/* The known name that a mistyped one means: one that begins with it (three letters or more), else the nearest
 * where edits change about a third of it at most; of those in run.ini or of all. NULL where none is near. */
const char *run_option_nearest_name(const char *name, gboolean in_file);
/* Reads text into the option's member. FALSE with OPTIONS_ERROR_USAGE set, led by label (where the text
 * stood): the member is unchanged. */
gboolean run_option_set(options_t *options, const option_t *option, const char *text, const char *label,
                        GError **error);
/* The member as text that run_option_set() reads back to the same bits; owner: caller. */
char *run_option_get(const options_t *options, const option_t *option);
/* "1..8", "0 or more"; NULL of an option that is no number. Owner: caller. */
char *option_range(const option_t *option, const char *between);
/* Sets error: "LABEL: 'TEXT' is not WHAT IS WANTED". Returns FALSE. */
gboolean run_option_refuse(const option_t *option, const char *label, const char *text, GError **error);
/* Position of text among a choice's values, or -1. */
int run_option_choice_index(const option_t *option, const char *text);

/* Texts with a grammar of their own: "valid,test", "-5,6", "500 steps" or "10 minutes", "500" steps or
 * "60 %" of the run's (share, else 0). FALSE where text is none. */
gboolean option_parse_splits(const char *text, split_t splits[SPLIT_COUNT], size_t *n);
gboolean option_parse_transpose(const char *text, int *low, int *high);
gboolean option_parse_checkpoint_every(const char *text, int64_t *steps, double *minutes);
gboolean option_parse_span(const char *text, int64_t *steps, double *share);

#endif
