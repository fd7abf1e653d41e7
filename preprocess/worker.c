#include "preprocess/worker.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
G_DEFINE_QUARK(mpianist_worker_error, worker_error)
struct worker {
    pid_t pid;
    int fd;
    GByteArray *data;
    gint64 deadline;
    int ended;
};
worker_t *worker_start(worker_fn fn, gpointer data, const worker_limits_t *limits, GError **error) {
    int p[2];
    (void)error;
    if (pipe(p)) return NULL;
    pid_t pid = fork();
    if (pid == 0) {
        GByteArray *out = g_byte_array_new();
        GError *e = NULL;
        gboolean ok = fn(data, out, &e);
        guint8 status = ok ? 0 : 1;
        if (write(p[1], &status, 1) != 1) _exit(1);
        if (!ok) {
            g_byte_array_set_size(out, 0);
            g_byte_array_append(out, (guint8 *)e->message, (guint)strlen(e->message));
        }
        for (guint at = 0; at < out->len;) {
            ssize_t n = write(p[1], out->data + at, out->len - at);
            if (n <= 0) _exit(1);
            at += (guint)n;
        }
        _exit(0);
    }
    close(p[1]);
    worker_t *w = g_new0(worker_t, 1);
    *w = (worker_t){pid, p[0], g_byte_array_new(), g_get_monotonic_time() + (gint64)(limits->timeout_s * 1e6), 0};
    return w;
}
size_t worker_wait_any(worker_t **w, size_t n) {
    for (;;)
        for (size_t i = 0; i < n; i++) {
            struct pollfd f = {w[i]->fd, POLLIN, 0};
            if (poll(&f, 1, 1) > 0) {
                guint8 b[65536];
                ssize_t k = read(w[i]->fd, b, sizeof b);
                if (k <= 0) return i;
                g_byte_array_append(w[i]->data, b, (guint)k);
            }
            if (g_get_monotonic_time() > w[i]->deadline) {
                kill(w[i]->pid, SIGKILL);
                return i;
            }
        }
}
GByteArray *worker_finish(worker_t *w, GError **error) {
    int status;
    waitpid(w->pid, &status, 0);
    close(w->fd);
    GByteArray *d = w->data;
    g_free(w);
    if (!WIFEXITED(status) || WEXITSTATUS(status) || !d->len) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_CRASHED, "crashed");
        return NULL;
    }
    if (d->data[0]) {
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_FAILED, "%.*s", (int)d->len - 1, d->data + 1);
        return NULL;
    }
    g_byte_array_remove_index(d, 0);
    return d;
}
