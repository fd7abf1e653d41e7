/* Tests of preprocess/shard and of the figures that info prints: a corpus written here is read back; every way in which a folder is not one whole corpus is refused by name. */
#include "preprocess/shard.h"

#include <glib/gstdio.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "preprocess/corpus.h"
#include "preprocess/h5.h"
#include "preprocess/owner.h"

enum { SHARDS = 3, SONGS_EACH = 4 };
static const size_t SONGS = SHARDS * SONGS_EACH;

static int pitches = 88; /* of the corpora made */

static shard_set_t make_head(const char *tracks, char id) {
    shard_set_t head = {.grid = grid_default(), .options = (char *)"--fold-octaves \"é\"", .n_shards = SHARDS};
    head.grid.pitches = pitches;
    g_assert_true(grid_set_tracks(&head.grid, tracks, NULL));
    memset(head.corpus_id, id, 64);
    return head;
}

static int64_t song_frames(size_t song) { return (int64_t)(3 + 37 * song); }

static shard_song_t make_song(size_t song, int64_t first_frame) {
    shard_song_t row = {
        .first_frame = first_frame, .frames = song_frames(song), .tempo_bpm = 60.5 + (double)song, .split = (uint8_t)(song % SPLIT_COUNT)};
    row.meter_numerator = (uint8_t)(2 + song % 5);
    row.meter_denominator = 8;
    memset(row.sha256, "0123456789abcdef"[song % 16], 64);
    g_snprintf(row.path, sizeof row.path, "folder/sång %zu.mid", song);
    return row;
}

/* Song i has i % 4 tempi and i % 3 meters beside its main ones, where it is long enough for them. */
static timeline_t *make_timeline(size_t song) {
    tempo_change_t tempi[4] = {{0, 60.5 + (double)song}};
    meter_change_t meters[3] = {{0, (uint8_t)(2 + song % 5), 8}};
    size_t n_tempi = 1, n_meters = 1;
    for (size_t i = 0; i < song % 4; i++) tempi[n_tempi++] = (tempo_change_t){(int64_t)(i + 1), 100.25 + (double)(i + song)};
    for (size_t i = 0; i < song % 3; i++) meters[n_meters++] = (meter_change_t){(int64_t)(2 * i + 2), (uint8_t)(100 + i + song), 16};
    return timeline_from_rows(4, tempi, n_tempi, meters, n_meters);
}

/* A byte that depends on its place in the corpus, so that no two parts can be exchanged unseen. */
static uint8_t byte_at(size_t i) { return (uint8_t)(i * 2654435761U >> 13); }

static void write_shard(const char *folder, const shard_set_t *head, size_t shard) {
    g_autoptr(GError) error = NULL;
    shard_song_t songs[SONGS_EACH];
    g_autoptr(GPtrArray) timelines = g_ptr_array_new_with_free_func((GDestroyNotify)timeline_free);
    size_t frame_bytes = grid_frame_bytes(&head->grid), before = 0;
    int64_t frames = 0;
    for (size_t i = 0; i < shard * SONGS_EACH; i++) before += (size_t)song_frames(i) * frame_bytes;
    for (size_t i = 0; i < SONGS_EACH; i++) {
        songs[i] = make_song(shard * SONGS_EACH + i, frames);
        g_ptr_array_add(timelines, make_timeline(shard * SONGS_EACH + i));
        frames += songs[i].frames;
    }
    g_autofree uint8_t *bits = g_malloc((size_t)frames * frame_bytes);
    for (size_t i = 0; i < (size_t)frames * frame_bytes; i++) bits[i] = byte_at(before + i);
    shard_write(folder, head, shard, songs, (timeline_t *const *)timelines->pdata, SONGS_EACH, bits, frames, 1, &error);
    g_assert_no_error(error);
}

/* A fresh folder with a whole corpus in it; owner: caller. */
static char *make_corpus(const char *tracks) {
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    shard_set_t head = make_head(tracks, 'a');
    for (size_t i = 0; i < SHARDS; i++) write_shard(folder, &head, i);
    return folder;
}

