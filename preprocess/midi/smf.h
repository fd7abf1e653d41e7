/* smf: a Standard MIDI File's bytes as tracks and events, as far as they make sense. Pull: open, then
 * track after track, event after event. Knows chunks and events, nothing of notes. Tolerant: what is
 * damaged is left out and counted, the rest is read; the rules stand at the top of smf.c and smf_event.c.
 * Linear in the file's length, no memory of its own, no state but smf_t. */
#pragma once

#include "preprocess/midi/smf_event.h"

typedef struct {
    const uint8_t *bytes; /* of the caller; must outlive this */
    size_t length;        /* where the file's chunks end */
    size_t at;            /* where the next track is looked for */
    int ticks_per_beat;
    guint declared, tracks; /* tracks that the header promises; those met so far */
    guint tracks_cut; /* tracks that are missing, lack their end, or end where nothing makes sense any more */
    guint events_left_out;
    smf_track_t track; /* the one that smf_next_event() reads */
} smf_t;

/* Finds the header, also behind other bytes (a RIFF or MacBinary wrapper). FALSE with MIDI_ERROR_FORMAT
 * set for what is no Standard MIDI File, for format 2 and for SMPTE time; the message names the cause, not
 * the file. */
gboolean smf_open(smf_t *smf, const uint8_t *bytes, size_t length, GError **error);

/* Goes to the next track; FALSE after the last, when tracks_cut is final. */
gboolean smf_next_track(smf_t *smf);

/* The next channel message or meta event of the track; FALSE at its end, which is then at smf->track.tick. */
gboolean smf_next_event(smf_t *smf, smf_event_t *event);

/* After the last track: whether the file showed that it has real-time messages in its tracks, by some that
 * stand elsewhere. Then it is to be read again, with smf->track.realtime TRUE after smf_open(), since the
 * first byte of a time may be such a message. Times alone are no sign: four bars at 960 ticks a beat begin
 * like one. */
gboolean smf_has_realtime(const smf_t *smf);
