/* fit_attributes: `trainer --attributes CHECKPOINT`: vectors of attributes from the segments of all training
 * songs, kept in the checkpoint (trainer/model/attributes.h). */
#pragma once

#include "trainer/run/options.h"

/* Songs are divided among the ranks by frames; the result does not depend on the rank count but by rounding.
 * The last segment of a song, filled up with silence where the song ends inside it, counts only where the
 * song has no other. Rank 0 rewrites the checkpoint and prints a line of JSON an attribute to standard
 * output, a table to standard error. Collective. Returns an exit status; errors are agreed and set on every
 * rank. */
int attributes_run(const options_t *options, GError **error);