static char *shard_name(const char *folder, size_t shard) { return g_strdup_printf("%s/shard-%05zu-of-%05d.h5", folder, shard, SHARDS); }

static void remove_folder(char *folder) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_remove(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

static void assert_same_grid(const grid_t *grid, const grid_t *wanted) {
    g_assert_cmpint(grid->steps_per_beat, ==, wanted->steps_per_beat);
    g_assert_cmpint(grid->pitch_low, ==, wanted->pitch_low);
    g_assert_cmpint(grid->pitches, ==, wanted->pitches);
    g_assert_cmpint(grid->fold_octaves, ==, wanted->fold_octaves);
    g_assert_cmpint(grid->sustain_pedal, ==, wanted->sustain_pedal);
    g_assert_cmpint(grid->n_tracks, ==, wanted->n_tracks);
    g_assert_true(memcmp(grid->roles, wanted->roles, sizeof(role_t) * (size_t)wanted->n_tracks) == 0);
}

static void assert_same_timeline(const timeline_t *timeline, const timeline_t *wanted) {
    g_assert_cmpint(timeline->steps_per_beat, ==, wanted->steps_per_beat);
    g_assert_cmpuint(timeline->tempi->len, ==, wanted->tempi->len);
    for (guint i = 0; i < wanted->tempi->len; i++) {
        const tempo_change_t *tempo = &g_array_index(timeline->tempi, tempo_change_t, i), *other = &g_array_index(wanted->tempi, tempo_change_t, i);
        g_assert_cmpint(tempo->frame, ==, other->frame);
        g_assert_cmpfloat(tempo->bpm, ==, other->bpm);
    }
    g_assert_cmpuint(timeline->meters->len, ==, wanted->meters->len);
    for (guint i = 0; i < wanted->meters->len; i++) {
        const meter_change_t *meter = &g_array_index(timeline->meters, meter_change_t, i), *other = &g_array_index(wanted->meters, meter_change_t, i);
        g_assert_cmpint(meter->frame, ==, other->frame);
        g_assert_cmpint(meter->numerator, ==, other->numerator);
        g_assert_cmpint(meter->denominator, ==, other->denominator);
    }
}

static void check_round_trip(const char *tracks) {
    g_autoptr(GError) error = NULL;
    char *folder = make_corpus(tracks);
    shard_set_t head = make_head(tracks, 'a');
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(set->n_shards, ==, SHARDS);
    g_assert_cmpuint(set->n_songs, ==, SONGS);
    g_assert_cmpstr(set->corpus_id, ==, head.corpus_id);
    g_assert_cmpstr(set->options, ==, head.options);
    assert_same_grid(&set->grid, &head.grid);
    int64_t first = 0;
    for (size_t i = 0; i < SONGS; i++) {
        shard_song_t wanted = make_song(i, first);
        const shard_song_t *song = &set->songs[i];
        g_assert_cmpint(song->first_frame, ==, first);
        g_assert_cmpint(song->frames, ==, wanted.frames);
        g_assert_cmpfloat(song->tempo_bpm, ==, wanted.tempo_bpm);
        g_assert_cmpint(song->meter_numerator, ==, wanted.meter_numerator);
        g_assert_cmpint(song->meter_denominator, ==, wanted.meter_denominator);
        g_assert_cmpint(song->split, ==, wanted.split);
        g_assert_cmpstr(song->sha256, ==, wanted.sha256);
        g_assert_cmpstr(song->path, ==, wanted.path);
        g_autoptr(timeline_t) timeline = shard_set_timeline(set, i), wanted_timeline = make_timeline(i);
        assert_same_timeline(timeline, wanted_timeline);
        first += wanted.frames;
    }
    g_assert_cmpint(set->frames, ==, first);
    size_t bytes = (size_t)set->frames * grid_frame_bytes(&set->grid);
    g_autofree uint8_t *bits = g_malloc(bytes);
    g_assert_true(shard_set_read(set, bits, &error));
    for (size_t i = 0; i < bytes; i++) g_assert_cmpint(bits[i], ==, byte_at(i));
    for (size_t from = 0; from < SONGS; from++) { /* any run of songs, over the borders of files too */
        for (size_t n = 0; n <= SONGS - from; n++) {
            const size_t at = (size_t)set->songs[from].first_frame * grid_frame_bytes(&set->grid);
            size_t end = at;
            for (size_t i = from; i < from + n; i++) end += (size_t)set->songs[i].frames * grid_frame_bytes(&set->grid);
            memset(bits, 0xA5, bytes);
            g_assert_true(shard_set_read_songs(set, from, n, bits, &error));
            for (size_t i = 0; i < end - at; i++) g_assert_cmpint(bits[i], ==, byte_at(at + i));
            for (size_t i = end - at; i < bytes; i++) g_assert_cmpint(bits[i], ==, 0xA5);
        }
    }
    remove_folder(folder);
}

static void test_round_trip(void) {
    static const int counts[] = {5, 12, 48, 88};
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        pitches = counts[i];
        check_round_trip(i % 2 ? "merged" : "melody,chords,bass,drums");
    }
    pitches = 88;
}

