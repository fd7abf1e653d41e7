/* evaluate: `trainer --evaluate CHECKPOINT`: the figures by which models are compared. */
#ifndef MPIANIST_TRAINER_EVALUATE_EVALUATE_H
#define MPIANIST_TRAINER_EVALUATE_EVALUATE_H

#include "trainer/run/options.h"

/* Rank 0 prints a line of JSON a split to standard output and a table to standard error. Collective. Returns
 * an exit status; errors are agreed and set on every rank. */
int evaluate_run(const options_t *options, GError **error);

/* A line of results to standard output, written at once. FALSE with OPTION_ERROR_FILE set where it takes no
 * more. */
gboolean evaluate_print_line(const char *text, GError **error);

#endif
