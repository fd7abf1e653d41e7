/* verbs: what the sampler can do, one function a verb and one behind all. */
#ifndef MPIANIST_SAMPLER_COMMAND_VERBS_H
#define MPIANIST_SAMPLER_COMMAND_VERBS_H

#include "sampler/command/job.h"

/* Does what the command line asks for, which it completes by cli_fit(). FALSE with error set,
 * OPTION_ERROR_USAGE where the command line does not go with the checkpoint or the song: file, cause, way
 * out; files already printed on standard output stay. */
gboolean verbs_run(cli_t *cli, GError **error);

/* Those that need a model. FALSE with error set. */
gboolean verb_prior(job_t *job, GError **error);
gboolean verb_song(job_t *job, GError **error);
gboolean verb_continue(job_t *job, GError **error);
gboolean verb_reconstruct(job_t *job, GError **error);
gboolean verb_vary(job_t *job, GError **error);
gboolean verb_interpolate(job_t *job, GError **error);
gboolean verb_traverse(job_t *job, GError **error);

#endif
