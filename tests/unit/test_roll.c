/* roll: the grid, its edges, and transposition. */
#include "tests/helpers/roll_text.h"

/* ---- grid ---- */

static void test_tracks(void) {
    static const char *const sound[] = {"merged", "melody", "melody,counter,chords,bass,drums", "drums,bass"};
    static const char *const refused[][2] = {{"", "no role"},
                                             {"piano", "no such role: piano"},
                                             {"melody,,bass", "no such role"},
                                             {"melody,melody", "named twice"},
                                             {"merged,bass", "beside merged"},
                                             {"bass,merged", "beside merged"}};
    grid_t grid = grid_default();
    for (size_t i = 0; i < G_N_ELEMENTS(sound); i++) {
        g_assert_true(grid_set_tracks(&grid, sound[i], NULL));
        g_autofree char *back = grid_tracks_string(&grid);
        g_assert_cmpstr(back, ==, sound[i]);
    }
    g_assert_true(grid_set_tracks(&grid, " melody, bass ", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(grid_set_tracks(&grid, refused[i][0], &error));
        g_assert_error(error, ROLL_ERROR, ROLL_ERROR_TRACKS);
        if (!strstr(error->message, refused[i][1]))
            g_error("\"%s\" lacks \"%s\"", error->message, refused[i][1]);
    }
    g_assert_cmpint(grid.n_tracks, ==, 2); /* a refused text changes nothing */
    g_assert_cmpuint(grid_frame_bytes(&grid), ==, 2 * ROLL_PLANES * 11);
}

/* ---- notes to roll ---- */

static void test_rounding(void) {
    grid_t grid = grid_of("merged", 4, 21, 88); /* a frame is 120 ticks */
    roll_counts_t counts;
    g_autoptr(song_t) song = song_with(1200);
    add_note(song, 0, 60, 59, 120);  /* 0.49 to 1.49 */
    add_note(song, 0, 61, 60, 120);  /* halves go up: 0.5 to 1.5 */
    add_note(song, 0, 62, 240, 0);   /* no length: one frame */
    add_note(song, 0, 63, 1200, 10); /* starts where the song ends: one frame more */
    g_autoptr(roll_t) roll = lay(song, &grid, &counts);
    assert_line(roll, 0, 39, "O..........");
    assert_line(roll, 0, 40, ".O.........");
    assert_line(roll, 0, 41, "..O........");
    assert_line(roll, 0, 42, "..........O");
    g_assert_cmpuint(counts.kept, ==, 4);
}

static void test_length(void) {
    grid_t grid = grid_of("merged", 4, 21, 88);
    roll_counts_t counts;
    g_autoptr(song_t) song = song_with(8 * 120 + 59);
    add_note(song, 0, 60, 0, 240);
    g_autoptr(roll_t) roll = lay(song, &grid, &counts);
    assert_line(roll, 0, 39, "O-......"); /* trailing silence counts */
    song->ticks++;
    g_autoptr(roll_t) longer = lay(song, &grid, &counts);
    g_assert_cmpuint(longer->frames, ==, 9);
}

static void test_triplets(void) {
    roll_counts_t counts;
    g_autoptr(song_t) song = song_with(480);
    for (int i = 0; i < 3; i++) add_note(song, 0, 60, 160 * i, 160);
    grid_t grid = grid_of("merged", 12, 60, 1);
    g_autoptr(roll_t) fine = lay(song, &grid, &counts);
    assert_line(fine, 0, 0, "O---O---O---");
    grid.steps_per_beat = 4;
    g_autoptr(roll_t) coarse = lay(song, &grid, &counts);
    assert_line(coarse, 0, 0, "OO-O"); /* 0, 1.33, 2.67 */
    grid.steps_per_beat = 1;
    g_autoptr(roll_t) one = lay(song, &grid, &counts);
    assert_line(one, 0, 0,
                "OO"); /* two onsets in one frame are one; the last third lasts to frame 2 at least */
}

static void test_repeated_and_overlapping_notes(void) {
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 60, 3);
    g_autoptr(song_t) song = song_with(8 * 120);
    add_note(song, 0, 60, 0, 240); /* repeated at once */
    add_note(song, 0, 60, 240, 240);
    add_note(song, 0, 61, 0, 960); /* the same pitch of two channels: struck again inside */
    add_note(song, 1, 61, 360, 120);
    add_note(song, 0, 62, 120, 240);
    add_note(song, 1, 62, 240, 480);
    g_autoptr(roll_t) roll = lay(song, &grid, &counts);
    assert_line(roll, 0, 0, "O-O-....");
    assert_line(roll, 0, 1, "O--O----");
    assert_line(roll, 0, 2, ".OO---..");
    g_assert_cmpuint(counts.kept, ==, 6);
}

