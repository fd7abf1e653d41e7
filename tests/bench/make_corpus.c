/* make_corpus DIR FIRST COUNT: writes files FIRST, FIRST + 1, ... of an endless corpus of short MIDI files,
 * DIR/000/000000.mid and so on, a thousand a folder: two tracks, 4 to 16 bars. The same number gives the same
 * bytes. Of each hundred 3 are copies of an earlier file, 3 are one transposed, 1 is damaged and 1 is empty.
 * What `make bench-size` preprocesses. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKS_PER_BEAT = 96, FOLDER_FILES = 1000 };

static void put_number(GByteArray *out, guint32 value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) g_byte_array_append(out, &(guint8){(guint8)(value >> 8 * i)}, 1);
}

/* A delta time, at most two bytes of it, then an event of three. */
static void put_event(GByteArray *out, guint delta, guint8 status, guint8 first, guint8 second) {
    if (delta >= 128) g_byte_array_append(out, &(guint8){(guint8)(128 | delta >> 7)}, 1);
    g_byte_array_append(out, (const guint8[4]){(guint8)(delta & 127), status, first, second}, 4);
}

static void put_track(GByteArray *out, GRand *random, guint beats, guint8 channel, int low, int shift) {
    g_autoptr(GByteArray) events = g_byte_array_new();
    for (guint beat = 0, wait = 0; beat < beats; beat++) {
        const guint half = TICKS_PER_BEAT / 2, length = g_rand_boolean(random) ? half : 2 * half;
        const guint8 pitch = (guint8)(low + shift + g_rand_int_range(random, 0, 24));
        put_event(events, wait, 0x90 | channel, pitch, 80);
        put_event(events, length, 0x80 | channel, pitch, 64);
        wait = 2 * half - length;
    }
    g_byte_array_append(events, (const guint8 *)"\0\xff\x2f\0", 4);
    g_byte_array_append(out, (const guint8 *)"MTrk", 4);
    put_number(out, events->len, 4);
    g_byte_array_append(out, events->data, events->len);
}

/* The bytes of file `number`. Owner: caller. */
static GByteArray *make_file(guint32 number) {
    const guint32 kind = number % 100;
    const gboolean copy = number >= 100 && kind >= 10 && kind < 13,
                   transposed = number >= 100 && kind >= 13 && kind < 16;
    const guint32 source = copy || transposed ? number - 50 : number;
    g_autoptr(GRand) random = g_rand_new_with_seed(source);
    const guint beats = 4 * (guint)g_rand_int_range(random, 4, 17);
    GByteArray *out = g_byte_array_new();
    if (kind == 20) return out;
    g_byte_array_append(out, (const guint8 *)"MThd\0\0\0\6\0\1\0\2\0\x60", 14);
    put_track(out, random, beats, 0, 60, transposed ? 5 : 0);
    put_track(out, random, beats, 1, 36, transposed ? 5 : 0);
    if (kind == 21) g_byte_array_set_size(out, 20);
    return out;
}

static gboolean write_file(const char *folder, guint32 number) {
    g_autofree char *inner = g_strdup_printf("%s/%03u", folder, number / FOLDER_FILES),
                    *path = g_strdup_printf("%s/%06u.mid", inner, number);
    if (number % FOLDER_FILES == 0) g_mkdir_with_parents(inner, 0777);
    g_autoptr(GByteArray) bytes = make_file(number);
    FILE *file = fopen(path, "w");
    if (!file) return FALSE;
    const gboolean written = fwrite(bytes->data, 1, bytes->len, file) == bytes->len;
    return fclose(file) == 0 && written;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: make_corpus DIR FIRST COUNT\n");
        return 2;
    }
    const guint32 first = (guint32)strtoul(argv[2], NULL, 10), count = (guint32)strtoul(argv[3], NULL, 10);
    for (guint32 i = 0; i < count; i++) {
        if (write_file(argv[1], first + i)) continue;
        perror(argv[1]);
        return 1;
    }
    return 0;
}
