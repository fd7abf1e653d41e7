/* shard: owns the layout of a shard file and the rules of a whole folder of them. Refuses what is not one complete corpus: a missing, foreign, damaged or newer file
 * is named with the way out. */
#include "preprocess/shard.h"

#include <stdlib.h>
#include <string.h>

#include "preprocess/deflate.h"
#include "preprocess/h5.h"
#include "preprocess/program.h"

enum { CHUNK_BYTES = 128 << 10, DEFLATE_LEVEL = 6, SONGS_CHUNK = 256, CHANGES_CHUNK = 4096 /* rows */ };
enum { MAX_SONGS = 1 << 20, MAX_FRAMES = G_MAXINT32 }; /* of one shard: HDF5 lets a small file claim any size */

G_DEFINE_QUARK(mpianist_shard_error, shard_error)

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

/* A row of /songs as it lies in memory; in the file the same members are packed, little-endian. */
static hid_t song_type(int64_t version) {
    g_auto(h5_id_t) sha256 = h5_string_type(sizeof((shard_song_t *)NULL)->sha256);
    g_auto(h5_id_t) path = h5_string_type(SHARD_PATH_BYTES);
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(shard_song_t));
    H5Tinsert(type, "first_frame", HOFFSET(shard_song_t, first_frame), H5T_NATIVE_INT64);
    H5Tinsert(type, "frames", HOFFSET(shard_song_t, frames), H5T_NATIVE_INT64);
    H5Tinsert(type, "tempo_bpm", HOFFSET(shard_song_t, tempo_bpm), H5T_NATIVE_DOUBLE);
    H5Tinsert(type, "meter_numerator", HOFFSET(shard_song_t, meter_numerator), H5T_NATIVE_UINT8);
    H5Tinsert(type, "meter_denominator", HOFFSET(shard_song_t, meter_denominator), H5T_NATIVE_UINT8);
    H5Tinsert(type, "split", HOFFSET(shard_song_t, split), H5T_NATIVE_UINT8);
    H5Tinsert(type, "sha256", HOFFSET(shard_song_t, sha256), sha256);
    H5Tinsert(type, "path", HOFFSET(shard_song_t, path), path);
    if (version == 1) return type;
    H5Tinsert(type, "crc32", HOFFSET(shard_song_t, crc32), H5T_NATIVE_UINT32);
    H5Tinsert(type, "first_tempo", HOFFSET(shard_song_t, first_tempo), H5T_NATIVE_INT64);
    H5Tinsert(type, "tempi", HOFFSET(shard_song_t, tempi), H5T_NATIVE_INT64);
    H5Tinsert(type, "first_meter", HOFFSET(shard_song_t, first_meter), H5T_NATIVE_INT64);
    H5Tinsert(type, "meters", HOFFSET(shard_song_t, meters), H5T_NATIVE_INT64);
    return type;
}

/* The same for rows of /tempi and /meters. */
static hid_t tempo_type(void) {
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(tempo_change_t));
    H5Tinsert(type, "frame", HOFFSET(tempo_change_t, frame), H5T_NATIVE_INT64);
    H5Tinsert(type, "bpm", HOFFSET(tempo_change_t, bpm), H5T_NATIVE_DOUBLE);
    return type;
}

static hid_t meter_type(void) {
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(meter_change_t));
    H5Tinsert(type, "frame", HOFFSET(meter_change_t, frame), H5T_NATIVE_INT64);
    H5Tinsert(type, "numerator", HOFFSET(meter_change_t, numerator), H5T_NATIVE_UINT8);
    H5Tinsert(type, "denominator", HOFFSET(meter_change_t, denominator), H5T_NATIVE_UINT8);
    return type;
}

static char *shard_path(const char *folder, size_t shard, size_t shards) {
    return g_strdup_printf("%s/shard-%05zu-of-%05zu.h5", folder, shard, shards);
}

