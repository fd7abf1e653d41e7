/* result: owns what is written: names, text events, the order MIDI, picture, sound. Files appear whole or
 * not at all; an existing file of the same name is replaced. */
#include "sampler/make/result.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "preprocess/common/option.h"
#include "preprocess/common/program.h"
#include "preprocess/midi/midi.h"

gboolean result_make_folder(const result_writer_t *writer, GError **error) {
    const char *folder = writer->folder;
    if (g_mkdir_with_parents(folder, 0777) == 0 && g_access(folder, W_OK) == 0) return TRUE;
    return file_fail(error, folder, "write to this folder", "give another --output");
}

gboolean result_sync(const result_writer_t *writer, GError **error) {
    return file_sync_all((char *const *)writer->written->pdata, writer->written->len, "give another --output",
                         error);
}

static char *path_of(const result_writer_t *writer, const char *name, const char *ending) {
    g_autofree char *file = g_strconcat(name, ending, NULL);
    return g_build_filename(writer->folder, file, NULL);
}

/* Prints the path of a file once it is written, so that it is known even where a later file fails. */
static gboolean print_path(const char *path, GError **error) {
    if (puts(path) >= 0 && fflush(stdout) == 0) return TRUE;
    return program_fail(error, "standard output: cannot print the path %s: %s", path, g_strerror(errno));
}

static void add_written(const result_writer_t *writer, const char *path) {
    g_ptr_array_add(writer->written, g_strdup(path));
}

char *result_save_picture(const result_writer_t *writer, const char *name, GBytes *picture, GError **error) {
    if (!picture) return NULL;
    g_autofree char *path = path_of(writer, name, writer->picture == PICTURE_SVG ? ".svg" : ".png");
    g_autoptr(GBytes) owned = picture;
    if (file_replace_unsynced(path, g_bytes_get_data(owned, NULL), g_bytes_get_size(owned))) {
        add_written(writer, path);
        return g_steal_pointer(&path);
    }
    file_fail(error, path, "write", "make room or give another --output");
    return NULL;
}

gboolean result_write_picture(const result_writer_t *writer, const char *name, GBytes *picture,
                              GError **error) {
    g_autofree char *path = result_save_picture(writer, name, picture, error);
    return path && print_path(path, error);
}

static const char *const sound_endings[] = {
    [AUDIO_NONE] = "", [AUDIO_WAV] = ".wav", [AUDIO_FLAC] = ".flac", [AUDIO_OGG] = ".ogg"};

/* Refuses to replace a song: a step of an earlier interpolation may be a song of the next, whose steps have
 * the same names. */
static gboolean spare_songs(const result_writer_t *writer, const char *path, GError **error) {
    GStatBuf target, song;
    if (g_stat(path, &target) != 0) return TRUE;
    for (char *const *each = writer->songs; each && *each; each++)
        if (g_stat(*each, &song) == 0 && song.st_dev == target.st_dev && song.st_ino == target.st_ino)
            return option_fail(error, "%s: would be replaced, but it is a song given; give another --output",
                               path);
    return TRUE;
}

char *result_meters_text(const timeline_t *timeline) {
    enum { MOST = 4 };
    g_autoptr(GPtrArray) meters = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < timeline->meters->len && meters->len <= MOST; i++) {
        const meter_change_t *meter = &g_array_index(timeline->meters, meter_change_t, i);
        g_autofree char *text = g_strdup_printf("%d/%d", meter->numerator, meter->denominator);
        if (!g_ptr_array_find_with_equal_func(meters, text, g_str_equal, NULL))
            g_ptr_array_add(meters, g_steal_pointer(&text));
    }
    GString *list = g_string_new(meters->pdata[0]);
    for (guint i = 1; i < MIN(meters->len, MOST); i++)
        g_string_append_printf(list, ", %s", (const char *)meters->pdata[i]);
    if (meters->len > MOST) g_string_append(list, " and others");
    return g_string_free(list, FALSE);
}

/* "120 bpm", or "60 to 120 bpm". Owner: caller. */
static char *tempi_text(const timeline_t *timeline) {
    double slowest = INFINITY, fastest = 0;
    for (guint i = 0; i < timeline->tempi->len; i++) {
        const double bpm = g_array_index(timeline->tempi, tempo_change_t, i).bpm;
        slowest = fmin(slowest, bpm);
        fastest = fmax(fastest, bpm);
    }
    return slowest < fastest ? g_strdup_printf("%.4g to %.4g bpm", slowest, fastest)
                             : g_strdup_printf("%.4g bpm", slowest);
}

