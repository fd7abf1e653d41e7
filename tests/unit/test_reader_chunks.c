/* smf: chunks and headers as people have them. Each case is spelled in hexadecimal, its notes in text. */
#include "tests/helpers/midi_bytes.h"

static void insert(GByteArray *file, guint at, const void *bytes, guint n) {
    g_byte_array_set_size(file, file->len + n);
    memmove(file->data + at + n, file->data + at, file->len - n - at);
    memcpy(file->data + at, bytes, n);
}

static void insert_hex(GByteArray *file, guint at, const char *hex) {
    g_autoptr(GByteArray) bytes = bytes_of(hex);
    insert(file, at, bytes->data, bytes->len);
}

#define FIRST "00 903C40 60 803C40 00 903E40 60 803E40"
enum { HEADER = 14, FIRST_AT = HEADER + 8, FIRST_BYTES = 20, SECOND = FIRST_AT + FIRST_BYTES };
static const char *const BOTH = "60@0+96 48@0+96 62@96+96 50@96+96";

static GByteArray *two_tracks(void) {
    return file_of(1, 96, FIRST END, "00 913040 60 813040 00 913240 60 813240" END, NULL);
}

static void test_track_lengths(void) {
    static const int64_t off[] = {
        1,    2,          3,  4,  5,  7,  8,  9,   27,  28,  29,
        1000, 0x7FFFFFFF, -1, -2, -3, -4, -5, -10, -19, -20, 0xFFFFFFFF - FIRST_BYTES};
    for (size_t i = 0; i < G_N_ELEMENTS(off); i++) {
        for (int track = 0; track < 2; track++) {
            g_autofree char *about =
                g_strdup_printf("track %d is said to be %" G_GINT64_FORMAT " longer", track, off[i]);
            GByteArray *file = two_tracks();
            const uint32_t length = GUINT32_TO_BE((uint32_t)(FIRST_BYTES + off[i]));
            memcpy(file->data + (track == 0 ? HEADER : SECOND) + 4, &length, 4);
            assert_left_out(file, BOTH, 0, 0, about);
        }
    }
}

static void test_between_chunks(void) {
    static const char *const cases[] = {"00",
                                        "0000",
                                        "000000",
                                        "00000000",
                                        "0000000000000000 00",
                                        "FF",
                                        "FFFFFFFF",
                                        "0A",
                                        "0D0A",
                                        "4D",
                                        "4D54",
                                        "4D5472",
                                        "58585858 00000000",
                                        "58585858 00000003 010203",
                                        "58464948 00000008 4D54726B 00000000",
                                        "20202020",
                                        "FF2F00"};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        static const guint places[] = {HEADER, SECOND, SECOND + 8 + FIRST_BYTES};
        for (size_t k = 0; k < G_N_ELEMENTS(places); k++) {
            GByteArray *file = two_tracks();
            insert_hex(file, places[k], cases[i]);
            assert_left_out(file, BOTH, 0, 0, cases[i]);
        }
    }
    /* behind the end of a track, inside its length */
    GByteArray *file = two_tracks();
    insert_hex(file, SECOND, "00 903040 60 803040 00 FF2F00");
    file->data[HEADER + 7] = FIRST_BYTES + 12;
    assert_left_out(file, BOTH, 0, 0, "behind the end of track");
}

static void test_missing_ends(void) {
    static const int off[] = {0, 3, 4, 100, -1, -16};
    for (size_t i = 0; i < G_N_ELEMENTS(off); i++) {
        GByteArray *file = two_tracks();
        g_byte_array_remove_range(file, SECOND - 4, 4);
        file->data[HEADER + 7] = (uint8_t)(FIRST_BYTES - 4 + off[i]);
        assert_left_out(file, BOTH, 0, 1, "no end of the first track");
        file = two_tracks();
        g_byte_array_set_size(file, file->len - 4);
        assert_left_out(file, BOTH, 0, 1, "no end of the second");
    }
}

static void test_headers(void) {
    static const struct {
        const char *about;
        guint at;
        const char *bytes;
    } cases[] = {{"a longer header", 4, "0000000A 0001 0002 0060 00000000"},
                 {"an odd one", 4, "00000007 0001 0002 0060 AA"},
                 {"a longer one that is said to have 6 bytes", 4, "00000006 0001 0002 0060 0000"},
                 {"a header without end", 4, "FFFFFFFF 0001 0002 0060"},
                 {"more tracks than it says", 4, "00000006 0001 0001 0060"},
                 {"none, it says", 4, "00000006 0001 0000 0060"},
                 {"format 0 of two tracks", 4, "00000006 0000 0002 0060"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GByteArray *file = two_tracks();
        g_byte_array_remove_range(file, cases[i].at, HEADER - cases[i].at);
        insert_hex(file, cases[i].at, cases[i].bytes);
        assert_left_out(file, BOTH, 0, 0, cases[i].about);
    }
    GByteArray *fewer = two_tracks();
    fewer->data[11] = 5;
    assert_left_out(fewer, BOTH, 0, 3, "fewer tracks than it says");
}

static void test_wrappers(void) {
    static const guint8 nothing[128] = {0};
    GByteArray *file = two_tracks();
    insert(file, 0, nothing, sizeof nothing);
    g_byte_array_append(file, nothing, 77);
    assert_left_out(file, BOTH, 0, 0, "MacBinary");
    file = two_tracks();
    insert_hex(file, 0, "52494646 00000000 524D4944 64617461 00000000");
    assert_left_out(file, BOTH, 0, 0, "RIFF");
    file = two_tracks();
    insert_hex(
        file, 0,
        "52494646 00000000 524D4944 4C495354 0E000000 494E464F 494E414D 01000000 4100 64617461 00000000");
    insert_hex(file, file->len, "00 4C495354 04000000 494E464F");
    assert_left_out(file, BOTH, 0, 0, "RIFF with a list before and behind");
    file = two_tracks();
    insert(file, 0, "HTTP/1.1 200 OK\r\n\r\n", 19);
    assert_left_out(file, BOTH, 0, 0, "a header of another kind");
    /* a second file behind the first is not part of it */
    file = two_tracks();
    g_autoptr(GByteArray) more = file_of(1, 480, "00 903C40 10 803C40" END, NULL);
    g_byte_array_append(file, more->data, more->len);
    assert_left_out(file, BOTH, 0, 0, "two files");
}

/* A text may say MTrk. */
static void test_text_like_a_chunk(void) {
    assert_left_out(file_of(1, 96, "00 FF010C 4D54726B 00000004 00FF2F00" FIRST END, NULL),
                    "60@0+96 62@96+96", 0, 0, "a text like a track");
    assert_left_out(file_of(1, 96, "00 FF0104 4D54726B" FIRST END, NULL), "60@0+96 62@96+96", 0, 0,
                    "a text like a name");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reader/track-lengths", test_track_lengths);
    g_test_add_func("/reader/between-chunks", test_between_chunks);
    g_test_add_func("/reader/missing-ends", test_missing_ends);
    g_test_add_func("/reader/headers", test_headers);
    g_test_add_func("/reader/wrappers", test_wrappers);
    g_test_add_func("/reader/text-like-a-chunk", test_text_like_a_chunk);
    return g_test_run();
}
