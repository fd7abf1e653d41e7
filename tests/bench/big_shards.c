/* big_shards FOLDER GB: writes a corpus of so many GB of frames, counted as floats (cells times 4 bytes), to
 * a new folder: chords of one to six notes that change every few frames and now and then rest, songs of 64 to
 * 192 bars, of which about a tenth each are for validation and test. The same call gives the same bytes. What
 * `make bench-streaming` trains on. Not a test. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/shard/shard.h"

enum { SHARD_FRAMES = 1 << 20, SONG_LEAST = 1024, SONG_MOST = 3072, VOICES = 6 };

typedef struct {
    int pitch, left; /* semitones above the lowest; frames that it still sounds, or rests where pitch is -1 */
} voice_t;

static void set_bit(uint8_t *plane, int pitch) {
    plane[pitch / 8] = (uint8_t)(plane[pitch / 8] | 1U << (pitch % 8));
}

/* frames of `stride` bytes a plane, zero so far. Voices keep an octave each, so that no two share a key. */
static void play(GRand *random, uint8_t *bits, int64_t frames, size_t stride) {
    voice_t voices[VOICES];
    for (int v = 0; v < VOICES; v++) voices[v] = (voice_t){.pitch = -1, .left = v};
    for (int64_t t = 0; t < frames; t++) {
        uint8_t *sounding = bits + (size_t)t * ROLL_PLANES * stride, *onset = sounding + stride;
        for (int v = 0; v < VOICES; v++) {
            const gboolean begins = voices[v].left-- == 0;
            if (begins) {
                const guint32 draw = g_rand_int(random);
                voices[v] = (voice_t){.pitch = draw % 3 == 0 ? -1 : 12 + 12 * v + (int)(draw >> 8) % 12,
                                      .left = (int)(draw >> 16) % 12};
            }
            if (voices[v].pitch < 0) continue;
            set_bit(sounding, voices[v].pitch);
            if (begins) set_bit(onset, voices[v].pitch);
        }
    }
}

/* Draws the songs of a shard, from song `first` on; returns how many. */
static size_t draw_songs(GRand *random, size_t first, int64_t frames, shard_song_t *songs) {
    size_t n = 0;
    for (int64_t at = 0; at < frames; n++) {
        const int64_t drawn = g_rand_int_range(random, SONG_LEAST, SONG_MOST),
                      length = MIN(drawn, frames - at);
        const guint32 split = g_rand_int(random) % 10;
        songs[n] = (shard_song_t){.first_frame = at,
                                  .frames = length,
                                  .tempo_bpm = 120,
                                  .meter_numerator = 4,
                                  .meter_denominator = 4};
        songs[n].split = split == 0 ? SPLIT_VALID : split == 1 ? SPLIT_TEST : SPLIT_TRAIN;
        g_snprintf(songs[n].sha256, sizeof songs[n].sha256, "%064zx", first + n);
        g_snprintf(songs[n].path, sizeof songs[n].path, "song-%06zu.mid", first + n);
        at += length;
    }
    return n;
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    shard_set_t head = {.grid = grid_default(), .options = (char *)"big_shards"};
    const double gb = argc == 3 ? strtod(argv[2], NULL) : 0, cells = (double)ROLL_PLANES * head.grid.pitches;
    if (gb <= 0 || g_mkdir_with_parents(argv[1], 0777) != 0)
        return fprintf(stderr, "usage: big_shards FOLDER GB\n"), 2;
    const size_t frame_bytes = grid_frame_bytes(&head.grid);
    const int64_t frames = (int64_t)(gb * 1e9 / (cells * sizeof(float))) + 1;
    head.n_shards = (size_t)((frames + SHARD_FRAMES - 1) / SHARD_FRAMES);
    g_snprintf(head.corpus_id, sizeof head.corpus_id, "%064" PRIx64, (uint64_t)frames);
    g_autofree uint8_t *bits = g_malloc((size_t)SHARD_FRAMES * frame_bytes);
    g_autofree shard_song_t *songs = g_new0(shard_song_t, SHARD_FRAMES / SONG_LEAST + 1);
    GRand *random = g_rand_new_with_seed(1);
    size_t n_songs = 0;
    for (size_t shard = 0; shard < head.n_shards && !error; shard++) {
        const int64_t here = MIN(SHARD_FRAMES, frames - (int64_t)shard * SHARD_FRAMES);
        const size_t n = draw_songs(random, n_songs, here, songs);
        memset(bits, 0, (size_t)here * frame_bytes);
        for (size_t i = 0; i < n; i++)
            play(random, bits + (size_t)songs[i].first_frame * frame_bytes, songs[i].frames,
                 frame_bytes / ROLL_PLANES);
        shard_write(argv[1], &head, shard, songs, NULL, NULL, n, bits, here, 2, &error);
        n_songs += n;
    }
    g_rand_free(random);
    if (error) return fprintf(stderr, "big_shards: %s\n", error->message), 1;
    printf("%zu songs, %" PRId64 " frames: %.1f GB as floats, %.0f MiB packed\n", n_songs, frames,
           (double)frames * cells * sizeof(float) / 1e9, (double)frames * (double)frame_bytes / 1048576);
    return 0;
}
