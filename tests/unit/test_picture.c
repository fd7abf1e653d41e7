/* Pictures: their size and kind, one rectangle a note in the SVG, the same bytes every time, and odd rolls:
 * empty, drums only, very long. */
#include <math.h>
#include <string.h>

#include "sampler/show/picture.h"
#include "sampler/show/picture_distributions.h"

static timeline_t *four_four; /* made in main() */

static grid_t grid_of(const char *tracks) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

/* A note every four frames in each track, three frames long, then one repeated at once. */
static roll_t *make_roll(const grid_t *grid, size_t frames, size_t *notes) {
    roll_t *roll = roll_new(frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    *notes = 0;
    for (size_t k = 0; k < roll->tracks; k++)
        for (size_t t = 0; t + 4 <= frames; t += 4, *notes += 2) {
            const size_t p = 20 + (t * 5 + k * 7) % 30;
            for (size_t i = 0; i < 4; i++) roll_set(roll, t + i, k, PLANE_SOUNDING, p);
            roll_set(roll, t + 3, k, PLANE_ONSET, p);
        }
    roll_make_canonical(roll);
    for (size_t k = 0; k < roll->tracks; k++) /* neighbours of one pitch stay two notes */
        for (size_t t = 0; t + 4 <= frames; t += 4)
            roll_set(roll, t, k, PLANE_ONSET, 20 + (t * 5 + k * 7) % 30);
    return roll;
}

static void png_size(GBytes *png, guint32 *width, guint32 *height) {
    gsize length;
    const guint8 *bytes = g_bytes_get_data(png, &length);
    g_assert_cmpuint(length, >, 64);
    g_assert_true(memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0);
    g_assert_true(memcmp(bytes + 12, "IHDR", 4) == 0);
    *width = (guint32)bytes[16] << 24 | (guint32)bytes[17] << 16 | (guint32)bytes[18] << 8 | bytes[19];
    *height = (guint32)bytes[20] << 24 | (guint32)bytes[21] << 16 | (guint32)bytes[22] << 8 | bytes[23];
}

/* Matches of a pattern in an SVG. */
static guint count_in(GBytes *svg, const char *pattern) {
    gsize length;
    const char *bytes = g_bytes_get_data(svg, &length);
    g_autofree char *text = g_strndup(bytes, length);
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    guint n = 0;
    g_assert_true(g_regex_match(regex, text, 0, &match) || TRUE);
    for (; g_match_info_matches(match); g_match_info_next(match, NULL)) n++;
    return n;
}

static const char NOTE[] = "fill-opacity(:|=\")0\\.92"; /* only notes are drawn so */

static void test_notes(void) {
    const char *const tracks[] = {"merged", "melody,chords,bass", "melody,chords,bass,drums", "drums"};
    for (size_t i = 0; i < G_N_ELEMENTS(tracks); i++) {
        const grid_t grid = grid_of(tracks[i]);
        size_t notes;
        g_autoptr(roll_t) roll = make_roll(&grid, 64, &notes);
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) svg = picture_roll(roll, NULL, &grid, four_four, "title", PICTURE_SVG, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(count_in(svg, "<svg"), ==, 1);
        g_assert_cmpuint(count_in(svg, NOTE), ==, notes);
    }
}

/* Of the first track's colour: given notes are paler than written ones, and the legend has both. */
static void test_given(void) {
    static const char PALE[] = "rgb\\(60%, ?78%, ?88%\\);?\"? ?fill-opacity(:|=\")0\\.92",
                      FULL[] = "rgb\\(0%, ?45%, ?70%\\);?\"? ?fill-opacity(:|=\")0\\.92",
                      SWATCH[] = "rgb\\(60%, ?78%, ?88%\\);?\"? ?fill-opacity(:|=\")1";
    const char *const tracks[] = {"merged", "melody,chords,bass,drums"};
    for (size_t i = 0; i < G_N_ELEMENTS(tracks); i++) {
        const grid_t grid = grid_of(tracks[i]);
        size_t notes;
        g_autoptr(roll_t) roll = make_roll(&grid, 64, &notes),
                          given = roll_new(64, roll->tracks, roll->pitches);
        roll_copy(roll, 0, 16, given, 0);
        g_autoptr(GBytes) plain = picture_roll(roll, NULL, &grid, four_four, "", PICTURE_SVG, NULL),
                          both = picture_roll(roll, given, &grid, four_four, "", PICTURE_SVG, NULL);
        const guint of_track = (guint)(notes / roll->tracks);
        g_assert_cmpuint(count_in(both, NOTE), ==, notes);
        g_assert_cmpuint(count_in(both, PALE), ==, of_track / 4);
        g_assert_cmpuint(count_in(both, FULL), ==, of_track - of_track / 4);
        g_assert_cmpuint(count_in(both, SWATCH), ==, 1);
        g_assert_cmpuint(count_in(plain, PALE) + count_in(plain, SWATCH), ==, 0);
    }
}

/* A given note that is written on is drawn as two with one onset. */
static void test_given_held(void) {
    static const char ONSET[] = "rgb\\(33%, ?42\\.9%, ?48\\.4%\\)",
                      DARK[] = "rgb\\(0%, ?24\\.75%, ?38\\.5%\\)";
    const grid_t grid = grid_of("merged");
    g_autoptr(roll_t) roll = roll_new(16, 1, 88), given = roll_new(16, 1, 88);
    for (size_t t = 4; t < 12; t++) roll_set(roll, t, 0, PLANE_SOUNDING, 40);
    roll_make_canonical(roll);
    roll_copy(roll, 0, 8, given, 0);
    g_autoptr(GBytes) svg = picture_roll(roll, given, &grid, four_four, "", PICTURE_SVG, NULL);
    g_assert_cmpuint(count_in(svg, NOTE), ==, 2);
    g_assert_cmpuint(count_in(svg, ONSET), ==, 1);
    g_assert_cmpuint(count_in(svg, DARK), ==, 0);
}

/* A note that goes on into the next system is drawn in both; an onset begins only one of them. */
static void test_systems(void) {
    const grid_t grid = grid_of("merged");
    g_autoptr(roll_t) roll = roll_new(16 * 16, 1, 88);
    for (size_t t = 120; t < 136; t++) roll_set(roll, t, 0, PLANE_SOUNDING, 40);
    roll_make_canonical(roll);
    g_autoptr(GBytes) svg = picture_roll(roll, NULL, &grid, four_four, "", PICTURE_SVG, NULL);
    g_assert_cmpuint(count_in(svg, NOTE), ==, 2);
}

/* A line a bar, wherever the meter changes; systems of eight bars, whatever their length. */
static void test_meters(void) {
    static const char LINE[] = "stroke-width(:|=\")0\\.75";
    const grid_t grid = grid_of("drums"); /* without sound: no lines but those of time */
    const tempo_change_t tempo = {0, 120};
    const meter_change_t meters[] = {{0, 1, 4}, {4, 4, 4}, {36, 3, 4}, {140, 6, 8}};
    g_autoptr(roll_t) roll = roll_new(176, 1, 88);
    g_autoptr(timeline_t) timeline = timeline_from_rows(4, &tempo, 1, meters, G_N_ELEMENTS(meters)),
                          one = timeline_new(4, 120, (meter_t){0, 4, 4});
    g_autoptr(GBytes) changing = picture_roll(roll, NULL, &grid, timeline, "", PICTURE_SVG, NULL),
                      plain = picture_roll(roll, NULL, &grid, one, "", PICTURE_SVG, NULL);
    const guint systems = 2,
                bars = 1 + 2 + 9 +
                       3; /* a box a system; 8.67 bars of 3/4, of which the last is cut short, are nine */
    g_assert_cmpuint(count_in(plain, LINE), ==, 11 + systems);
    g_assert_cmpuint(count_in(changing, LINE), ==, bars + systems);
}

static void test_sizes(void) {
    const grid_t grid = grid_of("melody,chords,bass,drums");
    guint32 width, height, tall;
    size_t notes;
    g_autoptr(roll_t) four = make_roll(&grid, 64, &notes), many = make_roll(&grid, 1024, &notes);
    g_autoptr(GBytes) small = picture_roll(four, NULL, &grid, four_four, "4 bars", PICTURE_PNG, NULL);
    g_autoptr(GBytes) large = picture_roll(many, NULL, &grid, four_four, "64 bars", PICTURE_PNG, NULL);
    png_size(small, &width, &height);
    g_assert_cmpuint(width, ==, 1800);
    png_size(large, &width, &tall);
    g_assert_cmpuint(width, ==, 1800);
    g_assert_cmpuint(tall, >, 4 * height / 2);

    const grid_t merged = grid_of("merged");
    g_autoptr(roll_t) endless = make_roll(&merged, 1 << 15, &notes);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) longest =
        picture_roll(endless, NULL, &merged, four_four, "2048 bars", PICTURE_PNG, &error);
    g_assert_no_error(error);
    png_size(longest, &width, &tall);
    g_assert_cmpuint(tall, <=, 32767);
    g_assert_cmpuint(width, >, 1000);
}

