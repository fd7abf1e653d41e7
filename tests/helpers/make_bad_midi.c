/* make_bad_midi DIR SEED COUNT FILE...: writes COUNT damaged copies of MIDI files to DIR as bad-00000.mid and
 * on. The same arguments give the same bytes. Damage is of the kinds that files have in the wild: flipped and
 * overwritten bytes, cut ends, wrong lengths, parts missing or doubled. */
#include <glib.h>
#include <stdio.h>
#include <string.h>

static guint below(GRand *random, guint n) { return n > 0 ? g_rand_int(random) % n : 0; }

/* Where the big-endian length of a random chunk ("MTrk" and so on) stands; 4, the header's, where there is no
 * other. */
static guint find_length(GRand *random, const GByteArray *file) {
    guint found = 4, seen = 0;
    for (guint i = 0; i + 8 <= file->len; i++) {
        if (memcmp(file->data + i, "MTrk", 4) == 0 && below(random, ++seen) == 0) found = i + 4;
    }
    return found;
}

static void damage(GRand *random, GByteArray *file) {
    static const guint8 telling[] = {0x00, 0x7f, 0x80, 0xf0, 0xf7, 0xff, 0x2f, 0x51, 0x58, 0x90};
    guint at = below(random, file->len), n = MIN(1 + below(random, 64), file->len - at);
    switch (below(random, 6)) {
    case 0: file->data[at] ^= (guint8)(1U << below(random, 8)); break;
    case 1: file->data[at] = telling[below(random, G_N_ELEMENTS(telling))]; break;
    case 2: g_byte_array_set_size(file, at); break;
    case 3: {
        guint length = find_length(random, file);
        if (length + 4 <= file->len) file->data[length + below(random, 4)] = (guint8)g_rand_int(random);
        break;
    }
    case 4: g_byte_array_remove_range(file, at, n); break;
    case 5: {
        g_autofree guint8 *part = g_memdup2(file->data + at, n);
        g_byte_array_append(file, part, n);
        memmove(file->data + at + n, file->data + at, file->len - at - n);
        break;
    }
    }
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: make_bad_midi DIR SEED COUNT FILE...\n");
        return 2;
    }
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)g_ascii_strtoull(argv[2], NULL, 10));
    guint64 count = g_ascii_strtoull(argv[3], NULL, 10);
    for (guint64 i = 0; i < count; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *bytes = NULL,
                        *path = g_strdup_printf("%s/bad-%05" G_GUINT64_FORMAT ".mid", argv[1], i);
        gsize n = 0;
        const char *from = argv[4 + i % (guint64)(argc - 4)];
        if (!g_file_get_contents(from, &bytes, &n, &error)) {
            fprintf(stderr, "make_bad_midi: %s\n", error->message);
            return 1;
        }
        g_autoptr(GByteArray) file = g_byte_array_append(g_byte_array_new(), (const guint8 *)bytes, (guint)n);
        for (guint times = 1 + below(random, 8); times > 0 && file->len > 0; times--) damage(random, file);
        if (!g_file_set_contents_full(path, (const char *)file->data, (gssize)file->len,
                                      G_FILE_SET_CONTENTS_NONE, 0666, &error)) {
            fprintf(stderr, "make_bad_midi: %s\n", error->message);
            return 1;
        }
    }
    return 0;
}
