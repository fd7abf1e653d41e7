/* Tests of preprocess/worker over many tasks: what one leaves behind or breaks is no other one's business. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preprocess/corpus/worker.h"

static const worker_limits_t LIMITS = {.timeout_s = 10, .memory_bytes = (size_t)256 << 20};

#ifdef __SANITIZE_ADDRESS__
static const gboolean SANITIZED = TRUE;
#else
static const gboolean SANITIZED = FALSE;
#endif

/* ---- what a process does ---- */

static const char *poison = ""; /* the process that took it cannot do any other task */
static volatile gboolean on = TRUE;

/* Keeps memory and loses it. */
static void leak(size_t mib) {
    for (size_t i = 0; i < mib; i++) memset(g_malloc(1 << 20), 1, 1 << 20);
}

/* Needs so much for a while. */
static void borrow(size_t mib) {
    g_autofree char *bytes = g_malloc(mib << 20);
    memset(bytes, 1, mib << 20);
}

static void suffer(const char *task) {
    if (strcmp(task, "crash") == 0) abort();
    if (strcmp(task, "die") == 0) raise(SIGKILL);
    while (on && strcmp(task, "hang") == 0) {
    }
    while (on && strcmp(task, "devour") == 0) leak(1);
}

/* A task is a word and what it is about: "say hello", "leak 20". */
static gboolean obey(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data;
    g_auto(GStrv) words = g_strsplit(task, " ", 2);
    const char *about = words[0] && words[1] ? words[1] : "";
    size_t number = (size_t)g_ascii_strtoull(about, NULL, 10);
    pid_t pid = getpid();
    suffer(poison);
    suffer(task);
    if (strcmp(words[0], "poison") == 0) poison = g_strdup(about);
    if (strcmp(words[0], "leak") == 0) leak(number);
    if (strcmp(words[0], "borrow") == 0) borrow(number);
    if (strcmp(words[0], "refuse") == 0) {
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_FAILED, about);
        return FALSE;
    }
    if (strcmp(words[0], "pid") == 0) {
        g_byte_array_append(out, (const guint8 *)&pid, sizeof pid);
    } else if (strcmp(words[0], "fill") == 0) {
        g_byte_array_set_size(out, (guint)number);
        if (number > 0) memset(out->data, 'f', number);
    } else {
        g_byte_array_append(out, (const guint8 *)about, (guint)strlen(about));
    }
    return TRUE;
}

/* ---- tests ---- */

static worker_t *new_worker(const worker_limits_t *limits) { return worker_new(obey, NULL, limits); }

static GByteArray *order(worker_t *worker, const char *task, GError **error) {
    g_assert_true(worker_give(worker, task, NULL));
    g_assert_cmpuint(worker_wait_any(&worker, 1), ==, 0);
    return worker_take(worker, error);
}

static void assert_text(const GByteArray *result, const char *wanted) {
    g_autofree char *text = g_strndup(result->len ? (const char *)result->data : "", result->len);
    g_assert_cmpstr(text, ==, wanted);
}

static void assert_says(worker_t *worker, const char *task, const char *wanted) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) result = order(worker, task, &error);
    g_assert_no_error(error);
    assert_text(result, wanted);
}

static void assert_fails(worker_t *worker, const char *task, worker_error_t code, const char *says) {
    g_autoptr(GError) error = NULL;
    g_assert_null(order(worker, task, &error));
    g_assert_error(error, WORKER_ERROR, (gint)code);
    g_assert_cmpstr(error->message, ==, says);
}

static pid_t pid_of(worker_t *worker) {
    g_autoptr(GByteArray) result = order(worker, "pid", NULL);
    pid_t pid = 0;
    g_assert_cmpuint(result->len, ==, sizeof pid);
    memcpy(&pid, result->data, sizeof pid);
    return pid;
}

