/* Tests of what preprocess/shard refuses: every way in which a folder is not one whole corpus, files that
 * lie, rows that are not those that were written, and damage anywhere. */
#include <math.h>
#include <unistd.h>

#include "preprocess/shard/h5.h"
#include "tests/helpers/shard_corpus.h"

/* The folder is refused, by opening or by reading, and the message matches. Takes the folder away. */
static void assert_refused(char *folder, const char *says) {
    g_autoptr(GError) error = NULL;
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    if (set) {
        g_autofree uint8_t *bits = g_malloc((size_t)set->frames * grid_frame_bytes(&set->grid));
        g_autofree played_t *played = g_new(played_t, set->onsets);
        g_assert_false(shard_set_read(set, bits, &error) &&
                       shard_set_read_played(set, 0, set->n_songs, played, &error));
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
    char *begun = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    static const char *const others[] = {"shard-00000-of-00001.h5.h1-9.tmp", "preprocess.parsed", "songs"};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *path = g_build_filename(begun, others[i], NULL);
        g_assert_true(g_file_set_contents(path, "", 0, NULL));
        g_assert_null(shard_corpus_id(path));
    }
    assert_refused(begun, "*holds no shards yet, only what a run or its parts have parsed; name the folder*");
    for (size_t i = 0; i < SHARDS; i++) {
        char *folder = make_corpus("merged");
        g_autofree char *path = shard_name(folder, i),
                        *says = g_strdup_printf("*shard-%05zu-of-%05d.h5: *missing; run *", i, SHARDS);
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
    assert_refused(folder, "*shard-00000-of-00003.h5: shard version 4, this program reads 1 to 3; *");
    number = 0;
    folder = make_corpus("merged");
    set_attribute(folder, "version", &number, H5T_NATIVE_INT64);
    assert_refused(folder, "*shard-00000-of-00003.h5: shard version 0, this program reads 1 to 3; *");
    number = SHARDS + 1; /* of one corpus, but of more files */
    folder = make_corpus("merged");
    set_attribute(folder, "shards", &number, H5T_NATIVE_INT64);
    assert_refused(folder, "*shard-00000-of-00003.h5: was renamed: *");
    static const char *const numbers[] = {"steps_per_beat", "pitch_low",     "pitches", "shards",
                                          "fold_octaves",   "sustain_pedal", "shard"};
    for (size_t i = 0; i < 2 * G_N_ELEMENTS(numbers); i++) {
        number = i % 2 ? 123456 : -5;
        g_autofree char *says = g_strdup_printf(
            "*shard-00000-of-00003.h5: attribute %s is %" G_GINT64_FORMAT "; *", numbers[i / 2], number);
        folder = make_corpus("merged");
        set_attribute(folder, numbers[i / 2], &number, H5T_NATIVE_INT64);
        assert_refused(folder, says);
    }
    g_auto(h5_id_t) word = h5_string_type(6);
    folder = make_corpus("merged");
    set_attribute(folder, "tracks", "merger", word);
    assert_refused(folder, "*merger*");
    number = 40; /* in range, but not what /roll was made for */
    folder = make_corpus("merged");
    set_attribute(folder, "pitches", &number, H5T_NATIVE_INT64);
    assert_refused(folder, "*shard-00000-of-00003.h5: /roll has another shape than its grid; *");
    g_autoptr(GError) error = NULL;
    folder = make_corpus("merged");
    g_autofree char *path = shard_name(folder, 0);
    h5_file_t *file = h5_file_create(path, &error);
    g_assert_true(h5_write_string(file, "/", "format", "something else", &error) &&
                  h5_file_commit(file, NULL, &error));
    assert_refused(folder, "*shard-00000-of-00003.h5: not a shard*");
    folder = make_corpus("merged");
    g_autofree char *text = shard_name(folder, 2);
    g_assert_true(g_file_set_contents(text, "text", -1, NULL));
    assert_refused(folder, "*shard-00002-of-00003.h5: *not an HDF5 file*");
}

/* Overwrites a member of all rows of a table of the first shard, by way of the HDF5 library: a file that is
 * whole but for what it says. */
static void set_member(const char *folder, const char *table, const char *member, const void *values,
                       hid_t type) {
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
                      rows[] = "*shard-00000-of-00003.h5: /tempi or /meters holds what no song has; *",
                      onsets[] = "*shard-00000-of-00003.h5: /songs does not fit /velocity and /offset; *",
                      played[] = "*: its velocities and offsets are not those that were written; *";
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
        {"/songs", "meter_denominator", {4, 4, 4, 11}, songs},
        {"/songs", "first_tempo", {1, 1, 3, 6}, maps},
        {"/songs", "tempi", {0, 3, 3, 4}, maps},
        {"/songs", "tempi", {1, 2, 3, 5}, maps},
        {"/songs", "tempi", {1, 2, 3, 3}, maps},
        {"/songs", "tempi", {1, 2, 3, INT64_MAX}, maps},
        {"/songs", "first_meter", {-1, 1, 3, 6}, maps},
        {"/songs", "meters", {1, 2, 3, 0}, maps},
        {"/songs", "meters", {1, 2, 3, 2}, maps},
        {"/songs", "first_onset", {1, 200, 300, 400}, onsets},
        {"/songs", "onsets", {-1, 1, 1, 1}, onsets},
        {"/songs", "onsets", {INT64_MAX, 1, 1, 1}, onsets},
        {"/songs", "played_crc32", {1, 2, 3, 4}, played},
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
    const double infinite[10] = {INFINITY, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                 none[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, NAN};
    static const double slow[4] = {60, 60, -1, 60};
    char *folder = make_corpus("merged");
    set_member(folder, "/songs", "tempo_bpm", infinite, H5T_NATIVE_DOUBLE);
    assert_refused(folder, songs);
    folder = make_corpus("merged");
    set_member(folder, "/songs", "tempo_bpm", slow, H5T_NATIVE_DOUBLE);
    assert_refused(folder, songs);
    folder = make_corpus("merged");
    set_member(folder, "/tempi", "bpm", infinite, H5T_NATIVE_DOUBLE);
    assert_refused(folder, rows);
    folder = make_corpus("merged");
    set_member(folder, "/tempi", "bpm", none, H5T_NATIVE_DOUBLE);
    assert_refused(folder, rows);
}

/* Velocities that no note has, with the right checksum; and onsets that are not those of /roll. */
static void test_lying_onsets(void) {
    g_autoptr(GError) error = NULL;
    shard_set_t head = make_head("merged", 'a');
    head.n_shards = 1;
    shard_song_t song = make_song(0, 0);
    uint8_t bits[3 * 22] = {[0] = 3, [11] = 3}; /* two keys are struck in the first frame */
    for (uint8_t velocity = 0; velocity < 129; velocity += 64) {
        const played_t written[2] = {{1, -128}, {velocity, 127}};
        played_t played[2];
        char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
        g_assert_true(shard_write(folder, &head, 0, &song, NULL, written, 1, bits, 3, 1, &error));
        g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
        g_assert_no_error(error);
        g_assert_cmpint(set->onsets, ==, 2);
        g_assert_true(shard_set_read_played(set, 0, 1, played, &error) == (velocity == 64));
        if (velocity == 64) {
            g_assert_true(memcmp(played, written, sizeof played) == 0);
        } else {
            g_assert_nonnull(strstr(error->message, "its velocities and offsets are not those"));
            g_clear_error(&error);
        }
        g_assert_true(shard_set_read(set, bits, &error));
        set->songs[0].onsets = 3;
        g_assert_false(shard_set_read(set, bits, &error));
        g_assert_nonnull(strstr(error->message, "does not tell how many onsets"));
        g_clear_error(&error);
        remove_folder(folder);
    }
}

/* Rows that are not those that were written, in a file that HDF5 finds whole: told with the song, by whoever
 * reads that song. */
static void test_checksum(void) {
    for (size_t song = 0; song < SONGS_EACH; song++) {
        g_autoptr(GError) error = NULL;
        char *folder = make_corpus("merged");
        g_autofree char *path = shard_name(folder, 0);
        g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
        const size_t frame_bytes = grid_frame_bytes(&set->grid);
        const hsize_t start[4] = {(hsize_t)(set->songs[song].first_frame + set->songs[song].frames - 1)},
                      count[4] = {1, 1, ROLL_PLANES, 11};
        g_autofree uint8_t *bits = g_malloc((size_t)set->frames * frame_bytes);
        h5_id_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), roll = H5Dopen2(file, "/roll", H5P_DEFAULT),
                space = H5Dget_space(roll), row = H5Screate_simple(4, count, NULL);
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
        g_autofree char *says = g_strdup_printf(
            "*shard-00000-of-00003.h5: song folder/s?ng %zu.mid: its rows do not match their checksum; "
            "preprocess again",
            song);
        assert_refused(folder, says);
    }
}

/* Replaces the first shard's dataset by one of `rows` rows that were never written: as large as it claims,
 * small on disk. */
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

/* A folder that there is not, and a corpus whose file is as large as it needs to be for what it claims. */
static void test_no_folder(void) {
    shard_set_t head = make_head("merged", 'a');
    g_autoptr(GError) error = NULL;
    shard_song_t song = make_song(0, 0);
    uint8_t bits[3 * 22] = {0};
    g_assert_false(shard_write("/nonexistent", &head, 0, &song, NULL, NULL, 1, bits, 3, 1, &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/shard-00000-of-00003.h5"));
    char *folder = make_corpus("merged");
    g_autofree char *path = shard_name(folder, 0);
    claim_rows(folder, "/roll", ((hsize_t)1 << 31) + 5, H5T_STD_U8LE);
    g_assert_cmpint(truncate(path, (off_t)1 << 30), ==, 0); /* of no blocks */
    assert_refused(folder, "*shard-00000-of-00003.h5: /roll is impossibly large; *");
}

static void test_lying_size(void) {
    static const hsize_t sizes[] = {(hsize_t)1 << 20, (hsize_t)1 << 31, ((hsize_t)1 << 32) + 4,
                                    (hsize_t)1 << 62};
    g_auto(h5_id_t) row = H5Tcreate(H5T_COMPOUND, sizeof(int64_t));
    H5Tinsert(row, "frames", 0, H5T_NATIVE_INT64);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        char *folder = make_corpus("merged");
        claim_rows(folder, "/songs", sizes[i], row);
        assert_refused(folder, "*shard-00000-of-00003.h5: /songs is impossibly large; *");
        folder = make_corpus("merged");
        claim_rows(folder, "/roll", sizes[i], H5T_STD_U8LE);
        assert_refused(folder, "*shard-00000-of-00003.h5: /roll is impossibly large; *");
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
        for (size_t b = 0; b < (size_t)set->frames * grid_frame_bytes(&set->grid); b++)
            g_assert_cmpint(bits[b], ==, byte_at(b));
    }
    g_assert_cmpuint(refused, >, 100);
    remove_folder(folder);
}

/* The same for every third byte of a small shard that is the whole corpus, so that no other shard's head
 * stands beside it. */
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
    played_t played[8 * sizeof bits], played_back[8 * sizeof bits];
    for (size_t i = 0; i < G_N_ELEMENTS(played); i++) played[i] = played_at(0, i);
    const size_t onsets = roll_count_onsets(bits, 3, &head.grid);
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "shard-00000-of-00001.h5", NULL);
    g_assert_true(shard_write(folder, &head, 0, &song, &timeline, played, 1, bits, 3, 1, &error) &&
                  g_file_get_contents(path, &bytes, &n, &error));
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
        g_assert_cmpint(set->onsets, ==, (int64_t)onsets);
        if (shard_set_read_played(set, 0, 1, played_back, NULL))
            g_assert_true(memcmp(played, played_back, onsets * sizeof *played) == 0);
    }
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shard/incomplete", test_incomplete);
    g_test_add_func("/shard/mixed", test_mixed);
    g_test_add_func("/shard/foreign", test_foreign);
    g_test_add_func("/shard/lying-song", test_lying_song);
    g_test_add_func("/shard/lying-size", test_lying_size);
    g_test_add_func("/shard/no-folder", test_no_folder);
    g_test_add_func("/shard/lying-onsets", test_lying_onsets);
    g_test_add_func("/shard/checksum", test_checksum);
    g_test_add_func("/shard/damaged", test_damaged);
    g_test_add_func("/shard/any-damage", test_any_damage);
    return g_test_run();
}
