/* fit_guide: runs `trainer --masks CHECKPOINT`, which learns a guide (trainer/model/guide.h) for a model of
 * kind MODEL_SEQUENCE, whose own weights stay as they are, from all training songs, and keeps it in the
 * checkpoint. */
#pragma once

#include "trainer/run/options.h"

/* Learns the guide. Songs are divided among the ranks by frames, and gradients are summed over ranks. Rank 0
 * rewrites the checkpoint and prints a line of JSON to standard output and a table to standard error: nats a
 * frame in which something is not known, of what is not, by the model alone and with the guide, on the songs
 * for validation (where there are none, on those for training). Collective. Returns an exit status; errors
 * are agreed and set on every rank. */
int guide_run(const options_t *options, GError **error);
