/* bench_exchange [ROUNDS [BUCKET_KIB]]: times sums of gradients of 18 MB and of 9.6 MB over ranks, this
 * program's exchange (in floats and in bfloat16) and MPI_Allreduce taking turns; with two ranks the bytes
 * alone, too: each sends the other as many as the floats have, and adds nothing. Not a test: run it under
 * mpirun; --alone makes a host of each rank. Prints medians of milliseconds of the slowest rank. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/parallel/exchange.h"

typedef enum { BYTES, ALLREDUCE, EXCHANGE, EXCHANGE_BF16, WAYS } way_t;
static const char *const names[WAYS] = {"the bytes alone", "MPI_Allreduce", "exchange", "exchange, bf16"};

enum { MESSAGE = COMM_EAGER_BYTES / sizeof(float), MOST_MESSAGES = 64 };

static int compare(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Between two ranks, in messages as long as the exchange's. plain [2, n]: what goes and what comes. */
static void move_bytes(float *plain, size_t n) {
    MPI_Request requests[2 * MOST_MESSAGES];
    int count = 0;
    for (size_t done = 0; done < n && count < 2 * MOST_MESSAGES; done += MESSAGE) {
        const int taken = (int)MIN(MESSAGE, n - done), other = 1 - comm_rank();
        MPI_Irecv(plain + n + done, taken, MPI_FLOAT, other, 0, MPI_COMM_WORLD, &requests[count++]);
        MPI_Isend(plain + done, taken, MPI_FLOAT, other, 0, MPI_COMM_WORLD, &requests[count++]);
    }
    MPI_Waitall(count, requests, MPI_STATUSES_IGNORE);
}

static void sum(way_t way, exchange_t *exchange, float *plain, size_t n, size_t bucket_bytes) {
    if (way == BYTES) {
        move_bytes(plain, n);
    } else if (exchange) {
        exchange_ready(exchange, 0, n);
        exchange_finish(exchange);
        exchange_updated(exchange);
    } else {
        for (size_t done = 0; done < n; done += bucket_bytes / sizeof *plain)
            MPI_Allreduce(MPI_IN_PLACE, plain + done, (int)MIN(bucket_bytes / sizeof *plain, n - done),
                          MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    }
}

/* Milliseconds of the slowest rank. What was computed before a sum is in caches, as after a backward pass. */
static double time_sum(way_t way, exchange_t *exchange, float *plain, size_t n, size_t bucket_bytes) {
    memset(exchange ? exchange_gradient(exchange, 0) : plain, 0, n * sizeof *plain);
    comm_any(FALSE);
    const gint64 start = g_get_monotonic_time();
    sum(way, exchange, plain, n, bucket_bytes);
    return (double)comm_max(g_get_monotonic_time() - start) / 1e3;
}

static void measure(size_t n, int rounds, size_t bucket_bytes, gboolean alone) {
    exchange_t *exchanges[WAYS] = {NULL};
    for (way_t way = EXCHANGE; way < WAYS; way++) {
        const exchange_config_t config = {.n = n,
                                          .bucket_bytes = bucket_bytes,
                                          .wire = way == EXCHANGE_BF16 ? WIRE_BF16 : WIRE_FLOAT,
                                          .alone = alone};
        exchanges[way] = exchange_new(&config, NULL);
    }
    const way_t first = comm_size() == 2 && n <= MOST_MESSAGES * MESSAGE ? BYTES : ALLREDUCE;
    g_autofree float *plain = g_new0(float, 2 * n);
    g_autofree double *ms = g_new(double, WAYS *rounds);
    for (int round = -2; round < rounds; round++)
        for (way_t way = first; way < WAYS; way++) {
            const double taken = time_sum(way, exchanges[way], plain, n, bucket_bytes);
            if (round >= 0) ms[(int)way * rounds + round] = taken;
        }
    if (comm_rank() == 0) printf("%.1f MB, %s\n", (double)n * 4e-6, exchange_describe(exchanges[EXCHANGE]));
    for (way_t way = first; way < WAYS; way++) {
        double *of_way = ms + (size_t)way * (size_t)rounds;
        qsort(of_way, (size_t)rounds, sizeof *of_way, compare);
        if (comm_rank() == 0)
            printf("  %-16s %8.2f ms (%.2f at best)\n", names[way], of_way[rounds / 2], of_way[0]);
        exchange_free(exchanges[way]);
    }
}

int main(int argc, char **argv) {
    if (!comm_init(&argc, &argv, NULL)) g_error("one rank alone");
    gboolean alone = argc > 1 && strcmp(argv[1], "--alone") == 0;
    argv += alone;
    argc -= alone;
    const int rounds = argc > 1 ? atoi(argv[1]) : 41;
    const size_t bucket_bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 4096) << 10;
    measure(4500000, rounds, bucket_bytes, alone);
    measure(2400000, rounds, bucket_bytes, alone);
    comm_finalize();
    return 0;
}
