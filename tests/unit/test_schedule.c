/* The multiplier of --latent-rate: which way it goes, how fast, how far; that it finds the weight at which a
 * latent has its rate; what it takes the place of. */
#include <math.h>

#include "tests/helpers/run_options.h"
#include "trainer/run/schedule.h"

enum { STEPS = 1000 };

/* After a step whose segments have this rate. */
static double after(const schedule_t *schedule, int64_t step, double multiplier, double rate) {
    return schedule_multiplier(
        schedule, step, multiplier,
        &(training_sums_t){.windows = 4, .frames = 80, .segments = 20, .kl = 20 * rate});
}

static void assert_near(double a, double b) { g_assert_cmpfloat(fabs(a / b - 1), <, 1e-12); }

static void test_direction(void) {
    g_autoptr(options_t) options = parsed("--model sequence --latent-rate 8");
    schedule_t schedule;
    schedule_init(&schedule, options, STEPS);
    g_assert_cmpfloat(after(&schedule, 0, 0.3, 8), ==, 0.3);
    assert_near(after(&schedule, 0, 0.3, 8 * exp(0.5)), 0.3 * exp(0.01)); /* spends too much: dearer */
    assert_near(after(&schedule, 0, 0.3, 8 * exp(-0.5)), 0.3 * exp(-0.01));
    assert_near(after(&schedule, 0, 0.3, 1e6), 0.3 * exp(0.02)); /* 2 % a step at most */
    assert_near(after(&schedule, 0, 0.3, 1e-6), 0.3 * exp(-0.02));
    assert_near(after(&schedule, 0, 0.3, 0), 0.3 * exp(-0.02));      /* a latent that is ignored */
    assert_near(after(&schedule, 0, 0.3, -1e-18), 0.3 * exp(-0.02)); /* and rounding */
}

/* By the share of what a segment costs: whatever that is. */
static void test_share(void) {
    g_autoptr(options_t) options =
        options_from_text("[model]\nmodel=sequence\n[training]\nlatent-rate=40 %\n", "text", NULL);
    schedule_t schedule;
    schedule_init(&schedule, options, STEPS);
    for (double cost = 1; cost < 1e6; cost *= 100) {
        training_sums_t losses = {.segments = 3, .nll = 0.6 * cost, .kl = 0.4 * cost};
        assert_near(schedule_multiplier(&schedule, 0, 0.3, &losses), 0.3);
        losses.kl = 0.6 * cost;
        assert_near(schedule_multiplier(&schedule, 0, 0.3, &losses), 0.3 * exp(0.02 * log(0.5 / 0.4)));
        losses.kl = 0.2 * cost;
        assert_near(schedule_multiplier(&schedule, 0, 0.3, &losses), 0.3 * exp(0.02 * log(0.25 / 0.4)));
    }
    const schedule_judge_t judge = schedule_judge(options);
    g_assert_true(judge.beta == 1 && judge.free_bits == 0 && judge.free_share == 0.4);
}

static void test_range(void) {
    g_autoptr(options_t) options = parsed("--model sequence --latent-rate 8");
    schedule_t schedule;
    double most = MULTIPLIER_START, least = MULTIPLIER_START;
    schedule_init(&schedule, options, STEPS);
    for (int step = 0; step < STEPS; step++) {
        most = after(&schedule, step, most, 1000);
        least = after(&schedule, step, least, 0);
    }
    g_assert_cmpfloat(most, ==, MULTIPLIER_MOST);
    g_assert_cmpfloat(least, ==, MULTIPLIER_LEAST);
    g_assert_cmpfloat(after(&schedule, 0, most, 1), <, most); /* neither is where it stays */
    g_assert_cmpfloat(after(&schedule, 0, least, 100), >, least);
}

/* It goes as fast as the weights do. */
static void test_pace(void) {
    g_autoptr(options_t) options = parsed("--model sequence --latent-rate 8 --learning-rate 0.02 "
                                          "--warmup-steps 100 --decay cosine --final-rate 0.1");
    schedule_t schedule;
    schedule_init(&schedule, options, STEPS);
    const int64_t steps[] = {0, 49, 99, 500, STEPS - 1};
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
        assert_near(after(&schedule, steps[i], 0.3, 1000),
                    0.3 * exp(0.02 * schedule_rate(&schedule, steps[i]) / 0.02));
    g_assert_cmpfloat(after(&schedule, 0, 0.3, 1000), <, 0.3001);
    g_assert_cmpfloat(after(&schedule, STEPS - 1, 0.3, 1000), <, 0.301);
}

/* A latent that spends c / multiplier nats, once it has had some fifty steps to get used to it: the
 * multiplier becomes c / R, whether that is more or less than where it began, and stays. */
static void test_finds(void) {
    g_autoptr(options_t) options = parsed("--model sequence --latent-rate 8");
    const double wanted[] = {0.02, 0.1, 1, 6};
    schedule_t schedule;
    schedule_init(&schedule, options, STEPS);
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        double multiplier = MULTIPLIER_START, rate = 30;
        for (int step = 0; step < STEPS; step++) {
            rate *= pow(8 * wanted[i] / multiplier / rate, 0.02);
            multiplier = after(&schedule, 0, multiplier, rate);
            if (step >= STEPS * 3 / 4) {
                g_assert_cmpfloat(fabs(rate / 8 - 1), <, 0.1);
                g_assert_cmpfloat(fabs(multiplier / wanted[i] - 1), <, 0.2);
            }
        }
    }
}

static void test_objective(void) {
    g_autoptr(options_t) plain = parsed("--model sequence --beta 0.7 --free-bits 3"),
                         held = parsed("--preset chorales --latent-rate 8");
    schedule_t schedule;
    schedule_init(&schedule, plain, STEPS);
    model_objective_t objective = schedule_objective(&schedule, 5, 0.2, 1);
    schedule_judge_t judge = schedule_judge(plain);
    g_assert_true(objective.beta == 0.7 && objective.free_bits == 3);
    g_assert_true(judge.beta == 0.7 && judge.free_bits == 3);
    g_assert_cmpfloat(after(&schedule, 5, 0, 100), ==, 0);
    schedule_init(&schedule, held, STEPS);
    objective = schedule_objective(&schedule, 5, 0.2, 2);
    judge = schedule_judge(held);
    g_assert_true(objective.beta == 0.2 && objective.free_bits == 0);
    g_assert_true(objective.scale == 2 && objective.auxiliary == held->auxiliary && held->auxiliary > 0);
    g_assert_true(judge.beta == 1 && judge.free_bits == 8);
    const training_sums_t no_latent = {.windows = 4, .frames = 80};
    g_assert_cmpfloat(schedule_multiplier(&schedule, 5, 0.2, &no_latent), ==, 0.2);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schedule/direction", test_direction);
    g_test_add_func("/schedule/share", test_share);
    g_test_add_func("/schedule/range", test_range);
    g_test_add_func("/schedule/pace", test_pace);
    g_test_add_func("/schedule/finds", test_finds);
    g_test_add_func("/schedule/objective", test_objective);
    return g_test_run();
}
