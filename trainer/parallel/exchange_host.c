/* exchange_host: owns the shared window's layout: counters, norms, then blocks at the beginnings of pages. */
#include "trainer/parallel/exchange_host.h"

#include <sched.h>
#include <stdlib.h>

#include "trainer/model/layers.h"
#include "trainer/parallel/comm.h"

#define PAGE     ((size_t)4096)
#define SPINNING 64 /* looks before a waiting rank lets others run */

static size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

/* Bytes of counters and norms, and of all. */
typedef struct {
    size_t counters, norms, all;
} layout_t;

static layout_t lay_out(const exchange_plan_t *plan, const exchange_config_t *config, size_t buckets) {
    const size_t chunks = (config->n + EXCHANGE_CHUNK - 1) / EXCHANGE_CHUNK,
                 blocks = plan->rank_node_firsts[plan->host_size] + (size_t)config->blocks;
    layout_t layout = {.counters = whole_pages((buckets + 2) * sizeof(exchange_counter_t)),
                       .norms = whole_pages(chunks * sizeof(double))};
    layout.all = PAGE + layout.counters + layout.norms + blocks * whole_pages(config->n * sizeof(float));
    return layout;
}

gboolean exchange_host_init(exchange_host_t *host, const exchange_plan_t *plan,
                            const exchange_config_t *config, size_t buckets, gboolean alone, GError **error) {
    *host = (exchange_host_t){.stride = whole_pages(config->n * sizeof(float)) / sizeof(float)};
    const layout_t layout = lay_out(plan, config, buckets);
    char *start;
    if (alone || plan->hosts == comm_size()) {                       /* no rank has another one beside it */
        host->memory = layers_new_block(layout.all / sizeof(float)); /* in huge pages */
        if (!host->memory) g_error("exchange: cannot allocate %zu MiB", layout.all >> 20);
        start = host->memory;
    } else if (config->ranks_a_host > 0) { /* the window of a real host, for several of ours */
        const int ours = config->ranks_a_host, groups = (comm_node_size() + ours - 1) / ours;
        const size_t most = (size_t)comm_max((int64_t)layout.all);
        start = host->window = comm_shared_alloc(most * (size_t)groups, error);
        if (start) start += most * (size_t)(comm_node_rank() / ours);
    } else {
        start = host->window = comm_shared_alloc(layout.all, error);
    }
    if (!start) return FALSE;
    /* Ranks have the window at unlike addresses, but at the same place in a page. */
    char *at = start + (PAGE - (uintptr_t)start % PAGE) % PAGE;
    host->summed = (exchange_counter_t *)(void *)at;
    host->updated = host->summed + 1;
    host->ready = host->summed + 2;
    host->norms = (double *)(void *)(at + layout.counters);
    host->gradients = (float *)(void *)(at + layout.counters + layout.norms);
    host->blocks = host->gradients + plan->rank_node_firsts[plan->host_size] * host->stride;
    return TRUE;
}

void exchange_host_clear(exchange_host_t *host) {
    comm_shared_free(host->window);
    free(host->memory);
}

void exchange_host_signal(exchange_counter_t *counter) {
    atomic_fetch_add_explicit(&counter->n, 1, memory_order_release);
}

gboolean exchange_host_reached(exchange_counter_t *counter, uint64_t n) {
    return atomic_load_explicit(&counter->n, memory_order_acquire) >= n;
}

gboolean exchange_host_idle(unsigned tries) {
    if (tries < SPINNING) return FALSE;
    sched_yield();
    return TRUE;
}
