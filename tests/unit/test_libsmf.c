/* midi_parse() beside libsmf: of sound files both read the same notes. libsmf gives events; they are paired
 * here by the plainest rule, which holds for songs whose notes do not overlap. */
#include <smf.h>
#include <string.h>

#include "preprocess/midi/midi.h"

static int compare_notes(gconstpointer a, gconstpointer b) {
    const note_t *x = a, *y = b;
    if (x->onset != y->onset) return x->onset < y->onset ? -1 : 1;
    if (x->track != y->track) return x->track - y->track;
    return x->channel != y->channel ? x->channel - y->channel : x->pitch - y->pitch;
}

/* The notes of a file by libsmf: onset, length, pitch, velocity, channel, track. */
static GArray *notes_of(const char *path) {
    GArray *notes = g_array_new(FALSE, TRUE, sizeof(note_t));
    smf_t *smf = smf_load(path);
    g_assert_nonnull(smf);
    for (int track = 1; track <= smf->number_of_tracks; track++) {
        const smf_track_t *events = smf_get_track_by_number(smf, track);
        guint open[16][128] = {{0}};
        for (int i = 1; i <= events->number_of_events; i++) {
            const smf_event_t *event = smf_track_get_event_by_number(events, i);
            const uint8_t *data = event->midi_buffer, channel = data[0] & 0x0F;
            if (data[0] >= 0xA0) continue;
            guint *at = &open[channel][data[1]];
            if (*at > 0) {
                note_t *note = &g_array_index(notes, note_t, *at - 1);
                note->length = event->time_pulses - note->onset;
            }
            *at = 0;
            if ((data[0] & 0xF0) == 0x80 || data[2] == 0) continue;
            note_t note = {.onset = event->time_pulses,
                           .pitch = data[1],
                           .velocity = data[2],
                           .channel = channel,
                           .track = (uint16_t)(track - 1)};
            g_array_append_val(notes, note);
            *at = notes->len;
        }
    }
    smf_delete(smf);
    g_array_sort(notes, compare_notes);
    return notes;
}

/* Notes of three tracks, none over another of its key. */
static song_t *random_song(GRand *random) {
    song_t *song = song_new(g_rand_int_range(random, 24, 1000));
    for (uint16_t track = 0; track < 3; track++) {
        g_ptr_array_add(song->track_names, g_strdup("track"));
        for (int64_t at = 0, i = 0; i < 100; i++) {
            note_t note = {.onset = at,
                           .length = g_rand_int_range(random, 1, 500),
                           .pitch = (uint8_t)g_rand_int_range(random, 0, 128),
                           .velocity = (uint8_t)g_rand_int_range(random, 1, 128),
                           .channel = (uint8_t)track,
                           .track = track};
            at += note.length + g_rand_int_range(random, 0, 2) * g_rand_int_range(random, 0, 20000);
            song->ticks = MAX(song->ticks, at);
            g_array_append_val(song->notes, note);
        }
    }
    song_sort_notes(song);
    return song;
}

static void test_sound_files(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (int i = 0; i < 20; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *bytes = NULL;
        gsize length;
        g_autoptr(song_t) song = random_song(random);
        midi_write(song, "song.mid", &error);
        g_assert_no_error(error);
        g_file_get_contents("song.mid", &bytes, &length, &error);
        g_autoptr(song_t) ours = midi_parse(bytes, length, &error);
        g_assert_no_error(error);
        g_autoptr(GArray) theirs = notes_of("song.mid");
        g_assert_cmpuint(ours->notes->len, ==, theirs->len);
        for (guint k = 0; k < theirs->len; k++) {
            const note_t *a = &g_array_index(ours->notes, note_t, k), *b = &g_array_index(theirs, note_t, k);
            g_assert_cmpint(a->onset, ==, b->onset);
            g_assert_cmpint(a->length, ==, b->length);
            g_assert_true(a->pitch == b->pitch && a->velocity == b->velocity && a->channel == b->channel &&
                          a->track == b->track);
        }
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/libsmf/sound-files", test_sound_files);
    return g_test_run();
}
