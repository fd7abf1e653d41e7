/* shard: owns the layout of a shard file and the rules of a whole folder of them. Refuses what is not one
 * complete corpus: a missing, foreign, damaged or newer file is named with the way out. */
#include "preprocess/shard/shard.h"

#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/shard/deflate.h"
#include "preprocess/shard/h5.h"
#include "preprocess/shard/shard_played.h"
#include "preprocess/shard/shard_tables.h"

enum { CHUNK_BYTES = 128 << 10 };
enum { MAX_FRAMES = G_MAXINT32 }; /* of one shard: HDF5 lets a small file claim any size */

static const char *const split_names[SPLIT_COUNT] = {"train", "valid", "test"};

const char *split_name(split_t split) { return split_names[split]; }

gboolean split_from_name(const char *name, split_t *split) {
    for (int i = 0; i < SPLIT_COUNT; i++) {
        if (strcmp(name, split_names[i]) != 0) continue;
        *split = (split_t)i;
        return TRUE;
    }
    return FALSE;
}

static char *shard_path(const char *folder, size_t shard, size_t shards) {
    return g_strdup_printf("%s/shard-%05zu-of-%05zu.h5", folder, shard, shards);
}

typedef struct {
    hid_t dataset;
    hsize_t chunk_frames;
} roll_writer_t;

static gboolean write_chunk(gpointer user, size_t index, const uint8_t *bytes, size_t size) {
    const roll_writer_t *writer = user;
    const hsize_t offset[4] = {index * writer->chunk_frames};
    return H5Dwrite_chunk(writer->dataset, H5P_DEFAULT, 0, offset, size, bytes) >= 0;
}

/* Writes /roll without HDF5's filters, which work on one thread. */
static gboolean write_roll(h5_file_t *file, const grid_t *grid, const uint8_t *bits, int64_t frames,
                           int threads, GError **error) {
    const size_t stride = roll_stride((size_t)grid->pitches), frame_bytes = grid_frame_bytes(grid);
    const hsize_t size[4] = {(hsize_t)frames, (hsize_t)grid->n_tracks, ROLL_PLANES, stride};
    const hsize_t chunk[4] = {CLAMP(CHUNK_BYTES / frame_bytes, 1, (hsize_t)frames), size[1], size[2],
                              size[3]};
    g_auto(h5_id_t) dataset = shard_dataset_make(file, "/roll", H5T_STD_U8LE, 4, size, chunk, error);
    if (dataset < 0) return FALSE;
    roll_writer_t writer = {dataset, chunk[0]};
    return deflate_chunks(bits, (size_t)frames * frame_bytes, chunk[0] * frame_bytes, SHARD_DEFLATE_LEVEL,
                          threads, write_chunk, &writer) ||
           h5_fail(error, H5_ERROR_WRITE, file, "write /roll");
}

static gboolean write_description(h5_file_t *file, const shard_set_t *set, size_t shard, size_t shards,
                                  GError **error) {
    const grid_t *grid = &set->grid;
    g_autofree char *tracks = grid_tracks_string(grid);
    return h5_write_string(file, "/", "format", SHARD_FORMAT, error) &&
           h5_write_int(file, "/", "version", SHARD_VERSION, error) &&
           h5_write_string(file, "/", "tool", "mpianist-preprocess " MPIANIST_VERSION, error) &&
           h5_write_string(file, "/", "corpus_id", set->corpus_id, error) &&
           h5_write_int(file, "/", "shard", (int64_t)shard, error) &&
           h5_write_int(file, "/", "shards", (int64_t)shards, error) &&
           h5_write_int(file, "/", "steps_per_beat", grid->steps_per_beat, error) &&
           h5_write_int(file, "/", "pitch_low", grid->pitch_low, error) &&
           h5_write_int(file, "/", "pitches", grid->pitches, error) &&
           h5_write_int(file, "/", "fold_octaves", grid->fold_octaves, error) &&
           h5_write_int(file, "/", "sustain_pedal", grid->sustain_pedal, error) &&
           h5_write_string(file, "/", "tracks", tracks, error) &&
           h5_write_string(file, "/", "options", set->options, error);
}

