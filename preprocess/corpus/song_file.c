/* song_file: owns one input file's way from bytes to roll inside a worker, its result's way out, and the
 * hashes that tell duplicates. Refuses files that are too large to be music. */
#include "preprocess/corpus/song_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "preprocess/common/hash.h"
#include "preprocess/common/program.h"

enum { MAX_FILE_BYTES = 64 << 20 };

/* The limits of song_file_read_roll(). */
static const worker_limits_t single_limits = {.timeout_s = 60, .memory_bytes = (size_t)2 << 30};

static void drop(song_file_t *parsed, const char *reason) {
    g_autofree char *text = g_utf8_make_valid(reason, -1);
    const char *end = NULL;
    parsed->kept = FALSE;
    g_strlcpy(parsed->reason, text, SONG_FILE_REASON_BYTES);
    g_utf8_validate(parsed->reason, -1, &end); /* the cut may go through a character */
    parsed->reason[end - parsed->reason] = '\0';
}

static size_t bytes_of(const roll_t *roll) { return roll->frames * roll_frame_bytes(roll); }

/* SHA-256 of a roll's size and bits. */
static void hash_roll(const roll_t *roll, const uint8_t *bits, char *hex) {
    const guint64 size[3] = {GUINT64_TO_LE(roll->frames), GUINT64_TO_LE(roll->tracks),
                             GUINT64_TO_LE(roll->pitches)};
    hash_sha256(size, sizeof size, bits, bytes_of(roll), hex);
}

/* Moves planes down by `by` bits, which must be clear at the bottom of each: then all planes can move as one
 * row of bits, since nothing falls from one into the one before it. */
static void move_down(const uint8_t *from, uint8_t *to, size_t bytes, size_t by) {
    const size_t whole = by / 8, part = by % 8;
    for (size_t i = 0; i + whole + 1 < bytes; i++)
        to[i] = (uint8_t)(from[i + whole] >> part | from[i + whole + 1] << (8 - part));
    to[bytes - whole - 1] = (uint8_t)(from[bytes - 1] >> part);
    memset(to + bytes - whole, 0, whole);
}

/* The hash of the roll transposed as low as it goes; drums stay. */
static void hash_shape(const roll_t *roll, const grid_t *grid, char *hex) {
    const size_t track_bytes = ROLL_PLANES * roll->stride;
    int lowest = 0, highest = 0;
    gboolean drums = FALSE;
    if (!roll_pitch_range(roll->bits, roll->frames, grid, &lowest, &highest)) lowest = 0;
    for (int track = 0; track < grid->n_tracks; track++) drums |= grid->roles[track] == ROLE_DRUMS;
    g_autofree uint8_t *shifted = g_malloc(bytes_of(roll));
    for (size_t at = 0, step = drums ? track_bytes : bytes_of(roll); at < bytes_of(roll); at += step) {
        if (grid->roles[at / track_bytes % roll->tracks] == ROLE_DRUMS)
            memcpy(shifted + at, roll->bits + at, step);
        else
            move_down(roll->bits + at, shifted + at, step, (size_t)lowest);
    }
    hash_roll(roll, shifted, hex);
}

static void count_notes(const roll_t *roll, size_t *notes) {
    for (size_t frame = 0; frame < roll->frames; frame++)
        for (size_t track = 0; track < roll->tracks; track++)
            notes[track] += roll_count_bits(roll_plane(roll, frame, track, PLANE_ONSET), roll->stride);
}

/* A GByteArray can hold the music of the longest song, of all roles, with changes in each frame. A note takes
 * more bytes in a file than its played_t. */
G_STATIC_ASSERT(ROLL_MAX_FRAMES *(guint64)((ROLE_COUNT - 1) * ROLL_PLANES * 16 + sizeof(tempo_change_t) +
                                           sizeof(meter_change_t)) +
                    MAX_FILE_BYTES <=
                G_MAXUINT);

/* The music of a kept file: the rows of its timeline, the roll's bytes, and how it was played. */
static void append_music(GByteArray *music, const timeline_t *timeline, const roll_t *roll,
                         const GArray *played) {
    const GArray *tempi = timeline->tempi, *meters = timeline->meters;
    g_byte_array_append(music, (const guint8 *)tempi->data, tempi->len * (guint)sizeof(tempo_change_t));
    g_byte_array_append(music, (const guint8 *)meters->data, meters->len * (guint)sizeof(meter_change_t));
    g_byte_array_append(music, roll->bits, (guint)bytes_of(roll));
    g_byte_array_append(music, (const guint8 *)played->data, played->len * (guint)sizeof(played_t));
}

