/* Tests of preprocess/worker: results of every size and order, and every way a task can end. */
#include <stdint.h>

#include "tests/helpers/worker_tasks.h"

static void test_results(void) {
    g_autoptr(GError) error = NULL;
    assert_result(run_once(echo, "abc", &LIMITS, &error), "abc");
    assert_result(run_once(echo, "", &LIMITS, &error), "");
    const guint sizes[] = {1, 65534, 65535, 65536, 65537, 8U << 20};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        guint size = sizes[i];
        g_autoptr(GByteArray) wanted = g_byte_array_new(), result = run_once(fill, &size, &LIMITS, &error);
        fill(&size, "", wanted, NULL);
        g_assert_no_error(error);
        assert_bytes(result, wanted->data, wanted->len);
    }
}

/* Slots are closed from the end, as corpus does it; a child that waits holds up none of the others. */
static void test_several(void) {
    enum { LARGE = 3, ALL = 2 * LARGE + 1 };
    worker_t *workers[ALL];
    const char *words[ALL];
    gate_t gate;
    g_autoptr(GByteArray) wanted = g_byte_array_new();
    fill(&large, "", wanted, NULL);
    open_gate(&gate);
    workers[0] = start(wait_then_echo, &gate, &LIMITS, NULL);
    words[0] = "told";
    for (size_t i = 1; i < ALL; i++) {
        words[i] = i % 2 ? "quick" : NULL;
        workers[i] = i % 2 ? start(echo, "quick", &LIMITS, NULL) : start(fill, &large, &LIMITS, NULL);
    }
    for (size_t n = ALL; n > 0;) {
        if (n == 1) g_assert_cmpint(write(gate.to_child[1], "", 1), ==, 1);
        size_t which = worker_wait_any(workers, n);
        g_assert_cmpuint(which, <, n);
        g_autoptr(GByteArray) result = finish(workers[which], NULL);
        if (words[which])
            assert_bytes(result, words[which], strlen(words[which]));
        else
            assert_bytes(result, wanted->data, wanted->len);
        workers[which] = workers[--n];
        words[which] = words[n];
    }
    close_gate(&gate);
}

static void test_failures(void) {
    assert_fails(refuse, "not a MIDI file", &LIMITS, WORKER_ERROR_FAILED, "not a MIDI file");
    assert_fails(refuse, "", &LIMITS, WORKER_ERROR_FAILED, "");
    assert_fails(refuse, "Dvo\xc5\x99\xff", &LIMITS, WORKER_ERROR_FAILED,
                 "Dvo\xc5\x99\xef\xbf\xbd"); /* made valid UTF-8 */
    assert_fails(refuse_silently, NULL, &LIMITS, WORKER_ERROR_FAILED, "failed without a message");
}

static void test_crashes(void) {
    static const struct {
        int number;
        worker_error_t code;
        const char *says;
    } cases[] = {{SIGSEGV, WORKER_ERROR_CRASHED, "crashed (SIGSEGV)"},
                 {SIGABRT, WORKER_ERROR_CRASHED, "crashed (SIGABRT)"},
                 {SIGFPE, WORKER_ERROR_CRASHED, "crashed (SIGFPE)"},
                 {SIGINT, WORKER_ERROR_CRASHED, "crashed (SIGINT)"},
                 {SIGKILL, WORKER_ERROR_MEMORY, "was killed (SIGKILL)*; use fewer --jobs"}};
    signal(SIGINT, SIG_IGN); /* the parent's own business */
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_fails(raise_signal, (gpointer)&cases[i].number, &LIMITS, cases[i].code, cases[i].says);
    signal(SIGINT, SIG_DFL);
    assert_fails(abort_talking, "smf.c:7: Assertion \tfailed\x1b", &LIMITS, WORKER_ERROR_CRASHED,
                 "crashed (SIGABRT): smf.c:7: Assertion  failed ");
    int status = 0;
    assert_fails(leave, &status, &LIMITS, WORKER_ERROR_CRASHED, "crashed (exit status 0)");
    status = 3;
    assert_fails(leave, &status, &LIMITS, WORKER_ERROR_CRASHED, "crashed (exit status 3)");
}
/* A child that dies while it sends: what came over already is no result. */
static void test_partial(void) {
    g_autoptr(GError) error = NULL;
    gate_t gate;
    open_gate(&gate);
    worker_t *worker = start(fill_then_tell, &gate, &LIMITS, &error);
    g_assert_no_error(error);
    pid_t pid = hear_pid(&gate);
    g_usleep(50000); /* it fills the pipe meanwhile */
    g_assert_cmpint(kill(pid, SIGSEGV), ==, 0);
    g_assert_cmpuint(worker_wait_any(&worker, 1), ==, 0);
    g_assert_null(finish(worker, &error));
    g_assert_error(error, WORKER_ERROR, WORKER_ERROR_CRASHED);
    g_assert_cmpstr(error->message, ==, "crashed (SIGSEGV)");
    close_gate(&gate);
}