gboolean shard_write(const char *folder, const shard_set_t *set, size_t shard, const shard_song_t *songs,
                     timeline_t *const *timelines, const played_t *played, size_t n_songs,
                     const uint8_t *bits, int64_t frames, int threads, GError **error) {
    g_autofree shard_song_t *rows = g_memdup2(songs, n_songs * sizeof *songs);
    g_autofree played_t *typed = NULL;
    const size_t onsets = shard_played_place(&set->grid, rows, n_songs, bits);
    if (!played) played = typed = shard_played_typed(onsets);
    shard_played_checksum(rows, n_songs, played);
    g_autofree char *path = shard_path(folder, shard, set->n_shards);
    h5_file_t *file = h5_file_create(path, error);
    if (!file) return FALSE;
    if (!write_description(file, set, shard, set->n_shards, error) ||
        !write_roll(file, &set->grid, bits, frames, threads, error) ||
        !shard_played_write(file, played, onsets, error) ||
        !shard_tables_write(file, &set->grid, rows, timelines, n_songs, bits, threads, error)) {
        h5_file_close(file);
        return FALSE;
    }
    return h5_file_commit(file, set->owner, error);
}

static gboolean read_bounded(h5_file_t *file, const char *name, int64_t low, int64_t high, int *value,
                             GError **error) {
    int64_t read = 0;
    if (!h5_read_int(file, "/", name, &read, error)) return FALSE;
    if (read < low || read > high)
        return shard_fail_damaged(error, file, "attribute %s is %" G_GINT64_FORMAT, name, read);
    *value = (int)read;
    return TRUE;
}

static gboolean read_grid(h5_file_t *file, grid_t *grid, GError **error) {
    g_autofree char *tracks = h5_read_string(file, "/", "tracks", error);
    return tracks && grid_set_tracks(grid, tracks, error) &&
           read_bounded(file, "steps_per_beat", 1, 96, &grid->steps_per_beat, error) &&
           read_bounded(file, "pitch_low", 0, 127, &grid->pitch_low, error) &&
           read_bounded(file, "pitches", 1, 128 - grid->pitch_low, &grid->pitches, error) &&
           read_bounded(file, "fold_octaves", 0, 1, &grid->fold_octaves, error) &&
           read_bounded(file, "sustain_pedal", 0, 1, &grid->sustain_pedal, error);
}

static gboolean check_format(h5_file_t *file, int64_t *version, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autofree char *format = h5_read_string(file, "/", "format", &cause);
    if (g_error_matches(cause, H5_ERROR, H5_ERROR_READ)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!format || strcmp(format, SHARD_FORMAT) != 0)
        return shard_fail(error, SHARD_ERROR_FORMAT, h5_file_path(file),
                          "not a shard of mpianist-preprocess; remove it, or name another folder");
    if (!h5_read_int(file, "/", "version", version, error)) return FALSE;
    return (*version >= 1 && *version <= SHARD_VERSION) ||
           shard_fail(error, SHARD_ERROR_FORMAT, h5_file_path(file),
                      "shard version %" G_GINT64_FORMAT
                      ", this program reads 1 to %d; use the program that wrote it, or preprocess again",
                      *version, SHARD_VERSION);
}

char *shard_corpus_id(const char *path) {
    g_autoptr(h5_file_t) file = h5_file_open(path, NULL);
    int64_t version;
    return file && check_format(file, &version, NULL) ? h5_read_string(file, "/", "corpus_id", NULL) : NULL;
}

/* Frames of /roll, whose shape must be the grid's. */
static gboolean read_size(h5_file_t *file, const grid_t *grid, int64_t *frames, GError **error) {
    hsize_t size[4] = {0};
    g_auto(h5_id_t) roll = shard_dataset_open(file, "/roll", 4, size, error);
    if (roll < 0) return FALSE;
    if (size[1] != (hsize_t)grid->n_tracks || size[2] != ROLL_PLANES ||
        size[1] * size[2] * size[3] != grid_frame_bytes(grid))
        return shard_fail_damaged(error, file, "/roll has another shape than its grid");
    if (size[0] > MAX_FRAMES) return shard_fail_damaged(error, file, "/roll is impossibly large");
    *frames = (int64_t)size[0];
    return TRUE;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static gboolean fail_folder(GError **error, shard_error_t code, const char *folder, const char *cause) {
    return shard_fail(error, code, folder, "%s; name the folder that %s wrote to", cause,
                      program_called("preprocess"));
}

/* Paths of the shards in a folder, by name. NULL with error set where there are none. */
static GPtrArray *list_shards(const char *folder, GError **error) {
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &local);
    if (!dir) {
        fail_folder(error, SHARD_ERROR_READ, folder,
                    g_file_test(folder, G_FILE_TEST_EXISTS) ? "is not a folder that can be read"
                                                            : "no such folder");
        return NULL;
    }
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    gboolean unfinished = FALSE;
    for (const char *name; (name = g_dir_read_name(dir));) {
        if (g_str_has_prefix(name, "shard-") && g_str_has_suffix(name, ".h5"))
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
        unfinished = unfinished || g_str_has_prefix(name, "preprocess");
    }
    if (paths->len == 0) {
        fail_folder(error, SHARD_ERROR_NONE, folder,
                    unfinished ? "holds no shards yet, only what a run or its parts have parsed"
                               : "holds no shards");
        return NULL;
    }
    qsort(paths->pdata, paths->len, sizeof(gpointer), by_name);
    return g_steal_pointer(&paths);
}

