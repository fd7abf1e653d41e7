/* corpus: the order of a preprocess run: alone, of one part, or of the join. Owns how songs are dealt to
 * shards. Parses nothing itself and keeps no roll in memory but the shard's that is being written. */
#include "preprocess/corpus/corpus.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/progress.h"
#include "preprocess/corpus/parse.h"
#include "preprocess/corpus/part.h"
#include "preprocess/corpus/report.h"
#include "preprocess/shard/h5.h"

G_DEFINE_QUARK(mpianist_corpus_error, corpus_error)

typedef struct {
    const corpus_options_t *options;
    char *layout;       /* what decides how notes are laid on the grid, as text */
    char *options_text; /* what decides what the shards hold */
    char *identity;     /* of a corpus in parts */
    const found_list_t *files;
    row_t *rows;             /* one a file, same order */
    parsed_cache_t **spools; /* one a part */
    guint16 parts;
    owner_t *owner;
} corpus_t;

/* A file's entry as the report has it: with the reason that this run gives. music: NULL, or room for it
 * (song_file.h). */
static gboolean read_entry(const corpus_t *corpus, size_t i, song_file_t *entry, uint8_t *music, size_t bytes,
                           GError **error) {
    const row_t *row = &corpus->rows[i];
    if (!parsed_cache_read(corpus->spools[row->part], row->at, entry, music, bytes, error)) return FALSE;
    entry->kept = row->kept;
    if (row->drop != ROW_STAYS) g_strlcpy(entry->reason, rows_drop_reason(row->drop), sizeof entry->reason);
    return TRUE;
}

static gboolean fail(GError **error, const char *path, const char *doing) {
    g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT, "%s: cannot %s: %s; choose another --output", path,
                doing, g_strerror(errno));
    return FALSE;
}

/* A flag with a number, where it is not the one that it has by default. */
static char *flag_text(const char *flag, int value, int standard) {
    return value == standard ? g_strdup("") : g_strdup_printf(" --%s %d", flag, value);
}

/* The options that decide what a file's roll and timeline hold, as text. */
static char *layout_text(const layout_t *layout) {
    const grid_t *grid = &layout->grid;
    const cut_t standard = cut_default();
    g_autofree char *tracks = grid_tracks_string(grid);
    g_autofree char *silence = flag_text("max-silence", layout->cut.max_silence, standard.max_silence);
    g_autofree char *note = flag_text("max-note", layout->cut.max_note, standard.max_note);
    g_autofree char *meter =
        layout->meter.numerator
            ? g_strdup_printf(" --meter %u/%u", layout->meter.numerator, layout->meter.denominator)
            : g_strdup("");
    return g_strdup_printf("--steps-per-beat %d --pitch-low %d --pitches %d%s%s --tracks %s%s%s%s",
                           grid->steps_per_beat, grid->pitch_low, grid->pitches,
                           grid->fold_octaves ? " --fold-octaves" : "",
                           grid->sustain_pedal ? " --sustain-pedal" : "", tracks, silence, note, meter);
}

/* The options that decide what the shards hold. */
static char *options_text(const corpus_options_t *options, const char *layout) {
    g_autofree char *split = options->split_by_folder ? g_strdup("--split-by-folder")
                                                      : g_strdup_printf("--split %g,%g,%g", options->split[0],
                                                                        options->split[1], options->split[2]);
    return g_strdup_printf("%s %s%s --shard-frames %" G_GINT64_FORMAT, layout, split,
                           options->drop_transposed ? " --drop-transposed" : "", options->shard_frames);
}

/* The row of /songs of a kept file. */
static shard_song_t song_of(const found_t *file, const song_file_t *entry, uint8_t split,
                            int64_t first_frame) {
    shard_song_t song;
    memset(&song, 0, sizeof song); /* its bytes go to disk */
    song.first_frame = first_frame;
    song.frames = entry->frames;
    song.tempo_bpm = entry->tempo_bpm;
    song.meter_numerator = entry->meter.numerator;
    song.meter_denominator = entry->meter.denominator;
    song.split = split;
    g_strlcpy(song.sha256, entry->sha256, sizeof song.sha256);
    g_autofree char *path = g_utf8_make_valid(file->name, -1);
    g_utf8_strncpy(song.path, path, MIN((size_t)g_utf8_strlen(path, -1), (sizeof song.path - 1) / 4));
    return song;
}