static void test_timeout(void) {
    const worker_limits_t limits = {.timeout_s = 0.2, .memory_bytes = LIMITS.memory_bytes};
    gint64 start_us = g_get_monotonic_time();
    assert_fails(loop, NULL, &limits, WORKER_ERROR_TIMEOUT, "took longer than 0.2 s; raise --file-timeout");
    double took_s = (double)(g_get_monotonic_time() - start_us) / G_USEC_PER_SEC;
    g_assert_cmpfloat(took_s, >=, 0.2);
    g_assert_cmpfloat(took_s, <, 5);
}

/* One that hangs costs the others nothing. */
static void test_timeout_among_others(void) {
    const worker_limits_t limits = {.timeout_s = 0.3, .memory_bytes = LIMITS.memory_bytes};
    worker_t *workers[2] = {start(loop, NULL, &limits, NULL), start(sleep_then_echo, "600", &LIMITS, NULL)};
    g_assert_cmpuint(worker_wait_any(workers, 2), ==, 0);
    g_assert_null(finish(workers[0], NULL));
    g_assert_cmpuint(worker_wait_any(workers + 1, 1), ==, 0);
    assert_result(finish(workers[1], NULL), "600");
}

/* The limit is on the function: one that was in time is not lost because the parent came late, or because its
 * result is long. */
static void test_late_parent(void) {
    const worker_limits_t limits = {.timeout_s = 0.2, .memory_bytes = LIMITS.memory_bytes};
    gate_t gate;
    open_gate(&gate);
    g_autoptr(GByteArray) wanted = g_byte_array_new();
    fill(&large, "", wanted, NULL);
    worker_t *worker = start(fill_then_tell, &gate, &limits, NULL);
    hear_pid(&gate);
    g_usleep(500000);
    worker_wait_any(&worker, 1);
    g_autoptr(GByteArray) result = finish(worker, NULL);
    assert_bytes(result, wanted->data, wanted->len);
    close_gate(&gate);
}

static void test_memory(void) {
    const worker_limits_t limits = {.timeout_s = 10, .memory_bytes = (size_t)64 << 20};
    if (SANITIZED) {
        g_test_skip("AddressSanitizer maps more than any limit on address space");
        return;
    }
    assert_fails(devour, NULL, &limits, WORKER_ERROR_MEMORY, "needs more than 64 MiB; raise --file-memory");
    assert_fails(devour_crumbs, NULL, &limits, WORKER_ERROR_MEMORY,
                 "needs more than 64 MiB; raise --file-memory");
    g_autoptr(GByteArray) result = run_once(fill, &large, &limits, NULL);
    g_assert_nonnull(result);
}

/* No limit that can be expressed: a sum past the largest number is none. */
static void test_no_limit(void) {
    const worker_limits_t limits = {.timeout_s = G_MAXDOUBLE, .memory_bytes = SIZE_MAX};
    assert_result(run_once(echo, "free", &limits, NULL), "free");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/results", test_results);
    g_test_add_func("/worker/several", test_several);
    g_test_add_func("/worker/failures", test_failures);
    g_test_add_func("/worker/crashes", test_crashes);
    g_test_add_func("/worker/partial", test_partial);
    g_test_add_func("/worker/timeout", test_timeout);
    g_test_add_func("/worker/timeout-among-others", test_timeout_among_others);
    g_test_add_func("/worker/late-parent", test_late_parent);
    g_test_add_func("/worker/memory", test_memory);
    g_test_add_func("/worker/no-limit", test_no_limit);
    return g_test_run();
}
