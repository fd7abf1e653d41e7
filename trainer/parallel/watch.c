/* watch: owns the phase of this process. The main thread alone writes it, but for the count of changes;
 * others read single members, which are atomic. */
#include "trainer/parallel/watch.h"

#include <stdatomic.h>

static struct {
    _Atomic int phase;
    _Atomic int64_t step, since_us;
    _Atomic uint64_t calls, changes;
} place;

static struct {
    gint64 from; /* up to here all is in times */
    gint64 wait_from;
    watch_times_t times;
} clocks;

const char *phase_name(phase_t phase) {
    static const char *const names[] = {"start",    "data",       "compute", "exchange",
                                        "validate", "checkpoint", "end"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == PHASE_COUNT);
    return phase >= 0 && phase < PHASE_COUNT ? names[phase] : "an unknown phase";
}

void watch_tick(void) { place.changes++; }

static double seconds_between(gint64 then, gint64 now) { return (double)(now - then) / G_USEC_PER_SEC; }

double watch_seconds_since(gint64 then) { return seconds_between(then, g_get_monotonic_time()); }

/* Adds the time since the last change to the phase so far. */
static void count_time(gint64 now) {
    if (clocks.from > 0) clocks.times.seconds[place.phase] += seconds_between(clocks.from, now);
    clocks.from = now;
}

void watch_phase(phase_t phase, int64_t step) {
    const gint64 now = g_get_monotonic_time();
    count_time(now);
    place.since_us = now;
    place.step = step;
    place.phase = (int)phase;
    watch_tick();
}

void watch_wait_begin(void) {
    clocks.wait_from = g_get_monotonic_time();
    place.calls++;
    watch_tick();
}

void watch_wait_end(void) {
    clocks.times.waiting[place.phase] += watch_seconds_since(clocks.wait_from);
    place.calls++;
    watch_tick();
}

void watch_hidden(double seconds) { clocks.times.hidden += seconds; }

watch_place_t watch_place(void) {
    return (watch_place_t){.step = place.step,
                           .calls = place.calls,
                           .changes = place.changes,
                           .since_us = place.since_us,
                           .phase = (phase_t)place.phase};
}

void watch_take_times(watch_times_t *times) {
    count_time(g_get_monotonic_time());
    *times = clocks.times;
    clocks.times = (watch_times_t){0};
}