static void test_same_bytes(void) {
    char *first = make_corpus("merged"), *second = make_corpus("merged");
    for (size_t i = 0; i < SHARDS; i++) {
        g_autofree char *a = shard_name(first, i), *b = shard_name(second, i), *bytes_a = NULL, *bytes_b = NULL;
        gsize n_a = 0, n_b = 0;
        g_assert_true(g_file_get_contents(a, &bytes_a, &n_a, NULL) && g_file_get_contents(b, &bytes_b, &n_b, NULL));
        g_assert_cmpuint(n_a, ==, n_b);
        g_assert_true(memcmp(bytes_a, bytes_b, n_a) == 0);
    }
    remove_folder(first);
    remove_folder(second);
}

/* The folder is refused, by opening or by reading, and the message matches. Takes the folder away. */
static void assert_refused(char *folder, const char *says) {
    g_autoptr(GError) error = NULL;
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    if (set) {
        g_autofree uint8_t *bits = g_malloc((size_t)set->frames * grid_frame_bytes(&set->grid));
        g_assert_false(shard_set_read(set, bits, &error));
    }
    g_assert_nonnull(error);
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
    remove_folder(folder);
}

static void test_incomplete(void) {
    g_autofree char *none = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_rmdir(none);
    assert_refused(g_strdup(none), "*no such folder; name the folder that preprocess wrote to");
    g_assert_true(g_file_set_contents(none, "", 0, NULL));
    assert_refused(g_strdup(none), "*not a folder*");
    g_remove(none);
    assert_refused(g_dir_make_tmp("test_shard.XXXXXX", NULL), "*holds no shards; name the folder*");
    for (size_t i = 0; i < SHARDS; i++) {
        char *folder = make_corpus("merged");
        g_autofree char *path = shard_name(folder, i), *says = g_strdup_printf("*shard-%05zu-of-%05d.h5: *missing; run *", i, SHARDS);
        g_remove(path);
        assert_refused(folder, says);
    }
}

static void test_mixed(void) {
    char *folder = make_corpus("merged");
    shard_set_t other = make_head("merged", 'b');
    write_shard(folder, &other, 1);
    assert_refused(folder, "*shard-00001-of-00003.h5: belongs to another corpus*");
    folder = make_corpus("merged");
    g_autofree char *from = shard_name(folder, 0), *to = shard_name(folder, 1);
    g_assert_cmpint(g_rename(from, to), ==, 0);
    assert_refused(folder, "*shard-00001-of-00003.h5: was renamed*");
}

