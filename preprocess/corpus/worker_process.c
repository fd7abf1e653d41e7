/* worker_process: owns what a worker's process may use, and how it does one task after the other. Never
 * outlives its parent, and never calls exit(), which would run the parent's handlers and flush its
 * streams. */
#include "preprocess/corpus/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT_PART = 8 };

/* Bytes of address space in use; 0 where that is not known, and under AddressSanitizer, which maps terabytes
 * of shadow as it goes. */
static size_t mapped_bytes(void) {
#ifdef __SANITIZE_ADDRESS__
    return 0;
#else
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[MAX(n, 0)] = '\0';
    return (size_t)g_ascii_strtoull(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

/* Where memory runs out, GLib may not have enough left to say so. So a dying process tries to map a mebibyte,
 * as malloc() does, and where that fails says that memory ran out. Calls only what a signal handler may. */
static void tell_no_memory(int signal_number) {
    static const char cause[] = "\nCannot allocate memory\n";
    const void *room = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED && write(STDERR_FILENO, cause, sizeof cause - 1) < 0) _exit(1);
    raise(signal_number); /* acts once this handler ends, as it does without a handler */
}

static void limit_memory(size_t mapped, size_t bytes) {
    struct rlimit limit;
    if (mapped == 0 || bytes >= RLIM_INFINITY - mapped || getrlimit(RLIMIT_AS, &limit) != 0) return;
    limit.rlim_cur = MIN(mapped + bytes, limit.rlim_max);
    setrlimit(RLIMIT_AS, &limit);
    static const int deaths[] = {SIGABRT, SIGSEGV, SIGTRAP};
    const struct sigaction last_words = {.sa_handler = tell_no_memory, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < G_N_ELEMENTS(deaths); i++) sigaction(deaths[i], &last_words, NULL);
}

gboolean worker_send(int fd, const void *header, size_t header_bytes, const void *body, size_t body_bytes) {
    struct iovec parts[2] = {{(void *)header, header_bytes}, {(void *)body, body_bytes}};
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return FALSE;
        for (int i = 0; i < 2; i++) {
            size_t part = MIN((size_t)sent, parts[i].iov_len);
            parts[i].iov_base = (char *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            sent -= (ssize_t)part;
        }
    }
    return TRUE;
}

/* TRUE once all n bytes have come, FALSE at the end of what is sent. */
static gboolean receive_all(int fd, void *bytes, size_t n) {
    for (char *at = bytes; n > 0;) {
        ssize_t received = recv(fd, at, n, 0);
        if (received < 0 && errno == EINTR) continue;
        if (received <= 0) return FALSE;
        at += received;
        n -= (size_t)received;
    }
    return TRUE;
}

/* Undoes what the parent set for itself: handlers and mask (all signals are blocked here), standard
 * streams. Returns the channel. */
static int detach(const int *fds) {
    for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Above 2, since the parent may have been started with standard streams closed. */
    int channel = fcntl(fds[WORKER_CHANNEL], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int chatter = fcntl(fds[WORKER_CHATTER], F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (channel < 0 || chatter < 0 || null < 0) _exit(1);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(chatter, STDERR_FILENO);
    return channel;
}

/* Takes the place of the parent's log handler: the last line logged is the reason of a crash. */
static void log_chatter(const char *domain, GLogLevelFlags level, const char *message, void *data) {
    (void)domain, (void)level, (void)data;
    fprintf(stderr, "%s\n", message);
}

/* Does one task; FALSE where no other one will come. */
static gboolean do_task(const worker_work_t *work, int channel, size_t mapped) {
    guint32 bytes = 0;
    if (!receive_all(channel, &bytes, sizeof bytes)) return FALSE;
    g_autofree char *task = g_malloc0((gsize)bytes + 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) out = g_byte_array_new();
    if (!receive_all(channel, task, bytes)) return FALSE;
    worker_header_t header = {.done = (guint8)work->fn(work->data, task, out, &error)};
    const void *result = out->data;
    header.bytes = out->len;
    if (!header.done) {
        result = error ? error->message : "failed without a message";
        header.bytes = strlen(result);
    }
    /* Memory that this task did not give back would be missing for the next ones. */
    header.leaves = mapped > 0 && mapped_bytes() > mapped + work->limits.memory_bytes / KEPT_PART;
    return worker_send(channel, &header, sizeof header, result, header.bytes) && !header.leaves;
}

void worker_process(const worker_work_t *work, const int *fds, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* the parent died before prctl() asked for its signal */
    int channel = detach(fds);
    g_log_set_default_handler(log_chatter, NULL);
    size_t mapped = mapped_bytes();
    limit_memory(mapped, work->limits.memory_bytes);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0); /* where core_pattern names a program, RLIMIT_CORE does not count */
    while (do_task(work, channel, mapped)) {
    }
    _exit(0);
}
