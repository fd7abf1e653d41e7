/* Who is waited for, in words; what a rank does, and how long. */
#include <string.h>

#include "trainer/parallel/stall.h"

enum { RANKS = 7 };

/* Ranks on two hosts that all wait in the call after the 10th of step 812. */
static void fill(stall_rank_t *ranks) {
    for (int r = 0; r < RANKS; r++)
        ranks[r] = (stall_rank_t){.host = r < 3 ? "h1" : "h2",
                                  .place = {.step = 812, .phase = PHASE_EXCHANGE, .calls = 21},
                                  .phase_s = 299,
                                  .silent_s = 1,
                                  .heard = TRUE};
}

static void assert_said(const stall_rank_t *ranks, const char *wanted) {
    g_autofree char *text = stall_describe(ranks, RANKS, 300);
    g_assert_cmpstr(text, ==, wanted);
}

static void test_silent(void) {
    stall_rank_t ranks[RANKS];
    fill(ranks);
    ranks[3].silent_s = 298;
    ranks[3].place.phase = PHASE_DATA;
    ranks[5].place.calls = 20; /* of no account beside one that is silent */
    assert_said(ranks,
                "all wait for rank 3 on h2, which has been in data of step 812 since; not heard of for "
                "298 s");
    for (int r = 1; r < RANKS; r++) ranks[r].silent_s = 280;
    assert_said(ranks,
                "all wait for rank 1 on h1, rank 2 on h1, rank 3 on h2, rank 4 on h2 and 2 more; rank 1 "
                "has been in exchange of step 812 since; not heard of for 280 s");
}

static void test_behind(void) {
    stall_rank_t ranks[RANKS];
    fill(ranks);
    ranks[4].place = (watch_place_t){.step = 0, .phase = PHASE_START, .calls = 20};
    ranks[6].heard = FALSE;
    ranks[6].place = (watch_place_t){.calls = 0};
    assert_said(ranks,
                "all wait for rank 4 on h2, which has been in start for 300 s; never heard of: rank 6 on "
                "h2");
}

static void test_none_behind(void) {
    stall_rank_t ranks[RANKS];
    fill(ranks);
    assert_said(ranks,
                "all ranks are in exchange of step 812 and wait for messages: the network between hosts "
                "may be cut");
    for (int r = 0; r < RANKS; r++) ranks[r].place.calls = 20;
    ranks[0].heard = FALSE;
    assert_said(ranks, "all ranks are in exchange of step 812; never heard of: rank 0 on h1");
}

static void test_places(void) {
    const watch_place_t before = watch_place();
    watch_times_t times;
    watch_phase(PHASE_DATA, 7);
    watch_take_times(&times);
    g_usleep(30000);
    watch_phase(PHASE_COMPUTE, 7);
    watch_wait_begin();
    const watch_place_t inside = watch_place();
    g_usleep(20000);
    watch_wait_end();
    watch_tick();
    watch_take_times(&times);
    g_assert_cmpint(inside.step, ==, 7);
    g_assert_cmpint(inside.phase, ==, PHASE_COMPUTE);
    g_assert_cmpuint(inside.calls, ==, before.calls + 1);
    g_assert_cmpuint(watch_place().calls, ==, before.calls + 2);
    g_assert_cmpuint(watch_place().changes, ==, before.changes + 5);
    g_assert_cmpfloat(times.seconds[PHASE_DATA], >=, 0.03);
    g_assert_cmpfloat(times.seconds[PHASE_COMPUTE], >=, 0.02);
    g_assert_cmpfloat(times.waiting[PHASE_COMPUTE], >=, 0.02);
    g_assert_cmpfloat(times.waiting[PHASE_COMPUTE], <=, times.seconds[PHASE_COMPUTE]);
    g_assert_cmpfloat(times.waiting[PHASE_DATA], ==, 0);
    watch_take_times(&times);
    g_assert_cmpfloat(times.seconds[PHASE_DATA], ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stall/silent", test_silent);
    g_test_add_func("/stall/behind", test_behind);
    g_test_add_func("/stall/none_behind", test_none_behind);
    g_test_add_func("/stall/places", test_places);
    return g_test_run();
}
