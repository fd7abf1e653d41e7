/* watchdog: owns the thread and what follows when a run stands still. The thread reads what watch has of the
 * main thread, calls no MPI, and writes no file. */
#include "trainer/parallel/watchdog.h"

#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stall.h"
#include "trainer/parallel/watch_post.h"

#define BEAT_S    1.0  /* between messages of a rank */
#define BEATS     8    /* at least so many messages a span */
#define UNHEARD_S 30.0 /* after which rank 0 says from which ranks no message comes */
#define FAREWELLS 3    /* datagrams may be lost */

typedef struct {
    watch_post_t *post;
    GThread *thread;
    int rank, size;
    int *leaders; /* of each rank's host [size] */
    char (*hosts)[COMM_HOST_BYTES];
    double span_s, beat_s;
    gint64 last_beat;
    double still_s;   /* since this rank, or on rank 0 any rank that it hears, got on */
    double age_s;     /* of the thread */
    uint64_t changes; /* of this rank, when it last looked */
    gboolean said;    /* that the run stands still, by this rank */
    /* rank 0 */
    stall_rank_t *ranks; /* [size]; its own too */
    gboolean unheard_said;
    /* others */
    gboolean answered;
    double unanswered_s;
    int deputy;
} watchdog_t;

static watchdog_t *dog;

static void leave(void) { _exit(EXIT_STOPPED_EARLY); }

static void say(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    program_say("%s\n", text);
}

static void say_end(const watchdog_t *d) {
    say("no step for %.0f s: giving up with status %d; the last checkpoint stays, and --resume auto goes on "
        "from there",
        d->still_s, EXIT_STOPPED_EARLY);
}

/* Whether the run gets on. */
static gboolean goes_on(watchdog_t *d) {
    if (d->still_s >= d->span_s) return FALSE;
    if (d->said) say("the run goes on");
    d->said = FALSE;
    return TRUE;
}

/* Whether a rank that does not hear all may judge by what it sees: once training has begun, no rank is
 * without a call that all must come to for as long as two spans. */
static gboolean may_judge(gboolean hears_all) { return hears_all || watch_place().step > 1; }

/* ---- rank 0 ---- */

static void take_message(watchdog_t *d, const watch_message_t *message) {
    stall_rank_t *rank = &d->ranks[message->rank];
    if (!rank->heard || rank->place.changes != message->changes) d->still_s = 0;
    rank->place = (watch_place_t){.step = message->step,
                                  .calls = message->calls,
                                  .changes = message->changes,
                                  .phase = (phase_t)message->phase};
    rank->phase_s = message->phase_s;
    rank->silent_s = 0;
    rank->heard = TRUE;
}

/* Whether a rank is not silent: one that was not heard yet has the time to be. */
static gboolean may_speak(const watchdog_t *d, int rank) {
    return !d->ranks || d->ranks[rank].silent_s <= d->span_s / 2;
}

/* The rank that speaks where rank 0 is silent: the lowest that may, on another host if there is one. All
 * ranks find the same one at the start; later rank 0 tells them. */
static int find_deputy(const watchdog_t *d) {
    int here = 0;
    for (int r = 1; r < d->size; r++) {
        if (!may_speak(d, r)) continue;
        if (d->leaders[r] != d->leaders[0]) return r;
        if (here == 0) here = r;
    }
    return here;
}

static void answer(watchdog_t *d, int rank, gboolean end) {
    const watch_message_t message = {.deputy = find_deputy(d), .leave = end};
    watch_post_send(d->post, rank, &message);
}

static void say_unheard(watchdog_t *d) {
    g_autofree gboolean *named = g_new0(gboolean, d->size);
    for (int r = 0; r < d->size; r++) named[r] = !d->ranks[r].heard;
    g_autofree char *names = stall_name(d->ranks, named, d->size);
    d->unheard_said = TRUE;
    if (names)
        say("no message comes from %s: where they stand cannot be told if the run stands still; let "
            "datagrams "
            "(UDP) pass between the hosts",
            names);
}

static gboolean hears_all(const watchdog_t *d) {
    for (int r = 0; r < d->size; r++)
        if (!d->ranks[r].heard) return FALSE;
    return TRUE;
}

static void end_all(watchdog_t *d) {
    say_end(d);
    for (int i = 0; i < FAREWELLS; i++) {
        for (int r = 1; r < d->size; r++) answer(d, r, TRUE);
        g_usleep(G_USEC_PER_SEC / 20);
    }
    leave();
}

static void judge(watchdog_t *d) {
    if (d->age_s >= UNHEARD_S && !d->unheard_said) say_unheard(d);
    if (goes_on(d)) return;
    if (!d->said) {
        g_autofree char *text = stall_describe(d->ranks, d->size, d->span_s);
        say("no step for %.0f s: %s", d->still_s, text);
    }
    d->said = TRUE;
    if (d->still_s >= 2 * d->span_s && may_judge(hears_all(d))) end_all(d);
}

