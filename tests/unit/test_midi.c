/* midi, song: files written here byte by byte in hexadecimal, as a Standard MIDI File spells them. */
#include "preprocess/midi/midi.h"

#include <string.h>

#include "tests/helpers/midi_bytes.h"

static void test_note_pairs(void) {
    /* note-on, note-off; then running status, ended by velocity 0; the last one by a note-off of another
     * velocity */
    g_autoptr(song_t) song = song_of(0, 96, "00 903C40 60 803C00  00 903E41 10 3E00 00 4042 20 804040" END);
    g_assert_cmpuint(song->notes->len, ==, 3);
    assert_note(song, 0, 60, 0, 96);
    assert_note(song, 1, 62, 96, 16);
    assert_note(song, 2, 64, 112, 32);
    g_assert_cmpint(note_at(song, 2)->velocity, ==, 0x42);
    g_assert_cmpint(song->ticks_per_beat, ==, 96);
    g_assert_cmpint(song->ticks, ==, 144);
    g_assert_cmpuint(song->reading.tracks_cut, ==, 0);
}

static void test_running_status_across_meta(void) {
    g_autoptr(song_t) song =
        song_of(0, 96, "00 903C40 00 FF010161 10 3C00 05 F003010203 00 3E40 10 3E00" END);
    g_assert_cmpuint(song->notes->len, ==, 2);
    assert_note(song, 0, 60, 0, 16);
    assert_note(song, 1, 62, 21, 16);
}

static void test_repeated_notes(void) {
    /* struck again while it sounds: the first ends there; the key sounds until as many releases have come */
    g_autoptr(song_t) song = song_of(0, 96, "00 903C40 30 903C50 10 803C00 10 803C00" END);
    g_assert_cmpuint(song->notes->len, ==, 2);
    assert_note(song, 0, 60, 0, 48);
    assert_note(song, 1, 60, 48, 32);
    /* struck twice at one tick: one note, at the greater velocity */
    g_autoptr(song_t) twice = song_of(0, 96, "00 903C40 00 903C50 10 803C00 10 803C00" END);
    g_assert_cmpuint(twice->notes->len, ==, 1);
    assert_note(twice, 0, 60, 0, 32);
    g_assert_cmpint(note_at(twice, 0)->velocity, ==, 0x50);
    /* the same pitch on two channels and on two tracks: notes of their own */
    g_autoptr(song_t) apart =
        song_of(1, 96, "00 903C40 00 913C40 10 803C00 10 813C00" END, "08 903C40 30 803C00" END);
    g_assert_cmpuint(apart->notes->len, ==, 3);
    assert_note(apart, 0, 60, 0, 16);
    assert_note(apart, 1, 60, 0, 32);
    assert_note(apart, 2, 60, 8, 48);
}

static void test_hanging_and_zero_length_notes(void) {
    g_autoptr(song_t) song = song_of(0, 96, "00 903C40 00 903E40 00 803E00 60 804040 20 FF2F00");
    g_assert_cmpuint(song->notes->len, ==, 2);
    assert_note(song, 0, 60, 0, 128); /* never switched off: to the end of the track */
    assert_note(song, 1, 62, 0, 0);
}

static void test_trailing_silence(void) {
    /* the end-of-track event's own delta counts, of the longest track */
    g_autoptr(song_t) song =
        song_of(1, 96, "00 903C40 60 803C00 8740 FF2F00", "00 903C40 60 803C00 00 FF2F00");
    g_assert_cmpint(song->ticks, ==, 96 + 960);
    g_assert_cmpint(note_at(song, 1)->onset + note_at(song, 1)->length, ==, 96);
    /* so does time passed by events that are left out, and nothing after the end of track */
    g_autoptr(song_t) sysex =
        song_of(0, 96, "00 903C40 60 803C00 10 F00101 10 FF060141 10 FF2F00 60 903C40 60 803C00");
    g_assert_cmpint(sysex->ticks, ==, 96 + 48);
    g_assert_cmpuint(sysex->notes->len, ==, 1);
}

