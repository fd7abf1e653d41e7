/* train: the training loop. */
#pragma once

#include "trainer/run/options.h"

/* Trains. Collective. Returns an exit status; errors are agreed and set on every rank (rank 0 prints). */
int train_run(const options_t *options, GError **error);
