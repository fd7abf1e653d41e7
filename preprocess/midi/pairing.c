/* pairing: from key presses and releases to notes. A track may hold several voices on one channel, and a
 * file does not say whose a release is; so a key is taken for what the ear takes it for: it sounds from
 * the first press until as many releases have come. Each press begins a note, which lasts to the next
 * press of the key or to the end of the sound. So:
 *
 * - two voices that strike a key together are one note, at the greater velocity, as long as the longer
 *   one; a voice that strikes again inside a longer note of another does not end that one's sound;
 * - legato, where a release comes just behind the next press, leaves no gap;
 * - a press that has no release of its own (each release goes to the last press that lacks one) ends at
 *   the next press, or with the track; one whose release comes more than 64 beats behind later presses is
 *   such a one: that release is a stray, or of a panic at the end;
 * - a key released just before it is pressed, at the same tick, is a note of no length whose two events
 *   were put in the wrong order, if no other release comes for it before the next press but one that
 *   stands just before that press in its turn. */
#include "preprocess/midi/pairing.h"

#include <string.h>

enum { CHANNELS = 16, PITCHES = 128, LEGATO_PART = 8, HOLD_BEATS = 64 };
#define NONE  G_MAXUINT32
#define NEVER G_MININT64
#define OPEN  (-1) /* length of a note without a release */

/* A press. */
typedef struct {
    int64_t since;  /* tick since when a later press is held too; at first its own */
    guint32 note;   /* index into notes */
    guint32 below;  /* the press before it that also waits for its release; or NONE */
    guint32 before; /* in a run of swapped ones: the press before it; or NONE */
} press_t;

/* Presses are indices into pairing->presses. */
typedef struct {
    guint32 waiting;      /* the last press without a release, or NONE */
    guint32 latest;       /* note that the key struck last, or NONE */
    guint32 swapped;      /* the last one of a run that began with a release just before its press, or NONE */
    int64_t swapped_tick; /* of the release that the last one of the run may own, or NEVER */
    int64_t stray_tick;   /* of the last release that no press waited for, or NEVER */
} piano_key_t;

struct pairing {
    GArray *notes;        /* note_t, of the caller */
    GArray *presses;      /* press_t, of this track */
    guint first;          /* note of this track */
    int64_t legato, hold; /* ticks: a release so soon after a press may be the one before's; see the top */
    piano_key_t keys[CHANNELS][PITCHES];
};

static note_t *note_at(const pairing_t *pairing, guint i) {
    return &g_array_index(pairing->notes, note_t, i);
}
static press_t *press_at(const pairing_t *pairing, guint i) {
    return &g_array_index(pairing->presses, press_t, i);
}

static void begin_track(pairing_t *pairing) {
    const piano_key_t silent = {
        .waiting = NONE, .latest = NONE, .swapped = NONE, .swapped_tick = NEVER, .stray_tick = NEVER};
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int pitch = 0; pitch < PITCHES; pitch++) pairing->keys[channel][pitch] = silent;
    g_array_set_size(pairing->presses, 0);
    pairing->first = pairing->notes->len;
}

pairing_t *pairing_new(GArray *notes, int ticks_per_beat) {
    pairing_t *pairing = g_new(pairing_t, 1);
    pairing->notes = notes;
    pairing->presses = g_array_new(FALSE, FALSE, sizeof(press_t));
    pairing->legato = ticks_per_beat / LEGATO_PART;
    pairing->hold = (int64_t)ticks_per_beat * HOLD_BEATS;
    begin_track(pairing);
    return pairing;
}

void pairing_free(pairing_t *pairing) {
    if (!pairing) return;
    g_array_unref(pairing->presses);
    g_free(pairing);
}

/* ---- notes of no length whose events are swapped ---- */

/* The last press of the run has no release behind it, so each press of the run has the one before it. */
static void settle_swapped(pairing_t *pairing, piano_key_t *key) {
    for (guint32 i = key->swapped; i != NONE; i = press_at(pairing, i)->before)
        note_at(pairing, press_at(pairing, i)->note)->length = 0;
    if (key->waiting == key->swapped) key->waiting = NONE;
    key->swapped = NONE;
}

