/* chord: owns chord symbols and the templates of triads. Refuses symbols that it does not know whole. */
#include "sampler/make/chord.h"

#include <string.h>

#include "sampler/make/key.h"

/* ---- symbols ---- */

/* Intervals above the root, in semitones, as bits. */
#define I(semitones) (1U << (semitones))
enum { MAJOR = I(0) | I(4) | I(7), MINOR = I(0) | I(3) | I(7), ALL = (1 << TONAL_CLASSES) - 1 };

/* A symbol has at most one triad, then at most one seventh, then any changes. */
typedef enum { START, TRIAD, SEVENTH, CHANGE } step_t;

static const struct {
    step_t step;
    const char *text;
    unsigned removes, adds;
} PARTS[] = {
    {TRIAD, "m", I(4), I(3)},
    {TRIAD, "min", I(4), I(3)},
    {TRIAD, "mi", I(4), I(3)},
    {TRIAD, "-", I(4), I(3)},
    {TRIAD, "dim", I(4) | I(7), I(3) | I(6)},
    {TRIAD, "°", I(4) | I(7), I(3) | I(6)},
    {TRIAD, "o", I(4) | I(7), I(3) | I(6)},
    {TRIAD, "dim7", I(4) | I(7), I(3) | I(6) | I(9)},
    {TRIAD, "°7", I(4) | I(7), I(3) | I(6) | I(9)},
    {TRIAD, "o7", I(4) | I(7), I(3) | I(6) | I(9)},
    {TRIAD, "ø", I(4) | I(7), I(3) | I(6) | I(10)},
    {TRIAD, "ø7", I(4) | I(7), I(3) | I(6) | I(10)},
    {TRIAD, "aug", I(7), I(8)},
    {TRIAD, "+", I(7), I(8)},
    {TRIAD, "5", I(4), 0},
    {SEVENTH, "maj", 0, 0},
    {SEVENTH, "M", 0, 0},
    {SEVENTH, "6", 0, I(9)},
    {SEVENTH, "69", 0, I(9) | I(2)},
    {SEVENTH, "6/9", 0, I(9) | I(2)},
    {SEVENTH, "7", 0, I(10)},
    {SEVENTH, "9", 0, I(10) | I(2)},
    {SEVENTH, "11", 0, I(10) | I(2) | I(5)},
    {SEVENTH, "13", 0, I(10) | I(2) | I(9)},
    {SEVENTH, "maj7", 0, I(11)},
    {SEVENTH, "M7", 0, I(11)},
    {SEVENTH, "Δ", 0, I(11)},
    {SEVENTH, "Δ7", 0, I(11)},
    {SEVENTH, "maj9", 0, I(11) | I(2)},
    {SEVENTH, "M9", 0, I(11) | I(2)},
    {SEVENTH, "Δ9", 0, I(11) | I(2)},
    {SEVENTH, "maj11", 0, I(11) | I(2) | I(5)},
    {SEVENTH, "maj13", 0, I(11) | I(2) | I(9)},
    {SEVENTH, "M13", 0, I(11) | I(2) | I(9)},
    {SEVENTH, "7alt", I(7), I(10) | I(1) | I(3) | I(6) | I(8)},
    {CHANGE, "sus", I(3) | I(4), I(5)},
    {CHANGE, "sus4", I(3) | I(4), I(5)},
    {CHANGE, "sus2", I(3) | I(4), I(2)},
    {CHANGE, "add2", 0, I(2)},
    {CHANGE, "add9", 0, I(2)},
    {CHANGE, "add4", 0, I(5)},
    {CHANGE, "add11", 0, I(5)},
    {CHANGE, "add6", 0, I(9)},
    {CHANGE, "add13", 0, I(9)},
    {CHANGE, "add7", 0, I(10)},
    {CHANGE, "b5", I(7), I(6)},
    {CHANGE, "#5", I(7), I(8)},
    {CHANGE, "b6", 0, I(8)},
    {CHANGE, "#7", 0, I(11)},
    {CHANGE, "b9", I(2), I(1)},
    {CHANGE, "#9", I(2), I(3)},
    {CHANGE, "#11", I(5), I(6)},
    {CHANGE, "b13", I(9), I(8)},
    {CHANGE, "no3", I(3) | I(4), 0},
    {CHANGE, "omit3", I(3) | I(4), 0},
    {CHANGE, "no5", I(6) | I(7) | I(8), 0},
    {CHANGE, "omit5", I(6) | I(7) | I(8), 0},
};

