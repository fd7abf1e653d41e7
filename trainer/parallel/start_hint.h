/* start_hint: tells why MPI may hang at its start, where ranks of several hosts do not find each other: MPI
 * itself says nothing then, and the watchdog talks to the other ranks only after that. */
#pragma once

/* Rank 0 of a run on several hosts will say what may be wrong after so many seconds; other ranks do nothing.
 * Local; before MPI starts. */
void start_hint_begin(double seconds);
/* The ranks have found each other, or the run ends: nothing will be said. Local; any number of times. */
void start_hint_end(void);
