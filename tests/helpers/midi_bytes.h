/* midi_bytes: MIDI files written byte by byte in hexadecimal, for tests. */
#ifndef MPIANIST_TESTS_HELPERS_MIDI_BYTES_H
#define MPIANIST_TESTS_HELPERS_MIDI_BYTES_H

#include <glib.h>
#include <stdarg.h>
#include <stdint.h>

#define END "00FF2F00"

static void append_hex(GByteArray *out, const char *hex) {
    for (int high = -1; *hex; hex++) {
        int digit = g_ascii_xdigit_value(*hex);
        if (digit < 0) continue;
        if (high >= 0) g_byte_array_append(out, &(uint8_t){(uint8_t)(high << 4 | digit)}, 1);
        high = high >= 0 ? -1 : digit;
    }
}

/* A file of format `format` and `division` ticks a beat; a track for each string of hexadecimal digits, up to
 * NULL. */
static GByteArray *file_of(int format, int division, ...) {
    GByteArray *file = g_byte_array_new();
    uint8_t n = 0;
    va_list tracks;
    append_hex(file, "4D546864 00000006 0000 0000");
    g_byte_array_append(file, (uint8_t[]){(uint8_t)(division >> 8), (uint8_t)division}, 2);
    va_start(tracks, division);
    for (const char *hex; (hex = va_arg(tracks, const char *)); n++) {
        g_autoptr(GByteArray) body = g_byte_array_new();
        append_hex(body, hex);
        append_hex(file, "4D54726B 0000");
        g_byte_array_append(file, (uint8_t[]){(uint8_t)(body->len >> 8), (uint8_t)body->len}, 2);
        g_byte_array_append(file, body->data, body->len);
    }
    va_end(tracks);
    file->data[9] = (uint8_t)format;
    file->data[11] = n;
    return file;
}

static GByteArray *bytes_of(const char *hex) {
    GByteArray *bytes = g_byte_array_new();
    append_hex(bytes, hex);
    return bytes;
}

#endif