/* Makes a compressed, checksummed dataset. Negative with error set. Owner: caller. */
static hid_t make_dataset(h5_file_t *file, const char *name, hid_t type, int rank, const hsize_t *size, const hsize_t *chunk, GError **error) {
    g_autofree char *doing = g_strdup_printf("write %s", name);
    g_auto(h5_id_t) space = H5Screate_simple(rank, size, NULL);
    g_auto(h5_id_t) stored = H5Tcopy(type);
    g_auto(h5_id_t) creation = H5Pcreate(H5P_DATASET_CREATE);
    if (H5Tget_class(type) == H5T_COMPOUND) H5Tpack(stored);
    H5Pset_obj_track_times(creation, FALSE);
    hid_t dataset = -1;
    if (H5Pset_chunk(creation, rank, chunk) >= 0 && H5Pset_deflate(creation, DEFLATE_LEVEL) >= 0 && H5Pset_fletcher32(creation) >= 0)
        dataset = H5Dcreate2(h5_file_id(file), name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset < 0) h5_fail(error, H5_ERROR_WRITE, h5_file_path(file), doing);
    return dataset;
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

/* /roll: HDF5's filters, which work on one thread, are passed by. */
static gboolean write_roll(h5_file_t *file, const grid_t *grid, const uint8_t *bits, int64_t frames, int threads, GError **error) {
    const size_t stride = ((size_t)grid->pitches + 7) / 8, frame_bytes = grid_frame_bytes(grid);
    const hsize_t size[4] = {(hsize_t)frames, (hsize_t)grid->n_tracks, ROLL_PLANES, stride};
    const hsize_t chunk[4] = {CLAMP(CHUNK_BYTES / frame_bytes, 1, (hsize_t)frames), size[1], size[2], size[3]};
    g_auto(h5_id_t) dataset = make_dataset(file, "/roll", H5T_STD_U8LE, 4, size, chunk, error);
    if (dataset < 0) return FALSE;
    roll_writer_t writer = {dataset, chunk[0]};
    return deflate_chunks(bits, (size_t)frames * frame_bytes, chunk[0] * frame_bytes, DEFLATE_LEVEL, threads, write_chunk, &writer) ||
           h5_fail(error, H5_ERROR_WRITE, h5_file_path(file), "write /roll");
}

static gboolean write_head(h5_file_t *file, const shard_set_t *head, size_t shard, size_t shards, GError **error) {
    const grid_t *grid = &head->grid;
    g_autofree char *tracks = grid_tracks_string(grid);
    return h5_write_string(file, "/", "format", SHARD_FORMAT, error) && h5_write_int(file, "/", "version", SHARD_VERSION, error) &&
           h5_write_string(file, "/", "tool", "mpianist-preprocess " MPIANIST_VERSION, error) &&
           h5_write_string(file, "/", "corpus_id", head->corpus_id, error) && h5_write_int(file, "/", "shard", (int64_t)shard, error) &&
           h5_write_int(file, "/", "shards", (int64_t)shards, error) && h5_write_int(file, "/", "steps_per_beat", grid->steps_per_beat, error) &&
           h5_write_int(file, "/", "pitch_low", grid->pitch_low, error) && h5_write_int(file, "/", "pitches", grid->pitches, error) &&
           h5_write_int(file, "/", "fold_octaves", grid->fold_octaves, error) &&
           h5_write_int(file, "/", "sustain_pedal", grid->sustain_pedal, error) && h5_write_string(file, "/", "tracks", tracks, error) &&
           h5_write_string(file, "/", "options", head->options, error);
}

/* A table of rows, one song's after the other's. */
static gboolean write_rows(h5_file_t *file, const char *name, hid_t type, const void *rows, size_t n, size_t n_chunk, GError **error) {
    const hsize_t size = n, chunk = MIN(n, n_chunk);
    g_autofree char *doing = g_strdup_printf("write %s", name);
    g_auto(h5_id_t) dataset = make_dataset(file, name, type, 1, &size, &chunk, error);
    if (dataset < 0) return FALSE;
    return H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0 || h5_fail(error, H5_ERROR_WRITE, h5_file_path(file), doing);
}

/* The song's one tempo and meter. */
static timeline_t *main_timeline(const shard_song_t *song, int steps_per_beat) {
    return timeline_new(steps_per_beat, song->tempo_bpm, (meter_t){.numerator = song->meter_numerator, .denominator = song->meter_denominator});
}

static void append_timeline(shard_song_t *song, const timeline_t *timeline, GArray *tempi, GArray *meters) {
    song->first_tempo = tempi->len;
    song->tempi = timeline->tempi->len;
    song->first_meter = meters->len;
    song->meters = timeline->meters->len;
    g_array_append_vals(tempi, timeline->tempi->data, timeline->tempi->len);
    g_array_append_vals(meters, timeline->meters->data, timeline->meters->len);
}

/* /songs, /tempi and /meters. */
static gboolean write_songs(h5_file_t *file, const grid_t *grid, const shard_song_t *songs, timeline_t *const *timelines, size_t n_songs,
                            const uint8_t *bits, GError **error) {
    const size_t frame_bytes = grid_frame_bytes(grid);
    g_autofree shard_song_t *rows = g_memdup2(songs, n_songs * sizeof *songs);
    g_autoptr(GArray) tempi = g_array_new(FALSE, FALSE, sizeof(tempo_change_t)), meters = g_array_new(FALSE, FALSE, sizeof(meter_change_t));
    g_auto(h5_id_t) song_row = song_type(SHARD_VERSION);
    g_auto(h5_id_t) tempo_row = tempo_type();
    g_auto(h5_id_t) meter_row = meter_type();
    for (size_t i = 0; i < n_songs; i++) {
        g_autoptr(timeline_t) own = timelines ? NULL : main_timeline(&songs[i], grid->steps_per_beat);
        append_timeline(&rows[i], timelines ? timelines[i] : own, tempi, meters);
        rows[i].crc32 = deflate_crc32(0, bits + (size_t)songs[i].first_frame * frame_bytes, (size_t)songs[i].frames * frame_bytes);
    }
    return write_rows(file, "/songs", song_row, rows, n_songs, SONGS_CHUNK, error) &&
           write_rows(file, "/tempi", tempo_row, tempi->data, tempi->len, CHANGES_CHUNK, error) &&
           write_rows(file, "/meters", meter_row, meters->data, meters->len, CHANGES_CHUNK, error);
}

gboolean shard_write(const char *folder, const shard_set_t *head, size_t shard, const shard_song_t *songs, timeline_t *const *timelines,
                     size_t n_songs, const uint8_t *bits, int64_t frames, int threads, GError **error) {
    g_autofree char *path = shard_path(folder, shard, head->n_shards);
    h5_file_t *file = h5_file_create(path, error);
    if (!file) return FALSE;
    if (!write_head(file, head, shard, head->n_shards, error) || !write_roll(file, &head->grid, bits, frames, threads, error) ||
        !write_songs(file, &head->grid, songs, timelines, n_songs, bits, error) ||
        !owner_check(head->owner, error)) {
        h5_file_close(file);
        return FALSE;
    }
    return h5_file_commit(file, error);
}

/* Sets a SHARD_ERROR: "PATH: CAUSE; WAY OUT". */
static gboolean fail(GError **error, shard_error_t code, const char *path, const char *cause) {
    g_autofree char *shown = g_filename_display_name(path);
    g_set_error(error, SHARD_ERROR, (gint)code, "%s: %s", shown, cause);
    return FALSE;
}

static gboolean read_bounded(h5_file_t *file, const char *name, int64_t low, int64_t high, int *value, GError **error) {
    int64_t read = 0;
    if (!h5_read_int(file, "/", name, &read, error)) return FALSE;
    if (read < low || read > high) {
        g_autofree char *cause = g_strdup_printf("attribute %s is %" G_GINT64_FORMAT "; the file is damaged: preprocess again", name, read);
        return fail(error, SHARD_ERROR_FORMAT, h5_file_path(file), cause);
    }
    *value = (int)read;
    return TRUE;
}

static gboolean read_grid(h5_file_t *file, grid_t *grid, GError **error) {
    g_autofree char *tracks = h5_read_string(file, "/", "tracks", error);
    return tracks && grid_set_tracks(grid, tracks, error) && read_bounded(file, "steps_per_beat", 1, 96, &grid->steps_per_beat, error) &&
           read_bounded(file, "pitch_low", 0, 127, &grid->pitch_low, error) &&
           read_bounded(file, "pitches", 1, 128 - grid->pitch_low, &grid->pitches, error) &&
           read_bounded(file, "fold_octaves", 0, 1, &grid->fold_octaves, error) &&
           read_bounded(file, "sustain_pedal", 0, 1, &grid->sustain_pedal, error);
}

static gboolean check_format(h5_file_t *file, int64_t *version, GError **error) {
    g_autofree char *format = h5_read_string(file, "/", "format", NULL);
    if (!format || strcmp(format, SHARD_FORMAT) != 0)
        return fail(error, SHARD_ERROR_FORMAT, h5_file_path(file), "not a shard of mpianist-preprocess; remove it, or name another folder");
    if (!h5_read_int(file, "/", "version", version, error)) return FALSE;
    if (*version < 1 || *version > SHARD_VERSION) {
        g_autofree char *cause =
            g_strdup_printf("shard version %" G_GINT64_FORMAT ", this program reads 1 to %d; use the program that wrote it, or preprocess again",
                            *version, SHARD_VERSION);
        return fail(error, SHARD_ERROR_FORMAT, h5_file_path(file), cause);
    }
    return TRUE;
}

char *shard_corpus_id(const char *path) {
    g_autoptr(h5_file_t) file = h5_file_open(path, NULL);
    int64_t version;
    return file && check_format(file, &version, NULL) ? h5_read_string(file, "/", "corpus_id", NULL) : NULL;
}

/* What damage comes to, and the way out. */
static gboolean fail_damaged(GError **error, const char *path, const char *what) {
    g_autofree char *cause = g_strdup_printf("%s; the file is damaged: preprocess again", what);
    return fail(error, SHARD_ERROR_FORMAT, path, cause);
}

/* Opens a dataset of so many dimensions; their sizes to size. */
static hid_t open_dataset(h5_file_t *file, const char *name, int rank, hsize_t *size, GError **error) {
    g_autofree char *doing = g_strdup_printf("read %s", name), *shape = g_strdup_printf("%s has another shape", name);
    g_auto(h5_id_t) dataset = H5Dopen2(h5_file_id(file), name, H5P_DEFAULT);
    g_auto(h5_id_t) space = dataset < 0 ? dataset : H5Dget_space(dataset);
    hid_t opened = dataset;
    if (space < 0) return h5_fail(error, H5_ERROR_READ, h5_file_path(file), doing), H5I_INVALID_HID;
    if (H5Sget_simple_extent_ndims(space) != rank) return fail_damaged(error, h5_file_path(file), shape), H5I_INVALID_HID;
    H5Sget_simple_extent_dims(space, size, NULL);
    dataset = H5I_INVALID_HID;
    return opened;
}

/* Appends all rows of a table. */
static gboolean read_rows(h5_file_t *file, const char *name, hid_t type, int64_t most, GArray *rows, GError **error) {
    hsize_t n = 0;
    g_autofree char *doing = g_strdup_printf("read %s", name), *large = g_strdup_printf("%s is impossibly large", name);
    g_auto(h5_id_t) table = open_dataset(file, name, 1, &n, error);
    if (table < 0) return FALSE;
    if (n > (hsize_t)most || n > G_MAXUINT - rows->len) return fail_damaged(error, h5_file_path(file), large);
    const guint before = rows->len;
    g_array_set_size(rows, before + (guint)n);
    return n == 0 || H5Dread(table, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows->data + (gsize)before * g_array_get_element_size(rows)) >= 0 ||
           h5_fail(error, H5_ERROR_READ, h5_file_path(file), doing);
}

/* Frames of /roll, whose shape must be the grid's. */
static gboolean read_size(h5_file_t *file, const grid_t *grid, int64_t *frames, GError **error) {
    hsize_t size[4] = {0};
    g_auto(h5_id_t) roll = open_dataset(file, "/roll", 4, size, error);
    if (roll < 0) return FALSE;
    if (size[1] != (hsize_t)grid->n_tracks || size[2] != ROLL_PLANES || size[1] * size[2] * size[3] != grid_frame_bytes(grid))
        return fail_damaged(error, h5_file_path(file), "/roll has another shape than its grid");
    if (size[0] > MAX_FRAMES) return fail_damaged(error, h5_file_path(file), "/roll is impossibly large");
    *frames = (int64_t)size[0];
    return TRUE;
}

/* Appends the file's rows of /songs. */
static gboolean read_songs(h5_file_t *file, int64_t version, int64_t frames, GArray *songs, GError **error) {
    const char *path = h5_file_path(file);
    const guint before = songs->len;
    g_auto(h5_id_t) row = song_type(version);
    if (!read_rows(file, "/songs", row, MIN(frames, MAX_SONGS), songs, error)) return FALSE;
    int64_t at = 0;
    for (guint i = before; i < songs->len; i++) {
        shard_song_t *song = &g_array_index(songs, shard_song_t, i);
        song->sha256[sizeof song->sha256 - 1] = song->path[sizeof song->path - 1] = '\0';
        if (song->first_frame != at || song->frames < 1 || song->frames > frames - at || song->split >= SPLIT_COUNT || song->meter_numerator == 0 ||
            song->meter_denominator == 0)
            return fail_damaged(error, path, "/songs does not fit /roll");
        at += song->frames;
    }
    return at == frames || fail_damaged(error, path, "/songs does not fit /roll");
}

/* The rows of /tempi and /meters of songs from first on, appended to the set's. */
static gboolean read_timelines(h5_file_t *file, shard_set_t *set, shard_song_t *songs, size_t n, int64_t frames, GError **error) {
    const guint tempi = set->tempi->len, meters = set->meters->len;
    g_auto(h5_id_t) tempo_row = tempo_type();
    g_auto(h5_id_t) meter_row = meter_type();
    if (!read_rows(file, "/tempi", tempo_row, frames, set->tempi, error) || !read_rows(file, "/meters", meter_row, frames, set->meters, error))
        return FALSE;
    int64_t next_tempo = 0, next_meter = 0, last_tempo = set->tempi->len - tempi, last_meter = set->meters->len - meters;
    for (size_t i = 0; i < n; i++) {
        shard_song_t *song = &songs[i];
        if (song->first_tempo != next_tempo || song->tempi < 1 || song->tempi > last_tempo - next_tempo || song->first_meter != next_meter ||
            song->meters < 1 || song->meters > last_meter - next_meter)
            return fail_damaged(error, h5_file_path(file), "/songs does not fit /tempi and /meters");
        next_tempo += song->tempi;
        next_meter += song->meters;
        song->first_tempo += tempi;
        song->first_meter += meters;
        if (!timeline_rows_valid(&g_array_index(set->tempi, tempo_change_t, song->first_tempo), (size_t)song->tempi,
                                 &g_array_index(set->meters, meter_change_t, song->first_meter), (size_t)song->meters, song->frames))
            return fail_damaged(error, h5_file_path(file), "/tempi or /meters holds what no song has");
    }
    return (next_tempo == last_tempo && next_meter == last_meter) ||
           fail_damaged(error, h5_file_path(file), "/songs does not fit /tempi and /meters");
}

/* Appends the file's songs: their rows count in the set then. */
static gboolean add_songs(h5_file_t *file, int64_t version, shard_set_t *set, GArray *songs, GError **error) {
    const guint before = songs->len;
    int64_t frames = 0;
    if (!read_size(file, &set->grid, &frames, error) || !read_songs(file, version, frames, songs, error)) return FALSE;
    shard_song_t *first = &g_array_index(songs, shard_song_t, before);
    if (version > 1 && !read_timelines(file, set, first, songs->len - before, frames, error)) return FALSE;
    for (guint i = before; i < songs->len; i++) {
        shard_song_t *song = &g_array_index(songs, shard_song_t, i);
        g_autoptr(timeline_t) own = version > 1 ? NULL : main_timeline(song, set->grid.steps_per_beat);
        if (own) append_timeline(song, own, set->tempi, set->meters);
        song->first_frame += set->frames;
    }
    set->frames += frames;
    return TRUE;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static gboolean fail_folder(GError **error, shard_error_t code, const char *folder, const char *cause) {
    g_autofree char *text = g_strdup_printf("%s; name the folder that %s wrote to", cause, program_called("preprocess"));
    return fail(error, code, folder, text);
}

/* Paths of the shards in a folder, by name. NULL with error set where there are none. */
static GPtrArray *list_shards(const char *folder, GError **error) {
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &local);
    if (!dir) {
        fail_folder(error, SHARD_ERROR_READ, folder, g_file_test(folder, G_FILE_TEST_EXISTS) ? "is not a folder that can be read" : "no such folder");
        return NULL;
    }
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir));) {
        if (g_str_has_prefix(name, "shard-") && g_str_has_suffix(name, ".h5")) g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    }
    if (paths->len == 0) {
        fail_folder(error, SHARD_ERROR_NONE, folder, "holds no shards");
        return NULL;
    }
    qsort(paths->pdata, paths->len, sizeof(gpointer), by_name);
    return g_steal_pointer(&paths);
}

