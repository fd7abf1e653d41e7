/* midi_write: from songs to Standard MIDI Files: the order of what is written at one tick is owned here.
 * Refuses songs longer than the format. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "preprocess/midi/midi.h"
#include "preprocess/midi/smf_event.h"

enum { CHANNELS = 16, SUSTAIN = 64 };

/* One event of a track. Events are added note by note in order of onset and sorted by tick alone, stably:
 * so at equal ticks a note's end comes before the next note's program and onset. */
typedef struct {
    int64_t tick;
    uint8_t bytes[8];
    uint8_t size;
} event_t;

/* Variable-length quantity, up to SMF_MAX_DELTA. */
static void append_quantity(GByteArray *out, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)(value >> 21 | 0x80), (uint8_t)(value >> 14 | 0x80),
                        (uint8_t)(value >> 7 | 0x80), value & 0x7F};
    int skip = value >> 21 ? 0 : value >> 14 ? 1 : value >> 7 ? 2 : 3;
    g_byte_array_append(out, bytes + skip, (guint)(4 - skip));
}

static void append_meta(GByteArray *out, uint32_t delta, uint8_t type, const void *body, size_t size) {
    append_quantity(out, delta);
    g_byte_array_append(out, (const uint8_t[]){SMF_META, type}, 2);
    append_quantity(out, (uint32_t)size);
    g_byte_array_append(out, body, (guint)size);
}

static void append_big_endian(GByteArray *out, uint32_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        g_byte_array_append(out, &(uint8_t){(uint8_t)(value >> shift)}, 1);
}

/* Writes a track's events in order and its end at tick `ticks`; sets the length of the chunk at `start`. */
static void append_events(GByteArray *out, guint start, GArray *events, int64_t ticks) {
    int64_t now = 0;
    g_array_sort(events, song_compare_ticks);
    for (guint i = 0; i < events->len; i++) {
        const event_t *event = &g_array_index(events, event_t, i);
        append_quantity(out, (uint32_t)(event->tick - now));
        g_byte_array_append(out, event->bytes, event->size);
        now = event->tick;
    }
    append_meta(out, (uint32_t)MAX(ticks - now, 0), SMF_END_OF_TRACK, "", 0);
    uint32_t length = GUINT32_TO_BE(out->len - start - 8);
    memcpy(out->data + start + 4, &length, 4);
}

static guint start_track(GByteArray *out) {
    guint start = out->len;
    g_byte_array_append(out, (const uint8_t *)"MTrk\0\0\0\0", 8);
    return start;
}

static void append_text(GByteArray *out, uint8_t type, const char *text) {
    append_meta(out, 0, type, text, strlen(text));
}

/* Adds an event of the bytes that follow. */
#define add_event(events, at, ...)                                                                           \
    g_array_append_val(                                                                                      \
        events, ((event_t){.tick = at, .bytes = {__VA_ARGS__}, .size = sizeof((uint8_t[]){__VA_ARGS__})}))

static void append_conductor(GByteArray *out, const song_t *song) {
    guint start = start_track(out);
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(event_t));
    for (guint i = 0; i < song->texts->len; i++) append_text(out, SMF_TEXT, song->texts->pdata[i]);
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        uint8_t power = (uint8_t)g_bit_nth_msf(meter->denominator, -1);
        add_event(events, meter->tick, SMF_META, SMF_METER, 4, meter->numerator, power, 24, 8);
    }
    for (guint i = 0; i < song->tempi->len; i++) {
        const tempo_t *tempo = &g_array_index(song->tempi, tempo_t, i);
        int us = (int)lround(CLAMP(6e7 / tempo->bpm, 1, 0xFFFFFF));
        add_event(events, tempo->tick, SMF_META, SMF_TEMPO, 3, (uint8_t)(us >> 16), (uint8_t)(us >> 8),
                  (uint8_t)us);
    }
    for (guint i = 0; i < song->pedals->len; i++) {
        const pedal_t *pedal = &g_array_index(song->pedals, pedal_t, i);
        add_event(events, pedal->tick, SMF_CONTROL | pedal->channel, SUSTAIN, pedal->down ? 127 : 0);
    }
    append_events(out, start, events, song->ticks);
}

static void append_track(GByteArray *out, const song_t *song, guint track) {
    guint start = start_track(out);
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(event_t));
    int program[CHANNELS];
    for (int channel = 0; channel < CHANNELS; channel++) program[channel] = -1;
    append_text(out, SMF_TRACK_NAME, song->track_names->pdata[track]);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        gboolean change_program = program[note->channel] != note->program;
        program[note->channel] = note->program;
        if (note->track != track) continue;
        if (change_program) add_event(events, note->onset, SMF_PROGRAM | note->channel, note->program);
        add_event(events, note->onset, SMF_NOTE_ON | note->channel, note->pitch, note->velocity);
        add_event(events, note->onset + note->length, SMF_NOTE_OFF | note->channel, note->pitch, 64);
    }
    append_events(out, start, events, song->ticks);
}

GByteArray *midi_to_bytes(const song_t *song, GError **error) {
    if (song->ticks > SMF_MAX_DELTA) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_WRITE, "longer than the format's 2^28 ticks; split it");
        return NULL;
    }
    GByteArray *out = g_byte_array_new();
    g_byte_array_append(out, (const uint8_t *)"MThd", 4);
    append_big_endian(out, 6, 4);
    append_big_endian(out, 1, 2);
    append_big_endian(out, song->track_names->len + 1, 2);
    append_big_endian(out, (uint32_t)song->ticks_per_beat, 2);
    append_conductor(out, song);
    for (guint track = 0; track < song->track_names->len; track++) append_track(out, song, track);
    return out;
}

gboolean midi_write(const song_t *song, const char *path, GError **error) {
    g_autoptr(GError) cause = NULL;
    g_autoptr(GByteArray) out = midi_to_bytes(song, &cause);
    if (!out) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_WRITE, "%s: cannot write the song: %s", path,
                    cause->message);
        return FALSE;
    }
    if (file_replace_unsynced(path, out->data, out->len)) return TRUE;
    g_set_error(error, MIDI_ERROR, MIDI_ERROR_WRITE,
                "%s: cannot write the song: %s; make room or name another folder", path, g_strerror(errno));
    return FALSE;
}
