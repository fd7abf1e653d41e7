/* midi_write: what is written is read again, and what a failed write leaves. */
#include <string.h>

#include "tests/helpers/full_disk.h"
#include "tests/helpers/midi_bytes.h"

static song_t *random_song(GRand *random) {
    song_t *song = song_new(g_rand_int_range(random, 1, 32768));
    int64_t at[3] = {0};
    for (int track = 0; track < 3; track++)
        g_ptr_array_add(song->track_names, g_strdup_printf("track %d", track));
    g_ptr_array_add(song->texts, g_strdup("seed 7"));
    for (int i = 0; i < 4; i++) {
        g_array_append_val(song->tempi, ((tempo_t){.tick = 1000 * i,
                                                   .bpm = 6e7 / g_rand_int_range(random, 100000, 2000000)}));
        g_array_append_val(
            song->meters,
            ((meter_t){.tick = 1000 * i, .numerator = (uint8_t)(i + 1), .denominator = (uint8_t)(1 << i)}));
        g_array_append_val(song->pedals, ((pedal_t){.tick = 1000 * i, .channel = 1, .down = i % 2 == 0}));
    }
    for (int i = 0; i < 100; i++) {
        uint8_t track = (uint8_t)g_rand_int_range(random, 0, 3);
        note_t note = {.onset = at[track],
                       .pitch = (uint8_t)(20 * track + g_rand_int_range(random, 0, 20)),
                       .velocity = (uint8_t)g_rand_int_range(random, 1, 128)};
        note.length = g_rand_int_range(random, 0, 3) * g_rand_int_range(random, 0, 100000);
        note.channel = track;
        note.program = (uint8_t)(at[track] / 1000 % 128);
        note.track = track;
        at[track] += note.length + g_rand_int_range(random, 1, 300);
        g_array_append_val(song->notes, note);
        song->ticks = MAX(song->ticks, at[track]);
    }
    song_sort_notes(song);
    return song;
}

static song_t *read_back(const char *path) {
    GByteArray *file = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    size_t length;
    g_file_get_contents(path, &bytes, &length, &error);
    g_assert_no_error(error);
    g_byte_array_append(file, (const uint8_t *)bytes, (guint)length);
    return parse_file(file);
}

static void write_song(const song_t *song, const char *path) {
    g_autoptr(GError) error = NULL;
    midi_write(song, path, &error);
    g_assert_no_error(error);
}

static void test_write_and_read(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (int i = 0; i < 20; i++) {
        g_autoptr(song_t) song = random_song(random);
        write_song(song, "song.mid");
        g_autoptr(song_t) back = read_back("song.mid");
        g_assert_cmpint(back->ticks_per_beat, ==, song->ticks_per_beat);
        g_assert_cmpint(back->ticks, ==, song->ticks);
        g_assert_cmpuint(back->reading.tracks_cut, ==, 0);
        g_assert_cmpuint(back->notes->len, ==, song->notes->len);
        for (guint k = 0; k < song->notes->len; k++) {
            const note_t *a = note_at(song, k), *b = note_at(back, k);
            assert_note(back, k, a->pitch, a->onset, a->length);
            g_assert_cmpint(b->velocity, ==, a->velocity);
            g_assert_cmpint(b->channel, ==, a->channel);
            g_assert_cmpint(b->program, ==, a->program);
            g_assert_cmpint(b->track, ==, a->track + 1); /* behind the track of tempi and meters */
        }
        g_assert_cmpuint(back->tempi->len, ==, 4);
        g_assert_cmpuint(back->meters->len, ==, 4);
        g_assert_cmpuint(back->pedals->len, ==, 4);
        for (guint k = 0; k < 4; k++) {
            g_assert_cmpfloat(g_array_index(back->tempi, tempo_t, k).bpm, ==,
                              g_array_index(song->tempi, tempo_t, k).bpm);
            g_assert_cmpint(g_array_index(back->meters, meter_t, k).numerator, ==, (int)k + 1);
            g_assert_cmpint(g_array_index(back->meters, meter_t, k).denominator, ==, 1 << k);
            g_assert_cmpint(g_array_index(back->pedals, pedal_t, k).down, ==, k % 2 == 0);
            g_assert_cmpint(g_array_index(back->pedals, pedal_t, k).tick, ==, 1000 * (int)k);
        }
        g_assert_cmpstr(back->track_names->pdata[3], ==, "track 2");
        g_assert_cmpstr(back->texts->pdata[0], ==, "seed 7");
    }
}

static void test_long_texts(void) {
    g_autoptr(song_t) song = song_new(96);
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 300; i++) g_string_append(text, i % 7 ? "ö" : "x");
    g_ptr_array_add(song->texts, g_strdup(text->str));
    g_ptr_array_add(song->track_names, g_strdup("a"));
    write_song(song, "text.mid");
    g_autoptr(song_t) back = read_back("text.mid");
    g_assert_cmpuint(back->texts->len, ==, 1);
    g_assert_cmpstr(back->texts->pdata[0], ==, text->str);
}

static guint files_in(const char *folder) {
    guint n = 0;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    while (g_dir_read_name(dir)) n++;
    return n;
}

/* A disk that is full after 100 bytes: the error names path and cause, the old file stands, and no temporary
 * is left. */
static void test_full_disk(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    g_autoptr(song_t) small = song_new(96);
    g_autoptr(song_t) large = random_song(random);
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(g_mkdir_with_parents("full", 0777), ==, 0);
    write_song(small, "full/song.mid");
    const struct rlimit old = full_disk_begin(100);
    const gboolean written = midi_write(large, "full/song.mid", &error);
    full_disk_end(old);
    g_assert_false(written);
    g_assert_error(error, MIDI_ERROR, MIDI_ERROR_WRITE);
    g_assert_nonnull(strstr(error->message, "full/song.mid: cannot write"));
    g_assert_nonnull(strstr(error->message, g_strerror(EFBIG)));
    g_assert_cmpuint(files_in("full"), ==, 1);
    g_autoptr(song_t) back = read_back("full/song.mid");
    g_assert_cmpuint(back->notes->len, ==, 0);
}

static void test_write_refusals(void) {
    g_autoptr(song_t) song = song_new(96);
    g_autoptr(GError) missing = NULL, length = NULL;
    g_assert_false(midi_write(song, "no-such-folder/song.mid", &missing));
    g_assert_error(missing, MIDI_ERROR, MIDI_ERROR_WRITE);
    g_assert_nonnull(strstr(missing->message, "no-such-folder/song.mid: cannot write"));
    song->ticks = 1 << 28;
    g_assert_false(midi_write(song, "long.mid", &length));
    g_assert_error(length, MIDI_ERROR, MIDI_ERROR_WRITE);
    g_assert_nonnull(strstr(length->message, "2^28 ticks"));
    song->ticks--;
    write_song(song, "long.mid");
    g_autoptr(song_t) back = read_back("long.mid");
    g_assert_cmpint(back->ticks, ==, (1 << 28) - 1);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/midi/write-and-read", test_write_and_read);
    g_test_add_func("/midi/long-texts", test_long_texts);
    g_test_add_func("/midi/full-disk", test_full_disk);
    g_test_add_func("/midi/write-refusals", test_write_refusals);
    return g_test_run();
}
