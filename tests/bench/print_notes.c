/* print_notes: the notes of the MIDI files that standard input names, a line each, as preprocess reads them:
 * a line "file PATH", then "onset pitch length channel track" of each note, in ticks. What `make bench-files`
 * compares. */
#include <stdio.h>

#include "preprocess/midi/midi.h"

static gboolean print_notes(const char *path) {
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    gsize length;
    g_autoptr(song_t) song =
        g_file_get_contents(path, &bytes, &length, &error) ? midi_parse(bytes, length, &error) : NULL;
    printf("file %s\n", path);
    if (!song) {
        fprintf(stderr, "print_notes: %s: %s\n", path, error->message);
        return FALSE;
    }
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        printf("%" G_GINT64_FORMAT " %u %" G_GINT64_FORMAT " %u %u\n", note->onset, note->pitch, note->length,
               note->channel, note->track);
    }
    return TRUE;
}

int main(void) {
    char path[4096];
    while (fgets(path, sizeof path, stdin)) print_notes(g_strchomp(path));
    return ferror(stdin) || fflush(stdout) != 0;
}
