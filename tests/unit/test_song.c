/* Tests of preprocess/song: the order of notes, as GLib's stable sort has it. */
#include <string.h>

#include "preprocess/midi/midi.h"

static int compare(gconstpointer a, gconstpointer b) {
    const note_t *x = a, *y = b;
    if (x->onset != y->onset) return x->onset < y->onset ? -1 : 1;
    if (x->track != y->track) return x->track - y->track;
    if (x->channel != y->channel) return x->channel - y->channel;
    return x->pitch - y->pitch;
}

/* Notes track by track, in order of their onsets but for `swaps` of them. The velocity tells those apart
 * that are else alike. */
static void fill_song(song_t *song, GRand *random, guint n, int tracks, int reach, guint swaps) {
    for (guint i = 0; i < n; i++) {
        note_t note;
        memset(&note, 0, sizeof note);
        note.track = (uint16_t)(i * (guint)tracks / n);
        note.onset = (int64_t)(i % (n / (guint)tracks + 1)) * reach / 8 + g_rand_int_range(random, 0, 2);
        note.channel = (uint8_t)g_rand_int_range(random, 0, 2);
        note.pitch = (uint8_t)g_rand_int_range(random, 60, 64);
        note.velocity = (uint8_t)(i % 127 + 1);
        g_array_append_val(song->notes, note);
    }
    for (guint i = 0; i < swaps && n > 0; i++) {
        note_t *a = &g_array_index(song->notes, note_t, (guint)g_rand_int_range(random, 0, (gint32)n));
        note_t *b = &g_array_index(song->notes, note_t, (guint)g_rand_int_range(random, 0, (gint32)n)),
               kept = *a;
        *a = *b;
        *b = kept;
    }
}

static void test_sort(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint n = 0; n < 400; n += n < 70 ? 1 : 37) {
        for (int kind = 0; kind < 12; kind++) {
            g_autoptr(song_t) song = song_new(480);
            g_autoptr(GArray) wanted = g_array_new(FALSE, FALSE, sizeof(note_t));
            fill_song(song, random, n, 1 + kind % 3 * 2, kind % 2 ? 16 : 0, kind < 6 ? 0 : n);
            g_array_append_vals(wanted, song->notes->data, n);
            g_array_sort(wanted, compare);
            song_sort_notes(song);
            g_assert_cmpuint(song->notes->len, ==, n);
            g_assert_true(n == 0 || memcmp(song->notes->data, wanted->data, n * sizeof(note_t)) == 0);
        }
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/song/sort", test_sort);
    return g_test_run();
}
