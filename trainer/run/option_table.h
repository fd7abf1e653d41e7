/* option_table: the table of run options, a row an option. options.c makes the command line, run.ini and
 * presets of it, run.c compares two runs by it. */
#ifndef MPIANIST_TRAINER_RUN_OPTION_TABLE_H
#define MPIANIST_TRAINER_RUN_OPTION_TABLE_H

#include "preprocess/common/option.h"
#include "trainer/run/options.h"

/* The groups of --help; GROUP_MODEL and those after it are also the groups of run.ini. */
enum { GROUP_RUN, GROUP_EVALUATION, GROUP_MODEL, GROUP_TRAINING, GROUP_KEEPING, GROUP_COUNT };
/* Their names in run.ini. */
extern const char *const OPTION_GROUPS[GROUP_COUNT];

/* The rows, by group, ended by one without a name. whom: 1 << kind of each model that the option has a
 * meaning for; 0: all. */
extern const option_t OPTION_ROWS[];

/* Texts with a grammar of their own, each read into the struct named; NULL: only checked. */
typedef struct {
    split_t splits[SPLIT_COUNT];
    size_t n;
} split_list_t;
gboolean read_splits(const char *text, void *value); /* "valid,test" */
typedef struct {
    int low, high;
} semitones_t;
gboolean read_transpose(const char *text, void *value); /* "-5,6" */
typedef struct {
    int64_t steps;
    double share, minutes; /* of the run's steps; where one is above 0, it stands in place of the steps */
} span_t;
gboolean read_checkpoint_every(const char *text, void *value); /* "500 steps", "10 minutes" */
gboolean read_span(const char *text, void *value);             /* "500", "60 %" */

#endif