/* What all this is for. */
static void test_one_process(void) {
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    pid_t pid = pid_of(worker);
    g_assert_cmpint(pid, !=, getpid());
    for (int i = 0; i < 100; i++) assert_says(worker, "say again", "again");
    assert_fails(worker, "refuse no", WORKER_ERROR_FAILED, "no"); /* no reason for another process */
    assert_says(worker, "say", "");
    assert_fails(worker, "refuse ", WORKER_ERROR_FAILED, "");
    g_assert_cmpint(pid_of(worker), ==, pid);
}

/* A path of any length, and results of all lengths in turn. */
static void test_sizes(void) {
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    static const char *const sizes[] = {"fill 0",       "fill 1", "fill 65536",
                                        "fill 9000001", "fill 3", "fill 65535"};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GByteArray) result = order(worker, sizes[i], NULL);
        g_assert_cmpuint(result->len, ==, (guint)atoi(sizes[i] + 5));
        for (guint at = 0; at < result->len; at++) g_assert_cmpint(result->data[at], ==, 'f');
    }
    g_autofree char *longest = g_strnfill(1 << 20, 'x');
    g_autofree char *task = g_strconcat("say ", longest, NULL);
    assert_says(worker, task, longest);
}

/* A queue that several workers share, with all kinds of failures in it: each is its own task's. */
static void test_queue(void) {
    enum { WORKERS = 3, TASKS = 60 };
    const worker_limits_t limits = {.timeout_s = 2, .memory_bytes = (size_t)64 << 20};
    static const char *const bad[] = {"crash", "die", "hang", "refuse it", "devour"};
    static const worker_error_t codes[] = {WORKER_ERROR_CRASHED, WORKER_ERROR_MEMORY, WORKER_ERROR_TIMEOUT,
                                           WORKER_ERROR_FAILED, WORKER_ERROR_MEMORY};
    const int kinds = (int)G_N_ELEMENTS(bad) - SANITIZED; /* AddressSanitizer's memory has no limit */
    worker_t *workers[WORKERS];
    int task[WORKERS], next = 0, done = 0;
    size_t busy = 0;
    for (int i = 0; i < WORKERS; i++) workers[i] = new_worker(&limits);
    while (done < TASKS) {
        for (; busy < WORKERS && next < TASKS; next++) {
            g_autofree char *good = g_strdup_printf("say %d", next);
            task[busy] = next;
            g_assert_true(worker_give(workers[busy++], next % 4 == 3 ? bad[next / 4 % kinds] : good, NULL));
        }
        size_t which = worker_wait_any(workers, busy);
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) result = worker_take(workers[which], &error);
        if (task[which] % 4 == 3) {
            g_assert_error(error, WORKER_ERROR, (gint)codes[task[which] / 4 % kinds]);
        } else {
            g_autofree char *wanted = g_strdup_printf("%d", task[which]);
            g_assert_no_error(error);
            assert_text(result, wanted);
        }
        worker_t *idle = workers[which];
        workers[which] = workers[--busy];
        task[which] = task[busy];
        workers[busy] = idle;
        done++;
    }
    for (int i = 0; i < WORKERS; i++) worker_free(workers[i]);
}

static void test_crashes_in_a_row(void) {
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    for (int i = 0; i < 40; i++) {
        if (i % 10 == 5) assert_says(worker, "say still here", "still here");
        assert_fails(worker, "crash", WORKER_ERROR_CRASHED, "crashed (SIGABRT)");
    }
    assert_says(worker, "say done", "done");
}

/* The system may take an idle process away. */
static void test_killed_between(void) {
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    for (int i = 0; i < 3; i++) {
        pid_t pid = pid_of(worker);
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        assert_says(worker, "say back", "back"); /* dead already, or just about to read it */
        g_assert_cmpint(pid_of(worker), !=, pid);
    }
}

/* What an earlier task broke: the failure is not the later one's. */
static void test_poison(void) {
    const worker_limits_t limits = {.timeout_s = 0.5, .memory_bytes = LIMITS.memory_bytes};
    g_autoptr(worker_t) worker = new_worker(&limits);
    static const char *const kinds[] = {"poison crash", "poison die", "poison hang"};
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        assert_says(worker, kinds[i], kinds[i] + 7);
        assert_says(worker, "say healthy", "healthy");
    }
    assert_fails(worker, "hang", WORKER_ERROR_TIMEOUT, "took longer than 0.5 s; raise --file-timeout");
    assert_says(worker, "say healthy", "healthy");
}

