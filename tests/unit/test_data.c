/* data: windows of a corpus that this test writes itself (tests/helpers/spelled.h). */
#include "tests/helpers/spelled.h"
#include "trainer/data/data.h"
#include "trainer/parallel/comm.h"

enum { T = 16, SONGS = 7 };

static const spelled_song_t SONG_TABLE[SONGS] = {
    {250, SPLIT_TRAIN, 100, 3}, {5, SPLIT_TRAIN, 90, 3}, {32, SPLIT_VALID, 60, 4}, {16, SPLIT_TRAIN, 140, 4},
    {33, SPLIT_TRAIN, 120, 3},  {40, SPLIT_TEST, 60, 4}, {1, SPLIT_TRAIN, 130, 4}};

static char *folder;

static data_t *load(size_t planes, gboolean random_offsets, int low, int high, uint64_t seed) {
    GError *error = NULL;
    data_config_t config = {.window = T,
                            .planes = planes,
                            .seed = seed,
                            .random_offsets = random_offsets,
                            .transpose_low = low,
                            .transpose_high = high};
    data_t *data = data_load(rolls_open(folder, &error), &config, &error);
    g_assert_no_error(error);
    g_assert_nonnull(data);
    return data;
}

static size_t window_bytes(size_t planes) { return (size_t)T * 2 * planes * STRIDE; }

/* A window is one piece of one song, silent after its valid frames; returns its first frame. */
static spelled_t read_window(const uint8_t *window, size_t planes, uint32_t valid) {
    g_assert_cmpuint(valid, >=, 1);
    g_assert_cmpuint(valid, <=, T);
    spelled_t first = spelled_read_frame(window, planes);
    for (size_t t = 1; t < valid; t++) {
        spelled_t next = spelled_read_frame(window + t * 2 * planes * STRIDE, planes);
        g_assert_cmpint(next.number, ==, first.number + (int64_t)t);
        g_assert_cmpint(next.song, ==, first.song);
        g_assert_cmpint(next.shift, ==, first.shift);
    }
    for (size_t i = valid * 2 * planes * STRIDE; i < window_bytes(planes); i++)
        g_assert_cmpint(window[i], ==, 0);
    return first;
}

static void test_counts(void) {
    data_t *data = load(1, FALSE, 0, 0, 1);
    g_assert_cmpint(data_windows(data, SPLIT_TRAIN), ==, 16 + 1 + 1 + 3 + 1);
    g_assert_cmpint(data_windows(data, SPLIT_VALID), ==, 2);
    g_assert_cmpint(data_windows(data, SPLIT_TEST), ==, 3);
    g_assert_cmpint(split_frames(data, SPLIT_TRAIN), ==, 250 + 5 + 16 + 33 + 1);
    g_assert_cmpfloat(data_median_tempo(data), ==, 120);
    g_assert_cmpint(data_main_meter(data).numerator, ==, 3);
    g_assert_cmpint(data_main_meter(data).denominator, ==, 4);
    g_assert_cmpuint(data_shards(data)->n_songs, ==, SONGS);
    g_assert_cmpstr(data_shards(data)->songs[5].path, ==, "song-5.mid");
    g_assert_cmpstr(data_shards(data)->options, ==, "spelled");
    data_free(data);
}

/* Grid windows cover each frame of a split once, in corpus order. */
static void test_grid(void) {
    for (size_t planes = 1; planes <= 2; planes++) {
        data_t *data = load(planes, TRUE, -5, 6, 1);
        for (int split = 0; split < SPLIT_COUNT; split++) {
            int64_t expected[SONGS] = {0}, frames = 0;
            int last = 0;
            for (int64_t i = 0; i < data_windows(data, (split_t)split); i++) {
                g_autofree uint8_t *window = g_malloc(window_bytes(planes));
                uint32_t valid = 0;
                memset(window, 0xff, window_bytes(planes));
                data_grid_batch(data, (split_t)split, i, 1, window, &valid);
                spelled_t first = read_window(window, planes, valid);
                g_assert_cmpint(first.shift, ==, 0);
                g_assert_cmpint(first.song, >=, last);
                g_assert_cmpint(SONG_TABLE[first.song].split, ==, split);
                g_assert_cmpint(first.number, ==, expected[first.song]);
                expected[first.song] += valid;
                frames += valid;
                last = first.song;
            }
            g_assert_cmpint(frames, ==, split_frames(data, (split_t)split));
        }
        data_free(data);
    }
}

/* An epoch takes each slot once, in another order each epoch and seed, and sample i does not depend on how
 * the batch is cut. */