/* The corpus id, over the options and each kept song; and how many shards the songs make. */
static gboolean describe(const corpus_t *corpus, shard_set_t *head, GError **error) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    int64_t in_shard = 0;
    head->grid = corpus->options->layout.grid;
    head->owner = corpus->owner;
    head->options = g_strdup(corpus->options_text);
    g_checksum_update(checksum, (const guchar *)head->options, -1);
    for (size_t i = 0; i < corpus->files->n; i++) {
        const row_t *row = &corpus->rows[i];
        song_file_t entry;
        if (!row->kept) continue;
        if (!read_entry(corpus, i, &entry, NULL, 0, error)) return FALSE;
        shard_song_t song = song_of(&corpus->files->files[i], &entry, row->split, 0);
        g_autofree char *line =
            g_strdup_printf("\n%s %s %s %s", song.path, song.sha256, entry.content, split_name(row->split));
        g_checksum_update(checksum, (const guchar *)line, -1);
        if (in_shard == 0) head->n_shards++;
        in_shard += song.frames;
        if (in_shard >= corpus->options->shard_frames) in_shard = 0;
    }
    g_strlcpy(head->corpus_id, g_checksum_get_string(checksum), sizeof head->corpus_id);
    return TRUE;
}

static gboolean write_report(const corpus_t *corpus, GError **error) {
    const found_t *files = corpus->files->files;
    g_autoptr(report_t) report = report_new(corpus->options->output, &corpus->options->layout.grid, error);
    if (!report) return FALSE;
    for (size_t i = 0; i < corpus->files->n; i++) {
        const row_t *row = &corpus->rows[i];
        song_file_t entry;
        if (!read_entry(corpus, i, &entry, NULL, 0, error)) return FALSE;
        report_add(report, &(report_row_t){.name = files[i].name,
                                           .entry = &entry,
                                           .split = row->split,
                                           .twin = row->twin == ROW_NONE ? NULL : files[row->twin].name,
                                           .transposed = row->transposed});
    }
    if (!report_commit(report, corpus->owner, error)) return FALSE;
    if (!corpus->options->quiet) report_summarize(report);
    return TRUE;
}

/* Shards of another corpus in the folder: refused, or with --replace removed. */
static gboolean make_room(const corpus_options_t *options, const shard_set_t *head, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(options->output, 0, &cause);
    if (!folder) {
        g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_OUTPUT,
                    "%s: cannot read this folder: %s; choose another --output", options->output,
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
                        "%s: belongs to another corpus (other songs or other options); name another "
                        "--output, or give --replace",
                        path);
            return FALSE;
        }
        if (g_unlink(path) != 0) return fail(error, path, "remove");
    }
    return TRUE;
}

/* A song on its way from the spool into a shard. */
typedef struct {
    size_t row;
    uint8_t *bits; /* where its bits go */
    timeline_t *timeline;
    GError *error;
} reading_t;

/* What is collected for one shard. */
typedef struct {
    GArray *songs;    /* shard_song_t */
    GArray *readings; /* reading_t, of the same songs */
    int64_t frames;
} batch_t;