/* Each task has all of its memory, whatever was lost before it; a process that has lost much is replaced. */
static void test_leaks(void) {
    const worker_limits_t limits = {.timeout_s = 10, .memory_bytes = (size_t)64 << 20};
    if (SANITIZED) {
        g_test_skip("AddressSanitizer maps more than any limit on address space");
        return;
    }
    g_autoptr(worker_t) worker = new_worker(&limits);
    for (int i = 0; i < 30; i++) assert_says(worker, "leak 5", "5");
    for (int i = 0; i < 3; i++) {
        assert_says(worker, "leak 5", "5");
        assert_says(worker, "borrow 58", "58");
    }
    pid_t pid = pid_of(worker);
    assert_says(worker, "borrow 40", "40"); /* given back: no reason for another process */
    g_assert_cmpint(pid_of(worker), ==, pid);
    assert_says(worker, "leak 20", "20");
    g_assert_cmpint(pid_of(worker), !=, pid);
    assert_fails(worker, "borrow 70", WORKER_ERROR_MEMORY, "needs more than 64 MiB; raise --file-memory");
    assert_says(worker, "say on", "on");
    assert_fails(worker, "borrow 70", WORKER_ERROR_MEMORY, "needs more than 64 MiB; raise --file-memory");
}

/* Not the task's failure either, and said as what it is. */
static void test_cannot_start_again(void) {
    struct rlimit old;
    g_autoptr(GError) error = NULL;
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    assert_says(worker, "poison crash", "crash");
    getrlimit(RLIMIT_NOFILE, &old);
    int lowest = dup(STDIN_FILENO); /* the first that is free; starting a process takes four, one had two */
    close(lowest);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)lowest, old.rlim_max});
    g_autoptr(GByteArray) none = order(worker, "say x", &error);
    setrlimit(RLIMIT_NOFILE, &old);
    g_assert_null(none);
    g_assert_error(error, WORKER_ERROR, WORKER_ERROR_FORK);
    g_assert_cmpstr(error->message, ==,
                    "cannot start a worker process: Too many open files; use fewer --jobs");
    assert_says(worker, "say back", "back");
}

/* A worker that is freed leaves no process, whether it never had one, is idle or busy. */
static void test_free(void) {
    worker_free(NULL);
    worker_free(new_worker(&LIMITS));
    g_autoptr(worker_t) idle = new_worker(&LIMITS), busy = new_worker(&LIMITS);
    pid_of(idle);
    g_assert_true(worker_give(busy, "hang", NULL));
    worker_free(g_steal_pointer(&idle));
    worker_free(g_steal_pointer(&busy));
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

static void assert_takes(worker_t *worker, const char *wanted) {
    g_autoptr(GError) error = NULL;
    g_assert_cmpuint(worker_wait_any(&worker, 1), ==, 0);
    g_autoptr(GByteArray) result = worker_take(worker, &error);
    g_assert_no_error(error);
    assert_text(result, wanted);
}

/* Two tasks at once: what the first does is not the second one's business. */
static void test_two_at_once(void) {
    const worker_limits_t limits = {.timeout_s = 0.5, .memory_bytes = (size_t)64 << 20};
    static const char *const first[] = {"crash",        "die",         "hang",   "refuse it",
                                        "poison crash", "poison hang", "leak 20"};
    g_autoptr(worker_t) worker = new_worker(&limits);
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(first); i++) {
        const char *task = first[i / 2];
        const char *result = strchr(task, ' ');
        if (i % 2 == 1) assert_says(worker, "say before", "before");
        g_assert_true(worker_give(worker, task, NULL) && worker_give(worker, "say two", NULL));
        if (result && strcmp(task, "refuse it") != 0) {
            assert_takes(worker, result + 1);
        } else {
            g_assert_cmpuint(worker_wait_any(&worker, 1), ==, 0);
            g_assert_null(worker_take(worker, NULL));
        }
        g_assert_true(worker_give(worker, "say three", NULL));
        assert_takes(worker, "two");
        assert_takes(worker, "three");
    }
}