static void test_format_0_channels_and_programs(void) {
    g_autoptr(song_t) song = song_of(0, 96,
                                     "00 C038 00 C121 00 903C40 00 912440 00 992440 30 802400 00 C040 00 "
                                     "803C00 00 913040 00 903E40 30 813000 00 803E00" END);
    static const int programs[][3] = {{0, 60, 56}, {1, 36, 33}, {9, 36, 0}, {0, 62, 64}, {1, 48, 33}};
    g_assert_cmpuint(song->notes->len, ==, 5);
    for (guint i = 0; i < 5; i++) {
        g_assert_cmpint(note_at(song, i)->channel, ==, programs[i][0]);
        g_assert_cmpint(note_at(song, i)->pitch, ==, programs[i][1]);
        g_assert_cmpint(note_at(song, i)->program, ==, programs[i][2]);
    }
    /* a program set on another track holds for the channel, at the very same tick too */
    g_autoptr(song_t) apart = song_of(1, 96, "00 903C40 10 803C00" END, "00 C005" END);
    g_assert_cmpint(note_at(apart, 0)->program, ==, 5);
}

static void test_meter_from_text(void) {
    static const char *const refused[] = {"",    "4",     "4/",    "/4",   "0/4",  "4/0",
                                          "4/3", "4/128", "100/4", "4/4x", "x4/4", "-3/4"};
    meter_t meter = {.tick = 5, .numerator = 7, .denominator = 8};
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) g_assert_false(meter_from_text(refused[i], &meter));
    g_assert_cmpint(meter.tick + meter.numerator + meter.denominator, ==, 20);
    g_assert_true(meter_from_text("12/16", &meter));
    g_assert_true(meter.tick == 0 && meter.numerator == 12 && meter.denominator == 16);
}

static void test_tempo_and_meter(void) {
    /* 120 for 96 ticks, 60 for 192; 3/4 for 96 ticks, then 6/8; tempo 0, meters 0/4 and 4/2^200 mean nothing
     */
    g_autoptr(song_t) song = song_of(1, 96,
                                     "00 FF510307A120 00 FF580403021808 60 FF51030F4240 00 FF580406031808 00 "
                                     "FF5103000000 00 FF580400021808 00 FF580404C81808" END,
                                     "00 903C40 8220 803C00" END);
    g_assert_cmpuint(song->tempi->len, ==, 2);
    g_assert_cmpuint(song->meters->len, ==, 2);
    g_assert_cmpfloat(g_array_index(song->tempi, tempo_t, 0).bpm, ==, 120);
    g_assert_cmpfloat(g_array_index(song->tempi, tempo_t, 1).bpm, ==, 60);
    g_assert_cmpint(g_array_index(song->meters, meter_t, 1).tick, ==, 96);
    g_assert_cmpfloat(song_main_tempo(song), ==, 60);
    meter_t meter = song_main_meter(song);
    g_assert_cmpint(meter.numerator, ==, 6);
    g_assert_cmpint(meter.denominator, ==, 8);
    g_assert_cmpuint(song->reading.tracks_cut, ==, 0);

    g_autoptr(song_t) silent = song_new(96);
    g_assert_cmpfloat(song_main_tempo(silent), ==, MIDI_DEFAULT_BPM);
    g_assert_cmpint(song_main_meter(silent).numerator, ==, 4);
    /* many tempi: the median over the ticks, not the one that lasts longest */
    silent->ticks = 100;
    for (int i = 0; i < 10; i++)
        g_array_append_val(silent->tempi, ((tempo_t){.tick = i * 8, .bpm = i < 9 ? 100 + i : 30}));
    g_assert_cmpfloat(song_main_tempo(silent), ==, 102);
}

static void test_names_and_texts(void) {
    /* a Latin-1 name; only the first name holds; texts of the first track's tick 0 alone */
    g_autoptr(song_t) song =
        song_of(1, 96, "00 FF010161 00 FF010162 00 FF0305 5370E57220 00 FF030141 01 FF010163" END,
                "00 FF010164 00 903C40 10 803C00" END);
    g_assert_cmpuint(song->track_names->len, ==, 2);
    g_assert_cmpstr(song->track_names->pdata[0], ==, "Spår ");
    g_assert_cmpstr(song->track_names->pdata[1], ==, "");
    g_assert_cmpuint(song->texts->len, ==, 2);
    g_assert_cmpstr(song->texts->pdata[0], ==, "a");
    g_assert_cmpstr(song->texts->pdata[1], ==, "b");
}

