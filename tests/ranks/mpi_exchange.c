/* mpi_exchange [--grains G] [--alone] [--ranks-a-host R] [--bf16] [--too-little]: what
 * tests/ranks/exchange.sh runs under mpirun: sums of gradients of odd sizes, said to be final in several
 * orders, against plain sums. Prints a checksum of all sums, which with grains must not depend on the ranks.
 * --too-little asks for more than 20 MiB of shared memory, which this host should not have. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/parallel/exchange.h"
#include "trainer/parallel/watch.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition) && failures++ < 10)                                                                 \
            fprintf(stderr, "rank %d: %s:%d: not true: %s\n", comm_rank(), __FILE__, __LINE__, #condition);  \
    } while (0)

enum { MANY_BLOCKS = 6000 }; /* a page each at least */

static int failures;
static exchange_config_t asked = {.bucket_bytes = 1 << 16, .blocks = 2};

/* In which order elements are said to be final. */
typedef enum { AT_THE_END, AT_ONCE, FORWARD, BACKWARD, SHUFFLED, ORDERS } order_t;

static uint32_t mix(uint64_t x) {
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9U;
    return (uint32_t)(x >> 32);
}

/* Element i of the gradient of a grain, in [-1, 1), unlike in each step. */
static float element(size_t grain, size_t i, int step) {
    return (float)mix((uint64_t)step << 50 | (uint64_t)grain << 36 | i) * 0x1p-31F - 1;
}

/* The sum over grains [first, end) as the tree has it: split where the largest power of two ends. */
static float tree_sum(size_t first, size_t end, size_t i, int step) {
    if (end - first == 1) return element(first, i, step);
    size_t half = 1;
    while (2 * half < end - first) half *= 2;
    return tree_sum(first, first + half, i, step) + tree_sum(first + half, end, i, step);
}

static double plain_sum(size_t grains, size_t i, int step) {
    double sum = 0;
    for (size_t g = 0; g < grains; g++) sum += (double)element(g, i, step);
    return sum;
}

static size_t all_grains(void) { return (size_t)(asked.grains > 0 ? asked.grains : comm_size()); }

static void write_gradient(exchange_t *exchange, size_t n, int step) {
    for (size_t node = 0; node < exchange_nodes(exchange); node++) {
        size_t first, count;
        exchange_node_grains(exchange, node, &first, &count);
        float *gradient = exchange_gradient(exchange, node);
        for (size_t i = 0; i < n; i++) gradient[i] = tree_sum(first, first + count, i, step);
    }
}

/* Ranges of `width` elements, of which 7 and their number have no common divisor, so that all come. */
static void say_final(exchange_t *exchange, size_t n, order_t order) {
    const size_t width = 1008;
    size_t ranges = (n + width - 1) / width, stride = 7;
    if (order == AT_ONCE) exchange_ready(exchange, 0, n);
    if (order == AT_THE_END || order == AT_ONCE) return;
    while (ranges % stride == 0) stride += 2;
    for (size_t k = 0; k < ranges; k++) {
        const size_t range = order == FORWARD    ? k
                             : order == BACKWARD ? ranges - 1 - k
                                                 : (k * stride + 3) % ranges;
        exchange_ready(exchange, range * width, MIN(width, n - range * width));
        if (mix(k + (size_t)comm_rank()) % 4 == 0) exchange_progress(exchange);
        if (mix(k * 77 + (size_t)comm_rank()) % 64 == 0) g_usleep(200); /* ranks are not in step */
    }
}

static uint32_t checksum(uint32_t hash, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        hash = (hash ^ bits) * 16777619U;
    }
    return hash;
}

/* What the ranks of the host have written to the block after a step is the sum of all gradients. */
static void check_sums(const float *sums, size_t n, int step, double norm) {
    double squares = 0;
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        const double plain = plain_sum(all_grains(), i, step),
                     bound = (asked.wire == WIRE_BF16 ? 0x1p-6 : 0x1p-22) * (double)all_grains();
        if (!(fabs((double)sums[i] - plain) <= bound)) wrong++;
        if (asked.grains > 0 && asked.wire == WIRE_FLOAT)
            wrong += sums[i] != tree_sum(0, all_grains(), i, step) ? 1 : 0;
        squares += (double)sums[i] * (double)sums[i];
    }
    CHECK(wrong == 0);
    CHECK(fabs(norm - squares) <= 1e-12 * squares);
}

