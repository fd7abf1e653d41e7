/* midi_texts FILE: the text events at the start of a MIDI file, one a line: what sampler says of how it made
 * the file. */
#include <stdio.h>

#include "preprocess/midi/midi.h"

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    gsize length;
    if (argc != 2 || !g_file_get_contents(argv[1], &bytes, &length, &error)) {
        fprintf(stderr, "midi_texts: %s\n", error != NULL ? error->message : "FILE is missing");
        return 1;
    }
    g_autoptr(song_t) song = midi_parse(bytes, length, &error);
    if (song == NULL) {
        fprintf(stderr, "midi_texts: %s: %s\n", argv[1], error->message);
        return 1;
    }
    for (guint i = 0; i < song->texts->len; i++) puts(song->texts->pdata[i]);
    return 0;
}
