/* worker: owns what the parent knows of its processes: their tasks, how much of a result has come, how they
 * ended and why. A result counts only where all of it has come. Does not interpret tasks and results. What a
 * process does: worker_process.c. */
#include "preprocess/corpus/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preprocess/corpus/worker_process.h"

enum { READ_BYTES = 1 << 16, CHATTER_BYTES = 4096, AHEAD_BYTES = 4096 };

struct worker {
    worker_work_t work;
    /* Of the process: */
    pid_t pid;           /* 0: there is none */
    int fds[WORKER_FDS]; /* our ends; -1 once the process has closed its own */
    size_t done;         /* tasks that it has done */
    size_t sent;         /* how many of the tasks below it was sent */
    int wait_status;     /* of waitpid(), once the process is gone */
    GQueue tasks;        /* char *, in the order in which they were given */
    /* Of the first task: */
    gint64 deadline_us;     /* monotonic */
    worker_header_t header; /* the first header_bytes of it have come */
    size_t header_bytes;
    GByteArray *result;
    GString *chatter; /* the last of the process' standard error */
    gboolean timed_out, stopped;
    GError *start_error; /* why the second try could not begin */
};

G_DEFINE_QUARK(mpianist_worker_error, worker_error)

/* ---- its process ---- */

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Some launchers start programs with SIGCHLD ignored; then a child leaves no exit status. */
static void expect_children(void) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL);
}

static gboolean start_process(worker_t *worker, GError **error) {
    int ours[WORKER_FDS] = {-1, -1}, theirs[WORKER_FDS] = {-1, -1}, pair[2];
    sigset_t all, old;
    sigfillset(&all);
    pid_t pid = -1, parent = getpid();
    expect_children();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
        ours[WORKER_CHANNEL] = pair[0];
        theirs[WORKER_CHANNEL] = pair[1];
        if (pipe2(pair, O_CLOEXEC) == 0) {
            ours[WORKER_CHATTER] = pair[0];
            theirs[WORKER_CHATTER] = pair[1];
            sigprocmask(SIG_SETMASK, &all, &old); /* no handler of the parent's may run in the child */
            pid = fork();
            if (pid == 0) worker_process(&worker->work, theirs, parent);
        }
    }
    int cause = errno;
    if (theirs[WORKER_CHATTER] >= 0) sigprocmask(SIG_SETMASK, &old, NULL);
    /* Closed before the next fork, so that no other process holds these ends: when the process ends, so does
     * what can be read from it. */
    for (int i = 0; i < WORKER_FDS; i++) close_fd(&theirs[i]);
    if (pid < 0) {
        for (int i = 0; i < WORKER_FDS; i++) close_fd(&ours[i]);
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_FORK,
                    "cannot start a worker process: %s; use fewer --jobs", g_strerror(cause));
        return FALSE;
    }
    fcntl(ours[WORKER_CHATTER], F_SETFL, O_NONBLOCK);
    memcpy(worker->fds, ours, sizeof ours);
    worker->pid = pid;
    worker->done = worker->sent = 0;
    return TRUE;
}

/* Kills a process that is late or no longer wanted, or that has closed both its ends. One that closed them is
 * usually on its way out and keeps its own exit status; the kill is for one that runs on. */
