/* budget: the numbers behind `auto`: how long a run of the sequence model is, and how large its steps are, by
 * the lengths of the training songs alone. No MPI, no files.
 *
 * Learning takes a number of frames rather than of epochs: 2 million for a corpus of up to 20,000 frames, and
 * for larger ones more by the cube root of their size: --epochs is as many passes, from 2 to 400.
 *
 * --chunk: 0, whole pieces, where 95 % of the songs have at most 160 frames (and none has more than 1,000).
 * Else 128 frames, or 64 where songs have more than 400 on average;
 * but 8 segments at least, and rounded up to where chunks may begin (model_alignment()).
 *
 * --batch: as many pieces as have 500 frames together, but where the corpus has 50,000 frames or more, 12 of
 * them, or as many as have from 768 to 1,536. From 4 to 64, at least 8 steps an epoch unless these had fewer
 * than 4, and no fewer than --accumulate.
 *
 * --validate-every: as many epochs as lie between twenty validations of a run. */
#pragma once

#include "trainer/run/options.h"

/* Replaces each OPTIONS_AUTO by its number; others stay, and those that depend on them follow them. frames
 * [n]: of each training song; n may be 0. Returns what was chosen as text, such as "--batch 8 --epochs 145",
 * or NULL where nothing was. Owner: caller. */
char *budget_choose(options_t *options, const int64_t *frames, size_t n);