/* Reads what one file says of its corpus, and its songs. What the first file says holds for all. */
static gboolean add_shard(shard_set_t *set, const char *path, GArray *songs, GError **error) {
    g_autoptr(h5_file_t) file = h5_file_open(path, error);
    int64_t version;
    if (!file || !check_format(file, &version, error)) return FALSE;
    g_autofree char *corpus_id = h5_read_string(file, "/", "corpus_id", error);
    int shards = 0, shard = 0;
    if (!corpus_id || !read_bounded(file, "shards", 1, 99999, &shards, error) ||
        !read_bounded(file, "shard", 0, shards - 1, &shard, error))
        return FALSE;
    gboolean first = set->n_shards == 0;
    if (first) {
        if (!read_grid(file, &set->grid, error) ||
            !(set->options = h5_read_string(file, "/", "options", error)))
            return FALSE;
        g_strlcpy(set->corpus_id, corpus_id, sizeof set->corpus_id);
        set->n_shards = (size_t)shards;
        set->files = g_new0(shard_file_t, set->n_shards);
    } else if (strcmp(set->corpus_id, corpus_id) != 0 || set->n_shards != (size_t)shards) {
        return shard_fail(error, SHARD_ERROR_MIXED, path,
                          "belongs to another corpus than the shards before it; keep one corpus a folder, or "
                          "preprocess again");
    }
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *wanted_path = shard_path("", (size_t)shard, set->n_shards);
    if (strcmp(wanted_path + 1, name) != 0)
        return shard_fail(error, SHARD_ERROR_MIXED, path,
                          "was renamed: its name and its content disagree; preprocess again");
    const guint before = songs->len;
    int64_t frames = 0;
    if (!read_size(file, &set->grid, &frames, error) ||
        !shard_tables_read(file, version, frames, set, songs, error) ||
        (version > 2 && !shard_played_check(file, set, &g_array_index(songs, shard_song_t, before),
                                            songs->len - before, error)))
        return FALSE;
    set->frames += frames;
    set->played = (first || set->played) && version >= 3;
    set->files[shard] = (shard_file_t){version, songs->len};
    return TRUE;
}

shard_set_t *shard_set_open(const char *folder, GError **error) {
    g_autoptr(GPtrArray) paths = list_shards(folder, error);
    if (!paths) return NULL;
    g_autoptr(shard_set_t) set = g_new0(shard_set_t, 1);
    set->folder = g_strdup(folder);
    set->tempi = g_array_new(FALSE, TRUE, sizeof(tempo_change_t));
    set->meters = g_array_new(FALSE, TRUE, sizeof(meter_change_t));
    g_autoptr(GArray) songs = g_array_new(FALSE, TRUE, sizeof(shard_song_t));
    for (guint i = 0; i < paths->len; i++) {
        if (!add_shard(set, paths->pdata[i], songs, error)) return NULL;
    }
    for (size_t i = 0; i < set->n_shards; i++) {
        g_autofree char *path = shard_path(folder, i, set->n_shards);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) continue;
        shard_fail(error, SHARD_ERROR_MISSING, path,
                   "this shard is missing; run the same preprocess command again");
        return NULL;
    }
    set->n_songs = songs->len;
    set->songs = (shard_song_t *)(void *)g_array_free(g_steal_pointer(&songs), FALSE);
    return g_steal_pointer(&set);
}

/* Frames of the corpus before a song; of one past the last: all. */
static int64_t frames_before(const shard_set_t *set, size_t song) {
    return song < set->n_songs ? set->songs[song].first_frame : set->frames;
}

