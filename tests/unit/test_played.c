/* How onsets were played: offsets and velocities of notes, in the order of the roll's bits, whatever happens
 * to the notes on their way. */
#include <math.h>

#include "preprocess/roll/played.h"
#include "tests/helpers/roll_text.h"

static void add_played(song_t *song, int channel, int pitch, int64_t onset, uint8_t velocity) {
    const note_t note = {.onset = onset,
                         .length = 100,
                         .pitch = (uint8_t)pitch,
                         .velocity = velocity,
                         .channel = (uint8_t)channel};
    g_array_append_val(song->notes, note);
    song_sort_notes(song);
}

static void assert_played(const GArray *played, const played_t *wanted, guint n) {
    g_assert_cmpuint(played->len, ==, n);
    for (guint i = 0; i < n; i++) {
        g_assert_cmpint(g_array_index(played, played_t, i).velocity, ==, wanted[i].velocity);
        g_assert_cmpint(g_array_index(played, played_t, i).offset, ==, wanted[i].offset);
    }
}

static GArray *played_of(song_t *song, const grid_t *grid, const cut_t *cut) {
    roll_counts_t counts;
    GArray *played = g_array_new(FALSE, FALSE, sizeof(played_t));
    g_autoptr(GError) error = NULL;
    g_autoptr(roll_t) roll = roll_from_song(song, grid, cut, &counts, played, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(played->len, ==, roll_count_onsets(roll->bits, roll->frames, grid));
    return played;
}

/* A frame has 120 ticks: 60 before it are its own, 60 after it the next one's. */
static void test_offsets(void) {
    static const struct {
        int64_t onset;
        int offset;
    } notes[] = {{0, 0}, {59, 126}, {60, -128}, {119, -2}, {120, 0}, {135, 32}, {105, -32}, {480000, 0}};
    g_autoptr(song_t) song = song_with(0);
    for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
        const note_t note = {.onset = notes[i].onset, .velocity = (uint8_t)(i + 1)};
        const played_t how = played_of_note(song, &note, 4);
        g_assert_cmpint(how.offset, ==, notes[i].offset);
        g_assert_cmpuint(how.velocity, ==, i + 1);
    }
    song->ticks_per_beat = 30000; /* what rounds to half a frame is cut */
    g_assert_cmpint(played_of_note(song, &(note_t){.onset = 3749, .velocity = 1}, 4).offset, ==, 127);
    for (int64_t onset = 0; onset < 30000; onset++) { /* frame and offset say where the note is */
        const note_t note = {.onset = onset, .velocity = 1};
        const double frames =
            (double)song_frame(song, onset, 4) + (double)played_of_note(song, &note, 4).offset / PLAYED_UNITS;
        g_assert_cmpfloat(fabs(frames - (double)onset / 7500), <=, 1.01 / PLAYED_UNITS);
    }
}

/* By frame, then track, then pitch; of notes that share an onset the loudest counts, then the earliest. */
static void test_order(void) {
    const grid_t grid = grid_of("melody,drums", 4, 21, 88);
    g_autoptr(song_t) song = song_with(2000);
    add_played(song, MIDI_DRUM_CHANNEL, 36, 0, 10);
    add_played(song, 0, 72, 30, 20);  /* later than the drum, in the same frame, and before it in the roll */
    add_played(song, 0, 60, 45, 30);  /* later and lower */
    add_played(song, 0, 64, 240, 40); /* shares its onset with two louder ones */
    add_played(song, 0, 64, 255, 90);
    add_played(song, 0, 64, 270, 90);
    add_played(song, 0, 62, 225, 50);
    add_played(song, 0, 10, 300, 99); /* out of range */
    g_autoptr(GArray) played = played_of(song, &grid, NULL);
    assert_played(played, (const played_t[]){{30, 96}, {20, 64}, {10, 0}, {50, -32}, {90, 32}}, 5);
}

/* Silence that is cut out moves notes by whole bars, and notes that are cut short begin where they did. */
static void test_cut(void) {
    const grid_t grid = grid_of("merged", 4, 21, 88);
    const cut_t cut = cut_default();
    g_autoptr(song_t) song = song_with(0);
    const int64_t far = (int64_t)60 * 4 * TICKS;
    add_played(song, 0, 60, 15, 33);
    add_played(song, 0, 64, far - 30, 44);
    add_played(song, 0, 62, far + 120 + 45, 55);
    song->ticks = far + 1000;
    g_autoptr(GArray) played = played_of(song, &grid, &cut);
    assert_played(played, (const played_t[]){{33, 32}, {44, -64}, {55, 96}}, 3);
}

/* Transposed, onsets keep their order. */
static void test_transposed(void) {
    const grid_t grid = grid_of("melody,drums", 4, 21, 88);
    g_autoptr(GArray) first = NULL;
    for (int semitones = 0; semitones < 24; semitones++) {
        g_autoptr(song_t) song = song_with(2000);
        for (int i = 0; i < 40; i++)
            add_played(song, 0, 40 + 7 * i % 30 + semitones, 37 * i, (uint8_t)(1 + 3 * i));
        for (int i = 0; i < 10; i++)
            add_played(song, MIDI_DRUM_CHANNEL, 40 + i, 91 * i, (uint8_t)(10 * i + 1));
        GArray *played = played_of(song, &grid, NULL);
        if (first) {
            assert_played(played, (const played_t *)(void *)first->data, first->len);
            g_array_unref(played);
        } else {
            first = played;
        }
    }
}

