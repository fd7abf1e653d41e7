/* owner_mark: owns the text of the marks, and what this host knows of the process that one names. */
#include "preprocess/common/owner_mark.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"

guint64 owner_mark_process_start(gint64 pid) {
    g_autofree char *path = g_strdup_printf("/proc/%" G_GINT64_FORMAT "/stat", pid), *text = NULL;
    unsigned long long start = 0;
    char state = '\0';
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_file_test("/proc/self", G_FILE_TEST_EXISTS) || kill((pid_t)pid, 0) != 0 ? 0 : 1;
    const char *after = strrchr(text, ')'); /* the name before it may hold anything */
    if (!after ||
        sscanf(after, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &state, &start) != 2)
        return 1;
    return state == 'Z' || state == 'X' ? 0 : start;
}

/* This boot of the kernel and this container: a process id means one process only within both. */
static char *kernel_name(void) {
    g_autofree char *boot = NULL, *space = g_file_read_link("/proc/self/ns/pid", NULL);
    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL)) boot = g_strdup("");
    return g_strdup_printf("%s %s", g_strstrip(boot), space ? space : "");
}

/* The SLURM job: "31", or "30_2" for a task of an array; "" outside SLURM. */
static char *job_name(void) {
    const char *job = g_getenv("SLURM_JOB_ID"), *array = g_getenv("SLURM_ARRAY_JOB_ID"),
               *task = g_getenv("SLURM_ARRAY_TASK_ID");
    return array && task ? g_strdup_printf("%s_%s", array, task) : g_strdup(job ? job : "");
}

char *owner_mark_new(void) {
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *host = file_host_name(), *kernel = kernel_name(), *job = job_name();
    const char *restart = g_getenv("SLURM_RESTART_COUNT");
    g_key_file_set_string(file, "owner", "host", host);
    g_key_file_set_int64(file, "owner", "pid", getpid());
    g_key_file_set_uint64(file, "owner", "started", owner_mark_process_start(getpid()));
    g_key_file_set_string(file, "owner", "kernel", kernel);
    g_key_file_set_string(file, "owner", "job", job);
    g_key_file_set_string(file, "owner", "restart", restart ? restart : "0");
    g_key_file_set_int64(file, "owner", "since", g_get_real_time() / G_USEC_PER_SEC);
    return g_key_file_to_data(file, NULL, NULL);
}

/* The entries of a mark, or NULL where it has none. Owner: caller. */
static GKeyFile *parse(const char *text) {
    g_autoptr(GKeyFile) file = g_key_file_new();
    const gboolean good = g_key_file_load_from_data(file, text, strlen(text), G_KEY_FILE_NONE, NULL);
    return good ? g_steal_pointer(&file) : NULL;
}

char *owner_mark_describe(const char *text, const char *what) {
    g_autoptr(GKeyFile) file = parse(text);
    if (!file) return g_strdup_printf("a process that does not say its name %s", what);
    g_autofree char *found = g_key_file_get_string(file, "owner", "host", NULL),
                    *job = g_key_file_get_string(file, "owner", "job", NULL),
                    *restart = g_key_file_get_string(file, "owner", "restart", NULL);
    const char *host = found ? found : "?";
    const gboolean again = restart && !g_str_equal(restart, "0");
    g_autofree char *count = again ? g_strdup_printf(", restart %s,", restart) : g_strdup("");
    const gint64 pid = g_key_file_get_int64(file, "owner", "pid", NULL),
                 since_s = g_key_file_get_int64(file, "owner", "since", NULL);
    g_autoptr(GDateTime) since = g_date_time_new_from_unix_local(since_s);
    const gboolean today = g_get_real_time() / G_USEC_PER_SEC - since_s < 12 * 3600;
    g_autofree char *when =
        since ? g_date_time_format(since, today ? "%H:%M" : "%Y-%m-%d %H:%M") : g_strdup("?");
    return job && *job ? g_strdup_printf("job %s%s on %s (pid %" G_GINT64_FORMAT ") %s %s", job, count, host,
                                         pid, what, when)
                       : g_strdup_printf("process %" G_GINT64_FORMAT " on %s %s %s", pid, host, what, when);
}

gboolean owner_mark_is_earlier(const char *text, const char *than) {
    g_autoptr(GKeyFile) a = parse(text), b = parse(than);
    if (!a || !b) return FALSE;
    g_autofree char *job = g_key_file_get_string(a, "owner", "job", NULL),
                    *same = g_key_file_get_string(b, "owner", "job", NULL);
    return job && *job && g_strcmp0(job, same) == 0 &&
           g_key_file_get_int64(a, "owner", "restart", NULL) <
               g_key_file_get_int64(b, "owner", "restart", NULL);
}

life_t owner_mark_life(const char *text, const char *own) {
    g_autoptr(GKeyFile) file = parse(text);
    if (!file) return LIFE_ELSEWHERE;
    g_autofree char *host = g_key_file_get_string(file, "owner", "host", NULL), *here = file_host_name(),
                    *kernel = g_key_file_get_string(file, "owner", "kernel", NULL), *this = kernel_name();
    const gboolean seen = g_strcmp0(host, here) == 0 && g_strcmp0(kernel, this) == 0;
    const guint64 start =
        seen ? owner_mark_process_start(g_key_file_get_int64(file, "owner", "pid", NULL)) : 0;
    const gboolean there = start != 0 && start == g_key_file_get_uint64(file, "owner", "started", NULL);
    if (seen && !there) return LIFE_GONE;
    if (owner_mark_is_earlier(text, own)) return LIFE_EARLIER;
    return seen ? LIFE_THERE : LIFE_ELSEWHERE;
}
