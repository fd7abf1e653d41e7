/* faults: runs a command and disturbs it at one of its fault points: the calls by which it, its threads and
 * its children change files below a folder. The kernel shows each of them (seccomp, ptrace), whichever
 * library makes it, and the command's program is the one that users run. Ends as the command does.
 *
 *     faults --below FOLDER [--log FILE] [--at N --do ACTION] [--rank R] COMMAND...
 *
 * Without --at it only counts: a line "CALL PATH BYTES" for each point. Actions: "kill" is SIGKILL before the
 * call; "torn" is SIGKILL after half of a write, or after all of another call; "short" is half of a write
 * (which may happen any time); "slow" lets the call wait for six seconds, while other threads go on; "fail"
 * makes it return ENOSPC, or EIO where no room is needed. Under mpirun, --rank says which rank is disturbed.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__x86_64__)
int main(void) {
    puts("1..0 # SKIP faults are made on x86-64 only");
    return 77;
}
#else

enum { NONE = -1, SLOW_S = 6 };

/* A call that changes files: where its arguments say which one. */
typedef struct {
    int nr;
    const char *name;
    int folder; /* argument that is an open folder which the path begins at, or NONE */
    int path;   /* argument that is a path, or NONE */
    int fd;     /* argument that is the open file, or NONE */
    int flags;  /* argument with O_CREAT and O_TRUNC, without which nothing changes; or NONE */
    int error;
} call_t;

static const call_t calls[] = {
    {SYS_write, "write", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_pwrite64, "write", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_writev, "writev", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_pwritev, "writev", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_pwritev2, "writev", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_sendfile, "sendfile", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_copy_file_range, "copy_file_range", NONE, NONE, 2, NONE, ENOSPC},
    {SYS_splice, "splice", NONE, NONE, 2, NONE, ENOSPC},
    {SYS_open, "open", NONE, 0, NONE, 1, ENOSPC},
    {SYS_openat, "open", 0, 1, NONE, 2, ENOSPC},
    {SYS_creat, "open", NONE, 0, NONE, NONE, ENOSPC},
    {SYS_mkdir, "mkdir", NONE, 0, NONE, NONE, ENOSPC},
    {SYS_mkdirat, "mkdir", 0, 1, NONE, NONE, ENOSPC},
    {SYS_rename, "rename", NONE, 1, NONE, NONE, ENOSPC},
    {SYS_renameat, "rename", 2, 3, NONE, NONE, ENOSPC},
    {SYS_renameat2, "rename", 2, 3, NONE, NONE, ENOSPC},
    {SYS_link, "link", NONE, 1, NONE, NONE, ENOSPC},
    {SYS_linkat, "link", 2, 3, NONE, NONE, ENOSPC},
    {SYS_symlink, "symlink", NONE, 1, NONE, NONE, ENOSPC},
    {SYS_symlinkat, "symlink", 1, 2, NONE, NONE, ENOSPC},
    {SYS_unlink, "unlink", NONE, 0, NONE, NONE, EIO},
    {SYS_unlinkat, "unlink", 0, 1, NONE, NONE, EIO},
    {SYS_rmdir, "rmdir", NONE, 0, NONE, NONE, EIO},
    {SYS_truncate, "truncate", NONE, 0, NONE, NONE, EIO},
    {SYS_ftruncate, "truncate", NONE, NONE, 0, NONE, EIO},
    {SYS_fallocate, "fallocate", NONE, NONE, 0, NONE, ENOSPC},
    {SYS_fsync, "fsync", NONE, NONE, 0, NONE, EIO},
    {SYS_fdatasync, "fsync", NONE, NONE, 0, NONE, EIO},
    {SYS_sync_file_range, "fsync", NONE, NONE, 0, NONE, EIO},
    /* What is written by way of a shared mapping is not seen: refused. */
    {SYS_mmap, "mmap", NONE, NONE, 4, NONE, 0},
};

static char *below, *log_path, *action = "kill";
static gint64 at;
static int only_rank = NONE;

