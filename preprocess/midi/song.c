/* song: owns songs apart from any file format: their memory, the order of their notes, main tempo and meter,
 * the sustain pedal. Declared in midi.h. */
#include "preprocess/midi/midi.h"

#include <stdio.h>
#include <string.h>

G_DEFINE_QUARK(midi_error, midi_error)

enum { CHANNELS = 16, PITCHES = 128 };

song_t *song_new(int ticks_per_beat) {
    song_t *song = g_new0(song_t, 1);
    song->ticks_per_beat = ticks_per_beat;
    song->notes = g_array_new(FALSE, FALSE, sizeof(note_t));
    song->tempi = g_array_new(FALSE, FALSE, sizeof(tempo_t));
    song->meters = g_array_new(FALSE, FALSE, sizeof(meter_t));
    song->pedals = g_array_new(FALSE, FALSE, sizeof(pedal_t));
    song->track_names = g_ptr_array_new_with_free_func(g_free);
    song->texts = g_ptr_array_new_with_free_func(g_free);
    return song;
}

void song_free(song_t *song) {
    if (!song) return;
    g_array_unref(song->notes);
    g_array_unref(song->tempi);
    g_array_unref(song->meters);
    g_array_unref(song->pedals);
    g_ptr_array_unref(song->track_names);
    g_ptr_array_unref(song->texts);
    g_free(song);
}

int64_t song_frame(const song_t *song, int64_t tick, int steps_per_beat) {
    return (2 * tick * steps_per_beat + song->ticks_per_beat) / (2 * song->ticks_per_beat);
}

