/* report: report.tsv, a row for each input file, and the summary of a run. Written row by row, so that memory
 * does not grow with the files. */
#pragma once

#include "preprocess/common/owner.h"
#include "preprocess/corpus/song_file.h"
#include "preprocess/shard/shard.h"

/* What a run knows of an input file. */
typedef struct {
    const char *name;          /* as in found_t */
    const song_file_t *parsed; /* with the reason of a file that was dropped after it was parsed */
    split_t split;             /* where kept */
    const char *twin;    /* name of an earlier file with the same roll, or the same transposed; or NULL */
    gboolean transposed; /* twin is a transposition */
} report_row_t;

typedef struct report report_t;

/* Begins folder/report.tsv, which takes the place of an older one at report_commit(). Columns: path, status
 * (kept, dropped), reason, notes, frames, tempo_bpm, meter, tracks, duplicate_of, split, the counts of
 * docs/formats.md, sha256. Tabs, line ends and backslashes in names are written as \t, \n, \\. NULL with
 * error set. Owner: caller. */
report_t *report_new(const char *folder, const grid_t *grid, GError **error);
/* Adds a row. report_commit() tells of a write that failed. */
void report_add(report_t *report, const report_row_t *row);
/* Gives the file, whose rows are complete, its name, if owner is still the owner. FALSE with error set; the
 * older report then stands. */
gboolean report_commit(report_t *report, owner_t *owner, GError **error);
/* A few lines for people on standard error: how many files were kept, and why others were not. */
void report_summarize(const report_t *report);
/* Frees report; without a commit nothing of it is left on disk. NULL is allowed. */
void report_free(report_t *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(report_t, report_free)
