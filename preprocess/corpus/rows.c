/* rows: owns which files count as duplicates and which split a song falls in. Sorts indices by digests, which
 * takes four bytes a file, in place of hash tables. */
#include "preprocess/corpus/rows.h"

#include <string.h>

rows_t *rows_new(const found_list_t *files, const char *layout) {
    rows_t *rows = g_new(rows_t, 1);
    *rows = (rows_t){.files = files, .layout = layout, .row = g_new0(row_t, files->n)};
    for (size_t i = 0; i < files->n; i++) rows->row[i].twin = ROW_NONE;
    return rows;
}

void rows_free(rows_t *rows) {
    if (!rows) return;
    g_free(rows->row);
    g_free(rows);
}

/* The first half of a hexadecimal SHA-256. */
static digest_t digest_from_hex(const char *hex) {
    digest_t digest;
    for (size_t i = 0; i < sizeof digest.bytes; i++)
        digest.bytes[i] =
            (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return digest;
}

void rows_take(row_t *row, const song_file_t *parsed, gint64 at) {
    row->at = at;
    row->kept = (guint8)parsed->kept;
    row->frames = (guint32)parsed->frames;
    if (!parsed->kept) return;
    row->content = digest_from_hex(parsed->content);
    row->shape = digest_from_hex(parsed->shape);
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

static void take_record(const digest_t *key, const song_file_t *parsed, gint64 at, gpointer data) {
    const wanted_t *wanted = data;
    row_t *row = g_hash_table_lookup(wanted->rows, key);
    if (row && (parsed->sha256[0] || !wanted->again)) rows_take(row, parsed, at);
}

/* Whether a file is one of this part's and has no record yet. */
static gboolean is_missing(const row_t *row, int part) { return row->part == part && row->at == 0; }

char *rows_load(rows_t *rows, int part, gboolean again, parsed_cache_t *cache) {
    g_autoptr(GHashTable) table = g_hash_table_new(digest_hash, digest_equal);
    g_autofree digest_t *keys = g_new(digest_t, rows_missing(rows, part));
    for (size_t i = 0, n = 0; i < rows->files->n; i++) {
        if (!is_missing(&rows->row[i], part)) continue;
        keys[n] = parsed_cache_key(&rows->files->files[i], rows->layout);
        g_hash_table_insert(table, &keys[n++], &rows->row[i]);
    }
    return parsed_cache_load(cache, take_record, &(wanted_t){table, again});
}

size_t rows_missing(const rows_t *rows, int part) {
    size_t missing = 0;
    for (size_t i = 0; i < rows->files->n; i++) missing += (size_t)is_missing(&rows->row[i], part);
    return missing;
}

/* Order of two rows by the digest that lies `offset` bytes into a row, then by their indices. */
static int by_digest(const row_t *rows, guint32 a, guint32 b, size_t offset) {
    const int order =
        memcmp((const char *)&rows[a] + offset, (const char *)&rows[b] + offset, sizeof(digest_t));
    return order ? order : (a > b) - (a < b);
}

static int by_content(gconstpointer a, gconstpointer b, gpointer rows) {
    return by_digest(rows, *(const guint32 *)a, *(const guint32 *)b, offsetof(row_t, content));
}

static int by_shape(gconstpointer a, gconstpointer b, gpointer rows) {
    return by_digest(rows, *(const guint32 *)a, *(const guint32 *)b, offsetof(row_t, shape));
}

/* Sets each row's twin: the first row with its content or, where it is that one, with its shape. */
static void link_twins(row_t *rows, guint32 *kept, size_t n_kept) {
    g_qsort_with_data(kept, (gint)n_kept, sizeof *kept, by_shape, rows);
    for (size_t i = 1, first = 0; i < n_kept; i++) {
        if (!digest_equal(&rows[kept[i]].shape, &rows[kept[first]].shape)) first = i;
        if (first < i) rows[kept[i]].twin = kept[first];
        rows[kept[i]].transposed = first < i;
    }
    g_qsort_with_data(kept, (gint)n_kept, sizeof *kept, by_content, rows);
    for (size_t i = 1, first = 0; i < n_kept; i++) {
        if (!digest_equal(&rows[kept[i]].content, &rows[kept[first]].content)) first = i;
        if (first == i) continue;
        rows[kept[i]].twin = kept[first];
        rows[kept[i]].transposed = FALSE;
    }
}

static void drop(row_t *row, row_drop_t why) {
    row->kept = FALSE;
    row->drop = (guint8)why;
}

void rows_find_twins(rows_t *rows, gboolean exact, gboolean transposed) {
    g_autofree guint32 *kept = g_new(guint32, rows->files->n);
    size_t n_kept = 0;
    for (size_t i = 0; i < rows->files->n; i++)
        if (rows->row[i].kept) kept[n_kept++] = (guint32)i;
    link_twins(rows->row, kept, n_kept);
    for (size_t i = 0; i < n_kept; i++) {
        row_t *row = &rows->row[kept[i]];
        if (row->twin != ROW_NONE && (row->transposed ? transposed : exact))
            drop(row, row->transposed ? ROW_TRANSPOSED : ROW_DUPLICATE);
    }
}

/* Chooses by the hash of the shape: a song and its transpositions fall in one split, whatever else is
 * there. */
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

void rows_choose_splits(rows_t *rows, const double *percent) {
    for (size_t i = 0; i < rows->files->n; i++) {
        const found_t *file = &rows->files->files[i];
        row_t *row = &rows->row[i];
        if (!row->kept) continue;
        if (percent)
            row->split = (guint8)split_of_shape(&row->shape, percent);
        else if (file->has_split)
            row->split = (guint8)file->split;
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
