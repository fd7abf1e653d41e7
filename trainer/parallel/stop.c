/* stop: owns the process's signal dispositions and the one flag that handlers write. */
#include "trainer/parallel/stop.h"

#include <signal.h>

static volatile sig_atomic_t caught;

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

gboolean stop_deadline_near(void) {
    static gint64 end = -1;
    if (end < 0) {
        const char *text = g_getenv("SLURM_JOB_END_TIME");
        if (!text || !g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &end, NULL)) end = 0;
    }
    return end > 0 && end - g_get_real_time() / G_USEC_PER_SEC < STOP_MARGIN_S;
}