/* Rows of one file's /roll. */
static gboolean read_frames(h5_file_t *file, const grid_t *grid, int64_t first, int64_t frames, uint8_t *bits,
                            GError **error) {
    int64_t there = 0;
    if (!read_size(file, grid, &there, error)) return FALSE;
    if (first > there || frames > there - first)
        return shard_fail_damaged(error, file, "/roll is shorter than its songs");
    const hsize_t stride = roll_stride((size_t)grid->pitches);
    const hsize_t start[4] = {(hsize_t)first},
                  count[4] = {(hsize_t)frames, (hsize_t)grid->n_tracks, ROLL_PLANES, stride};
    g_auto(h5_id_t) roll = H5Dopen2(h5_file_id(file), "/roll", H5P_DEFAULT);
    g_auto(h5_id_t) from = roll < 0 ? roll : H5Dget_space(roll);
    g_auto(h5_id_t) to = H5Screate_simple(4, count, NULL);
    if (from < 0 || to < 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(roll, H5T_NATIVE_UINT8, to, from, H5P_DEFAULT, bits) < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read /roll");
    return TRUE;
}

/* Whether songs first to end - 1 of a file, whose frames are in bits, are what was written. */
static gboolean verify_songs(const shard_set_t *set, size_t file, const char *path, size_t first, size_t end,
                             const uint8_t *bits, GError **error) {
    const size_t frame_bytes = grid_frame_bytes(&set->grid);
    const int64_t version = set->files[file].version;
    for (size_t i = first; i < end; i++) {
        const shard_song_t *song = &set->songs[i];
        const size_t bytes = (size_t)song->frames * frame_bytes;
        if (deflate_crc32(0, bits, bytes) != song->crc32)
            return shard_fail(error, SHARD_ERROR_FORMAT, path,
                              "song %s: its rows do not match their checksum; preprocess again", song->path);
        if (version > 2 && roll_count_onsets(bits, (size_t)song->frames, &set->grid) != (size_t)song->onsets)
            return shard_fail(error, SHARD_ERROR_FORMAT, path,
                              "song %s: /songs does not tell how many onsets its rows have; preprocess again",
                              song->path);
        bits += bytes;
    }
    return TRUE;
}

gboolean shard_set_read_songs(const shard_set_t *set, size_t first_song, size_t n, uint8_t *bits,
                              GError **error) {
    const size_t frame_bytes = grid_frame_bytes(&set->grid), end_song = first_song + n;
    for (size_t i = 0, first_of_file = 0; i < set->n_shards; first_of_file = set->files[i++].end_song) {
        const size_t first = MAX(first_song, first_of_file), end = MIN(end_song, set->files[i].end_song);
        if (first >= end) continue;
        const int64_t before = frames_before(set, first), frames = frames_before(set, end) - before;
        g_autofree char *path = shard_path(set->folder, i, set->n_shards);
        g_autoptr(h5_file_t) file = h5_file_open(path, error);
        if (!file ||
            !read_frames(file, &set->grid, before - frames_before(set, first_of_file), frames, bits, error))
            return FALSE;
        if (set->files[i].version > 1 && !verify_songs(set, i, path, first, end, bits, error)) return FALSE;
        bits += (size_t)frames * frame_bytes;
    }
    return TRUE;
}

/* Onsets of the corpus before a song; of one past the last: all. */
static int64_t onsets_before(const shard_set_t *set, size_t song) {
    return song < set->n_songs ? set->songs[song].first_onset : set->onsets;
}

gboolean shard_set_read_played(const shard_set_t *set, size_t first_song, size_t n, played_t *played,
                               GError **error) {
    const size_t end_song = first_song + n;
    g_assert(set->played);
    for (size_t i = 0, first_of_file = 0; i < set->n_shards; first_of_file = set->files[i++].end_song) {
        const size_t first = MAX(first_song, first_of_file), end = MIN(end_song, set->files[i].end_song);
        if (first >= end) continue;
        const int64_t before = onsets_before(set, first), onsets = onsets_before(set, end) - before;
        g_autofree char *path = shard_path(set->folder, i, set->n_shards);
        g_autoptr(h5_file_t) file = h5_file_open(path, error);
        if (!file ||
            !shard_played_read(file, before - onsets_before(set, first_of_file), onsets, played, error) ||
            !shard_played_verify(path, set->songs + first, end - first, played, error))
            return FALSE;
        played += onsets;
    }
    return TRUE;
}

gboolean shard_set_read(const shard_set_t *set, uint8_t *bits, GError **error) {
    return shard_set_read_songs(set, 0, set->n_songs, bits, error);
}

timeline_t *shard_set_timeline(const shard_set_t *set, size_t song) {
    const shard_song_t *row = &set->songs[song];
    return timeline_from_rows(
        set->grid.steps_per_beat, &g_array_index(set->tempi, tempo_change_t, row->first_tempo),
        (size_t)row->tempi, &g_array_index(set->meters, meter_change_t, row->first_meter),
        (size_t)row->meters);
}

void shard_set_free(shard_set_t *set) {
    if (!set) return;
    g_free(set->options);
    g_free(set->files);
    g_free(set->songs);
    g_clear_pointer(&set->tempi, g_array_unref);
    g_clear_pointer(&set->meters, g_array_unref);
    g_free(set->folder);
    g_free(set);
}
