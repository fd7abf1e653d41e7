/* verbs: the list of what the sampler can do, and the function that does one of it. */
#pragma once

#include "sampler/command/job.h"

/* In the order of --help, ended by NULL. */
extern const verb_t *const verbs[];

/* Does what the command line asks for, which it completes by cli_fit(). FALSE with error set: file, cause,
 * way out; OPTION_ERROR_USAGE where the command line does not go with the checkpoint or the song. Files
 * already printed on standard output stay. */
gboolean verbs_run(cli_t *cli, GError **error);