static void batch_clear(batch_t *batch) {
    g_array_unref(batch->songs);
    g_array_unref(batch->readings);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(batch_t, batch_clear)

static void reading_clear(gpointer data) {
    reading_t *reading = data;
    timeline_free(reading->timeline);
    g_clear_error(&reading->error);
}

/* Takes the song of a kept file. */
static gboolean collect_song(const corpus_t *corpus, size_t i, batch_t *batch, GError **error) {
    song_file_t entry;
    if (!read_entry(corpus, i, &entry, NULL, 0, error)) return FALSE;
    const shard_song_t song = song_of(&corpus->files->files[i], &entry, corpus->rows[i].split, batch->frames);
    const reading_t reading = {.row = i};
    g_array_append_val(batch->songs, song);
    g_array_append_val(batch->readings, reading);
    batch->frames += song.frames;
    return TRUE;
}

/* In a thread of a pool: a song's bits and timeline, or the error. */
static void read_song(gpointer data, gpointer user) {
    reading_t *reading = data;
    const corpus_t *corpus = user;
    const grid_t *grid = &corpus->options->layout.grid;
    song_file_t entry;
    if (!read_entry(corpus, reading->row, &entry, NULL, 0, &reading->error)) return;
    const size_t bytes = (size_t)entry.frames * grid_frame_bytes(grid),
                 timeline_bytes = song_file_timeline_bytes(&entry);
    g_autofree uint8_t *music = g_malloc(timeline_bytes + bytes);
    if (!read_entry(corpus, reading->row, &entry, music, timeline_bytes + bytes, &reading->error)) return;
    reading->timeline = song_file_timeline(&entry, grid->steps_per_beat, music);
    memcpy(reading->bits, music + timeline_bytes, bytes);
}

/* Reads all songs of a shard, by as many threads as there may be jobs: bits in order, and the timelines. */
static gboolean read_songs(const corpus_t *corpus, const batch_t *batch, uint8_t *bits,
                           timeline_t **timelines, GError **error) {
    const size_t frame_bytes = grid_frame_bytes(&corpus->options->layout.grid);
    GThreadPool *pool = g_thread_pool_new(read_song, (gpointer)corpus, corpus->options->jobs, FALSE, NULL);
    for (guint i = 0; i < batch->readings->len; i++) {
        reading_t *reading = &g_array_index(batch->readings, reading_t, i);
        reading->bits = bits + (size_t)g_array_index(batch->songs, shard_song_t, i).first_frame * frame_bytes;
        g_thread_pool_push(pool, reading, NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    for (guint i = 0; i < batch->readings->len; i++) {
        reading_t *reading = &g_array_index(batch->readings, reading_t, i);
        timelines[i] = reading->timeline;
        if (!reading->error) continue;
        g_propagate_error(error, g_steal_pointer(&reading->error));
        return FALSE;
    }
    return TRUE;
}

/* Writes the songs collected for one shard and starts the next. */
static gboolean flush_shard(const corpus_t *corpus, const shard_set_t *head, size_t *shard, batch_t *batch,
                            GError **error) {
    const corpus_options_t *options = corpus->options;
    const guint n = batch->songs->len;
    g_autofree uint8_t *bits = g_malloc((size_t)batch->frames * grid_frame_bytes(&options->layout.grid));
    g_autofree timeline_t **timelines = g_new(timeline_t *, n);
    if (!read_songs(corpus, batch, bits, timelines, error) ||
        !shard_write(options->output, head, *shard, (const shard_song_t *)(void *)batch->songs->data,
                     timelines, n, bits, batch->frames, options->jobs, error))
        return FALSE;
    g_array_set_size(batch->songs, 0);
    g_array_set_size(batch->readings, 0);
    batch->frames = 0;
    (*shard)++;
    return TRUE;
}

static gboolean write_shards(const corpus_t *corpus, const shard_set_t *head, GError **error) {
    const corpus_options_t *options = corpus->options;
    size_t shard = 0;
    g_auto(batch_t) batch = {.songs = g_array_new(FALSE, TRUE, sizeof(shard_song_t)),
                             .readings = g_array_new(FALSE, TRUE, sizeof(reading_t))};
    g_array_set_clear_func(batch.readings, reading_clear);
    progress_t progress = progress_start("songs written", options->quiet);
    for (size_t i = 0; i < corpus->files->n; i++) {
        progress_show(&progress, i, corpus->files->n);
        if (!corpus->rows[i].kept) continue;
        if (!collect_song(corpus, i, &batch, error)) return FALSE;
        if (batch.frames >= options->shard_frames && !flush_shard(corpus, head, &shard, &batch, error))
            return FALSE;
    }
    progress_end(&progress);
    return batch.songs->len == 0 || flush_shard(corpus, head, &shard, &batch, error);
}

/* From parsed files to report and shards. */
static gboolean finish(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(shard_set_t) head = g_new0(shard_set_t, 1);
    rows_find_twins(corpus->rows, corpus->files->n, !options->split_by_folder,
                    !options->split_by_folder && options->drop_transposed);
    rows_choose_splits(corpus->rows, corpus->files, options->split_by_folder ? NULL : options->split);
    if (!describe(corpus, head, error) || !owner_check(corpus->owner, error)) return FALSE;
    if (!options->dry_run && head->n_shards > 0 && !make_room(options, head, error)) return FALSE;
    if (!options->dry_run && !part_forget_joined(options->output, error)) return FALSE;
    if (!write_report(corpus, error)) return FALSE;
    if (head->n_shards == 0) {
        g_set_error(error, CORPUS_ERROR, CORPUS_ERROR_EMPTY,
                    "no songs: none of the files (%zu) could be used; %s/report.tsv says why, file by file",
                    corpus->files->n, options->output);
        return FALSE;
    }
    return options->dry_run || write_shards(corpus, head, error);
}

static gboolean run_alone(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autofree char *spool = g_build_filename(options->output, "preprocess.spool", NULL);
    g_autofree char *path = options->dry_run ? owner_temporary(spool) : g_strdup(spool);
    if (!(corpus->spools[0] = parsed_cache_open(path, error))) return FALSE;
    g_free(rows_load(corpus->rows, corpus->files, 0, corpus->layout, TRUE, corpus->spools[0]));
    gboolean done = parse_files(options, corpus->files, corpus->rows, 0, corpus->layout, corpus->spools[0],
                                corpus->owner, error) &&
                    finish(corpus, error);
    parsed_cache_close(g_steal_pointer(&corpus->spools[0]), done || options->dry_run);
    return done;
}

static void say_joined(const corpus_t *corpus) {
    if (!corpus->options->quiet) program_say("%s: joined already, nothing to do\n", corpus->options->output);
}

/* Whether the part's file stands and lacks nothing. */
static gboolean part_stands(corpus_t *corpus, guint16 part, const char *path, const char *seal) {
    parsed_cache_t *spool = parsed_cache_open_sealed(path, NULL);
    g_autofree char *said =
        spool ? rows_load(corpus->rows, corpus->files, part, corpus->layout, TRUE, spool) : NULL;
    parsed_cache_close(spool, FALSE);
    return g_strcmp0(said, seal) == 0 && rows_missing(corpus->rows, corpus->files->n, part) == 0;
}

static gboolean run_part(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    const guint16 part = (guint16)(options->part - 1);
    g_autofree char *sealed = part_path(options->output, part, corpus->parts, "part"),
                    *path = part_path(options->output, part, corpus->parts, "spool");
    g_autofree char *seal = part_seal(corpus->identity, part, corpus->parts);
    if (part_is_joined(options->output, corpus->identity, corpus->parts)) return say_joined(corpus), TRUE;
    if (g_file_test(sealed, G_FILE_TEST_EXISTS)) {
        if (part_stands(corpus, part, sealed, seal)) {
            if (!options->quiet) program_say("%s: stands already, nothing to do\n", sealed);
            return TRUE;
        }
        if (g_rename(sealed, path) != 0)
            return fail(error, path, "write"); /* what it holds is of use where files and grid are the same */
        for (size_t i = 0; i < corpus->files->n; i++) corpus->rows[i].at = 0;
    }
    if (!(corpus->spools[part] = parsed_cache_open(path, error))) return FALSE;
    g_free(rows_load(corpus->rows, corpus->files, part, corpus->layout, TRUE, corpus->spools[part]));
    if (!parse_files(options, corpus->files, corpus->rows, part, corpus->layout, corpus->spools[part],
                     corpus->owner, error) ||
        !owner_check(corpus->owner, error) || !parsed_cache_seal(corpus->spools[part], seal, sealed, error))
        return FALSE;
    if (!options->quiet) fprintf(stderr, "part %d of %d: %s\n", options->part, options->parts, sealed);
    return TRUE;
}

/* Removes the files of all parts that are sealed as this corpus' own; the mark that it is joined stands. */
static void remove_parts(const corpus_t *corpus) {
    for (guint16 part = 0; part < corpus->parts; part++)
        parsed_cache_close(g_steal_pointer(&corpus->spools[part]), TRUE);
}

static gboolean run_join(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    if (corpus->parts == 0 && part_is_joined(options->output, corpus->identity, 0))
        return say_joined(corpus), TRUE;
    if (corpus->parts == 0) {
        g_set_error(
            error, CORPUS_ERROR, CORPUS_ERROR_EMPTY,
            "%s: holds no parts to join; make them by the same command with --part I/N in place of --join",
            options->output);
        return FALSE;
    }
    gboolean good = part_open_all(options->output, corpus->parts, corpus->identity, corpus->files,
                                  corpus->rows, corpus->layout, corpus->spools, error);
    if (!good &&
        part_is_joined(options->output, corpus->identity, corpus->parts)) { /* killed while it removed them */
        g_clear_error(error);
        remove_parts(corpus);
        return say_joined(corpus), TRUE;
    }
    if (!good || !finish(corpus, error)) return FALSE;
    if (options->dry_run) return TRUE;
    if (!owner_check(corpus->owner, error) ||
        !part_mark_joined(options->output, corpus->identity, corpus->parts, error))
        return FALSE;
    remove_parts(corpus);
    return TRUE;
}

/* One owner for shards and report, and one for each part, so that many hosts parse at once. What an owner
 * before left half-written goes. */
static owner_t *take_output(const corpus_options_t *options, GError **error) {
    g_autofree char *part =
        options->parts ? part_path("", (guint16)(options->part - 1), (guint16)options->parts, "") : NULL;
    g_autofree char *name = part ? g_strndup(part + 1, strlen(part) - 2) : g_strdup("preprocess");
    g_autoptr(owner_t) owner = owner_take(options->output, name, error);
    if (!owner && options->parts) g_prefix_error(error, "part %d of %d: ", options->part, options->parts);
    if (!owner) return NULL;
    static const char *const names[] = {"shard-", "report.tsv", "preprocess.spool", "preprocess.joined"};
    for (size_t i = 0; i < G_N_ELEMENTS(names) && !options->parts; i++)
        owner_sweep(options->output, names[i]);
    return g_steal_pointer(&owner);
}

static gboolean run(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(owner_t) owner = take_output(options, error);
    if (!owner) return FALSE;
    corpus->owner = owner;
    corpus->parts = (guint16)MAX(options->parts, 1);
    if (options->join && !part_count(options->output, &corpus->parts, error)) return FALSE;
    corpus->spools = g_new0(parsed_cache_t *, MAX(corpus->parts, 1));
    if (corpus->parts > 0) part_deal(corpus->files, corpus->parts, corpus->rows);
    gboolean done = options->join    ? run_join(corpus, error)
                    : options->parts ? run_part(corpus, error)
                                     : run_alone(corpus, error);
    for (guint16 part = 0; part < corpus->parts; part++) parsed_cache_close(corpus->spools[part], FALSE);
    g_free(corpus->spools);
    return done;
}

gboolean corpus_run(const corpus_options_t *options, GError **error) {
    g_autoptr(found_list_t) files = find_files(options->inputs, options->files_from, error);
    if (!files) return FALSE;
    if (g_mkdir_with_parents(options->output, 0777) != 0)
        return fail(error, options->output, "make this folder");
    g_autofree char *layout = layout_text(&options->layout), *text = options_text(options, layout),
                    *identity = part_identity(files, text);
    g_autofree row_t *rows = rows_new(files->n);
    corpus_t corpus = {.options = options,
                       .layout = layout,
                       .options_text = text,
                       .identity = identity,
                       .files = files,
                       .rows = rows};
    return run(&corpus, error);
}
