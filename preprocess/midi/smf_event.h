/* smf_event: one event of a track from its bytes, and where to go on after bytes that are none. Part of
 * smf. */
#pragma once

#include <glib.h>
#include <stdint.h>

enum {
    SMF_NOTE_OFF = 0x80,
    SMF_NOTE_ON = 0x90,
    SMF_CONTROL = 0xB0,
    SMF_PROGRAM = 0xC0,
    SMF_SYSEX = 0xF0,
    SMF_SYSEX_MORE = 0xF7,
    SMF_META = 0xFF
};

/* Meta events that mean something here. */
enum { SMF_TEXT = 0x01, SMF_TRACK_NAME = 0x03, SMF_END_OF_TRACK = 0x2F, SMF_TEMPO = 0x51, SMF_METER = 0x58 };

/* Ticks between two events: what a variable-length quantity holds. */
#define SMF_MAX_DELTA 0x0FFFFFFF
/* What is later than this counts as at this tick, so that sums and products of times stay in 64 bits. */
#define SMF_MAX_TICK ((int64_t)1 << 48)

typedef struct {
    int64_t tick;
    uint8_t status;      /* 0x80..0xEF with the channel, SMF_SYSEX, SMF_SYSEX_MORE or SMF_META */
    uint8_t data[2];     /* of a channel message, below 0x80; the second is 0 where there is one */
    uint8_t type;        /* of a meta event, below 0x80 */
    uint32_t size;       /* of a meta event's body */
    const uint8_t *body; /* in the file's bytes */
} smf_event_t;

/* A track under way. */
typedef struct {
    const uint8_t *bytes; /* of the file */
    size_t at;            /* next event's first byte */
    size_t limit;         /* no event reaches past this */
    size_t declared;      /* the end that the chunk's length gives */
    int64_t tick;         /* of the last event */
    uint32_t beat;        /* ticks a quarter note */
    uint8_t running;      /* the last channel message's status, or 0 */
    gboolean timeless;    /* a status stands at `at`: its time was lost */
    uint16_t met[7];      /* kinds of messages by their status, a bit for each channel that had one */
    /* Presses of each key without a release. Both tell where a damaged track goes on. */
    uint8_t down[16][128];
    gboolean realtime; /* the file has real-time bytes in its tracks: they are dropped before times, too */
    /* Over all tracks of the file: */
    guint left_out; /* places where bytes were left out */
    guint trials;   /* places that may still be looked into; counts down */
    guint strays;   /* of those left out: real-time and other stray bytes in events */
    guint leads;    /* events whose time begins with what may be a real-time byte */
} smf_track_t;

/* The next event of the track, system exclusive ones and the end of track too; what is none is left out
 * and counted. FALSE where nothing makes sense any more, or nothing is left. */
gboolean smf_take_event(smf_track_t *track, smf_event_t *event);