static void test_pedal(void) {
    /* down 0 to 96 (values 64 and 127), up at 96: C released at 16 rings to 96; D is struck again at 64; E
     * ends with the pedal; on channel 2 nothing rings */
    g_autoptr(song_t) song = song_of(0, 96,
                                     "00 B04040 00 B0407F 00 903C40 00 913C40 10 803C00 00 813C00 10 903E40 "
                                     "10 803E00 10 903E40 20 B0403F 00 803E00" END);
    g_assert_cmpuint(song->pedals->len, ==, 3);
    song_apply_pedal(song);
    g_assert_cmpuint(song->pedals->len, ==, 0);
    assert_note(song, 0, 60, 0, 96);
    assert_note(song, 1, 60, 0, 16);
    assert_note(song, 2, 62, 32, 32);
    assert_note(song, 3, 62, 64, 32);
    /* never released: to the end of the song */
    g_autoptr(song_t) held = song_of(0, 96, "00 903C40 08 B0407F 08 803C00 60 FF2F00");
    song_apply_pedal(held);
    assert_note(held, 0, 60, 0, 112);
    /* pressed only after the key is up */
    g_autoptr(song_t) late = song_of(0, 96, "00 903C40 08 803C00 08 B0407F 60 FF2F00");
    song_apply_pedal(late);
    assert_note(late, 0, 60, 0, 8);
}

static void assert_refused(GByteArray *file, const char *pattern) {
    g_autoptr(GError) error = NULL;
    g_assert_null(midi_parse(file->data, file->len, &error));
    g_assert_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT);
    if (!g_regex_match_simple(pattern, error->message, 0, 0))
        g_error("\"%s\" has no /%s/", error->message, pattern);
    g_byte_array_unref(file);
}

static void test_refusals(void) {
    assert_refused(bytes_of(""), "no MThd");
    assert_refused(bytes_of("4D546864"), "no MThd");
    assert_refused(bytes_of("52494646 00000000 524D4944 64617461 00000000"), "no MThd");
    assert_refused(file_of(2, 96, "00 903C40 10 803C00" END, NULL), "format 2");
    assert_refused(file_of(7, 96, "00 903C40 10 803C00" END, NULL), "unknown format");
    assert_refused(file_of(1, 0xE728, "00 903C40 10 803C00" END, NULL), "SMPTE");
    assert_refused(file_of(1, 0, "00 903C40 10 803C00" END, NULL), "zero ticks");
    assert_refused(file_of(1, 96, NULL), "no tracks");
    assert_refused(bytes_of("4D546864 00000006 0001 0001 0060 58585858 00000002 0000"), "no tracks");
}

/* Track bodies that hold one note, 60 from 0 to 16, and something that is rare, wrong or nothing. */
static void test_sound_but_unusual_files(void) {
    static const struct {
        const char *track;
        guint cut, left_out;
    } cases[] = {
        {"00 F003010203 00 F70101 00 F702F301 00 903C40 10 803C00" END, 0,
         0}, /* continued and escaped system exclusive messages */
        {"00 F0030102F7 00 FF7F00 00 FF210100 00 903C40 10 803C00" END, 0,
         0},                                                    /* sequencer's own and port meta events */
        {"00 903C40 10 803C00", 1, 0},                          /* no end of track */
        {"00 903C40 10 803C00 00 F4 00 B00740" END, 0, 1},      /* a status that does not exist */
        {"00 903C40 10 803C00 00 90F840" END, 0, 1},            /* a status where data should be */
        {"00 903C40 10 803C00 00 FF018F7F", 1, 0},              /* longer than what is there */
        {"00 903C40 10 803C00 FFFFFFFFFF 00 B00740" END, 0, 1}, /* no quantity has five bytes */
        {"00 903C40 10 803C00 3C", 1, 0},                       /* a delta and no event */
        {"00 3C40 10 3C00 00 903C40 10 803C00" END, 0, 1},      /* running status before any status */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(song_t) song = song_of(0, 96, cases[i].track);
        g_test_message("%s", cases[i].track);
        g_assert_cmpuint(song->notes->len, ==, 1);
        g_assert_cmpint(note_at(song, 0)->length, ==, 16);
        g_assert_cmpuint(song->reading.tracks_cut, ==, cases[i].cut);
        g_assert_cmpuint(song->reading.events_left_out, ==, cases[i].left_out);
    }
    /* an empty track, a missing one, a chunk that is no track, a longer header */
    GByteArray *file = bytes_of("4D546864 00000008 0001 0004 0060 0000 4D54726B 00000000 58585858 00000002 "
                                "ABCD 4D54726B 0000000C 00903C40 10803C00 " END);
    g_autoptr(song_t) song = parse_file(file);
    g_assert_cmpuint(song->track_names->len, ==, 2);
    g_assert_cmpuint(song->reading.tracks_cut, ==, 3);
    assert_note(song, 0, 60, 0, 16);
}

