/* roll: the grid, its edges, and round trips through notes and files. */
#include "preprocess/roll/roll.h"

#include <string.h>

enum { TICKS = 480 };

static grid_t grid_of(const char *tracks, int steps_per_beat, int pitch_low, int pitches) {
    g_autoptr(GError) error = NULL;
    grid_t grid = grid_default();
    grid_set_tracks(&grid, tracks, &error);
    g_assert_no_error(error);
    grid.steps_per_beat = steps_per_beat;
    grid.pitch_low = pitch_low;
    grid.pitches = pitches;
    return grid;
}

static song_t *song_with(int64_t ticks) {
    song_t *song = song_new(TICKS);
    g_ptr_array_add(song->track_names, g_strdup(""));
    song->ticks = ticks;
    return song;
}

static void add_note(song_t *song, int channel, int pitch, int64_t onset, int64_t length) {
    note_t note = {.onset = onset,
                   .length = length,
                   .pitch = (uint8_t)pitch,
                   .velocity = 64,
                   .channel = (uint8_t)channel};
    g_array_append_val(song->notes, note);
    song_sort_notes(song);
}

static roll_t *lay(song_t *song, const grid_t *grid, roll_counts_t *counts) {
    g_autoptr(GError) error = NULL;
    roll_t *roll = roll_from_song(song, grid, NULL, counts, &error);
    g_assert_no_error(error);
    return roll;
}

/* One pitch of one track as text, a frame a letter: O onset, - sounding, . silent. */
static void assert_line(const roll_t *roll, size_t track, size_t p, const char *expected) {
    g_autoptr(GString) line = g_string_new(NULL);
    for (size_t frame = 0; frame < roll->frames; frame++) {
        gboolean sounding = roll_get(roll, frame, track, PLANE_SOUNDING, p),
                 onset = roll_get(roll, frame, track, PLANE_ONSET, p);
        g_string_append_c(line, sounding ? (onset ? 'O' : '-') : (onset ? '?' : '.'));
    }
    g_assert_cmpstr(line->str, ==, expected);
}

static void assert_same_roll(const roll_t *a, const roll_t *b) {
    g_assert_cmpuint(a->frames, ==, b->frames);
    g_assert_cmpuint(a->tracks, ==, b->tracks);
    g_assert_cmpuint(a->pitches, ==, b->pitches);
    size_t bytes = a->frames * a->tracks * ROLL_PLANES * a->stride;
    g_assert_true(memcmp(a->bits, b->bits, bytes) == 0);
}

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
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, &empty));
    g_assert_error(empty, ROLL_ERROR, ROLL_ERROR_EMPTY);
    add_note(song, 0, 59, 0, 120);
    add_note(song, MIDI_DRUM_CHANNEL, 60, 0, 120);
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, &drums));
    g_assert_error(drums, ROLL_ERROR, ROLL_ERROR_EMPTY);
    g_assert_nonnull(strstr(drums->message, "no notes left of 2 (out of range 1, drums 1"));
    g_assert_cmpuint(counts.out_of_range, ==, 1);
    g_assert_cmpuint(counts.drums_left_out, ==, 1);
    add_note(song, 0, 60, 0, 120);
    song->ticks = ((int64_t)1 << 24) * 120 + 60;
    g_assert_null(roll_from_song(song, &grid, NULL, &counts, &length));
    g_assert_error(length, ROLL_ERROR, ROLL_ERROR_TOO_LONG);
    g_assert_cmpuint(counts.kept, ==, 1);
    song->ticks--;
    g_autoptr(roll_t) longest = lay(song, &grid, &counts);
    g_assert_cmpuint(longest->frames, ==, 1 << 24);
}

/* ---- round trips ---- */

static roll_t *random_roll(GRand *random, const grid_t *grid, size_t frames) {
    roll_t *roll = roll_new(frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    for (size_t i = 0; i < frames * grid_frame_bytes(grid); i++)
        roll->bits[i] = (uint8_t)(g_rand_int(random) & g_rand_int(random));
    return roll;
}

static void test_canonical(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (int pitches = 1; pitches <= 128; pitches++) {
        grid_t grid = grid_of("melody,drums", 4, 0, pitches);
        g_autoptr(roll_t) raw = random_roll(random, &grid, 9), roll = roll_new(9, 2, (size_t)pitches);
        memcpy(roll->bits, raw->bits, 9 * grid_frame_bytes(&grid));
        roll_make_canonical(roll);
        for (size_t frame = 0; frame < 9; frame++)
            for (size_t track = 0; track < 2; track++)
                for (size_t p = 0; p < 8 * roll->stride; p++) {
                    gboolean heard = p < (size_t)pitches && (roll_get(raw, frame, track, PLANE_SOUNDING, p) ||
                                                             roll_get(raw, frame, track, PLANE_ONSET, p));
                    gboolean start = heard && (roll_get(raw, frame, track, PLANE_ONSET, p) || frame == 0 ||
                                               !roll_get(roll, frame - 1, track, PLANE_SOUNDING, p));
                    g_assert_cmpint(roll_get(roll, frame, track, PLANE_SOUNDING, p), ==, heard);
                    g_assert_cmpint(roll_get(roll, frame, track, PLANE_ONSET, p), ==, start);
                }
    }
}

/* The song through a file. */
static song_t *through_file(const song_t *song) {
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL;
    size_t length;
    midi_write(song, "song.mid", &error);
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents("song.mid", &bytes, &length, NULL));
    song_t *back = midi_parse(bytes, length, &error);
    g_assert_no_error(error);
    return back;
}