static void test_tempo_does_not_matter(void) {
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 21, 88);
    g_autoptr(song_t) song = song_with(4800);
    for (int i = 0; i < 10; i++) add_note(song, 0, 50 + i, 480 * i, 400);
    g_autoptr(roll_t) before = lay(song, &grid, &counts);
    for (int i = 0; i < 10; i++)
        g_array_append_val(song->tempi, ((tempo_t){.tick = 480 * i, .bpm = 40 + 20 * i}));
    g_autoptr(roll_t) after = lay(song, &grid, &counts);
    assert_same_roll(before, after);
}

static void test_range(void) {
    static const int pitches[] = {0, 40, 47, 48, 59, 60, 95, 96, 127},
                     folded[] = {48, 52, 59, 48, 59, 60, 95, 84, 91};
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 48, 48);
    g_autoptr(song_t) song = song_with(9 * 120);
    for (int i = 0; i < 9; i++) add_note(song, 0, pitches[i], 120 * i, 120);
    g_autoptr(roll_t) dropped = lay(song, &grid, &counts);
    g_assert_cmpuint(counts.kept, ==, 4);
    g_assert_cmpuint(counts.out_of_range, ==, 5);
    g_assert_cmpuint(counts.folded, ==, 0);
    assert_line(dropped, 0, 0, "...O.....");
    grid.fold_octaves = TRUE;
    g_autoptr(roll_t) kept = lay(song, &grid, &counts);
    g_assert_cmpuint(counts.kept, ==, 9);
    g_assert_cmpuint(counts.out_of_range, ==, 0);
    g_assert_cmpuint(counts.folded, ==, 5);
    for (size_t i = 0; i < 9; i++) g_assert_true(roll_get(kept, i, 0, PLANE_ONSET, (size_t)(folded[i] - 48)));
    /* less than an octave: what has no place stays out */
    grid.pitches = 5;
    g_autoptr(roll_t) narrow = lay(song, &grid, &counts);
    g_assert_cmpuint(counts.kept, ==, 5); /* C, E, C, C, C */
    g_assert_cmpuint(counts.out_of_range, ==, 4);
    g_assert_cmpuint(narrow->stride, ==, 1);
}

static void test_drums(void) {
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 60, 12);
    grid.fold_octaves = TRUE;
    g_autoptr(song_t) song = song_with(480);
    add_note(song, 0, 72, 0, 120);
    add_note(song, MIDI_DRUM_CHANNEL, 36, 0, 120);
    add_note(song, MIDI_DRUM_CHANNEL, 60, 0, 120);
    g_autoptr(roll_t) merged = lay(song, &grid, &counts);
    g_assert_cmpuint(counts.drums_left_out, ==, 2);
    g_assert_cmpuint(counts.kept, ==, 1);
    assert_line(merged, 0, 0, "O...");
    grid_set_tracks(&grid, "bass,drums", NULL);
    g_autoptr(roll_t) apart = lay(song, &grid, &counts);
    g_assert_cmpuint(counts.drums_left_out, ==, 0);
    g_assert_cmpuint(counts.out_of_range, ==, 1); /* 36: a drum is not folded */
    g_assert_cmpuint(counts.folded, ==, 1);
    assert_line(apart, 1, 0, "O...");
}

