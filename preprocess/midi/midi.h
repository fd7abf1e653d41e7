/* midi: notes <-> Standard MIDI File (SMF). Owns the song_t type (song.c); reading is in midi.c, writing in
 * midi_write.c.
 *
 * A song keeps what the file says, in ticks; nothing here knows about frames or rolls. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define MIDI_DRUM_CHANNEL 9 /* General MIDI channel 10, counted from 0 */
#define MIDI_DEFAULT_BPM  120.0

typedef struct {
    int64_t onset;    /* ticks */
    int64_t length;   /* ticks, may be 0 in a file read */
    uint8_t pitch;    /* 0..127 */
    uint8_t velocity; /* 1..127 */
    uint8_t channel;  /* 0..15 */
    uint8_t program;  /* General MIDI program in force on the channel at the onset, 0..127 */
    uint16_t track;   /* index into song_t.track_names */
} note_t;

typedef struct {
    int64_t tick;
    double bpm; /* quarter notes a minute, > 0 */
} tempo_t;

typedef struct {
    int64_t tick;
    uint8_t numerator;   /* >= 1 */
    uint8_t denominator; /* a power of two */
} meter_t;

typedef struct {
    int64_t tick;
    uint8_t channel;
    gboolean down; /* sustain pedal (controller 64), value >= 64 */
} pedal_t;

/* What could not be read as it stands. */
typedef struct {
    guint tracks_cut; /* tracks that are missing, lack their end, or end where nothing makes sense any more */
    guint events_left_out; /* bytes that are no event, meters that mean nothing */
    guint tempi_left_out;  /* below 5 or above 1000 bpm: not believed */
} midi_reading_t;

typedef struct {
    int ticks_per_beat;     /* ticks a quarter note, > 0 */
    int64_t ticks;          /* end of the longest track: trailing silence counts */
    GArray *notes;          /* note_t, ordered by onset, track, channel, pitch */
    GArray *tempi;          /* tempo_t, ordered by tick; may be empty (then MIDI_DEFAULT_BPM) */
    GArray *meters;         /* meter_t, ordered by tick; may be empty (then 4/4) */
    GArray *pedals;         /* pedal_t, ordered by tick */
    GPtrArray *track_names; /* char *, owned; "" where the file names none */
    GPtrArray *texts;       /* char *, owned; text events at tick 0 of the first track, in order */
    midi_reading_t reading; /* what reading met with; zeros in other songs */
} song_t;

#define MIDI_ERROR midi_error_quark()
GQuark midi_error_quark(void);
typedef enum { MIDI_ERROR_READ, MIDI_ERROR_FORMAT, MIDI_ERROR_WRITE } midi_error_t;

/* An empty song with ticks_per_beat set. Owner: caller, song_free(). */
song_t *song_new(int ticks_per_beat);
void song_free(song_t *song);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(song_t, song_free)

/* The frame nearest to a tick, halves up; steps_per_beat: frames a quarter note. */
int64_t song_frame(const song_t *song, int64_t tick, int steps_per_beat);

/* Each element of a song's lists begins with its tick. song_tick_at(): that of element i.
 * song_compare_ticks(): the order of two elements. */
static inline int64_t *song_tick_at(const GArray *list, guint i) {
    return (int64_t *)(void *)(list->data + (size_t)i * g_array_get_element_size((GArray *)list));
}
int song_compare_ticks(gconstpointer a, gconstpointer b);

/* Sorts song->notes into their order; stable. For callers that fill a song themselves. */
void song_sort_notes(song_t *song);

/* Lengthens every note that ends while its channel's sustain pedal is down to the pedal's release, or to the
 * next onset of the same pitch on the channel, or to the end of the song. Clears song->pedals. */
void song_apply_pedal(song_t *song);

/* The median of the tempo over the song's ticks (so one in force for more than half of them is it), and the
 * meter in force for most of them. */
double song_main_tempo(const song_t *song);
meter_t song_main_meter(const song_t *song);

/* "6/8" to a meter at tick 0: beats 1 to 99, note values 1 to 64. FALSE where the text is none; the meter is
 * untouched then. */
gboolean meter_from_text(const char *text, meter_t *meter);

/* Reads one SMF (formats 0 and 1, ticks a quarter note) from memory; other bytes may stand before it (RIFF,
 * MacBinary). Files are read as far as they make sense (song->reading). A note that is never switched off
 * lasts to the end of its track; how presses and releases of a key go together: pairing.c. Linear in length;
 * does not keep bytes. Returns NULL with MIDI_ERROR_FORMAT set for format 2, SMPTE time and what is no MIDI
 * file; the message names the cause, not the file. Owner: caller. */
song_t *midi_parse(const void *bytes, size_t length, GError **error);

/* A song as a file of format 1: first a track with tempi, meters, pedals and texts, then one track per track
 * name with name, programs and notes. The end-of-track time is song->ticks, or the last event's where that is
 * later; at most 2^28 - 1. NULL with error set for a longer one, with the cause alone. Owner: caller. */
GByteArray *midi_to_bytes(const song_t *song, GError **error);

/* Writes them. Atomic: temporary, rename; to stay, the file needs file_sync_all(). FALSE with error set (file
 * and cause) on failure. */
gboolean midi_write(const song_t *song, const char *path, GError **error);