/* Reads one file's head and songs; the first file's head is the set's, the others must agree. */
static gboolean add_shard(shard_set_t *set, const char *path, GArray *songs, GError **error) {
    g_autoptr(h5_file_t) file = h5_file_open(path, error);
    int64_t version;
    if (!file || !check_format(file, &version, error)) return FALSE;
    g_autofree char *corpus_id = h5_read_string(file, "/", "corpus_id", error);
    int shards = 0, shard = 0;
    if (!corpus_id || !read_bounded(file, "shards", 1, 99999, &shards, error) || !read_bounded(file, "shard", 0, shards - 1, &shard, error))
        return FALSE;
    gboolean first = set->n_shards == 0;
    if (first) {
        if (!read_grid(file, &set->grid, error) || !(set->options = h5_read_string(file, "/", "options", error))) return FALSE;
        g_strlcpy(set->corpus_id, corpus_id, sizeof set->corpus_id);
        set->n_shards = (size_t)shards;
        set->files = g_new0(shard_file_t, set->n_shards);
    } else if (strcmp(set->corpus_id, corpus_id) != 0 || set->n_shards != (size_t)shards) {
        return fail(error, SHARD_ERROR_MIXED, path,
                    "belongs to another corpus than the shards before it; keep one corpus a folder, or preprocess again");
    }
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *wanted_path = shard_path("", (size_t)shard, set->n_shards);
    if (strcmp(wanted_path + 1, name) != 0)
        return fail(error, SHARD_ERROR_MIXED, path, "was renamed: its name and its content disagree; preprocess again");
    if (!add_songs(file, version, set, songs, error)) return FALSE;
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
        fail(error, SHARD_ERROR_MISSING, path, "this shard is missing; run the same preprocess command again");
        return NULL;
    }
    set->n_songs = songs->len;
    set->songs = (shard_song_t *)(void *)g_array_free(g_steal_pointer(&songs), FALSE);
    return g_steal_pointer(&set);
}

