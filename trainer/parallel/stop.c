/* stop: owns the process's signal dispositions, the one flag that handlers write, and the end of the job. */
#include "trainer/parallel/stop.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preprocess/common/program.h"

#define SQUEUE_PATIENCE_S 5

static volatile sig_atomic_t caught;
static gint64 end_s; /* of the job, since 1970; 0: not known */
static double reserve_s;

static void catch_signal(int number) { caught = number; }

void stop_catch_signals(void) {
    static const int stopping[] = {SIGUSR1, SIGTERM, SIGINT};
    struct sigaction action = {.sa_handler = catch_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < G_N_ELEMENTS(stopping); i++) sigaction(stopping[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

int stop_signal(void) { return caught; }

/* Reads what a process writes till it closes its end. FALSE where that takes over SQUEUE_PATIENCE_S. */
static gboolean read_answer(int fd, char *text, size_t size) {
    const gint64 until = g_get_monotonic_time() + SQUEUE_PATIENCE_S * G_USEC_PER_SEC;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    size_t length = 0;
    for (gint64 left; (left = until - g_get_monotonic_time()) > 0;) {
        if (poll(&wait, 1, (int)(left / 1000) + 1) <= 0) continue;
        const ssize_t n = read(fd, text + length, size - 1 - length);
        length += (size_t)MAX(n, 0);
        text[length] = '\0';
        if (n == 0 || length == size - 1) return TRUE;
    }
    return FALSE;
}

/* What `squeue -o %e` prints for this job. FALSE with error set; never waits for long, for which the process
 * may even stay unreaped. */
static gboolean ask_squeue(const char *job, char *text, size_t size, GError **error) {
    const char *command[] = {"squeue", "-h", "-j", job, "-o", "%e", NULL};
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "SLURM_TIME_FORMAT", "standard", TRUE);
    GPid pid;
    int fd, status = 0;
    text[0] = '\0';
    if (!g_spawn_async_with_pipes(NULL, (char **)command, environment,
                                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                      G_SPAWN_STDERR_TO_DEV_NULL,
                                  NULL, NULL, &pid, NULL, &fd, NULL, error))
        return FALSE;
    const gboolean answered = read_answer(fd, text, size);
    close(fd);
    if (!answered) kill(pid, SIGKILL);
    const gboolean ended = waitpid(pid, &status, answered ? 0 : WNOHANG) == pid;
    if (!answered) return program_fail(error, "squeue does not answer");
    return ended && status == 0 ? TRUE : program_fail(error, "squeue failed");
}

/* The end of the job by squeue, in seconds since 1970. 0: it has none, or with error set. */
static gint64 find_by_squeue(const char *job, GError **error) {
    char text[64];
    if (!ask_squeue(job, text, sizeof text, error)) return 0;
    text[strcspn(text, "\n")] = '\0';
    static const char *const endless[] = {"NONE", "N/A", "UNKNOWN", "UNLIMITED", NULL};
    g_autofree char *word = g_ascii_strup(g_strstrip(text), -1);
    if (g_strv_contains(endless, word)) return 0;
    g_autoptr(GTimeZone) zone = g_time_zone_new_local();
    g_autoptr(GDateTime) end = g_date_time_new_from_iso8601(text, zone);
    if (!end) program_fail(error, "squeue says '%s'", text);
    return end ? g_date_time_to_unix(end) : 0;
}

char *stop_find_deadline(void) {
    const char *job = g_getenv("SLURM_JOB_ID"), *text = g_getenv("SLURM_JOB_END_TIME");
    g_autoptr(GError) error = NULL;
    const gboolean told = text && g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, &end_s, NULL);
    if (!told) end_s = job ? find_by_squeue(job, &error) : 0;
    if (error)
        return g_strdup_printf("SLURM does not tell when job %s ends (%s): have it send a signal before, "
                               "such as by sbatch --signal=USR1@120",
                               job, error->message);
    if (!told && job && end_s == 0) return g_strdup_printf("SLURM knows of no end of job %s", job);
    g_autoptr(GDateTime) end = end_s > 0 ? g_date_time_new_from_unix_local(end_s) : NULL;
    g_autofree char *when = end ? g_date_time_format(end, "%Y-%m-%d %H:%M:%S") : NULL;
    return when ? g_strdup_printf("the job ends at %s, in %.0f s", when, stop_seconds_left()) : NULL;
}

double stop_seconds_left(void) {
    return end_s > 0 ? (double)end_s - (double)g_get_real_time() / G_USEC_PER_SEC : INFINITY;
}

void stop_reserve(double seconds) { reserve_s = seconds; }

gboolean stop_due(double ahead_s) { return caught != 0 || stop_seconds_left() < reserve_s + ahead_s; }