/* Overwrites one attribute of the first shard by way of h5py's own road: the HDF5 library. */
static void set_attribute(const char *folder, const char *name, const void *value, hid_t type) {
    g_autofree char *path = shard_name(folder, 0);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, type, value), >=, 0);
    H5Aclose(attribute);
    g_assert_cmpint(H5Fclose(file), >=, 0);
}

static void test_foreign(void) {
    int64_t number = SHARD_VERSION + 1;
    char *folder = make_corpus("merged");
    set_attribute(folder, "version", &number, H5T_NATIVE_INT64);
    assert_refused(folder, "*shard-00000-of-00003.h5: shard version 3, this program reads 1 to 2; *");
    static const char *const numbers[] = {"steps_per_beat", "pitch_low", "pitches", "shards", "shard"};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autofree char *says = g_strdup_printf("*shard-00000-of-00003.h5: attribute %s is -5; *", numbers[i]);
        number = -5;
        folder = make_corpus("merged");
        set_attribute(folder, numbers[i], &number, H5T_NATIVE_INT64);
        assert_refused(folder, says);
    }
    number = 40; /* in range, but not what /roll was made for */
    folder = make_corpus("merged");
    set_attribute(folder, "pitches", &number, H5T_NATIVE_INT64);
    assert_refused(folder, "*shard-00000-of-00003.h5: /roll has another shape than its grid; *");
    g_autoptr(GError) error = NULL;
    folder = make_corpus("merged");
    g_autofree char *path = shard_name(folder, 0);
    h5_file_t *file = h5_file_create(path, &error);
    g_assert_true(h5_write_string(file, "/", "format", "something else", &error) && h5_file_commit(file, &error));
    assert_refused(folder, "*shard-00000-of-00003.h5: not a shard*");
    folder = make_corpus("merged");
    g_autofree char *text = shard_name(folder, 2);
    g_assert_true(g_file_set_contents(text, "text", -1, NULL));
    assert_refused(folder, "*shard-00002-of-00003.h5: *not an HDF5 file*");
}

/* Overwrites a member of all rows of a table of the first shard, by way of the HDF5 library: a file that is whole but for what it says. */
static void set_member(const char *folder, const char *table, const char *member, const void *values, hid_t type) {
    g_autofree char *path = shard_name(folder, 0);
    g_auto(h5_id_t) file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    g_auto(h5_id_t) dataset = H5Dopen2(file, table, H5P_DEFAULT);
    g_auto(h5_id_t) row = H5Tcreate(H5T_COMPOUND, H5Tget_size(type));
    g_assert_cmpint(H5Tinsert(row, member, 0, type), >=, 0);
    g_assert_cmpint(H5Dwrite(dataset, row, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), >=, 0);
}

