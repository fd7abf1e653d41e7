/* Standard MIDI Files to songs, through libsmf, and songs to files. Owns the pairing of note-ons with note-offs, the programs, tempi, meters and
 * pedals in force, and the rule that a track ends where its end-of-track event says, so that trailing silence counts. Refuses what is plainly no
 * MIDI file, format 2 and SMPTE time before libsmf sees them.
 *
 * Files are written without libsmf, which writes to a path only, a realloc() an event, and leaves its stream open on a full disk: the bytes are made
 * here and GLib replaces the file. */
#include "preprocess/midi.h"

#include <math.h>
#include <smf.h>
#include <string.h>

#include "preprocess/program.h"
#include "preprocess/sieve.h"

G_DEFINE_QUARK(midi_error, midi_error)

enum { NOTE_OFF = 0x80, NOTE_ON = 0x90, CONTROL = 0xB0, PROGRAM = 0xC0, META = 0xFF, CONTROL_SUSTAIN = 64 };
enum { HEADER_BYTES = 14, MAX_BYTES = 1 << 28, CHANNELS = 16, PITCHES = 128 };

/* ---- reading ---- */

typedef struct {
    int64_t tick;
    uint8_t channel, program;
} program_t;

/* What is gathered over all tracks of one file. */
typedef struct {
    song_t *song;
    GArray *programs;                /* program_t, in file order */
    int64_t open[CHANNELS][PITCHES]; /* index of the note sounding in this track, or -1 */
} reader_t;

typedef struct {
    guint warnings;
    char *first; /* owned */
} smf_log_t;

static void count_message(const char *domain, GLogLevelFlags level, const char *message, gpointer data) {
    (void)domain;
    smf_log_t *log = data;
    if (!(level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))) return;
    log->warnings++;
    if (!log->first) log->first = g_strdup(message);
}

/* Text of unknown encoding as UTF-8: as it is where valid, otherwise taken as Latin-1. */
static char *text_to_utf8(const uint8_t *bytes, size_t length) {
    length = strnlen((const char *)bytes, length);
    if (g_utf8_validate((const char *)bytes, (gssize)length, NULL)) return g_strndup((const char *)bytes, length);
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < length; i++) g_string_append_unichar(text, bytes[i]);
    return g_string_free(text, FALSE);
}

/* The sieve has checked the bodies, and that their length is one byte. */
static void read_meta(reader_t *reader, const uint8_t *data, int64_t tick, guint track) {
    song_t *song = reader->song;
    const uint8_t *body = data + 3;
    if (data[1] == META_TEXT && track == 0 && tick == 0) g_ptr_array_add(song->texts, text_to_utf8(body, data[2]));
    if (data[1] == META_TRACK_NAME) {
        char **name = (char **)&song->track_names->pdata[track];
        if (**name) return; /* the first name holds */
        g_free(*name);
        *name = text_to_utf8(body, data[2]);
    }
    if (data[1] == META_TEMPO) {
        tempo_t tempo = {.tick = tick, .bpm = 6e7 / (body[0] << 16 | body[1] << 8 | body[2])};
        g_array_append_val(song->tempi, tempo);
    }
    if (data[1] == META_METER) {
        meter_t meter = {.tick = tick, .numerator = body[0], .denominator = (uint8_t)(1 << body[1])};
        g_array_append_val(song->meters, meter);
    }
}

static void end_note(reader_t *reader, uint8_t channel, uint8_t pitch, int64_t tick) {
    int64_t *open = &reader->open[channel][pitch];
    if (*open < 0) return;
    note_t *note = &g_array_index(reader->song->notes, note_t, *open);
    note->length = tick - note->onset;
    *open = -1;
}

/* A note-on of a pitch that sounds already ends that note; at the very same tick it is the same note, at the greater velocity. */
static void start_note(reader_t *reader, note_t note) {
    GArray *notes = reader->song->notes;
    int64_t *open = &reader->open[note.channel][note.pitch];
    if (*open >= 0) {
        note_t *before = &g_array_index(notes, note_t, *open);
        if (before->onset == note.onset) {
            before->velocity = MAX(before->velocity, note.velocity);
            return;
        }
        end_note(reader, note.channel, note.pitch, note.onset);
    }
    *open = notes->len;
    g_array_append_val(notes, note);
}

