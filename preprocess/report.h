/* report: report.tsv, one row an input file, and the summary of a run. */
#ifndef MPIANIST_PREPROCESS_REPORT_H
#define MPIANIST_PREPROCESS_REPORT_H

#include "preprocess/entry.h"
#include "preprocess/find.h"

/* What a run knows of an input file. */
typedef struct report_row {
    const found_t *found;
    entry_t entry;
    gint64 offset;                 /* of its bits in the spool */
    split_t split;                 /* where kept */
    const struct report_row *twin; /* an earlier file with the same roll, or the same transposed; or NULL */
    gboolean transposed;           /* twin is a transposition */
} report_row_t;

/* Writes folder/report.tsv, atomically. Columns: path, status (kept, dropped), reason, notes, frames, tempo_bpm, meter, tracks, duplicate_of, split, out_of_range, folded,
 * drums_left_out, warnings, sha256. Tabs, line ends and backslashes in names are written as \t, \n, \\. FALSE with error set. */
gboolean report_write(const char *folder, const report_row_t *rows, size_t n, const grid_t *grid, GError **error);

/* A few lines for people on standard error: how many files were kept, and why others were not. */
void report_summarize(const report_row_t *rows, size_t n, const char *folder);

#endif