/* Frames of the corpus before a song; of one past the last: all. */
static int64_t frames_before(const shard_set_t *set, size_t song) { return song < set->n_songs ? set->songs[song].first_frame : set->frames; }

/* Rows of one file's /roll. */
static gboolean read_frames(h5_file_t *file, const grid_t *grid, int64_t first, int64_t frames, uint8_t *bits, GError **error) {
    int64_t there = 0;
    if (!read_size(file, grid, &there, error)) return FALSE;
    if (first > there || frames > there - first) return fail_damaged(error, h5_file_path(file), "/roll is shorter than its songs");
    const hsize_t stride = grid_frame_bytes(grid) / ((size_t)grid->n_tracks * ROLL_PLANES);
    const hsize_t start[4] = {(hsize_t)first}, count[4] = {(hsize_t)frames, (hsize_t)grid->n_tracks, ROLL_PLANES, stride};
    g_auto(h5_id_t) roll = H5Dopen2(h5_file_id(file), "/roll", H5P_DEFAULT);
    g_auto(h5_id_t) from = roll < 0 ? roll : H5Dget_space(roll);
    g_auto(h5_id_t) to = H5Screate_simple(4, count, NULL);
    if (from < 0 || to < 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(roll, H5T_NATIVE_UINT8, to, from, H5P_DEFAULT, bits) < 0)
        return h5_fail(error, H5_ERROR_READ, h5_file_path(file), "read /roll");
    return TRUE;
}