/* Counter 67, melody 72, chords 60, bass 40, drums 36 by name, on a grid with the tracks of each line: in
 * which track is each heard? The counter part is told by its name only where it has a track; elsewhere it is
 * one of the chords. */
static void test_nearest_role(void) {
    static const struct {
        const char *tracks;
        int counter, melody, chords, bass, drums; /* -1: left out */
    } cases[] = {{"melody,chords,bass,drums", 1, 0, 1, 2, 3},
                 {"melody,counter,chords,bass,drums", 1, 0, 2, 3, 4},
                 {"drums,bass,chords,melody,counter", 4, 3, 2, 1, 0},
                 {"melody,counter,chords", 1, 0, 2, 2, -1},
                 {"melody,counter", 1, 0, 0, 0, -1},
                 {"counter", 0, 0, 0, 0, -1},
                 {"counter,bass", 0, 1, 1, 1, -1},
                 {"drums,bass,chords,melody", 2, 3, 2, 1, 0},
                 {"chords,bass", 0, 0, 0, 1, -1},
                 {"melody,bass", 0, 0, 0, 1, -1},
                 {"melody,chords", 1, 0, 1, 1, -1},
                 {"bass", 0, 0, 0, 0, -1},
                 {"melody", 0, 0, 0, 0, -1},
                 {"drums", -1, -1, -1, -1, 0},
                 {"merged", 0, 0, 0, 0, -1},
                 {"bass,drums", 0, 0, 0, 0, 1}};
    static const int pitch[] = {67, 72, 60, 40, 36};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const int expected[] = {cases[i].counter, cases[i].melody, cases[i].chords, cases[i].bass,
                                cases[i].drums};
        grid_t grid = grid_of(cases[i].tracks, 4, 21, 88);
        roll_counts_t counts;
        g_autoptr(song_t) song = song_new(TICKS);
        size_t left_out = 0;
        for (role_t role = ROLE_COUNTER; role <= ROLE_DRUMS; role++) {
            g_ptr_array_add(song->track_names, g_strdup(role_name(role)));
            note_t note = {.length = TICKS,
                           .pitch = (uint8_t)pitch[role - ROLE_COUNTER],
                           .velocity = 64,
                           .channel = role_channel(role),
                           .track = (uint16_t)(role - ROLE_COUNTER)};
            g_array_append_val(song->notes, note);
        }
        g_autoptr(roll_t) roll = lay(song, &grid, &counts);
        for (size_t k = 0; k < G_N_ELEMENTS(pitch); k++) {
            left_out += expected[k] < 0;
            for (int track = 0; track < grid.n_tracks; track++)
                g_assert_cmpint(roll_get(roll, 0, (size_t)track, PLANE_ONSET, (size_t)(pitch[k] - 21)), ==,
                                track == expected[k]);
        }
        g_assert_cmpuint(counts.drums_left_out, ==, cases[i].drums < 0);
        g_assert_cmpuint(counts.drums_left_out + counts.role_left_out, ==, left_out);
    }
}

static void test_pedal(void) {
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 60, 1);
    g_autoptr(song_t) song = song_with(960);
    add_note(song, 0, 60, 0, 120);
    g_array_append_val(song->pedals, ((pedal_t){.tick = 0, .down = TRUE}));
    g_array_append_val(song->pedals, ((pedal_t){.tick = 600, .down = FALSE}));
    g_autoptr(roll_t) dry = lay(song, &grid, &counts);
    assert_line(dry, 0, 0, "O.......");
    grid.sustain_pedal = TRUE;
    g_autoptr(roll_t) wet = lay(song, &grid, &counts);
    assert_line(wet, 0, 0, "O----...");
}

