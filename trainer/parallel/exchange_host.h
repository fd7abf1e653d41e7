/* exchange_host: the memory that the ranks of a host share, and how they signal to each other in it, without
 * MPI. Counters only grow: each step adds the same to each. */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>

#include "trainer/parallel/exchange_plan.h"

/* Alone on its line of cache. */
typedef struct {
    alignas(64) _Atomic uint64_t n;
} exchange_counter_t;

typedef struct {
    exchange_counter_t *ready;            /* [buckets] ranks whose gradient is final, over all steps */
    exchange_counter_t *summed, *updated; /* ranks that came so far, over all steps */
    double *norms;                        /* [chunks] */
    float *gradients, *blocks;            /* blocks of `stride` floats: a gradient a node; others */
    size_t stride;
    void *memory, *window; /* one is NULL: of this rank alone; shared */
} exchange_host_t;

/* Allocates for blocks of n floats. FALSE with error set on all ranks where any host has too little shared
 * memory. alone: the plan has a rank a host, which needs none. Collective. */
gboolean exchange_host_init(exchange_host_t *host, const exchange_plan_t *plan,
                            const exchange_config_t *config, size_t buckets, gboolean alone, GError **error);
void exchange_host_clear(exchange_host_t *host);

/* Adds this rank to a counter: what it wrote before can be read by those who see the count. */
void exchange_host_signal(exchange_counter_t *counter);
gboolean exchange_host_reached(exchange_counter_t *counter, uint64_t n);
/* For a rank that waits and has looked so many times: lets other processes run, where it waits for longer
 * than a moment. Returns whether it did. */
gboolean exchange_host_idle(unsigned tries);
