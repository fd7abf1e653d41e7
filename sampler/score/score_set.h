/* score_set: the pieces that are scored and those they are compared with, on one grid: from MIDI files, or a
 * split of a folder of shards. */
#pragma once

#include "preprocess/shard/shard.h"

typedef struct {
    char *name; /* of a file: its path; of a song in shards: its path in the corpus */
    roll_t *roll;
    timeline_t *timeline; /* by which its bars are counted */
    double tempo_bpm;     /* its main ones */
    meter_t meter;
} score_piece_t;

typedef struct {
    grid_t grid;
    size_t n, skipped; /* skipped: files that could not be used */
    score_piece_t *pieces;
} score_set_t;

/* Files and folders, found as preprocess finds them (preprocess/corpus/find.h), each laid on grid in a
 * process of its own. A file that cannot be used (damaged, no notes) is named on standard error and counted.
 * NULL with error set where a name is not there or no file is left. Owner: caller. */
score_set_t *score_set_read(char *const *inputs, const grid_t *grid, GError **error);

/* The songs of a split of a folder of shards, on the shards' grid. May have n = 0. NULL with error set: file,
 * cause, way out. Owner: caller. */
score_set_t *score_set_open(const char *folder, split_t split, GError **error);

void score_set_free(score_set_t *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(score_set_t, score_set_free)

/* Takes meter in place of the pieces' own: not every file has its meter right. */
void score_set_use_meter(score_set_t *set, meter_t meter);
