/* shard_tables: owns the tables of a shard, /songs, /tempi and /meters: how a song's rows lie in them, and
 * that they fit each other and /roll. Refuses tables that do not, and sizes that no corpus has: HDF5 lets a
 * small file claim any. */
#include "preprocess/shard/shard_tables.h"

#include <string.h>

#include "preprocess/shard/deflate.h"

enum { SONGS_CHUNK = 256, CHANGES_CHUNK = 4096 /* rows */, MAX_SONGS = 1 << 20 };

G_DEFINE_QUARK(mpianist_shard_error, shard_error)

gboolean shard_fail(GError **error, shard_error_t code, const char *path, const char *cause, ...) {
    va_list arguments;
    va_start(arguments, cause);
    g_autofree char *shown = g_filename_display_name(path), *text = g_strdup_vprintf(cause, arguments);
    va_end(arguments);
    g_set_error(error, SHARD_ERROR, (gint)code, "%s: %s", shown, text);
    return FALSE;
}

/* Whether so much can come out of the file. HDF5 lets a small file claim any size; deflate makes a byte of at
 * most 1,032. */
static gboolean is_possible(h5_file_t *file, hid_t dataset, int rank, const hsize_t *size) {
    enum { EXPANSION = 1032 };
    hsize_t bytes = 0;
    g_auto(h5_id_t) type = H5Dget_type(dataset);
    if (H5Fget_filesize(h5_file_id(file), &bytes) < 0) return FALSE;
    double claimed = (double)H5Tget_size(type);
    for (int i = 0; i < rank; i++) claimed *= (double)size[i];
    return claimed <= EXPANSION * (double)bytes;
}

hid_t shard_dataset_open(h5_file_t *file, const char *name, int rank, hsize_t *size, GError **error) {
    g_auto(h5_id_t) dataset = H5Dopen2(h5_file_id(file), name, H5P_DEFAULT);
    g_auto(h5_id_t) space = dataset < 0 ? dataset : H5Dget_space(dataset);
    if (space < 0) return h5_fail(error, H5_ERROR_READ, file, "read %s", name), H5I_INVALID_HID;
    if (H5Sget_simple_extent_ndims(space) != rank)
        return shard_fail_damaged(error, file, "%s has another shape", name), H5I_INVALID_HID;
    H5Sget_simple_extent_dims(space, size, NULL);
    if (!is_possible(file, dataset, rank, size))
        return shard_fail_damaged(error, file, "%s is impossibly large", name), H5I_INVALID_HID;
    return h5_keep(&dataset);
}

/* Appends all rows of a table. */
static gboolean read_rows(h5_file_t *file, const char *name, hid_t type, int64_t most, GArray *rows,
                          GError **error) {
    hsize_t n = 0;
    g_auto(h5_id_t) table = shard_dataset_open(file, name, 1, &n, error);
    if (table < 0) return FALSE;
    if (n > (hsize_t)most || n > G_MAXUINT - rows->len)
        return shard_fail_damaged(error, file, "%s is impossibly large", name);
    const guint before = rows->len;
    g_array_set_size(rows, before + (guint)n);
    return n == 0 ||
           H5Dread(table, type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                   rows->data + (gsize)before * g_array_get_element_size(rows)) >= 0 ||
           h5_fail(error, H5_ERROR_READ, file, "read %s", name);
}

hid_t shard_dataset_make(h5_file_t *file, const char *name, hid_t type, int rank, const hsize_t *size,
                         const hsize_t *chunk, GError **error) {
    g_auto(h5_id_t) space = H5Screate_simple(rank, size, NULL);
    g_auto(h5_id_t) stored = H5Tcopy(type);
    g_auto(h5_id_t) creation = H5Pcreate(H5P_DATASET_CREATE);
    if (H5Tget_class(type) == H5T_COMPOUND) H5Tpack(stored);
    H5Pset_obj_track_times(creation, FALSE);
    hid_t dataset = -1;
    if (H5Pset_chunk(creation, rank, chunk) >= 0 && H5Pset_deflate(creation, SHARD_DEFLATE_LEVEL) >= 0 &&
        H5Pset_fletcher32(creation) >= 0)
        dataset = H5Dcreate2(h5_file_id(file), name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset < 0) h5_fail(error, H5_ERROR_WRITE, file, "write %s", name);
    return dataset;
}

/* Rows as they lie in memory; in the file the same members are packed, little-endian. */
#define INSERT(type, row, member, kind) H5Tinsert(type, #member, HOFFSET(row, member), kind)

