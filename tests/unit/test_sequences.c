/* data's sequences and pieces, on a corpus that spells where each frame came from (tests/helpers/spelled.h).
 */
#include <math.h>

#include "tests/helpers/spelled.h"
#include "trainer/data/data.h"
#include "trainer/parallel/comm.h"

enum { SONGS = 9, C = 32, ALIGN = 8, T_MOST = 300, CONTEXT = 4 };

static const spelled_song_t SONG_TABLE[SONGS] = {
    {250, SPLIT_TRAIN, 100, 3}, {5, SPLIT_TRAIN, 90, 3},   {32, SPLIT_VALID, 60, 4},
    {16, SPLIT_TRAIN, 140, 4},  {33, SPLIT_TRAIN, 120, 3}, {40, SPLIT_TEST, 60, 4},
    {1, SPLIT_TRAIN, 130, 4},   {41, SPLIT_VALID, 130, 4}, {67, SPLIT_TRAIN, 130, 4}};

static char *folder;

static data_t *load_from(const char *from, const data_config_t *config) {
    GError *error = NULL;
    data_t *data = data_load(rolls_open(from, &error), config, &error);
    g_assert_no_error(error);
    g_assert_nonnull(data);
    return data;
}

static data_t *load(size_t chunk, size_t planes, gboolean random, int low, int high) {
    return load_from(folder, &(data_config_t){.chunk = chunk,
                                              .align = ALIGN,
                                              .context = CONTEXT,
                                              .planes = planes,
                                              .seed = 7,
                                              .random_offsets = random,
                                              .transpose_low = low,
                                              .transpose_high = high});
}

static gboolean is_silent(const uint8_t *bits, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (bits[i]) return FALSE;
    return TRUE;
}

/* Sequences are one stretch of one song, with the frames before it, silent before the song and after the
 * stretch; returns the first frame. */
static spelled_t read_sequence(const uint8_t *bits, size_t planes, size_t frames, size_t T) {
    const size_t frame_bytes = 2 * planes * STRIDE;
    const spelled_t first = spelled_read_frame(bits + CONTEXT * frame_bytes, planes);
    for (int64_t t = -CONTEXT; t < (int64_t)T; t++) {
        const uint8_t *frame = bits + (size_t)(t + CONTEXT) * frame_bytes;
        if (first.number + t < 0 || t >= (int64_t)frames) {
            g_assert_true(is_silent(frame, frame_bytes));
            continue;
        }
        const spelled_t next = spelled_read_frame(frame, planes);
        g_assert_cmpint(next.number, ==, first.number + t);
        g_assert_cmpint(next.song, ==, first.song);
        g_assert_cmpint(next.shift, ==, first.shift);
    }
    return first;
}

/* Slot's sequence of an epoch in an array of its frames and `more`. */
static spelled_t read_slot(const data_t *data, size_t planes, int64_t epoch, int64_t slot, size_t more,
                           size_t *frames) {
    const size_t T = data_sequence_frames(data, epoch, slot) + more,
                 bytes = (CONTEXT + T) * 2 * planes * STRIDE;
    g_autofree uint8_t *bits = g_malloc(bytes);
    memset(bits, 0xff, bytes);
    *frames = data_sequence(data, epoch, slot, T, bits, NULL);
    g_assert_cmpuint(*frames + more, ==, T);
    g_assert_cmpuint(*frames, <=, data_sequence_most_frames(data, slot));
    return read_sequence(bits, planes, *frames, T);
}

static void test_pieces(void) {
    for (size_t planes = 1; planes <= 2; planes++) {
        data_t *data = load(0, planes, TRUE, -5, 6);
        g_autofree uint8_t *bits = g_malloc((CONTEXT + T_MOST) * 2 * planes * STRIDE);
        for (int split = 0; split < SPLIT_COUNT; split++) {
            int64_t piece = 0, frames = 0;
            for (int song = 0; song < SONGS; song++) {
                if ((int)SONG_TABLE[song].split != split) continue;
                memset(bits, 0xff, (CONTEXT + T_MOST) * 2 * planes * STRIDE);
                g_assert_cmpint(data_piece_frames(data, (split_t)split, piece), ==, SONG_TABLE[song].frames);
                g_assert_cmpint(data_piece(data, (split_t)split, piece, 0, T_MOST, bits, NULL), ==,
                                SONG_TABLE[song].frames);
                const spelled_t first = read_sequence(bits, planes, (size_t)SONG_TABLE[song].frames, T_MOST);
                g_assert_cmpint(first.number, ==, 0);
                g_assert_cmpint(first.song, ==, song);
                g_assert_cmpint(first.shift, ==, 0);
                frames += SONG_TABLE[song].frames;
                piece++;
            }
            g_assert_cmpint(data_pieces(data, (split_t)split), ==, piece);
            g_assert_cmpint(split_frames(data, (split_t)split), ==, frames);
        }
        data_free(data);
    }
}

