/* midi_bytes: MIDI files written byte by byte in hexadecimal, and the notes that are read from them, for
 * tests. */
#pragma once

#include <glib.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "preprocess/midi/midi.h"

#define END "00FF2F00"

static inline void append_hex(GByteArray *out, const char *hex) {
    for (int high = -1; *hex; hex++) {
        int digit = g_ascii_xdigit_value(*hex);
        if (digit < 0) continue;
        if (high >= 0) g_byte_array_append(out, &(uint8_t){(uint8_t)(high << 4 | digit)}, 1);
        high = high >= 0 ? -1 : digit;
    }
}

/* A file of format `format` and `division` ticks a beat; a track for each string of hexadecimal digits, up to
 * NULL. */
static inline GByteArray *file_of(int format, int division, ...) {
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

static inline GByteArray *bytes_of(const char *hex) {
    GByteArray *bytes = g_byte_array_new();
    append_hex(bytes, hex);
    return bytes;
}

/* Parses a file, which is freed. Its bytes are copied to their own size, so that reading past them shows
 * under ASan. */
static inline song_t *parse_file(GByteArray *file) {
    g_autoptr(GError) error = NULL;
    g_autofree uint8_t *bytes = g_memdup2(file->data, file->len);
    song_t *song = midi_parse(bytes, file->len, &error);
    g_assert_no_error(error);
    g_assert_nonnull(song);
    g_byte_array_unref(file);
    return song;
}

#define song_of(...)     parse_file(file_of(__VA_ARGS__, NULL))
#define note_at(song, i) (&g_array_index((song)->notes, note_t, i))

static inline void assert_note(const song_t *song, guint i, int pitch, int64_t onset, int64_t length) {
    g_assert_cmpuint(song->notes->len, >, i);
    g_assert_cmpint(note_at(song, i)->pitch, ==, pitch);
    g_assert_cmpint(note_at(song, i)->onset, ==, onset);
    g_assert_cmpint(note_at(song, i)->length, ==, length);
}

/* The song's notes as "60@0+96 64@96+96": pitch, onset, length, in order. Owner: caller. */
static inline char *notes_of(const song_t *song) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        g_string_append_printf(text, "%s%d@%" G_GINT64_FORMAT "+%" G_GINT64_FORMAT, i > 0 ? " " : "",
                               note->pitch, note->onset, note->length);
    }
    return g_string_free(text, FALSE);
}

static inline void assert_notes(GByteArray *file, const char *notes, const char *about) {
    g_autoptr(song_t) song = parse_file(file);
    g_autofree char *got = notes_of(song);
    if (strcmp(got, notes) != 0) g_error("%s: notes \"%s\", wanted \"%s\"", about, got, notes);
}

static inline void assert_left_out(GByteArray *file, const char *notes, guint left_out, guint cut,
                                   const char *about) {
    g_autoptr(song_t) song = parse_file(g_byte_array_ref(file));
    assert_notes(file, notes, about);
    if (song->reading.events_left_out != left_out || song->reading.tracks_cut != cut)
        g_error("%s: %u left out, %u cut, wanted %u and %u", about, song->reading.events_left_out,
                song->reading.tracks_cut, left_out, cut);
}