/* Lays a file's bytes on the grid: fills in what was parsed and, where it is kept, its music. */
static void lay_out(const char *bytes, gsize length, const layout_t *layout, song_file_t *parsed,
                    GByteArray *music) {
    const grid_t *grid = &layout->grid;
    g_autoptr(GError) error = NULL;
    hash_sha256(NULL, 0, bytes, length, parsed->sha256);
    g_autoptr(song_t) song = midi_parse(bytes, length, &error);
    if (!song) return drop(parsed, error->message);
    if (layout->meter.numerator != 0) {
        g_array_set_size(song->meters, 0);
        g_array_append_val(song->meters, layout->meter);
    }
    parsed->reading = song->reading;
    g_autoptr(GArray) played = g_array_new(FALSE, FALSE, sizeof(played_t));
    g_autoptr(roll_t) roll = roll_from_song(song, grid, &layout->cut, &parsed->counts, played, &error);
    parsed->tempo_bpm = song_main_tempo(song);
    parsed->meter = song_main_meter(song);
    if (!roll) return drop(parsed, error->message);
    g_autoptr(timeline_t) timeline = timeline_from_song(song, grid->steps_per_beat, (int64_t)roll->frames);
    parsed->kept = TRUE;
    parsed->frames = (int64_t)roll->frames;
    count_notes(roll, parsed->notes);
    played_add(&parsed->played, (const played_t *)played->data, played->len);
    hash_roll(roll, roll->bits, parsed->content);
    hash_shape(roll, grid, parsed->shape);
    parsed->tempi = timeline->tempi->len;
    parsed->meters = timeline->meters->len;
    append_music(music, timeline, roll, played);
}

/* Runs in the worker. The result is the song_file_t, then the music. */
static gboolean read_in_worker(gpointer data, const char *path, GByteArray *out, GError **error) {
    song_file_t parsed = {0};
    struct stat status;
    g_autoptr(GByteArray) music = g_byte_array_new();
    if (stat(path, &status) != 0) {
        drop(&parsed, g_strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        drop(&parsed, "not a regular file"); /* opening a pipe would wait for its writer */
    } else {
        g_autoptr(GError) cause = NULL;
        g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &cause);
        if (!file) return program_fail(error, "%s", program_cause(cause));
        const gsize length = g_mapped_file_get_length(file);
        if (length > MAX_FILE_BYTES)
            drop(&parsed, "larger than 64 MiB: not a song");
        else if (length == 0)
            drop(&parsed, "empty file");
        else
            lay_out(g_mapped_file_get_contents(file), length, data, &parsed, music);
    }
    g_byte_array_append(out, (const guint8 *)&parsed, sizeof parsed);
    g_byte_array_append(out, music->data, music->len);
    return TRUE;
}

worker_t *song_file_worker_new(const layout_t *layout, const worker_limits_t *limits) {
    return worker_new(read_in_worker, (gpointer)layout, limits);
}

gboolean song_file_take(worker_t *worker, song_file_t *parsed, GByteArray **music, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GByteArray) result = worker_take(worker, &cause);
    *music = NULL;
    if (g_error_matches(cause, WORKER_ERROR, WORKER_ERROR_FORK)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (!result || result->len < sizeof *parsed) {
        memset(parsed, 0, sizeof *parsed);
        drop(parsed, cause ? cause->message : "the worker gave no result");
        return TRUE;
    }
    memcpy(parsed, result->data, sizeof *parsed);
    if (!parsed->kept) return TRUE;
    g_byte_array_remove_range(result, 0, sizeof *parsed);
    *music = g_steal_pointer(&result);
    return TRUE;
}

size_t song_file_timeline_bytes(const song_file_t *parsed) {
    return parsed->tempi * sizeof(tempo_change_t) + parsed->meters * sizeof(meter_change_t);
}

size_t song_file_played_at(const song_file_t *parsed, const grid_t *grid) {
    return song_file_timeline_bytes(parsed) + (size_t)parsed->frames * grid_frame_bytes(grid);
}

timeline_t *song_file_timeline(const song_file_t *parsed, int steps_per_beat, const uint8_t *music) {
    const tempo_change_t *tempi = (const void *)music;
    return timeline_from_rows(steps_per_beat, tempi, parsed->tempi, (const void *)(tempi + parsed->tempi),
                              parsed->meters);
}

roll_t *song_file_read_roll(const char *path, const grid_t *grid, song_file_t *parsed, timeline_t **timeline,
                            played_t **played, GError **error) {
    g_autoptr(GByteArray) music = NULL;
    const layout_t layout = {.grid = *grid, .cut = cut_default()};
    g_autoptr(worker_t) worker = song_file_worker_new(&layout, &single_limits);
    if (!worker_give(worker, path, error)) return NULL;
    worker_wait_any(&worker, 1);
    if (!song_file_take(worker, parsed, &music, error)) return NULL;
    if (!music) {
        g_autofree char *shown = g_filename_display_name(path);
        g_set_error(error, WORKER_ERROR, WORKER_ERROR_FAILED, "%s: cannot use this song: %s", shown,
                    parsed->reason);
        return NULL;
    }
    *timeline = song_file_timeline(parsed, grid->steps_per_beat, music->data);
    roll_t *roll = roll_new((size_t)parsed->frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    memcpy(roll->bits, music->data + song_file_timeline_bytes(parsed), roll->frames * grid_frame_bytes(grid));
    const size_t at = song_file_played_at(parsed, grid);
    if (played) *played = g_memdup2(music->data + at, music->len - at);
    return roll;
}
