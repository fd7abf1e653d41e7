/* train: the training loop. */
#ifndef MPIANIST_TRAINER_TRAIN_H
#define MPIANIST_TRAINER_TRAIN_H

#include "trainer/options.h"

/* Exit statuses (sysexits' EX_TEMPFAIL for "submit again"). */
enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_STOPPED_EARLY = 75 };

#define TRAIN_ERROR train_error_quark()
GQuark train_error_quark(void);
typedef enum { TRAIN_ERROR_DATA, TRAIN_ERROR_NOT_FINITE } train_error_t;

/* Trains. Collective. Returns an exit status; errors are agreed and set on every rank (rank 0 prints). */
int train_run(const options_t *options, GError **error);

#endif
