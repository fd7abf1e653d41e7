/* verbs: what the sampler can do, one function behind all. */
#ifndef MPIANIST_SAMPLER_VERBS_H
#define MPIANIST_SAMPLER_VERBS_H

#include "sampler/cli.h"

#define VERBS_ERROR verbs_error_quark()
GQuark verbs_error_quark(void);
typedef enum { VERBS_ERROR_RANGE } verbs_error_t;

/* Does what the command line asks for, which it completes by cli_fit(). FALSE with error set: file, cause, way out; files already printed on standard output stay. */
gboolean verbs_run(cli_t *cli, GError **error);

#endif
