/* rows: owns which files count as duplicates and which split a song falls in. Sorts indices by digests in
 * place of hash tables: four bytes a file. */
#include "preprocess/corpus/rows.h"

#include <string.h>

row_t *rows_new(size_t n) {
    row_t *rows = g_new0(row_t, n);
    for (size_t i = 0; i < n; i++) rows[i].twin = ROW_NONE;
    return rows;
}

/* The first half of a hexadecimal SHA-256. */
static digest_t digest_from_hex(const char *hex) {
    digest_t digest;
    for (size_t i = 0; i < sizeof digest.bytes; i++)
        digest.bytes[i] =
            (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return digest;
}

void rows_take(row_t *row, const song_file_t *entry, gint64 at) {
    row->at = at;
    row->kept = (guint8)entry->kept;
    if (!entry->kept) return;
    row->content = digest_from_hex(entry->content);
    row->shape = digest_from_hex(entry->shape);
}

static guint digest_hash(gconstpointer digest) {
    guint hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static gboolean digest_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(digest_t)) == 0; }

typedef struct {
    GHashTable *rows; /* digest_t of parsed_cache_key() -> row_t */
    gboolean again;
} wanted_t;

static void take_record(const digest_t *key, const song_file_t *entry, gint64 at, gpointer data) {
    const wanted_t *wanted = data;
    row_t *row = g_hash_table_lookup(wanted->rows, key);
    if (row && (entry->sha256[0] || !wanted->again)) rows_take(row, entry, at);
}

char *rows_load(row_t *rows, const found_list_t *files, guint16 part, const char *layout, gboolean again,
                parsed_cache_t *spool) {
    g_autoptr(GHashTable) table = g_hash_table_new(digest_hash, digest_equal);
    g_autofree digest_t *keys = g_new(digest_t, rows_missing(rows, files->n, part));
    for (size_t i = 0, n = 0; i < files->n; i++) {
        if (rows[i].part != part || rows[i].at != 0) continue;
        keys[n] = parsed_cache_key(&files->files[i], layout);
        g_hash_table_insert(table, &keys[n++], &rows[i]);
    }
    return parsed_cache_load(spool, take_record, &(wanted_t){table, again});
}

size_t rows_missing(const row_t *rows, size_t n, guint16 part) {
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) missing += rows[i].part == part && rows[i].at == 0;
    return missing;
}

static int by_digest(const digest_t *first, const digest_t *second, guint32 a, guint32 b) {
    const int order = memcmp(first, second, sizeof *first);
    return order ? order : (a > b) - (a < b);
}

static int by_content(gconstpointer a, gconstpointer b, gpointer data) {
    const row_t *rows = data;
    const guint32 first = *(const guint32 *)a, second = *(const guint32 *)b;
    return by_digest(&rows[first].content, &rows[second].content, first, second);
}

static int by_shape(gconstpointer a, gconstpointer b, gpointer data) {
    const row_t *rows = data;
    const guint32 first = *(const guint32 *)a, second = *(const guint32 *)b;
    return by_digest(&rows[first].shape, &rows[second].shape, first, second);
}

/* Points rows to the first of those with the same shape, then, which counts more, to the first of those with
 * the same content. */
static void link_twins(row_t *rows, guint32 *kept, size_t n_kept) {
    g_qsort_with_data(kept, (gint)n_kept, sizeof *kept, by_shape, rows);
    for (size_t i = 1, first = 0; i < n_kept; i++) {
        if (memcmp(&rows[kept[i]].shape, &rows[kept[first]].shape, sizeof(digest_t)) != 0) first = i;
        if (first < i) rows[kept[i]].twin = kept[first];
        rows[kept[i]].transposed = first < i;
    }
    g_qsort_with_data(kept, (gint)n_kept, sizeof *kept, by_content, rows);
    for (size_t i = 1, first = 0; i < n_kept; i++) {
        if (memcmp(&rows[kept[i]].content, &rows[kept[first]].content, sizeof(digest_t)) != 0) first = i;
        if (first == i) continue;
        rows[kept[i]].twin = kept[first];
        rows[kept[i]].transposed = FALSE;
    }
}

static void drop(row_t *row, row_drop_t why) {
    row->kept = FALSE;
    row->drop = (guint8)why;
}

void rows_find_twins(row_t *rows, size_t n, gboolean exact, gboolean transposed) {
    g_autofree guint32 *kept = g_new(guint32, n);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i].kept) kept[n_kept++] = (guint32)i;
    link_twins(rows, kept, n_kept);
    for (size_t i = 0; i < n; i++) {
        row_t *row = &rows[i];
        if (row->twin == ROW_NONE) continue;
        if (row->transposed ? transposed : exact) drop(row, row->transposed ? ROW_TRANSPOSED : ROW_DUPLICATE);
    }
}

/* By the hash of the shape: a song and its transpositions fall in one split, whatever else is there. */
static split_t split_of_shape(const digest_t *shape, const double *percent) {
    guint64 first = 0;
    for (size_t i = 0; i < 8; i++) first = first << 8 | shape->bytes[i];
    double at = (double)(first >> 12) / (double)(1ULL << 52) * 100, sum = 0;
    for (int split = 0; split < SPLIT_COUNT - 1; split++) {
        sum += percent[split];
        if (at < sum) return (split_t)split;
    }
    return SPLIT_TEST;
}

void rows_choose_splits(row_t *rows, const found_list_t *files, const double *percent) {
    for (size_t i = 0; i < files->n; i++) {
        row_t *row = &rows[i];
        if (!row->kept) continue;
        if (percent)
            row->split = (guint8)split_of_shape(&row->shape, percent);
        else if (files->files[i].has_split)
            row->split = (guint8)files->files[i].split;
        else
            drop(row, ROW_NO_SPLIT);
    }
}

const char *rows_drop_reason(row_drop_t drop) {
    switch (drop) {
    case ROW_DUPLICATE: return "duplicate";
    case ROW_TRANSPOSED: return "transposed duplicate";
    case ROW_NO_SPLIT: return "in no folder named train, valid or test (--split-by-folder)";
    default: return "";
    }
}
