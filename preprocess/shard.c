/* shard: owns the layout of a shard file and the rules of a whole folder of them. Refuses what is not one complete corpus: a missing, foreign, damaged or newer file
 * is named with the way out. */
#include "preprocess/shard.h"

#include <stdlib.h>
#include <string.h>

#include "preprocess/deflate.h"
#include "preprocess/h5.h"
#include "preprocess/program.h"

enum { CHUNK_BYTES = 128 << 10, DEFLATE_LEVEL = 6 };
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
static hid_t song_type(void) {
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

static gboolean write_songs(h5_file_t *file, const shard_song_t *songs, size_t n, GError **error) {
    const hsize_t size = n, chunk = MIN(n, 256);
    g_auto(h5_id_t) row = song_type();
    g_auto(h5_id_t) dataset = make_dataset(file, "/songs", row, 1, &size, &chunk, error);
    if (dataset < 0) return FALSE;
    return H5Dwrite(dataset, row, H5S_ALL, H5S_ALL, H5P_DEFAULT, songs) >= 0 || h5_fail(error, H5_ERROR_WRITE, h5_file_path(file), "write /songs");
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

gboolean shard_write(const char *folder, const shard_set_t *head, size_t shard, const shard_song_t *songs, size_t n_songs, const uint8_t *bits,
                     int64_t frames, int threads, GError **error) {
    g_autofree char *path = shard_path(folder, shard, head->n_shards);
    h5_file_t *file = h5_file_create(path, error);
    if (!file) return FALSE;
    if (!write_head(file, head, shard, head->n_shards, error) || !write_roll(file, &head->grid, bits, frames, threads, error) ||
        !write_songs(file, songs, n_songs, error)) {
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

static gboolean check_format(h5_file_t *file, GError **error) {
    g_autofree char *format = h5_read_string(file, "/", "format", NULL);
    int64_t version = 0;
    if (!format || strcmp(format, SHARD_FORMAT) != 0)
        return fail(error, SHARD_ERROR_FORMAT, h5_file_path(file), "not a shard of mpianist-preprocess; remove it, or name another folder");
    if (!h5_read_int(file, "/", "version", &version, error)) return FALSE;
    if (version != SHARD_VERSION) {
        g_autofree char *cause = g_strdup_printf(
            "shard version %" G_GINT64_FORMAT ", this program reads %d; use the program that wrote it, or preprocess again", version, SHARD_VERSION);
        return fail(error, SHARD_ERROR_FORMAT, h5_file_path(file), cause);
    }
    return TRUE;
}

char *shard_corpus_id(const char *path) {
    g_autoptr(h5_file_t) file = h5_file_open(path, NULL);
    return file && check_format(file, NULL) ? h5_read_string(file, "/", "corpus_id", NULL) : NULL;
}

/* Appends the file's rows of /songs; first_frame is moved by `base`, the frames of the shards before. */
static gboolean read_songs(h5_file_t *file, const grid_t *grid, int64_t base, int64_t *frames, GArray *songs, GError **error) {
    const char *path = h5_file_path(file);
    hsize_t roll_size[4] = {0}, rows = 0;
    g_auto(h5_id_t) roll = H5Dopen2(h5_file_id(file), "/roll", H5P_DEFAULT);
    g_auto(h5_id_t) roll_space = roll < 0 ? roll : H5Dget_space(roll);
    g_auto(h5_id_t) table = H5Dopen2(h5_file_id(file), "/songs", H5P_DEFAULT);
    g_auto(h5_id_t) space = table < 0 ? table : H5Dget_space(table);
    if (roll_space < 0 || space < 0) return h5_fail(error, H5_ERROR_READ, path, "read /roll and /songs");
    if (H5Sget_simple_extent_ndims(roll_space) != 4 || H5Sget_simple_extent_ndims(space) != 1)
        return fail(error, SHARD_ERROR_FORMAT, path, "/roll or /songs has another shape; the file is damaged: preprocess again");
    H5Sget_simple_extent_dims(roll_space, roll_size, NULL);
    H5Sget_simple_extent_dims(space, &rows, NULL);
    if (roll_size[1] != (hsize_t)grid->n_tracks || roll_size[2] != ROLL_PLANES ||
        roll_size[1] * roll_size[2] * roll_size[3] != grid_frame_bytes(grid))
        return fail(error, SHARD_ERROR_FORMAT, path, "/roll has another shape than its grid; the file is damaged: preprocess again");
    if (roll_size[0] > MAX_FRAMES || rows > MAX_SONGS || rows > roll_size[0])
        return fail(error, SHARD_ERROR_FORMAT, path, "/roll or /songs is impossibly large; the file is damaged: preprocess again");
    guint before = songs->len;
    g_array_set_size(songs, before + (guint)rows);
    g_auto(h5_id_t) row = song_type();
    if (rows > 0 && H5Dread(table, row, H5S_ALL, H5S_ALL, H5P_DEFAULT, &g_array_index(songs, shard_song_t, before)) < 0)
        return h5_fail(error, H5_ERROR_READ, path, "read /songs");
    int64_t at = 0;
    for (guint i = before; i < songs->len; i++) {
        shard_song_t *song = &g_array_index(songs, shard_song_t, i);
        song->sha256[sizeof song->sha256 - 1] = song->path[sizeof song->path - 1] = '\0';
        if (song->first_frame != at || song->frames < 1 || song->frames > (int64_t)roll_size[0] - at || song->split >= SPLIT_COUNT ||
            song->meter_denominator == 0)
            return fail(error, SHARD_ERROR_FORMAT, path, "/songs does not fit /roll; the file is damaged: preprocess again");
        song->first_frame += base;
        at += song->frames;
    }
    if (at != (int64_t)roll_size[0]) return fail(error, SHARD_ERROR_FORMAT, path, "/songs does not fit /roll; the file is damaged: preprocess again");
    *frames = at;
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
    if (!file || !check_format(file, error)) return FALSE;
    g_autofree char *corpus_id = h5_read_string(file, "/", "corpus_id", error);
    int shards = 0, shard = 0;
    if (!corpus_id || !read_bounded(file, "shards", 1, 99999, &shards, error) || !read_bounded(file, "shard", 0, shards - 1, &shard, error))
        return FALSE;
    gboolean first = set->n_shards == 0;
    if (first) {
        if (!read_grid(file, &set->grid, error) || !(set->options = h5_read_string(file, "/", "options", error))) return FALSE;
        g_strlcpy(set->corpus_id, corpus_id, sizeof set->corpus_id);
        set->n_shards = (size_t)shards;
    } else if (strcmp(set->corpus_id, corpus_id) != 0 || set->n_shards != (size_t)shards) {
        return fail(error, SHARD_ERROR_MIXED, path,
                    "belongs to another corpus than the shards before it; keep one corpus a folder, or preprocess again");
    }
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *wanted_path = shard_path("", (size_t)shard, set->n_shards);
    if (strcmp(wanted_path + 1, name) != 0)
        return fail(error, SHARD_ERROR_MIXED, path, "was renamed: its name and its content disagree; preprocess again");
    int64_t frames = 0;
    if (!read_songs(file, &set->grid, set->frames, &frames, songs, error)) return FALSE;
    set->frames += frames;
    return TRUE;
}

shard_set_t *shard_set_open(const char *folder, GError **error) {
    g_autoptr(GPtrArray) paths = list_shards(folder, error);
    if (!paths) return NULL;
    g_autoptr(shard_set_t) set = g_new0(shard_set_t, 1);
    set->folder = g_strdup(folder);
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

gboolean shard_set_read(const shard_set_t *set, uint8_t *bits, GError **error) {
    size_t frame_bytes = grid_frame_bytes(&set->grid), left = (size_t)set->frames * frame_bytes;
    for (size_t i = 0; i < set->n_shards; i++) {
        g_autofree char *path = shard_path(set->folder, i, set->n_shards);
        g_autoptr(h5_file_t) file = h5_file_open(path, error);
        if (!file) return FALSE;
        g_auto(h5_id_t) roll = H5Dopen2(h5_file_id(file), "/roll", H5P_DEFAULT);
        g_auto(h5_id_t) space = roll < 0 ? roll : H5Dget_space(roll);
        if (space < 0) return h5_fail(error, H5_ERROR_READ, path, "read /roll");
        size_t bytes = (size_t)H5Sget_simple_extent_npoints(space);
        if (bytes % frame_bytes != 0 || bytes > left)
            return fail(error, SHARD_ERROR_FORMAT, path, "/roll has another shape than its grid; the file is damaged: preprocess again");
        if (H5Dread(roll, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, bits) < 0) return h5_fail(error, H5_ERROR_READ, path, "read /roll");
        bits += bytes;
        left -= bytes;
    }
    return left == 0 || fail(error, SHARD_ERROR_FORMAT, set->folder, "the shards hold fewer frames than their songs; preprocess again");
}

void shard_set_free(shard_set_t *set) {
    if (!set) return;
    g_free(set->options);
    g_free(set->songs);
    g_free(set->folder);
    g_free(set);
}
