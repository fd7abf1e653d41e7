/* rows: what a run keeps in memory of each file: what tells duplicates, where its record lies and what
 * becomes of it. The rest stays in the cache. */
#pragma once

#include "preprocess/corpus/parsed_cache.h"

#define ROW_NONE G_MAXUINT32

/* Why a file that could be parsed is dropped all the same. */
typedef enum { ROW_STAYS, ROW_DUPLICATE, ROW_TRANSPOSED, ROW_NO_SPLIT } row_drop_t;

typedef struct {
    digest_t content, shape; /* of a parsed file, as in song_file_t */
    gint64 at;               /* of its record in the cache of its part; 0: none yet */
    guint32 frames;          /* of its roll; 0 where it was not kept */
    guint32 twin;      /* index of an earlier file with the same roll, or the same transposed; or ROW_NONE */
    guint16 part;      /* which part parses it, from 0 */
    guint8 split;      /* split_t, where kept */
    guint8 drop;       /* row_drop_t */
    guint8 kept;       /* in the shards */
    guint8 transposed; /* twin is a transposition */
} row_t;

/* The rows of all files, and the options by which notes are laid on the grid, as parsed_cache_key() takes
 * them. */
typedef struct {
    const found_list_t *files; /* not owned; nor is layout */
    const char *layout;
    row_t *row; /* [files->n] */
} rows_t;

/* Owner: caller, rows_free(). */
rows_t *rows_new(const found_list_t *files, const char *layout);
void rows_free(rows_t *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(rows_t, rows_free)
/* Fills in a row from what was parsed of its file; at: the offset of its record. */
void rows_take(row_t *row, const song_file_t *parsed, gint64 at);
/* Fills in the rows of a part's files from the records of a cache. again: leaves out files that could not be
 * read to their end, so that they are tried again, as limits may have changed. Returns the seal's text,
 * owner: caller, or NULL (parsed_cache_load()). */
char *rows_load(rows_t *rows, int part, gboolean again, parsed_cache_t *cache);
/* How many files of a part have no record yet. */
size_t rows_missing(const rows_t *rows, int part);

/* Gives each row its earlier twin; drops the exact copies where `exact`, the transposed ones where
 * `transposed`. */
void rows_find_twins(rows_t *rows, gboolean exact, gboolean transposed);
/* Gives each kept row its split: by a hash of its shape, in these percentages [SPLIT_COUNT]; or, where
 * percent is NULL, by its folder, and drops those in none. */
void rows_choose_splits(rows_t *rows, const double *percent);

/* The reason as the report has it; "" for ROW_STAYS. */
const char *rows_drop_reason(row_drop_t drop);
