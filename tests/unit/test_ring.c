/* ring: the groups of any epoch are there once it has turned to them; reads that fail, and signals that come
 * while it waits. On one rank; tests/ranks/rank_batches.sh has several. */
#include "trainer/data/ring.h"

#include <signal.h>

#include "preprocess/shard/h5.h"
#include "tests/helpers/spelled.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"

enum { SONGS = 9, GROUPS = 3, SLOTS = 2 };

static const spelled_song_t SONG_TABLE[SONGS] = {
    {250, SPLIT_TRAIN, 100, 3}, {5, SPLIT_TRAIN, 90, 3},   {32, SPLIT_TRAIN, 60, 4},
    {160, SPLIT_TRAIN, 140, 4}, {33, SPLIT_TRAIN, 120, 3}, {40, SPLIT_TRAIN, 60, 4},
    {90, SPLIT_TRAIN, 130, 4},  {41, SPLIT_TRAIN, 130, 4}, {67, SPLIT_TRAIN, 130, 4}};

typedef struct {
    char *folder;
    shard_set_t *set;
    uint8_t *bits; /* all frames */
    order_block_t blocks[SONGS];
    order_t *order;
    ring_t *ring;
} fixture_t;

static void set_up(fixture_t *f) {
    GError *error = NULL;
    f->folder = spelled_write_corpus(SONG_TABLE, SONGS);
    f->set = shard_set_open(f->folder, &error);
    g_assert_no_error(error);
    const size_t frame_bytes = grid_frame_bytes(&f->set->grid), bytes = (size_t)f->set->frames * frame_bytes;
    f->bits = g_malloc(bytes);
    g_assert_true(shard_set_read(f->set, f->bits, NULL));
    for (size_t i = 0; i < SONGS; i++)
        f->blocks[i] = (order_block_t){.first_song = i,
                                       .n_songs = 1,
                                       .first_slot = (int64_t)i,
                                       .slots = 1,
                                       .bytes = (size_t)f->set->songs[i].frames * frame_bytes};
    f->order = order_new(f->blocks, SONGS, bytes / GROUPS + 1, 5);
    g_assert_cmpuint(order_groups(f->order), ==, GROUPS);
    f->ring = ring_new(f->set, order_copy(f->order), SLOTS, &error);
    g_assert_no_error(error);
}

static void tear_down(fixture_t *f) {
    ring_free(f->ring);
    order_free(f->order);
    shard_set_free(f->set);
    g_free(f->bits);
    spelled_remove_corpus(f->folder);
}

static void assert_group(fixture_t *f, uint64_t group) {
    const uint8_t *bits = ring_group(f->ring, group);
    size_t n = 0, of = 0;
    order_plan(f->order, (int64_t)(group / GROUPS));
    const uint32_t *blocks = order_group_blocks(f->order, group % GROUPS, &n);
    for (size_t i = 0; i < n; i++) {
        const order_block_t *block = order_block(f->order, blocks[i]);
        const uint8_t *wanted =
            f->bits + (size_t)f->set->songs[block->first_song].first_frame * grid_frame_bytes(&f->set->grid);
        g_assert_cmpint(memcmp(bits + order_block_offset(f->order, blocks[i], &of), wanted, block->bytes), ==,
                        0);
    }
}

static void turn(fixture_t *f, uint64_t first, uint64_t last) {
    GError *error = NULL;
    gboolean stopped = TRUE;
    g_assert_true(ring_turn(f->ring, first, last, &stopped, &error));
    g_assert_no_error(error);
    g_assert_false(stopped);
    for (uint64_t group = first; group <= last; group++) assert_group(f, group);
}

/* From the middle of an epoch on through others, one group and two at a time, and back. */
static void test_turns(void) {
    fixture_t f = {0};
    set_up(&f);
    for (uint64_t group = 4; group < 40; group++) {
        turn(&f, group, group);
        turn(&f, group, group + 1);
        assert_group(&f, group); /* still there: the reader waits for room */
    }
    turn(&f, 1, 2);
    turn(&f, 30, 30);
    tear_down(&f);
}

static void test_ends_at_once(void) {
    for (int i = 0; i < 20; i++) {
        fixture_t f = {0};
        set_up(&f);
        if (i % 2) turn(&f, 0, 0); /* the thread reads the next one, or waits for room */
        tear_down(&f);
    }
}

static void test_missing(void) {
    GError *error = NULL;
    gboolean stopped = FALSE;
    fixture_t f = {0};
    set_up(&f);
    turn(&f, 0, 0);
    for (int shard = 0; shard < SPELLED_SHARDS; shard++) {
        g_autofree char *path = g_strdup_printf("%s/shard-%05d-of-%05d.h5", f.folder, shard, SPELLED_SHARDS);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
    for (uint64_t group = 0; !error && group < 5; group++) ring_turn(f.ring, group, group, &stopped, &error);
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "reading song song-"));
    g_assert_nonnull(strstr(error->message, "shard-0000"));
    g_assert_nonnull(strstr(error->message, "No such file"));
    g_clear_error(&error);
    g_assert_false(ring_turn(f.ring, 5, 5, &stopped, &error)); /* and again: never a hang */
    g_assert_nonnull(error);
    g_clear_error(&error);
    tear_down(&f);
}

/* Last: the signal stays. The reader cannot read while this thread has a file open. */
static void test_signal(void) {
    GError *error = NULL;
    gboolean stopped = FALSE;
    fixture_t f = {0};
    set_up(&f);
    g_autofree char *path = g_strdup_printf("%s/shard-%05d-of-%05d.h5", f.folder, 0, SPELLED_SHARDS);
    h5_file_t *file = h5_file_open(path, &error);
    g_assert_no_error(error);
    raise(SIGUSR1);
    g_assert_true(ring_turn(f.ring, 0, 0, &stopped, &error));
    g_assert_no_error(error);
    g_assert_true(stopped);
    h5_file_close(file);
    tear_down(&f);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    stop_catch_signals(); /* after MPICH's own for SIGUSR1 */
    g_test_add_func("/ring/turns", test_turns);
    g_test_add_func("/ring/ends at once", test_ends_at_once);
    g_test_add_func("/ring/missing", test_missing);
    g_test_add_func("/ring/signal", test_signal);
    int status = g_test_run();
    comm_finalize();
    return status;
}
