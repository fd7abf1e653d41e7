/* The hint at a start that takes long: who gives it, when, and what it names. */
#include "trainer/parallel/start_hint.h"

#include <glib.h>

#include "trainer/parallel/hosts.h"

/* Waits for ranks as the main thread does in MPI, as this rank of four, of which two are on this host. */
static void wait_until(const char *rank, const char *ranks_here, double hint_s, double limit_s,
                       double start_s) {
    g_setenv("OMPI_COMM_WORLD_SIZE", "4", TRUE);
    g_setenv("OMPI_COMM_WORLD_RANK", rank, TRUE);
    g_setenv("OMPI_COMM_WORLD_LOCAL_SIZE", ranks_here, TRUE);
    start_hint_begin(hint_s, limit_s);
    g_usleep((gulong)(start_s * G_USEC_PER_SEC));
    start_hint_end();
    start_hint_end();
}

static void wait_for_ranks(const char *rank, const char *ranks_here, double hint_s, double start_s) {
    wait_until(rank, ranks_here, hint_s, 3600, start_s);
}

/* Runs the function in a process of its own; what it says matches the pattern. */
static void assert_says(const char *pattern) {
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(pattern);
}

static void test_hang(void) {
    if (g_test_subprocess()) return wait_for_ranks("0", "2", 0.01, 2);
    assert_says("*: rank 0 on * has waited 0 s for 2 ranks of other hosts. If that does not end: MPI hangs "
                "where *(docker0, virbr0); * " HOSTS_CHOSEN "=* in the environment (MPIANIST_INTERFACE=* in "
                "slurm/env.sh). This host has *\n");
}

static void test_chosen(void) {
    if (g_test_subprocess()) {
        g_setenv(HOSTS_CHOSEN, "ib7", TRUE);
        return wait_for_ranks("0", "3", 0.01, 2);
    }
    assert_says("*for 1 rank of other hosts. *: MPI uses ib7, as " HOSTS_CHOSEN
                " says: do all hosts have it*");
}

static void test_in_time(void) {
    if (g_test_subprocess()) return wait_for_ranks("0", "2", 3600, 0);
    assert_says("");
}

static void test_other_rank(void) {
    if (g_test_subprocess()) return wait_for_ranks("1", "2", 0.01, 0.5);
    assert_says("");
}

static void test_one_host(void) {
    if (g_test_subprocess()) return wait_for_ranks("0", "4", 0.01, 0.5);
    assert_says("");
}

/* A start that never ends. */
static void test_limit(void) {
    if (g_test_subprocess()) return wait_until("0", "2", 0.01, 0.02, 60);
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr(
        "*If that does not end*has waited 0 s for MPI to start, and gives up with status "
        "75: start again\n");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_unsetenv(HOSTS_CHOSEN);
    g_test_add_func("/start-hint/hang", test_hang);
    g_test_add_func("/start-hint/chosen", test_chosen);
    g_test_add_func("/start-hint/in-time", test_in_time);
    g_test_add_func("/start-hint/other-rank", test_other_rank);
    g_test_add_func("/start-hint/one-host", test_one_host);
    g_test_add_func("/start-hint/limit", test_limit);
    return g_test_run();
}
