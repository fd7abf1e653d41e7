/* worker: owns a forked child for each call: its limits, its two pipes and its end. The child sends one status byte and the payload through the
 * first pipe; its standard error goes to the second, of which the end is kept as the reason of a crash. A result counts only where the child
 * left with status 0, which it does after its last byte. Refuses to interpret payloads, and to let a child outlive its parent. */
#include "preprocess/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESULT, CHATTER, PIPES };
enum { READ_BYTES = 1 << 16, CHATTER_BYTES = 4096 };
enum { STATUS_DONE = 'd', STATUS_FAILED = 'f' };

struct worker {
    pid_t pid;
    worker_limits_t limits;
    gint64 deadline_us; /* monotonic */
    int fds[PIPES];     /* read ends; -1 once at their end */
    GByteArray *result; /* status byte and payload */
    GString *chatter;   /* the last of the child's standard error */
    int status;         /* of waitpid() */
    gboolean ended, timed_out, stopped;
};

G_DEFINE_QUARK(mpianist_worker_error, worker_error)

/* ---- child ---- */

static void limit_memory(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    (void)bytes; /* AddressSanitizer maps terabytes of shadow as it goes */
#else
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm) return;
    int fields = fscanf(statm, "%zu", &pages);
    fclose(statm);
    struct rlimit limit;
    rlim_t mapped = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
    if (fields != 1 || bytes >= RLIM_INFINITY - mapped || getrlimit(RLIMIT_AS, &limit) != 0) return;
    limit.rlim_cur = MIN(mapped + bytes, limit.rlim_max);
    setrlimit(RLIMIT_AS, &limit);
#endif
}

static void write_all(int fd, const void *bytes, size_t n) {
    for (const char *at = bytes; n > 0;) {
        ssize_t written = write(fd, at, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) _exit(1);
        at += written;
        n -= (size_t)written;
    }
}

/* Undoes what the parent set for itself: handlers and mask (all signals are blocked here), standard streams. */
static void detach(const int *pipes, int *result_fd) {
    for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Above 2, since the parent may have been started with standard streams closed. */
    *result_fd = fcntl(pipes[RESULT], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int chatter_fd = fcntl(pipes[CHATTER], F_DUPFD_CLOEXEC, STDERR_FILENO + 1), null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (*result_fd < 0 || chatter_fd < 0 || null_fd < 0) _exit(1);
    dup2(null_fd, STDIN_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    dup2(chatter_fd, STDERR_FILENO);
}

/* Never returns, and never exits by way of exit(): what the parent registered there and in stdio is the parent's. */
G_NORETURN static void run_child(worker_fn fn, gpointer data, const worker_limits_t *limits, const int *pipes, pid_t parent) {
    int result_fd = -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it died before the line above */
    detach(pipes, &result_fd);
    limit_memory(limits->memory_bytes);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0); /* a core_pattern that names a program does not ask RLIMIT_CORE */
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) out = g_byte_array_new();
    if (fn(data, out, &error)) {
        write_all(result_fd, &(char){STATUS_DONE}, 1);
        write_all(result_fd, out->data, out->len);
    } else {
        const char *message = error ? error->message : "failed without a message";
        write_all(result_fd, &(char){STATUS_FAILED}, 1);
        write_all(result_fd, message, strlen(message));
    }
    _exit(0);
}

/* ---- parent ---- */

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Some launchers leave SIGCHLD ignored to what they start, and then a child leaves no exit status. */
static void expect_children(void) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL);
}

worker_t *worker_start(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error) {
    int pipes[PIPES][2] = {{-1, -1}, {-1, -1}};
    sigset_t all, old;
    sigfillset(&all);
    pid_t pid = -1, parent = getpid();
    expect_children();
    gboolean piped = pipe2(pipes[RESULT], O_CLOEXEC) == 0 && pipe2(pipes[CHATTER], O_CLOEXEC) == 0;
    if (piped) {
        sigprocmask(SIG_SETMASK, &all, &old); /* no handler of the parent's may run in the child */
        pid = fork();
        if (pid == 0) run_child(fn, data, limits, (int[PIPES]){pipes[RESULT][1], pipes[CHATTER][1]}, parent);
    }
    int cause = errno;
    if (piped) sigprocmask(SIG_SETMASK, &old, NULL);
    /* Closed before the next fork, so no other child holds these write ends and a child's end is the pipes' end. */
    for (int i = 0; i < PIPES; i++) close_fd(&pipes[i][1]);
    if (pid < 0) {
        for (int i = 0; i < PIPES; i++) close_fd(&pipes[i][0]);
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_FORK, "cannot start a worker process: %s; use fewer --jobs", g_strerror(cause));
        return NULL;
    }
    worker_t *worker = g_new0(worker_t, 1);
    worker->pid = pid;
    worker->limits = *limits;
    worker->deadline_us = g_get_monotonic_time() + (gint64)ceil(MIN(limits->timeout_s, 1e9) * G_USEC_PER_SEC);
    for (int i = 0; i < PIPES; i++) worker->fds[i] = pipes[i][0];
    worker->result = g_byte_array_new();
    worker->chatter = g_string_new(NULL);
    return worker;
}

/* Takes what one readable pipe holds, at most READ_BYTES of it. */
static void drain(worker_t *worker, int which) {
    static char buffer[READ_BYTES];
    ssize_t n = read(worker->fds[which], buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
        close_fd(&worker->fds[which]);
    } else if (which == RESULT) {
        g_byte_array_append(worker->result, (const guint8 *)buffer, (guint)n);
    } else {
        g_string_append_len(worker->chatter, buffer, n);
        if (worker->chatter->len > CHATTER_BYTES) g_string_erase(worker->chatter, 0, (gssize)(worker->chatter->len - CHATTER_BYTES));
    }
}

