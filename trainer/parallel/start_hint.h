/* start_hint: tells why MPI may hang at its start, where ranks of several hosts do not find each other, and
 * ends a start that never does: MPI itself says nothing then, and the watchdog talks to the other ranks only
 * after that. */
#pragma once

/* Rank 0 of a run on several hosts will say what may be wrong after hint_s seconds, and after limit_s end
 * its process with EXIT_STOPPED_EARLY, on which launchers end the others; other ranks do nothing. Local;
 * before MPI starts. */
void start_hint_begin(double hint_s, double limit_s);
/* The ranks have found each other, or the run ends: nothing will be said. Local; any number of times. */
void start_hint_end(void);