static hid_t song_type(int64_t version) {
    g_auto(h5_id_t) sha256 = h5_string_type(sizeof((shard_song_t *)NULL)->sha256);
    g_auto(h5_id_t) path = h5_string_type(SHARD_PATH_BYTES);
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(shard_song_t));
    INSERT(type, shard_song_t, first_frame, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, frames, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, tempo_bpm, H5T_NATIVE_DOUBLE);
    INSERT(type, shard_song_t, meter_numerator, H5T_NATIVE_UINT8);
    INSERT(type, shard_song_t, meter_denominator, H5T_NATIVE_UINT8);
    INSERT(type, shard_song_t, split, H5T_NATIVE_UINT8);
    INSERT(type, shard_song_t, sha256, sha256);
    INSERT(type, shard_song_t, path, path);
    if (version < 2) return type;
    INSERT(type, shard_song_t, crc32, H5T_NATIVE_UINT32);
    INSERT(type, shard_song_t, first_tempo, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, tempi, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, first_meter, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, meters, H5T_NATIVE_INT64);
    if (version < 3) return type;
    INSERT(type, shard_song_t, first_onset, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, onsets, H5T_NATIVE_INT64);
    INSERT(type, shard_song_t, played_crc32, H5T_NATIVE_UINT32);
    return type;
}

static hid_t tempo_type(void) {
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(tempo_change_t));
    INSERT(type, tempo_change_t, frame, H5T_NATIVE_INT64);
    INSERT(type, tempo_change_t, bpm, H5T_NATIVE_DOUBLE);
    return type;
}

static hid_t meter_type(void) {
    hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(meter_change_t));
    INSERT(type, meter_change_t, frame, H5T_NATIVE_INT64);
    INSERT(type, meter_change_t, numerator, H5T_NATIVE_UINT8);
    INSERT(type, meter_change_t, denominator, H5T_NATIVE_UINT8);
    return type;
}

/* Writes a table: one song's rows after the other's. */
static gboolean write_rows(h5_file_t *file, const char *name, hid_t type, const void *rows, size_t n,
                           size_t n_chunk, GError **error) {
    const hsize_t size = n, chunk = MIN(n, n_chunk);
    g_auto(h5_id_t) dataset = shard_dataset_make(file, name, type, 1, &size, &chunk, error);
    if (dataset < 0) return FALSE;
    return H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0 ||
           h5_fail(error, H5_ERROR_WRITE, file, "write %s", name);
}

/* The timeline of a song that has only its main tempo and meter. */
static timeline_t *main_timeline(const shard_song_t *song, int steps_per_beat) {
    return timeline_new(
        steps_per_beat, song->tempo_bpm,
        (meter_t){.numerator = song->meter_numerator, .denominator = song->meter_denominator});
}

static void append_timeline(shard_song_t *song, const timeline_t *timeline, GArray *tempi, GArray *meters) {
    song->first_tempo = tempi->len;
    song->tempi = timeline->tempi->len;
    song->first_meter = meters->len;
    song->meters = timeline->meters->len;
    g_array_append_vals(tempi, timeline->tempi->data, timeline->tempi->len);
    g_array_append_vals(meters, timeline->meters->data, timeline->meters->len);
}

typedef struct {
    const uint8_t *bits;
    size_t frame_bytes;
} checked_t;

static void checksum_song(gpointer data, gpointer user) {
    shard_song_t *song = data;
    const checked_t *checked = user;
    const uint8_t *rows = checked->bits + (size_t)song->first_frame * checked->frame_bytes;
    song->crc32 = deflate_crc32(0, rows, (size_t)song->frames * checked->frame_bytes);
}

