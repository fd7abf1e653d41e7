/* verbs: what the sampler can do, and one function behind all. */
#pragma once

#include "sampler/command/job.h"

/* Ended by NULL. */
extern const verb_t *const verbs[];

/* Does what the command line asks for, which it completes by cli_fit(). FALSE with error set,
 * OPTION_ERROR_USAGE where the command line does not go with the checkpoint or the song: file, cause, way
 * out; files already printed on standard output stay. */
gboolean verbs_run(cli_t *cli, GError **error);