static void test_epochs(void) {
    data_t *data = load(1, TRUE, -5, 6, 7);
    size_t n = (size_t)data_windows(data, SPLIT_TRAIN), bytes = window_bytes(1);
    g_autofree uint8_t *whole = g_malloc(n * bytes), *again = g_malloc(n * bytes);
    g_autofree uint32_t *valid = g_new(uint32_t, n), *valid_again = g_new(uint32_t, n);
    data_train_batch(data, 3, 0, n, whole, valid);
    gboolean slots[SONGS][16] = {{FALSE}};
    int shifts = 0, inside = 0;
    for (size_t i = 0; i < n; i++) {
        spelled_t first = read_window(whole + i * bytes, 1, valid[i]);
        int64_t frames = SONG_TABLE[first.song].frames;
        g_assert_cmpuint(valid[i], ==, (uint32_t)MIN(T, frames)); /* random windows end with their song */
        g_assert_cmpint(first.shift, >=, -5);
        g_assert_cmpint(first.shift, <=, 6);
        if (first.song == 4) g_assert_cmpint(first.shift, ==, 0);
        shifts += first.shift != 0;
        inside += first.number % T != 0;
        if (first.number + T < frames) { /* not moved back: the slot shows */
            g_assert_false(slots[first.song][first.number / T]);
            slots[first.song][first.number / T] = TRUE;
        }
    }
    g_assert_cmpint(shifts, >, 5);
    g_assert_cmpint(inside, >, 5);
    for (size_t i = 0; i < n; i++)
        data_train_batch(data, 3, (int64_t)i, 1, again + i * bytes, valid_again + i);
    g_assert_cmpint(memcmp(whole, again, n * bytes), ==, 0);
    g_assert_cmpint(memcmp(valid, valid_again, n * sizeof *valid), ==, 0);
    data_train_batch(data, 4, 0, n, again, valid_again);
    g_assert_cmpint(memcmp(whole, again, n * bytes), !=, 0);
    data_free(data);
    data = load(1, TRUE, -5, 6, 8);
    data_train_batch(data, 3, 0, n, again, valid_again);
    g_assert_cmpint(memcmp(whole, again, n * bytes), !=, 0);
    data_free(data);
}

/* Without random offsets an epoch is a permutation of the grid windows. */
static void test_permutation(void) {
    data_t *data = load(2, FALSE, 0, 0, 7);
    size_t n = (size_t)data_windows(data, SPLIT_TRAIN), bytes = window_bytes(2);
    g_autofree uint8_t *epoch = g_malloc(n * bytes), *grid = g_malloc(n * bytes);
    g_autofree uint32_t *valid = g_new(uint32_t, n), *grid_valid = g_new(uint32_t, n);
    data_grid_batch(data, SPLIT_TRAIN, 0, n, grid, grid_valid);
    for (int64_t e = 0; e < 3; e++) {
        g_autofree gboolean *seen = g_new0(gboolean, n);
        size_t moved = 0;
        data_train_batch(data, e, 0, n, epoch, valid);
        for (size_t i = 0; i < n; i++) {
            size_t k = 0;
            while (k < n && (seen[k] || memcmp(epoch + i * bytes, grid + k * bytes, bytes) != 0)) k++;
            g_assert_cmpuint(k, <, n);
            g_assert_cmpuint(valid[i], ==, grid_valid[k]);
            seen[k] = TRUE;
            moved += k != i;
        }
        g_assert_cmpuint(moved, >, n / 2);
    }
    data_free(data);
}

/* All transpositions of the range are drawn, none that pushes a note out: range +-40 is far more than the
 * roll has room for. */
static void test_transposition(void) {
    data_t *data = load(1, TRUE, -40, 60, 1);
    g_autofree uint8_t *window = g_malloc(window_bytes(1));
    int low = 0, high = 0;
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        for (int64_t i = 0; i < data_windows(data, SPLIT_TRAIN); i++) {
            uint32_t valid = 0;
            data_train_batch(data, epoch, i, 1, window, &valid);
            spelled_t first = read_window(window, 1, valid); /* asserts that all bits are still there */
            low = MIN(low, first.shift);
            high = MAX(high, first.shift);
        }
    }
    g_assert_cmpint(low, ==, -MARK);
    g_assert_cmpint(high, >=, 87 - SONG - 3);
    data_free(data);
}

static void test_parts(void) {
    for (int64_t n = 0; n < 40; n++) {
        for (int size = 1; size < 12; size++) {
            int64_t next = 0;
            for (int rank = 0; rank < size; rank++) {
                int64_t first = -1;
                size_t count = data_part(n, rank, size, &first);
                g_assert_cmpint(first, ==, next);
                g_assert_cmpint((int64_t)count, >=, n / size);
                g_assert_cmpint((int64_t)count, <=, (n + size - 1) / size);
                next += (int64_t)count;
            }
            g_assert_cmpint(next, ==, n);
        }
    }
}

static void test_refusals(void) {
    g_autoptr(GError) error = NULL;
    data_config_t config = {.window = T, .planes = 1};
    g_assert_null(data_load(rolls_open("/nowhere/at/all", &error), &config, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "/nowhere/at/all"));
    g_clear_error(&error);
    g_autofree char *path = g_build_filename(folder, "shard-00001-of-00002.h5", NULL);
    g_autofree char *aside = g_strconcat(path, ".aside", NULL);
    g_assert_cmpint(g_rename(path, aside), ==, 0);
    g_assert_null(data_load(rolls_open(folder, &error), &config, &error));
    g_assert_nonnull(error);
    g_assert_cmpint(g_rename(aside, path), ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    folder = spelled_write_corpus(SONG_TABLE, SONGS);
    g_test_add_func("/data/counts", test_counts);
    g_test_add_func("/data/grid", test_grid);
    g_test_add_func("/data/epochs", test_epochs);
    g_test_add_func("/data/permutation", test_permutation);
    g_test_add_func("/data/transposition", test_transposition);
    g_test_add_func("/data/parts", test_parts);
    g_test_add_func("/data/refusals", test_refusals);
    int status = g_test_run();
    spelled_remove_corpus(folder);
    comm_finalize();
    return status;
}
