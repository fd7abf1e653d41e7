/* machine: this one. Its core is kept busy by looking at the clock. */
#include "tests/simulate/machine.h"

#include <glib.h>
#include <time.h>

double machine_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void machine_compute(double seconds) {
    const double end = machine_seconds() + seconds;
    while (machine_seconds() < end) {
    }
}

void machine_waits(G_GNUC_UNUSED int yes) {}
int machine_costs(G_GNUC_UNUSED const char *text) { return 1; }
void machine_begins(void) {}
