/* Passages planted in other material, near misses, what an event is, songs' ends, and random repetitive music
 * against a search that tries everything. */
#include "sampler/score/originality.h"

#include <string.h>

enum { C4 = 60 };

typedef struct {
    size_t frame;
    int pitch; /* lowest; a second key lies `above` semitones over it where above > 0 */
    int above;
} tone_t;

static grid_t grid_of(const char *tracks) {
    grid_t grid = grid_default();
    g_assert_true(grid_set_tracks(&grid, tracks, NULL));
    return grid;
}

static void put(roll_t *roll, size_t track, size_t frame, size_t length, int pitch) {
    const size_t p = (size_t)(pitch - grid_default().pitch_low);
    roll_set(roll, frame, track, PLANE_ONSET, p);
    for (size_t t = frame; t < MIN(frame + length, roll->frames); t++)
        roll_set(roll, t, track, PLANE_SOUNDING, p);
}

/* Each tone sounds for one frame: no two run into each other. */
static roll_t *roll_of(const tone_t *tones, size_t n) {
    roll_t *roll = roll_new(tones[n - 1].frame + 4, 1, 88);
    for (size_t i = 0; i < n; i++) {
        put(roll, 0, tones[i].frame, 1, tones[i].pitch);
        if (tones[i].above > 0) put(roll, 0, tones[i].frame, 1, tones[i].pitch + tones[i].above);
    }
    return roll;
}

static void improvise(GRand *random, tone_t *tones, size_t n, size_t frame) {
    for (size_t i = 0; i < n; i++) {
        frame += (size_t)g_rand_int_range(random, 2, 6);
        tones[i] = (tone_t){frame, g_rand_int_range(random, 45, 75), g_rand_int_range(random, 0, 6)};
    }
}

static originality_t *learn(roll_t *const *rolls, size_t n, const char *tracks) {
    const grid_t grid = grid_of(tracks);
    g_autoptr(GError) error = NULL;
    originality_t *originality = originality_new((const roll_t *const *)rolls, n, &grid, G_MAXUINT, &error);
    g_assert_no_error(error);
    return originality;
}

/* Tones 30 to 41 of song 2, five semitones higher, from the piece's tone 20 on. */
enum { SONGS = 4, TONES = 80, FROM = 30, AT = 20, LENGTH = 12, UP = 5, SONG = 2 };

static void plant(GRand *random, tone_t songs[SONGS][TONES], tone_t *piece) {
    for (size_t i = 0; i < SONGS; i++) improvise(random, songs[i], TONES, 0);
    improvise(random, piece, AT, 0);
    const size_t shift = piece[AT - 1].frame + 9 - songs[SONG][FROM].frame;
    for (size_t i = 0; i < LENGTH; i++) {
        piece[AT + i] = songs[SONG][FROM + i];
        piece[AT + i].frame += shift;
        piece[AT + i].pitch += UP;
    }
    improvise(random, piece + AT + LENGTH, TONES - AT - LENGTH, piece[AT + LENGTH - 1].frame);
    piece[AT + LENGTH].frame = piece[AT + LENGTH - 1].frame + 1; /* songs never go on so soon */
}

static passage_t find_planted(tone_t songs[SONGS][TONES], const tone_t *piece) {
    roll_t *rolls[SONGS];
    for (size_t i = 0; i < SONGS; i++) rolls[i] = roll_of(songs[i], TONES);
    g_autoptr(originality_t) originality = learn(rolls, SONGS, "merged");
    g_autoptr(roll_t) roll = roll_of(piece, TONES);
    for (size_t i = 0; i < SONGS; i++) roll_free(rolls[i]);
    return originality_find(originality, roll);
}

