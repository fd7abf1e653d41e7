/* midi_maps FILE: the tempi and meters of a MIDI file, one a line, with the beat (quarter note) at which each
 * stands. */
#include <stdio.h>

#include "preprocess/midi/midi.h"

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    gsize length;
    if (argc != 2 || !g_file_get_contents(argv[1], &bytes, &length, &error)) {
        fprintf(stderr, "midi_maps: %s\n", error != NULL ? error->message : "FILE is missing");
        return 1;
    }
    g_autoptr(song_t) song = midi_parse(bytes, length, &error);
    if (song == NULL) {
        fprintf(stderr, "midi_maps: %s: %s\n", argv[1], error->message);
        return 1;
    }
    const double beat = song->ticks_per_beat;
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        printf("%g %d/%d\n", (double)meter->tick / beat, meter->numerator, meter->denominator);
    }
    for (guint i = 0; i < song->tempi->len; i++) {
        const tempo_t *tempo = &g_array_index(song->tempi, tempo_t, i);
        printf("%g %.2f bpm\n", (double)tempo->tick / beat, tempo->bpm);
    }
    return 0;
}
