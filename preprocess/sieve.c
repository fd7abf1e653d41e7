/* The sieve before libsmf: takes a file's events one by one and writes those that a song is made of into a plain new file. Owns what libsmf 1.3 cannot
 * take, though it stands in sound files: it aborts on escaped and continued system exclusive messages (F7), on a track without an end, and reads only one
 * byte of a meta event's length, so that a text of 128 bytes cuts the track. So:
 *
 * - channel messages pass, with their status byte written out; running status goes on across meta events, as most readers allow;
 * - of meta events only the types in sieve.h pass; long texts pass in pieces, long names are cut;
 * - system exclusive messages and chunks that are no tracks are left out; time goes on;
 * - a track ends at its end-of-track event, else at its last sound event, counted as cut.
 *
 * Refuses nothing: every length is checked against the bytes that are there. */
#include "preprocess/sieve.h"

#include <string.h>

enum { CHUNK_HEADER = 8, FILE_HEADER = 14, META = 0xFF, SYSEX = 0xF0, SYSEX_MORE = 0xF7, PIECE_BYTES = 127 };

typedef struct {
    const uint8_t *at, *end;
    uint32_t now, written; /* ticks from the track's start: of this event, of the last one that passed */
    uint8_t running;       /* the last channel message's status, or 0 */
} cursor_t;

static uint32_t read_big_endian32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Variable-length quantity: seven bits a byte, most significant first, the top bit set on all but the last of at most four. */
static gboolean read_quantity(cursor_t *cursor, uint32_t *value) {
    *value = 0;
    for (int i = 0; i < 4 && cursor->at < cursor->end; i++) {
        uint8_t byte = *cursor->at++;
        *value = *value << 7 | (byte & 0x7F);
        if (byte < 0x80) return TRUE;
    }
    return FALSE;
}

static gboolean read_bytes(cursor_t *cursor, size_t n, const uint8_t **bytes) {
    *bytes = cursor->at;
    if ((size_t)(cursor->end - cursor->at) < n) return FALSE;
    cursor->at += n;
    return TRUE;
}

void sieve_append_quantity(GByteArray *out, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)(value >> 21 | 0x80), (uint8_t)(value >> 14 | 0x80), (uint8_t)(value >> 7 | 0x80), value & 0x7F};
    int skip = value >> 21 ? 0 : value >> 14 ? 1 : value >> 7 ? 2 : 3;
    g_byte_array_append(out, bytes + skip, (guint)(4 - skip));
}

void sieve_append_meta(GByteArray *out, uint32_t delta, uint8_t type, const void *body, size_t size) {
    sieve_append_quantity(out, delta);
    g_byte_array_append(out, (const uint8_t[]){META, type}, 2);
    sieve_append_quantity(out, (uint32_t)size);
    g_byte_array_append(out, body, (guint)size);
}

/* Bytes of the next piece of a text: not in the middle of a UTF-8 character. */
static size_t piece_of(const uint8_t *text, size_t size) {
    if (size <= PIECE_BYTES) return size;
    size_t piece = PIECE_BYTES;
    while (piece > PIECE_BYTES - 3 && (text[piece] & 0xC0) == 0x80) piece--;
    return piece;
}

/* Ticks since the last event that passed; this one passes. */
static uint32_t take_delta(cursor_t *cursor) {
    uint32_t delta = cursor->now - cursor->written;
    cursor->written = cursor->now;
    return delta;
}

static void pass_text(GByteArray *out, cursor_t *cursor, uint8_t type, const uint8_t *text, size_t size) {
    do {
        size_t piece = piece_of(text, size);
        sieve_append_meta(out, take_delta(cursor), type, text, piece);
        text += piece;
        size -= piece;
    } while (type == META_TEXT && size > 0);
}

static gboolean is_sound_tempo(const uint8_t *body, size_t size) { return size >= 3 && (body[0] | body[1] | body[2]) != 0; }
static gboolean is_sound_meter(const uint8_t *body, size_t size) { return size >= 4 && body[0] > 0 && body[1] <= 7; }

typedef enum { GO_ON, END_OF_TRACK, NONSENSE } outcome_t;

