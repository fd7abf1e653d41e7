/* Tests of preprocess/worker: results of every size and order, every way a child can end, and what is left
 * behind. */
#include "preprocess/corpus/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const worker_limits_t LIMITS = {.timeout_s = 10, .memory_bytes = (size_t)256 << 20};

#ifdef __SANITIZE_ADDRESS__
static const gboolean SANITIZED = TRUE;
#else
static const gboolean SANITIZED = FALSE;
#endif

static guint large = 8U << 20; /* bytes of a result far beyond a pipe */

/* ---- what children do ---- */

static gboolean echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)error;
    g_byte_array_append(out, data, (guint)strlen(data));
    return TRUE;
}

static gboolean fill(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)error;
    g_byte_array_set_size(out, *(guint *)data);
    for (guint i = 0; i < out->len; i++) out->data[i] = (guint8)(i * 2654435761U >> 24);
    return TRUE;
}

static gboolean refuse(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task;
    g_byte_array_append(out, (const guint8 *)"partial", 7);
    g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_FORK, data);
    return FALSE;
}

static gboolean refuse_silently(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    return FALSE;
}

static gboolean raise_signal(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    raise(*(int *)data);
    return TRUE;
}

static gboolean abort_talking(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    fprintf(stderr, "first words\n%s\n\n", (const char *)data);
    abort();
}

static gboolean leave(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    _exit(*(int *)data);
}

static gboolean loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) {
    }
    return TRUE;
}

static gboolean close_and_loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    for (int fd = 0; fd < 64; fd++) close(fd);
    return loop(data, task, out, error);
}

static gboolean devour(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) memset(g_malloc(1 << 20), 1, 1 << 20);
    return TRUE;
}

static gboolean devour_crumbs(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) memset(g_malloc(64), 1, 64);
    return TRUE;
}

static gboolean chatter(gpointer data, const char *task, GByteArray *out, GError **error) {
    for (int i = 0; i < 20000; i++) fprintf(stderr, "this line must not be seen\n");
    for (int i = 0; i < 20000; i++) printf("nor this one\n");
    fflush(stdout);
    return echo(data, task, out, error);
}

static gboolean sleep_then_echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    g_usleep((gulong)strtoul(data, NULL, 10) * 1000);
    return echo(data, task, out, error);
}

/* Two pipes between a test and its child: tests wait for events, not for times. */
typedef struct {
    int to_child[2], to_test[2];
} gate_t;

static void open_gate(gate_t *gate) { g_assert_true(pipe(gate->to_child) == 0 && pipe(gate->to_test) == 0); }

static void close_gate(const gate_t *gate) {
    for (int i = 0; i < 2; i++) {
        close(gate->to_child[i]);
        close(gate->to_test[i]);
    }
}

static gboolean tell_pid(const gate_t *gate) {
    pid_t self = getpid();
    return write(gate->to_test[1], &self, sizeof self) == sizeof self;
}

static pid_t hear_pid(const gate_t *gate) {
    pid_t pid = 0;
    g_assert_cmpint(read(gate->to_test[0], &pid, sizeof pid), ==, sizeof pid);
    return pid;
}

static gboolean wait_then_echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    const gate_t *gate = data;
    char word = 0;
    return read(gate->to_child[0], &word, 1) == 1 && echo("told", task, out, error);
}

/* Tells its end: what follows is only the sending of a result that no pipe holds at once. */
static gboolean fill_then_tell(gpointer data, const char *task, GByteArray *out, GError **error) {
    return fill(&large, task, out, error) && tell_pid(data);
}

static gboolean tell_pid_and_loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    return tell_pid(data) && loop(data, task, out, error);
}

/* ---- tests ---- */

/* A worker of one task. */
static worker_t *start(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error) {
    g_autoptr(worker_t) worker = worker_new(fn, data, limits);
    return worker_give(worker, "", error) ? g_steal_pointer(&worker) : NULL;
}

static GByteArray *finish(worker_t *worker, GError **error) {
    GByteArray *result = worker_take(worker, error);
    worker_free(worker);
    return result;
}

static void assert_bytes(const GByteArray *result, const void *wanted, size_t n) {
    g_assert_nonnull(result);
    g_assert_cmpuint(result->len, ==, n);
    g_assert_true(n == 0 || memcmp(result->data, wanted, n) == 0);
}

static void assert_result(GByteArray *result, const char *wanted) {
    assert_bytes(result, wanted, strlen(wanted));
    g_byte_array_unref(result);
}

static void assert_fails(worker_fn fn, gpointer data, const worker_limits_t *limits, worker_error_t code,
                         const char *says) {
    g_autoptr(GError) error = NULL;
    g_assert_null(worker_run(fn, data, "", limits, &error));
    g_assert_error(error, WORKER_ERROR, (gint)code);
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
}

static void test_results(void) {
    g_autoptr(GError) error = NULL;
    assert_result(worker_run(echo, "abc", "", &LIMITS, &error), "abc");
    assert_result(worker_run(echo, "", "", &LIMITS, &error), "");
    const guint sizes[] = {1, 65534, 65535, 65536, 65537, 8U << 20};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        guint size = sizes[i];
        g_autoptr(GByteArray) wanted = g_byte_array_new(),
                              result = worker_run(fill, &size, "", &LIMITS, &error);
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
    g_autoptr(GByteArray) result = worker_run(fill, &large, "", &limits, NULL);
    g_assert_nonnull(result);
}

/* No limit that can be expressed: a sum past the largest number is none. */
static void test_no_limit(void) {
    const worker_limits_t limits = {.timeout_s = G_MAXDOUBLE, .memory_bytes = SIZE_MAX};
    assert_result(worker_run(echo, "free", "", &limits, NULL), "free");
}

/* ---- what is left behind ---- */

static void test_chatter(void) {
    if (g_test_subprocess()) {
        assert_result(worker_run(chatter, "heard", "", &LIMITS, NULL), "heard");
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
    assert_result(worker_run(echo, "x", "", &LIMITS, NULL), "x");
    assert_fails(refuse, "no", &LIMITS, WORKER_ERROR_FAILED, "no");
    assert_fails(raise_signal, &number, &LIMITS, WORKER_ERROR_CRASHED, "*");
    assert_fails(loop, NULL, &limits, WORKER_ERROR_TIMEOUT, "*");
    g_assert_null(worker_run(close_and_loop, NULL, "", &LIMITS,
                             NULL)); /* one whose end no pipe tells is ended at once */
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
    g_autoptr(GByteArray) result = worker_run(echo, "good", "", &LIMITS, NULL);
    g_autoptr(GByteArray) none = worker_run(abort_talking, "bad", "", &LIMITS, &error);
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
        worker_run(tell_pid_and_loop, &gate, "", &LIMITS, NULL);
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
    g_test_add_func("/worker/chatter", test_chatter);
    g_test_add_func("/worker/nothing-left", test_nothing_left);
    g_test_add_func("/worker/cannot-start", test_cannot_start);
    g_test_add_func("/worker/odd-parents", test_odd_parents);
    g_test_add_func("/worker/parent-killed", test_parent_killed);
    return g_test_run();
}
