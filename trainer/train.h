/* train: the training loop, and evaluation of a checkpoint. */
#ifndef MPIANIST_TRAINER_TRAIN_H
#define MPIANIST_TRAINER_TRAIN_H

#include "trainer/options.h"

/* Exit statuses (sysexits' EX_TEMPFAIL for "submit again"). */
enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_STOPPED_EARLY = 75 };

/* Trains. Collective. Returns an exit status; errors are agreed and set on every rank (rank 0 prints). */
int train_run(const options_t *options, GError **error);
/* --evaluate: prints one line of JSON a figure set to standard output (rank 0) and a table to standard error. Collective. */
int train_evaluate(const options_t *options, GError **error);

#endif