static void test_planted(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    tone_t songs[SONGS][TONES], piece[TONES];
    plant(random, songs, piece);
    const passage_t found = find_planted(songs, piece);
    size_t notes = 0;
    for (size_t i = 0; i < LENGTH; i++) notes += piece[AT + i].above > 0 ? 2 : 1;
    g_assert_cmpuint(found.events, ==, LENGTH);
    g_assert_cmpuint(found.notes, ==, notes);
    g_assert_cmpuint(found.first, ==, piece[AT].frame);
    g_assert_cmpuint(found.frames, ==, piece[AT + LENGTH - 1].frame - piece[AT].frame + 1);
    g_assert_cmpuint(found.song, ==, SONG);
    g_assert_cmpuint(found.song_first, ==, songs[SONG][FROM].frame);
    g_assert_cmpint(found.semitones, ==, UP);
    g_assert_cmpuint(found.piece_events, ==, TONES);

    const passage_t copied = find_planted(songs, songs[1]); /* a song of the set is all its own */
    g_assert_cmpuint(copied.events, ==, TONES);
    g_assert_cmpuint(copied.song, ==, 1);
    g_assert_cmpint(copied.semitones, ==, 0);
}

/* One thing changed at the passage's eighth tone leaves the seven before it. */
static void test_near_misses(void) {
    enum { MISS = AT + 7 };
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    tone_t songs[SONGS][TONES], piece[TONES];
    plant(random, songs, piece);
    for (int kind = 0; kind < 3; kind++) {
        tone_t changed[TONES];
        memcpy(changed, piece, sizeof changed);
        if (kind == 0) changed[MISS].pitch++; /* another key */
        if (kind == 1) changed[MISS].above++; /* another chord over the same lowest key */
        if (kind == 2)
            for (size_t i = MISS; i < TONES; i++) changed[i].frame++; /* a frame late */
        const passage_t found = find_planted(songs, changed);
        g_assert_cmpuint(found.events, ==, 7);
        g_assert_cmpuint(found.first, ==, piece[AT].frame);
    }
}

static void test_events(void) {
    roll_t *song = roll_new(60, 3, 88), *piece = roll_new(60, 3, 88);
    const grid_t grid = grid_of("melody,chords,drums");
    const int tune[] = {60, 64, 67, 65, 62};
    for (size_t i = 0; i < 5; i++) {
        put(song, 0, 10 * i, 10, tune[i]);
        put(song, 2, 10 * i + 3, 1, 36);                /* drums do not count */
        put(piece, i % 2, 2 + 10 * i, 2, tune[i] - 12); /* shorter, on either track, an octave lower */
        put(piece, 2, 2 + 10 * i, 1, 40);
    }
    put(song, 0, 14, 4, 64); /* struck again while it sounds: no event */
    put(song, 1, 22, 5, 67); /* doubled while it sounds: no event */
    roll_t *rolls[] = {song};
    g_autoptr(originality_t) all = learn(rolls, 1, "melody,chords,drums");
    const passage_t found = originality_find(all, piece);
    g_assert_cmpuint(found.events, ==, 5);
    g_assert_cmpuint(found.notes, ==, 5);
    g_assert_cmpuint(found.frames, ==, 41);
    g_assert_cmpuint(found.piece_events, ==, 5);
    g_assert_cmpint(found.semitones, ==, -12);

    g_autoptr(originality_t) melody = originality_new((const roll_t *const *)rolls, 1, &grid, 1 << 0, NULL);
    const passage_t of_melody =
        originality_find(melody, piece); /* tones 0, 2, 4 of the tune: no step of the song */
    g_assert_cmpuint(of_melody.piece_events, ==, 3);
    g_assert_cmpuint(of_melody.events, ==, 0);
    roll_free(song);
    roll_free(piece);
}