/* Writes this rank's slices of the sums to the block that the host shares. */
static void update(const exchange_t *exchange, float *block) {
    size_t slices;
    const exchange_slice_t *slice = exchange_slices(exchange, &slices);
    for (size_t k = 0; k < slices; k++) {
        CHECK(k == 0 || slice[k].first >= slice[k - 1].first + slice[k - 1].count);
        memcpy(block + slice[k].first, slice[k].sum, slice[k].count * sizeof *block);
    }
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static exchange_t *open_exchange(size_t n) {
    GError *error = NULL;
    exchange_config_t config = asked;
    config.n = n;
    exchange_t *exchange = exchange_new(&config, &error);
    if (!exchange) g_error("%s", error->message);
    CHECK(exchange_fell_back(exchange) == (asked.blocks == MANY_BLOCKS));
    return exchange;
}

/* Of several buckets one at least was under way while ranks went on, as these are not in step. */
static void check_hidden(gboolean several) {
    watch_times_t times;
    watch_take_times(&times);
    const int64_t hidden_us = comm_max((int64_t)(times.hidden * G_USEC_PER_SEC));
    if (comm_size() == 1) CHECK(hidden_us == 0);
    if (comm_size() > 1 && several) CHECK(hidden_us > 0);
}

/* Returns a checksum of all sums. */
static uint32_t test_sums(size_t n, size_t bucket_bytes) {
    uint32_t hash = 2166136261U;
    asked.bucket_bytes = bucket_bytes;
    exchange_t *exchange = open_exchange(n);
    float *zero = exchange_shared_block(exchange), *block = exchange_shared_block(exchange);
    for (int step = 0; step < ORDERS + 1; step++) {
        write_gradient(exchange, n, step);
        say_final(exchange, n, (order_t)(step % ORDERS));
        double sums[2] = {1, comm_rank()};
        if (step % 2 == 0) exchange_add_doubles(exchange, sums, 2);
        const double norm = exchange_finish(exchange);
        if (step % 2 == 0) CHECK(sums[0] == comm_size() && sums[1] == comm_size() * (comm_size() - 1) / 2.0);
        update(exchange, block);
        exchange_updated(exchange);
        check_sums(block, n, step, norm);
        hash = checksum(hash, block, n);
        CHECK(comm_same(checksum(0, block, n)) && comm_same(bits_of(norm)));
    }
    for (size_t i = 0; i < n; i++) CHECK(zero[i] == 0);
    CHECK(exchange_counts(exchange).steps == ORDERS + 1);
    CHECK((exchange_hosts(exchange) > 1 && n > 4096) ==
          (comm_max((int64_t)exchange_counts(exchange).sent_bytes) > 0 && n > 4096));
    exchange_free(exchange);
    check_hidden(n > 100000);
    return hash;
}

/* What one rank cannot compute reaches all. */
static void test_not_finite(void) {
    const size_t n = 40000;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    exchange_t *exchange = open_exchange(n);
    float *block = exchange_shared_block(exchange);
    for (size_t k = 0; k < G_N_ELEMENTS(bad); k++) {
        write_gradient(exchange, n, 0);
        if (comm_rank() == comm_size() - 1) exchange_gradient(exchange, 0)[n - 1 - 16384 * k / 2] = bad[k];
        const double norm = exchange_finish(exchange);
        CHECK(!isfinite(norm) && comm_same(bits_of(norm)));
        update(exchange, block);
        exchange_updated(exchange);
        for (size_t i = 0; i < n; i++) CHECK(isfinite(block[i]) == (i != n - 1 - 16384 * k / 2));
        const float seen = block[n - 1 - 16384 * k / 2];
        CHECK(isnan(bad[k]) ? isnan(seen) : seen == bad[k]);
    }
    exchange_free(exchange);
}

/* What bfloat16 leaves out of a step comes with later ones: over many steps nothing is lost. */
static void test_feedback(void) {
    enum { STEPS = 100 };
    const size_t n = 20000;
    exchange_t *exchange = open_exchange(n);
    float *block = exchange_shared_block(exchange);
    g_autofree double *total = g_new0(double, n);
    for (int step = 0; step < STEPS; step++) {
        write_gradient(exchange, n, 0);
        exchange_ready(exchange, 0, n);
        exchange_finish(exchange);
        update(exchange, block);
        exchange_updated(exchange);
        for (size_t i = 0; i < n; i++) total[i] += (double)block[i];
        CHECK(comm_same(checksum(0, block, n)));
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(total[i] - STEPS * plain_sum(all_grains(), i, 0)));
    CHECK(worst <= 0x1p-6 * (double)all_grains()); /* as of one step */
    exchange_free(exchange);
}

static void test_refusal(void) {
    GError *error = NULL;
    const exchange_config_t config = {
        .n = 10, .bucket_bytes = 4096, .grains = MAX(1, comm_size() - 1), .alone = asked.alone};
    exchange_t *exchange = exchange_new(&config, &error);
    CHECK((exchange == NULL) == (comm_size() > 1));
    CHECK(exchange || (error && strstr(error->message, "grains")));
    g_clear_error(&error);
    exchange_free(exchange);
}

/* A step that is given up in its middle on some ranks. */
static void test_given_up(void) {
    exchange_t *exchange = open_exchange(30000);
    if (comm_rank() % 2 == 0) exchange_ready(exchange, 0, 20000);
    exchange_free(exchange);
}

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--alone") == 0) asked.alone = TRUE;
        if (strcmp(argv[i], "--bf16") == 0) asked.wire = WIRE_BF16;
        if (strcmp(argv[i], "--too-little") == 0) asked.blocks = MANY_BLOCKS;
        if (strcmp(argv[i], "--grains") == 0) asked.grains = atoi(argv[++i]);
        if (strcmp(argv[i], "--ranks-a-host") == 0) asked.ranks_a_host = atoi(argv[++i]);
    }
}

int main(int argc, char **argv) {
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    read_arguments(argc, argv);
    static const size_t sizes[] = {1, 17, 4096, 4097, 100003};
    uint32_t hash = 0;
    for (size_t k = 0; k < (asked.blocks == MANY_BLOCKS ? 3 : G_N_ELEMENTS(sizes)); k++) {
        hash = hash * 31 + test_sums(sizes[k], 4);
        hash = hash * 31 + test_sums(sizes[k], 100000);
    }
    test_not_finite();
    test_feedback();
    test_refusal();
    test_given_up();
    exchange_t *exchange = open_exchange(1);
    const int hosts = exchange_hosts(exchange);
    if (comm_rank() == 0) printf("checksum %08x\nhosts %d\n%s\n", hash, hosts, exchange_describe(exchange));
    exchange_free(exchange);
    const gboolean passed = !comm_any(failures > 0);
    comm_finalize();
    return passed ? 0 : 1;
}