static void test_same_bytes(void) {
    const grid_t grid = grid_of("melody,bass");
    size_t notes;
    for (int format = PICTURE_PNG; format <= PICTURE_SVG; format++) {
        g_autoptr(roll_t) roll = make_roll(&grid, 100, &notes);
        g_autoptr(GBytes) first =
            picture_roll(roll, NULL, &grid, four_four, "t", (picture_format_t)format, NULL);
        g_autoptr(GBytes) again =
            picture_roll(roll, NULL, &grid, four_four, "t", (picture_format_t)format, NULL);
        g_autoptr(GBytes) other =
            picture_roll(roll, NULL, &grid, four_four, "u", (picture_format_t)format, NULL);
        if (format == PICTURE_PNG)
            g_assert_true(g_bytes_equal(
                first, again)); /* SVG: cairo's ids go on counting; tests/programs/sampler.sh runs twice */
        g_assert_false(g_bytes_equal(first, other));
    }
}

static void test_odd_rolls(void) {
    static const size_t frames[] = {1, 3, 129};
    static const meter_t meters[] = {{0, 4, 4}, {0, 3, 8}, {0, 7, 16}, {0, 1, 1}};
    const char *const tracks[] = {"merged", "drums", "melody,drums"};
    for (size_t f = 0; f < G_N_ELEMENTS(frames); f++)
        for (size_t m = 0; m < G_N_ELEMENTS(meters); m++)
            for (size_t k = 0; k < G_N_ELEMENTS(tracks); k++) {
                grid_t grid = grid_of(tracks[k]);
                grid.steps_per_beat = m == 1 ? 1 : m == 2 ? 24 : 4;
                g_autoptr(roll_t) roll = roll_new(frames[f], (size_t)grid.n_tracks, (size_t)grid.pitches);
                g_autoptr(GError) error = NULL;
                g_autoptr(timeline_t) timeline = timeline_new(grid.steps_per_beat, 120, meters[m]);
                g_autoptr(GBytes) png = picture_roll(roll, NULL, &grid, timeline, "", PICTURE_PNG, &error);
                g_assert_no_error(error);
                guint32 width, height;
                png_size(png, &width, &height);
                g_assert_cmpuint(height, >, 50);
            }
}

