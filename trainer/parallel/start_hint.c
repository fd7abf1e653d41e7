/* start_hint: owns the thread that waits. It calls no MPI, and knows only what the launcher and the system
 * tell of this host; whether a slow start is a hang it cannot know, and says so. */
#include "trainer/parallel/start_hint.h"

#include <glib.h>
#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/hosts.h"
#include "trainer/parallel/launcher.h"

static struct {
    GThread *thread;
    GMutex mutex;
    GCond ended_cond;
    gboolean ended;
    gint64 began;
    double hint_s, limit_s;
} hint;

static void say(void) {
    const launcher_t launcher = launcher_read();
    const gulong others = (gulong)(launcher.size - launcher.host_size);
    const char *chosen = g_getenv(HOSTS_CHOSEN);
    interface_t list[HOSTS_INTERFACES];
    const int n = hosts_interfaces(list);
    g_autoptr(GString) here = g_string_new(n > 0 ? NULL : "no network");
    for (int i = 0; i < n; i++)
        g_string_append_printf(here, "%s%s %s", i > 0 ? ", " : "", list[i].name, list[i].address);
    g_autofree char *choose = hosts_choose(n > 0 ? list[0].name : "eth0");
    g_autofree char *why =
        chosen ? g_strdup_printf("MPI uses %s, as " HOSTS_CHOSEN " says: do all hosts have it, and do "
                                 "firewalls let TCP pass there?",
                                 chosen)
               : g_strdup_printf("MPI hangs where it tries an address that several hosts have, such as that "
                                 "of a virtual bridge (docker0, virbr0); name the network between the "
                                 "hosts: %s",
                                 choose);
    program_say("rank 0 on %s has waited %.0f s for %lu %s of other hosts. If that does not end: %s. This "
                "host has %s\n",
                g_get_host_name(), hint.hint_s, others, g_dngettext(NULL, "rank", "ranks", others), why,
                here->str);
}

/* Whether the start still lasts so many seconds after its beginning. */
static gboolean lasts(double seconds) {
    const gint64 until = hint.began + (gint64)(seconds * G_USEC_PER_SEC);
    g_mutex_lock(&hint.mutex);
    while (!hint.ended && g_cond_wait_until(&hint.ended_cond, &hint.mutex, until)) continue;
    const gboolean ended = hint.ended;
    g_mutex_unlock(&hint.mutex);
    return !ended;
}

static gpointer wait_and_say(G_GNUC_UNUSED gpointer data) {
    if (!lasts(hint.hint_s)) return NULL;
    say();
    if (!lasts(hint.limit_s)) return NULL;
    program_say("rank 0 on %s has waited %.0f s for MPI to start, and gives up with status %d: start again\n",
                g_get_host_name(), hint.limit_s, EXIT_STOPPED_EARLY);
    _exit(EXIT_STOPPED_EARLY);
}

void start_hint_begin(double hint_s, double limit_s) {
    const launcher_t launcher = launcher_read();
    if (launcher.rank != 0 || launcher.host_size < 0 || launcher.size <= launcher.host_size) return;
    hint.began = g_get_monotonic_time();
    hint.hint_s = hint_s;
    hint.limit_s = limit_s;
    hint.thread = program_start_thread("start hint", wait_and_say, NULL);
}

void start_hint_end(void) {
    if (!hint.thread) return;
    g_mutex_lock(&hint.mutex);
    hint.ended = TRUE;
    g_cond_signal(&hint.ended_cond);
    g_mutex_unlock(&hint.mutex);
    g_thread_join(hint.thread);
    hint.thread = NULL;
}
