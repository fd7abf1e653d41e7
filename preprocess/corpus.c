/* corpus: the order of a preprocess run. Owns which files count as duplicates, which split a song falls in, and how songs are dealt to shards. Parses nothing
 * itself and keeps no roll in memory but the shard's that is being written. */
#include "preprocess/corpus.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/program.h"
#include "preprocess/progress.h"
#include "preprocess/report.h"
#include "preprocess/spool.h"

G_DEFINE_QUARK(mpianist_corpus_error, corpus_error)

typedef struct {
    const corpus_options_t *options;
    report_row_t *rows; /* one a file, same order */
    size_t n;
    spool_t *spool; /* NULL in a dry run */
} corpus_t;

/* The workers, and the row of the file that each is busy with. */
typedef struct {
    worker_t *worker[64];
    size_t row[64];
    size_t jobs, busy; /* of the jobs workers the first `busy` have a file */
} pool_t;
#define POOL_MAX G_N_ELEMENTS(((pool_t *)NULL)->worker)

/* Gives idle workers the files from *next on that the spool does not know yet. */
static gboolean give_files(corpus_t *corpus, pool_t *pool, size_t *next, GError **error) {
    for (; pool->busy < pool->jobs && *next < corpus->n; (*next)++) {
        report_row_t *row = &corpus->rows[*next];
        if (corpus->spool && spool_find(corpus->spool, row->found->path, &row->entry, &row->offset)) continue;
        if (!worker_give(pool->worker[pool->busy], row->found->path, error)) return FALSE;
        pool->row[pool->busy++] = *next;
    }
    return TRUE;
}

/* Takes one worker's entry and gives it another file before it keeps that entry. */
static gboolean collect(corpus_t *corpus, pool_t *pool, size_t *next, GError **error) {
    g_autoptr(GByteArray) bits = NULL;
    size_t which = worker_wait_any(pool->worker, pool->busy), last = pool->busy - 1;
    worker_t *worker = pool->worker[which];
    report_row_t *row = &corpus->rows[pool->row[which]];
    pool->worker[which] = pool->worker[last];
    pool->row[which] = pool->row[last];
    pool->worker[last] = worker;
    pool->busy--;
    if (!entry_take(worker, &row->entry, &bits, error) || !give_files(corpus, pool, next, error)) return FALSE;
    /* A file that was not read to its end is tried again: the limits may be others then. */
    if (!corpus->spool || !row->entry.sha256[0]) return TRUE;
    return spool_add(corpus->spool, row->found->path, &row->entry, bits, &row->offset, error);
}

/* Parses every file that the spool does not know yet. */
static gboolean parse_files(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    progress_t progress = progress_start("files", options->quiet);
    pool_t pool = {.jobs = MIN((size_t)options->jobs, POOL_MAX)};
    size_t next = 0;
    for (size_t i = 0; i < pool.jobs; i++) pool.worker[i] = entry_worker_new(&options->grid, &options->limits);
    gboolean good = give_files(corpus, &pool, &next, error);
    while (good && pool.busy > 0) {
        good = collect(corpus, &pool, &next, error);
        progress_show(&progress, next - pool.busy, corpus->n);
    }
    for (size_t i = 0; i < pool.jobs; i++) worker_free(pool.worker[i]);
    progress_end(&progress);
    return good;
}

/* After parsing, so that the spool keeps what the files say. */
static void set_meters(corpus_t *corpus) {
    if (corpus->options->meter.numerator == 0) return;
    for (size_t i = 0; i < corpus->n; i++)
        if (corpus->rows[i].entry.kept) corpus->rows[i].entry.meter = corpus->options->meter;
}

static void drop(report_row_t *row, const char *reason) {
    row->entry.kept = FALSE;
    g_strlcpy(row->entry.reason, reason, sizeof row->entry.reason);
}

/* Names each row's earlier twin; drops the exact ones, and the transposed ones where asked to. */
static void find_duplicates(corpus_t *corpus) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(GHashTable) contents = g_hash_table_new(g_str_hash, g_str_equal), shapes = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < corpus->n; i++) {
        report_row_t *row = &corpus->rows[i];
        if (!row->entry.kept) continue;
        const report_row_t *same = g_hash_table_lookup(contents, row->entry.content), *shape = g_hash_table_lookup(shapes, row->entry.shape);
        row->twin = same ? same : shape;
        row->transposed = !same && shape;
        if (!same) g_hash_table_insert(contents, row->entry.content, row);
        if (!shape) g_hash_table_insert(shapes, row->entry.shape, row);
        if (options->split_by_folder) continue;
        if (same) drop(row, "duplicate");
        if (row->transposed && options->drop_transposed) drop(row, "transposed duplicate");
    }
}

