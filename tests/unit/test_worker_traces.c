/* Tests of preprocess/worker: what its process leaves behind, and that it works whatever its parent is. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/helpers/worker_tasks.h"

static void test_chatter(void) {
    if (g_test_subprocess()) {
        assert_result(run_once(chatter, "heard", &LIMITS, NULL), "heard");
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr_unmatched("*must not be seen*");
    g_test_trap_assert_stdout_unmatched("*nor this one*");
}

static guint count_fds(void) {
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;
    while (g_dir_read_name(dir)) n++;
    return n;
}

static void assert_no_children(void) {
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    g_assert_cmpint(errno, ==, ECHILD);
}

static void test_nothing_left(void) {
    const worker_limits_t limits = {.timeout_s = 0.05, .memory_bytes = LIMITS.memory_bytes};
    int number = SIGSEGV;
    guint before = count_fds();
    assert_result(run_once(echo, "x", &LIMITS, NULL), "x");
    assert_fails(refuse, "no", &LIMITS, WORKER_ERROR_FAILED, "no");
    assert_fails(raise_signal, &number, &LIMITS, WORKER_ERROR_CRASHED, "*");
    assert_fails(loop, NULL, &limits, WORKER_ERROR_TIMEOUT, "*");
    g_assert_null(
        run_once(close_and_loop, NULL, &LIMITS, NULL)); /* one whose end no pipe tells is ended at once */
    g_autoptr(GError) error = NULL;
    g_assert_null(finish(start(loop, NULL, &LIMITS, NULL), &error)); /* given up */
    g_assert_error(error, WORKER_ERROR, WORKER_ERROR_CRASHED);
    g_assert_cmpstr(error->message, ==, "was stopped before its end");
    g_assert_cmpuint(count_fds(), ==, before);
    assert_no_children();
}

/* No more files may be opened: an error, and nothing half made. */
static void test_cannot_start(void) {
    guint before = count_fds();
    g_autoptr(GError) error = NULL;
    struct rlimit old, limit;
    getrlimit(RLIMIT_NOFILE, &old);
    int lowest = dup(STDIN_FILENO); /* the first that is free */
    close(lowest);
    for (rlim_t room = 0; room < 4; room++) { /* two pipes need four */
        limit = (struct rlimit){(rlim_t)lowest + room, old.rlim_max};
        setrlimit(RLIMIT_NOFILE, &limit);
        worker_t *worker = start(echo, "x", &LIMITS, &error);
        setrlimit(RLIMIT_NOFILE, &old);
        g_assert_null(worker);
        g_assert_error(error, WORKER_ERROR, WORKER_ERROR_FORK);
        g_assert_cmpstr(error->message, ==,
                        "cannot start a worker process: Too many open files; use fewer --jobs");
        g_clear_error(&error);
    }
    g_assert_cmpuint(count_fds(), ==, before);
    assert_no_children();
}

/* Runs check() in a process of its own, for what would spoil this one. */
static void assert_in_fork(gboolean (*check)(void)) {
    pid_t pid = fork();
    if (pid == 0) _exit(check() ? 0 : 1);
    int status = -1;
    waitpid(pid, &status, 0);
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static gboolean works(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) result = run_once(echo, "good", &LIMITS, NULL);
    g_autoptr(GByteArray) none = run_once(abort_talking, "bad", &LIMITS, &error);
    return result && result->len == 4 && !none && strcmp(error->message, "crashed (SIGABRT): bad") == 0;
}

static gboolean works_without_streams(void) {
    for (int fd = 0; fd < 3; fd++) close(fd);
    return works();
}

static gboolean works_without_sigchld(void) {
    signal(SIGCHLD, SIG_IGN);
    return works();
}

static gboolean works_with_signals_blocked(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return works() && sigprocmask(SIG_SETMASK, NULL, &all) == 0 && sigismember(&all, SIGINT); /* ours stays */
}

static void test_odd_parents(void) {
    assert_in_fork(works);
    assert_in_fork(works_without_streams);
    assert_in_fork(works_without_sigchld);
    assert_in_fork(works_with_signals_blocked);
}

/* A parent that is killed takes its worker with it. */
static void test_parent_killed(void) {
    int status = 0;
    gate_t gate;
    open_gate(&gate);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* the orphan becomes ours */
    pid_t parent = fork();
    if (parent == 0) {
        run_once(tell_pid_and_loop, &gate, &LIMITS, NULL);
        _exit(0);
    }
    pid_t worker = hear_pid(&gate);
    g_assert_cmpint(kill(parent, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(parent, &status, 0), ==, parent);
    gint64 start_us = g_get_monotonic_time();
    g_assert_cmpint(waitpid(worker, &status, 0), ==, worker);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 5 * G_USEC_PER_SEC); /* not by its time limit */
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close_gate(&gate);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/chatter", test_chatter);
    g_test_add_func("/worker/nothing-left", test_nothing_left);
    g_test_add_func("/worker/cannot-start", test_cannot_start);
    g_test_add_func("/worker/odd-parents", test_odd_parents);
    g_test_add_func("/worker/parent-killed", test_parent_killed);
    return g_test_run();
}
