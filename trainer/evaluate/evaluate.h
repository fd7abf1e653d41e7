/* evaluate: `trainer --evaluate CHECKPOINT`: the figures by which models are compared. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/run/options.h"

/* Rank 0 prints a line of JSON a split to standard output and a table to standard error. Collective. Returns
 * an exit status; errors are agreed and set on every rank. */
int evaluate_run(const options_t *options, GError **error);

/* Loads the songs and, with its weights, the model of the checkpoint at path; each of the splits must have
 * songs, on the checkpoint's grid. Fills in the job's data and model, for evaluate_close(), seed, max_B (the
 * model's) and quiet. Collective. FALSE with the same error set on all ranks. */
gboolean evaluate_open(evaluation_job_t *job, const options_t *options, const char *path,
                       const checkpoint_t *checkpoint, const option_splits_t *splits, GError **error);
void evaluate_close(evaluation_job_t *job);

/* A line of results to standard output, written at once. FALSE with error set where it takes no
 * more. */
gboolean evaluate_print_line(const char *text, GError **error);
