/* spelled: a corpus for tests in which each frame spells its own number, so that every sample tells where it
 * came from: pitch 29 always sounds in the melody, pitches 30..45 are the bits of the frame's number in its
 * song, 46..49 those of the song; the drums repeat the first bits at 30..45. Song 4 also has notes at both
 * edges of the roll: it cannot be transposed at all. */
#pragma once

#include <glib/gstdio.h>
#include <string.h>

#include "trainer/data/data.h"

enum {
    MARK = 29,
    NUMBER = 30,
    SONG = 46,
    WIDE_SONG = 4,
    MELODY = 0,
    DRUMS = 1,
    STRIDE = 11,
    SPELLED_SHARDS = 2,
    SPELLED_MOST = 16
};

typedef struct {
    int64_t frames;
    split_t split;
    double tempo;
    uint8_t numerator;
} spelled_song_t;

/* What a frame spells. shift: by how many semitones the melody was transposed. */
typedef struct {
    int64_t number;
    int song, shift;
} spelled_t;

static inline void spelled_set_bit(uint8_t *plane, int p) {
    plane[p / 8] = (uint8_t)(plane[p / 8] | 1U << (p % 8));
}

static inline void spelled_write_frame(uint8_t *frame, int64_t number, int song) {
    for (int plane = 0; plane < ROLL_PLANES; plane++) {
        uint8_t *melody = frame + (MELODY * ROLL_PLANES + plane) * STRIDE,
                *drums = frame + (DRUMS * ROLL_PLANES + plane) * STRIDE;
        spelled_set_bit(melody, MARK);
        spelled_set_bit(drums, MARK);
        for (int b = 0; b < 16; b++) {
            if (!(number >> b & 1)) continue;
            spelled_set_bit(melody, NUMBER + b);
            spelled_set_bit(drums, NUMBER + b);
        }
        for (int b = 0; b < 4; b++)
            if (song >> b & 1) spelled_set_bit(melody, SONG + b);
        if (song == WIDE_SONG) {
            spelled_set_bit(melody, 0);
            spelled_set_bit(melody, 87);
        }
    }
}

/* Writes the songs [n], n <= SPELLED_MOST, to a new folder of two shards, the first three in the first.
 * Owner: caller, spelled_remove_corpus(). */
static inline char *spelled_write_corpus(const spelled_song_t *table, size_t n) {
    GError *error = NULL;
    shard_set_t head = {.n_shards = SPELLED_SHARDS, .options = (char *)"spelled", .grid = grid_default()};
    g_assert_true(grid_set_tracks(&head.grid, "melody,drums", &error));
    memset(head.corpus_id, 'a', 64);
    char *folder = g_dir_make_tmp("spelled.XXXXXX", &error);
    g_assert_no_error(error);
    for (size_t shard = 0, first = 0; shard < SPELLED_SHARDS; shard++) {
        const size_t count = shard == 0 ? 3 : n - 3;
        int64_t frames = 0;
        shard_song_t songs[SPELLED_MOST] = {0};
        for (size_t i = 0; i < count; i++) {
            songs[i] = (shard_song_t){.first_frame = frames,
                                      .frames = table[first + i].frames,
                                      .tempo_bpm = table[first + i].tempo,
                                      .meter_numerator = table[first + i].numerator,
                                      .meter_denominator = 4,
                                      .split = (uint8_t)table[first + i].split};
            memset(songs[i].sha256, '0' + (int)(first + i), 64);
            g_snprintf(songs[i].path, sizeof songs[i].path, "song-%zu.mid", first + i);
            frames += songs[i].frames;
        }
        const size_t frame_bytes = grid_frame_bytes(&head.grid);
        g_autofree uint8_t *bits = g_malloc0((size_t)frames * frame_bytes);
        for (size_t i = 0; i < count; i++)
            for (int64_t f = 0; f < songs[i].frames; f++)
                spelled_write_frame(bits + (size_t)(songs[i].first_frame + f) * frame_bytes, f,
                                    (int)(first + i));
        g_assert_true(shard_write(folder, &head, shard, songs, NULL, NULL, count, bits, frames, 1, &error));
        g_assert_no_error(error);
        first += count;
    }
    return folder;
}

static inline void spelled_remove_corpus(char *folder) {
    for (int i = 0; i < SPELLED_SHARDS; i++) {
        g_autofree char *path = g_strdup_printf("%s/shard-%05d-of-%05d.h5", folder, i, SPELLED_SHARDS);
        g_remove(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

static inline gboolean spelled_bit(const uint8_t *plane, int p) {
    return p >= 0 && p < 88 && (plane[p / 8] >> (p % 8) & 1);
}

/* Reads a sample's frame of `planes` planes; asserts that it is one of the corpus, transposed, with no bit
 * lost. */
static inline spelled_t spelled_read_frame(const uint8_t *frame, size_t planes) {
    const uint8_t *melody = frame + MELODY * planes * STRIDE, *drums = frame + DRUMS * planes * STRIDE;
    spelled_t spelled = {0};
    g_assert_true(spelled_bit(drums, MARK)); /* never moved */
    for (int b = 0; b < 16; b++) spelled.number |= (int64_t)spelled_bit(drums, NUMBER + b) << b;
    int lowest = 0;
    while (!spelled_bit(melody, lowest)) lowest++;
    spelled.shift = lowest == 0 && spelled_bit(melody, 87) ? 0 : lowest - MARK;
    for (int b = 0; b < 16; b++)
        g_assert_cmpint(spelled_bit(melody, NUMBER + b + spelled.shift), ==, spelled.number >> b & 1);
    for (int b = 0; b < 4; b++) spelled.song |= spelled_bit(melody, SONG + b + spelled.shift) << b;
    if (planes == 2) { /* the onset plane says the same */
        g_assert_cmpint(memcmp(melody, melody + STRIDE, STRIDE), ==, 0);
        g_assert_cmpint(memcmp(drums, drums + STRIDE, STRIDE), ==, 0);
    }
    return spelled;
}

static inline int64_t split_frames(const data_t *data, split_t split) {
    int64_t frames = 0;
    for (int64_t piece = 0; piece < data_pieces(data, split); piece++)
        frames += data_piece_frames(data, split, piece);
    return frames;
}
