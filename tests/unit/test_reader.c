/* smf, smf_event, pairing: files as people have them, kind by kind. Each case is spelled in hexadecimal,
 * its notes in text. */
#include <string.h>

#include "preprocess/midi/midi.h"
#include "tests/helpers/midi_bytes.h"

/* ---- which release ends which note ---- */

static void test_pairing(void) {
    static const char *const cases[][3] = {
        {"legato over one tick", "00 903C40 60 903C40 01 803C00 5F 903C40 01 803C00 60 803C00",
         "60@0+96 60@96+96 60@192+97"},
        {"legato over an eighth of a beat", "00 903C40 60 903C40 0C 803C00 54 903C40 0C 803C00 60 803C00",
         "60@0+96 60@96+96 60@192+108"},
        {"legato by velocity 0", "00 903C40 60 903C40 01 903C00 60 903C00", "60@0+96 60@96+97"},
        {"a short note behind one without a release", "00 903C40 60 903C40 01 803C00", "60@0+96 60@96+1"},
        {"voices that strike together", "00 903C40 00 903C50 18 803C00 48 803C00", "60@0+96"},
        {"three of them", "00 903C40 00 903C50 00 903C50 18 803C00 18 803C00 30 803C00", "60@0+96"},
        {"a voice inside another's note", "00 903C40 18 903C40 0C 803C00 0C 903C40 0C 803C00 30 803C00",
         "60@0+24 60@24+24 60@48+60"},
        {"voices that overlap", "00 903C40 30 903C40 10 803C00 10 803C00", "60@0+48 60@48+32"},
        {"struck twice, released once", "00 903C40 00 903C40 10 803C00 50 903C40 00 903C40 10 803C00",
         "60@0+16 60@96+16"},
        {"a lost release", "00 903C40 60 903C40 18 803C00 48 903C40 18 803C00", "60@0+96 60@96+24 60@192+24"},
        {"a lost release, and a panic 70 beats later",
         "00 903C40 60 903C40 18 803C00 48 903C40 18 803C00 B268 803C00", "60@0+96 60@96+24 60@192+24"},
        {"released twice", "00 903C40 10 803C00 00 803C00 20 903C40 10 803C00 08 803C00", "60@0+16 60@48+16"},
        {"released before it is struck", "00 803C00 00 903C40 8300 903C40 10 803C00", "60@0+0 60@384+16"},
        {"the same among other notes", "00 903C40 10 903C00 50 903C00 00 903C40 60 903C40 10 903C00",
         "60@0+16 60@96+0 60@192+16"},
        {"a run of such", "00 803C00 00 903C40 60 803C00 00 903C40 60 803C00 00 903C40",
         "60@0+0 60@96+0 60@192+0"},
        {"a release before the first of legato notes", "00 803C00 00 903C40 60 803C00 00 903C40 60 803C00",
         "60@0+96 60@96+96"},
        {"a release before each note", "00 803C00 00 903C40 50 803C00 10 803C00 00 903C40 50 803C00",
         "60@0+80 60@96+80"},
        {"never released", "00 903C40 60 904040 10 804000 10 B00700", "60@0+128 64@96+16"},
        {"of no length", "00 903C40 00 803C00 60 904040 10 804000", "60@0+0 64@96+16"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *track = g_strconcat(cases[i][1], END, NULL);
        assert_notes(file_of(0, 96, track, NULL), cases[i][2], cases[i][0]);
    }
}

/* Drums of no length whose events are swapped do not make the normal ones slip. */
static void test_swapped_drums(void) {
    g_autoptr(GString) track = g_string_new(NULL), wanted = g_string_new(NULL);
    for (int i = 0; i < 40; i++) {
        gboolean swapped = i % 3 == 1;
        g_string_append(track, swapped ? "30 892400 00 992440 30 B90740" : "30 992440 10 892400 20 B90740");
        g_string_append_printf(wanted, "%s36@%d+%d", i > 0 ? " " : "", 48 + 96 * i, swapped ? 0 : 16);
    }
    g_string_append(track, END);
    assert_notes(file_of(0, 96, track->str, NULL), wanted->str, "drums");
}

static void test_all_notes_off(void) {
    for (int control = 119; control <= 127; control++) {
        gboolean ends = control != 119 && control != 121 && control != 122;
        g_autofree char *own =
            g_strdup_printf("00 903C40 00 914040 30 B0%02X00 60 903E40 10 803E00 10 814000" END, control);
        assert_notes(file_of(0, 96, own, NULL),
                     ends ? "60@0+48 64@0+176 62@144+16" : "60@0+176 64@0+176 62@144+16", "all notes off");
        /* on another track of the channel; what begins with it goes on */
        g_autofree char *other = g_strdup_printf("00 B0%02X00 30 B0%02X00" END, control, control);
        assert_notes(file_of(1, 96, "00 903C40 30 904040 30 803C00 00 804000" END, other, NULL),
                     ends ? "60@0+48 64@48+48" : "60@0+96 64@48+48", "all notes off elsewhere");
    }
    /* what lifts the pedal, too: 120 and 121; 123 leaves it */
    static const struct {
        const char *track;
        int length;
    } pedals[] = {{"00 B0407F 00 903C40 10 803C00 50 B07800 60 FF2F00", 96},
                  {"00 B0407F 00 903C40 10 803C00 50 B07900 60 FF2F00", 96},
                  {"00 B0407F 00 903C40 10 803C00 50 B07B00 60 FF2F00", 192},
                  {"00 B0407F 00 903C40 10 803C00 50 B04000 60 FF2F00", 96}};
    for (size_t i = 0; i < G_N_ELEMENTS(pedals); i++) {
        g_autoptr(song_t) song = parse_file(file_of(0, 96, pedals[i].track, NULL));
        song_apply_pedal(song);
        g_assert_cmpint(g_array_index(song->notes, note_t, 0).length, ==, pedals[i].length);
    }
}

/* ---- events ---- */

/* Between two notes, of quarter and quarter; a second track behind. */
static void test_bad_events(void) {
    static const struct {
        const char *about, *between;
        guint left_out;
    } cases[] = {
        {"pitch too high", "00 90FD40 00 80FD40", 2},
        {"velocity too high", "00 903E90 00 803E80", 1},
        {"controller too high", "00 B08740", 1},
        {"value too high", "00 B00790", 1},
        {"program too high", "00 C0C5", 1},
        {"pressure too high", "00 D0FA", 1},
        {"pitch wheel too high", "00 E0FF40", 1},
        {"a status that does not exist", "00 F4", 1},
        {"the same, with a time", "00 F5 00", 1},
        {"in place of another", "00 F43E40", 1},
        {"song position", "00 F20102", 1},
        {"tune request", "00 F6", 1},
        {"real time, with times", "00 FE 00 F8", 1},
        {"real time between time and status", "00 F8 B00740", 1},
        {"real time between status and data", "00 B0 FE 0740", 1},
        {"real time in data", "00 B007 FA 40", 1},
        {"data that belongs to nothing", "00 B00740 00 FF010141 40", 1},
        {"a text longer than the track", "00 FF01FF7F41", 1},
        {"a meta event of no kind", "00 FFA00141", 1},
        {"a system exclusive message without its end", "00 F0837F7E7F0901", 1},
        {"one without its length", "00 F07E7F0901F7", 1},
        {"an escaped message", "00 F701F3", 0},
        {"one in parts", "00 F003430000 00 F7020102 00 F70203F7", 0},
        {"a time of five bytes", "8080808000 B00740", 1},
        {"a time of six bytes", "FFFFFFFFFF00 B00740", 1},
        {"padded times", "8000 B00740 808000 B00740 80808000 B00740", 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *track =
            g_strconcat("00 903C40 60 803C40", cases[i].between, " 00 904040 60 804040" END, NULL);
        assert_left_out(file_of(1, 96, track, "00 913040 60 813040 60 913240 60 813240" END, NULL),
                        "60@0+96 48@0+96 64@96+96 50@192+96", cases[i].left_out, 0, cases[i].about);
    }
}

/* Whatever one byte of a track becomes, the other track is whole, and of its own notes one is lost, hardly
 * ever more. */
static void test_any_byte(void) {
    static const char *const notes[] = {"60@0", "62@", "64@", "65@", "67@", "69@", "71@", "72@"};
    const char *const track = "00903C40 60803C40 00903E40 60803E40 00904040 60804040 00904140 60804140 "
                              "00904340 60804340 00904540 60804540 "
                              "00904740 60804740 00904840 60804840" END;
    g_autoptr(GByteArray) file = file_of(1, 96, track, "00913040 8300813040 00913240 60813240" END, NULL);
    guint changes = 0, more = 0;
    for (guint at = 22; at < 22 + 8 * 8; at++) {
        for (guint value = 0; value < 256; value++, changes++) {
            g_autoptr(GByteArray) changed = g_byte_array_append(g_byte_array_new(), file->data, file->len);
            changed->data[at] = (guint8)value;
            g_autoptr(song_t) song = parse_file(g_byte_array_ref(changed));
            g_autofree char *got = notes_of(song), *padded = g_strconcat(" ", got, NULL);
            if (!strstr(got, "48@0+384") || !strstr(got, "50@384+96"))
                g_error("byte %u as %02x: the other track is \"%s\"", at, value, got);
            guint lost = 0;
            for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
                g_autofree char *note = g_strconcat(" ", notes[i], NULL);
                lost += strstr(padded, note) == NULL;
            }
            more += lost > 1;
        }
    }
    g_assert_cmpuint(changes, ==, 64 * 256);
    g_assert_cmpuint(more, <=, changes / 1000);
}

/* Real-time bytes before times, where a reader of sound files takes them for a part of the time. */
static void test_realtime_before_times(void) {
    assert_notes(file_of(0, 96, "F8 00 903C40 F8 30 F8 803C40 F8 00 903E40 F8 30 803E40 F8 00 FF2F00", NULL),
                 "60@0+48 62@48+48", "clock");
    assert_notes(file_of(0, 96, "00 903C40 30 80 FE 3C40 FE 00 903E40 30 803E40" END, NULL),
                 "60@0+48 62@48+48", "active sensing");
    /* a rest of 15,360 ticks begins with such a byte, too */
    assert_notes(file_of(0, 480, "00 903C40 30 803C40 F800 903E40 30 803E40" END, NULL),
                 "60@0+48 62@15408+48", "a long rest");
    assert_notes(file_of(0, 960,
                         "00 903040 F800 803040 00 903240 F800 803240 00 903440 F800 803440 00 903040 F800 "
                         "803040 00 903240 F800 803240" END,
                         NULL),
                 "48@0+15360 50@15360+15360 52@30720+15360 48@46080+15360 50@61440+15360",
                 "notes of four bars");
}

static void test_running_status(void) {
    static const char *const cases[][2] = {
        {"across a text", "00 903C40 10 3C00 00 FF010141 00 3E40 10 3E00"},
        {"across a system exclusive message", "00 903C40 10 3C00 00 F00201F7 00 3E40 10 3E00"},
        {"data before any status", "00 4040 00 903C40 10 3C00 00 3E40 10 3E00"},
        {"a byte too many", "00 B00740 00 903C40 10 3C00 00 B0074055 00 B00740 00 903E40 10 3E00"},
        {"a byte lost", "00 903C40 10 3C00 00 3E40 10 3E00 00 B040"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *track = g_strconcat(cases[i][1], END, NULL);
        assert_notes(file_of(0, 96, track, NULL), "60@0+16 62@16+16", cases[i][0]);
    }
}

/* ---- meta events ---- */

static void test_tempi(void) {
    static const struct {
        const char *event;
        double bpm; /* 0: not believed */
    } cases[] = {{"FF510307A120", 120}, {"FF510407A12000", 120}, {"FF51040007A120", 120},
                 {"FF5103000001", 0},   {"FF5103000000", 0},     {"FF5103FFFFFF", 0},
                 {"FF51024E20", 0},     {"FF5100", 0},           {"FF510300EA60", 1000},
                 {"FF510300EA5F", 0},   {"FF5103B71B00", 5},     {"FF5103B71B01", 0}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *track = g_strconcat("00", cases[i].event, "00 903C40 10 803C00" END, NULL);
        g_autoptr(song_t) song = parse_file(file_of(0, 96, track, NULL));
        g_test_message("%s", cases[i].event);
        g_assert_cmpuint(song->notes->len, ==, 1);
        g_assert_cmpuint(song->tempi->len, ==, cases[i].bpm > 0);
        g_assert_cmpuint(song->reading.tempi_left_out, ==, cases[i].bpm == 0);
        g_assert_cmpuint(song->reading.events_left_out, ==, 0);
        if (cases[i].bpm > 0)
            g_assert_cmpfloat_with_epsilon(g_array_index(song->tempi, tempo_t, 0).bpm, cases[i].bpm, 1e-9);
    }
}

static void test_meters(void) {
    static const struct {
        const char *event;
        int numerator, denominator; /* 0: left out */
    } cases[] = {{"FF580403021808", 3, 4},   {"FF58020302", 3, 4},     {"FF5803060318", 6, 8},
                 {"FF58050302180800", 3, 4}, {"FF580400021808", 0, 0}, {"FF5804031E1808", 0, 0},
                 {"FF580103", 0, 0},         {"FF5800", 0, 0},         {"FF5804FF071808", 255, 128}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *track = g_strconcat(
            "00", cases[i].event, "00 FF590100 00 FF5900 00 FF5903000101 00 903C40 10 803C00" END, NULL);
        g_autoptr(song_t) song = parse_file(file_of(0, 96, track, NULL));
        g_test_message("%s", cases[i].event);
        g_assert_cmpuint(song->notes->len, ==, 1);
        g_assert_cmpuint(song->meters->len, ==, cases[i].numerator > 0);
        if (cases[i].numerator == 0) continue;
        g_assert_cmpint(g_array_index(song->meters, meter_t, 0).numerator, ==, cases[i].numerator);
        g_assert_cmpint(g_array_index(song->meters, meter_t, 0).denominator, ==, cases[i].denominator);
    }
}

/* ---- times ---- */

static void test_wild_times(void) {
    static const int beats[] = {1, 96, 32767};
    for (size_t i = 0; i < G_N_ELEMENTS(beats); i++) {
        assert_notes(
            file_of(0, beats[i], "00 903C40 10 803C00 FFFFFF7F 903E40 10 803E00 FFFFFF7F FF2F00", NULL),
            "60@0+16 62@268435471+16", "wild times");
        g_autoptr(GString) track = g_string_new("00 903C40 10 803C00");
        for (int k = 0; k < 3; k++) g_string_append(track, "FFFFFF7F FF0100");
        g_string_append(track, "00 903E40 10 803E00" END);
        g_autoptr(song_t) song = parse_file(file_of(0, beats[i], track->str, NULL));
        g_assert_cmpint(song->ticks, ==, 16 + 3LL * 0x0FFFFFFF + 16);
        g_assert_cmpint(song_frame(song, song->ticks, 96), >, 0);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reader/pairing", test_pairing);
    g_test_add_func("/reader/swapped-drums", test_swapped_drums);
    g_test_add_func("/reader/all-notes-off", test_all_notes_off);
    g_test_add_func("/reader/bad-events", test_bad_events);
    g_test_add_func("/reader/any-byte", test_any_byte);
    g_test_add_func("/reader/realtime-before-times", test_realtime_before_times);
    g_test_add_func("/reader/running-status", test_running_status);
    g_test_add_func("/reader/tempi", test_tempi);
    g_test_add_func("/reader/meters", test_meters);
    g_test_add_func("/reader/wild-times", test_wild_times);
    return g_test_run();
}
