/* play PROFILE [options]: plays steps of training over all ranks: the exchange is the trainer's own, time
 * that goes by takes the computation's place. PROFILE is what profile.c printed. Prints the step's
 * milliseconds on rank 0, median and least, and what of it was spent in waiting for sums. Not a test:
 * simulate.py runs it, on this machine under mpirun and on simulated ones under smpirun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "tests/simulate/machine.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/exchange.h"

typedef struct {
    double ms;
    int64_t first, count;
} event_t;

typedef struct {
    int64_t elements;
    GArray *events; /* event_t */
    double update_ms, compute_ms;
} profile_t;

static int steps = 10, warm_up = 2, bucket_kib = 4096, sync_every;
static double step_ms;
static char *costs;
static gboolean bf16, idle, alone;
static const GOptionEntry entries[] = {
    {"steps", 0, 0, G_OPTION_ARG_INT, &steps, "how many count", "N"},
    {"warm-up", 0, 0, G_OPTION_ARG_INT, &warm_up, "steps before them", "N"},
    {"bucket-kib", 0, 0, G_OPTION_ARG_INT, &bucket_kib, "gradients leave in pieces of so much", "N"},
    {"bf16", 0, 0, G_OPTION_ARG_NONE, &bf16, "16 bits an element between hosts", NULL},
    {"sync-every", 0, 0, G_OPTION_ARG_INT, &sync_every, "steps that hosts take by themselves", "N"},
    {"step-ms", 0, 0, G_OPTION_ARG_DOUBLE, &step_ms, "scale the profile so that one rank takes so long",
     "MS"},
    {"costs", 0, 0, G_OPTION_ARG_STRING, &costs, "where simulated: as costs.c prints them", "NS,..."},
    {"idle", 0, 0, G_OPTION_ARG_NONE, &idle, "compute nothing: the exchange alone", NULL},
    {"alone", 0, 0, G_OPTION_ARG_NONE, &alone, "each rank is a host of its own", NULL},
    {NULL, 0, 0, 0, NULL, NULL, NULL}};

static gboolean read_profile(const char *path, profile_t *profile, GError **error) {
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error)) return FALSE;
    profile->events = g_array_new(FALSE, FALSE, sizeof(event_t));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i]; i++) {
        event_t event;
        if (sscanf(lines[i], "gradient %lf %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, &event.ms, &event.first,
                   &event.count) == 3)
            g_array_append_val(profile->events, event);
        else if (sscanf(lines[i], "elements %" G_GINT64_FORMAT, &profile->elements) != 1 &&
                 sscanf(lines[i], "update %lf", &profile->update_ms) != 1 && lines[i][0] != '\0')
            return program_fail(error, "%s, line %zu: \"%s\" is not understood", path, i + 1, lines[i]);
    }
    double all = profile->update_ms;
    for (size_t i = 0; i < profile->events->len; i++) all += g_array_index(profile->events, event_t, i).ms;
    const double scale = idle ? 0 : step_ms > 0 ? step_ms / all : 1;
    for (size_t i = 0; i < profile->events->len; i++) g_array_index(profile->events, event_t, i).ms *= scale;
    profile->update_ms *= scale;
    if (profile->elements > 0 && profile->events->len > 0) return TRUE;
    return program_fail(error, "%s has no lines \"elements\" and \"gradient\"", path);
}

static void compute(double ms) {
    if (ms > 0) machine_compute(ms / 1e3);
}

/* The part of an update that is this rank's. */
static double share(exchange_t *exchange, int64_t elements) {
    size_t n, sum = 0;
    const exchange_slice_t *slices = exchange_slices(exchange, &n);
    for (size_t i = 0; i < n; i++) sum += slices[i].count;
    return (double)sum / (double)elements;
}

/* Returns the seconds of waiting. A step's losses, as trainer/train.c sums them, are some ninety bytes. */
static double play_step(const profile_t *profile, exchange_t *exchange) {
    double sums[12] = {0};
    for (size_t i = 0; i < profile->events->len; i++) {
        const event_t *event = &g_array_index(profile->events, event_t, i);
        compute(event->ms);
        if (event->count > 0)
            exchange_ready(exchange, (size_t)event->first, (size_t)event->count);
        else
            exchange_progress(exchange);
    }
    const double start = machine_seconds();
    exchange_add_doubles(exchange, sums, G_N_ELEMENTS(sums));
    machine_waits(1);
    exchange_finish(exchange);
    machine_waits(0);
    const double waited = machine_seconds() - start;
    compute(profile->update_ms * share(exchange, profile->elements));
    exchange_updated(exchange);
    return waited;
}

/* Hosts become one, as in trainer/sync.c: both moments and the weights. What they do with these sums goes
 * over three times the memory of an update. Returns the seconds of waiting. */
static double play_sync(const profile_t *profile, exchange_t *exchange) {
    double waited = 0;
    for (int block = 0; block < 3; block++) {
        const double start = machine_seconds();
        machine_waits(1);
        exchange_sum_hosts(exchange, block == 2);
        machine_waits(0);
        waited += machine_seconds() - start;
        compute(profile->update_ms * share(exchange, profile->elements));
    }
    return waited;
}

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static gboolean run(const char *path, GError **error) {
    profile_t profile = {0};
    if (costs && !machine_costs(costs)) return program_fail(error, "--costs %s is not understood", costs);
    if (!read_profile(path, &profile, error)) return FALSE;
    const exchange_config_t config = {.n = (size_t)profile.elements,
                                      .bucket_bytes = (size_t)bucket_kib << 10,
                                      .wire = bf16 ? WIRE_BF16 : WIRE_FLOAT,
                                      .local_steps = sync_every,
                                      .alone = alone || comm_node_size() == 1};
    exchange_t *exchange = exchange_new(&config, error);
    if (!exchange) return FALSE;
    double *ms = g_new0(double, steps), *waited = g_new0(double, steps);
    for (int i = -warm_up; i < steps; i++) {
        comm_any(FALSE);
        machine_begins();
        const double start = machine_seconds();
        double wait = 0;
        const int together = MAX(sync_every, 1);
        for (int k = 0; k < together; k++) wait += play_step(&profile, exchange);
        if (sync_every > 0) wait += play_sync(&profile, exchange);
        if (i < 0) continue;
        ms[i] = (machine_seconds() - start) * 1e3 / together;
        waited[i] = wait * 1e3 / together;
    }
    qsort(ms, (size_t)steps, sizeof *ms, compare);
    qsort(waited, (size_t)steps, sizeof *waited, compare);
    if (comm_rank() == 0)
        printf("ranks %d step %.3f least %.3f wait %.3f\n", comm_size(), ms[steps / 2], ms[0],
               waited[steps / 2]);
    exchange_free(exchange);
    g_free(ms);
    g_free(waited);
    g_array_unref(profile.events);
    return TRUE;
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    if (comm_init(&argc, &argv, &error)) {
        g_autoptr(GOptionContext) context = g_option_context_new("PROFILE");
        g_option_context_add_main_entries(context, entries, NULL);
        if (g_option_context_parse(context, &argc, &argv, &error) && argc == 2) run(argv[1], &error);
    }
    if (error && comm_rank() == 0) fprintf(stderr, "play: %s\n", error->message);
    comm_finalize();
    return error != NULL;
}