static void read_event(reader_t *reader, const smf_event_t *event, guint track) {
    const uint8_t *data = event->midi_buffer;
    int64_t tick = event->time_pulses;
    uint8_t channel = data[0] & 0x0F;
    switch (data[0] == META ? META : data[0] & 0xF0) {
    case META: read_meta(reader, data, tick, track); break;
    case NOTE_OFF: end_note(reader, channel, data[1], tick); break;
    case NOTE_ON:
        if (data[2] == 0)
            end_note(reader, channel, data[1], tick);
        else
            start_note(reader, (note_t){.onset = tick, .pitch = data[1], .velocity = data[2], .channel = channel, .track = (uint16_t)track});
        break;
    case PROGRAM: {
        program_t program = {.tick = tick, .channel = channel, .program = data[1]};
        g_array_append_val(reader->programs, program);
        break;
    }
    case CONTROL:
        if (data[1] == CONTROL_SUSTAIN) {
            pedal_t pedal = {.tick = tick, .channel = channel, .down = data[2] >= 64};
            g_array_append_val(reader->song->pedals, pedal);
        }
        break;
    default: break;
    }
}

static void read_track(reader_t *reader, const smf_track_t *track, guint index) {
    memset(reader->open, -1, sizeof reader->open);
    g_ptr_array_add(reader->song->track_names, g_strdup(""));
    int64_t end = 0;
    for (int i = 1; i <= track->number_of_events; i++) {
        const smf_event_t *event = smf_track_get_event_by_number(track, i);
        end = MAX(end, event->time_pulses);
        read_event(reader, event, index);
    }
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int pitch = 0; pitch < PITCHES; pitch++) end_note(reader, (uint8_t)channel, (uint8_t)pitch, end);
    reader->song->ticks = MAX(reader->song->ticks, end);
}

/* Every event type begins with its tick. */
static int compare_ticks(gconstpointer a, gconstpointer b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The program in force at each onset, whichever track changed it: both lists in order of time (g_array_sort is stable). */
static void set_programs(song_t *song, GArray *programs) {
    uint8_t in_force[CHANNELS] = {0};
    guint next = 0;
    for (guint i = 0; i < song->notes->len; i++) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        for (; next < programs->len && g_array_index(programs, program_t, next).tick <= note->onset; next++) {
            const program_t *change = &g_array_index(programs, program_t, next);
            in_force[change->channel] = change->program;
        }
        note->program = in_force[note->channel];
    }
}

/* FALSE for what no MIDI reader takes, or libsmf not. */
static gboolean check_header(const uint8_t *bytes, size_t length, GError **error) {
    const char *cause = NULL;
    if (length < HEADER_BYTES || memcmp(bytes, "MThd", 4) != 0)
        cause = "not a Standard MIDI File (no MThd header)";
    else if (length > MAX_BYTES)
        cause = "larger than 256 MB";
    else if (bytes[8] != 0 || bytes[9] > 2)
        cause = "unknown format in the header, only 0 and 1 are read";
    else if (bytes[9] == 2)
        cause = "format 2 (independent patterns), only formats 0 and 1 are read";
    else if (bytes[12] & 0x80)
        cause = "SMPTE time (seconds, no beats), only ticks a quarter note are read";
    else if (bytes[12] == 0 && bytes[13] == 0)
        cause = "zero ticks a quarter note";
    if (cause) g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "%s", cause);
    return cause == NULL;
}

static smf_t *load_smf(const void *bytes, size_t length, guint *warnings, GError **error) {
    smf_log_t log = {0};
    g_autoptr(GByteArray) sound = sieve_file(bytes, length, &log.warnings);
    if (sound->len == HEADER_BYTES) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "no tracks");
        return NULL;
    }
    guint handler = g_log_set_handler("libsmf", G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION, count_message, &log);
    smf_t *smf = smf_load_from_memory(sound->data, (int)sound->len);
    g_log_remove_handler("libsmf", handler);
    if (!smf) g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "libsmf refuses it: %s", log.first ? log.first : "no cause given");
    *warnings = log.warnings;
    g_free(log.first);
    return smf;
}

song_t *midi_parse(const void *bytes, size_t length, GError **error) {
    guint warnings;
    if (!check_header(bytes, length, error)) return NULL;
    smf_t *smf = load_smf(bytes, length, &warnings, error);
    if (!smf) return NULL;
    g_autofree reader_t *reader = g_new(reader_t, 1);
    g_autoptr(GArray) programs = g_array_new(FALSE, FALSE, sizeof(program_t));
    song_t *song = song_new(smf->ppqn);
    reader->song = song;
    reader->programs = programs;
    for (int i = 1; i <= smf->number_of_tracks; i++) read_track(reader, smf_get_track_by_number(smf, i), (guint)i - 1);
    smf_delete(smf);
    song_sort_notes(song);
    g_array_sort(song->tempi, compare_ticks);
    g_array_sort(song->meters, compare_ticks);
    g_array_sort(song->pedals, compare_ticks);
    g_array_sort(programs, compare_ticks);
    set_programs(song, programs);
    song->warnings = warnings;
    return song;
}

/* ---- writing ---- */

/* One event of a track. Events are added note by note in order of onset and sorted by tick alone, stably: so at equal ticks a note's end comes before
 * the next note's program and onset. */