/* A passage does not run from one song into the next, and silence has none. */
static void test_ends(void) {
    tone_t tones[20];
    g_autoptr(GRand) random = g_rand_new_with_seed(11);
    improvise(random, tones, 20, 0);
    tones[9].frame = tones[8].frame + 4; /* so that the second half begins where the first ends */
    g_autoptr(roll_t) whole = roll_of(tones, 20);
    roll_t *rolls[3] = {roll_of(tones, 9), roll_new(5, 1, 88), NULL};
    tone_t rest[11];
    memcpy(rest, tones + 9, sizeof rest);
    for (size_t i = 0; i < 11; i++) rest[i].frame -= tones[9].frame;
    rolls[2] = roll_of(rest, 11);
    g_autoptr(originality_t) originality = learn(rolls, 3, "merged");
    const passage_t found = originality_find(originality, whole);
    g_assert_cmpuint(found.events, ==, 11);
    g_assert_cmpuint(found.song, ==, 2);
    g_assert_cmpuint(found.song_first, ==, 0);
    const passage_t silent = originality_find(originality, rolls[1]);
    g_assert_cmpuint(silent.events + silent.notes + silent.frames + silent.piece_events, ==, 0);
    g_autoptr(originality_t) nothing = learn(rolls, 0, "merged");
    g_assert_cmpuint(originality_find(nothing, whole).events, ==, 0);
    g_assert_cmpuint(originality_find(nothing, whole).piece_events, ==, 20);
    for (size_t i = 0; i < 3; i++) roll_free(rolls[i]);
}

/* Steps and keys of few kinds, so that all repeats; the longest run of equal steps by trying every pair of
 * places. */
static size_t search(const tone_t *piece, size_t n, const tone_t *song, size_t m) {
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < m; j++) {
            size_t k = 0;
            while (i + k < n && j + k < m &&
                   piece[i + k].frame - piece[i].frame == song[j + k].frame - song[j].frame &&
                   piece[i + k].pitch - piece[i].pitch == song[j + k].pitch - song[j].pitch &&
                   piece[i + k].above == song[j + k].above)
                k++;
            longest = MAX(longest, k);
        }
    }
    return longest > 1 ? longest : 0;
}

static void test_random(void) {
    enum { ROUNDS = 150, MANY = 3, N = 60 };
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    size_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        tone_t tones[MANY + 1][N];
        roll_t *rolls[MANY + 1];
        for (size_t i = 0; i <= MANY; i++) {
            size_t frame = 0;
            for (size_t k = 0; k < N; k++) {
                frame += 2 + (size_t)(g_rand_int_range(random, 0, 4) == 0);
                tones[i][k] = (tone_t){frame, C4 + 2 * g_rand_int_range(random, 0, 2),
                                       7 * (g_rand_int_range(random, 0, 6) == 0)};
            }
            rolls[i] = roll_of(tones[i], N);
        }
        size_t longest = 0;
        for (size_t i = 0; i < MANY; i++) longest = MAX(longest, search(tones[MANY], N, tones[i], N));
        g_autoptr(originality_t) originality = learn(rolls, MANY, "merged");
        const passage_t found = originality_find(originality, rolls[MANY]);
        g_assert_cmpuint(found.events, ==, longest);
        g_assert_cmpuint(search(tones[MANY], N, tones[found.song], N), ==, longest);
        sum += longest;
        for (size_t i = 0; i <= MANY; i++) roll_free(rolls[i]);
    }
    g_assert_cmpuint(sum, >, 4 * ROUNDS);
}

/* A drone of equal steps is the worst case of repetition: a long one must not take long. */
static void test_drone(void) {
    enum { N = 100000 };
    g_autoptr(roll_t) roll = roll_new(4 * N, 1, 88);
    for (size_t i = 0; i < N; i++) put(roll, 0, 4 * i, 2, C4 + 2 * (int)(i % 2));
    roll_t *rolls[] = {roll};
    const gint64 start = g_get_monotonic_time();
    g_autoptr(originality_t) originality = learn(rolls, 1, "merged");
    g_assert_cmpuint(originality_find(originality, roll).events, ==, N);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_USEC_PER_SEC);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/originality/planted", test_planted);
    g_test_add_func("/originality/near-misses", test_near_misses);
    g_test_add_func("/originality/events", test_events);
    g_test_add_func("/originality/ends", test_ends);
    g_test_add_func("/originality/random", test_random);
    g_test_add_func("/originality/drone", test_drone);
    return g_test_run();
}