static const GOptionEntry entries[] = {
    {"below", 0, 0, G_OPTION_ARG_FILENAME, &below, "the folder", "FOLDER"},
    {"log", 0, 0, G_OPTION_ARG_FILENAME, &log_path, "a line for each point", "FILE"},
    {"at", 0, 0, G_OPTION_ARG_INT64, &at, "which point is disturbed, from 1", "N"},
    {"do", 0, 0, G_OPTION_ARG_STRING, &action, "kill, torn, short, slow, fail", "ACTION"},
    {"rank", 0, 0, G_OPTION_ARG_INT, &only_rank, "the rank that is disturbed", "R"},
    {0}};

static FILE *log_file;
static gint64 count;

static void G_GNUC_NORETURN die(const char *doing) {
    fprintf(stderr, "faults: cannot %s: %s\n", doing, g_strerror(errno));
    exit(99); /* the command, which is traced, ends with this process */
}

/* ---- the command's side ---- */

/* Stops at the calls of the table, and at no others. */
static void install_filter(void) {
    struct sock_filter code[G_N_ELEMENTS(calls) + 6];
    unsigned short n = 0;
    const unsigned char last = (unsigned char)G_N_ELEMENTS(calls);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned char i = 0; i < last; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].nr,
                                                 (unsigned char)(last - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    const struct sock_fprog program = {.len = n, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("install the filter of calls");
}

static void G_GNUC_NORETURN execute(char **command) {
    execvp(command[0], command);
    die(command[0]);
}

/* ---- which file a call changes ---- */

/* What a link in /proc/<pid> points at, or NULL. Owner: caller. */
static char *link_of(pid_t pid, const char *name) {
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
    return g_file_read_link(path, NULL);
}

static char *file_of(pid_t pid, int fd) {
    g_autofree char *name = g_strdup_printf("fd/%d", fd);
    return link_of(pid, name);
}

/* The text at an address of the process. Owner: caller. */
static char *text_at(pid_t pid, guint64 address) {
    g_autoptr(GString) text = g_string_new(NULL);
    for (char byte;; g_string_append_c(text, byte), address++) {
        struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)address, 1};
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != 1) return NULL;
        if (!byte) return g_strdup(text->str);
    }
}

/* The absolute path of the file that a call changes, or NULL where it changes none. Owner: caller. */
static char *changed_file(pid_t pid, const call_t *call, const unsigned long long *args) {
    if (call->fd != NONE) return file_of(pid, (int)args[call->fd]);
    if (call->path == NONE || (call->flags != NONE && !(args[call->flags] & (O_CREAT | O_TRUNC))))
        return NULL;
    g_autofree char *path = text_at(pid, args[call->path]);
    const int folder = call->folder == NONE ? AT_FDCWD : (int)args[call->folder];
    g_autofree char *start = folder == AT_FDCWD ? link_of(pid, "cwd") : file_of(pid, folder);
    return path && start ? g_canonicalize_filename(path, start) : NULL;
}

static gboolean is_below(const char *path) {
    const size_t length = strlen(below);
    return strncmp(path, below, length) == 0 && (path[length] == '/' || !path[length]);
}

/* ---- disturbing ---- */

static gboolean is_write(const call_t *call) { return g_str_has_prefix(call->name, "write"); }

/* The thread that waits, 0: none. Not by sleeping here: other threads stop at calls, too, such as mmap. */
static volatile pid_t slowed;
static void end_wait(G_GNUC_UNUSED int signal) {
    const pid_t pid = slowed;
    slowed = 0;
    ptrace(PTRACE_CONT, pid, NULL, NULL);
}

static void set_registers(pid_t pid, const struct user_regs_struct *registers) {
    if (ptrace(PTRACE_SETREGS, pid, NULL, registers) != 0) die("change a call");
}

/* Does what is asked for at this point. Returns the request by which the process goes on. */
static enum __ptrace_request disturb(pid_t pid, const call_t *call, struct user_regs_struct *registers) {
    if (g_str_equal(action, "kill")) {
        kill(pid, SIGKILL);
    } else if (g_str_equal(action, "fail")) {
        registers->orig_rax = (unsigned long long)-1; /* no call is made */
        registers->rax = (unsigned long long)-call->error;
        set_registers(pid, registers);
    } else if (g_str_equal(action, "slow")) {
        slowed = pid;
        alarm(SLOW_S);
    } else {
        if (is_write(call)) registers->rdx = (registers->rdx + 1) / 2; /* bytes, or parts of a writev */
        set_registers(pid, registers);
        if (g_str_equal(action, "torn")) return PTRACE_SYSCALL; /* to the end of the call */
    }
    return PTRACE_CONT;
}

