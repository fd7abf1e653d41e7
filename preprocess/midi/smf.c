/* smf: the chunks of a Standard MIDI File. Owns where the file, its tracks and their ends are, when the
 * lengths that say so are wrong:
 *
 * - the file begins at its MThd, whatever stands before (RIFF, MacBinary); what follows the last track is
 *   no part of it;
 * - a track begins at each MTrk that is not inside another chunk; bytes between chunks and chunks of other
 *   kinds are passed over;
 * - a track ends at its end-of-track event. Where that is missing, its length counts if a chunk, or the
 *   end of the file, follows there; else the next MTrk ends it, or the end of the file. So a length may be
 *   too short, too long or nonsense;
 * - the number of tracks in the header only tells that some are missing.
 *
 * Refuses what has no header, format 2 and SMPTE time. */
#include "preprocess/midi/smf.h"

#include <string.h>

#include "preprocess/midi/midi.h"

enum { CHUNK_HEADER = 8, FILE_HEADER = 14, MAX_TRIALS = 4000, MAX_TRACKS = G_MAXUINT16 };

static uint32_t read_big_endian32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Where `what` (its first n bytes) stands first from `from` on, before `to`; `to` where it does not. */
static size_t find(const smf_t *smf, size_t from, size_t to, const char *what, size_t n) {
    const uint8_t *found = from < to ? memmem(smf->bytes + from, to - from, what, n) : NULL;
    return found ? (size_t)(found - smf->bytes) : to;
}

/* ---- the file ---- */

static const char *fault_of_header(const uint8_t *header) {
    if (header[8] != 0 || header[9] > 2) return "unknown format in the header, only 0 and 1 are read";
    if (header[9] == 2) return "format 2 (independent patterns), only formats 0 and 1 are read";
    if (header[12] & 0x80) return "SMPTE time (seconds, no beats), only ticks a quarter note are read";
    return header[12] == 0 && header[13] == 0 ? "zero ticks a quarter note" : NULL;
}

gboolean smf_open(smf_t *smf, const uint8_t *bytes, size_t length, GError **error) {
    *smf = (smf_t){.bytes = bytes, .length = length};
    /* Behind other bytes only a header of the usual length counts. */
    size_t start =
        length >= 4 && memcmp(bytes, "MThd", 4) == 0 ? 0 : find(smf, 0, length, "MThd\0\0\0\6", CHUNK_HEADER);
    const uint8_t *header = bytes + start;
    const char *cause = "not a Standard MIDI File (no MThd header)";
    if (length - start >= FILE_HEADER) cause = fault_of_header(header);
    if (cause) {
        g_set_error(error, MIDI_ERROR, MIDI_ERROR_FORMAT, "%s", cause);
        return FALSE;
    }
    smf->at = start + FILE_HEADER;
    smf->declared = (guint)header[10] << 8 | header[11];
    smf->ticks_per_beat = header[12] << 8 | header[13];
    smf->track.trials = MAX_TRIALS;
    return TRUE;
}

/* ---- tracks ---- */

/* A chunk of another kind that ends inside the file: its end; else `at`. */
static size_t skip_other_chunk(const smf_t *smf, size_t at) {
    if (at > smf->length || smf->length - at < CHUNK_HEADER) return at;
    const uint8_t *chunk = smf->bytes + at;
    for (int i = 0; i < 4; i++)
        if (!g_ascii_isalnum(chunk[i]) && chunk[i] != ' ') return at;
    size_t size = read_big_endian32(chunk + 4);
    return memcmp(chunk, "MTrk", 4) == 0 || memcmp(chunk, "MThd", 4) == 0 ||
                   size > smf->length - at - CHUNK_HEADER
               ? at
               : at + CHUNK_HEADER + size;
}

/* Does the file end here, or a chunk begin? */
static gboolean is_border(const smf_t *smf, size_t at) {
    return at == smf->length || (smf->length - at >= 4 && memcmp(smf->bytes + at, "MTrk", 4) == 0) ||
           skip_other_chunk(smf, at) > at;
}

static gboolean ends_in_end_of_track(const smf_t *smf, size_t start, size_t end) {
    return end - start >= 3 && memcmp(smf->bytes + end - 3, "\xFF\x2F", 3) == 0;
}

/* Sets the bounds of the track whose chunk begins at smf->at. */
static void set_bounds(smf_t *smf) {
    smf_track_t *track = &smf->track;
    size_t start = MIN(smf->at + CHUNK_HEADER, smf->length), rest = smf->length - start;
    size_t size = start - smf->at < CHUNK_HEADER ? 0 : read_big_endian32(smf->bytes + smf->at + 4);
    size_t declared = start + MIN(size, rest), next = find(smf, start, smf->length, "MTrk", 4);
    gboolean sound = size <= rest && (is_border(smf, declared) || ends_in_end_of_track(smf, start, declared));
    *track = (smf_track_t){.bytes = smf->bytes,
                           .at = start,
                           .limit = sound ? declared : next,
                           .declared = declared,
                           .beat = (uint32_t)smf->ticks_per_beat,
                           .realtime = track->realtime,
                           .left_out = track->left_out,
                           .trials = track->trials,
                           .strays = track->strays,
                           .leads = track->leads};
}

gboolean smf_next_track(smf_t *smf) {
    size_t other;
    while ((other = skip_other_chunk(smf, smf->at)) > smf->at) smf->at = other;
    size_t track = find(smf, smf->at, smf->length, "MTrk", 4);
    /* A header inside the file begins another one. */
    gboolean none = track == smf->length || find(smf, smf->at, track, "MThd\0\0\0\6", CHUNK_HEADER) < track;
    smf->events_left_out = smf->track.left_out;
    if (none || smf->tracks == MAX_TRACKS) {
        if (smf->declared > smf->tracks) smf->tracks_cut += smf->declared - smf->tracks;
        return FALSE;
    }
    smf->at = track;
    smf->tracks++;
    set_bounds(smf);
    return TRUE;
}

/* Sets where the next track is looked for: the next MTrk, but no later than the end that this track's length
 * gives. */
static void leave_track(smf_t *smf, gboolean whole) {
    const smf_track_t *track = &smf->track;
    size_t end = whole ? track->at : MAX(track->at, track->limit);
    smf->tracks_cut += !whole;
    smf->at = MIN(find(smf, end, smf->length, "MTrk", 4), MAX(end, track->declared));
}

gboolean smf_next_event(smf_t *smf, smf_event_t *event) {
    do {
        if (!smf_take_event(&smf->track, event)) return leave_track(smf, FALSE), FALSE;
        if (event->status == SMF_META && event->type == SMF_END_OF_TRACK)
            return leave_track(smf, TRUE), FALSE;
    } while (event->status == SMF_SYSEX || event->status == SMF_SYSEX_MORE);
    return TRUE;
}

gboolean smf_has_realtime(const smf_t *smf) {
    const smf_track_t *track = &smf->track;
    return !track->realtime && track->leads > 0 && track->strays > 0;
}
