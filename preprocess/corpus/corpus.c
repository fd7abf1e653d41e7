/* corpus: owns the order of a run (alone, of one part, or of the join) and which song goes to which shard.
 * Parses nothing itself and keeps no roll in memory but those of the shard that is being written. */
#include "preprocess/corpus/corpus.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"
#include "preprocess/common/progress.h"
#include "preprocess/corpus/parse.h"
#include "preprocess/corpus/part.h"
#include "preprocess/corpus/report.h"

typedef struct {
    const corpus_options_t *options;
    char *options_text; /* the options that decide what the shards hold */
    char *identity;     /* part_identity() */
    const found_list_t *files;
    rows_t *rows;            /* one for each file, in the same order */
    parsed_cache_t **caches; /* one for each part */
    int parts;
    owner_t *owner;
} corpus_t;

/* Reads what was parsed of file i, with the reason where this run drops it. music: gets its music; or
 * NULL. */
static gboolean read_parsed(const corpus_t *corpus, size_t i, song_file_t *parsed, GByteArray *music,
                            GError **error) {
    const row_t *row = &corpus->rows->row[i];
    if (!parsed_cache_read(corpus->caches[row->part], row->at, row->frames, parsed, music, error))
        return FALSE;
    parsed->kept = row->kept;
    if (row->drop != ROW_STAYS) g_strlcpy(parsed->reason, rows_drop_reason(row->drop), sizeof parsed->reason);
    return TRUE;
}

static const char ANOTHER_OUTPUT[] = "choose another --output";

/* The options that decide what a file's roll and timeline hold, as text. */
static char *layout_text(const layout_t *layout) {
    const grid_t *grid = &layout->grid;
    const cut_t standard = cut_default();
    g_autofree char *tracks = grid_tracks_string(grid);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "--steps-per-beat %d --pitch-low %d --pitches %d%s%s --tracks %s",
                           grid->steps_per_beat, grid->pitch_low, grid->pitches,
                           grid->fold_octaves ? " --fold-octaves" : "",
                           grid->sustain_pedal ? " --sustain-pedal" : "", tracks);
    if (layout->cut.max_silence != standard.max_silence)
        g_string_append_printf(text, " --max-silence %d", layout->cut.max_silence);
    if (layout->cut.max_note != standard.max_note)
        g_string_append_printf(text, " --max-note %d", layout->cut.max_note);
    if (layout->meter.numerator)
        g_string_append_printf(text, " --meter %u/%u", layout->meter.numerator, layout->meter.denominator);
    return g_string_free(text, FALSE);
}

static char *options_text(const corpus_options_t *options, const char *layout) {
    g_autofree char *split = options->split_by_folder ? g_strdup("--split-by-folder")
                                                      : g_strdup_printf("--split %g,%g,%g", options->split[0],
                                                                        options->split[1], options->split[2]);
    return g_strdup_printf("%s %s%s --shard-frames %" G_GINT64_FORMAT, layout, split,
                           options->drop_transposed ? " --drop-transposed" : "", options->shard_frames);
}

/* The row of /songs of a kept file. */
static shard_song_t song_of(const found_t *file, const song_file_t *parsed, uint8_t split,
                            int64_t first_frame) {
    shard_song_t song;
    memset(&song, 0, sizeof song); /* its bytes go to disk */
    song.first_frame = first_frame;
    song.frames = parsed->frames;
    song.tempo_bpm = parsed->tempo_bpm;
    song.meter_numerator = parsed->meter.numerator;
    song.meter_denominator = parsed->meter.denominator;
    song.split = split;
    g_strlcpy(song.sha256, parsed->sha256, sizeof song.sha256);
    g_autofree char *path = g_utf8_make_valid(file->name, -1);
    g_utf8_strncpy(song.path, path, MIN((size_t)g_utf8_strlen(path, -1), (sizeof song.path - 1) / 4));
    return song;
}

