/* Where frames are in their bars: rows of places and lags in bars against bars counted by hand. */
#include "trainer/model/place.h"

static model_config_t config_of(size_t bar) {
    return (model_config_t){
        .kind = MODEL_SEQUENCE,
        .sequence = {.bar = bar, .bar_lags = {1, 2}, .n_bar_lags = 2, .lags = {1}, .n_lags = 1}};
}

/* rows[1] as frames left, without the first table. */
static void assert_place(meters_t meters, size_t frame, size_t bar, size_t since, size_t left, size_t back,
                         size_t further) {
    const model_config_t config = config_of(bar);
    place_t place;
    place_find(meters, frame, &config, &place);
    g_assert_cmpuint(place.rows[0], ==, since);
    g_assert_cmpuint(place.rows[1], ==, bar + left - 1);
    g_assert_cmpuint(place.back[0], ==, back);
    g_assert_cmpuint(place.back[1], ==, further);
}

/* Four frames a quarter: two bars of 3/4 (12 frames), one of 4/4 (16) that is cut to 8, then 6/8 (12). */
static void test_meters(void) {
    static const meter_change_t rows[] = {{0, 3, 4}, {24, 4, 4}, {32, 6, 8}};
    const meters_t meters = {4, rows, 3, 0};
    assert_place(meters, 0, 16, 0, 12, 0, 0);
    assert_place(meters, 11, 16, 11, 1, 0, 0);
    assert_place(meters, 12, 16, 0, 12, 12, 0);
    assert_place(meters, 23, 16, 11, 1, 12, 0);
    assert_place(meters, 24, 16, 0, 8, 12, 24);
    assert_place(meters, 31, 16, 7, 1, 12, 24);
    assert_place(meters, 32, 16, 0, 12, 8, 20);
    assert_place(meters, 40, 16, 8, 4, 0, 20); /* the bar before has 8 frames */
    assert_place(meters, 44, 16, 0, 12, 12, 20);
    assert_place(meters, 32 + 12 * 1000 + 5, 16, 5, 7, 12, 24); /* the last meter goes on */
}

/* Bars of more frames than are told apart; lags beyond the model's context are none. */
static void test_long_bars(void) {
    static const meter_change_t rows[] = {{0, 4, 4}};
    const meters_t meters = {4, rows, 1, 0};
    assert_place(meters, 16, 10, 0, 10, 16, 0);
    assert_place(meters, 25, 10, 9, 7, 16, 0);
    assert_place(meters, 27, 10, 9, 5, 16, 0);
    assert_place(meters, 32, 10, 0, 10, 16, 0); /* 32 is more than 2 bars of 10 frames */
    assert_place(meters, 32, 16, 0, 16, 16, 32);
}

/* 5/8 at one frame a quarter: bars of 2.5 frames begin at 0, 2, 5, 7, 10. */
static void test_broken_bars(void) {
    static const meter_change_t rows[] = {{0, 5, 8}};
    const meters_t meters = {1, rows, 1, 0};
    assert_place(meters, 1, 4, 1, 1, 0, 0);
    assert_place(meters, 2, 4, 0, 3, 2, 0);
    assert_place(meters, 4, 4, 2, 1, 0, 0); /* the bar before has two frames */
    assert_place(meters, 5, 4, 0, 2, 3, 5);
    assert_place(meters, 9, 4, 2, 1, 0, 5);
}

static void assert_in_song(meters_t meters, size_t frame, size_t before, size_t after) {
    const model_config_t config = config_of(10);
    place_t place;
    place_find(meters, frame, &config, &place);
    g_assert_cmpuint(place.rows[2], ==, 2 * 10 + before);
    g_assert_cmpuint(place.rows[3], ==, 2 * 10 + PLACE_BARS + after);
}

/* 4/4 in 4 frames a quarter, then 2/4: bars of 16 and of 8 frames. */
static void test_in_song(void) {
    static const meter_change_t rows[] = {{0, 4, 4}, {32, 2, 4}};
    meters_t meters = {4, rows, 2, 32 + 20};
    assert_in_song(meters, 0, 0, 3);  /* 36 frames are left after this bar */
    assert_in_song(meters, 31, 1, 2); /* 20 */
    assert_in_song(meters, 32, 4, 2); /* 12 frames are 2 bars of 8 */
    assert_in_song(meters, 51, 6, 0);
    assert_in_song(meters, 100, 12, 0); /* after the song */
    meters.frames = 16 * 16;
    assert_in_song(meters, 15, 0, PLACE_BARS - 1);
    meters.frames = 1 << 20;
    assert_in_song(meters, 1 << 19, PLACE_BARS - 1, PLACE_BARS - 1);
    meters.frames = 0;
    assert_in_song(meters, 0, 0, PLACE_BARS - 1);
    const model_config_t config = config_of(10), none = config_of(0);
    g_assert_cmpuint(place_table_rows(&config), ==, 2 * (10 + PLACE_BARS));
    g_assert_cmpuint(place_table_rows(&none), ==, 0);
}

/* The same bars as the timeline's. */
static void test_as_timeline(void) {
    static const tempo_change_t tempo = {0, 120};
    static const meter_change_t rows[] = {{0, 1, 4}, {4, 4, 4}, {30, 5, 8}, {53, 7, 16}, {99, 3, 4}};
    for (int steps = 1; steps <= 6; steps++) {
        g_autoptr(timeline_t) timeline = timeline_from_rows(steps, &tempo, 1, rows, G_N_ELEMENTS(rows));
        g_autoptr(GArray) bars = timeline_bars(timeline, 200);
        const meters_t meters = timeline_meters(timeline, 0);
        for (guint b = 0; b + 1 < bars->len; b++) {
            const int64_t first = (int64_t)(g_array_index(bars, bar_t, b).frame + 1e-9),
                          next = (int64_t)(g_array_index(bars, bar_t, b + 1).frame + 1e-9);
            for (int64_t t = first; t < next; t++) {
                bar_span_t bar = meters_bar(meters, t);
                g_assert_cmpint(bar.first, ==, first);
                g_assert_cmpint(bar.end, ==, next);
                g_assert_true(meters_bar_before(meters, &bar) == (b > 0));
                if (b > 0) g_assert_cmpint(bar.end, ==, first);
            }
        }
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/meters", test_meters);
    g_test_add_func("/place/long-bars", test_long_bars);
    g_test_add_func("/place/broken-bars", test_broken_bars);
    g_test_add_func("/place/in-song", test_in_song);
    g_test_add_func("/place/as-timeline", test_as_timeline);
    return g_test_run();
}