static void test_lying_song(void) {
    static const char songs[] = "*shard-00000-of-00003.h5: /songs does not fit /roll; *",
                      maps[] = "*shard-00000-of-00003.h5: /songs does not fit /tempi and /meters; *",
                      rows[] = "*shard-00000-of-00003.h5: /tempi or /meters holds what no song has; *";
    /* Of the first four songs, whose frames are 3, 40, 77, 114, tempi 1, 2, 3, 4 and meters 1, 2, 3, 1. */
    static const struct {
        const char *table, *member;
        int64_t values[10];
        const char *says;
    } lies[] = {
        {"/songs", "first_frame", {1, 3, 43, 120}, songs},
        {"/songs", "frames", {0, 43, 77, 114}, songs},
        {"/songs", "frames", {4, 40, 77, 114}, songs},
        {"/songs", "frames", {INT64_MAX, 40, 77, 114}, songs},
        {"/songs", "frames", {-3, 40, 77, 114}, songs},
        {"/songs", "frames", {3, 40, 77, 113}, songs},
        {"/songs", "split", {0, 1, 2, SPLIT_COUNT}, songs},
        {"/songs", "meter_numerator", {4, 4, 4, 0}, songs},
        {"/songs", "meter_denominator", {4, 4, 0, 4}, songs},
        {"/songs", "first_tempo", {1, 1, 3, 6}, maps},
        {"/songs", "tempi", {0, 3, 3, 4}, maps},
        {"/songs", "tempi", {1, 2, 3, 5}, maps},
        {"/songs", "tempi", {1, 2, 3, 3}, maps},
        {"/songs", "tempi", {1, 2, 3, INT64_MAX}, maps},
        {"/songs", "first_meter", {-1, 1, 3, 6}, maps},
        {"/songs", "meters", {1, 2, 3, 0}, maps},
        {"/songs", "meters", {1, 2, 3, 2}, maps},
        {"/tempi", "frame", {1, 0, 1, 0, 1, 2, 0, 1, 2, 3}, rows},
        {"/tempi", "frame", {0, 0, 0, 0, 1, 2, 0, 1, 2, 3}, rows},
        {"/tempi", "frame", {0, 0, 40, 0, 1, 2, 0, 1, 2, 3}, rows},
        {"/tempi", "bpm", {60, 60, 60, 60, 60, 60, 60, 60, 60, 0}, rows},
        {"/tempi", "bpm", {60, 60, -1, 60, 60, 60, 60, 60, 60, 60}, rows},
        {"/meters", "frame", {0, 0, 2, 0, 4, 2, 0}, rows},
        {"/meters", "numerator", {4, 4, 0, 4, 4, 4, 4}, rows},
        {"/meters", "denominator", {4, 4, 4, 4, 4, 4, 0}, rows},
        {"/meters", "denominator", {4, 4, 4, 4, 4, 4, 3}, rows},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        char *folder = make_corpus("merged");
        set_member(folder, lies[i].table, lies[i].member, lies[i].values, H5T_NATIVE_INT64);
        assert_refused(folder, lies[i].says);
    }
    const double infinite[10] = {INFINITY, 1, 1, 1, 1, 1, 1, 1, 1, 1}, none[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, NAN};
    char *folder = make_corpus("merged");
    set_member(folder, "/tempi", "bpm", infinite, H5T_NATIVE_DOUBLE);
    assert_refused(folder, rows);
    folder = make_corpus("merged");
    set_member(folder, "/tempi", "bpm", none, H5T_NATIVE_DOUBLE);
    assert_refused(folder, rows);
}

/* Rows that are not those that were written, in a file that HDF5 finds whole: told with the song, by whoever reads that song. */
static void test_checksum(void) {
    for (size_t song = 0; song < SONGS_EACH; song++) {
        g_autoptr(GError) error = NULL;
        char *folder = make_corpus("merged");
        g_autofree char *path = shard_name(folder, 0);
        g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
        const size_t frame_bytes = grid_frame_bytes(&set->grid);
        const hsize_t start[4] = {(hsize_t)(set->songs[song].first_frame + set->songs[song].frames - 1)}, count[4] = {1, 1, ROLL_PLANES, 11};
        g_autofree uint8_t *bits = g_malloc((size_t)set->frames * frame_bytes);
        h5_id_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), roll = H5Dopen2(file, "/roll", H5P_DEFAULT), space = H5Dget_space(roll),
                row = H5Screate_simple(4, count, NULL);
        g_assert_cmpint(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL), >=, 0);
        g_assert_cmpint(H5Dread(roll, H5T_NATIVE_UINT8, row, space, H5P_DEFAULT, bits), >=, 0);
        bits[7] ^= 16;
        g_assert_cmpint(H5Dwrite(roll, H5T_NATIVE_UINT8, row, space, H5P_DEFAULT, bits), >=, 0);
        const h5_id_t ids[] = {row, space, roll, file};
        for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) h5_release(ids[i]);
        for (size_t i = 0; i < SONGS; i++) {
            g_assert_true(shard_set_read_songs(set, i, 1, bits, &error) == (i != song));
            g_clear_error(&error);
        }
        g_autofree char *says = g_strdup_printf("*shard-00000-of-00003.h5: song folder/s?ng %zu.mid: its rows do not match their checksum; "
                                                "preprocess again",
                                                song);
        assert_refused(folder, says);
    }
}

