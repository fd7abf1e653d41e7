/* replicas: owns the checksum of weights, and who is named where they differ: the majority is right. */
#include "trainer/run/replicas.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"

enum { LANES = 8 };

/* FNV-1a (Fowler, Noll & Vo 1991) over 32-bit words in several lanes, which a processor works on side by
 * side, and then over the lanes: no guard against malice, but as fast as memory. */
#define FNV_START  0xcbf29ce484222325
#define FNV_FACTOR 0x100000001b3

uint64_t replicas_sum(const real_t *values, size_t n, gboolean *finite) {
    uint64_t lanes[LANES], sum = FNV_START;
    uint32_t word, infinite = 0;
    G_STATIC_ASSERT(sizeof word == sizeof *values);
    for (size_t j = 0; j < LANES; j++) lanes[j] = FNV_START + j;
    for (size_t i = 0; i < n; i++) {
        memcpy(&word, &values[i], sizeof word);
        lanes[i % LANES] = (lanes[i % LANES] ^ word) * FNV_FACTOR;
        infinite |= (word & 0x7f800000) == 0x7f800000; /* the exponent of infinity and NaN */
    }
    for (size_t j = 0; j < LANES; j++) sum = (sum ^ lanes[j]) * FNV_FACTOR;
    *finite = !infinite;
    return MAX(sum, 1); /* 0 is no replica */
}

size_t replicas_find_wrong(const uint64_t *sums, size_t n, gboolean *wrong) {
    size_t replicas = 0, found = 0;
    uint64_t right = 0;
    for (size_t i = 0; i < n; i++) replicas += sums[i] != 0;
    for (size_t i = 0; i < n && !right; i++) {
        size_t same = 0;
        for (size_t j = 0; j < n; j++) same += sums[j] == sums[i];
        if (sums[i] != 0 && 2 * same > replicas) right = sums[i];
    }
    for (size_t i = 0; i < n; i++) found += (size_t)(wrong[i] = sums[i] != 0 && sums[i] != right);
    return found;
}

/* Sets the error that names the n wrong ones. Collective. */
static void fail_differ(const run_state_t *state, const char *run, const gboolean *wrong, size_t n,
                        GError **error) {
    g_autofree char *hosts = comm_hosts_where(wrong[comm_rank()]);
    g_autoptr(GString) ranks = g_string_new(NULL);
    const gboolean known = comm_any(state->fills && !wrong[comm_rank()]); /* which are right */
    for (int rank = 0; rank < comm_size(); rank++)
        if (wrong[rank]) g_string_append_printf(ranks, "%s%d", ranks->len ? ", " : "", rank);
    program_fail(
        error,
        "step %" G_GINT64_FORMAT ": the ranks' weights differ, though they should be replicas: %s %s "
        "(on %s) %s: memory, BLAS or MPI computes wrongly %s; the checkpoints in %s are from before: "
        "go on with --resume auto %s",
        state->checkpoint.step, n == 1 ? "rank" : "ranks", ranks->str, hosts,
        known    ? n == 1 ? "is not like the others" : "are not like the others"
        : n == 2 ? "are unlike each other, and which is right cannot be told"
                 : "are unlike each other, and which are right cannot be told",
        known ? "there" : "on some of these hosts", run, known ? "without that host" : "on other hosts");
}

gboolean replicas_check(const run_state_t *state, const char *run, GError **error) {
    gboolean finite = TRUE;
    const size_t n = (size_t)comm_size();
    const uint64_t sum =
        state->fills ? replicas_sum(model_params(state->model), model_size(state->model), &finite) : 0;
    if (comm_any(!finite))
        return program_fail(error,
                            "step %" G_GINT64_FORMAT
                            ": the weights are not finite; lower --learning-rate or set "
                            "--clip; the checkpoints in %s are from before",
                            state->checkpoint.step, run);
    g_autofree uint64_t *sums = g_new(uint64_t, n);
    g_autofree gboolean *wrong = g_new(gboolean, n);
    comm_gather(&sum, sizeof sum, sums);
    const size_t found = replicas_find_wrong(sums, n, wrong);
    if (found > 0) fail_differ(state, run, wrong, found, error);
    return found == 0;
}
