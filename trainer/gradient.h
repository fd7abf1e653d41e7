/* gradient: a rank's part of a step's gradient. Its shares of the batch are computed one after the other;
 * what is final leaves by the exchange while the last one is computed. Where the exchange has grains, a share
 * is one, and has a gradient of its own until it is added to its sibling's: the order of sums is the
 * exchange's tree. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/rank_batches.h"
#include "trainer/parallel/exchange.h"

typedef struct gradient gradient_t;

/* model's gradient is in the exchange; all three outlive this. together: as rank_batches' configuration has
 * it. apart: the losses of each share, too, have a place of their own. NULL with MODEL_ERROR_MEMORY set.
 * Owner: caller. */
gradient_t *gradient_new(model_t *model, rank_batches_t *batches, exchange_t *exchange, size_t together,
                         gboolean apart, GError **error);
/* The most grains of a block that this rank keeps. */
size_t gradient_most_grains(const exchange_t *exchange);
void gradient_free(gradient_t *gradient);

/* Computes the gradient of a step that rank_batches_begin() has begun, and adds its plain losses to *sums,
 * or, apart, those of share i to sums[i]. number: of the step, for the watchdog. exchange_finish() comes
 * next. */
void gradient_compute(gradient_t *gradient, const model_objective_t *objective, int64_t number,
                      training_sums_t *sums);