static void checksum_songs(shard_song_t *songs, size_t n_songs, const uint8_t *bits, size_t frame_bytes,
                           int threads) {
    checked_t checked = {bits, frame_bytes};
    GThreadPool *pool = g_thread_pool_new(checksum_song, &checked, threads, FALSE, NULL);
    for (size_t i = 0; i < n_songs; i++) g_thread_pool_push(pool, &songs[i], NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
}

gboolean shard_tables_write(h5_file_t *file, const grid_t *grid, shard_song_t *songs,
                            timeline_t *const *timelines, size_t n_songs, const uint8_t *bits, int threads,
                            GError **error) {
    g_autoptr(GArray) tempi = g_array_new(FALSE, FALSE, sizeof(tempo_change_t)),
                      meters = g_array_new(FALSE, FALSE, sizeof(meter_change_t));
    g_auto(h5_id_t) song_row = song_type(SHARD_VERSION);
    g_auto(h5_id_t) tempo_row = tempo_type();
    g_auto(h5_id_t) meter_row = meter_type();
    for (size_t i = 0; i < n_songs; i++) {
        g_autoptr(timeline_t) own = timelines ? NULL : main_timeline(&songs[i], grid->steps_per_beat);
        append_timeline(&songs[i], timelines ? timelines[i] : own, tempi, meters);
    }
    checksum_songs(songs, n_songs, bits, grid_frame_bytes(grid), threads);
    return write_rows(file, "/songs", song_row, songs, n_songs, SONGS_CHUNK, error) &&
           write_rows(file, "/tempi", tempo_row, tempi->data, tempi->len, CHANGES_CHUNK, error) &&
           write_rows(file, "/meters", meter_row, meters->data, meters->len, CHANGES_CHUNK, error);
}

/* Whether the main tempo and meter are ones that a song can have. */
static gboolean has_sound_main(const shard_song_t *song) {
    const tempo_change_t tempo = {0, song->tempo_bpm};
    const meter_change_t meter = {0, song->meter_numerator, song->meter_denominator};
    return timeline_rows_valid(&tempo, 1, &meter, 1, 1);
}

/* Appends the file's rows of /songs. */
static gboolean read_songs(h5_file_t *file, int64_t version, int64_t frames, GArray *songs, GError **error) {
    const guint before = songs->len;
    g_auto(h5_id_t) row = song_type(version);
    if (!read_rows(file, "/songs", row, MIN(frames, MAX_SONGS), songs, error)) return FALSE;
    int64_t at = 0;
    for (guint i = before; i < songs->len; i++) {
        shard_song_t *song = &g_array_index(songs, shard_song_t, i);
        song->sha256[sizeof song->sha256 - 1] = song->path[sizeof song->path - 1] = '\0';
        if (song->first_frame != at || song->frames < 1 || song->frames > frames - at ||
            song->split >= SPLIT_COUNT || !has_sound_main(song))
            return shard_fail_damaged(error, file, "/songs does not fit /roll");
        at += song->frames;
    }
    return at == frames || shard_fail_damaged(error, file, "/songs does not fit /roll");
}

/* The rows of /tempi and /meters of songs from first on, appended to the set's. */
static gboolean read_timelines(h5_file_t *file, shard_set_t *set, shard_song_t *songs, size_t n,
                               int64_t frames, GError **error) {
    const guint tempi = set->tempi->len, meters = set->meters->len;
    g_auto(h5_id_t) tempo_row = tempo_type();
    g_auto(h5_id_t) meter_row = meter_type();
    if (!read_rows(file, "/tempi", tempo_row, frames, set->tempi, error) ||
        !read_rows(file, "/meters", meter_row, frames, set->meters, error))
        return FALSE;
    int64_t next_tempo = 0, next_meter = 0, last_tempo = set->tempi->len - tempi,
            last_meter = set->meters->len - meters;
    for (size_t i = 0; i < n; i++) {
        shard_song_t *song = &songs[i];
        if (song->first_tempo != next_tempo || song->tempi < 1 || song->tempi > last_tempo - next_tempo ||
            song->first_meter != next_meter || song->meters < 1 || song->meters > last_meter - next_meter)
            return shard_fail_damaged(error, file, "/songs does not fit /tempi and /meters");
        next_tempo += song->tempi;
        next_meter += song->meters;
        song->first_tempo += tempi;
        song->first_meter += meters;
        if (!timeline_rows_valid(&g_array_index(set->tempi, tempo_change_t, song->first_tempo),
                                 (size_t)song->tempi,
                                 &g_array_index(set->meters, meter_change_t, song->first_meter),
                                 (size_t)song->meters, song->frames))
            return shard_fail_damaged(error, file, "/tempi or /meters holds what no song has");
    }
    return (next_tempo == last_tempo && next_meter == last_meter) ||
           shard_fail_damaged(error, file, "/songs does not fit /tempi and /meters");
}

gboolean shard_tables_read(h5_file_t *file, int64_t version, int64_t frames, shard_set_t *set, GArray *songs,
                           GError **error) {
    const guint before = songs->len;
    if (!read_songs(file, version, frames, songs, error)) return FALSE;
    shard_song_t *first = &g_array_index(songs, shard_song_t, before);
    if (version > 1 && !read_timelines(file, set, first, songs->len - before, frames, error)) return FALSE;
    for (guint i = before; i < songs->len; i++) {
        shard_song_t *song = &g_array_index(songs, shard_song_t, i);
        g_autoptr(timeline_t) own = version > 1 ? NULL : main_timeline(song, set->grid.steps_per_beat);
        if (own) append_timeline(song, own, set->tempi, set->meters);
        song->first_frame += set->frames;
    }
    return TRUE;
}
