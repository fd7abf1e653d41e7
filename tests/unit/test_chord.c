/* Chord symbols, and whether a chord was found in what sounds. */
#include <string.h>

#include "sampler/make/chord.h"
#include "sampler/make/key.h"

static chord_t chord_of(const char *symbol) {
    chord_t chord;
    if (!chord_from_text(symbol, &chord)) g_error("'%s' is not known", symbol);
    return chord;
}

/* The pitch classes of a set, from C on: "C E G". Owner: caller. */
static char *names_of(uint16_t classes) {
    static const char *const names[] = {"C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"};
    GString *text = g_string_new(NULL);
    g_assert_cmpuint(classes >> 12, ==, 0);
    for (int c = 0; c < 12; c++)
        if (classes >> c & 1) g_string_append_printf(text, "%s%s", text->len ? " " : "", names[c]);
    return g_string_free(text, FALSE);
}

static void test_symbols(void) {
    static const struct {
        const char *symbols, *classes, *triad; /* symbols that mean the same, with blanks between them */
    } cases[] = {
        {"C Cmaj CM c", "C E G", "C E G"},
        {"Am Amin A- am", "C E A", "C E A"},
        {"F#m7 F♯m7 Gbm7 G♭-7", "Db E Gb A", "Db Gb A"},
        {"Bbmaj7 B♭M7 BbΔ BbΔ7 Bb△7 A#Maj7", "D F A Bb", "D F Bb"},
        {"Cm7b5 Cø Cø7 Cm7(b5) Cm7♭5", "C Eb Gb Bb", "C Eb Gb"},
        {"Gsus4 Gsus", "C D G", "C D G"},
        {"Gsus2", "D G A", "D G A"},
        {"G7 G(7)", "D F G B", "D G B"},
        {"G7sus4 G7sus", "C D F G", "C D G"},
        {"Ddim D° Do", "D F Ab", "D F Ab"},
        {"Ddim7 D°7 Do7", "D F Ab B", "D F Ab"},
        {"Eaug E+", "C E Ab", "C E Ab"},
        {"E+7 E7#5 Eaug7", "C D E Ab", "C E Ab"},
        {"C6", "C E G A", "C E G"},
        {"C69 C6/9", "C D E G A", "C E G"},
        {"Am6", "C E Gb A", "C E A"},
        {"Cadd9 C(add9)", "C D E G", "C E G"},
        {"C9", "C D E G Bb", "C E G"},
        {"Cmaj9 CM9", "C D E G B", "C E G"},
        {"Cm11", "C D Eb F G Bb", "C Eb G"},
        {"C13", "C D E G A Bb", "C E G"},
        {"C7#9", "C Eb E G Bb", "C E G"},
        {"C7(b9,#11)", "C Db E Gb G Bb", "C E G"},
        {"C7alt", "C Db Eb E Gb Ab Bb", "C E Gb"},
        {"Fm(maj7) FmM7 Fm(M7) F-Δ", "C E F Ab", "C F Ab"},
        {"E5", "E B", "E B"},
        {"C7no5 C7omit5", "C E Bb", "C E"},
        {"N.C. NC n.c.", "", ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) symbols = g_strsplit(cases[i].symbols, " ", -1);
        for (char **symbol = symbols; *symbol; symbol++) {
            const chord_t chord = chord_of(*symbol);
            g_autofree char *classes = names_of(chord.classes), *triad = names_of(chord.triad);
            g_assert_cmpstr(classes, ==, cases[i].classes);
            g_assert_cmpstr(triad, ==, cases[i].triad);
            g_assert_cmpstr(chord.name, ==, *symbol);
            g_assert_cmpint(chord.bass, ==, chord.root);
        }
    }
    static const struct {
        const char *symbol;
        int root, bass;
        const char *classes;
    } basses[] = {{"D/F#", 2, 6, "D Gb A"},      {"C/d", 0, 2, "C D E G"},  {"Cm7/B♭", 0, 10, "C Eb G Bb"},
                  {"C6/9/E", 0, 4, "C D E G A"}, {"Cb", 11, 11, "Eb Gb B"}, {"NC", -1, -1, ""}};
    for (size_t i = 0; i < G_N_ELEMENTS(basses); i++) {
        const chord_t chord = chord_of(basses[i].symbol);
        g_autofree char *classes = names_of(chord.classes);
        g_assert_cmpint(chord.root, ==, basses[i].root);
        g_assert_cmpint(chord.bass, ==, basses[i].bass);
        g_assert_cmpstr(classes, ==, basses[i].classes);
    }
    static const char *const bad[] = {"",      "H",         "Hm",
                                      "X7",    "Cmm",       "C77",
                                      "C7m",   "Cmaj7maj7", "C/",
                                      "C/9",   "C/H",       "D/F#m",
                                      "C(",    "C)",        "C(7",
                                      "C7(b9", "/C",        "m7",
                                      "#",     "C##",       "Cb#",
                                      "%",     "C ",        " C",
                                      "Cfoo",  "C\xFF",     "C7(b9,#9,b5,#5,#11,b13,add2,add4,add6)"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        chord_t chord = {.root = 77};
        g_assert_false(chord_from_text(bad[i], &chord));
        g_assert_cmpint(chord.root, ==, 77);
    }
}

