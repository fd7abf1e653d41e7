/* Where an epoch's time went: two ranks of which one is late, one rank alone, and what people read. */
#include "trainer/parallel/time_shares.h"

static const watch_times_t TWO[] = {
    {.seconds = {[PHASE_DATA] = 1, [PHASE_COMPUTE] = 6, [PHASE_EXCHANGE] = 10, [PHASE_CHECKPOINT] = 3},
     .waiting = {[PHASE_COMPUTE] = 1, [PHASE_EXCHANGE] = 9, [PHASE_CHECKPOINT] = 3},
     .hidden = 2},
    {.seconds = {[PHASE_DATA] = 2,
                 [PHASE_COMPUTE] = 12,
                 [PHASE_EXCHANGE] = 2,
                 [PHASE_VALIDATE] = 1,
                 [PHASE_CHECKPOINT] = 3},
     .waiting = {[PHASE_EXCHANGE] = 2, [PHASE_VALIDATE] = 1},
     .hidden = 1}};

static void near(double value, double wanted) { g_assert_cmpfloat_with_epsilon(value, wanted, 1e-12); }

/* The first rank is 11 s in calls that both must come to, the second one 3 s. */
static void test_late(void) {
    time_shares_t shares;
    time_shares_of(TWO, 2, &shares);
    near(shares.wall_s, 20);
    near(shares.compute, 17.0 / 40);
    near(shares.data, 3.0 / 40);
    near(shares.validation, 0);
    near(shares.exchange, 6.0 / 40);
    near(shares.hidden, 3.0 / 40);
    near(shares.waiting, 8.0 / 40);
    near(shares.checkpoint, 6.0 / 40);
    near(shares.efficiency, (17.0 + 3 + 3) / 40);
    g_assert_cmpint(shares.late, ==, 1);
    g_strlcpy(shares.late_host, "h2", sizeof shares.late_host);
    g_autofree char *text = time_shares_text(&shares);
    g_assert_cmpstr(
        text, ==,
        "compute 42 %, exchange 15 % (8 % more behind compute), waiting 20 % (for rank 1 on h2), data 8 %, "
        "checkpoint 15 %; efficiency against one rank 57 %");
}

static void test_one(void) {
    time_shares_t shares;
    const watch_times_t one = {.seconds = {[PHASE_COMPUTE] = 9.97, [PHASE_DATA] = 0.03}};
    time_shares_of(&one, 1, &shares);
    near(shares.waiting, 0);
    near(shares.efficiency, 1);
    g_autofree char *text = time_shares_text(&shares);
    g_assert_cmpstr(text, ==, "compute 100 %");
    time_shares_of(&(watch_times_t){.seconds = {0}}, 1, &shares);
    near(shares.compute, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/time_shares/late", test_late);
    g_test_add_func("/time_shares/one", test_one);
    return g_test_run();
}
