/* schedule: what changes from step to step: learning rate, KL weight, free bits. It depends on the step
 * alone, so that a resumed run continues alike. No MPI, no files. */
#pragma once

#include "trainer/run/options.h"

typedef struct {
    const options_t *options; /* not owned */
    decay_t decay;
    int64_t total_steps, beta_steps, free_bits_steps;
} schedule_t;

/* Makes the schedule of a run of total_steps. options must outlive it. */
void schedule_init(schedule_t *schedule, const options_t *options, int64_t total_steps);
double schedule_rate(const schedule_t *schedule, int64_t step);
/* The weights of the loss at a step; scale is passed on as it is. */
model_objective_t schedule_objective(const schedule_t *schedule, int64_t step, double scale);
