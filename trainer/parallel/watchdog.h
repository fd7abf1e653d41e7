/* watchdog: a thread on each rank that finds out when the run stands still, says which rank all others wait
 * for, and ends a run that stands still for too long, so that it can be queued again.
 *
 * MPI itself does neither: where a rank is stopped, or was killed under a launcher that does not notice, the
 * others wait in it for ever. The threads do without it: each tells rank 0's thread every second where its
 * rank stands (watch.h), by datagrams, which rank 0 answers.
 *
 * When no rank has got on for a span of seconds, rank 0 says so on standard error, once. After a second span
 * it says that it gives up, and all processes end with EXIT_STOPPED_EARLY. Where rank 0 is itself silent,
 * another rank speaks, and each leaves by itself. Time in which a thread did not run, as in a job that is
 * suspended, is no time; and whatever gets on, such as a batch that is validated, begins the span anew. */
#pragma once

#include <glib.h>

/* Starts the thread. span_s: 0 for none; nor is there one where the run has one rank. Collective. */
void watchdog_start(int span_s);
/* Ends and joins it. Local; also after comm_finalize(), and where there is none. */
void watchdog_stop(void);