static void end_process(worker_t *worker) {
    if (worker->pid == 0) return;
    kill(worker->pid, SIGKILL);
    while (waitpid(worker->pid, &worker->wait_status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < WORKER_FDS; i++) close_fd(&worker->fds[i]);
    worker->pid = 0;
}

worker_t *worker_new(worker_fn fn, gpointer data, const worker_limits_t *limits) {
    worker_t *worker = g_new0(worker_t, 1);
    *worker = (worker_t){.work = {fn, data, *limits}, .fds = {-1, -1}};
    g_queue_init(&worker->tasks);
    worker->result = g_byte_array_new();
    worker->chatter = g_string_new(NULL);
    return worker;
}

void worker_free(worker_t *worker) {
    if (!worker) return;
    end_process(worker);
    g_queue_clear_full(&worker->tasks, g_free);
    g_byte_array_unref(worker->result);
    g_clear_error(&worker->start_error);
    g_string_free(worker->chatter, TRUE);
    g_free(worker);
}

/* Sends the tasks that were not sent yet. Those behind the first must be short enough not to be waited for,
 * as the process may be sending a long result. FALSE where the process is gone. */
static gboolean send_tasks(worker_t *worker) {
    for (; worker->sent < worker->tasks.length; worker->sent++) {
        const char *task = g_queue_peek_nth(&worker->tasks, (guint)worker->sent);
        const guint32 bytes = (guint32)strlen(task);
        if (worker->sent > 0 && bytes > AHEAD_BYTES) return TRUE;
        if (!worker_send(worker->fds[WORKER_CHANNEL], &bytes, sizeof bytes, task, bytes)) return FALSE;
    }
    return TRUE;
}

/* Begins the first task. worker_wait_any() finds a process that dies before it has read it. */
static gboolean begin_task(worker_t *worker, GError **error) {
    g_string_truncate(worker->chatter, 0);
    g_byte_array_set_size(worker->result, 0);
    worker->header_bytes = 0;
    worker->timed_out = worker->stopped = FALSE;
    worker->deadline_us =
        g_get_monotonic_time() + (gint64)ceil(MIN(worker->work.limits.timeout_s, 1e9) * G_USEC_PER_SEC);
    if (worker->pid != 0 && send_tasks(worker)) return TRUE;
    end_process(worker);
    if (!start_process(worker, error)) return FALSE;
    send_tasks(worker);
    return TRUE;
}

gboolean worker_give(worker_t *worker, const char *task, GError **error) {
    g_assert(worker->tasks.length < WORKER_TASKS);
    g_queue_push_tail(&worker->tasks, g_strdup(task));
    if (worker->tasks.length > 1) {
        if (worker->pid != 0) send_tasks(worker); /* one that is lost is sent again when its turn comes */
        return TRUE;
    }
    if (begin_task(worker, error)) return TRUE;
    g_queue_clear_full(&worker->tasks, g_free);
    return FALSE;
}

/* Receives what the channel holds, first into the header, then into the result; returns what recv() does. */
static ssize_t receive(worker_t *worker) {
    const size_t lacks = sizeof worker->header - worker->header_bytes;
    if (lacks > 0) {
        char *at = (char *)&worker->header + worker->header_bytes;
        ssize_t n = recv(worker->fds[WORKER_CHANNEL], at, lacks, MSG_DONTWAIT);
        worker->header_bytes += (size_t)MAX(n, 0);
        if (n < (ssize_t)lacks || worker->header.bytes == 0) return n;
    }
    GByteArray *result = worker->result;
    guint before = result->len;
    g_byte_array_set_size(result, before + (guint)MIN(worker->header.bytes - before, READ_BYTES));
    ssize_t n = recv(worker->fds[WORKER_CHANNEL], result->data + before, result->len - before, MSG_DONTWAIT);
    g_byte_array_set_size(result, before + (guint)MAX(n, 0));
    return n;
}

static ssize_t read_chatter(worker_t *worker) {
    char buffer[CHATTER_BYTES];
    ssize_t n = read(worker->fds[WORKER_CHATTER], buffer, sizeof buffer);
    if (n > 0) g_string_append_len(worker->chatter, buffer, n);
    if (worker->chatter->len > CHATTER_BYTES)
        g_string_erase(worker->chatter, 0, (gssize)(worker->chatter->len - CHATTER_BYTES));
    return n;
}

/* Reads what one readable end holds, at most READ_BYTES of it. */
static void drain(worker_t *worker, int which) {
    ssize_t n = which == WORKER_CHANNEL ? receive(worker) : read_chatter(worker);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) close_fd(&worker->fds[which]);
}

static gboolean has_result(const worker_t *worker) {
    return worker->header_bytes == sizeof worker->header && worker->result->len == worker->header.bytes;
}

/* Whether the first task is over; one that is late is ended. A process that has begun to send its result is
 * not late: it has done its work and waits for us to read. */
static gboolean is_over(worker_t *worker, gint64 now_us) {
    if (worker->pid == 0 || has_result(worker)) return TRUE;
    if (worker->fds[WORKER_CHANNEL] >= 0 || worker->fds[WORKER_CHATTER] >= 0) {
        if (worker->header_bytes > 0 || now_us < worker->deadline_us) return FALSE;
        worker->timed_out = TRUE;
    }
    end_process(worker);
    /* Earlier tasks may have made it fail: it is tried again in a new process. */
    return worker->done == 0 || !begin_task(worker, &worker->start_error);
}

/* The end to read from, or -1. The next task's result may stand behind a whole one: it has to wait until that
 * is taken. */
static int end_to_read(const worker_t *worker, int which) {
    const gboolean full = which == WORKER_CHANNEL && has_result(worker);
    return full ? -1 : worker->fds[which];
}