/* Are songs first to end - 1, whose frames are in bits, what was written? */
static gboolean verify_songs(const shard_set_t *set, const char *path, size_t first, size_t end, const uint8_t *bits, GError **error) {
    const size_t frame_bytes = grid_frame_bytes(&set->grid);
    for (size_t i = first; i < end; i++) {
        const shard_song_t *song = &set->songs[i];
        const size_t bytes = (size_t)song->frames * frame_bytes;
        if (deflate_crc32(0, bits, bytes) != song->crc32) {
            g_autofree char *cause = g_strdup_printf("song %s: its rows do not match their checksum; preprocess again", song->path);
            return fail(error, SHARD_ERROR_FORMAT, path, cause);
        }
        bits += bytes;
    }
    return TRUE;
}

gboolean shard_set_read_songs(const shard_set_t *set, size_t first_song, size_t n, uint8_t *bits, GError **error) {
    const size_t frame_bytes = grid_frame_bytes(&set->grid), end_song = first_song + n;
    for (size_t i = 0, first_of_file = 0; i < set->n_shards; first_of_file = set->files[i++].end_song) {
        const size_t first = MAX(first_song, first_of_file), end = MIN(end_song, set->files[i].end_song);
        if (first >= end) continue;
        const int64_t before = frames_before(set, first), frames = frames_before(set, end) - before;
        g_autofree char *path = shard_path(set->folder, i, set->n_shards);
        g_autoptr(h5_file_t) file = h5_file_open(path, error);
        if (!file || !read_frames(file, &set->grid, before - frames_before(set, first_of_file), frames, bits, error)) return FALSE;
        if (set->files[i].version > 1 && !verify_songs(set, path, first, end, bits, error)) return FALSE;
        bits += (size_t)frames * frame_bytes;
    }
    return TRUE;
}

gboolean shard_set_read(const shard_set_t *set, uint8_t *bits, GError **error) { return shard_set_read_songs(set, 0, set->n_songs, bits, error); }

timeline_t *shard_set_timeline(const shard_set_t *set, size_t song) {
    const shard_song_t *row = &set->songs[song];
    return timeline_from_rows(set->grid.steps_per_beat, &g_array_index(set->tempi, tempo_change_t, row->first_tempo), (size_t)row->tempi,
                              &g_array_index(set->meters, meter_change_t, row->first_meter), (size_t)row->meters);
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
