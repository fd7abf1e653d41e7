/* shard_corpus: a corpus for tests of the shard format: three files of four songs, whose bytes depend on
 * their place. */
#pragma once

#include <glib/gstdio.h>
#include <string.h>

#include "preprocess/shard/shard.h"

enum { SHARDS = 3, SONGS_EACH = 4, SONGS = SHARDS * SONGS_EACH };
static int pitches = 88; /* of the corpora made */

static inline shard_set_t make_head(const char *tracks, char id) {
    shard_set_t head = {
        .grid = grid_default(), .options = (char *)"--fold-octaves \"é\"", .n_shards = SHARDS};
    head.grid.pitches = pitches;
    g_assert_true(grid_set_tracks(&head.grid, tracks, NULL));
    memset(head.corpus_id, id, 64);
    return head;
}

static inline int64_t song_frames(size_t song) { return (int64_t)(3 + 37 * song); }

static inline shard_song_t make_song(size_t song, int64_t first_frame) {
    shard_song_t row = {.first_frame = first_frame,
                        .frames = song_frames(song),
                        .tempo_bpm = 60.5 + (double)song,
                        .split = (uint8_t)(song % SPLIT_COUNT)};
    row.meter_numerator = (uint8_t)(2 + song % 5);
    row.meter_denominator = 8;
    memset(row.sha256, "0123456789abcdef"[song % 16], 64);
    g_snprintf(row.path, sizeof row.path, "folder/sång %zu.mid", song);
    return row;
}

/* Song i has i % 4 tempi and i % 3 meters beside its main ones, where it is long enough for them. */
static inline timeline_t *make_timeline(size_t song) {
    tempo_change_t tempi[4] = {{0, 60.5 + (double)song}};
    meter_change_t meters[3] = {{0, (uint8_t)(2 + song % 5), 8}};
    size_t n_tempi = 1, n_meters = 1;
    for (size_t i = 0; i < song % 4; i++)
        tempi[n_tempi++] = (tempo_change_t){(int64_t)(i + 1), 100.25 + (double)(i + song)};
    for (size_t i = 0; i < song % 3; i++)
        meters[n_meters++] = (meter_change_t){(int64_t)(2 * i + 2), (uint8_t)(100 + i + song), 16};
    return timeline_from_rows(4, tempi, n_tempi, meters, n_meters);
}

/* A byte that depends on its place in the corpus, so that no two parts can be exchanged unseen. */
static inline uint8_t byte_at(size_t i) { return (uint8_t)(i * 2654435761U >> 13); }

/* Likewise, of the onsets of a shard. */
static inline played_t played_at(size_t shard, size_t i) {
    const size_t hash = (i + 1000 * shard) * 2654435761U >> 9;
    return (played_t){(uint8_t)(1 + hash % 127), (int8_t)(hash >> 8)};
}

static inline void write_shard(const char *folder, const shard_set_t *head, size_t shard) {
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
    const size_t onsets = roll_count_onsets(bits, (size_t)frames, &head->grid);
    g_autofree played_t *played = g_new(played_t, onsets);
    for (size_t i = 0; i < onsets; i++) played[i] = played_at(shard, i);
    shard_write(folder, head, shard, songs, (timeline_t *const *)timelines->pdata, played, SONGS_EACH, bits,
                frames, 1, &error);
    g_assert_no_error(error);
}

/* A fresh folder with a whole corpus in it; owner: caller. */
static inline char *make_corpus(const char *tracks) {
    char *folder = g_dir_make_tmp("test_shard.XXXXXX", NULL);
    shard_set_t head = make_head(tracks, 'a');
    for (size_t i = 0; i < SHARDS; i++) write_shard(folder, &head, i);
    return folder;
}

static inline char *shard_name(const char *folder, size_t shard) {
    return g_strdup_printf("%s/shard-%05zu-of-%05d.h5", folder, shard, SHARDS);
}

static inline void remove_folder(char *folder) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_remove(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

static inline void assert_same_grid(const grid_t *grid, const grid_t *wanted) {
    g_assert_cmpint(grid->steps_per_beat, ==, wanted->steps_per_beat);
    g_assert_cmpint(grid->pitch_low, ==, wanted->pitch_low);
    g_assert_cmpint(grid->pitches, ==, wanted->pitches);
    g_assert_cmpint(grid->fold_octaves, ==, wanted->fold_octaves);
    g_assert_cmpint(grid->sustain_pedal, ==, wanted->sustain_pedal);
    g_assert_cmpint(grid->n_tracks, ==, wanted->n_tracks);
    g_assert_true(memcmp(grid->roles, wanted->roles, sizeof(role_t) * (size_t)wanted->n_tracks) == 0);
}

static inline void assert_same_timeline(const timeline_t *timeline, const timeline_t *wanted) {
    g_assert_cmpint(timeline->steps_per_beat, ==, wanted->steps_per_beat);
    g_assert_cmpuint(timeline->tempi->len, ==, wanted->tempi->len);
    for (guint i = 0; i < wanted->tempi->len; i++) {
        const tempo_change_t *tempo = &g_array_index(timeline->tempi, tempo_change_t, i),
                             *other = &g_array_index(wanted->tempi, tempo_change_t, i);
        g_assert_cmpint(tempo->frame, ==, other->frame);
        g_assert_cmpfloat(tempo->bpm, ==, other->bpm);
    }
    g_assert_cmpuint(timeline->meters->len, ==, wanted->meters->len);
    for (guint i = 0; i < wanted->meters->len; i++) {
        const meter_change_t *meter = &g_array_index(timeline->meters, meter_change_t, i),
                             *other = &g_array_index(wanted->meters, meter_change_t, i);
        g_assert_cmpint(meter->frame, ==, other->frame);
        g_assert_cmpint(meter->numerator, ==, other->numerator);
        g_assert_cmpint(meter->denominator, ==, other->denominator);
    }
}
