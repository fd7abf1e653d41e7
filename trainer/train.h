/* train: the training loop. */
#pragma once

#include "trainer/session.h"

/* Trains. Collective. Returns an exit status; errors are agreed and set on every rank (rank 0 prints). */
int train_run(options_t *options, GError **error);

/* Takes one step of a session that is open, as train_run() does; the next epoch begins where one ends,
 * without validation. Collective. FALSE with the same error set on all ranks. */
gboolean train_step(session_t *session, GError **error);
/* Whether all steps of the run are done. */
gboolean train_finished(const session_t *session);