int song_compare_ticks(gconstpointer a, gconstpointer b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int compare_notes(gconstpointer a, gconstpointer b) {
    const note_t *x = a, *y = b;
    if (x->onset != y->onset) return x->onset < y->onset ? -1 : 1;
    if (x->track != y->track) return x->track - y->track;
    if (x->channel != y->channel) return x->channel - y->channel;
    return x->pitch - y->pitch;
}

/* Sorts [first, end), whose halves are in order: what is in its place already is not moved. spare: room for
 * the first half. */
static void merge_notes(note_t *notes, note_t *spare, guint first, guint middle, guint end) {
    while (first < middle && compare_notes(&notes[first], &notes[middle]) <= 0) first++;
    const guint n = middle - first;
    memcpy(spare, notes + first, n * sizeof *notes);
    for (guint i = 0, j = middle, to = first; i < n; to++)
        notes[to] = j < end && compare_notes(&notes[j], &spare[i]) < 0 ? notes[j++] : spare[i++];
}

/* A stable merge sort, as g_array_sort() is one. Tracks come one after the other, and each is nearly in
 * order: chords alone are not. So short stretches are sorted by insertion, and most merges find nothing to
 * do. */
void song_sort_notes(song_t *song) {
    enum { STRETCH = 16 };
    note_t *notes = (note_t *)(void *)song->notes->data;
    const guint n = song->notes->len;
    g_autofree note_t *spare = g_new(note_t, n);
    for (guint i = 1; i < n; i++) {
        const note_t note = notes[i];
        guint to = i;
        for (; to % STRETCH > 0 && compare_notes(&notes[to - 1], &note) > 0; to--) notes[to] = notes[to - 1];
        notes[to] = note;
    }
    for (guint width = STRETCH; width < n; width *= 2)
        for (guint first = 0; n - first > width; first += MIN(2 * width, n - first))
            merge_notes(notes, spare, first, first + width, first + MIN(2 * width, n - first));
}

typedef struct {
    double key;
    int64_t ticks;
} share_t;

static int compare_shares(gconstpointer a, gconstpointer b) {
    double x = ((const share_t *)a)->key, y = ((const share_t *)b)->key;
    return (x > y) - (x < y);
}

/* Ticks from change i of a list to the next one or to the end; the first has what comes before it, too. */
static int64_t ticks_in_force(const GArray *changes, guint i, int64_t end) {
    const int64_t next = i + 1 < changes->len ? MIN(*song_tick_at(changes, i + 1), end) : end;
    return MAX(next - (i == 0 ? 0 : *song_tick_at(changes, i)), 0);
}

double song_main_tempo(const song_t *song) {
    guint n = song->tempi->len;
    const tempo_t *tempi = (const tempo_t *)(void *)song->tempi->data;
    if (n == 0) return MIDI_DEFAULT_BPM;
    g_autoptr(GArray) shares = g_array_new(FALSE, FALSE, sizeof(share_t));
    int64_t total = 0, below = 0;
    for (guint i = 0; i < n; i++) {
        share_t share = {.key = tempi[i].bpm, .ticks = ticks_in_force(song->tempi, i, song->ticks)};
        total += share.ticks;
        g_array_append_val(shares, share);
    }
    if (total == 0) return tempi[n - 1].bpm;
    g_array_sort(shares, compare_shares);
    for (guint i = 0; i < n; i++) {
        below += g_array_index(shares, share_t, i).ticks;
        if (2 * below >= total) return g_array_index(shares, share_t, i).key;
    }
    g_assert_not_reached();
}

meter_t song_main_meter(const song_t *song) {
    enum { POWERS = 8 };
    guint n = song->meters->len;
    const meter_t *meters = (const meter_t *)(void *)song->meters->data;
    meter_t main = {.tick = 0, .numerator = 4, .denominator = 4};
    g_autofree int64_t *ticks = g_new0(int64_t, 256 * POWERS);
    int64_t most = -1;
    for (guint i = 0; i < n; i++) {
        int64_t *share = &ticks[meters[i].numerator * POWERS + g_bit_nth_msf(meters[i].denominator, -1)];
        *share += ticks_in_force(song->meters, i, song->ticks);
        if (*share <= most) continue;
        most = *share;
        main = (meter_t){.tick = 0, .numerator = meters[i].numerator, .denominator = meters[i].denominator};
    }
    return main;
}

gboolean meter_from_text(const char *text, meter_t *meter) {
    int numerator = 0, denominator = 0, end = 0;
    if (sscanf(text, "%2d/%2d%n", &numerator, &denominator, &end) != 2 || text[end] != '\0') return FALSE;
    if (numerator < 1 || denominator < 1 || denominator > 64 || (denominator & (denominator - 1)) != 0)
        return FALSE;
    *meter = (meter_t){.tick = 0, .numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    return TRUE;
}

/* ---- pedal ---- */

/* Presses and releases of one channel's pedal, without repeats. */
static GArray *pedal_changes(const song_t *song, uint8_t channel) {
    GArray *changes = g_array_new(FALSE, FALSE, sizeof(pedal_t));
    gboolean down = FALSE;
    for (guint i = 0; i < song->pedals->len; i++) {
        const pedal_t *pedal = &g_array_index(song->pedals, pedal_t, i);
        if (pedal->channel != channel || pedal->down == down) continue;
        g_array_append_val(changes, *pedal);
        down = pedal->down;
    }
    return changes;
}

/* When a sound ends whose key is let go at tick: at once, or where the pedal is down with its release. */
static int64_t pedal_release(const GArray *changes, int64_t tick, int64_t end) {
    guint low = 0, high = changes->len; /* the first change after tick */
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(changes, pedal_t, middle).tick <= tick)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || !g_array_index(changes, pedal_t, low - 1).down) return tick;
    return low < changes->len ? g_array_index(changes, pedal_t, low).tick : end;
}

void song_apply_pedal(song_t *song) {
    GArray *changes[CHANNELS];
    struct {
        int64_t onset, after; /* the earliest onset seen so far, from the end, and the one after it */
    } next[CHANNELS][PITCHES];
    for (int channel = 0; channel < CHANNELS; channel++) {
        changes[channel] = pedal_changes(song, (uint8_t)channel);
        for (int pitch = 0; pitch < PITCHES; pitch++)
            next[channel][pitch].onset = next[channel][pitch].after = G_MAXINT64;
    }
    for (guint i = song->notes->len; i-- > 0;) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        int64_t *onset = &next[note->channel][note->pitch].onset,
                *after = &next[note->channel][note->pitch].after;
        if (*onset > note->onset) {
            *after = *onset;
            *onset = note->onset;
        }
        int64_t end = note->onset + note->length;
        int64_t release = MIN(pedal_release(changes[note->channel], end, song->ticks), *after);
        note->length = MAX(end, release) - note->onset;
    }
    for (int channel = 0; channel < CHANNELS; channel++) g_array_unref(changes[channel]);
    g_array_set_size(song->pedals, 0);
}
