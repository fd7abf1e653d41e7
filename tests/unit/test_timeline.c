/* Tests of preprocess/timeline: from songs, slices, joins and back into songs; bars of meters that change, of
 * pickups, and of bars that are not whole frames; seconds. */
#include "preprocess/roll/timeline.h"

#include <math.h>
#include <string.h>

enum { BEAT = 480 };

static void add_meter(song_t *song, int64_t tick, int numerator, int denominator) {
    const meter_t meter = {
        .tick = tick, .numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    g_array_append_val(song->meters, meter);
}

static void add_tempo(song_t *song, int64_t tick, double bpm) {
    const tempo_t tempo = {.tick = tick, .bpm = bpm};
    g_array_append_val(song->tempi, tempo);
}

/* "0:4/4 32:3/4 | 0:120 24:90" */
static char *text_of(const timeline_t *timeline) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_change_t *meter = &g_array_index(timeline->meters, meter_change_t, i);
        g_string_append_printf(text, "%" G_GINT64_FORMAT ":%d/%d ", meter->frame, meter->numerator,
                               meter->denominator);
    }
    g_string_append_c(text, '|');
    for (guint i = 0; i < timeline->tempi->len; i++) {
        const tempo_change_t *tempo = &g_array_index(timeline->tempi, tempo_change_t, i);
        g_string_append_printf(text, " %" G_GINT64_FORMAT ":%g", tempo->frame, tempo->bpm);
    }
    g_assert_true(timeline_rows_valid(
        (const tempo_change_t *)(void *)timeline->tempi->data, timeline->tempi->len,
        (const meter_change_t *)(void *)timeline->meters->data, timeline->meters->len, INT64_MAX));
    return g_string_free(text, FALSE);
}

static void assert_is(const timeline_t *timeline, const char *wanted) {
    g_autofree char *text = text_of(timeline);
    g_assert_cmpstr(text, ==, wanted);
}

static void test_from_song(void) {
    g_autoptr(song_t) song = song_new(BEAT);
    g_autoptr(timeline_t) none = timeline_from_song(song, 4, 100);
    assert_is(none, "0:4/4 | 0:120");
    add_meter(song, 8 * BEAT, 3, 4);  /* MIDI's own until then */
    add_meter(song, 11 * BEAT, 3, 4); /* none: not a change */
    add_meter(song, 20 * BEAT, 6, 8);
    add_meter(song, 25 * BEAT, 2, 4); /* at the song's end */
    add_tempo(song, 1, 100);          /* within the first frame */
    add_tempo(song, 59, 101);         /* still nearest to it */
    add_tempo(song, 60, 102);         /* halves up */
    add_tempo(song, 100, 103);        /* the same frame: the last one counts */
    add_tempo(song, 4 * BEAT, 80);
    add_tempo(song, 4 * BEAT + 1, 103); /* and that is no change */
    g_autoptr(timeline_t) timeline = timeline_from_song(song, 4, 100);
    assert_is(timeline, "0:4/4 32:3/4 80:6/8 | 0:101 1:103");
    g_autoptr(timeline_t) coarse = timeline_from_song(song, 1, 25);
    assert_is(coarse, "0:4/4 8:3/4 20:6/8 | 0:103");
    timeline_set_meter(timeline, (meter_t){0, 5, 8});
    timeline_set_tempo(timeline, 60);
    assert_is(timeline, "0:5/8 | 0:60");
}

/* Hundreds of changes, a frame apart, there and back. */
static void test_ramp(void) {
    g_autoptr(song_t) song = song_new(24 * 4), back = song_new(24 * 4);
    for (int i = 0; i < 999; i++) add_tempo(song, 24 * i, 40 + i / 7.0);
    g_autoptr(timeline_t) timeline = timeline_from_song(song, 4, 1000);
    g_assert_cmpuint(timeline->tempi->len, ==, 999);
    timeline_to_song(timeline, back);
    g_assert_cmpuint(back->tempi->len, ==, 999);
    g_assert_true(memcmp(back->tempi->data, song->tempi->data, 999 * sizeof(tempo_t)) == 0);
    g_assert_cmpuint(back->meters->len, ==, 1);
    double seconds = 0;
    for (int i = 0; i < 1000; i++) seconds += 15 / (40 + MIN(i, 998) / 7.0);
    g_assert_cmpfloat_with_epsilon(timeline_seconds(timeline, 1000), seconds, 1e-9);
    g_assert_cmpfloat_with_epsilon(timeline_seconds(timeline, 1), 15 / 40.0, 1e-12);
    g_assert_cmpfloat(timeline_seconds(timeline, 0), ==, 0);
}