/* tests/golden/shard-v1 was written by the last program that wrote version 1: songs have one tempo and one meter, and nothing is verified. */
static void test_version_1(void) {
    static const struct {
        int64_t frames;
        double bpm;
        uint8_t numerator, denominator;
        const char *path;
    } wanted[] = {{288, 120, 3, 4, "song-0000.mid"}, {240, 100, 6, 8, "song-0001.mid"}, {144, 120, 6, 8, "song-0002.mid"}};
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_build_filename(g_getenv("SOURCE"), "tests/golden/shard-v1", NULL);
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(set->n_songs, ==, G_N_ELEMENTS(wanted));
    for (size_t i = 0; i < set->n_songs; i++) {
        g_autoptr(timeline_t) timeline = shard_set_timeline(set, i),
                              one = timeline_new(4, wanted[i].bpm, (meter_t){0, wanted[i].numerator, wanted[i].denominator});
        g_assert_cmpint(set->songs[i].frames, ==, wanted[i].frames);
        g_assert_cmpstr(set->songs[i].path, ==, wanted[i].path);
        assert_same_timeline(timeline, one);
    }
    g_autofree uint8_t *bits = g_malloc0((size_t)set->frames * grid_frame_bytes(&set->grid));
    g_assert_true(shard_set_read(set, bits, &error));
    size_t sounding = 0;
    for (size_t i = 0; i < (size_t)set->frames * grid_frame_bytes(&set->grid); i++) sounding += (size_t)__builtin_popcount(bits[i]);
    g_assert_cmpuint(sounding, ==, 3319);
}

/* Replaces the first shard's dataset by one of `rows` rows that were never written: as large as it claims, small on disk. */
static void claim_rows(const char *folder, const char *name, hsize_t rows, hid_t type) {
    g_autofree char *path = shard_name(folder, 0);
    const hsize_t size[4] = {rows, 1, ROLL_PLANES, 11}, chunk[4] = {1024, 1, ROLL_PLANES, 11};
    int rank = strcmp(name, "/roll") == 0 ? 4 : 1;
    g_auto(h5_id_t) file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    g_auto(h5_id_t) space = H5Screate_simple(rank, size, NULL);
    g_auto(h5_id_t) creation = H5Pcreate(H5P_DATASET_CREATE);
    g_assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0 && H5Pset_chunk(creation, rank, chunk) >= 0);
    g_auto(h5_id_t) dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    g_assert_cmpint(dataset, >=, 0);
}

static void test_lying_size(void) {
    static const hsize_t sizes[] = {(hsize_t)1 << 20, (hsize_t)1 << 31, ((hsize_t)1 << 32) + 4, (hsize_t)1 << 62};
    g_auto(h5_id_t) row = H5Tcreate(H5T_COMPOUND, sizeof(int64_t));
    H5Tinsert(row, "frames", 0, H5T_NATIVE_INT64);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        char *folder = make_corpus("merged");
        claim_rows(folder, "/songs", sizes[i], row);
        assert_refused(folder, "*shard-00000-of-00003.h5: /songs is impossibly large; *");
        folder = make_corpus("merged");
        claim_rows(folder, "/roll", sizes[i], H5T_STD_U8LE);
        assert_refused(folder,
                       i == 0 ? "*shard-00000-of-00003.h5: /songs does not fit /roll; *" : "*shard-00000-of-00003.h5: /roll is impossibly large; *");
    }
}

