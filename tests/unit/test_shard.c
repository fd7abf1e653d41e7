/* Tests of preprocess/shard and of the figures that info prints: a corpus written here is read back, whole or
 * by runs of songs; version 1; full disks. What is refused: test_shard_refusals.c. */
#include "preprocess/shard/shard.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "preprocess/corpus/corpus.h"
#include "tests/helpers/full_disk.h"
#include "tests/helpers/shard_corpus.h"

/* How onsets were played is read back, by any run of songs. */
static void check_played(const shard_set_t *set) {
    g_autoptr(GError) error = NULL;
    g_autofree uint8_t *bits = g_malloc((size_t)set->frames * grid_frame_bytes(&set->grid));
    g_autofree played_t *played = g_new0(played_t, set->onsets + 1);
    g_assert_true(set->played && shard_set_read(set, bits, &error));
    int64_t onsets = 0;
    for (size_t i = 0; i < SONGS; i++) {
        const shard_song_t *song = &set->songs[i];
        g_assert_cmpint(song->first_onset, ==, onsets);
        onsets += (int64_t)roll_count_onsets(bits + (size_t)song->first_frame * grid_frame_bytes(&set->grid),
                                             (size_t)song->frames, &set->grid);
        g_assert_cmpint(song->first_onset + song->onsets, ==, onsets);
    }
    g_assert_cmpint(set->onsets, ==, onsets);
    for (size_t from = 0; from < SONGS; from++)
        for (size_t n = 1; n <= SONGS - from; n++) {
            const int64_t first = set->songs[from].first_onset,
                          end = set->songs[from + n - 1].first_onset + set->songs[from + n - 1].onsets;
            memset(played, 0, (size_t)(set->onsets + 1) * sizeof *played);
            g_assert_true(shard_set_read_played(set, from, n, played, &error));
            for (size_t i = from; i < from + n; i++)
                for (int64_t k = 0; k < set->songs[i].onsets; k++) {
                    const size_t shard = i / SONGS_EACH;
                    const int64_t at = set->songs[i].first_onset + k;
                    const played_t wanted =
                        played_at(shard, (size_t)(at - set->songs[shard * SONGS_EACH].first_onset));
                    g_assert_cmpint(played[at - first].velocity, ==, wanted.velocity);
                    g_assert_cmpint(played[at - first].offset, ==, wanted.offset);
                }
            g_assert_cmpint(played[end - first].velocity, ==, 0);
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
            for (size_t i = from; i < from + n; i++)
                end += (size_t)set->songs[i].frames * grid_frame_bytes(&set->grid);
            memset(bits, 0xA5, bytes);
            g_assert_true(shard_set_read_songs(set, from, n, bits, &error));
            for (size_t i = 0; i < end - at; i++) g_assert_cmpint(bits[i], ==, byte_at(at + i));
            for (size_t i = end - at; i < bytes; i++) g_assert_cmpint(bits[i], ==, 0xA5);
        }
    }
    check_played(set);
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
        g_autofree char *a = shard_name(first, i), *b = shard_name(second, i), *bytes_a = NULL,
                        *bytes_b = NULL;
        gsize n_a = 0, n_b = 0;
        g_assert_true(g_file_get_contents(a, &bytes_a, &n_a, NULL) &&
                      g_file_get_contents(b, &bytes_b, &n_b, NULL));
        g_assert_cmpuint(n_a, ==, n_b);
        g_assert_true(memcmp(bytes_a, bytes_b, n_a) == 0);
    }
    remove_folder(first);
    remove_folder(second);
}

/* tests/golden/shard-v1 was written by the last program that wrote version 1: songs have one tempo and one
 * meter, and nothing is verified. */
static void test_version_1(void) {
    static const struct {
        int64_t frames;
        double bpm;
        uint8_t numerator, denominator;
        const char *path;
    } wanted[] = {{288, 120, 3, 4, "song-0000.mid"},
                  {240, 100, 6, 8, "song-0001.mid"},
                  {144, 120, 6, 8, "song-0002.mid"}};
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_build_filename(g_getenv("SOURCE"), "tests/golden/shard-v1", NULL);
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(set->n_songs, ==, G_N_ELEMENTS(wanted));
    for (size_t i = 0; i < set->n_songs; i++) {
        g_autoptr(timeline_t)
            timeline = shard_set_timeline(set, i),
            one = timeline_new(4, wanted[i].bpm, (meter_t){0, wanted[i].numerator, wanted[i].denominator});
        g_assert_cmpint(set->songs[i].frames, ==, wanted[i].frames);
        g_assert_cmpstr(set->songs[i].path, ==, wanted[i].path);
        assert_same_timeline(timeline, one);
    }
    g_autofree uint8_t *bits = g_malloc0((size_t)set->frames * grid_frame_bytes(&set->grid));
    g_assert_true(shard_set_read(set, bits, &error));
    size_t sounding = 0;
    for (size_t i = 0; i < (size_t)set->frames * grid_frame_bytes(&set->grid); i++)
        sounding += (size_t)__builtin_popcount(bits[i]);
    g_assert_cmpuint(sounding, ==, 3319);
}

