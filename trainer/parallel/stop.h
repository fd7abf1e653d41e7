/* stop: tells whether a run should end early, for a signal or the job's deadline. Local: ranks must agree. */
#pragma once

#include <glib.h>

/* Seconds before the end of a job (SLURM_JOB_END_TIME) at which a run writes its checkpoint and exits. */
#define STOP_MARGIN_S 60

/* From now on SIGUSR1, SIGTERM and SIGINT only set a flag, and writing past a file size limit is an error
 * (EFBIG), not a signal. */
void stop_catch_signals(void);
/* The last of these signals that came, or 0. */
int stop_signal(void);
/* Whether the job's end (SLURM_JOB_END_TIME, seconds since 1970) is less than STOP_MARGIN_S away; FALSE if
 * the variable is not set. */
gboolean stop_deadline_near(void);
