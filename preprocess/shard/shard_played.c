/* shard_played: owns /velocity and /offset of a shard, and their checksums. In memory an onset's two bytes
 * stand side by side; in the file all of one kind do, which compress better so. Refuses onsets that are not
 * those of /roll, and velocities that no note has. */
#include "preprocess/shard/shard_played.h"

#include "preprocess/shard/deflate.h"
#include "preprocess/shard/shard_tables.h"

enum { ONSETS_CHUNK = 128 << 10, MAX_ONSETS = G_MAXINT32, KINDS = 2 };

/* Members of played_t, a byte each, in their order. */
static const char *const names[KINDS] = {"/velocity", "/offset"};
G_STATIC_ASSERT(sizeof(played_t) == KINDS);

static hid_t stored_type(int kind) { return kind == 0 ? H5T_STD_U8LE : H5T_STD_I8LE; }
static hid_t native_type(int kind) { return kind == 0 ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT8; }

size_t shard_played_place(const grid_t *grid, shard_song_t *songs, size_t n_songs, const uint8_t *bits) {
    const size_t frame_bytes = grid_frame_bytes(grid);
    size_t sum = 0;
    for (size_t i = 0; i < n_songs; i++) {
        const uint8_t *rows = bits + (size_t)songs[i].first_frame * frame_bytes;
        const size_t onsets = roll_count_onsets(rows, (size_t)songs[i].frames, grid);
        songs[i].first_onset = (int64_t)sum;
        songs[i].onsets = (int64_t)onsets;
        sum += onsets;
    }
    return sum;
}

played_t *shard_played_typed(size_t n) {
    played_t *played = g_new(played_t, n);
    for (size_t i = 0; i < n; i++) played[i] = played_typed();
    return played;
}

static uint32_t checksum(const shard_song_t *song, const played_t *played) {
    return deflate_crc32(0, played, (size_t)song->onsets * sizeof *played);
}

void shard_played_checksum(shard_song_t *songs, size_t n_songs, const played_t *played) {
    for (size_t i = 0; i < n_songs; i++)
        songs[i].played_crc32 = checksum(&songs[i], played + songs[i].first_onset);
}

/* Writes or reads n bytes of a kind, from `first` of the dataset on. They go by a chunk's length through
 * memory in which they are side by side: HDF5 would list each of those that are not. */
static gboolean transfer(h5_file_t *file, gboolean write, hid_t dataset, int kind, hsize_t first, hsize_t n,
                         played_t *played, GError **error) {
    g_autofree uint8_t *bytes = g_malloc(ONSETS_CHUNK);
    g_auto(h5_id_t) there = H5Dget_space(dataset);
    for (hsize_t part, end = first + n; first < end; first += part, played += part) {
        part = MIN(end - first, ONSETS_CHUNK);
        g_auto(h5_id_t) here = H5Screate_simple(1, &part, NULL);
        for (hsize_t i = 0; write && i < part; i++) bytes[i] = ((const uint8_t *)&played[i])[kind];
        if (there < 0 || here < 0 ||
            H5Sselect_hyperslab(there, H5S_SELECT_SET, &first, NULL, &part, NULL) < 0 ||
            (write ? H5Dwrite(dataset, native_type(kind), here, there, H5P_DEFAULT, bytes)
                   : H5Dread(dataset, native_type(kind), here, there, H5P_DEFAULT, bytes)) < 0)
            return h5_fail(error, write ? H5_ERROR_WRITE : H5_ERROR_READ, file, "%s %s",
                           write ? "write" : "read", names[kind]);
        for (hsize_t i = 0; !write && i < part; i++) ((uint8_t *)&played[i])[kind] = bytes[i];
    }
    return TRUE;
}

static gboolean write_kind(h5_file_t *file, int kind, const played_t *played, hsize_t n, GError **error) {
    const hsize_t chunk = MIN(n, ONSETS_CHUNK);
    g_auto(h5_id_t) dataset = shard_dataset_make(file, names[kind], stored_type(kind), 1, &n, &chunk, error);
    return dataset >= 0 && transfer(file, TRUE, dataset, kind, 0, n, (played_t *)played, error);
}

gboolean shard_played_write(h5_file_t *file, const played_t *played, size_t n, GError **error) {
    for (int kind = 0; kind < KINDS && n > 0; kind++)
        if (!write_kind(file, kind, played, n, error)) return FALSE;
    return TRUE;
}

gboolean shard_played_check(h5_file_t *file, shard_set_t *set, shard_song_t *songs, size_t n_songs,
                            GError **error) {
    const int64_t most = (int64_t)grid_frame_bytes(&set->grid) / ROLL_PLANES * 8; /* of a frame */
    int64_t sum = 0;
    for (size_t i = 0; i < n_songs; i++) {
        if (songs[i].first_onset != sum || songs[i].onsets < 0 || songs[i].onsets > songs[i].frames * most)
            return shard_fail_damaged(error, file, "/songs does not fit /velocity and /offset");
        sum += songs[i].onsets;
        songs[i].first_onset += set->onsets;
    }
    for (int kind = 0; kind < KINDS && sum > 0; kind++) {
        hsize_t n = 0;
        g_auto(h5_id_t) dataset = shard_dataset_open(file, names[kind], 1, &n, error);
        if (dataset < 0) return FALSE;
        if (n != (hsize_t)sum || sum > MAX_ONSETS)
            return shard_fail_damaged(error, file, "/songs does not fit %s", names[kind]);
    }
    set->onsets += sum;
    return TRUE;
}

static gboolean read_kind(h5_file_t *file, int kind, hsize_t first, hsize_t n, played_t *played,
                          GError **error) {
    hsize_t there = 0;
    g_auto(h5_id_t) dataset = shard_dataset_open(file, names[kind], 1, &there, error);
    if (dataset < 0) return FALSE;
    if (first > there || n > there - first)
        return shard_fail_damaged(error, file, "%s is shorter than its songs", names[kind]);
    return transfer(file, FALSE, dataset, kind, first, n, played, error);
}

gboolean shard_played_read(h5_file_t *file, int64_t first, int64_t n, played_t *played, GError **error) {
    for (int kind = 0; kind < KINDS && n > 0; kind++)
        if (!read_kind(file, kind, (hsize_t)first, (hsize_t)n, played, error)) return FALSE;
    return TRUE;
}

static gboolean are_velocities(const played_t *played, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (played[i].velocity < 1 || played[i].velocity > 127) return FALSE;
    return TRUE;
}

gboolean shard_played_verify(const char *path, const shard_song_t *songs, size_t n_songs,
                             const played_t *played, GError **error) {
    for (size_t i = 0; i < n_songs; i++) {
        const shard_song_t *song = &songs[i];
        if (checksum(song, played) != song->played_crc32 || !are_velocities(played, song->onsets))
            return shard_fail(error, SHARD_ERROR_FORMAT, path,
                              "song %s: its velocities and offsets are not those that were written; "
                              "preprocess again",
                              song->path);
        played += song->onsets;
    }
    return TRUE;
}