/* Several workers with two tasks each: a result that is there but not taken yet, with the next one behind
 * it, is not lost or cut. */
static void test_many_at_once(void) {
    enum { WORKERS = 4, TASKS = 400 };
    worker_t *workers[WORKERS];
    g_autoptr(GError) error = NULL;
    for (int i = 0; i < WORKERS; i++) workers[i] = new_worker(&LIMITS);
    for (int i = 0; i < WORKERS * WORKER_TASKS; i++)
        g_assert_true(worker_give(workers[i % WORKERS], "pid", NULL));
    pid_t pids[WORKERS] = {0};
    gint64 start_us = g_get_monotonic_time();
    for (int taken = 0; taken < TASKS; taken++) {
        g_usleep(200); /* all have results by now, and the next behind them */
        size_t which = worker_wait_any(workers, WORKERS);
        g_autoptr(GByteArray) result = worker_take(workers[which], &error);
        g_assert_no_error(error);
        pid_t pid = 0;
        g_assert_cmpuint(result->len, ==, sizeof pid);
        memcpy(&pid, result->data, sizeof pid);
        if (pids[which] == 0) pids[which] = pid;
        g_assert_cmpint(pids[which], ==, pid); /* no process was replaced */
        g_assert_true(worker_give(workers[which], "pid", NULL));
        /* The last one first, next time: the lowest index would have all the turns. */
        worker_t *turn = workers[0];
        pid_t turn_pid = pids[0];
        memmove(workers, workers + 1, (WORKERS - 1) * sizeof *workers);
        memmove(pids, pids + 1, (WORKERS - 1) * sizeof *pids);
        workers[WORKERS - 1] = turn;
        pids[WORKERS - 1] = turn_pid;
    }
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, (gint64)LIMITS.timeout_s * G_USEC_PER_SEC);
    for (int i = 0; i < WORKERS; i++) worker_free(workers[i]);
}

/* Neither side waits for the other where both have much to send; taken without waiting, a task is stopped,
 * and the next goes on. */
static void test_two_large(void) {
    g_autoptr(worker_t) worker = new_worker(&LIMITS);
    g_autofree char *longest = g_strnfill(1 << 20, 'x');
    g_autofree char *task = g_strconcat("say ", longest, NULL);
    g_assert_true(worker_give(worker, "fill 9000001", NULL));
    g_usleep(50000); /* it fills the socket meanwhile */
    g_assert_true(worker_give(worker, task, NULL));
    g_assert_cmpuint(worker_wait_any(&worker, 1), ==, 0);
    g_autoptr(GByteArray) result = worker_take(worker, NULL);
    g_assert_cmpuint(result->len, ==, 9000001);
    assert_takes(worker, longest);
    g_autoptr(GError) error = NULL;
    g_assert_true(worker_give(worker, "hang", NULL) && worker_give(worker, "say on", NULL));
    g_assert_null(worker_take(worker, &error));
    g_assert_cmpstr(error->message, ==, "was stopped before its end");
    assert_takes(worker, "on");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-queue/one-process", test_one_process);
    g_test_add_func("/worker-queue/sizes", test_sizes);
    g_test_add_func("/worker-queue/queue", test_queue);
    g_test_add_func("/worker-queue/crashes-in-a-row", test_crashes_in_a_row);
    g_test_add_func("/worker-queue/killed-between", test_killed_between);
    g_test_add_func("/worker-queue/poison", test_poison);
    g_test_add_func("/worker-queue/leaks", test_leaks);
    g_test_add_func("/worker-queue/cannot-start-again", test_cannot_start_again);
    g_test_add_func("/worker-queue/two-at-once", test_two_at_once);
    g_test_add_func("/worker-queue/many-at-once", test_many_at_once);
    g_test_add_func("/worker-queue/two-large", test_two_large);
    g_test_add_func("/worker-queue/free", test_free);
    return g_test_run();
}