/* Milliseconds until the first worker's time limit, rounded up; -1 where no limit is left to pass. */
static int poll_timeout_ms(worker_t **workers, size_t n) {
    gint64 first_us = G_MAXINT64, now_us = g_get_monotonic_time();
    for (size_t i = 0; i < n; i++) {
        if (workers[i]->header_bytes == 0) first_us = MIN(first_us, workers[i]->deadline_us);
    }
    if (first_us == G_MAXINT64) return -1;
    return (int)CLAMP((first_us - now_us + 999) / 1000, 0, 60000);
}

size_t worker_wait_any(worker_t **workers, size_t n) {
    g_autofree struct pollfd *polled = g_new0(struct pollfd, n * WORKER_FDS);
    for (int timeout_ms = 0;; timeout_ms = poll_timeout_ms(workers, n)) {
        /* The first poll() does not wait: a result that has come counts, however late it is read. */
        for (size_t i = 0; i < n * WORKER_FDS; i++) {
            polled[i].fd = end_to_read(workers[i / WORKER_FDS], (int)(i % WORKER_FDS));
            polled[i].events = POLLIN;
        }
        if (poll(polled, (nfds_t)(n * WORKER_FDS), timeout_ms) > 0) {
            for (size_t i = 0; i < n * WORKER_FDS; i++) {
                if (polled[i].revents) drain(workers[i / WORKER_FDS], (int)(i % WORKER_FDS));
            }
        }
        gint64 now_us = g_get_monotonic_time();
        for (size_t i = 0; i < n; i++) {
            if (is_over(workers[i], now_us)) return i;
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

/* The last line that says anything, as valid UTF-8 without control characters; NULL where there is none.
 * Owner: caller. */
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
    return strstr(worker->chatter->str, "failed to allocate") ||
           strstr(worker->chatter->str, "Cannot allocate memory");
}

static void set_crash(const worker_t *worker, GError **error) {
    g_autofree char *line = last_line(worker->chatter);
    g_autofree char *how = WIFSIGNALED(worker->wait_status)
                               ? g_strdup(signal_name(WTERMSIG(worker->wait_status)))
                               : g_strdup_printf("exit status %d", WEXITSTATUS(worker->wait_status));
    g_set_error(error, WORKER_ERROR, WORKER_ERROR_CRASHED, "crashed (%s)%s%s", how, line ? ": " : "",
                line ? line : "");
}

/* Sets the error of a task that is over and returns TRUE; FALSE where its result is whole. */
static gboolean set_failure(worker_t *worker, GError **error) {
    if (worker->start_error) {
        g_propagate_error(error, g_steal_pointer(&worker->start_error));
    } else if (has_result(worker) && worker->header.done) {
        return FALSE;
    } else if (has_result(worker)) {
        g_byte_array_append(worker->result, (const guint8 *)"", 1);
        g_autofree char *message = g_utf8_make_valid((const char *)worker->result->data, -1);
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_FAILED, message);
    } else if (worker->timed_out) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_TIMEOUT, "took longer than %g s; raise --file-timeout",
                    worker->work.limits.timeout_s);
    } else if (worker->stopped) {
        g_set_error_literal(error, WORKER_ERROR, WORKER_ERROR_CRASHED, "was stopped before its end");
    } else if (says_no_memory(worker)) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_MEMORY, "needs more than %zu MiB; raise --file-memory",
                    worker->work.limits.memory_bytes >> 20);
    } else if (WIFSIGNALED(worker->wait_status) && WTERMSIG(worker->wait_status) == SIGKILL) {
        g_set_error_literal(
            error, WORKER_ERROR, WORKER_ERROR_MEMORY,
            "was killed (SIGKILL), as the system does where memory runs out; use fewer --jobs");
    } else {
        set_crash(worker, error);
    }
    return TRUE;
}

GByteArray *worker_take(worker_t *worker, GError **error) {
    worker->stopped = worker->pid != 0 && !has_result(worker);
    if (worker->stopped || (has_result(worker) && worker->header.leaves)) end_process(worker);
    while (worker->fds[WORKER_CHATTER] >= 0 &&
           read_chatter(worker) > 0) { /* not to be taken for the next task's */
    }
    g_autoptr(GByteArray) result = set_failure(worker, error) ? NULL : g_steal_pointer(&worker->result);
    if (!worker->result) worker->result = g_byte_array_new();
    worker->header_bytes = 0;
    g_free(g_queue_pop_head(&worker->tasks));
    if (worker->pid != 0) {
        worker->done++;
        worker->sent--;
    }
    if (worker->tasks.length > 0) begin_task(worker, &worker->start_error);
    return g_steal_pointer(&result);
}