/* By the hash of the shape: a song and its transpositions fall in one split, whatever else is there. */
static split_t split_of_shape(const char *shape, const double *percent) {
    char digits[14] = "";
    g_strlcpy(digits, shape, sizeof digits);
    double at = (double)g_ascii_strtoull(digits, NULL, 16) / (double)(1ULL << 52) * 100, sum = 0;
    for (int split = 0; split < SPLIT_COUNT - 1; split++) {
        sum += percent[split];
        if (at < sum) return (split_t)split;
    }
    return SPLIT_TEST;
}

static void choose_splits(corpus_t *corpus) {
    const corpus_options_t *options = corpus->options;
    for (size_t i = 0; i < corpus->n; i++) {
        report_row_t *row = &corpus->rows[i];
        if (!row->entry.kept) continue;
        if (!options->split_by_folder)
            row->split = split_of_shape(row->entry.shape, options->split);
        else if (row->found->has_split)
            row->split = row->found->split;
        else
            drop(row, "in no folder named train, valid or test (--split-by-folder)");
    }
}

/* The options that decide what the shards hold, as text. */
static char *options_text(const corpus_options_t *options) {
    const grid_t *grid = &options->grid;
    g_autofree char *tracks = grid_tracks_string(grid);
    g_autofree char *split = options->split_by_folder ? g_strdup("--split-by-folder")
                                                      : g_strdup_printf("--split %g,%g,%g", options->split[0], options->split[1], options->split[2]);
    g_autofree char *meter =
        options->meter.numerator ? g_strdup_printf(" --meter %u/%u", options->meter.numerator, options->meter.denominator) : g_strdup("");
    return g_strdup_printf("--steps-per-beat %d --pitch-low %d --pitches %d%s%s --tracks %s%s %s%s --shard-frames %" G_GINT64_FORMAT,
                           grid->steps_per_beat, grid->pitch_low, grid->pitches, grid->fold_octaves ? " --fold-octaves" : "",
                           grid->sustain_pedal ? " --sustain-pedal" : "", tracks, meter, split, options->drop_transposed ? " --drop-transposed" : "",
                           options->shard_frames);
}

/* The row of /songs of a kept file. */
static shard_song_t song_of_row(const report_row_t *row, int64_t first_frame) {
    shard_song_t song;
    memset(&song, 0, sizeof song); /* its bytes go to disk */
    song.first_frame = first_frame;
    song.frames = row->entry.frames;
    song.tempo_bpm = row->entry.tempo_bpm;
    song.meter_numerator = row->entry.meter.numerator;
    song.meter_denominator = row->entry.meter.denominator;
    song.split = (uint8_t)row->split;
    g_strlcpy(song.sha256, row->entry.sha256, sizeof song.sha256);
    g_autofree char *path = g_utf8_make_valid(row->found->name, -1);
    g_utf8_strncpy(song.path, path, MIN((size_t)g_utf8_strlen(path, -1), (sizeof song.path - 1) / 4));
    return song;
}

/* The corpus id, over the options and each kept song; and how many shards the songs make. */
static void describe(const corpus_t *corpus, shard_set_t *head) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    int64_t in_shard = 0;
    head->grid = corpus->options->grid;
    head->options = options_text(corpus->options);
    g_checksum_update(checksum, (const guchar *)head->options, -1);
    for (size_t i = 0; i < corpus->n; i++) {
        const report_row_t *row = &corpus->rows[i];
        if (!row->entry.kept) continue;
        shard_song_t song = song_of_row(row, 0);
        g_autofree char *line = g_strdup_printf("\n%s %s %s %s", song.path, song.sha256, row->entry.content, split_name(row->split));
        g_checksum_update(checksum, (const guchar *)line, -1);
        if (in_shard == 0) head->n_shards++;
        in_shard += song.frames;
        if (in_shard >= corpus->options->shard_frames) in_shard = 0;
    }
    g_strlcpy(head->corpus_id, g_checksum_get_string(checksum), sizeof head->corpus_id);
}

