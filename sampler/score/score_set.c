/* score_set: owns reading what is scored. Refuses a command that leaves nothing to score; single files that
 * cannot be used are told and left out. */
#include "sampler/score/score_set.h"

#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/corpus/find.h"
#include "preprocess/corpus/song_file.h"

score_set_t *score_set_read(char *const *inputs, const grid_t *grid, GError **error) {
    g_autoptr(found_list_t) files = find_files(inputs, NULL, error);
    if (!files) return NULL;
    g_autoptr(score_set_t) set = g_new0(score_set_t, 1);
    set->grid = *grid;
    set->pieces = g_new0(score_piece_t, files->n);
    for (size_t i = 0; i < files->n; i++) {
        const found_t *file = &files->files[i];
        g_autoptr(GError) cause = NULL;
        score_piece_t *piece = &set->pieces[set->n];
        song_file_t entry;
        piece->roll = song_file_read_roll(file->path, grid, &entry, &piece->timeline, NULL, &cause);
        if (!piece->roll) {
            program_say("warning: %s; left out\n", cause->message);
            set->skipped++;
            continue;
        }
        piece->name = g_filename_display_name(file->path);
        piece->tempo_bpm = entry.tempo_bpm;
        piece->meter = entry.meter;
        set->n++;
    }
    if (set->n > 0) return g_steal_pointer(&set);
    program_fail(error, "%s: no file can be scored: the warnings above say why; give MIDI files with notes",
                 inputs[0]);
    return NULL;
}

score_set_t *score_set_open(const char *folder, split_t split, GError **error) {
    g_autoptr(shard_set_t) shards = shard_set_open(folder, error);
    if (!shards) return NULL;
    const size_t frame_bytes = grid_frame_bytes(&shards->grid);
    g_autofree uint8_t *bits = g_try_malloc((size_t)shards->frames * frame_bytes);
    if (!bits) {
        program_fail(error, "%s: not enough memory for %" G_GINT64_FORMAT " frames; use a machine with more",
                     folder, shards->frames);
        return NULL;
    }
    if (!shard_set_read(shards, bits, error)) return NULL;
    score_set_t *set = g_new0(score_set_t, 1);
    set->grid = shards->grid;
    set->pieces = g_new0(score_piece_t, shards->n_songs);
    for (size_t i = 0; i < shards->n_songs; i++) {
        const shard_song_t *song = &shards->songs[i];
        if (song->split != split) continue;
        score_piece_t *piece = &set->pieces[set->n++];
        piece->name = g_strdup(song->path);
        piece->meter = (meter_t){.numerator = song->meter_numerator, .denominator = song->meter_denominator};
        piece->tempo_bpm = song->tempo_bpm;
        piece->timeline = shard_set_timeline(shards, i);
        piece->roll = roll_new((size_t)song->frames, (size_t)set->grid.n_tracks, (size_t)set->grid.pitches);
        memcpy(piece->roll->bits, bits + (size_t)song->first_frame * frame_bytes,
               (size_t)song->frames * frame_bytes);
    }
    return set;
}

void score_set_free(score_set_t *set) {
    if (!set) return;
    for (size_t i = 0; i < set->n; i++) {
        g_free(set->pieces[i].name);
        roll_free(set->pieces[i].roll);
        timeline_free(set->pieces[i].timeline);
    }
    g_free(set->pieces);
    g_free(set);
}

void score_set_use_meter(score_set_t *set, meter_t meter) {
    for (size_t i = 0; i < set->n; i++) {
        set->pieces[i].meter = meter;
        timeline_set_meter(set->pieces[i].timeline, meter);
    }
}