/* Returns the file at which the shard that begins with file `first` ends: it has the kept ones before that.
 * *frames: how many frames these have, 0 where none are left. */
static size_t end_of_shard(const corpus_t *corpus, size_t first, int64_t *frames) {
    size_t i = first;
    for (*frames = 0; i < corpus->files->n && *frames < corpus->options->shard_frames; i++)
        if (corpus->rows->row[i].kept) *frames += corpus->rows->row[i].frames;
    return i;
}

/* Fills in the set: the corpus id, a hash of options and kept songs, and how many shards the songs make. */
static gboolean describe(const corpus_t *corpus, shard_set_t *set, GError **error) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    int64_t frames;
    set->grid = corpus->options->layout.grid;
    set->owner = corpus->owner;
    set->options = g_strdup(corpus->options_text);
    g_checksum_update(checksum, (const guchar *)set->options, -1);
    for (size_t i = 0; i < corpus->files->n; i++) {
        const row_t *row = &corpus->rows->row[i];
        song_file_t parsed;
        if (!row->kept) continue;
        if (!read_parsed(corpus, i, &parsed, NULL, error)) return FALSE;
        shard_song_t song = song_of(&corpus->files->files[i], &parsed, row->split, 0);
        g_autofree char *line =
            g_strdup_printf("\n%s %s %s %s", song.path, song.sha256, parsed.content, split_name(row->split));
        g_checksum_update(checksum, (const guchar *)line, -1);
    }
    for (size_t i = 0; i = end_of_shard(corpus, i, &frames), frames > 0;) set->n_shards++;
    g_strlcpy(set->corpus_id, g_checksum_get_string(checksum), sizeof set->corpus_id);
    return TRUE;
}

static gboolean write_report(const corpus_t *corpus, GError **error) {
    const found_t *files = corpus->files->files;
    g_autoptr(report_t) report = report_new(corpus->options->output, &corpus->options->layout.grid, error);
    if (!report) return FALSE;
    for (size_t i = 0; i < corpus->files->n; i++) {
        const row_t *row = &corpus->rows->row[i];
        song_file_t parsed;
        if (!read_parsed(corpus, i, &parsed, NULL, error)) return FALSE;
        report_add(report, &(report_row_t){.name = files[i].name,
                                           .parsed = &parsed,
                                           .split = row->split,
                                           .twin = row->twin == ROW_NONE ? NULL : files[row->twin].name,
                                           .transposed = row->transposed});
    }
    if (!report_commit(report, corpus->owner, error)) return FALSE;
    if (!corpus->options->quiet) report_summarize(report);
    return TRUE;
}

/* Refuses shards of another corpus in the folder, or with --replace removes them. */
static gboolean make_room(const corpus_options_t *options, const shard_set_t *set, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(options->output, 0, &cause);
    if (!folder)
        return program_fail(error, "%s: cannot read this folder: %s; choose another --output",
                            options->output, program_cause(cause));
    for (const char *name; (name = g_dir_read_name(folder));) {
        if (!g_str_has_prefix(name, "shard-") || !g_str_has_suffix(name, ".h5")) continue;
        g_autofree char *path = g_build_filename(options->output, name, NULL);
        g_autofree char *corpus_id = shard_corpus_id(path);
        if (corpus_id && strcmp(corpus_id, set->corpus_id) == 0) continue;
        if (!options->replace)
            return program_fail(error,
                                "%s: belongs to another corpus (other songs or other options); name another "
                                "--output, or give --replace",
                                path);
        if (g_unlink(path) != 0) return file_fail(error, path, "remove", ANOTHER_OUTPUT);
    }
    return TRUE;
}

/* A song on its way from the cache into a shard. */
typedef struct {
    size_t file;
    shard_song_t song; /* read_song() fills in all but first_frame */
    uint8_t *bits;     /* where its bits go */
    timeline_t *timeline;
    GBytes *played; /* played_t of its onsets */
    GError *error;
} reading_t;