static played_t *random_played(GRand *random, size_t n) {
    played_t *played = g_new(played_t, n);
    for (size_t i = 0; i < n; i++)
        played[i] = (played_t){(uint8_t)g_rand_int_range(random, 1, 128),
                               (int8_t)g_rand_int_range(random, INT8_MIN, INT8_MAX + 1)};
    return played;
}

static song_t *play_roll(const roll_t *roll, const grid_t *grid, const played_t *played, double amount) {
    g_autoptr(timeline_t) timeline = timeline_new(grid->steps_per_beat, 120, (meter_t){0, 4, 4});
    song_t *song = roll_to_song(roll, grid, timeline);
    if (played) played_to_song(played, amount, grid->steps_per_beat, song);
    return song;
}

/* Played with any amount, a roll stays the same on the grid, no note begins before the song or lies over the
 * next one of its key; at amount 1 velocities are those asked for, offsets too, as far as they may go. */
static void test_played_roll(void) {
    static const double amounts[] = {0.5, 1, 2};
    static const int grids[] = {4, 24, 96};
    g_autoptr(GRand) random = g_rand_new_with_seed(8);
    for (size_t i = 0; i < 30; i++) {
        const grid_t grid = grid_of(i % 2 ? "merged" : "melody,bass,drums", grids[i % 3], 40, 20);
        const double amount = amounts[i / 3 % 3];
        g_autoptr(roll_t) roll = random_roll(random, &grid, 64);
        roll_make_canonical(roll);
        const size_t n = roll_count_onsets(roll->bits, roll->frames, &grid);
        g_autofree played_t *played = random_played(random, n);
        g_autoptr(song_t) song = play_roll(roll, &grid, played, amount);
        g_assert_cmpuint(song->notes->len, ==, n);
        const int64_t frame = song->ticks_per_beat / grid.steps_per_beat;
        int64_t end[3][128] = {0};
        for (guint k = 0; k < n; k++) {
            const note_t *note = &g_array_index(song->notes, note_t, k);
            g_assert_true(note->onset >= 0 && note->length > 0 && note->velocity > 0 && note->velocity < 128);
            g_assert_cmpint(note->onset, >=, end[note->track][note->pitch]);
            end[note->track][note->pitch] = note->onset + note->length;
        }
        roll_counts_t counts;
        g_autoptr(GArray) back = g_array_new(FALSE, FALSE, sizeof(played_t));
        g_autoptr(GByteArray) bytes = midi_to_bytes(song, NULL);
        g_autoptr(song_t) read = midi_parse(bytes->data, bytes->len, NULL);
        g_autoptr(roll_t) again = roll_from_song(read, &grid, NULL, &counts, back, NULL);
        assert_same_roll(again, roll);
        for (guint k = 0; amount == 1 && k < n; k++) {
            const played_t how = g_array_index(back, played_t, k);
            const double most = ((double)frame / 2 - 1) * PLAYED_UNITS / (double)frame,
                         wanted = CLAMP(played[k].offset, -most, most);
            g_assert_cmpint(how.velocity, ==, played[k].velocity);
            g_assert_true(fabs(how.offset - wanted) <= 1 + (double)PLAYED_UNITS / (double)frame ||
                          how.offset == 0); /* a note before the song begins with it */
        }
    }
}

/* Amount 0 gives the grid back, byte by byte. */
static void test_not_played(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(9);
    const grid_t grid = grid_of("melody,drums", 4, 40, 20);
    g_autoptr(roll_t) roll = random_roll(random, &grid, 64);
    roll_make_canonical(roll);
    g_autofree played_t *played = random_played(random, roll_count_onsets(roll->bits, roll->frames, &grid));
    g_autoptr(song_t) typed = play_roll(roll, &grid, NULL, 0), song = play_roll(roll, &grid, played, 0);
    g_autoptr(GByteArray) a = midi_to_bytes(typed, NULL), b = midi_to_bytes(song, NULL);
    g_assert_cmpuint(a->len, ==, b->len);
    g_assert_true(memcmp(a->data, b->data, a->len) == 0);
}

static void test_sums(void) {
    played_sums_t sums = {0};
    g_assert_cmpfloat(played_velocity_sd(&sums), ==, 0);
    played_add(&sums, (const played_t[]){{60, 64}, {100, 0}}, 2);
    played_add(&sums, (const played_t[]){{80, -64}}, 1);
    g_assert_cmpfloat(sums.n, ==, 3);
    g_assert_cmpfloat(sums.velocity, ==, 240);
    g_assert_cmpfloat(sums.offset, ==, 0);
    g_assert_cmpfloat(fabs(played_velocity_sd(&sums) - sqrt(800.0 / 3)), <, 1e-9);
    g_assert_cmpfloat(fabs(played_offset_sd(&sums) - sqrt(0.125 / 3)), <, 1e-9);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/played/offsets", test_offsets);
    g_test_add_func("/played/order", test_order);
    g_test_add_func("/played/cut", test_cut);
    g_test_add_func("/played/transposed", test_transposed);
    g_test_add_func("/played/roll", test_played_roll);
    g_test_add_func("/played/not-played", test_not_played);
    g_test_add_func("/played/sums", test_sums);
    return g_test_run();
}
