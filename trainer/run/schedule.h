/* schedule: what changes from step to step: learning rate, KL weight, free bits. It depends on the step
 * alone, so that a resumed run continues alike; but for the multiplier of --latent-rate, which is learned and
 * so part of the checkpoint. No MPI, no files.
 *
 * --latent-rate holds the KL divergence of a segment, the rate of the latent, at R nats, where free bits only
 * let it be; or its share of what a segment costs, nll and KL together, which suits corpora and segments of
 * any kind. Its weight in the loss is the Lagrange multiplier of the constraint rate = R (as GECO has one of
 * the reconstruction; Rezende & Viola 2018, "Taming VAEs"). After each step
 *
 *     log multiplier += 0.02 * rate of learning / its peak * clamp(log(rate / R), -1, 1)
 *
 * by the sums over the step's global batch. So the latent becomes cheaper as long as it tells less than R,
 * whatever ignores it, and dearer as long as it tells more; no useless divergence is free. The multiplier is
 * the average over batches that GECO takes of the constraint: fifty steps move it by a factor of e. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/options.h"

/* The multiplier before the first step: the latent comes into use before it costs much. And its range. */
#define MULTIPLIER_START 0.1
#define MULTIPLIER_LEAST 1e-3
#define MULTIPLIER_MOST  1e2

typedef struct {
    const options_t *options; /* not owned */
    decay_t decay;
    int64_t total_steps, beta_steps, free_bits_steps;
} schedule_t;

/* Makes the schedule of a run of total_steps. options must outlive it. */
void schedule_init(schedule_t *schedule, const options_t *options, int64_t total_steps);
double schedule_rate(const schedule_t *schedule, int64_t step);
/* The weights of the loss at a step; multiplier: where there is --latent-rate. scale is passed on. */
model_objective_t schedule_objective(const schedule_t *schedule, int64_t step, double multiplier,
                                     double scale);
/* The multiplier after a step whose losses over all ranks are these; as it is without --latent-rate, or where
 * there is no latent. */
double schedule_multiplier(const schedule_t *schedule, int64_t step, double multiplier,
                           const training_sums_t *losses);
/* By what states of a run are compared, the same for all its steps:
 *     max(nll + beta * max(kl, free bits), nll / (1 - free share))
 * With --latent-rate beta is 1, and what it holds is free: no state is better for latents that tell less. */
typedef struct {
    double beta, free_bits, free_share;
} schedule_judge_t;
schedule_judge_t schedule_judge(const options_t *options);
