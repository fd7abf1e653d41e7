/* machine: what play.c runs on: this machine (machine.c) or a simulated one (simulated.c). */
#pragma once

/* Seconds since some moment. */
double machine_seconds(void);
/* Keeps this rank's core busy for so long. */
void machine_compute(double seconds);
/* From now on this rank does nothing but wait for others; ends with 0. */
void machine_waits(int yes);
/* What the exchange's own work costs where it is simulated, as costs.c prints it. 0: not understood. */
int machine_costs(const char *text);
/* A step begins, after all ranks have met. */
void machine_begins(void);
