/* key: owns key profiles, names of keys and transposition of whole pieces. Refuses names that are no key. */
#include "sampler/make/key.h"

#include <string.h>

#include "sampler/score/tonal.h"

enum { OCTAVE = 12 };

gboolean key_read_note(const char **text, int *pitch_class) {
    static const int natural[] = {9, 11, 0, 2, 4, 5, 7}; /* A to G */
    static const struct {
        const char *sign;
        int semitones;
    } accidentals[] = {{"#", 1}, {"♯", 1}, {"b", OCTAVE - 1}, {"♭", OCTAVE - 1}};
    const char letter = g_ascii_toupper(**text);
    if (letter < 'A' || letter > 'G') return FALSE;
    *pitch_class = natural[letter - 'A'];
    ++*text;
    for (size_t i = 0; i < G_N_ELEMENTS(accidentals); i++)
        if (g_str_has_prefix(*text, accidentals[i].sign)) {
            *text += strlen(accidentals[i].sign);
            *pitch_class = (*pitch_class + accidentals[i].semitones) % OCTAVE;
            break;
        }
    return TRUE;
}

gboolean key_from_text(const char *text, musical_key_t *key) {
    static const struct {
        const char *name;
        gboolean minor;
    } modes[] = {{"", FALSE}, {"maj", FALSE}, {"major", FALSE}, {"m", TRUE}, {"min", TRUE}, {"minor", TRUE}};
    int tonic;
    if (!key_read_note(&text, &tonic)) return FALSE;
    while (*text == ' ') text++;
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++)
        if (strcmp(text, modes[i].name) == 0) {
            *key = (musical_key_t){.tonic = tonic, .minor = modes[i].minor};
            return TRUE;
        }
    return FALSE;
}

const char *key_to_text(musical_key_t key) {
    static const char *const names[2][OCTAVE] = {
        {"C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"},
        {"Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm"}};
    return names[key.minor != FALSE][key.tonic];
}

gboolean key_estimate(const roll_t *roll, const grid_t *grid, musical_key_t *key) {
    static const double profiles[2][TONAL_CLASSES] = {
        {6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88},
        {6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17}};
    double chroma[TONAL_CLASSES] = {0}, best = 0;
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            if (grid->roles[k] != ROLE_DRUMS)
                tonal_add_plane(roll_plane(roll, t, k, PLANE_SOUNDING), grid, chroma);
    for (int tonic = 0; tonic < TONAL_CLASSES; tonic++)
        for (int minor = 0; minor < 2; minor++) {
            const double fit = tonal_correlation(chroma, tonic, profiles[minor]);
            if (fit <= best) continue;
            best = fit;
            *key = (musical_key_t){.tonic = tonic, .minor = minor};
        }
    return best > 0;
}

int key_interval(musical_key_t from, musical_key_t to) {
    static const int relative_major = 3;
    const int tonic = to.tonic + (from.minor == to.minor ? 0 : to.minor ? relative_major : -relative_major);
    return ((tonic - from.tonic + 2 * OCTAVE + OCTAVE / 2) % OCTAVE) - OCTAVE / 2;
}

/* How many onsets, drums left out, a transposition takes off the grid. */
static size_t count_outside(const roll_t *roll, const grid_t *grid, int semitones) {
    const int P = (int)roll->pitches;
    size_t outside = 0;
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            for (int p = 0; p < P && grid->roles[k] != ROLE_DRUMS; p++)
                outside +=
                    (p + semitones < 0 || p + semitones >= P) && roll_get(roll, t, k, PLANE_ONSET, (size_t)p);
    return outside;
}

/* Moves pitch p by octaves towards 0 to P - 1; below 0 where none lies there. */
static int fold(int p, int P) {
    while (p < 0) p += OCTAVE;
    while (p >= P) p -= OCTAVE;
    return p;
}

int key_transpose(roll_t *roll, const grid_t *grid, int interval, size_t *folded) {
    const int other = interval < 0 ? interval + OCTAVE : interval - OCTAVE;
    const size_t outside = count_outside(roll, grid, interval),
                 outside_other = outside ? count_outside(roll, grid, other) : 0;
    const int semitones = outside_other < outside ? other : interval, P = (int)roll->pitches;
    *folded = MIN(outside, outside_other);
    g_autoptr(roll_t) from = roll_new(roll->frames, roll->tracks, roll->pitches);
    roll_copy(roll, 0, roll->frames, from, 0);
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++) {
            if (grid->roles[k] == ROLE_DRUMS) continue;
            memset(roll_plane(roll, t, k, 0), 0, ROLL_PLANES * roll->stride);
            for (int p = 0; p < P; p++)
                for (int plane = 0; plane < ROLL_PLANES; plane++) {
                    const int to = fold(p + semitones, P);
                    if (to >= 0 && roll_get(from, t, k, plane, (size_t)p))
                        roll_set(roll, t, k, plane, (size_t)to);
                }
        }
    roll_make_canonical(roll);
    return semitones;
}
