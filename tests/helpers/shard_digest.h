/* shard_digest: all that a folder of shards says, as one hash. */
#pragma once

#include "preprocess/shard/shard.h"

/* Everything that can be read of a folder of shards, as a SHA-256; NULL with error set. Owner: caller. */
static inline char *shard_digest(const char *folder, GError **error) {
    g_autoptr(shard_set_t) set = shard_set_open(folder, error);
    if (!set) return NULL;
    const size_t bytes = (size_t)set->frames * grid_frame_bytes(&set->grid);
    g_autofree uint8_t *bits = g_malloc(bytes);
    if (!shard_set_read(set, bits, error)) return NULL;
    g_autofree played_t *played = set->played ? g_new(played_t, set->onsets) : NULL;
    if (set->played && !shard_set_read_played(set, 0, set->n_songs, played, error)) return NULL;
    g_autofree char *tracks = grid_tracks_string(&set->grid);
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "%s %d %d %d %d %d %s %s %zu %zu\n", tracks, set->grid.steps_per_beat,
                           set->grid.pitch_low, set->grid.pitches, set->grid.fold_octaves,
                           set->grid.sustain_pedal, set->corpus_id, set->options, set->n_shards,
                           set->n_songs);
    for (size_t i = 0; i < set->n_songs; i++) {
        const shard_song_t *song = &set->songs[i];
        g_autoptr(timeline_t) timeline = shard_set_timeline(set, i);
        g_string_append_printf(text, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %a %d/%d %d %s %s %u\n",
                               song->first_frame, song->frames, song->tempo_bpm, song->meter_numerator,
                               song->meter_denominator, song->split, song->sha256, song->path, song->crc32);
        for (guint t = 0; t < timeline->tempi->len; t++) {
            const tempo_change_t *tempo = &g_array_index(timeline->tempi, tempo_change_t, t);
            g_string_append_printf(text, " %" G_GINT64_FORMAT " %a", tempo->frame, tempo->bpm);
        }
        for (guint m = 0; m < timeline->meters->len; m++) {
            const meter_change_t *meter = &g_array_index(timeline->meters, meter_change_t, m);
            g_string_append_printf(text, " %" G_GINT64_FORMAT " %d/%d", meter->frame, meter->numerator,
                                   meter->denominator);
        }
    }
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)text->str, (gssize)text->len);
    g_checksum_update(sum, bits, (gssize)bytes);
    if (played) g_checksum_update(sum, (const guchar *)played, (gssize)set->onsets * (gssize)sizeof *played);
    return g_strdup(g_checksum_get_string(sum));
}
