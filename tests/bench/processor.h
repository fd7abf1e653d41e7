/* processor: the time by which benchmarks measure: of this program alone, since the machine may be busy. */
#pragma once

#include <time.h>

/* Processor time of all threads, in microseconds. */
static inline double processor_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}