/* Every pitch of MIDI, top and bottom; a title that is no UTF-8, and one that is too long. */
static void test_extremes(void) {
    grid_t grid = grid_of("merged");
    grid.pitch_low = 0;
    grid.pitches = 128;
    g_autoptr(roll_t) roll = roll_new(16, 1, 128);
    roll_set(roll, 0, 0, PLANE_SOUNDING, 0);
    roll_set(roll, 8, 0, PLANE_SOUNDING, 127);
    roll_make_canonical(roll);
    g_autofree char *lengthy = g_strnfill(5000, 'x');
    const char *const titles[] = {"\xff\xfe bad", lengthy, "日本語", ""};
    for (size_t i = 0; i < G_N_ELEMENTS(titles); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) svg = picture_roll(roll, NULL, &grid, four_four, titles[i], PICTURE_SVG, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(count_in(svg, NOTE), ==, 2);
    }
}

static void test_sheet(void) {
    const grid_t grid = grid_of("melody,drums");
    for (size_t n = 1; n <= 17; n += 4) {
        g_autoptr(GPtrArray) rolls = g_ptr_array_new_with_free_func((GDestroyNotify)roll_free);
        g_auto(GStrv) labels = g_new0(char *, n + 1);
        size_t notes = 0;
        for (size_t i = 0; i < n; i++) {
            size_t more;
            g_ptr_array_add(rolls, make_roll(&grid, 32, &more));
            labels[i] = g_strdup_printf("step %zu", i);
            notes += more;
        }
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) svg = picture_sheet((roll_t *const *)rolls->pdata, labels, n, &grid, four_four,
                                              "sheet", PICTURE_SVG, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(count_in(svg, NOTE), ==, notes);
    }
}

static void test_curves(void) {
    const double x[] = {1, 2, 3, 4}, y[] = {5, NAN, INFINITY, 2}, flat[] = {1, 1, 1, 1};
    const picture_curve_t curves[] = {{"a", x, y, 4, CURVE_LINE, 0}, {"b", x, flat, 4, CURVE_MARKS, 1}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) both = picture_curves(curves, 2, "title", "step", "nats", PICTURE_PNG, &error);
    g_assert_no_error(error);
    g_autoptr(GBytes) one = picture_curves(curves + 1, 1, "title", "step", "nats", PICTURE_PNG, &error);
    g_assert_no_error(error);
    const picture_curve_t point = {"c", x, flat, 1, CURVE_MARKS, 5};
    g_autoptr(GBytes) dot = picture_curves(&point, 1, "title", "step", "nats", PICTURE_PNG, &error);
    g_assert_no_error(error);
    guint32 width, height;
    png_size(both, &width, &height);
    g_assert_cmpuint(height, ==, 930);
    g_assert_false(g_bytes_equal(both, one));
}