/* Ends a child that is late, or whose pipes are both closed. The latter is on its way out already, and then keeps its own exit status whatever
 * it is sent: the kill is for one that closed its pipes and runs on. */
static void end(worker_t *worker) {
    if (worker->ended) return;
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, &worker->status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < PIPES; i++) close_fd(&worker->fds[i]);
    worker->ended = TRUE;
}

/* Ended, or to be ended now? A child that has begun to send is done with its work and can wait only for us. */
static gboolean has_ended(worker_t *worker, gint64 now_us) {
    if (worker->ended) return TRUE;
    if (worker->fds[RESULT] >= 0 || worker->fds[CHATTER] >= 0) {
        if (worker->result->len > 0 || now_us < worker->deadline_us) return FALSE;
        worker->timed_out = TRUE;
    }
    end(worker);
    return TRUE;
}

/* Milliseconds until the first worker's time limit, rounded up; -1 where none can pass it any more. */
static int poll_timeout_ms(worker_t **workers, size_t n) {
    gint64 first_us = G_MAXINT64, now_us = g_get_monotonic_time();
    for (size_t i = 0; i < n; i++) {
        if (workers[i]->result->len == 0) first_us = MIN(first_us, workers[i]->deadline_us);
    }
    if (first_us == G_MAXINT64) return -1;
    return (int)CLAMP((first_us - now_us + 999) / 1000, 0, 60000);
}

size_t worker_wait_any(worker_t **workers, size_t n) {
    g_autofree struct pollfd *polled = g_new0(struct pollfd, n * PIPES);
    for (int timeout_ms = 0;; timeout_ms = poll_timeout_ms(workers, n)) { /* first without waiting: what arrived in time counts */
        for (size_t i = 0; i < n * PIPES; i++) polled[i] = (struct pollfd){.fd = workers[i / PIPES]->fds[i % PIPES], .events = POLLIN};
        if (poll(polled, (nfds_t)(n * PIPES), timeout_ms) > 0) {
            for (size_t i = 0; i < n * PIPES; i++) {
                if (polled[i].revents) drain(workers[i / PIPES], (int)(i % PIPES));
            }
        }
        gint64 now_us = g_get_monotonic_time();
        for (size_t i = 0; i < n; i++) {
            if (has_ended(workers[i], now_us)) return i;
        }
    }
}

/* ---- results ---- */

static const char *signal_name(int number) {
    switch (number) {
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGILL: return "SIGILL";
    case SIGINT: return "SIGINT";
    case SIGSEGV: return "SIGSEGV";
    case SIGSYS: return "SIGSYS";
    case SIGTERM: return "SIGTERM";
    case SIGTRAP: return "SIGTRAP";
    default: return g_strsignal(number);
    }
}

/* The last line that says anything, as valid UTF-8 without control characters; NULL where there is none. Owner: caller. */
static char *last_line(const GString *chatter) {
    g_autofree char *text = g_utf8_make_valid(chatter->str, (gssize)chatter->len);
    g_strchomp(text);
    char *start = strrchr(text, '\n');
    start = start ? start + 1 : text;
    for (char *c = start; *c; c++) {
        if (g_ascii_iscntrl(*c)) *c = ' ';
    }
    return *start ? g_strdup(start) : NULL;
}

static gboolean says_no_memory(const worker_t *worker) {
    return strstr(worker->chatter->str, "failed to allocate") || strstr(worker->chatter->str, "Cannot allocate memory");
}

static void set_crash(const worker_t *worker, GError **error) {
    g_autofree char *line = last_line(worker->chatter);
    g_autofree char *how = WIFSIGNALED(worker->status) ? g_strdup(signal_name(WTERMSIG(worker->status)))
                                                       : g_strdup_printf("exit status %d", WEXITSTATUS(worker->status));
    g_set_error(error, WORKER_ERROR, WORKER_ERROR_CRASHED, "crashed (%s)%s%s", how, line ? ": " : "", line ? line : "");
}

/* Sets the error of an ended worker; FALSE where its result is whole. */
static gboolean set_failure(const worker_t *worker, GError **error) {
    const GByteArray *result = worker->result;
    gboolean left_well = WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 0 && result->len > 0;
    if (worker->timed_out) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_TIMEOUT, "took longer than %g s; raise --file-timeout", worker->limits.timeout_s);
    } else if (worker->stopped) {
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_CRASHED, "was stopped before its end");
    } else if (left_well && result->data[0] == STATUS_DONE) {
        return FALSE;
    } else if (left_well) {
        g_autofree char *message = g_utf8_make_valid((const char *)result->data + 1, (gssize)result->len - 1);
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_FAILED, message);
    } else if (says_no_memory(worker)) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_MEMORY, "needs more than %zu MiB; raise --file-memory", worker->limits.memory_bytes >> 20);
    } else if (WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGKILL) {
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_MEMORY,
                            "was killed (SIGKILL), as the system does where memory runs out; use fewer --jobs");
    } else {
        set_crash(worker, error);
    }
    return TRUE;
}

GByteArray *worker_finish(worker_t *worker, GError **error) {
    worker->stopped = !worker->ended;
    end(worker);
    GByteArray *result = worker->result;
    if (set_failure(worker, error))
        g_clear_pointer(&result, g_byte_array_unref);
    else
        g_byte_array_remove_index(result, 0);
    g_string_free(worker->chatter, TRUE);
    g_free(worker);
    return result;
}

GByteArray *worker_run(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error) {
    worker_t *worker = worker_start(fn, data, limits, error);
    if (!worker) return NULL;
    worker_wait_any(&worker, 1);
    return worker_finish(worker, error);
}