/* Cut or flipped anywhere, a shard is refused or reads as it was: never other music, never a crash. */
static void test_damaged(void) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    guint refused = 0;
    char *folder = make_corpus("merged");
    g_autofree char *path = shard_name(folder, 1);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    for (gsize i = 0; i < n; i += n / 150) {
        gboolean cut = i / (n / 150) % 3 == 0;
        bytes[i] ^= (char)(1 << i % 8);
        g_assert_true(g_file_set_contents(path, bytes, cut ? (gssize)i : (gssize)n, NULL));
        bytes[i] ^= (char)(1 << i % 8);
        g_autoptr(GError) error = NULL;
        g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
        g_autofree uint8_t *bits = set ? g_malloc((size_t)set->frames * grid_frame_bytes(&set->grid)) : NULL;
        if (!set || !shard_set_read(set, bits, &error)) {
            g_assert_true(error && strstr(error->message, "shard-00001-of-00003.h5"));
            refused++;
            continue;
        }
        g_assert_false(cut);
        for (size_t b = 0; b < (size_t)set->frames * grid_frame_bytes(&set->grid); b++) g_assert_cmpint(bits[b], ==, byte_at(b));
    }
    g_assert_cmpuint(refused, >, 100);
    remove_folder(folder);
}

/* The same for every third byte of a small shard that is the whole corpus, so that no other shard's head stands beside it. */
static void test_any_damage(void) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    g_autoptr(GError) error = NULL;
    shard_set_t head = make_head("melody,bass", 'a');
    head.n_shards = 1;
    shard_song_t song = make_song(0, 0);
    g_autoptr(timeline_t) timeline = make_timeline(2);
    song.frames = 3;
    g_array_set_size(timeline->meters, 2);
    uint8_t bits[3 * 44], back[sizeof bits];
    for (size_t i = 0; i < sizeof bits; i++) bits[i] = byte_at(i);
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "shard-00000-of-00001.h5", NULL);
    g_assert_true(shard_write(folder, &head, 0, &song, &timeline, 1, bits, 3, 1, &error) && g_file_get_contents(path, &bytes, &n, &error));
    for (gsize i = 0; i < n; i += 3) {
        bytes[i] ^= (char)(1 << i % 8);
        g_assert_true(g_file_set_contents_full(path, bytes, (gssize)n, G_FILE_SET_CONTENTS_NONE, 0666, NULL));
        bytes[i] ^= (char)(1 << i % 8);
        g_autoptr(shard_set_t) set = shard_set_open(folder, NULL);
        if (!set) continue;
        g_assert_cmpint(set->frames, ==, 3);
        if (!shard_set_read(set, back, NULL)) continue;
        assert_same_grid(&set->grid, &head.grid);
        g_assert_cmpstr(set->corpus_id, ==, head.corpus_id);
        g_assert_cmpstr(set->options, ==, head.options);
        g_assert_cmpuint(set->n_songs, ==, 1);
        g_assert_cmpint(set->songs[0].frames, ==, song.frames);
        g_assert_cmpint(set->songs[0].split, ==, song.split);
        g_assert_cmpstr(set->songs[0].sha256, ==, song.sha256);
        g_assert_cmpstr(set->songs[0].path, ==, song.path);
        g_autoptr(timeline_t) back_timeline = shard_set_timeline(set, 0);
        assert_same_timeline(back_timeline, timeline);
        g_assert_true(memcmp(bits, back, sizeof bits) == 0);
    }
    remove_folder(folder);
}

