/* cut: silences and notes in songs made note by note. */
#include "preprocess/roll/cut.h"

enum { TICKS = 96, BAR = 4 * TICKS };

static void add_meter(song_t *song, int64_t tick, int numerator, int denominator) {
    meter_t meter = {.tick = tick, .numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    g_array_append_val(song->meters, meter);
}

static void add_note(song_t *song, int64_t onset, int64_t length) {
    note_t note = {.onset = onset, .length = length, .pitch = 60, .velocity = 64};
    g_array_append_val(song->notes, note);
    song->ticks = MAX(song->ticks, onset + length);
}

static int64_t onset_of(const song_t *song, guint i) { return g_array_index(song->notes, note_t, i).onset; }
static int64_t length_of(const song_t *song, guint i) { return g_array_index(song->notes, note_t, i).length; }

static void test_where_silence_is(void) {
    /* 20 bars before the first note, between notes and after the last one; each is cut to 16 */
    g_autoptr(song_t) song = song_new(TICKS);
    add_note(song, 20 * BAR, BAR);
    add_note(song, 41 * BAR, BAR);
    song->ticks = 62 * BAR;
    g_array_append_val(song->pedals, ((pedal_t){.tick = 62 * BAR}));
    g_assert_cmpint(cut_silences(song, 16, NULL), ==, 12);
    g_assert_cmpint(onset_of(song, 0), ==, 16 * BAR);
    g_assert_cmpint(onset_of(song, 1), ==, 33 * BAR);
    g_assert_cmpint(song->ticks, ==, 50 * BAR);
    g_assert_cmpint(g_array_index(song->pedals, pedal_t, 0).tick, ==, 50 * BAR);
    g_assert_cmpint(cut_silences(song, 16, NULL), ==, 0);
}

static void test_silence_that_stays(void) {
    /* a bar fewer, exactly as many, a tick more; a long note under the pause is none */
    static const struct {
        int64_t pause;
        int64_t cut;
    } cases[] = {{15 * BAR, 0}, {16 * BAR, 0}, {16 * BAR + 1, 1}, {17 * BAR, 1}, {17 * BAR + 1, 2}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(song_t) song = song_new(TICKS);
        add_note(song, 0, BAR);
        add_note(song, BAR + cases[i].pause, BAR);
        g_assert_cmpint(cut_silences(song, 16, NULL), ==, cases[i].cut);
        g_assert_cmpint(onset_of(song, 1), ==, BAR + cases[i].pause - cases[i].cut * BAR);
    }
    g_autoptr(song_t) held = song_new(TICKS);
    add_note(held, 0, 30 * BAR);
    add_note(held, TICKS, TICKS);
    add_note(held, 29 * BAR, TICKS);
    g_assert_cmpint(cut_silences(held, 16, NULL), ==, 0);
    g_assert_cmpint(cut_silences(held, 16, (const gboolean[]){FALSE, TRUE, TRUE}), ==, 13); /* without it */
    g_assert_cmpint(onset_of(held, 2), ==, 16 * BAR);
}

/* What follows keeps its place in its bar, though the pause begins and ends in the middle of bars. */
static void test_place_in_the_bar(void) {
    for (int64_t begin = 0; begin < BAR; begin += 32) {
        for (int64_t end = 0; end < BAR; end += 32) {
            g_autoptr(song_t) song = song_new(TICKS);
            add_note(song, 0, 1 + begin);
            add_note(song, 1000 * BAR + end, TICKS);
            int64_t cut = cut_silences(song, 16, NULL), pause = onset_of(song, 1) - 1 - begin;
            g_assert_cmpint(onset_of(song, 1), ==, 1000 * BAR + end - cut * BAR);
            g_assert_cmpint(pause, <=, 16 * BAR);
            g_assert_cmpint(pause, >, 14 * BAR);
        }
    }
}

static void test_meters(void) {
    /* the silence's own meter counts, not the first one's */
    g_autoptr(song_t) waltz = song_new(TICKS);
    add_meter(waltz, 0, 4, 4);
    add_meter(waltz, BAR, 3, 4);
    add_note(waltz, 0, BAR);
    add_note(waltz, BAR + 20 * 3 * TICKS, TICKS);
    g_assert_cmpint(cut_silences(waltz, 16, NULL), ==, 4);
    g_assert_cmpint(onset_of(waltz, 1), ==, BAR + 16 * 3 * TICKS);
    /* the meter changes in the silence: what is in force behind it is what was, and begins with a bar line */
    g_autoptr(song_t) change = song_new(TICKS);
    add_note(change, 0, BAR);
    add_meter(change, 50 * BAR, 3, 4);
    g_array_append_val(change->tempi, ((tempo_t){.tick = 40 * BAR, .bpm = 90}));
    g_array_append_val(change->tempi, ((tempo_t){.tick = 60 * BAR, .bpm = 70}));
    add_note(change, 50 * BAR + 30 * 3 * TICKS, TICKS);
    g_array_append_val(change->tempi, ((tempo_t){.tick = 80 * BAR, .bpm = 50}));
    g_assert_cmpint(cut_silences(change, 16, NULL), ==, 49 + 30 - 16);
    g_assert_cmpint(onset_of(change, 1), ==, 17 * BAR);
    g_assert_cmpint(g_array_index(change->meters, meter_t, 0).tick, ==, 17 * BAR);
    g_assert_cmpint(g_array_index(change->tempi, tempo_t, 0).tick, ==, 17 * BAR);
    g_assert_cmpint(g_array_index(change->tempi, tempo_t, 1).tick, ==, 17 * BAR);
    g_assert_cmpint(g_array_index(change->tempi, tempo_t, 2).tick, ==,
                    17 * BAR + 80 * BAR - (50 * BAR + 30 * 3 * TICKS));
    /* bars of no whole number of ticks */
    g_autoptr(song_t) coarse = song_new(1);
    add_meter(coarse, 0, 3, 8);
    add_note(coarse, 0, 3);
    add_note(coarse, 300, 3);
    g_assert_cmpint(cut_silences(coarse, 16, NULL), ==, 198 - 16);
    g_assert_cmpint(onset_of(coarse, 1), ==, 3 + 24);
}

static void test_any_times(void) {
    static const int ticks[] = {1, 96, 480, 32767};
    for (size_t i = 0; i < G_N_ELEMENTS(ticks); i++) {
        g_autoptr(song_t) song = song_new(ticks[i]);
        add_meter(song, 0, 255, 1);
        add_meter(song, 7, 1, 128);
        add_note(song, 0, 5);
        add_note(song, (int64_t)1 << 47, 5);
        song->ticks = (int64_t)1 << 48;
        g_assert_cmpint(cut_silences(song, 16, NULL), >, 0);
        g_assert_cmpint(onset_of(song, 1), <=,
                        5 + 2 + (16 * (int64_t)ticks[i] + 31) / 32 + 255 * 4 * (int64_t)ticks[i]);
        g_assert_cmpint(onset_of(song, 1), >=, 5);
        g_assert_cmpint(song->ticks, >=, onset_of(song, 1) + 5);
    }
}

static void test_notes(void) {
    gboolean cut[4] = {FALSE};
    g_autoptr(song_t) song = song_new(TICKS);
    add_meter(song, 0, 4, 4);
    add_meter(song, 40 * BAR, 3, 4);
    add_note(song, 0, 64 * BAR); /* 40 bars and the time of 32 of the other meter */
    add_note(song, 0, 40 * BAR + 24 * 3 * TICKS);
    add_note(song, 40 * BAR, 64 * 3 * TICKS + 1);
    add_note(song, 41 * BAR, (int64_t)1 << 47);
    cut_notes(song, 64, cut);
    g_assert_true(cut[0] && !cut[1] && cut[2] && cut[3]);
    g_assert_cmpint(length_of(song, 0), ==, 40 * BAR + 24 * 3 * TICKS);
    g_assert_cmpint(length_of(song, 1), ==, 40 * BAR + 24 * 3 * TICKS);
    g_assert_cmpint(length_of(song, 2), ==, 64 * 3 * TICKS);
    g_assert_cmpint(length_of(song, 3), ==, 64 * 3 * TICKS);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cut/where-silence-is", test_where_silence_is);
    g_test_add_func("/cut/silence-that-stays", test_silence_that_stays);
    g_test_add_func("/cut/place-in-the-bar", test_place_in_the_bar);
    g_test_add_func("/cut/meters", test_meters);
    g_test_add_func("/cut/any-times", test_any_times);
    g_test_add_func("/cut/notes", test_notes);
    return g_test_run();
}
