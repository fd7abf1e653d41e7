/* midi: from Standard MIDI Files to songs. Owns which events a song is made of: notes, programs, tempi,
 * meters, pedals, names, texts; which of them are believed; and the rule that a track ends where its
 * end-of-track event says, so that trailing silence counts. What a file's bytes are: smf.c; which release
 * ends which note: pairing.c. Songs to files: midi_write.c. */
#include "preprocess/midi/midi.h"

#include <string.h>

#include "preprocess/midi/pairing.h"
#include "preprocess/midi/smf.h"

enum { CHANNELS = 16, MAX_BYTES = 1 << 28 };
enum { SUSTAIN = 64, ALL_SOUND_OFF = 120, RESET_CONTROLLERS = 121, ALL_NOTES_OFF = 123 };
static const double BPM_LOW = 5, BPM_HIGH = 1000;

typedef struct {
    int64_t tick;
    uint8_t channel, program;
} program_t;

typedef struct {
    int64_t tick;
    uint8_t channel;
} hush_t;

/* What is gathered over all tracks of one file. */
typedef struct {
    song_t *song;
    pairing_t *pairing;
    GArray *programs; /* program_t, in file order */
    GArray *hushes;   /* hush_t: messages that end all notes of a channel */
} reader_t;

/* ---- meta events ---- */

/* Text of unknown encoding as UTF-8: as it is where valid, otherwise taken as Latin-1. */
static char *text_to_utf8(const uint8_t *bytes, size_t length) {
    length = strnlen((const char *)bytes, length);
    if (g_utf8_validate((const char *)bytes, (gssize)length, NULL))
        return g_strndup((const char *)bytes, length);
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < length; i++) g_string_append_unichar(text, bytes[i]);
    return g_string_free(text, FALSE);
}

static double tempo_of(const uint8_t *body, size_t n) {
    uint64_t us = 0;
    for (size_t i = 0; i < n; i++) us = us << 8 | body[i];
    return us > 0 ? 6e7 / (double)us : 0;
}

static gboolean is_tempo(double bpm) { return bpm >= BPM_LOW && bpm <= BPM_HIGH; }

/* Microseconds a quarter note, in three bytes; some files have four. */
static void read_tempo(song_t *song, const smf_event_t *event) {
    double bpm = tempo_of(event->body, MIN(event->size, 3));
    if (event->size == 4 && !is_tempo(bpm)) bpm = tempo_of(event->body, 4);
    tempo_t tempo = {.tick = event->tick, .bpm = bpm};
    if (is_tempo(bpm))
        g_array_append_val(song->tempi, tempo);
    else
        song->reading.tempi_left_out++;
}

/* Only numerator and denominator (a power of two) count; some files leave out the rest. */
static void read_meter(song_t *song, const smf_event_t *event) {
    if (event->size < 2 || event->body[0] == 0 || event->body[1] > 7) {
        song->reading.events_left_out++;
        return;
    }
    meter_t meter = {
        .tick = event->tick, .numerator = event->body[0], .denominator = (uint8_t)(1 << event->body[1])};
    g_array_append_val(song->meters, meter);
}

static void read_meta(reader_t *reader, const smf_event_t *event, guint track) {
    song_t *song = reader->song;
    if (event->type == SMF_TEXT && track == 0 && event->tick == 0)
        g_ptr_array_add(song->texts, text_to_utf8(event->body, event->size));
    if (event->type == SMF_TRACK_NAME) {
        char **name = (char **)&song->track_names->pdata[track];
        if (**name) return; /* the first name holds */
        g_free(*name);
        *name = text_to_utf8(event->body, event->size);
    }
    if (event->type == SMF_TEMPO) read_tempo(song, event);
    if (event->type == SMF_METER) read_meter(song, event);
}

/* ---- channel messages ---- */

static void add_pedal(song_t *song, const smf_event_t *event, gboolean down) {
    pedal_t pedal = {.tick = event->tick, .channel = event->status & 0x0F, .down = down};
    g_array_append_val(song->pedals, pedal);
}

static void read_control(reader_t *reader, const smf_event_t *event) {
    uint8_t control = event->data[0], channel = event->status & 0x0F;
    if (control == SUSTAIN) add_pedal(reader->song, event, event->data[1] >= 64);
    if (control == RESET_CONTROLLERS || control == ALL_SOUND_OFF) add_pedal(reader->song, event, FALSE);
    if (control == ALL_SOUND_OFF ||
        control >= ALL_NOTES_OFF) { /* those after it, omni and mono modes, imply it */
        hush_t hush = {.tick = event->tick, .channel = channel};
        pairing_release_all(reader->pairing, channel, event->tick);
        g_array_append_val(reader->hushes, hush);
    }
}