static void reading_clear(gpointer data) {
    reading_t *reading = data;
    timeline_free(reading->timeline);
    g_bytes_unref(reading->played);
    g_clear_error(&reading->error);
}

/* Runs in a thread of a pool: reads a song's row, bits, timeline and played_t, or sets the error. */
static void read_song(gpointer data, gpointer user) {
    reading_t *reading = data;
    const corpus_t *corpus = user;
    const size_t i = reading->file;
    g_autoptr(GByteArray) music = g_byte_array_new();
    song_file_t parsed;
    if (!read_parsed(corpus, i, &parsed, music, &reading->error)) return;
    const size_t timeline_bytes = song_file_timeline_bytes(&parsed);
    reading->song =
        song_of(&corpus->files->files[i], &parsed, corpus->rows->row[i].split, reading->song.first_frame);
    reading->timeline = song_file_timeline(&parsed, corpus->options->layout.grid.steps_per_beat, music->data);
    const size_t played_at = song_file_played_at(&parsed, &corpus->options->layout.grid);
    memcpy(reading->bits, music->data + timeline_bytes, played_at - timeline_bytes);
    reading->played = g_bytes_new(music->data + played_at, music->len - played_at);
}

/* Reads the songs from file `first` to before file `end`, on as many threads as there are --jobs. Their bits
 * go to bits, one song after the other. An array of reading_t; owner: caller. */
