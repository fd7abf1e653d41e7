/* What tests/ranks/comm.sh runs under mpirun: each case exercises comm on all ranks and returns 0 where every
 * rank saw what it should. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/parallel/comm.h"
#include "trainer/parallel/threads.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "rank %d: %s:%d: not true: %s\n", comm_rank(), __FILE__, __LINE__, #condition);  \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

static int failures;

/* Sums whose exact value is known, the same bits on all ranks where rounding is not exact, and NaN. */
static void test_sums(void) {
    const int size = comm_size();
    double doubles[4] = {1, comm_rank(), 1.0 / (3 + 7 * comm_rank()), comm_rank() == size - 1 ? NAN : 1};
    comm_sum_doubles(doubles, 4);
    CHECK(doubles[0] == size && doubles[1] == size * (size - 1) / 2.0);
    uint64_t bits;
    memcpy(&bits, &doubles[2], sizeof bits);
    CHECK(comm_same(bits));
    CHECK(isnan(doubles[3]));
}

static void test_agreement(void) {
    int last = comm_size() - 1;
    CHECK(!comm_any(FALSE) && comm_any(TRUE));
    CHECK(comm_any(comm_rank() == last));
    CHECK(comm_max(comm_rank()) == last);
    CHECK(comm_max(-comm_rank()) == 0);
    CHECK(comm_same(42) && comm_same(0) && comm_same(G_MAXUINT64));
    CHECK(comm_size() == 1 || !comm_same(comm_rank() == last ? 41 : 42));

    GError *local = NULL, *error = NULL;
    CHECK(comm_agree(NULL, &error) && !error);
    if (comm_rank() == last) g_set_error(&local, G_FILE_ERROR, G_FILE_ERROR_NOENT, "lost.h5: no such file");
    CHECK(!comm_agree(local, &error));
    CHECK(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    CHECK(error && g_str_has_suffix(error->message, "lost.h5: no such file"));
    g_autofree char *culprit = g_strdup_printf("rank %d of %d on ", last, comm_size());
    CHECK(error && (comm_size() == 1 || g_str_has_prefix(error->message, culprit)));
    g_clear_error(&error);
    local = NULL;
    g_set_error(&local, G_FILE_ERROR, G_FILE_ERROR_EXIST, "the same everywhere");
    CHECK(!comm_agree(local, &error));
    CHECK(error && strcmp(error->message, "the same everywhere") == 0);
    g_clear_error(&error);
    local = NULL;
    g_set_error(&local, G_FILE_ERROR, G_FILE_ERROR_EXIST, "of rank %d", comm_rank());
    CHECK(!comm_agree(local, &error));
    CHECK(error && g_str_has_suffix(error->message, "of rank 0"));
    g_clear_error(&error);
}

static void test_broadcast(void) {
    enum { N = 100003 };
    g_autofree uint8_t *bytes = g_malloc(N);
    for (int i = 0; i < N; i++) bytes[i] = comm_rank() == 0 ? (uint8_t)(i * 7) : 0;
    comm_broadcast(bytes, N);
    int wrong = 0;
    for (int i = 0; i < N; i++) wrong += bytes[i] != (uint8_t)(i * 7);
    CHECK(wrong == 0);
    comm_broadcast(bytes, 0);
    for (int i = 0; i < N; i++) bytes[i] = comm_rank() == 0 ? (uint8_t)(i * 5) : 1;
    const gboolean receives = comm_rank() % 2 == 0;
    comm_broadcast_to(bytes, N, receives);
    wrong = 0;
    for (int i = 0; i < N; i++) wrong += bytes[i] != (receives ? (uint8_t)(i * 5) : 1);
    CHECK(wrong == 0);
}

static void test_shared(void) {
    enum { N = 50000 };
    GError *error = NULL;
    int *first = comm_shared_alloc(N * sizeof *first, &error);
    int *second = comm_shared_alloc(sizeof *second, &error);
    CHECK(first && second && !error);
    if (!first || !second) return;
    int wrong = 0;
    for (int i = 0; i < N; i++) wrong += first[i] != 0;
    CHECK(wrong == 0);
    comm_node_barrier();
    if (comm_node_rank() == 0)
        for (int i = 0; i < N; i++) first[i] = i;
    comm_node_barrier();
    for (int i = 0; i < N; i++) wrong += first[i] != i;
    CHECK(wrong == 0);
    g_atomic_int_add(second, comm_node_rank() + 1);
    comm_node_barrier();
    CHECK(g_atomic_int_get(second) == comm_node_size() * (comm_node_size() + 1) / 2);
    comm_shared_free(first);
    comm_shared_free(second);
    comm_shared_free(NULL);
}

/* More than any host has: an error on all ranks, not a crash. */
static void test_shared_too_large(void) {
    GError *error = NULL;
    void *memory = comm_shared_alloc((size_t)1 << 46, &error);
    CHECK(!memory && error);
    CHECK(error && strstr(error->message, "cannot share") != NULL);
    g_clear_error(&error);
}

static void test_threads(void) {
    GError *error = NULL;
    threads_t threads = {.idle = -1};
    CHECK(threads_find(&threads, &error));
    CHECK(threads.share >= 1 && threads.cores >= threads.share && threads.idle >= 0);
    CHECK(comm_same((uint64_t)threads.idle)); /* all are on one host */
    if (comm_rank() == 0) printf("threads %d, idle %d\n", threads.share, threads.idle);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) {
        if (comm_rank() == 0) fprintf(stderr, "%s\n", error->message);
        comm_finalize();
        return 1;
    }
    if (strcmp(mode, "abort") == 0) {
        if (comm_rank() == comm_size() - 1) comm_abort(__FILE__, __LINE__, "asked to");
        comm_any(FALSE);
    }
    if (strcmp(mode, "large") == 0)
        test_shared_too_large();
    else if (strcmp(mode, "threads") == 0)
        test_threads();
    else {
        test_sums();
        test_agreement();
        test_broadcast();
        test_shared();
    }
    gboolean passed = !comm_any(failures > 0);
    comm_finalize();
    return passed ? 0 : 1;
}
