/* corpus: from files and folders to a folder of shards: find, order, parse in workers, deduplicate, split,
 * report. */
#pragma once

#include "preprocess/corpus/song_file.h"
#include "preprocess/shard/shard.h"

#define CORPUS_MAX_JOBS 64

typedef struct {
    layout_t layout;
    char **inputs;    /* files and folders, NULL-terminated; or NULL */
    char *files_from; /* NULL, or a file of paths, a line each; "-" for standard input */
    char *output;     /* folder */
    int jobs;         /* worker processes at once, >= 1; the output does not depend on it */
    worker_limits_t limits;
    double split[SPLIT_COUNT]; /* percent, sum 100 */
    gboolean split_by_folder;  /* folders named train, valid, test decide, and duplicates stay */
    gboolean drop_transposed;  /* drop also songs that are another one transposed */
    int64_t shard_frames;      /* a shard is closed once it has this many frames, >= 1 */
    gboolean dry_run;          /* only the report */
    /* Parse part `part` of `parts`, from 1, and leave the rest to a join; parts 0: all in one run. */
    int part, parts;
    gboolean join;    /* make the shards of parts that were parsed before */
    gboolean replace; /* remove shards of another corpus from output */
    gboolean quiet;   /* errors only */
} corpus_options_t;

/* Runs the whole pipeline, or the part of it that is asked for. FALSE with error set. Files that fail are
 * rows of the report, not errors; no file kept at all is an error. */
gboolean corpus_run(const corpus_options_t *options, GError **error);

/* Prints what a folder of shards holds to standard output: songs, frames, notes by split, grid, tracks, and
 * the independent Bernoulli baseline in nats a frame (fitted on train with +0.5 smoothing, sounding plane,
 * per key) for each split. */
gboolean corpus_info(const char *folder, GError **error);
