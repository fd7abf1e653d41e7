/* mpi_sync [--alone] [--ranks-a-host R] [--bf16]: what tests/ranks/sync.sh runs under mpirun: steps of hosts
 * by themselves and sync points, against a twin that plays all hosts one after the other, in plain sums. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/sync.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition) && failures++ < 10)                                                                 \
            fprintf(stderr, "rank %d: %s:%d: not true: %s\n", comm_rank(), __FILE__, __LINE__, #condition);  \
    } while (0)

enum { STEPS = 9, MAX_HOSTS = 8 };
/* Sync points are after these steps: at equal distances, early, and one right after the other. */
static const gboolean meets[STEPS] = {FALSE, FALSE, TRUE, FALSE, TRUE, TRUE, FALSE, FALSE, TRUE};
static const double rates[STEPS] = {0.01, 0.02, 0.01, 0.005, 0.01, 0.02, 0.01, 0.01, 0.01};

static const model_config_t size = {.kind = MODEL_DENSE,
                                    .window = 6,
                                    .tracks = 1,
                                    .planes = 1,
                                    .pitches = 88,
                                    .hidden = {16},
                                    .n_hidden = 1,
                                    .latent = 3};
static const optimizer_config_t adam = {.learning_rate = 0.01,
                                        .beta1 = 0.9,
                                        .beta2 = 0.99,
                                        .epsilon = 1e-8,
                                        .weight_decay = 0.1,
                                        .clip_norm = 20,
                                        .average = 0.9,
                                        .outer = TRUE};

static int failures;
static exchange_config_t asked = {.bucket_bytes = 1 << 15, .blocks = 6, .local_steps = 3};

/* Element i of the gradient of a rank's sample. */
static real_t element(int rank, size_t i, int step) {
    uint64_t x = ((uint64_t)step << 40 | (uint64_t)rank << 30 | i) * 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9U;
    return (real_t)(uint32_t)(x >> 32) * 0x1p-31F - 0.9F;
}

static int ranks_a_host(void) {
    return asked.alone ? 1 : asked.ranks_a_host > 0 ? asked.ranks_a_host : comm_size();
}

/* Which ranks a host of the twin has. */
static int first_rank(int host) { return host * ranks_a_host(); }
static int end_rank(int host) { return MIN(first_rank(host + 1), comm_size()); }
static int hosts(void) { return (comm_size() + ranks_a_host() - 1) / ranks_a_host(); }

/* ---- the twin ---- */

typedef struct {
    size_t n;
    model_t *models[MAX_HOSTS];
    optimizer_t *optimizers[MAX_HOSTS];
    double *synced, *momentum, *average, kept;
    int64_t averaged;
} twin_t;

static void twin_init(twin_t *twin) {
    for (int h = 0; h < hosts(); h++) {
        optimizer_config_t config = adam;
        config.average = 0;
        config.outer = FALSE;
        twin->models[h] = model_new(&size, 1, 0, NULL);
        model_init(twin->models[h], 7);
        twin->n = model_size(twin->models[h]);
        twin->optimizers[h] = optimizer_new(&config, twin->n);
    }
    twin->synced = g_new0(double, twin->n);
    twin->momentum = g_new0(double, twin->n);
    twin->average = g_new0(double, twin->n);
    twin->kept = 1;
    for (size_t i = 0; i < twin->n; i++) twin->synced[i] = (double)model_params(twin->models[0])[i];
}

static void twin_clear(twin_t *twin) {
    for (int h = 0; h < hosts(); h++) {
        model_free(twin->models[h]);
        optimizer_free(twin->optimizers[h]);
    }
    g_free(twin->synced);
    g_free(twin->momentum);
    g_free(twin->average);
}

/* Each host takes a step by the mean over its ranks. Returns the norm of a host's gradient. */
static double twin_step(twin_t *twin, int step, int own_host) {
    double own_norm = 0;
    for (int h = 0; h < hosts(); h++) {
        real_t *gradient = model_gradient(twin->models[h]);
        for (size_t i = 0; i < twin->n; i++) {
            gradient[i] = 0;
            for (int r = first_rank(h); r < end_rank(h); r++)
                gradient[i] += element(r, i, step) / (real_t)(end_rank(h) - first_rank(h));
        }
        const double norm = optimizer_step(twin->optimizers[h], twin->models[h], rates[step]);
        if (h == own_host) own_norm = norm;
    }
    const double before = (double)twin->averaged++;
    twin->kept *= before > 0 ? fmin(adam.average, (1 + before) / (10 + before)) : 0;
    return own_norm;
}

/* Replaces blocks [hosts] by their mean, each host by the share of its ranks. */
static void twin_mean(const twin_t *twin, real_t *const *blocks) {
    for (size_t i = 0; i < twin->n; i++) {
        double mean = 0;
        for (int h = 0; h < hosts(); h++)
            mean += (double)blocks[h][i] * (end_rank(h) - first_rank(h)) / comm_size();
        for (int h = 0; h < hosts(); h++) blocks[h][i] = (real_t)mean;
    }
}

static void twin_meet(twin_t *twin) {
    real_t *weights[MAX_HOSTS], *m[MAX_HOSTS], *v[MAX_HOSTS];
    for (int h = 0; h < hosts(); h++) {
        weights[h] = model_params(twin->models[h]);
        m[h] = twin->optimizers[h]->m;
        v[h] = twin->optimizers[h]->v;
    }
    twin_mean(twin, weights);
    twin_mean(twin, m);
    twin_mean(twin, v);
    for (size_t i = 0; i < twin->n; i++) {
        const double change = twin->synced[i] - (double)weights[0][i];
        twin->momentum[i] = 0.9 * twin->momentum[i] + change;
        twin->synced[i] -= 0.7 * (change + 0.9 * twin->momentum[i]);
        twin->average[i] = twin->kept * twin->average[i] + (1 - twin->kept) * twin->synced[i];
        for (int h = 0; h < hosts(); h++) weights[h][i] = (real_t)twin->synced[i];
    }
    twin->kept = 1;
}