static void test_refusals(void) {
    roll_counts_t counts;
    grid_t grid = grid_of("merged", 4, 60, 1);
    g_autoptr(GError) empty = NULL, drums = NULL, length = NULL;
    g_autoptr(song_t) song = song_with(960);
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, NULL, &empty));
    g_assert_error(empty, ROLL_ERROR, ROLL_ERROR_EMPTY);
    add_note(song, 0, 59, 0, 120);
    add_note(song, MIDI_DRUM_CHANNEL, 60, 0, 120);
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, NULL, &drums));
    g_assert_error(drums, ROLL_ERROR, ROLL_ERROR_EMPTY);
    g_assert_nonnull(strstr(drums->message, "no notes left of 2 (out of range 1, drums 1"));
    g_assert_cmpuint(counts.out_of_range, ==, 1);
    g_assert_cmpuint(counts.drums_left_out, ==, 1);
    add_note(song, 0, 60, 0, 120);
    song->ticks = ((int64_t)1 << 24) * 120 + 60;
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, NULL, &length));
    g_assert_error(length, ROLL_ERROR, ROLL_ERROR_TOO_LONG);
    g_assert_cmpuint(counts.kept, ==, 1);
    song->ticks--;
    g_autoptr(roll_t) longest = lay(song, &grid, &counts);
    g_assert_cmpuint(longest->frames, ==, 1 << 24);
}

/* ---- transposition ---- */

static void test_shift(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (int pitches = 1; pitches <= 128; pitches++)
        for (int semitones = -130; semitones <= 130; semitones += 1 + abs(semitones) / 13) {
            grid_t grid = grid_of("merged", 4, 0, pitches);
            g_autoptr(roll_t) from = random_roll(random, &grid, 1), to = random_roll(random, &grid, 1);
            roll_make_canonical(from); /* clears what is no pitch */
            roll_shift_plane(from->bits, to->bits, (size_t)pitches, semitones);
            for (int p = 0; p < 8 * (int)to->stride; p++) {
                int source = p - semitones;
                gboolean expected = p < pitches && source >= 0 && source < pitches &&
                                    roll_get(from, 0, 0, PLANE_SOUNDING, (size_t)source);
                g_assert_cmpint(roll_get(to, 0, 0, PLANE_SOUNDING, (size_t)p), ==, expected);
            }
        }
}

static void test_pitch_range(void) {
    int lowest, highest;
    grid_t grid = grid_of("melody,bass,drums", 4, 21, 88);
    g_autoptr(roll_t) roll = roll_new(4, 3, 88);
    roll_set(roll, 1, 2, PLANE_SOUNDING, 3);
    g_assert_false(roll_pitch_range(roll->bits, 4, &grid, &lowest, &highest)); /* drums only */
    roll_set(roll, 1, 0, PLANE_SOUNDING, 87);
    roll_set(roll, 3, 1, PLANE_SOUNDING, 9);
    g_assert_true(roll_pitch_range(roll->bits, 4, &grid, &lowest, &highest));
    g_assert_cmpint(lowest, ==, 9);
    g_assert_cmpint(highest, ==, 87);
    g_assert_true(roll_pitch_range(roll->bits, 3, &grid, &lowest, &highest));
    g_assert_cmpint(lowest, ==, 87);
    g_assert_false(roll_pitch_range(roll->bits, 0, &grid, &lowest, &highest));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/roll/tracks", test_tracks);
    g_test_add_func("/roll/rounding", test_rounding);
    g_test_add_func("/roll/length", test_length);
    g_test_add_func("/roll/triplets", test_triplets);
    g_test_add_func("/roll/repeated-and-overlapping-notes", test_repeated_and_overlapping_notes);
    g_test_add_func("/roll/tempo-does-not-matter", test_tempo_does_not_matter);
    g_test_add_func("/roll/range", test_range);
    g_test_add_func("/roll/drums", test_drums);
    g_test_add_func("/roll/nearest-role", test_nearest_role);
    g_test_add_func("/roll/pedal", test_pedal);
    g_test_add_func("/roll/refusals", test_refusals);
    g_test_add_func("/roll/shift", test_shift);
    g_test_add_func("/roll/pitch-range", test_pitch_range);
    return g_test_run();
}