static void test_full_disk(void) {
    struct rlimit old, limit;
    g_autoptr(GError) error = NULL;
    shard_song_t song = make_song(0, 0);
    shard_set_t head = make_head("merged", 'a');
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "shard-00000-of-00003.h5", NULL);
    g_autofree char *temporary = owner_temporary(path);
    g_autofree char *before = NULL, *after = NULL;
    gsize n_before = 0, n_after = 0;
    uint8_t bits[3 * 22] = {0};
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &limit);
    gboolean written = shard_write(folder, &head, 0, &song, NULL, 1, bits, 3, 1, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_false(written);
    g_assert_nonnull(strstr(error->message, "shard-00000-of-00003.h5: cannot write: File too large; "));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_clear_error(&error);
    g_assert_true(shard_write(folder, &head, 0, &song, NULL, 1, bits, 3, 1, &error));
    g_assert_true(g_file_get_contents(path, &before, &n_before, NULL));
    bits[0] = 1;
    setrlimit(RLIMIT_FSIZE, &limit);
    written = shard_write(folder, &head, 0, &song, NULL, 1, bits, 3, 1, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_false(written);
    g_assert_true(g_file_get_contents(path, &after, &n_after, NULL)); /* what stood there stands */
    g_assert_true(n_after == n_before && memcmp(before, after, n_before) == 0);
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    remove_folder(folder);
}

/* Two tracks; train: key 3 sounds in 2 of 4 frames of track 0, key 87 in one of track 1; valid: key 3 in 1 of 2 frames; test: none. */
static void write_counted(const char *folder) {
    g_autoptr(GError) error = NULL;
    shard_set_t head = make_head("melody,bass", 'c');
    head.n_shards = 1;
    roll_t *roll = roll_new(6, 2, 88);
    roll_set(roll, 0, 0, PLANE_SOUNDING, 3);
    roll_set(roll, 0, 0, PLANE_ONSET, 3);
    roll_set(roll, 1, 0, PLANE_SOUNDING, 3);
    roll_set(roll, 2, 1, PLANE_SOUNDING, 87);
    roll_set(roll, 2, 1, PLANE_ONSET, 87);
    roll_set(roll, 5, 0, PLANE_SOUNDING, 3);
    roll_set(roll, 5, 0, PLANE_ONSET, 3);
    shard_song_t songs[2] = {make_song(0, 0), make_song(1, 4)};
    songs[0].frames = 4;
    songs[1].frames = 2;
    songs[1].split = SPLIT_VALID;
    shard_write(folder, &head, 0, songs, NULL, 2, roll->bits, 6, 1, &error);
    g_assert_no_error(error);
    roll_free(roll);
}

static void test_info(void) {
    if (g_test_subprocess()) {
        g_autoptr(GError) error = NULL;
        corpus_info(g_getenv("TEST_SHARD_FOLDER"), &error);
        g_assert_no_error(error);
        return;
    }
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    write_counted(folder);
    g_setenv("TEST_SHARD_FOLDER", folder, TRUE);
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    /* (count + 0.5) / (frames + 1): 2.5 / 5 for key 3, 1.5 / 5 for key 87, 0.5 / 5 for the other 174. */
    double still = 174 * log(0.9);
    g_autofree char *train = g_strdup_printf("*train*  1  *  4  *  2  *0.750  *%.3f\n*", -log(0.5) - log(0.3) / 4 - log(0.7) * 3 / 4 - still);
    g_autofree char *valid = g_strdup_printf("*valid*  1  *  2  *  1  *0.500  *%.3f\n*", -log(0.5) - log(0.7) - still);
    g_test_trap_assert_stdout("*: 2 songs in 1 shard, corpus cccccccccccccccc\ngrid * 4 steps a beat, pitches 21 to 108 (88)\n*melody,bass\n*");
    g_test_trap_assert_stdout(train);
    g_test_trap_assert_stdout(valid);
    g_test_trap_assert_stdout("*test * 0  *  0  *  0  *  -\n*");
    g_test_trap_assert_stdout("*melody * 1  *  1  *  0\nbass * 1  *  0  *  0\n");
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shard/round-trip", test_round_trip);
    g_test_add_func("/shard/same-bytes", test_same_bytes);
    g_test_add_func("/shard/incomplete", test_incomplete);
    g_test_add_func("/shard/mixed", test_mixed);
    g_test_add_func("/shard/foreign", test_foreign);
    g_test_add_func("/shard/lying-song", test_lying_song);
    g_test_add_func("/shard/checksum", test_checksum);
    g_test_add_func("/shard/version-1", test_version_1);
    g_test_add_func("/shard/lying-size", test_lying_size);
    g_test_add_func("/shard/damaged", test_damaged);
    g_test_add_func("/shard/any-damage", test_any_damage);
    g_test_add_func("/shard/full-disk", test_full_disk);
    g_test_add_func("/shard/info", test_info);
    return g_test_run();
}