static outcome_t pass_meta(GByteArray *out, cursor_t *cursor) {
    const uint8_t *type, *body;
    uint32_t size;
    if (!read_bytes(cursor, 1, &type) || !read_quantity(cursor, &size) || !read_bytes(cursor, size, &body)) return NONSENSE;
    if (*type == META_END_OF_TRACK) return END_OF_TRACK;
    if (*type == META_TEXT || *type == META_TRACK_NAME) pass_text(out, cursor, *type, body, size);
    if (*type == META_TEMPO && is_sound_tempo(body, size)) sieve_append_meta(out, take_delta(cursor), *type, body, 3);
    if (*type == META_METER && is_sound_meter(body, size)) sieve_append_meta(out, take_delta(cursor), *type, body, 4);
    return GO_ON;
}

static outcome_t skip_sysex(cursor_t *cursor) {
    const uint8_t *body;
    uint32_t size;
    return read_quantity(cursor, &size) && read_bytes(cursor, size, &body) ? GO_ON : NONSENSE;
}

static outcome_t pass_channel_message(GByteArray *out, cursor_t *cursor, uint8_t status) {
    const uint8_t *data;
    guint n = (status & 0xE0) == 0xC0 ? 1 : 2; /* C0 program, D0 pressure */
    if (status < 0x80 || status >= SYSEX || !read_bytes(cursor, n, &data) || data[0] >= 0x80 || data[n - 1] >= 0x80) return NONSENSE;
    sieve_append_quantity(out, take_delta(cursor));
    g_byte_array_append(out, &status, 1);
    g_byte_array_append(out, data, n);
    cursor->running = status;
    return GO_ON;
}

static outcome_t pass_event(GByteArray *out, cursor_t *cursor) {
    uint32_t ticks;
    if (!read_quantity(cursor, &ticks) || cursor->at == cursor->end || ticks > SIEVE_MAX_TICKS - cursor->now) return NONSENSE;
    cursor->now += ticks;
    uint8_t status = *cursor->at >= 0x80 ? *cursor->at++ : cursor->running;
    if (status == META) return pass_meta(out, cursor);
    if (status == SYSEX || status == SYSEX_MORE) return skip_sysex(cursor);
    return pass_channel_message(out, cursor, status);
}

/* FALSE where the track was cut. */
static gboolean pass_track(GByteArray *out, const uint8_t *bytes, size_t length) {
    cursor_t cursor = {.at = bytes, .end = bytes + length};
    guint start = out->len;
    outcome_t outcome = GO_ON;
    g_byte_array_append(out, (const uint8_t *)"MTrk\0\0\0\0", CHUNK_HEADER);
    while (outcome == GO_ON) outcome = pass_event(out, &cursor);
    if (outcome == NONSENSE) cursor.now = cursor.written;
    sieve_append_meta(out, take_delta(&cursor), META_END_OF_TRACK, "", 0);
    uint32_t written = GUINT32_TO_BE(out->len - start - CHUNK_HEADER);
    memcpy(out->data + start + 4, &written, 4);
    return outcome == END_OF_TRACK;
}

GByteArray *sieve_file(const uint8_t *bytes, size_t length, guint *cut) {
    GByteArray *out = g_byte_array_sized_new((guint)MIN(length + FILE_HEADER, G_MAXINT));
    guint tracks = 0;
    g_byte_array_append(out, bytes, FILE_HEADER);
    out->data[4] = out->data[5] = out->data[6] = 0;
    out->data[7] = FILE_HEADER - CHUNK_HEADER;
    for (size_t at = CHUNK_HEADER + (size_t)read_big_endian32(bytes + 4); at < length && length - at >= CHUNK_HEADER && tracks < G_MAXUINT16;) {
        const uint8_t *chunk = bytes + at;
        size_t size = MIN(read_big_endian32(chunk + 4), length - at - CHUNK_HEADER);
        if (memcmp(chunk, "MTrk", 4) == 0) {
            *cut += !pass_track(out, chunk + CHUNK_HEADER, size);
            tracks++;
        }
        at += CHUNK_HEADER + size;
    }
    guint declared = (guint)bytes[10] << 8 | bytes[11];
    if (declared > tracks) *cut += declared - tracks;
    out->data[10] = (uint8_t)(tracks >> 8);
    out->data[11] = (uint8_t)tracks;
    return out;
}