typedef struct {
    int64_t tick;
    uint8_t bytes[8];
    uint8_t size;
} event_t;

static void append_big_endian(GByteArray *out, uint32_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) g_byte_array_append(out, &(uint8_t){(uint8_t)(value >> shift)}, 1);
}

/* Closes a track: its events in order, the end at ticks, the chunk's length at start. */
static void append_events(GByteArray *out, guint start, GArray *events, int64_t ticks) {
    int64_t now = 0;
    g_array_sort(events, compare_ticks);
    for (guint i = 0; i < events->len; i++) {
        const event_t *event = &g_array_index(events, event_t, i);
        sieve_append_quantity(out, (uint32_t)(event->tick - now));
        g_byte_array_append(out, event->bytes, event->size);
        now = event->tick;
    }
    sieve_append_meta(out, (uint32_t)MAX(ticks - now, 0), META_END_OF_TRACK, "", 0);
    uint32_t length = GUINT32_TO_BE(out->len - start - 8);
    memcpy(out->data + start + 4, &length, 4);
}

static guint start_track(GByteArray *out) {
    guint start = out->len;
    g_byte_array_append(out, (const uint8_t *)"MTrk\0\0\0\0", 8);
    return start;
}

static void append_text(GByteArray *out, uint8_t type, const char *text) { sieve_append_meta(out, 0, type, text, strlen(text)); }

static void append_conductor(GByteArray *out, const song_t *song) {
    guint start = start_track(out);
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(event_t));
    for (guint i = 0; i < song->texts->len; i++) append_text(out, META_TEXT, song->texts->pdata[i]);
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        uint8_t power = (uint8_t)g_bit_nth_msf(meter->denominator, -1);
        event_t event = {.tick = meter->tick, .bytes = {META, META_METER, 4, meter->numerator, power, 24, 8}, .size = 7};
        g_array_append_val(events, event);
    }
    for (guint i = 0; i < song->tempi->len; i++) {
        const tempo_t *tempo = &g_array_index(song->tempi, tempo_t, i);
        int us = (int)lround(CLAMP(6e7 / tempo->bpm, 1, 0xFFFFFF));
        event_t event = {.tick = tempo->tick, .bytes = {META, META_TEMPO, 3, (uint8_t)(us >> 16), (uint8_t)(us >> 8), (uint8_t)us}, .size = 6};
        g_array_append_val(events, event);
    }
    for (guint i = 0; i < song->pedals->len; i++) {
        const pedal_t *pedal = &g_array_index(song->pedals, pedal_t, i);
        event_t event = {.tick = pedal->tick, .bytes = {CONTROL | pedal->channel, CONTROL_SUSTAIN, pedal->down ? 127 : 0}, .size = 3};
        g_array_append_val(events, event);
    }
    append_events(out, start, events, song->ticks);
}

static void append_track(GByteArray *out, const song_t *song, guint track) {
    guint start = start_track(out);
    g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(event_t));
    int program[CHANNELS];
    for (int channel = 0; channel < CHANNELS; channel++) program[channel] = -1;
    append_text(out, META_TRACK_NAME, song->track_names->pdata[track]);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        gboolean change_program = program[note->channel] != note->program;
        program[note->channel] = note->program;
        if (note->track != track) continue;
        if (change_program) {
            event_t change = {.tick = note->onset, .bytes = {PROGRAM | note->channel, note->program}, .size = 2};
            g_array_append_val(events, change);
        }
        event_t on = {.tick = note->onset, .bytes = {NOTE_ON | note->channel, note->pitch, note->velocity}, .size = 3};
        event_t off = {.tick = note->onset + note->length, .bytes = {NOTE_OFF | note->channel, note->pitch, 64}, .size = 3};
        g_array_append_val(events, on);
        g_array_append_val(events, off);
    }
    append_events(out, start, events, song->ticks);
}

gboolean midi_write(const song_t *song, const char *path, GError **error) {
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) cause = NULL;
    if (song->ticks > SIEVE_MAX_TICKS) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_WRITE, "%s: cannot write the song: longer than the format's 2^28 ticks; split it", path);
        return FALSE;
    }
    g_byte_array_append(out, (const uint8_t *)"MThd", 4);
    append_big_endian(out, 6, 4);
    append_big_endian(out, 1, 2);
    append_big_endian(out, song->track_names->len + 1, 2);
    append_big_endian(out, (uint32_t)song->ticks_per_beat, 2);
    append_conductor(out, song);
    for (guint track = 0; track < song->track_names->len; track++) append_track(out, song, track);
    if (g_file_set_contents_full(path, (const char *)out->data, (gssize)out->len, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0666,
                                 &cause))
        return TRUE;
    g_set_error(error, MIDI_ERROR, MIDI_ERROR_WRITE, "%s: cannot write the song: %s; make room or name another folder", path, program_cause(cause));
    return FALSE;
}