static void read_event(reader_t *reader, const smf_event_t *event, guint track) {
    uint8_t channel = event->status & 0x0F;
    if (event->status == SMF_META) {
        read_meta(reader, event, track);
        return;
    }
    switch (event->status & 0xF0) {
    case SMF_NOTE_OFF: pairing_release(reader->pairing, channel, event->data[0], event->tick); break;
    case SMF_NOTE_ON:
        if (event->data[1] == 0)
            pairing_release(reader->pairing, channel, event->data[0], event->tick);
        else
            pairing_strike(reader->pairing, (note_t){.onset = event->tick,
                                                     .pitch = event->data[0],
                                                     .velocity = event->data[1],
                                                     .channel = channel,
                                                     .track = (uint16_t)track});
        break;
    case SMF_PROGRAM: {
        program_t program = {.tick = event->tick, .channel = channel, .program = event->data[0]};
        g_array_append_val(reader->programs, program);
        break;
    }
    case SMF_CONTROL: read_control(reader, event); break;
    default: break;
    }
}

/* ---- over all tracks ---- */

/* Sets each note's program: the one in force on its channel at its onset, whichever track changed it. Both
 * lists are in order of time (g_array_sort() is stable). */
static void set_programs(song_t *song, GArray *programs) {
    uint8_t in_force[CHANNELS] = {0};
    guint next = 0;
    g_array_sort(programs, song_compare_ticks);
    for (guint i = 0; i < song->notes->len; i++) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        for (; next < programs->len && g_array_index(programs, program_t, next).tick <= note->onset; next++) {
            const program_t *change = &g_array_index(programs, program_t, next);
            in_force[change->channel] = change->program;
        }
        note->program = in_force[note->channel];
    }
}

/* All Notes Off also ends notes of its channel on other tracks, except those that begin at its tick. */
static void hush_notes(song_t *song, GArray *hushes) {
    int64_t next[CHANNELS];
    guint left = hushes->len;
    g_array_sort(hushes, song_compare_ticks);
    for (int channel = 0; channel < CHANNELS; channel++) next[channel] = G_MAXINT64;
    for (guint i = song->notes->len; i-- > 0;) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        for (; left > 0 && g_array_index(hushes, hush_t, left - 1).tick > note->onset; left--) {
            const hush_t *hush = &g_array_index(hushes, hush_t, left - 1);
            next[hush->channel] = hush->tick;
        }
        note->length = MIN(note->length, next[note->channel] - note->onset);
    }
}

static void read_tracks(reader_t *reader, smf_t *smf) {
    song_t *song = reader->song;
    smf_event_t event;
    for (guint track = 0; smf_next_track(smf); track++) {
        g_ptr_array_add(song->track_names, g_strdup(""));
        while (smf_next_event(smf, &event)) read_event(reader, &event, track);
        pairing_end_track(reader->pairing, smf->track.tick);
        song->ticks = MAX(song->ticks, smf->track.tick);
    }
    song_sort_notes(song);
    g_array_sort(song->tempi, song_compare_ticks);
    g_array_sort(song->meters, song_compare_ticks);
    g_array_sort(song->pedals, song_compare_ticks);
    set_programs(song, reader->programs);
    hush_notes(song, reader->hushes);
    song->reading.events_left_out += smf->events_left_out;
    song->reading.tracks_cut = smf->tracks_cut;
}

static song_t *read_song(smf_t *smf) {
    song_t *song = song_new(smf->ticks_per_beat);
    g_autoptr(pairing_t) pairing = pairing_new(song->notes, smf->ticks_per_beat);
    g_autoptr(GArray) programs = g_array_new(FALSE, FALSE, sizeof(program_t)),
                      hushes = g_array_new(FALSE, FALSE, sizeof(hush_t));
    reader_t reader = {.song = song, .pairing = pairing, .programs = programs, .hushes = hushes};
    read_tracks(&reader, smf);
    return song;
}

song_t *midi_parse(const void *bytes, size_t length, GError **error) {
    smf_t smf;
    if (length > MAX_BYTES) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "larger than 256 MB");
        return NULL;
    }
    if (!smf_open(&smf, bytes, length, error)) return NULL;
    g_autoptr(song_t) song = read_song(&smf);
    if (smf_has_realtime(&smf)) {
        song_free(song);
        smf_open(&smf, bytes, length, NULL);
        smf.track.realtime = TRUE;
        song = read_song(&smf);
    }
    if (song->track_names->len == 0) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "no tracks");
        return NULL;
    }
    return g_steal_pointer(&song);
}