static enum __ptrace_request at_call(pid_t pid) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0) return PTRACE_CONT; /* killed meanwhile */
    const unsigned long long args[] = {registers.rdi, registers.rsi, registers.rdx,
                                       registers.r10, registers.r8,  registers.r9};
    const call_t *call = calls;
    while (call->nr != (int)registers.orig_rax) call++;
    if (call->nr == SYS_mmap && !((args[3] & MAP_SHARED) && (args[2] & PROT_WRITE))) return PTRACE_CONT;
    g_autofree char *path = changed_file(pid, call, args);
    if (!path || !is_below(path)) return PTRACE_CONT;
    if (call->nr == SYS_mmap) {
        fprintf(stderr, "faults: %s is written by way of a mapping\n", path);
        exit(99);
    }
    count++;
    if (log_file) {
        fprintf(log_file, "%s .%s %llu\n", call->name, path + strlen(below), is_write(call) ? args[2] : 0);
        fflush(log_file);
    }
    return count == at ? disturb(pid, call, &registers) : PTRACE_CONT;
}

/* A process stopped. Returns by which request, and sets by which signal, it goes on. */
static enum __ptrace_request at_stop(pid_t pid, int status, int *sent) {
    const int stop = WSTOPSIG(status), event = status >> 16;
    *sent = 0;
    if (event == PTRACE_EVENT_SECCOMP) return at_call(pid);
    if (event == PTRACE_EVENT_STOP) return stop == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN;
    if (stop == (SIGTRAP | 0x80)) { /* the end of a call that was to be torn */
        kill(pid, SIGKILL);
        return PTRACE_CONT;
    }
    if (event == 0) *sent = stop;
    return PTRACE_CONT;
}

/* Until all have ended. Returns how the command did. */
static int follow(pid_t command) {
    int result = 0, status, sent;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid < 0) continue;
        if (WIFSTOPPED(status)) {
            const enum __ptrace_request request = at_stop(pid, status, &sent);
            if (pid == slowed) continue;
            ptrace(request, pid, NULL, (void *)(intptr_t)sent); /* may have been killed meanwhile */
        } else if (pid == command) {
            result = status;
        }
    }
    return result;
}

/* Signals that are sent to this process are meant for the command. */
static pid_t command_pid;
static void pass_on(int signal) { kill(command_pid, signal); }

int main(int argc, char **argv) {
    g_autoptr(GOptionContext) context = g_option_context_new("COMMAND...");
    g_autoptr(GError) error = NULL;
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_strict_posix(context, TRUE);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc < 2 || !below) {
        fprintf(stderr, "faults: %s\n", error ? error->message : "wants --below FOLDER and a command");
        return 99;
    }
    char **command = argv + (g_str_equal(argv[1], "--") ? 2 : 1);
    const char *rank =
        g_getenv("OMPI_COMM_WORLD_RANK") ? g_getenv("OMPI_COMM_WORLD_RANK") : g_getenv("PMI_RANK");
    if (only_rank != NONE && (!rank || atoi(rank) != only_rank)) execute(command);
    g_autofree char *given = below;
    below = g_canonicalize_filename(given, NULL);
    if (log_path && !(log_file = fopen(log_path, "we"))) die(log_path);

    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) die("make a pipe");
    if ((command_pid = fork()) < 0) die("fork");
    if (command_pid == 0) {
        char byte;
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1) _exit(99);
        install_filter();
        execute(command);
    }
    if (ptrace(PTRACE_SEIZE, command_pid, NULL,
               PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) != 0)
        die("trace the command");
    for (size_t i = 0; i < 3; i++) signal((const int[]){SIGTERM, SIGINT, SIGUSR1}[i], pass_on);
    signal(SIGALRM, end_wait);
    if (write(ready[1], "", 1) != 1) die("start the command");
    close(ready[0]);
    close(ready[1]);
    const int status = follow(command_pid);
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 99;
}
#endif