/* tests/golden/shard-v2 was written by the last program that wrote version 2. */
static void test_version_2(void) {
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_build_filename(g_getenv("SOURCE"), "tests/golden/shard-v2", NULL);
    g_autoptr(shard_set_t) set = shard_set_open(folder, &error);
    g_assert_no_error(error);
    g_assert_false(set->played);
    g_autofree uint8_t *bits = g_malloc0((size_t)set->frames * grid_frame_bytes(&set->grid));
    g_assert_true(shard_set_read(set, bits, &error));
    g_assert_cmpuint(set->n_songs, ==, 3);
    for (size_t i = 0; i < set->n_songs; i++) {
        g_assert_cmpuint(set->songs[i].crc32, !=, 0);
        g_assert_cmpint(set->songs[i].onsets, ==, 0);
    }
    g_assert_cmpuint(roll_count_onsets(bits, (size_t)set->frames, &set->grid), ==, 497);
}

static void test_full_disk(void) {
    g_autoptr(GError) error = NULL;
    shard_song_t song = make_song(0, 0);
    shard_set_t head = make_head("merged", 'a');
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "shard-00000-of-00003.h5", NULL);
    g_autofree char *temporary = file_temporary(path);
    g_autofree char *before = NULL, *after = NULL;
    gsize n_before = 0, n_after = 0;
    uint8_t bits[3 * 22] = {0};
    const struct rlimit old = full_disk_begin(1000);
    gboolean written = shard_write(folder, &head, 0, &song, NULL, NULL, 1, bits, 3, 1, &error);
    full_disk_end(old);
    g_assert_false(written);
    g_assert_nonnull(strstr(error->message, "shard-00000-of-00003.h5: cannot write: File too large; "));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_clear_error(&error);
    g_assert_true(shard_write(folder, &head, 0, &song, NULL, NULL, 1, bits, 3, 1, &error));
    g_assert_true(g_file_get_contents(path, &before, &n_before, NULL));
    bits[0] = 1;
    full_disk_begin(1000);
    written = shard_write(folder, &head, 0, &song, NULL, NULL, 1, bits, 3, 1, &error);
    full_disk_end(old);
    g_assert_false(written);
    g_assert_true(g_file_get_contents(path, &after, &n_after, NULL)); /* what stood there stands */
    g_assert_true(n_after == n_before && memcmp(before, after, n_before) == 0);
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    remove_folder(folder);
}

/* Two tracks; train: key 3 sounds in 2 of 4 frames of track 0, key 87 in one of track 1; valid: key 3 in 1 of
 * 2 frames; test: none. */
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
    const played_t played[3] = {{60, 64}, {100, 0}, {90, -32}}; /* of two onsets of train, one of valid */
    shard_write(folder, &head, 0, songs, NULL, played, 2, roll->bits, 6, 1, &error);
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
    g_autofree char *train = g_strdup_printf("*train*  1  *  4  *  2  *0.750  *%.3f\n*",
                                             -log(0.5) - log(0.3) / 4 - log(0.7) * 3 / 4 - still);
    g_autofree char *valid =
        g_strdup_printf("*valid*  1  *  2  *  1  *0.500  *%.3f\n*", -log(0.5) - log(0.7) - still);
    g_test_trap_assert_stdout("*: 2 songs in 1 shard, corpus cccccccccccccccc\ngrid * 4 steps a beat, "
                              "pitches 21 to 108 (88)\n*melody,bass\n*");
    g_test_trap_assert_stdout(train);
    g_test_trap_assert_stdout(valid);
    g_test_trap_assert_stdout("*test * 0  *  0  *  0  *  -\n*");
    g_test_trap_assert_stdout(
        "*\ntrain *80.00 * 20.00 *+0.1250 * 0.125\nvalid *90.00 * 0.00 *-0.1250 * 0.000\n*");
    g_test_trap_assert_stdout("*melody * 1  *  1  *  0\nbass * 1  *  0  *  0\n");
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/shard/round-trip", test_round_trip);
    g_test_add_func("/shard/same-bytes", test_same_bytes);
    g_test_add_func("/shard/version-1", test_version_1);
    g_test_add_func("/shard/version-2", test_version_2);
    g_test_add_func("/shard/full-disk", test_full_disk);
    g_test_add_func("/shard/info", test_info);
    return g_test_run();
}
