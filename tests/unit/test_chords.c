/* Lines of chords as text, and where they stand in a piece. */
#include <string.h>

#include "preprocess/common/option.h"
#include "tests/helpers/chord_line.h"

static void test_lines(void) {
    static const struct {
        const char *text, *line;
    } good[] = {
        {"Am F C G", "Am 0, F 1, C 2, G 3, 4 bars"},
        {"\t Am  F\r\n", "Am 0, F 1, 2 bars"},
        {"Am % C %", "Am 0, Am 1, C 2, C 3, 4 bars"},
        {"Am | F G | C", "Am 0, F 1, G 1.5, C 2, 3 bars"},
        {"|Am|F G||C Dm E F|", "Am 0, F 1, G 1.5, C 2, Dm 2.25, E 2.5, F 2.75, 3 bars"},
        {"| Am | F G | % | % G |", "Am 0, F 1, G 1.5, F 2, G 2.5, G 3, G 3.5, 4 bars"},
        {"| Am F |\n\n| C | D/F# G\n| N.C. |\n", "Am 0, F 0.5, C 1, D/F# 2, G 2.5, N.C. 3, 4 bars"},
        {"Am:2 F:2 C:4", "Am 0, F 2, C 4, 8"},
        {"Am:1.5 % %:0.5\nC:3", "Am 0, Am 1.5, Am 3, C 3.5, 6.5"},
        {"Am", "Am 0, 1 bars"},
        {"C D E F G A B | C",
         "C 0, D 0.142857, E 0.285714, F 0.428571, G 0.571429, A 0.714286, B 0.857143, C 1, 2 bars"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(chords_t) chords = chords_from_text(good[i].text, "--chords", &error);
        g_assert_no_error(error);
        g_autofree char *line = line_text(chords);
        g_assert_cmpstr(line, ==, good[i].line);
        /* Sevenths of a bar add up. */
        g_assert_true(!chords->in_bars || chords->length == (double)(int)chords->length);
    }
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "no chords; give some, such as Am F C G"},
        {" \n ", "no chords; "},
        {"||", "no chords; "},
        {"Am Hm C", "'Hm' is no chord that is known; give one such as C, Am, F#m7"},
        {"% Am", "% repeats what stands before it, but it is first; begin with a chord"},
        {"| % |", "% repeats what stands before it"},
        {"%:2", "% repeats what stands before it"},
        {"Am | | C", "a bar is empty; write % to repeat the one before, or N.C. for no chord"},
        {"Am | F\nC G", "several chords, but no |, which other lines have; put | between the bars"},
        {"Am:2 | F:2", "both | and : are there"},
        {"|: Am F :|", "both | and : are there"},
        {"Am:2 F C:4", "'F' has no length, which others have; write F:4 for four quarter notes"},
        {"Am:0", "'Am:0': its length is not a number from 0.01 to 10000; write Am:2"},
        {"Am:-1", "'Am:-1': its length is not"},
        {"Am:", "'Am:': its length is not"},
        {"Am:x", "'Am:x': its length is not"},
        {"Am:nan", "'Am:nan': its length is not"},
        {"Am:1e300", "'Am:1e300': its length is not"},
        {"Am:2:2", "'Am:2:2': its length is not"},
        {":2", "'' is no chord"},
        {"#F C", "'#F' is no chord"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *start = g_strconcat("--chords: ", bad[i].message, NULL);
        g_assert_null(chords_from_text(bad[i].text, "--chords", &error));
        g_assert_error(error, OPTION_ERROR, OPTION_ERROR_USAGE);
        if (!g_str_has_prefix(error->message, start)) g_error("'%s' of '%s'", error->message, bad[i].text);
    }
    /* A short text cannot ask for all memory. */
    g_autoptr(GString) text = g_string_new("C");
    for (int i = 0; i < 1000; i++) g_string_append(text, " C");
    for (int i = 0; i < 1000; i++) g_string_append(text, "|%");
    g_autoptr(GError) error = NULL;
    g_assert_null(chords_from_text(text->str, "--chords", &error));
    g_assert_cmpstr(error->message, ==,
                    "--chords: more than 100000 chords; give fewer: the line begins again at its end");
}

/* The names of the chords in frames, "Am Am F F". Owner: caller. */
static char *frames_text(const char *text, const timeline_t *timeline, size_t frames) {
    g_autoptr(GError) error = NULL;
    g_autoptr(chords_t) chords = chords_from_text(text, "--chords", &error);
    g_assert_no_error(error);
    g_autofree uint16_t *classes = g_new(uint16_t, frames);
    chords_fill(chords, timeline, frames, classes);
    GString *found = g_string_new(NULL);
    for (size_t t = 0; t < frames; t++) {
        const chord_t *chord = chords_at(chords, timeline, t);
        g_assert_cmpuint(classes[t], ==, chord->classes);
        g_string_append_printf(found, "%s%s", t ? " " : "", chord->name);
    }
    return g_string_free(found, FALSE);
}

static timeline_t *make_timeline(int steps_per_beat, uint8_t numerator, uint8_t denominator) {
    return timeline_new(steps_per_beat, 120, (meter_t){.numerator = numerator, .denominator = denominator});
}

static void assert_frames(const char *text, const timeline_t *timeline, const char *wanted) {
    g_auto(GStrv) names = g_strsplit(wanted, " ", -1);
    g_autofree char *found = frames_text(text, timeline, g_strv_length(names));
    g_assert_cmpstr(found, ==, wanted);
}

static void test_frames(void) {
    g_autoptr(timeline_t) waltz = make_timeline(1, 3, 4), common = make_timeline(1, 4, 4),
                          odd = make_timeline(3, 7, 8), changing = make_timeline(1, 4, 4);
    /* Bars are the piece's; the line begins again. */
    assert_frames("C F", waltz, "C C C F F F C C");
    assert_frames("C F", common, "C C C C F F F F C C");
    assert_frames("C | F G", common, "C C C C F F G G C");
    /* What begins between frames has the frame before: thirds of 4 at 1.33 and 2.67. */
    assert_frames("| C F G |", common, "C F G G C F G G");
    /* Quarter notes do not depend on meters. */
    assert_frames("C:2 F:1", waltz, "C C F C C F");
    assert_frames("C:2 F:1", common, "C C F C C F");
    assert_frames("C:0.5 F:1.5", odd, "C F F F F F C F");
    /* Bars of 10.5 frames: the second has frame 10, as for meters_bar(). */
    assert_frames("C F", odd, "C C C C C C C C C C F F F F F F F F F F F C");
    g_assert_cmpint(meters_bar(timeline_meters(odd, 0), 10).first, ==, 10);
    /* A bar that a change of meter cuts short is a bar. */
    timeline_append(changing, 6, waltz);
    assert_frames("C F G", changing, "C C C C F F G G G C C C F F F");
    /* Nothing is asked where there is no chord; one chord stands for ever. */
    assert_frames("C:1 NC:2", common, "C NC NC C NC NC");
    assert_frames("Am", common, "Am Am Am Am Am Am");
    g_autoptr(chords_t) chords = chords_from_text("Am:0.3", "--chords", NULL);
    g_assert_cmpstr(chords_at(chords, common, 100000)->name, ==, "Am");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chords/lines", test_lines);
    g_test_add_func("/chords/frames", test_frames);
    return g_test_run();
}
