/* schedule: owns how options become the learning rate and loss weights of a step. Refuses nothing. */
#include "trainer/run/schedule.h"

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

model_objective_t schedule_objective(const schedule_t *schedule, int64_t step, double scale) {
    const options_t *options = schedule->options;
    return (model_objective_t){
        .beta = line(options->beta_start, options->beta, step, schedule->beta_steps),
        .free_bits = line(options->free_bits_start, options->free_bits, step, schedule->free_bits_steps),
        .auxiliary = options->auxiliary,
        .scale = scale};
}
