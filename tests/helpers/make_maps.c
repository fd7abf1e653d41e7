/* make_maps FILE [pickup]: a song for tests that changes meter and tempo: two bars of 4/4, four of 3/4, four
 * of 6/8, 32 beats (quarter notes), with a pickup of one beat, a bar of 1/4, before them. A note at each
 * bar's begin, and one a beat later where the bar has one. 120 quarter notes a minute, 90 from the sixth beat
 * (of those 32) on, a ramp from 90 to 151 in steps of a sixteenth from the 20th, 100 from the 28th. */
#include <stdio.h>
#include <string.h>

#include "preprocess/midi/midi.h"

enum { BEAT = 480 };

static song_t *song;
static int64_t now; /* ticks */

static void add_meter(int numerator, int denominator) {
    const meter_t meter = {.tick = now, .numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    g_array_append_val(song->meters, meter);
}

static void add_tempo(int64_t tick, double bpm) {
    const tempo_t tempo = {.tick = tick, .bpm = bpm};
    g_array_append_val(song->tempi, tempo);
}

static void add_note(int64_t tick, int pitch) {
    const note_t note = {
        .onset = tick, .length = BEAT / 2, .pitch = (uint8_t)pitch, .velocity = 80, .program = 81};
    g_array_append_val(song->notes, note);
}

static void add_bars(int n, int64_t ticks) {
    for (int i = 0; i < n; i++, now += ticks) {
        add_note(now, 60 + i);
        if (ticks > BEAT) add_note(now + BEAT, 67 + i);
    }
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    if (argc < 2) {
        fprintf(stderr, "make_maps: FILE is missing\n");
        return 1;
    }
    song = song_new(BEAT);
    g_ptr_array_add(song->track_names, g_strdup("melody"));
    add_tempo(0, 120);
    if (argc > 2 && strcmp(argv[2], "pickup") == 0) {
        add_meter(1, 4);
        add_bars(1, BEAT);
    }
    const int64_t first = now;
    add_meter(4, 4);
    add_bars(2, 4 * BEAT);
    add_meter(3, 4);
    add_bars(4, 3 * BEAT);
    add_meter(6, 8);
    add_bars(4, 3 * BEAT);
    add_tempo(first + 6 * BEAT, 90);
    for (int i = 0; i < 32; i++) add_tempo(first + 20 * BEAT + i * BEAT / 4, 90 + 2 * i);
    add_tempo(first + 28 * BEAT, 100);
    song->ticks = now;
    const gboolean written = midi_write(song, argv[1], &error);
    if (!written) fprintf(stderr, "make_maps: %s\n", error->message);
    song_free(song);
    return !written;
}