/* Whether a chord is found in durations that are a digit each, from C to B. */
static gboolean found(const char *digits, uint16_t asked) {
    double durations[TONAL_CLASSES];
    g_assert_cmpuint(strlen(digits), ==, TONAL_CLASSES);
    for (int c = 0; c < TONAL_CLASSES; c++) durations[c] = 0.1 * g_ascii_digit_value(digits[c]);
    return chord_found(durations, asked);
}

static void test_found(void) {
    /* Each of the 24 triads is found in its own notes, among a little of all others, and in no other's. */
    for (int a = 0; a < 24; a++)
        for (int b = 0; b < 24; b++) {
            const uint16_t asked =
                               chord_of(key_to_text((musical_key_t){.tonic = a % 12, .minor = a / 12})).triad,
                           sounds =
                               chord_of(key_to_text((musical_key_t){.tonic = b % 12, .minor = b / 12})).triad;
            double durations[TONAL_CLASSES];
            for (int c = 0; c < TONAL_CLASSES; c++) durations[c] = sounds >> c & 1 ? 1 : 0.2;
            g_assert_cmpint(chord_found(durations, asked), ==, a == b);
        }
    static const struct {
        const char *sounds, *asked;
        gboolean by_triad, by_classes;
    } cases[] = {
        /* How long notes sound decides, however narrowly; C and E are as much of C as of Am. */
        {"400040040100", "C", TRUE, TRUE},
        {"900090080900", "C", FALSE, FALSE},
        {"900090080900", "Am", TRUE, TRUE},
        {"100010000000", "C", TRUE, TRUE},
        {"100010000000", "Am", TRUE, TRUE},
        /* Am7 holds Am and C: its triad is Am alone. */
        {"400040040000", "Am7", FALSE, TRUE},
        {"400040040400", "Am7", TRUE, TRUE},
        {"400040040000", "F", FALSE, FALSE},
        /* Chords without a major or minor triad. */
        {"404000040000", "Gsus4", TRUE, TRUE},
        {"400040040000", "Gsus4", FALSE, FALSE},
        {"400400400000", "Cdim", TRUE, TRUE},
        {"400040004000", "Caug", TRUE, TRUE},
        /* Nothing sounds, or all alike, or nothing is asked. */
        {"000000000000", "C", FALSE, FALSE},
        {"111111111111", "C", FALSE, FALSE},
        {"777777777777", "C", FALSE, FALSE},
        {"400040040000", "N.C.", FALSE, FALSE},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const chord_t asked = chord_of(cases[i].asked);
        g_assert_cmpint(found(cases[i].sounds, asked.triad), ==, cases[i].by_triad);
        g_assert_cmpint(found(cases[i].sounds, asked.classes), ==, cases[i].by_classes);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chord/symbols", test_symbols);
    g_test_add_func("/chord/found", test_found);
    return g_test_run();
}
