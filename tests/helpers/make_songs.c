/* make_songs DIR COUNT [SEED]: writes song-0000.mid ... to DIR, small songs for tests: melody, chords, bass
 * and drums over a repeated chord progression, the melody made of two motifs in the form A A B A, in several
 * keys, meters and tempi, 8 to 24 bars. The same seed gives the same bytes; no two songs of a run are alike,
 * not even transposed. All onsets are on the grid of sixteenths; songs whose number divides by 4 also swing
 * in triplets. */
#include <stdio.h>
#include <stdlib.h>

#include "preprocess/roll/roll.h"

enum { MOTIF_MAX = 32, MOTIFS = 2, PROGRESSION = 4, TICKS_PER_BEAT = 480 };

typedef struct {
    int start, length, degree; /* sixteenths from the bar's start; scale steps above the chord's root */
} tone_t;

typedef struct {
    GRand *random;
    song_t *song;
    meter_t meter;
    int bar, bars; /* sixteenths a bar */
    int tonic;     /* 0 to 11 */
    const int *scale;
    const int *progression; /* scale degrees, a chord a bar */
    gboolean swing;
    tone_t motif[MOTIFS][MOTIF_MAX];
    int motif_tones[MOTIFS];
} composer_t;

static const int MAJOR[7] = {0, 2, 4, 5, 7, 9, 11}, MINOR[7] = {0, 2, 3, 5, 7, 8, 10};
static const int PROGRESSIONS[][PROGRESSION] = {{0, 3, 4, 0}, {0, 5, 3, 4}, {0, 4, 5, 3},
                                                {5, 3, 0, 4}, {0, 2, 3, 4}, {0, 5, 1, 4}};
static const meter_t METERS[] = {{0, 4, 4}, {0, 3, 4}, {0, 4, 4}, {0, 6, 8}, {0, 2, 4}, {0, 5, 4}};

static int below(composer_t *c, int n) { return g_rand_int_range(c->random, 0, n); }

/* A degree of the scale (7 = the octave, negative below) as a pitch, 0 being the tonic at or above `low`. */
static int pitch_of(const composer_t *c, int degree, int low) {
    int octave = (degree + 70) / 7 - 10;
    return low + (c->tonic - low % 12 + 12) % 12 + 12 * octave + c->scale[degree - 7 * octave];
}

/* Sixteenths to ticks. Swing moves the second half of each beat to its last triplet. */
static int64_t tick_of(const composer_t *c, int sixteenth) {
    int64_t tick = (int64_t)sixteenth * (TICKS_PER_BEAT / 4);
    return c->swing && sixteenth % 4 == 2 ? tick + TICKS_PER_BEAT / 6 : tick;
}

static void play(composer_t *c, role_t role, int sixteenth, int length, int pitch, int velocity) {
    int end = MIN(sixteenth + length, c->bar * c->bars);
    note_t note = {.onset = tick_of(c, sixteenth),
                   .length = tick_of(c, end) - tick_of(c, sixteenth),
                   .pitch = (uint8_t)pitch,
                   .velocity = (uint8_t)velocity,
                   .channel = role_channel(role),
                   .program = role_program(role),
                   .track = (uint16_t)(role - ROLE_MELODY)};
    g_array_append_val(c->song->notes, note);
}

/* Makes a bar of steps and small leaps; about one tone in eight is a rest. */
static void make_motif(composer_t *c, int index) {
    static const int lengths[] = {2, 2, 2, 4, 4, 4, 6, 8};
    int n = 0, degree = below(c, 3) * 2;
    for (int at = 0; at < c->bar;) {
        int length = MIN(lengths[below(c, G_N_ELEMENTS(lengths))], c->bar - at);
        if (at == 0 || below(c, 8) > 0) c->motif[index][n++] = (tone_t){at, length, degree};
        degree = CLAMP(degree + below(c, 5) - 2, -2, 7);
        at += length;
    }
    c->motif_tones[index] = n;
}

static void play_melody(composer_t *c, int bar, int root) {
    int index = bar % 4 == 2;
    int closing = bar % 8 == 7; /* a phrase ends on one long tone */
    for (int i = 0; i < (closing ? 1 : c->motif_tones[index]); i++) {
        tone_t tone = c->motif[index][i];
        play(c, ROLE_MELODY, bar * c->bar + tone.start, closing ? c->bar : tone.length,
             pitch_of(c, root % 5 + tone.degree, 64), 84 + 12 * (i == 0));
    }
}