static timeline_t *make_timeline(int steps) {
    g_autoptr(song_t) song = song_new(BEAT);
    add_meter(song, 0, 1, 4); /* a pickup */
    add_meter(song, 1 * BEAT, 4, 4);
    add_meter(song, 9 * BEAT, 3, 4);
    add_meter(song, 17 * BEAT, 6, 8); /* within the third bar */
    add_tempo(song, 0, 120);
    add_tempo(song, 10 * BEAT, 60);
    return timeline_from_song(song, steps, 1000);
}

static void test_slices(void) {
    g_autoptr(timeline_t) timeline = make_timeline(4);
    assert_is(timeline, "0:1/4 4:4/4 36:3/4 68:6/8 | 0:120 40:60");
    g_autoptr(timeline_t) head = timeline_slice(timeline, 0, 36), middle = timeline_slice(timeline, 20, 30),
                          tail = timeline_slice(timeline, 68, 1), past = timeline_slice(timeline, 500, 8);
    assert_is(head, "0:1/4 4:4/4 | 0:120");
    assert_is(middle, "0:4/4 16:3/4 | 0:120 20:60");
    assert_is(tail, "0:6/8 | 0:60");
    assert_is(past, "0:6/8 | 0:60");
    timeline_append(head, 52, middle);
    assert_is(head, "0:1/4 4:4/4 68:3/4 | 0:120 72:60");
    timeline_append(head, 68, tail); /* in the place of what begins there */
    g_autoptr(timeline_t) same = timeline_slice(head, 0, 1000), other = timeline_slice(head, 0, 70);
    g_assert_true(timeline_equal(head, same));
    g_assert_false(timeline_equal(head, other) || timeline_equal(tail, head));
}

/* Slice and rest, joined again, are the whole: at each bar line of a random song. */
static void test_joins(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (int round = 0; round < 200; round++) {
        g_autoptr(song_t) song = song_new(BEAT);
        for (int64_t tick = 0; tick < 100 * BEAT; tick += g_rand_int_range(random, 1, 12 * BEAT)) {
            add_meter(song, tick, g_rand_int_range(random, 1, 8), 1 << g_rand_int_range(random, 0, 5));
            add_tempo(song, tick / 2, g_rand_int_range(random, 40, 240));
        }
        g_autoptr(timeline_t) timeline = timeline_from_song(song, 4, 400);
        const int64_t cut = g_rand_int_range(random, 1, 399);
        g_autoptr(timeline_t) head = timeline_slice(timeline, 0, cut),
                              tail = timeline_slice(timeline, cut, 400 - cut);
        timeline_append(head, cut, tail);
        g_assert_true(timeline_equal(head, timeline));
    }
}

static void test_bars(void) {
    g_autoptr(timeline_t) timeline = make_timeline(4);
    static const double lines[] = {0, 4, 20, 36, 48, 60, 68, 80, 92}; /* the sixth is cut short */
    g_autoptr(GArray) bars = timeline_bars(timeline, 93);
    g_assert_cmpuint(bars->len, ==, G_N_ELEMENTS(lines));
    for (guint i = 0; i < bars->len; i++) {
        g_assert_cmpfloat(g_array_index(bars, bar_t, i).frame, ==, lines[i]);
        g_assert_cmpfloat(timeline_bar_frame(timeline, i), ==, lines[i]);
        g_assert_cmpfloat(timeline_bar_at(timeline, lines[i]), ==, i);
    }
    g_assert_cmpfloat(g_array_index(bars, bar_t, 5).frames, ==, 12);
    g_assert_cmpint(g_array_index(bars, bar_t, 5).meter.numerator, ==, 3);
    g_assert_cmpint(g_array_index(bars, bar_t, 6).meter.numerator, ==, 6);
    g_assert_cmpfloat(timeline_bar_at(timeline, 64), ==, 5.5); /* half of what there is of it */
    g_assert_cmpfloat(timeline_bar_at(timeline, 12), ==, 1.5);
    g_assert_cmpfloat(timeline_bar_at(timeline, 98), ==, 8.5);
    g_assert_cmpfloat(timeline_bar_frame(timeline, 1006), ==, 68 + 12 * 1000);
    g_autoptr(GArray) none = timeline_bars(timeline, 0), first = timeline_bars(timeline, 1),
                      two = timeline_bars(timeline, 20);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_cmpuint(first->len, ==, 1);
    g_assert_cmpuint(two->len, ==, 2);
}

