/* evaluate: runs `trainer --evaluate CHECKPOINT`, which prints the figures by which models are compared. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/run/options.h"

/* Evaluates each split. Rank 0 prints a line of JSON a split to standard output and a table to standard
 * error. Collective. Returns an exit status; errors are agreed and set on every rank. */
int evaluate_run(const options_t *options, GError **error);

/* Loads the songs, and the model with the weights of the checkpoint at path. Each of the splits must have
 * songs, and the data the checkpoint's grid. Fills in the job's data and model, seed, max_B (the model's) and
 * quiet. Collective. FALSE with the same error set on all ranks. Call evaluate_close() in both cases. */
gboolean evaluate_open(evaluation_job_t *job, const options_t *options, const char *path,
                       const checkpoint_t *checkpoint, const option_splits_t *splits, GError **error);
void evaluate_close(evaluation_job_t *job);

/* Makes rank 0 the owner of the folder whose checkpoint, behind links, will be written, and removes what
 * killed writers left there. Collective. FALSE with the same error set on all ranks. Owner: caller. */
gboolean evaluate_own_folder(const char *path, owner_t **owner, GError **error);
/* Writes a line of results to standard output and flushes it. FALSE with error set if that fails. */
gboolean evaluate_print_line(const char *text, GError **error);
