/* time_shares: owns what counts as which share. */
#include "trainer/parallel/time_shares.h"

#define TOLD 0.005 /* the least share that is told */

/* What a rank spent in calls that all ranks must come to, but for those within a checkpoint. */
static double together(const watch_times_t *times) {
    static const phase_t phases[] = {PHASE_DATA, PHASE_COMPUTE, PHASE_VALIDATE};
    double seconds = times->seconds[PHASE_EXCHANGE];
    for (size_t i = 0; i < G_N_ELEMENTS(phases); i++) seconds += times->waiting[phases[i]];
    return seconds;
}

static double alone(const watch_times_t *times, phase_t phase) {
    return times->seconds[phase] - times->waiting[phase];
}

void time_shares_of(const watch_times_t *times, int n, time_shares_t *shares) {
    double all_together = 0;
    *shares = (time_shares_t){.ranks = n};
    for (int r = 0; r < n; r++) {
        shares->compute += alone(&times[r], PHASE_COMPUTE);
        shares->hidden += times[r].hidden;
        shares->data += alone(&times[r], PHASE_DATA);
        shares->validation += alone(&times[r], PHASE_VALIDATE);
        shares->checkpoint += times[r].seconds[PHASE_CHECKPOINT];
        all_together += together(&times[r]);
        if (together(&times[r]) < together(&times[shares->late])) shares->late = r;
    }
    shares->exchange = together(&times[shares->late]) * n;
    shares->waiting = all_together - shares->exchange;
    const double useful = shares->compute + shares->data + shares->validation,
                 all = useful + shares->checkpoint + all_together;
    double *const parts[] = {&shares->compute, &shares->hidden,     &shares->exchange,  &shares->waiting,
                             &shares->data,    &shares->validation, &shares->checkpoint};
    shares->wall_s = all / n;
    shares->efficiency = all > 0 ? (useful + shares->checkpoint / n) / all : 0;
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) *parts[i] = all > 0 ? *parts[i] / all : 0;
}

void time_shares_take(time_shares_t *shares) {
    watch_times_t mine;
    watch_take_times(&mine);
    g_autofree watch_times_t *all = g_new(watch_times_t, comm_size());
    comm_gather(&mine, sizeof mine, all);
    time_shares_of(all, comm_size(), shares);
    g_autofree char *host = comm_broadcast_string(comm_host(), shares->late);
    g_strlcpy(shares->late_host, host, sizeof shares->late_host);
}

char *time_shares_text(const time_shares_t *shares) {
    const struct {
        const char *name;
        double share;
    } parts[] = {{"compute", shares->compute},       {"exchange", shares->exchange},
                 {"waiting", shares->waiting},       {"data", shares->data},
                 {"validation", shares->validation}, {"checkpoint", shares->checkpoint}};
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (parts[i].share < TOLD) continue;
        g_string_append_printf(text, "%s%s %.0f %%", text->len ? ", " : "", parts[i].name,
                               100 * parts[i].share);
        if (g_str_equal(parts[i].name, "exchange") && shares->hidden >= TOLD)
            g_string_append_printf(text, " (%.0f %% more behind compute)", 100 * shares->hidden);
        if (g_str_equal(parts[i].name, "waiting"))
            g_string_append_printf(text, " (for rank %d on %s)", shares->late, shares->late_host);
    }
    if (shares->ranks > 1)
        g_string_append_printf(text, "; efficiency against one rank %.0f %%", 100 * shares->efficiency);
    return g_string_free(text, FALSE);
}