/* Shards of another corpus in the folder: refused, or with --replace removed. */
static gboolean make_room(const corpus_options_t *options, const shard_set_t *head, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(options->output, 0, &cause);
    if (!folder) {
        g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT, "%s: cannot read this folder: %s; choose another --output", options->output,
                    program_cause(cause));
        return FALSE;
    }
    for (const char *name; (name = g_dir_read_name(folder));) {
        if (!g_str_has_prefix(name, "shard-") || !g_str_has_suffix(name, ".h5")) continue;
        g_autofree char *path = g_build_filename(options->output, name, NULL);
        g_autofree char *corpus_id = shard_corpus_id(path);
        if (corpus_id && strcmp(corpus_id, head->corpus_id) == 0) continue;
        if (!options->replace) {
            g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT,
                        "%s: belongs to another corpus (other songs or other options); name another --output, or give --replace", path);
            return FALSE;
        }
        if (g_unlink(path) != 0) {
            g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT, "%s: cannot remove: %s; choose another --output", path, g_strerror(errno));
            return FALSE;
        }
    }
    return TRUE;
}

/* Writes the songs collected for one shard and starts the next. */
static gboolean flush_shard(const corpus_t *corpus, const shard_set_t *head, size_t *shard, GArray *songs, GByteArray *bits, int64_t *frames,
                            GError **error) {
    if (!shard_write(corpus->options->output, head, *shard, (const shard_song_t *)(void *)songs->data, songs->len, bits->data, *frames,
                     corpus->options->jobs, error))
        return FALSE;
    g_array_set_size(songs, 0);
    g_byte_array_set_size(bits, 0);
    *frames = 0;
    (*shard)++;
    return TRUE;
}

static gboolean write_shards(const corpus_t *corpus, const shard_set_t *head, GError **error) {
    const corpus_options_t *options = corpus->options;
    size_t frame_bytes = grid_frame_bytes(&options->grid), shard = 0;
    int64_t frames = 0;
    g_autoptr(GArray) songs = g_array_new(FALSE, TRUE, sizeof(shard_song_t));
    g_autoptr(GByteArray) bits = g_byte_array_new();
    progress_t progress = progress_start("songs written", options->quiet);
    for (size_t i = 0; i < corpus->n; i++) {
        const report_row_t *row = &corpus->rows[i];
        progress_show(&progress, i, corpus->n);
        if (!row->entry.kept) continue;
        shard_song_t song = song_of_row(row, frames);
        guint at = bits->len;
        size_t bytes = (size_t)song.frames * frame_bytes;
        g_array_append_val(songs, song);
        g_byte_array_set_size(bits, at + (guint)bytes);
        if (!spool_read(corpus->spool, row->offset, bits->data + at, bytes, error)) return FALSE;
        frames += song.frames;
        if (frames >= options->shard_frames && !flush_shard(corpus, head, &shard, songs, bits, &frames, error)) return FALSE;
    }
    progress_end(&progress);
    return songs->len == 0 || flush_shard(corpus, head, &shard, songs, bits, &frames, error);
}

static gboolean run(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(shard_set_t) head = g_new0(shard_set_t, 1);
    if (!parse_files(corpus, error)) return FALSE;
    set_meters(corpus);
    find_duplicates(corpus);
    choose_splits(corpus);
    describe(corpus, head);
    if (!options->dry_run && head->n_shards > 0 && !make_room(options, head, error)) return FALSE;
    if (!report_write(options->output, corpus->rows, corpus->n, &options->grid, error)) return FALSE;
    if (!options->quiet) report_summarize(corpus->rows, corpus->n, options->output);
    if (head->n_shards == 0) {
        g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_EMPTY, "no songs: none of the files (%zu) could be used; %s/report.tsv says why, file by file",
                    corpus->n, options->output);
        return FALSE;
    }
    return options->dry_run || write_shards(corpus, head, error);
}

gboolean corpus_run(const corpus_options_t *options, GError **error) {
    corpus_t corpus = {.options = options};
    g_autoptr(GPtrArray) found = find_files(options->inputs, options->files_from, error);
    if (!found) return FALSE;
    if (g_mkdir_with_parents(options->output, 0777) != 0) {
        g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT, "%s: cannot make this folder: %s; choose another --output", options->output,
                    g_strerror(errno));
        return FALSE;
    }
    if (!options->dry_run && !(corpus.spool = spool_open(options->output, &options->grid, error))) return FALSE;
    corpus.n = found->len;
    corpus.rows = g_new0(report_row_t, corpus.n);
    for (size_t i = 0; i < corpus.n; i++) corpus.rows[i].found = found->pdata[i];
    gboolean done = run(&corpus, error);
    spool_close(corpus.spool, done);
    g_free(corpus.rows);
    return done;
}
