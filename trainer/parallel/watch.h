/* watch: what this rank does at the moment, for the watchdog, which looks on from a thread of its own, and
 * how long each kind of work took, for the line after an epoch. Local, without locks, and cheap enough to be
 * called several times a step. */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef enum {
    PHASE_START,      /* until the first step: reading data, making or resuming the model */
    PHASE_DATA,       /* a step's batch is made, or waited for where data are streamed */
    PHASE_COMPUTE,    /* forward and backward passes; the optimizer */
    PHASE_EXCHANGE,   /* gradients are summed over ranks; what of it is not hidden behind PHASE_COMPUTE */
    PHASE_VALIDATE,   /* also --evaluate and --attributes */
    PHASE_CHECKPOINT, /* training stands still for a checkpoint */
    PHASE_END,        /* after the last step */
    PHASE_COUNT
} phase_t;

/* "start", "data" and so on. */
const char *phase_name(phase_t phase);

/* This rank now does this, for the step of this number, from 1. Main thread only. */
void watch_phase(phase_t phase, int64_t step);
/* Something goes on within a long phase, such as a part of a file read. Any thread. */
void watch_tick(void);
/* Around what returns only when all ranks have called it: every call of comm that is collective does so, and
 * those of exchange that wait. Not within each other. Main thread only. */
void watch_wait_begin(void);
void watch_wait_end(void);

/* For so long an exchange with other ranks went on behind this one's computation. Main thread only. */
void watch_hidden(double seconds);

/* Where a rank stands. calls: 2 k where it has been through k of the calls that all ranks must come to, and
 * 2 k + 1 within the next one. All ranks go through the same calls, so the others wait for the ranks with the
 * lowest number. */
typedef struct {
    int64_t step;
    uint64_t calls;
    uint64_t changes; /* grows with every call of the functions above */
    int64_t since_us; /* monotonic: when the phase began */
    phase_t phase;
} watch_place_t;

/* Any thread. The members need not be of one and the same moment. */
watch_place_t watch_place(void);

/* Seconds since a time of g_get_monotonic_time(). Any thread. */
double watch_seconds_since(gint64 then);

/* Seconds in each phase, how many of them passed between watch_wait_begin() and watch_wait_end(), and the sum
 * of what watch_hidden() was told. */
typedef struct {
    double seconds[PHASE_COUNT], waiting[PHASE_COUNT], hidden;
} watch_times_t;

/* Writes the times since the last call of this, or since the first watch_phase(). Main thread only. */
void watch_take_times(watch_times_t *times);