/* Every song whole, once an epoch, transposed by what (epoch, slot) draws. */
static void test_whole(void) {
    data_t *data = load(0, 1, TRUE, -5, 6);
    int shifts = 0, changes = 0;
    g_assert_cmpint(data_samples(data), ==, data_pieces(data, SPLIT_TRAIN));
    for (int64_t slot = 0; slot < data_samples(data); slot++) {
        int last = 0;
        for (int64_t epoch = 0; epoch < 8; epoch++) {
            size_t frames = 0;
            const spelled_t first = read_slot(data, 1, epoch, slot, (size_t)epoch, &frames);
            g_assert_cmpint(first.number, ==, 0);
            g_assert_cmpint((int64_t)frames, ==, SONG_TABLE[first.song].frames);
            g_assert_cmpuint(frames, ==, data_piece_frames(data, SPLIT_TRAIN, slot));
            g_assert_true(first.shift >= -5 && first.shift <= 6);
            if (first.song == WIDE_SONG) g_assert_cmpint(first.shift, ==, 0);
            shifts += first.shift != 0;
            changes += epoch > 0 && first.shift != last;
            last = first.shift;
        }
    }
    g_assert_cmpint(shifts, >, 20);
    g_assert_cmpint(changes, >, 20);
    data_free(data);
}

/* Chunks begin on whole segments, are C frames but where the song ends, come from every song in every epoch,
 * and over many epochs show every frame. */
static void test_chunks(void) {
    enum { EPOCHS = 200 };
    data_t *data = load(C, 2, TRUE, -60, 60);
    const int64_t slots = data_samples(data);
    int seen[SONGS][T_MOST] = {{0}}, low = 0, high = 0;
    size_t inside = 0;
    g_assert_cmpint(slots, ==, 8 + 1 + 1 + 2 + 1 + 3);
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int of_song[SONGS] = {0};
        for (int64_t slot = 0; slot < slots; slot++) {
            size_t frames = 0;
            const spelled_t first = read_slot(data, 2, epoch, slot, 3, &frames);
            const int64_t song_frames = SONG_TABLE[first.song].frames, end = first.number + (int64_t)frames;
            g_assert_cmpint(first.number % ALIGN, ==, 0);
            g_assert_cmpint(end, <=, song_frames);
            if (song_frames <= C) g_assert_cmpint((int64_t)frames, ==, song_frames);
            if (frames < C) g_assert_cmpint(end, ==, song_frames);
            if (song_frames > C) g_assert_cmpuint(frames, >, C - ALIGN);
            for (int64_t t = first.number; t < end; t++) seen[first.song][t]++;
            of_song[first.song]++;
            inside += first.number % C != 0;
            low = MIN(low, first.shift);
            high = MAX(high, first.shift);
        }
        for (int song = 0; song < SONGS; song++)
            g_assert_cmpint(of_song[song], ==,
                            SONG_TABLE[song].split == SPLIT_TRAIN ? (SONG_TABLE[song].frames + C - 1) / C
                                                                  : 0);
    }
    for (int song = 0; song < SONGS; song++)
        for (int64_t t = 0; t < SONG_TABLE[song].frames && SONG_TABLE[song].split == SPLIT_TRAIN; t++)
            g_assert_cmpint(seen[song][t], >, 0);
    g_assert_cmpuint(inside, >, EPOCHS * 5);
    g_assert_cmpint(low, ==, -MARK);
    g_assert_cmpint(high, >=, 87 - SONG - 3);
    data_free(data);
}

/* Without random offsets chunks cover each frame of the train split once. */
static void test_grid(void) {
    data_t *data = load(C, 1, FALSE, 0, 0);
    int64_t next = 0, frames_of_all = 0;
    for (int64_t slot = 0; slot < data_samples(data); slot++) {
        size_t frames = 0;
        const spelled_t first = read_slot(data, 1, 0, slot, 0, &frames);
        g_assert_cmpint(first.number, ==, next);
        next = first.number + (int64_t)frames == SONG_TABLE[first.song].frames ? 0 : first.number + C;
        frames_of_all += (int64_t)frames;
    }
    g_assert_cmpint(frames_of_all, ==, split_frames(data, SPLIT_TRAIN));
    data_free(data);
}

/* Also where sequences lie in their songs, and whose meters these have. Two songs of 16 frames, pitch 40
 * but for the highest, 87, in the first frames: 8 of the first song, 4 of the second. Their second chunks
 * see the 4 frames before. */