/* No note is empty, overlaps the next of its pitch and channel, or passes the end. */
static void assert_clean(const song_t *song) {
    int64_t end[16][128] = {{0}};
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        g_assert_cmpint(note->length, >, 0);
        g_assert_cmpint(note->onset, >=, end[note->channel][note->pitch]);
        end[note->channel][note->pitch] = note->onset + note->length;
        g_assert_cmpint(end[note->channel][note->pitch], <=, song->ticks);
    }
}

static void assert_round_trip(const roll_t *roll, const grid_t *grid) {
    roll_counts_t counts;
    g_autoptr(timeline_t) timeline =
        timeline_new(grid->steps_per_beat, 90, (meter_t){.numerator = 6, .denominator = 8});
    g_autoptr(song_t) song = roll_to_song(roll, grid, timeline);
    g_assert_cmpint(song->ticks_per_beat % (24 * grid->steps_per_beat), ==, 0);
    assert_clean(song);
    g_autoptr(song_t) file = through_file(song);
    g_assert_cmpuint(file->reading.tracks_cut + file->reading.events_left_out, ==, 0);
    g_assert_cmpfloat_with_epsilon(song_main_tempo(file), 90, 1e-3);
    g_assert_cmpint(song_main_meter(file).numerator, ==, 6);
    g_autoptr(roll_t) direct = lay(song, grid, &counts), back = lay(file, grid, &counts);
    g_assert_cmpuint(counts.kept, ==, song->notes->len);
    assert_same_roll(direct, roll);
    assert_same_roll(back, roll);
}

static void test_roll_round_trip(void) {
    static const char *const tracks[] = {"merged",
                                         "melody,chords,bass,drums",
                                         "melody,counter,chords",
                                         "drums,melody",
                                         "counter",
                                         "chords",
                                         "bass",
                                         "drums"};
    static const int steps[] = {1, 2, 4, 5, 7, 12, 24, 96},
                     ranges[][2] = {{21, 88}, {36, 48}, {60, 1}, {0, 128}};
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (size_t i = 0; i < G_N_ELEMENTS(tracks); i++)
        for (size_t s = 0; s < G_N_ELEMENTS(steps); s++)
            for (size_t r = 0; r < G_N_ELEMENTS(ranges); r++) {
                grid_t grid = grid_of(tracks[i], steps[s], ranges[r][0], ranges[r][1]);
                g_autoptr(roll_t) roll = random_roll(random, &grid, 30);
                roll_make_canonical(roll);
                assert_round_trip(roll, &grid);
            }
}

/* Any song, once on the grid, comes back the same: overlaps, all channels, off-grid ticks. */
static void test_song_round_trip(void) {
    static const char *const tracks[] = {"merged", "melody,chords,bass,drums"};
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    for (int i = 0; i < 20; i++) {
        roll_counts_t counts;
        grid_t grid = grid_of(tracks[i % 2], i % 3 == 0 ? 12 : 4, 21, 88);
        g_autoptr(song_t) song = song_with(g_rand_int_range(random, 0, 20000));
        grid.fold_octaves = i % 5 == 0;
        for (int k = 0; k < 300; k++)
            add_note(song, g_rand_int_range(random, 0, 16), g_rand_int_range(random, 0, 128),
                     g_rand_int_range(random, 0, 10000), g_rand_int_range(random, 0, 2000));
        g_autoptr(roll_t) roll = lay(song, &grid, &counts);
        g_assert_cmpuint(counts.kept + counts.out_of_range + counts.drums_left_out + counts.role_left_out, ==,
                         300);
        g_autoptr(roll_t) canonical = roll_new(roll->frames, roll->tracks, roll->pitches);
        memcpy(canonical->bits, roll->bits, roll->frames * grid_frame_bytes(&grid));
        roll_make_canonical(canonical);
        assert_same_roll(roll, canonical);
        assert_round_trip(roll, &grid);
    }
}

/* Sampled bits that nobody made canonical still give clean notes. */
static void test_raw_bits_give_clean_notes(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(4);
    grid_t grid = grid_of("melody,drums", 4, 21, 88);
    g_autoptr(roll_t) roll = random_roll(random, &grid, 50);
    g_autoptr(timeline_t) timeline = timeline_new(4, 120, (meter_t){.numerator = 4, .denominator = 4});
    g_autoptr(song_t) song = roll_to_song(roll, &grid, timeline);
    g_assert_cmpuint(song->notes->len, >, 100);
    assert_clean(song);
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
    g_test_add_func("/roll/canonical", test_canonical);
    g_test_add_func("/roll/roll-round-trip", test_roll_round_trip);
    g_test_add_func("/roll/song-round-trip", test_song_round_trip);
    g_test_add_func("/roll/raw-bits-give-clean-notes", test_raw_bits_give_clean_notes);
    g_test_add_func("/roll/shift", test_shift);
    g_test_add_func("/roll/pitch-range", test_pitch_range);
    return g_test_run();
}