/* Pale steps behind, a legend of those that have a name alone, two discs a mark, and nothing drawn from one
 * text's end to the next line. */
static void test_curve_styles(void) {
    static const char PALE[] = "stroke-opacity(:|=\")0\\.25", STROKE[] = "stroke-width(:|=\")2[;\"]",
                      DARK[] = "rgb\\(0%, ?22\\.5%, ?35%\\)", SAMPLE[] = "d=\"M [0-9.]+ 22 L [0-9.]+ 22 ?\"";
    const double x[] = {1, 2, 3, 4}, y[] = {5, 4, 3, 2};
    const picture_curve_t curves[] = {
        {NULL, x, y, 4, CURVE_FAINT, 0}, {"a", x, y, 4, CURVE_LINE, 0}, {"b", x, y, 3, CURVE_MARKS, 0}};
    g_autoptr(GBytes) line = picture_curves(curves + 1, 1, "t", "step", "nats", PICTURE_SVG, NULL);
    g_autoptr(GBytes) all = picture_curves(curves, 3, "t", "step", "nats", PICTURE_SVG, NULL);
    g_assert_cmpuint(count_in(line, PALE), ==, 0);
    g_assert_cmpuint(count_in(line, STROKE), ==, 2); /* in the legend and the picture */
    g_assert_cmpuint(count_in(all, PALE), ==, 1);
    g_assert_cmpuint(count_in(all, STROKE), ==, 4);
    g_assert_cmpuint(count_in(all, DARK), ==, 2 + 1 + 3); /* lines, the legend's mark, marks */
    g_assert_cmpuint(count_in(all, SAMPLE), ==, 2);
}

/* A panel for each comparison that has densities, and both in it; a row of which one panel has none. */
static void test_distributions(void) {
    static const char AREA[] = "fill-opacity(:|=\")0\\.15"; /* only pieces' densities are filled so */
    const double real[] = {1, 2, 3, 4}, pieces[] = {2, 3, 3, 5}, same[] = {7, 7};
    const numbers_t of_real = {real, 4, 1, 1}, of_pieces = {pieces, 4, 1, 1}, one = {pieces, 1, 1, 1},
                    none = {same, 2, 1, 1};
    distribution_t values[4], distances[4];
    static const char *const names[] = {"groove", "pitch_range", "empty_bars", "polyphony"};
    picture_row_t rows[5];
    const numbers_t others[] = {of_pieces, one, none, of_pieces};
    for (size_t i = 0; i < 4; i++) {
        const numbers_t songs = i == 2 ? none : of_real;
        distribution_of_values(songs, others[i], &values[i]);
        distribution_of_distances(songs, others[i], &distances[i]);
        rows[i] = (picture_row_t){names[i], i < 2 ? "pitch" : "rhythm", &values[i], &distances[i]};
    }
    rows[4] = (picture_row_t){"histogram", "histograms", NULL, &distances[0]};
    g_autoptr(GBytes) svg = picture_distributions(rows, 5, "title", PICTURE_SVG, NULL);
    g_assert_cmpuint(count_in(svg, AREA), ==, 2 + 1 + 0 + 2 + 1);
    g_autoptr(GBytes) few = picture_distributions(rows + 2, 1, "", PICTURE_SVG, NULL);
    g_assert_cmpuint(count_in(few, AREA), ==, 0);
    g_autoptr(GBytes) png = picture_distributions(rows, 5, "title", PICTURE_PNG, NULL);
    guint32 width, all, height;
    png_size(png, &width, &all);
    g_autoptr(GBytes) one_row = picture_distributions(rows, 1, "", PICTURE_PNG, NULL);
    png_size(one_row, &width, &height);
    g_assert_cmpuint(all, ==, height + 3 * 138); /* rows of 92 and half as many dots again */
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    four_four = timeline_new(4, 120, (meter_t){0, 4, 4});
    g_test_add_func("/picture/notes", test_notes);
    g_test_add_func("/picture/given", test_given);
    g_test_add_func("/picture/given-held", test_given_held);
    g_test_add_func("/picture/systems", test_systems);
    g_test_add_func("/picture/meters", test_meters);
    g_test_add_func("/picture/sizes", test_sizes);
    g_test_add_func("/picture/same-bytes", test_same_bytes);
    g_test_add_func("/picture/odd-rolls", test_odd_rolls);
    g_test_add_func("/picture/extremes", test_extremes);
    g_test_add_func("/picture/sheet", test_sheet);
    g_test_add_func("/picture/curves", test_curves);
    g_test_add_func("/picture/curve-styles", test_curve_styles);
    g_test_add_func("/picture/distributions", test_distributions);
    const int failed = g_test_run();
    timeline_free(four_four);
    return failed;
}
