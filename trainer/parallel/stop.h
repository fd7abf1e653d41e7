/* stop: tells when a run should end early, for a signal or because its job's time runs out. Local: ranks must
 * agree. */
#pragma once

#include <glib.h>

/* From now on SIGUSR1, SIGTERM and SIGINT only set a flag, and writing past a file size limit is an error
 * (EFBIG), not a signal. */
void stop_catch_signals(void);
/* The last of these signals that came, or 0. */
int stop_signal(void);

/* Finds out when the SLURM job that this process belongs to will end: SLURM_JOB_END_TIME says it (seconds
 * since 1970; set since SLURM 23.02), or else squeue, which is asked once and waited for a few seconds at
 * most. Returns a line on it for people, NULL outside SLURM. Owner: caller. */
char *stop_find_deadline(void);
/* Seconds until that time; INFINITY where none was found. */
double stop_seconds_left(void);
/* Says how much of them the end of a run takes: keeping its state, leaving, queueing the job again. */
void stop_reserve(double seconds);
/* Whether the run should end: a signal came, or less than `ahead_s` is left before the reserve. */
gboolean stop_due(double ahead_s);
