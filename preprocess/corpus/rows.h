/* rows: what a run keeps in memory of each file: what tells duplicates, where its record lies, what becomes
 * of it. The rest stays in the spool. */
#ifndef MPIANIST_PREPROCESS_CORPUS_ROWS_H
#define MPIANIST_PREPROCESS_CORPUS_ROWS_H

#include "preprocess/corpus/parsed_cache.h"

#define ROW_NONE G_MAXUINT32

/* Why a file that could be parsed is dropped all the same. */
typedef enum { ROW_STAYS, ROW_DUPLICATE, ROW_TRANSPOSED, ROW_NO_SPLIT } row_drop_t;

typedef struct {
    digest_t content, shape; /* of a parsed file, as in song_file_t */
    gint64 at;               /* of its record in the spool of its part; 0: none yet */
    guint32 twin;      /* index of an earlier file with the same roll, or the same transposed; or ROW_NONE */
    guint16 part;      /* which part parses it, from 0 */
    guint8 split;      /* split_t, where kept */
    guint8 drop;       /* row_drop_t */
    guint8 kept;       /* in the shards */
    guint8 transposed; /* twin is a transposition */
} row_t;

/* One a file. Owner: caller, g_free(). */
row_t *rows_new(size_t n);
/* Keeps of an entry what the row has room for. */
void rows_take(row_t *row, const song_file_t *entry, gint64 at);
/* Takes from a spool what it holds of the files of a part; layout as in parsed_cache_key(). Files that could
 * not be read to their end are left out where `again`, to be tried again: the limits may be others then.
 * Returns the seal's text, owner: caller, or NULL (parsed_cache_load()). */
char *rows_load(row_t *rows, const found_list_t *files, guint16 part, const char *layout, gboolean again,
                parsed_cache_t *spool);
/* How many files of a part have no record yet. */
size_t rows_missing(const row_t *rows, size_t n, guint16 part);

/* Names each row's earlier twin, and drops the exact ones (`exact`) and the transposed ones (`transposed`).
 * */
void rows_find_twins(row_t *rows, size_t n, gboolean exact, gboolean transposed);
/* Gives each kept row its split: by its shape, in percent; or, where percent is NULL, by the folder, and
 * drops those in none. */
void rows_choose_splits(row_t *rows, const found_list_t *files, const double *percent);

/* The reason, for the report: "" of ROW_STAYS. */
const char *rows_drop_reason(row_drop_t drop);

#endif