static void say_piece(const result_writer_t *writer, const char *midi, size_t notes, size_t frames,
                      const timeline_t *timeline) {
    const double bars = timeline_bar_at(timeline, (double)frames);
    g_autofree char *meters = result_meters_text(timeline), *tempi = tempi_text(timeline);
    if (notes == 0)
        program_say("warning: %s has no notes: %s\n", midi, writer->silence);
    else if (!writer->quiet)
        program_say("%s: %zu %s, %.4g %s of %s, %s\n", midi, notes, g_dngettext(NULL, "note", "notes", notes),
                    bars, bars == 1 ? "bar" : "bars", meters, tempi);
}

/* Writes the MIDI file and the sound. */
static gboolean write_music(const result_writer_t *writer, const char *name, const char *title,
                            const roll_t *roll, const played_t *played, const timeline_t *timeline,
                            const GPtrArray *texts, GError **error) {
    g_autofree char *midi = path_of(writer, name, ".mid"),
                    *sound = path_of(writer, name, sound_endings[writer->audio]);
    g_autoptr(song_t) song = roll_to_song(roll, writer->grid, timeline);
    for (guint i = 0; writer->programs && i < song->notes->len; i++) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        if (note->channel != MIDI_DRUM_CHANNEL) note->program = writer->programs[note->track];
    }
    if (played) played_to_song(played, writer->perform, writer->grid->steps_per_beat, song);
    for (guint i = 0; i < texts->len; i++) g_ptr_array_add(song->texts, g_strdup(texts->pdata[i]));
    if (!spare_songs(writer, midi, error) || !midi_write(song, midi, error)) return FALSE;
    add_written(writer, midi);
    if (!print_path(midi, error)) return FALSE;
    say_piece(writer, midi, song->notes->len, roll->frames, timeline);
    if (!writer->soundfont) return TRUE;
    const double seconds = timeline_seconds(timeline, (int64_t)roll->frames);
    if (!audio_render(midi, writer->soundfont, seconds, title, writer->audio, sound, error)) return FALSE;
    add_written(writer, sound);
    return print_path(sound, error);
}

gboolean result_write(const result_writer_t *writer, const char *name, const char *title, const roll_t *roll,
                      const played_t *played, const timeline_t *timeline, const GPtrArray *texts,
                      GError **error) {
    g_autoptr(timeline_t) own = timeline_slice(timeline, 0, (int64_t)roll->frames);
    if (!write_music(writer, name, title, roll, played, own, texts, error)) return FALSE;
    return !writer->picture ||
           result_write_picture(
               writer, name,
               picture_roll(roll, writer->given, writer->grid, own, title, writer->picture, error), error);
}

/* Rolls end to end, each beginning with a bar, at a multiple of `frames`. */
static roll_t *join_rolls(roll_t *const *rolls, size_t n, size_t frames) {
    roll_t *whole = roll_new(n * frames, rolls[0]->tracks, rolls[0]->pitches);
    for (size_t i = 0; i < n; i++) roll_copy(rolls[i], 0, rolls[i]->frames, whole, i * frames);
    roll_make_canonical(whole);
    return whole;
}

gboolean result_write_sheet(const result_writer_t *writer, const char *name, const char *title,
                            roll_t *const *rolls, char *const *labels, size_t n, const timeline_t *timeline,
                            const GPtrArray *texts, result_player_t player, void *data, GError **error) {
    const size_t frames = timeline_frames_of(timeline, timeline_bars_of(timeline, rolls[0]->frames));
    g_autoptr(roll_t) whole = join_rolls(rolls, n, frames);
    g_autoptr(timeline_t) own = timeline_slice(timeline, 0, (int64_t)rolls[0]->frames),
                          all = timeline_slice(own, 0, (int64_t)frames);
    for (size_t i = 1; i < n; i++) timeline_append(all, (int64_t)(i * frames), own);
    g_autofree played_t *played = player ? player(data, whole, timeline_meters(all, whole->frames)) : NULL;
    if (!write_music(writer, name, title, whole, played, all, texts, error)) return FALSE;
    return !writer->picture ||
           result_write_picture(
               writer, name,
               picture_sheet(rolls, labels, n, writer->grid, timeline, title, writer->picture, error), error);
}