static GArray *read_songs(const corpus_t *corpus, size_t first, size_t end, uint8_t *bits) {
    const size_t frame_bytes = grid_frame_bytes(&corpus->options->layout.grid);
    GArray *readings = g_array_new(FALSE, TRUE, sizeof(reading_t));
    int64_t frames = 0;
    g_array_set_clear_func(readings, reading_clear);
    for (size_t i = first; i < end; i++) {
        if (!corpus->rows->row[i].kept) continue;
        const reading_t reading = {
            .file = i, .song.first_frame = frames, .bits = bits + (size_t)frames * frame_bytes};
        g_array_append_val(readings, reading);
        frames += corpus->rows->row[i].frames;
    }
    GThreadPool *pool = g_thread_pool_new(read_song, (gpointer)corpus, corpus->options->jobs, FALSE, NULL);
    for (guint i = 0; i < readings->len; i++)
        g_thread_pool_push(pool, &g_array_index(readings, reading_t, i), NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    return readings;
}

/* Writes the shard of the songs from file `first` to before file `end`; frames: of all of them. */
static gboolean write_shard(const corpus_t *corpus, const shard_set_t *set, size_t shard, size_t first,
                            size_t end, int64_t frames, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autofree uint8_t *bits = g_malloc((size_t)frames * grid_frame_bytes(&options->layout.grid));
    g_autoptr(GArray) readings = read_songs(corpus, first, end, bits);
    g_autofree shard_song_t *songs = g_new(shard_song_t, readings->len);
    g_autofree timeline_t **timelines = g_new(timeline_t *, readings->len);
    g_autoptr(GByteArray) played = g_byte_array_new();
    for (guint i = 0; i < readings->len; i++) {
        reading_t *reading = &g_array_index(readings, reading_t, i);
        if (reading->error) return g_propagate_error(error, g_steal_pointer(&reading->error)), FALSE;
        songs[i] = reading->song;
        timelines[i] = reading->timeline;
        g_byte_array_append(played, g_bytes_get_data(reading->played, NULL),
                            (guint)g_bytes_get_size(reading->played));
    }
    return shard_write(options->output, set, shard, songs, timelines, (const played_t *)played->data,
                       readings->len, bits, frames, options->jobs, error);
}

static gboolean write_shards(const corpus_t *corpus, const shard_set_t *set, GError **error) {
    progress_t progress = progress_start("songs written", corpus->options->quiet);
    for (size_t shard = 0, first = 0, end; shard < set->n_shards; shard++, first = end) {
        int64_t frames;
        end = end_of_shard(corpus, first, &frames);
        progress_show(&progress, first, corpus->files->n);
        if (!write_shard(corpus, set, shard, first, end, frames, error)) return FALSE;
    }
    progress_end(&progress);
    return TRUE;
}

/* Does all that follows parsing: duplicates, splits, report and shards. */
static gboolean finish(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(shard_set_t) set = g_new0(shard_set_t, 1);
    rows_find_twins(corpus->rows, !options->split_by_folder,
                    !options->split_by_folder && options->drop_transposed);
    rows_choose_splits(corpus->rows, options->split_by_folder ? NULL : options->split);
    if (!describe(corpus, set, error) || !owner_check(corpus->owner, error)) return FALSE;
    if (!options->dry_run && set->n_shards > 0 && !make_room(options, set, error)) return FALSE;
    if (!options->dry_run && !part_forget_joined(options->output, error)) return FALSE;
    if (!write_report(corpus, error)) return FALSE;
    if (set->n_shards == 0)
        return program_fail(
            error, "no songs: none of the files (%zu) could be used; %s/report.tsv says why, file by file",
            corpus->files->n, options->output);
    return options->dry_run || write_shards(corpus, set, error);
}

/* Parses those of a part's files that the cache at `path` does not have yet. */
static gboolean parse_part(corpus_t *corpus, int part, const char *path, GError **error) {
    parsed_cache_t *cache = corpus->caches[part] = parsed_cache_open(path, FALSE, error);
    if (!cache) return FALSE;
    g_free(rows_load(corpus->rows, part, TRUE, cache));
    return parse_files(corpus->options, corpus->rows, part, cache, corpus->owner, error);
}

static gboolean run_alone(corpus_t *corpus, GError **error) {
    const gboolean dry_run = corpus->options->dry_run;
    g_autofree char *standing = g_build_filename(corpus->options->output, "preprocess.spool", NULL),
                    *path = dry_run ? file_temporary(standing) : g_strdup(standing);
    const gboolean done = parse_part(corpus, 0, path, error) && finish(corpus, error);
    parsed_cache_close(g_steal_pointer(&corpus->caches[0]), done || dry_run);
    return done;
}

static void say_joined(const corpus_t *corpus) {
    if (!corpus->options->quiet) program_say("%s: joined already, nothing to do\n", corpus->options->output);
}

/* Whether the part's file has this seal and lacks nothing. */
static gboolean part_stands(corpus_t *corpus, int part, const char *path, const char *seal) {
    parsed_cache_t *cache = parsed_cache_open(path, TRUE, NULL);
    g_autofree char *said = cache ? rows_load(corpus->rows, part, TRUE, cache) : NULL;
    parsed_cache_close(cache, FALSE);
    return g_strcmp0(said, seal) == 0 && rows_missing(corpus->rows, part) == 0;
}

static gboolean run_part(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    const int part = options->part - 1;
    g_autofree char *sealed = part_path(options->output, part, corpus->parts, "part"),
                    *path = part_path(options->output, part, corpus->parts, "spool"),
                    *seal = part_seal(corpus->identity, part, corpus->parts);
    if (part_is_joined(options->output, corpus->identity, corpus->parts)) return say_joined(corpus), TRUE;
    if (g_file_test(sealed, G_FILE_TEST_EXISTS)) {
        if (part_stands(corpus, part, sealed, seal)) {
            if (!options->quiet) program_say("%s: stands already, nothing to do\n", sealed);
            return TRUE;
        }
        /* Its records of unchanged files, laid on the same grid, are used again. */
        if (g_rename(sealed, path) != 0) return file_fail(error, path, "write", ANOTHER_OUTPUT);
        for (size_t i = 0; i < corpus->files->n; i++) corpus->rows->row[i].at = 0;
    }
    if (!parse_part(corpus, part, path, error) || !owner_check(corpus->owner, error) ||
        !parsed_cache_seal(corpus->caches[part], seal, sealed, error))
        return FALSE;
    if (!options->quiet) fprintf(stderr, "part %d of %d: %s\n", options->part, options->parts, sealed);
    return TRUE;
}

/* Removes the files of all parts that are open. The mark that they are joined must be there already. */
static void remove_parts(const corpus_t *corpus) {
    for (int part = 0; part < corpus->parts; part++)
        parsed_cache_close(g_steal_pointer(&corpus->caches[part]), TRUE);
}

static gboolean run_join(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    if (corpus->parts == 0) {
        if (part_is_joined(options->output, corpus->identity, 0)) return say_joined(corpus), TRUE;
        return program_fail(
            error,
            "%s: holds no parts to join; make them by the same command with --part I/N in place of --join",
            options->output);
    }
    if (!part_open_all(options->output, corpus->parts, corpus->identity, corpus->rows, corpus->caches,
                       error)) {
        if (!part_is_joined(options->output, corpus->identity, corpus->parts)) return FALSE;
        g_clear_error(error); /* an earlier join was killed while it removed the parts */
        remove_parts(corpus);
        return say_joined(corpus), TRUE;
    }
    if (!finish(corpus, error)) return FALSE;
    if (options->dry_run) return TRUE;
    if (!owner_check(corpus->owner, error) ||
        !part_mark_joined(options->output, corpus->identity, corpus->parts, error))
        return FALSE;
    remove_parts(corpus);
    return TRUE;
}

/* Makes this process the owner of shards and report, or of its one part, so that many hosts can parse at
 * once. Removes what an earlier owner left half-written. */
static owner_t *take_output(const corpus_options_t *options, GError **error) {
    g_autofree char *part = options->parts ? part_path("", options->part - 1, options->parts, "") : NULL;
    g_autofree char *name = part ? g_strndup(part + 1, strlen(part) - 2) : g_strdup("preprocess");
    owner_t *owner = owner_take(options->output, name, error);
    if (!owner && options->parts) g_prefix_error(error, "part %d of %d: ", options->part, options->parts);
    static const char *const names[] = {"shard-", "report.tsv", "preprocess.spool", "preprocess.joined"};
    for (size_t i = 0; owner && !options->parts && i < G_N_ELEMENTS(names); i++)
        file_sweep(options->output, names[i], NULL, NULL);
    return owner;
}

static gboolean run(corpus_t *corpus, GError **error) {
    const corpus_options_t *options = corpus->options;
    g_autoptr(owner_t) owner = corpus->owner = take_output(options, error);
    if (!owner) return FALSE;
    corpus->parts = MAX(options->parts, 1);
    if (options->join && !part_count(options->output, &corpus->parts, error)) return FALSE;
    corpus->caches = g_new0(parsed_cache_t *, corpus->parts);
    if (corpus->parts > 0) part_deal(corpus->rows, corpus->parts);
    gboolean done = options->join    ? run_join(corpus, error)
                    : options->parts ? run_part(corpus, error)
                                     : run_alone(corpus, error);
    for (int part = 0; part < corpus->parts; part++) parsed_cache_close(corpus->caches[part], FALSE);
    g_free(corpus->caches);
    return done;
}

gboolean corpus_run(const corpus_options_t *options, GError **error) {
    g_autoptr(found_list_t) files = find_files(options->inputs, options->files_from, error);
    if (!files) return FALSE;
    if (g_mkdir_with_parents(options->output, 0777) != 0)
        return file_fail(error, options->output, "make this folder", ANOTHER_OUTPUT);
    g_autofree char *layout = layout_text(&options->layout), *text = options_text(options, layout),
                    *identity = part_identity(files, text);
    g_autoptr(rows_t) rows = rows_new(files, layout);
    corpus_t corpus = {
        .options = options, .options_text = text, .identity = identity, .files = files, .rows = rows};
    return run(&corpus, error);
}