static void play_chords(composer_t *c, int bar, int root, int style) {
    for (int voice = 0; voice < 3; voice++) {
        int pitch = pitch_of(c, root + 2 * voice, 46);
        if (style == 0) play(c, ROLE_CHORDS, bar * c->bar, c->bar, pitch, 60);
        for (int at = 4; style == 1 && at < c->bar; at += 4)
            play(c, ROLE_CHORDS, bar * c->bar + at, 2, pitch, 64);
        for (int at = 2 * voice; style == 2 && at < c->bar; at += 6)
            play(c, ROLE_CHORDS, bar * c->bar + at, MIN(2, c->bar - at), pitch, 58);
    }
}

static void play_bass(composer_t *c, int bar, int root, int style) {
    int half = (c->bar / 2 + 3) / 4 * 4;
    play(c, ROLE_BASS, bar * c->bar, half, pitch_of(c, root - 7 * (root > 3), 33), 76);
    if (style > 0)
        play(c, ROLE_BASS, bar * c->bar + half, c->bar - half,
             pitch_of(c, root - 7 * (root > 3) + (style == 1 ? 4 : 0), 33), 70);
}

static void play_drums(composer_t *c, int bar) {
    enum { KICK = 36, SNARE = 38, HAT = 42 };
    for (int at = 0; at < c->bar; at += 2) {
        play(c, ROLE_DRUMS, bar * c->bar + at, 1, HAT, 50);
        if (at % 8 == 0) play(c, ROLE_DRUMS, bar * c->bar + at, 1, KICK, 90);
        if (at % 8 == 4) play(c, ROLE_DRUMS, bar * c->bar + at, 1, SNARE, 80);
    }
}

static song_t *compose(GRand *random, int number) {
    composer_t c = {.random = random, .song = song_new(TICKS_PER_BEAT), .swing = number % 4 == 0};
    c.meter = METERS[below(&c, G_N_ELEMENTS(METERS))];
    c.bar = c.meter.numerator * 16 / c.meter.denominator;
    c.bars = 4 * g_rand_int_range(random, 2, 7);
    c.tonic = below(&c, 12);
    c.scale = below(&c, 3) ? MAJOR : MINOR;
    c.progression = PROGRESSIONS[below(&c, G_N_ELEMENTS(PROGRESSIONS))];
    for (int i = 0; i < MOTIFS; i++) make_motif(&c, i);
    int chord_style = below(&c, 3), bass_style = below(&c, 3);
    tempo_t tempo = {.tick = 0, .bpm = 60 + 5 * below(&c, 21)};
    g_array_append_val(c.song->tempi, tempo);
    g_array_append_val(c.song->meters, c.meter);
    for (role_t role = ROLE_MELODY; role <= ROLE_DRUMS; role++)
        g_ptr_array_add(c.song->track_names, g_strdup(role_name(role)));
    for (int bar = 0; bar < c.bars; bar++) {
        int root = c.progression[bar % PROGRESSION];
        play_melody(&c, bar, root);
        play_chords(&c, bar, root, chord_style);
        play_bass(&c, bar, root, bass_style);
        play_drums(&c, bar);
    }
    c.song->ticks = tick_of(&c, c.bar * c.bars);
    song_sort_notes(c.song);
    return c.song;
}

/* What does not change with transposition: onsets, lengths, and pitches less the first note's. */
static char *fingerprint(const song_t *song) {
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    int first = g_array_index(song->notes, note_t, 0).pitch;
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        int64_t row[] = {note->onset, note->length, note->track,
                         note->channel == MIDI_DRUM_CHANNEL ? note->pitch : note->pitch - first};
        g_checksum_update(sum, (const guchar *)row, sizeof row);
    }
    return g_strdup(g_checksum_get_string(sum));
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: make_songs DIR COUNT [SEED]\n");
        return 2;
    }
    g_autoptr(GRand) random = g_rand_new_with_seed(argc == 4 ? (guint32)strtoul(argv[3], NULL, 10) : 1);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_mkdir_with_parents(argv[1], 0777);
    for (int number = 0, count = atoi(argv[2]); number < count;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(song_t) song = compose(random, number);
        if (!g_hash_table_add(seen, fingerprint(song))) continue;
        g_autofree char *path = g_strdup_printf("%s/song-%04d.mid", argv[1], number++);
        if (!midi_write(song, path, &error)) {
            fprintf(stderr, "make_songs: %s\n", error->message);
            return 1;
        }
    }
    return 0;
}