/* ---- the trainer's own ---- */

static void check_near(const char *what, const real_t *ours, const real_t *theirs, const double *doubles,
                       size_t n, double tolerance) {
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)ours[i] - (doubles ? doubles[i] : (double)theirs[i])));
    if (!(worst <= tolerance)) fprintf(stderr, "%s: off by %g\n", what, worst);
    CHECK(worst <= tolerance);
}

static uint64_t checksum(const real_t *values, size_t n) {
    uint64_t sum = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        sum = (sum ^ bits) * 0x100000001b3;
    }
    return sum;
}

static void step(sync_t *sync, exchange_t *exchange, int number, double wanted_norm) {
    real_t *gradient = exchange_gradient(exchange, 0);
    optimizer_t *optimizer = sync->state->optimizer;
    const int ranks = exchange_host_size(exchange);
    for (size_t i = 0; i < optimizer->n; i++) gradient[i] = element(comm_rank(), i, number) / (real_t)ranks;
    sync->steps++;
    sync->own += ranks;
    sync->all += comm_size();
    exchange_ready(exchange, 0, optimizer->n);
    const double norm = sqrt(exchange_finish(exchange));
    CHECK(fabs(norm - wanted_norm) <= 1e-5 * wanted_norm);
    CHECK(optimizer_begin(optimizer, norm, rates[number]));
    size_t n;
    const exchange_slice_t *slices = exchange_slices(exchange, &n);
    for (size_t i = 0; i < n; i++)
        optimizer_update(optimizer, sync->state->model, slices[i].first, slices[i].count, slices[i].sum);
    exchange_updated(exchange);
}

static void check_same(const sync_t *sync) {
    const optimizer_t *optimizer = sync->state->optimizer;
    const real_t *const blocks[] = {model_params(sync->state->model),
                                    optimizer->m,
                                    optimizer->v,
                                    optimizer->average,
                                    optimizer->momentum,
                                    sync->synced};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) CHECK(comm_same(checksum(blocks[i], optimizer->n)));
    CHECK(memcmp(sync->synced, model_params(sync->state->model), optimizer->n * sizeof(real_t)) == 0);
}

static void play(sync_t *sync, exchange_t *exchange) {
    twin_t twin = {0};
    const int host = comm_rank() / ranks_a_host();
    const optimizer_t *optimizer = sync->state->optimizer;
    const double near = asked.wire == WIRE_BF16 ? 2e-3 : 2e-6; /* of weights, which are about 0.1 */
    twin_init(&twin);
    CHECK(twin.n == optimizer->n);
    for (int number = 0; number < STEPS; number++) {
        const uint64_t sent = exchange_counts(exchange).sent_bytes;
        const double norm = twin_step(&twin, number, host);
        step(sync, exchange, number, norm);
        CHECK(exchange_counts(exchange).sent_bytes == sent);
        const real_t *params = model_params(sync->state->model);
        check_near("weights of a host", params, model_params(twin.models[host]), NULL, twin.n, near);
        CHECK(comm_same(checksum(params, twin.n)) == (hosts() == 1));
        if (!meets[number]) continue;
        sync_hosts(sync);
        twin_meet(&twin);
        check_near("weights", params, NULL, twin.synced, twin.n, near);
        check_near("m", optimizer->m, twin.optimizers[0]->m, NULL, twin.n, 10 * near);
        check_near("v", optimizer->v, twin.optimizers[0]->v, NULL, twin.n, 10 * near);
        check_near("average", optimizer->average, NULL, twin.average, twin.n, near);
        check_near("momentum", optimizer->momentum, NULL, twin.momentum, twin.n, near);
        check_same(sync);
        CHECK(comm_any(exchange_counts(exchange).sent_bytes > sent) == (hosts() > 1));
    }
    CHECK(optimizer->outer_steps == 4 && optimizer->averaged == STEPS);
    twin_clear(&twin);
}

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--alone") == 0) asked.alone = TRUE;
        if (strcmp(argv[i], "--bf16") == 0) asked.wire = WIRE_BF16;
        if (strcmp(argv[i], "--ranks-a-host") == 0) asked.ranks_a_host = atoi(argv[++i]);
    }
}

int main(int argc, char **argv) {
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    read_arguments(argc, argv);
    asked.n = model_elements(&size, &error);
    exchange_t *exchange = exchange_new(&asked, &error);
    if (!exchange) g_error("%s", error->message);
    real_t *blocks[6];
    for (int i = 0; i < 6; i++) blocks[i] = exchange_shared_block(exchange);
    const optimizer_memory_t memory = {
        .m = blocks[1], .v = blocks[2], .average = blocks[3], .momentum = blocks[4]};
    run_state_t state = {.fills = exchange_host_index(exchange) == 0};
    state.model = model_new_in(&size, 1, 0, blocks[0], exchange_gradient(exchange, 0), &error);
    state.optimizer = optimizer_new_in(&adam, model_size(state.model), &memory);
    if (state.fills) model_init(state.model, 7);
    comm_node_barrier();
    sync_t sync;
    sync_begin(&sync, exchange, &state, blocks[5]);
    CHECK(exchange_hosts(exchange) == hosts());
    play(&sync, exchange);
    optimizer_free(state.optimizer);
    model_free(state.model);
    exchange_free(exchange);
    const gboolean passed = !comm_any(failures > 0);
    comm_finalize();
    return passed ? 0 : 1;
}
