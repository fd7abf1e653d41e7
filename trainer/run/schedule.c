/* schedule: owns how options become the learning rate and loss weights of a step. Refuses nothing. */
#include "trainer/run/schedule.h"

#include <math.h>

#define MULTIPLIER_SPEED 0.02 /* a step, of its logarithm */

void schedule_init(schedule_t *schedule, const options_t *options, int64_t total_steps) {
    *schedule = (schedule_t){.options = options, .total_steps = total_steps};
    schedule->decay = g_str_equal(options->decay, "cosine") ? DECAY_COSINE : DECAY_CONSTANT;
    schedule->beta_steps = options_span_steps(&options->beta_steps, total_steps);
    schedule->free_bits_steps = options_span_steps(&options->free_bits_steps, total_steps);
}

double schedule_rate(const schedule_t *schedule, int64_t step) {
    const options_t *options = schedule->options;
    return optimizer_schedule(options->learning_rate, schedule->decay, step, options->warmup_steps,
                              schedule->total_steps, options->final_rate);
}

static double line(double start, double end, int64_t step, int64_t steps) {
    return step >= steps ? end : start + (end - start) * (double)step / (double)steps;
}

model_objective_t schedule_objective(const schedule_t *schedule, int64_t step, double multiplier,
                                     double scale) {
    const options_t *options = schedule->options;
    if (options_hold_rate(options))
        return (model_objective_t){.beta = multiplier, .auxiliary = options->auxiliary, .scale = scale};
    return (model_objective_t){
        .beta = line(options->beta_start, options->beta, step, schedule->beta_steps),
        .free_bits = line(options->free_bits_start, options->free_bits, step, schedule->free_bits_steps),
        .auxiliary = options->auxiliary,
        .scale = scale};
}

double schedule_multiplier(const schedule_t *schedule, int64_t step, double multiplier,
                           const training_sums_t *losses) {
    const options_t *options = schedule->options;
    if (!options_hold_rate(options) || losses->segments <= 0) return multiplier;
    const double pace =
                     options->learning_rate > 0 ? schedule_rate(schedule, step) / options->learning_rate : 0,
                 wanted = options->latent_rate.nats * losses->segments +
                          options->latent_rate.share * (losses->nll + losses->kl),
                 off = log(MAX(losses->kl, 0) / wanted);
    return CLAMP(multiplier * exp(MULTIPLIER_SPEED * pace * CLAMP(off, -1, 1)), MULTIPLIER_LEAST,
                 MULTIPLIER_MOST);
}

schedule_judge_t schedule_judge(const options_t *options) {
    if (!options_hold_rate(options))
        return (schedule_judge_t){.beta = options->beta, .free_bits = options->free_bits};
    return (schedule_judge_t){
        .beta = 1, .free_bits = options->latent_rate.nats, .free_share = options->latent_rate.share};
}