/* Whether the press that comes at tick is a swapped one; settles the run before it. */
static gboolean is_swapped(pairing_t *pairing, piano_key_t *key, int64_t tick) {
    if (key->swapped != NONE && key->swapped_tick == tick && key->waiting == NONE) return TRUE;
    if (key->swapped != NONE && key->swapped_tick == NEVER)
        settle_swapped(pairing, key);
    else
        key->swapped = NONE; /* its release was its own */
    return key->waiting == NONE && key->stray_tick == tick;
}

/* ---- events ---- */

void pairing_strike(pairing_t *pairing, note_t note) {
    piano_key_t *key = &pairing->keys[note.channel][note.pitch];
    gboolean swapped = is_swapped(pairing, key, note.onset);
    press_t press = {.since = note.onset, .note = pairing->notes->len, .below = key->waiting, .before = NONE};
    if (swapped) {
        press.before = key->swapped;
        key->swapped = pairing->presses->len;
        key->swapped_tick = NEVER;
    }
    key->stray_tick = NEVER;
    if (key->waiting != NONE &&
        note_at(pairing, press_at(pairing, key->waiting)->note)->onset == note.onset) {
        note_t *same = note_at(pairing, press_at(pairing, key->waiting)->note);
        same->velocity = MAX(same->velocity, note.velocity);
        press.note = press_at(pairing, key->waiting)->note;
    } else {
        note.length = OPEN;
        g_array_append_val(pairing->notes, note);
    }
    key->latest = press.note;
    key->waiting = pairing->presses->len;
    g_array_append_val(pairing->presses, press);
}

/* Gives a release to the last press that waits for one. */
static void release(pairing_t *pairing, piano_key_t *key, int64_t tick) {
    press_t *press = press_at(pairing, key->waiting);
    note_t *note = note_at(pairing, press->note);
    key->waiting = press->below;
    if (press->note == key->latest || tick - press->since <= pairing->hold)
        note->length = MAX(note->length, tick - note->onset);
    if (press->below == NONE) return;
    press_t *below = press_at(pairing, press->below);
    if (tick - note->onset <= pairing->legato) below->since = note->onset;
}

void pairing_release(pairing_t *pairing, uint8_t channel, uint8_t pitch, int64_t tick) {
    piano_key_t *key = &pairing->keys[channel][pitch];
    if (key->waiting == NONE) {
        if (key->swapped_tick == tick)
            key->swapped = NONE; /* it has a second one, so the first was its own */
        key->stray_tick = tick;
        return;
    }
    if (key->waiting == key->swapped) key->swapped_tick = tick;
    release(pairing, key, tick);
}

void pairing_release_all(pairing_t *pairing, uint8_t channel, int64_t tick) {
    for (int pitch = 0; pitch < PITCHES; pitch++) {
        piano_key_t *key = &pairing->keys[channel][pitch];
        while (key->waiting != NONE) release(pairing, key, tick);
        key->swapped = NONE;
    }
}

/* ---- a track's end ---- */

/* Gives each note its length: it lasts until the key's sound ends, or to the next press. */
static void set_lengths(pairing_t *pairing, int64_t tick) {
    int64_t at[CHANNELS][PITCHES];
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int pitch = 0; pitch < PITCHES; pitch++) at[channel][pitch] = NEVER;
    for (guint i = pairing->first; i < pairing->notes->len; i++) {
        note_t *note = note_at(pairing, i);
        int64_t *end = &at[note->channel][note->pitch];
        if (note->length == OPEN) continue;
        *end = MAX(*end, note->onset + note->length);
        note->length = *end - note->onset;
    }
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int pitch = 0; pitch < PITCHES; pitch++) at[channel][pitch] = G_MAXINT64;
    for (guint i = pairing->notes->len; i-- > pairing->first;) {
        note_t *note = note_at(pairing, i);
        int64_t *next = &at[note->channel][note->pitch];
        int64_t end = note->length != OPEN  ? note->onset + note->length
                      : *next == G_MAXINT64 ? MAX(tick, note->onset)
                                            : *next;
        note->length = MIN(end, *next) - note->onset;
        *next = note->onset;
    }
}

void pairing_end_track(pairing_t *pairing, int64_t tick) {
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int pitch = 0; pitch < PITCHES; pitch++) {
            piano_key_t *key = &pairing->keys[channel][pitch];
            if (key->swapped != NONE && key->swapped_tick == NEVER) settle_swapped(pairing, key);
        }
    set_lengths(pairing, tick);
    begin_track(pairing);
}