/* The text with one spelling for each sign. Owner: caller. */
static GString *spell_plainly(const char *text) {
    static const char *const same[][2] = {{"♯", "#"}, {"♭", "b"}, {"−", "-"}, {"º", "°"},
                                          {"Ø", "ø"}, {"∆", "Δ"}, {"△", "Δ"}, {"Maj", "maj"}};
    GString *plain = g_string_new(text);
    for (size_t i = 0; i < G_N_ELEMENTS(same); i++) g_string_replace(plain, same[i][0], same[i][1], 0);
    return plain;
}

/* The longest part that text begins with and that may stand after `step`; -1: none. */
static int find_part(const char *text, step_t step) {
    int longest = -1;
    for (int i = 0; i < (int)G_N_ELEMENTS(PARTS); i++)
        if ((PARTS[i].step > step || PARTS[i].step == CHANGE) && g_str_has_prefix(text, PARTS[i].text) &&
            (longest < 0 || strlen(PARTS[i].text) > strlen(PARTS[longest].text)))
            longest = i;
    return longest;
}

/* Reads what stands behind the root. FALSE where a rest is not known, or brackets do not close. */
static gboolean read_intervals(const char *text, unsigned *intervals) {
    step_t step = START;
    gboolean within = FALSE; /* brackets */
    *intervals = MAJOR;
    while (*text) {
        const int part = find_part(text, step);
        if (part >= 0) {
            *intervals = (*intervals & ~PARTS[part].removes) | PARTS[part].adds;
            step = PARTS[part].step;
            text += strlen(PARTS[part].text);
        } else if (within ? strchr(",)", *text) != NULL : *text == '(') {
            if (*text != ',') within = !within;
            text++;
        } else
            return FALSE;
    }
    return !within;
}

/* The first interval of a list, ended by 0, that is there. */
static unsigned first_of(unsigned intervals, const int *list) {
    while (*list && !(intervals & I(*list))) list++;
    return *list ? I(*list) : 0;
}

static unsigned triad_of(unsigned intervals) {
    static const int thirds[] = {4, 3, 5, 2, 0}, fifths[] = {7, 6, 8, 0};
    return I(0) | first_of(intervals, thirds) | first_of(intervals, fifths);
}

static uint16_t above(int root, unsigned intervals) {
    return (uint16_t)((intervals << root | intervals >> (TONAL_CLASSES - root)) & ALL);
}

static gboolean is_no_chord(const char *text) {
    return g_ascii_strcasecmp(text, "N.C.") == 0 || g_ascii_strcasecmp(text, "N.C") == 0 ||
           g_ascii_strcasecmp(text, "NC") == 0;
}

/* Takes a bass, "/G", off the end of a symbol; none where there is none. FALSE where more follows it. */
static gboolean take_bass(char *symbol, int *bass) {
    char *slash = strrchr(symbol, '/');
    const char *note = slash ? slash + 1 : "";
    if (!key_read_note(&note, bass)) return TRUE;
    *slash = '\0';
    return *note == '\0';
}

gboolean chord_from_text(const char *text, chord_t *chord) {
    chord_t read = {.root = CHORD_NONE, .bass = CHORD_NONE};
    if (g_strlcpy(read.name, text, sizeof read.name) >= sizeof read.name) return FALSE;
    if (!is_no_chord(text)) {
        g_autoptr(GString) plain = spell_plainly(text);
        const char *rest = plain->str;
        unsigned intervals;
        if (!take_bass(plain->str, &read.bass) || !key_read_note(&rest, &read.root) ||
            !read_intervals(rest, &intervals))
            return FALSE;
        if (read.bass == CHORD_NONE) read.bass = read.root;
        read.classes = above(read.root, intervals) | above(read.bass, I(0));
        read.triad = above(read.root, triad_of(intervals));
    }
    *chord = read;
    return TRUE;
}

/* ---- whether a chord was found ---- */

static double likeness(const double durations[TONAL_CLASSES], uint16_t classes) {
    double template[TONAL_CLASSES];
    for (int c = 0; c < TONAL_CLASSES; c++) template[c] = classes >> c & 1;
    return tonal_correlation(durations, 0, template);
}

gboolean chord_found(const double durations[TONAL_CLASSES], uint16_t asked) {
    static const double alike = 1e-9; /* more than rounding, less than any difference that is heard */
    static const unsigned triads[] = {MAJOR, MINOR};
    double best = 0, own = 0;
    gboolean within = FALSE;
    for (int root = 0; root < TONAL_CLASSES; root++)
        for (size_t i = 0; i < G_N_ELEMENTS(triads); i++) {
            const uint16_t triad = above(root, triads[i]);
            const double like = likeness(durations, triad);
            best = MAX(best, like);
            if (triad & ~asked) continue;
            own = MAX(own, like);
            within = TRUE;
        }
    if (!within) own = likeness(durations, asked);
    return own > alike && own >= best - alike;
}