static GByteArray *rich_file(void) {
    return file_of(
        1, 480, "00 FF0103616263 00 FF510307A120 00 FF580404021808" END,
        "00 FF03054D454C4F59 00 C049 00 903C40 8340 3C00 00 3E40 8340 3E00 00 B0407F 00 F0027EF7 00 4000" END,
        "00 992440 10 892440 00 9924 40 10 2400" END, NULL);
}

static void test_truncated_anywhere(void) {
    g_autoptr(GByteArray) file = rich_file();
    for (guint length = 0; length < file->len; length++) {
        g_autoptr(GError) error = NULL;
        g_autofree uint8_t *bytes =
            g_memdup2(file->data, length); /* of its own size, so that reading past it shows under ASan */
        g_autoptr(song_t) song = midi_parse(bytes, length, &error);
        if (song)
            g_assert_cmpuint(song->reading.tracks_cut, >, 0);
        else
            g_assert_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT);
    }
}

static void test_random_damage(void) {
    g_autoptr(GByteArray) file = rich_file();
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    int read = 0;
    for (int i = 0; i < 3000; i++) {
        g_autofree uint8_t *bytes = g_memdup2(file->data, file->len);
        for (int n = g_rand_int_range(random, 1, 8); n > 0; n--)
            bytes[g_rand_int_range(random, 8, (int)file->len)] = (uint8_t)g_rand_int_range(random, 0, 256);
        g_autoptr(song_t) song = midi_parse(bytes, file->len, NULL);
        if (!song) continue;
        read++;
        g_assert_cmpint(song->ticks_per_beat, >, 0);
        for (guint k = 0; k < song->notes->len; k++) {
            const note_t *note = note_at(song, k);
            g_assert_true(note->pitch < 128 && note->velocity > 0 && note->velocity < 128 &&
                          note->program < 128 && note->track < song->track_names->len);
            g_assert_true(note->onset >= 0 && note->length >= 0 && note->onset + note->length <= song->ticks);
        }
    }
    g_assert_cmpint(read, >, 1000);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/midi/note-pairs", test_note_pairs);
    g_test_add_func("/midi/running-status-across-meta", test_running_status_across_meta);
    g_test_add_func("/midi/repeated-notes", test_repeated_notes);
    g_test_add_func("/midi/hanging-and-zero-length-notes", test_hanging_and_zero_length_notes);
    g_test_add_func("/midi/trailing-silence", test_trailing_silence);
    g_test_add_func("/midi/format-0-channels-and-programs", test_format_0_channels_and_programs);
    g_test_add_func("/midi/tempo-and-meter", test_tempo_and_meter);
    g_test_add_func("/midi/meter-from-text", test_meter_from_text);
    g_test_add_func("/midi/names-and-texts", test_names_and_texts);
    g_test_add_func("/midi/pedal", test_pedal);
    g_test_add_func("/midi/refusals", test_refusals);
    g_test_add_func("/midi/sound-but-unusual-files", test_sound_but_unusual_files);
    g_test_add_func("/midi/truncated-anywhere", test_truncated_anywhere);
    g_test_add_func("/midi/random-damage", test_random_damage);
    return g_test_run();
}
