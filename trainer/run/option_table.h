/* option_table: the table of run options, one row each. options.c makes the command line, run.ini and presets
 * from it; run.c compares two runs by it. */
#pragma once

#include "preprocess/common/option.h"
#include "trainer/run/options.h"

/* The groups of --help; GROUP_MODEL and those after it are also the groups of run.ini. */
enum { GROUP_RUN, GROUP_EVALUATION, GROUP_MODEL, GROUP_TRAINING, GROUP_KEEPING, GROUP_COUNT };
/* Their names in run.ini. */
extern const char *const OPTION_GROUPS[GROUP_COUNT];

/* The rows, by group, ended by one without a name. `whom`: 1 << kind of each model that has it; 0: all. */
const option_t *option_rows(void);
