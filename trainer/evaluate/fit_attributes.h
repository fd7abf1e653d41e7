/* fit_attributes: runs `trainer --attributes CHECKPOINT`, which fits vectors of attributes to the segments of
 * all training songs and keeps them in the checkpoint (trainer/model/attributes.h). */
#pragma once

#include "trainer/run/options.h"

/* Fits the vectors. Songs are divided among the ranks by frames; the result depends on the rank count only by
 * rounding. The last segment of a song, if silence fills it up, counts only if the song has no other. Rank 0
 * rewrites the checkpoint and prints a line of JSON an attribute to standard output, and a table to standard
 * error. Collective. Returns an exit status; errors are agreed and set on every rank. */
int attributes_run(const options_t *options, GError **error);