/* ---- other ranks ---- */

static void take_answer(watchdog_t *d, const watch_message_t *message) {
    d->answered = TRUE;
    d->unanswered_s = 0;
    d->deputy = message->deputy;
    if (message->leave) leave();
}

static void judge_alone(watchdog_t *d) {
    const gboolean speaks = d->deputy == d->rank;
    if (goes_on(d) || d->unanswered_s < d->span_s / 2) return;
    if (!d->said && speaks)
        say("no step for %.0f s: all wait for rank 0 on %s, not heard of for %.0f s", d->still_s, d->hosts[0],
            d->unanswered_s);
    d->said = speaks;
    /* The one that speaks goes first: the launcher ends the others. */
    const double limit_s = 2 * d->span_s + (speaks ? 0 : 2 * d->beat_s);
    if (d->still_s < limit_s || d->unanswered_s < d->span_s || !may_judge(d->answered)) return;
    if (speaks) say_end(d);
    leave();
}

static void report(watchdog_t *d, const watch_place_t *place, gint64 now) {
    const watch_message_t message = {.rank = d->rank,
                                     .phase = place->phase,
                                     .step = place->step,
                                     .calls = place->calls,
                                     .changes = place->changes,
                                     .phase_s = (double)(now - place->since_us) / G_USEC_PER_SEC};
    if (d->rank == 0)
        take_message(d, &message);
    else
        watch_post_send(d->post, 0, &message);
}

/* ---- both ---- */

static void receive(watchdog_t *d) {
    watch_message_t message;
    while (watch_post_receive(d->post, &message)) {
        if (d->rank > 0) {
            take_answer(d, &message);
        } else {
            take_message(d, &message);
            answer(d, message.rank, FALSE);
        }
    }
}

/* A beat that comes late adds two beats at most: the thread, and with it most likely the whole job, did not
 * run meanwhile. */
static void beat(watchdog_t *d) {
    const gint64 now = g_get_monotonic_time();
    const double seconds = MIN((double)(now - d->last_beat) / G_USEC_PER_SEC, 2 * d->beat_s);
    const watch_place_t place = watch_place();
    d->last_beat = now;
    d->age_s += seconds;
    d->still_s += seconds;
    d->unanswered_s += seconds;
    for (int r = 0; r < d->size && d->ranks; r++) d->ranks[r].silent_s += seconds;
    if (place.changes != d->changes) d->still_s = 0;
    d->changes = place.changes;
    report(d, &place, now);
    receive(d); /* what came while the thread did not run counts before it judges */
    if (d->rank == 0)
        judge(d);
    else
        judge_alone(d);
}

static gpointer look_on(gpointer data) {
    watchdog_t *d = data;
    for (gint64 next = d->last_beat;;) {
        if (watch_post_wait(d->post, next)) return NULL;
        receive(d);
        if (g_get_monotonic_time() < next) continue;
        beat(d);
        next = d->last_beat + (gint64)(d->beat_s * G_USEC_PER_SEC);
    }
}

void watchdog_start(int span_s) {
    if (span_s == 0 || comm_size() == 1) return;
    watch_post_t *post = watch_post_new();
    if (!post) {
        if (comm_rank() == 0) say("no socket can be opened: nobody will tell if the run stands still");
        return;
    }
    const int size = comm_size(), leader = comm_node_leader();
    dog = g_new0(watchdog_t, 1);
    dog->post = post;
    dog->rank = comm_rank();
    dog->size = size;
    dog->span_s = span_s;
    dog->beat_s = MIN(BEAT_S, dog->span_s / BEATS);
    dog->hosts = g_malloc_n((gsize)size, sizeof *dog->hosts);
    dog->leaders = g_new(int, size);
    comm_gather(comm_host(), COMM_HOST_BYTES, dog->hosts);
    comm_gather(&leader, sizeof leader, dog->leaders);
    if (dog->rank == 0) dog->ranks = g_new0(stall_rank_t, size);
    for (int r = 0; r < size && dog->ranks; r++) dog->ranks[r].host = dog->hosts[r];
    dog->deputy = find_deputy(dog);
    dog->last_beat = g_get_monotonic_time();
    dog->thread = g_thread_new("watchdog", look_on, dog);
}

void watchdog_stop(void) {
    if (!dog) return;
    watch_post_end(dog->post);
    g_thread_join(dog->thread);
    watch_post_free(dog->post);
    g_free(dog->ranks);
    g_free(dog->leaders);
    g_free(dog->hosts);
    g_clear_pointer(&dog, g_free);
}