/* A bar of 3/8 is 4.5 frames where a beat is three: three bars before a change that lies on frame 14 in place
 * of 13.5 are three bars. */
static void test_fractions(void) {
    for (int bars = 1; bars < 40; bars++) {
        g_autoptr(song_t) song = song_new(BEAT);
        add_meter(song, 0, 3, 8);
        add_meter(song, bars * BEAT * 3 / 2, 4, 4);
        add_meter(song, bars * BEAT * 3 / 2 + 4 * BEAT, 3, 8);
        add_meter(song, bars * BEAT * 3 + 4 * BEAT, 4, 4);
        for (int steps = 1; steps <= 8; steps++) {
            g_autoptr(timeline_t) timeline = timeline_from_song(song, steps, 10000);
            const double change = floor(1.5 * bars * steps + 0.5);
            g_assert_cmpfloat(timeline_bar_frame(timeline, (size_t)bars), ==, change);
            g_assert_cmpfloat(timeline_bar_at(timeline, change), ==, bars);
            g_assert_cmpfloat(timeline_bar_frame(timeline, (size_t)bars + 1), ==, change + 4 * steps);
            g_assert_cmpfloat(timeline_bar_frame(timeline, 2 * (size_t)bars + 1), ==,
                              3 * bars * steps + 4 * steps);
            g_autoptr(GArray) all = timeline_bars(timeline, 3 * bars * steps + 4 * steps);
            g_assert_cmpint((int)all->len, ==, 2 * bars + 1);
        }
    }
    g_autoptr(timeline_t) tiny = timeline_new(1, 120, (meter_t){0, 1, 64}); /* a bar is a frame at least */
    g_assert_cmpfloat(timeline_bar_frame(tiny, 7), ==, 7);
}

/* Bars rise, and each frame lies in the bar that the list says, whatever the meters. */
static void test_bars_agree(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (int round = 0; round < 200; round++) {
        g_autoptr(song_t) song = song_new(BEAT);
        for (int64_t tick = 0; tick < 60 * BEAT; tick += g_rand_int_range(random, 1, 9 * BEAT))
            add_meter(song, tick, g_rand_int_range(random, 1, 13), 1 << g_rand_int_range(random, 0, 6));
        g_autoptr(timeline_t) timeline = timeline_from_song(song, g_rand_int_range(random, 1, 13), 300);
        g_autoptr(GArray) bars = timeline_bars(timeline, 300);
        for (guint i = 0; i < bars->len; i++) {
            const bar_t *bar = &g_array_index(bars, bar_t, i);
            g_assert_cmpfloat(bar->frame, <, 300);
            g_assert_true(i == 0 ? bar->frame == 0 : bar->frame > bar[-1].frame);
            g_assert_cmpfloat_with_epsilon(timeline_bar_frame(timeline, i), bar->frame, 1e-9);
            g_assert_cmpfloat_with_epsilon(timeline_bar_at(timeline, bar->frame), i, 1e-6);
        }
        g_assert_cmpfloat(timeline_bar_frame(timeline, bars->len), >=, 300 - 1e-6);
        for (int frame = 0; frame < 300; frame++) {
            const double at = timeline_bar_at(timeline, frame);
            const guint bar = (guint)floor(at + 1e-6);
            g_assert_cmpfloat(g_array_index(bars, bar_t, bar).frame, <=, frame + 1e-6);
            g_assert_cmpfloat(timeline_bar_frame(timeline, bar + 1), >, frame - 1e-6);
        }
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/timeline/from-song", test_from_song);
    g_test_add_func("/timeline/ramp", test_ramp);
    g_test_add_func("/timeline/slices", test_slices);
    g_test_add_func("/timeline/joins", test_joins);
    g_test_add_func("/timeline/bars", test_bars);
    g_test_add_func("/timeline/fractions", test_fractions);
    g_test_add_func("/timeline/bars-agree", test_bars_agree);
    return g_test_run();
}
