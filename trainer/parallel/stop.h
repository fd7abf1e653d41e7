/* stop: why a run should end before its work is done: signals and the job's deadline. Local: each rank
 * asks, and callers agree. */
#pragma once

#include <glib.h>

/* Seconds before SLURM_JOB_END_TIME at which a run writes its checkpoint and leaves. */
#define STOP_MARGIN_S 60

/* From now on SIGUSR1, SIGTERM and SIGINT only set a flag, and a write past a file size limit is an error
 * (EFBIG), not a signal. */
void stop_catch_signals(void);
/* The last of these signals that came, or 0. */
int stop_signal(void);
/* TRUE once the job's end (SLURM_JOB_END_TIME, seconds since 1970) is less than STOP_MARGIN_S away; FALSE
 * where there is none. */
gboolean stop_deadline_near(void);
