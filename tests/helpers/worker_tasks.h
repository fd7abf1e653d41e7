/* worker_tasks: tasks for a worker's process, each a way that one can end, and how tests run them. */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/corpus/worker.h"

static const worker_limits_t LIMITS = {.timeout_s = 10, .memory_bytes = (size_t)256 << 20};

#ifdef __SANITIZE_ADDRESS__
static const gboolean SANITIZED = TRUE;
#else
static const gboolean SANITIZED = FALSE;
#endif

static guint large = 8U << 20; /* bytes of a result far beyond a pipe */

/* ---- what children do ---- */

static inline gboolean echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)error;
    g_byte_array_append(out, data, (guint)strlen(data));
    return TRUE;
}

static inline gboolean fill(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)error;
    g_byte_array_set_size(out, *(guint *)data);
    for (guint i = 0; i < out->len; i++) out->data[i] = (guint8)(i * 2654435761U >> 24);
    return TRUE;
}

static inline gboolean refuse(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task;
    g_byte_array_append(out, (const guint8 *)"partial", 7);
    g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_FORK, data);
    return FALSE;
}

static inline gboolean refuse_silently(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    return FALSE;
}

static inline gboolean raise_signal(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    raise(*(int *)data);
    return TRUE;
}

static inline gboolean abort_talking(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    fprintf(stderr, "first words\n%s\n\n", (const char *)data);
    abort();
}

static inline gboolean leave(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)task, (void)out, (void)error;
    _exit(*(int *)data);
}

static inline gboolean loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) {
    }
    return TRUE;
}

static inline gboolean close_and_loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    for (int fd = 0; fd < 64; fd++) close(fd);
    return loop(data, task, out, error);
}

static inline gboolean devour(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) memset(g_malloc(1 << 20), 1, 1 << 20);
    return TRUE;
}

static inline gboolean devour_crumbs(gpointer data, const char *task, GByteArray *out, GError **error) {
    (void)data, (void)task, (void)out, (void)error;
    volatile gboolean on = TRUE;
    while (on) memset(g_malloc(64), 1, 64);
    return TRUE;
}

static inline gboolean chatter(gpointer data, const char *task, GByteArray *out, GError **error) {
    for (int i = 0; i < 20000; i++) fprintf(stderr, "this line must not be seen\n");
    for (int i = 0; i < 20000; i++) printf("nor this one\n");
    fflush(stdout);
    return echo(data, task, out, error);
}

static inline gboolean sleep_then_echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    g_usleep((gulong)strtoul(data, NULL, 10) * 1000);
    return echo(data, task, out, error);
}

/* Two pipes between a test and its child: tests wait for events, not for times. */
typedef struct {
    int to_child[2], to_test[2];
} gate_t;

static inline void open_gate(gate_t *gate) {
    g_assert_true(pipe(gate->to_child) == 0 && pipe(gate->to_test) == 0);
}

static inline void close_gate(const gate_t *gate) {
    for (int i = 0; i < 2; i++) {
        close(gate->to_child[i]);
        close(gate->to_test[i]);
    }
}

static inline gboolean tell_pid(const gate_t *gate) {
    pid_t self = getpid();
    return write(gate->to_test[1], &self, sizeof self) == sizeof self;
}

static inline pid_t hear_pid(const gate_t *gate) {
    pid_t pid = 0;
    g_assert_cmpint(read(gate->to_test[0], &pid, sizeof pid), ==, sizeof pid);
    return pid;
}

static inline gboolean wait_then_echo(gpointer data, const char *task, GByteArray *out, GError **error) {
    const gate_t *gate = data;
    char word = 0;
    return read(gate->to_child[0], &word, 1) == 1 && echo("told", task, out, error);
}

/* Tells the test when it ends: only the sending of a result that no pipe holds at once follows. */
static inline gboolean fill_then_tell(gpointer data, const char *task, GByteArray *out, GError **error) {
    return fill(&large, task, out, error) && tell_pid(data);
}

static inline gboolean tell_pid_and_loop(gpointer data, const char *task, GByteArray *out, GError **error) {
    return tell_pid(data) && loop(data, task, out, error);
}

/* ---- running them ---- */

/* Starts a worker with one task. */
static inline worker_t *start(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error) {
    g_autoptr(worker_t) worker = worker_new(fn, data, limits);
    return worker_give(worker, "", error) ? g_steal_pointer(&worker) : NULL;
}

static inline GByteArray *finish(worker_t *worker, GError **error) {
    GByteArray *result = worker_take(worker, error);
    worker_free(worker);
    return result;
}

/* Does a single task, from worker_new() to worker_free(). */
static inline GByteArray *run_once(worker_fn fn, gpointer data, const worker_limits_t *limits,
                                   GError **error) {
    worker_t *worker = start(fn, data, limits, error);
    if (!worker) return NULL;
    worker_wait_any(&worker, 1);
    return finish(worker, error);
}

static inline void assert_bytes(const GByteArray *result, const void *wanted, size_t n) {
    g_assert_nonnull(result);
    g_assert_cmpuint(result->len, ==, n);
    g_assert_true(n == 0 || memcmp(result->data, wanted, n) == 0);
}

static inline void assert_result(GByteArray *result, const char *wanted) {
    assert_bytes(result, wanted, strlen(wanted));
    g_byte_array_unref(result);
}

static inline void assert_fails(worker_fn fn, gpointer data, const worker_limits_t *limits,
                                worker_error_t code, const char *says) {
    g_autoptr(GError) error = NULL;
    g_assert_null(run_once(fn, data, limits, &error));
    g_assert_error(error, WORKER_ERROR, (gint)code);
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
}
