/* roll: canonical form, and round trips through notes and files. */
#include "tests/helpers/roll_text.h"

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

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/roll/canonical", test_canonical);
    g_test_add_func("/roll/roll-round-trip", test_roll_round_trip);
    g_test_add_func("/roll/song-round-trip", test_song_round_trip);
    g_test_add_func("/roll/raw-bits-give-clean-notes", test_raw_bits_give_clean_notes);
    return g_test_run();
}