static void test_context_clamps(void) {
    GError *error = NULL;
    shard_set_t head = {.n_shards = 1, .options = (char *)"", .grid = grid_default()};
    memset(head.corpus_id, 'b', 64);
    shard_song_t songs[2] = {{.frames = 16, .tempo_bpm = 120, .meter_numerator = 4, .meter_denominator = 4}};
    uint8_t bits[32 * ROLL_PLANES * STRIDE] = {0}, chunk[(CONTEXT + 8) * STRIDE];
    for (int t = 0; t < 32; t++) {
        for (int plane = 0; plane < ROLL_PLANES; plane++)
            spelled_set_bit(bits + (t * ROLL_PLANES + plane) * STRIDE,
                            t < 8 || (t >= 16 && t < 20) ? 87 : 40);
    }
    songs[1] = songs[0];
    songs[1].first_frame = 16;
    for (int i = 0; i < 2; i++) memset(songs[i].sha256, 'a' + i, 64);
    g_autofree char *own = g_dir_make_tmp("test_sequences.XXXXXX", &error);
    static const meter_change_t meters[] = {{0, 3, 4}, {6, 2, 4}};
    static const tempo_change_t tempo = {0, 120};
    timeline_t *timelines[] = {timeline_new(4, 120, (meter_t){0, 6, 8}),
                               timeline_from_rows(4, &tempo, 1, meters, 2)};
    g_assert_true(shard_write(own, &head, 0, songs, timelines, NULL, 2, bits, 32, 1, &error));
    for (int i = 0; i < 2; i++) timeline_free(timelines[i]);
    g_assert_no_error(error);
    data_t *data = load_from(own, &(data_config_t){.chunk = 8,
                                                   .align = 8,
                                                   .context = CONTEXT,
                                                   .planes = 1,
                                                   .transpose_low = 5,
                                                   .transpose_high = 5});
    g_assert_cmpint(data_samples(data), ==, 4);
    const meters_t first = data_piece_meters(data, SPLIT_TRAIN, 0),
                   second = data_piece_meters(data, SPLIT_TRAIN, 1);
    g_assert_true(first.steps_per_beat == 4 && first.n == 1 && first.rows[0].numerator == 6);
    g_assert_true(second.n == 2 && second.rows[1].frame == 6 && second.rows[1].numerator == 2);
    for (int64_t slot = 0; slot < 4; slot++) {
        int64_t start;
        size_t frames;
        g_assert_cmpuint(data_find_sequence(data, 0, slot, &start, &frames), ==, (size_t)slot / 2);
        g_assert_true(start == slot % 2 * 8 && frames == 8);
        data_sequence(data, 0, slot, 8, chunk, NULL);
        const uint8_t *last = chunk + (CONTEXT + 7) * STRIDE;
        g_assert_true(spelled_bit(last, slot == 0 ? 87 : slot == 3 ? 45 : 40));
    }
    data_free(data);
    g_autofree char *path = g_build_filename(own, "shard-00000-of-00001.h5", NULL);
    g_remove(path);
    g_rmdir(own);
}

/* Counted again from the pieces. */
static void test_log_odds(void) {
    for (size_t planes = 1; planes <= 2; planes++) {
        data_t *data = load(0, planes, FALSE, 0, 0);
        const size_t cells = 2 * planes * 88, frame_bytes = 2 * planes * STRIDE;
        g_autofree double *log_odds = g_new(double, cells), *counts = g_new0(double, cells);
        g_autofree uint8_t *bits = g_malloc((CONTEXT + T_MOST) * frame_bytes);
        double frames = 0;
        for (int64_t piece = 0; piece < data_pieces(data, SPLIT_TRAIN); piece++) {
            const size_t n = data_piece(data, SPLIT_TRAIN, piece, 0, T_MOST, bits, NULL);
            for (size_t t = CONTEXT; t < CONTEXT + n; t++)
                for (size_t i = 0; i < cells; i++)
                    counts[i] += spelled_bit(bits + t * frame_bytes + i / 88 * STRIDE, (int)(i % 88));
            frames += (double)n;
        }
        g_assert_true(data_log_odds(data, log_odds, NULL));
        for (size_t i = 0; i < cells; i++) {
            const double p = (counts[i] + 0.5) / (frames + 1);
            g_assert_cmpfloat_with_epsilon(log_odds[i], log(p / (1 - p)), 1e-9);
        }
        g_assert_cmpfloat(counts[MARK], ==, frames);
        data_free(data);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    folder = spelled_write_corpus(SONG_TABLE, SONGS);
    g_test_add_func("/sequences/pieces", test_pieces);
    g_test_add_func("/sequences/whole", test_whole);
    g_test_add_func("/sequences/chunks", test_chunks);
    g_test_add_func("/sequences/grid", test_grid);
    g_test_add_func("/sequences/context", test_context_clamps);
    g_test_add_func("/sequences/log odds", test_log_odds);
    int status = g_test_run();
    spelled_remove_corpus(folder);
    comm_finalize();
    return status;
}
