/* smf_event: the events of a track. Owns what an event looks like and how a track goes on behind bytes
 * that are no event:
 *
 * - running status goes on across meta and system exclusive events, as most readers allow;
 * - system real-time bytes (F8 to FE) and undefined ones (F1 to F6) that stand between or inside events
 *   are dropped;
 * - behind anything else that is no event, the places that follow are tried one after the other: a few
 *   events are read from each, and the one that gives the most sensible music (keys that are down are let
 *   go, channels that were met, no hours of silence, an end of track where the track ends) is where the
 *   track goes on. So one bad byte costs one event, or a few, and never the rest.
 *
 * Refuses nothing: every length is checked against the bytes that are there. The number of places tried is
 * bounded for a whole file. */
#include "preprocess/midi/smf_event.h"

#include <string.h>

enum {
    AHEAD = 24,       /* events read from a place to judge it, */
    MAX_FAULTS = 2,   /* of which so many may be bad */
    FAULT = 8,        /* points that each of them costs */
    REACH = 64,       /* bytes behind a bad event that are tried, */
    LONG_REACH = 512, /* behind one with a length of its own */
    CALM = 10,        /* points with which a place needs no other to be compared with */
    CONFIRMING = 2,   /* events behind an unlikely one that speak for it */
    NEAR = 2,         /* bytes behind an unlikely event that are tried, */
    MARGIN = 20,      /* and by how many points they must be better */
    LIKELY = 4,       /* points for the ways that damage goes most often */
    WILD_BEATS = 64,  /* a time between two events that speaks against a place */
    QUANTITY_BYTES = 4
};

typedef struct {
    smf_event_t event;
    size_t time_at;    /* first byte */
    size_t next;       /* first byte behind it */
    size_t status_at;  /* of its status, or under running status of its data; 0: it has no sound delta time */
    uint32_t delta;    /* ticks, where status_at is not 0 */
    uint8_t running;   /* status in force behind it */
    gboolean explicit; /* has a status byte of its own */
    gboolean doubtful; /* its body looks unlike one of its kind: its length may be wrong */
} taken_t;

/* ---- one event ---- */

/* Variable-length quantity: seven bits a byte, most significant first, the top bit set on all but the
 * last. */
static gboolean read_quantity(const uint8_t *bytes, size_t *at, size_t limit, uint32_t *value) {
    *value = 0;
    for (int i = 0; i < QUANTITY_BYTES && *at < limit; i++) {
        uint8_t byte = bytes[(*at)++];
        *value = *value << 7 | (byte & 0x7F);
        if (byte < 0x80) return TRUE;
    }
    return FALSE;
}

static gboolean is_realtime(uint8_t byte) { return byte >= 0xF8 && byte != SMF_META; }
static gboolean is_stray(uint8_t byte) {
    return byte > SMF_SYSEX && byte != SMF_SYSEX_MORE && byte != SMF_META;
}

static void skip_stray(const uint8_t *bytes, size_t *at, size_t limit, gboolean drop) {
    while (drop && *at < limit && is_stray(bytes[*at])) ++*at;
}

static gboolean decode_meta(const smf_track_t *track, size_t at, taken_t *taken) {
    smf_event_t *event = &taken->event;
    if (at == track->limit || track->bytes[at] >= 0x80) return FALSE;
    event->type = track->bytes[at++];
    if (!read_quantity(track->bytes, &at, track->limit, &event->size) || event->size > track->limit - at)
        return FALSE;
    event->body = track->bytes + at;
    taken->next = at + event->size;
    /* A text that holds an end of track has taken in more than itself. */
    taken->doubtful =
        event->type < 0x10 && event->size > 0 && memmem(event->body, event->size, "\xFF\x2F", 3) != NULL;
    for (size_t i = 0; event->type < 0x10 && i + 1 < event->size && !taken->doubtful; i++)
        taken->doubtful = event->body[i] < 0x20 && !g_ascii_isspace(event->body[i]);
    return TRUE;
}

static gboolean decode_sysex(const smf_track_t *track, size_t at, taken_t *taken) {
    uint32_t size;
    if (!read_quantity(track->bytes, &at, track->limit, &size) || size > track->limit - at) return FALSE;
    taken->next = at + size;
    for (size_t i = at; taken->event.status == SMF_SYSEX && i + 1 < taken->next && !taken->doubtful; i++)
        taken->doubtful = track->bytes[i] >= 0x80;
    return TRUE;
}

static gboolean decode_channel_message(const smf_track_t *track, size_t at, gboolean drop, taken_t *taken) {
    uint8_t status = taken->event.status;
    int n = (status & 0xE0) == 0xC0 ? 1 : 2; /* C0 program, D0 pressure */
    for (int i = 0; i < n; i++) {
        skip_stray(track->bytes, &at, track->limit, drop);
        if (at == track->limit || track->bytes[at] >= 0x80) return FALSE;
        taken->event.data[i] = track->bytes[at++];
    }
    taken->running = status;
    taken->next = at;
    return TRUE;
}

/* The event at `at`; drop: stray status bytes are passed over. FALSE where there is none. */
static gboolean decode(const smf_track_t *track, size_t at, gboolean drop, taken_t *taken) {
    *taken = (taken_t){.running = track->running};
    skip_stray(track->bytes, &at, track->limit, drop || track->realtime);
    taken->time_at = at;
    if (!track->timeless && !read_quantity(track->bytes, &at, track->limit, &taken->delta)) return FALSE;
    skip_stray(track->bytes, &at, track->limit, drop);
    if (at == track->limit) return FALSE;
    taken->status_at = at;
    taken->explicit = track->bytes[at] >= 0x80;
    taken->event.status = taken->explicit ? track->bytes[at++] : track->running;
    if (taken->event.status == SMF_META) return decode_meta(track, at, taken);
    if (taken->event.status == SMF_SYSEX || taken->event.status == SMF_SYSEX_MORE)
        return decode_sysex(track, at, taken);
    return taken->event.status >= 0x80 && taken->event.status < SMF_SYSEX &&
           decode_channel_message(track, at, drop, taken);
}

static gboolean is_end(const taken_t *taken) {
    return taken->event.status == SMF_META && taken->event.type == SMF_END_OF_TRACK;
}
static gboolean is_wild(const smf_track_t *track, uint32_t delta) {
    return delta > (uint64_t)track->beat * WILD_BEATS;
}

/* ---- what speaks for a place ---- */

/* Points for a meta event of a kind that exists, and of that kind's length. */
static int judge_meta(const smf_event_t *event) {
    static const struct {
        uint8_t type, size;
    } fixed[] = {{0x00, 2}, {0x20, 1}, {0x21, 1}, {SMF_TEMPO, 3}, {0x54, 5}, {SMF_METER, 4}, {0x59, 2}};
    for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
        if (fixed[i].type == event->type) return fixed[i].size == event->size ? 3 : -2;
    return event->type < 0x10 || event->type == 0x7F ? 1 : -3;
}

/* Points for a channel message. */
static int judge_message(const smf_track_t *track, const smf_event_t *event) {
    uint8_t channel = event->status & 0x0F, kind = event->status & 0xF0;
    gboolean is_new = track->running != 0 && !(track->met[kind >> 4 & 7] >> channel & 1),
             down = track->down[channel][event->data[0]] > 0;
    if (kind == SMF_NOTE_ON && event->data[1] > 0) return is_new ? -2 : down ? 0 : 1;
    if (kind == SMF_NOTE_ON || kind == SMF_NOTE_OFF) return down ? 3 : -2;
    return is_new ? -2 : 0;
}

static int judge_event(const smf_track_t *track, const taken_t *taken) {
    int points = taken->explicit - 4 * is_wild(track, taken->delta);
    if (taken->event.status == SMF_META) return points + judge_meta(&taken->event) - 3 * taken->doubtful;
    if (taken->event.status >= SMF_SYSEX) return points - 3 * taken->doubtful;
    return points + judge_message(track, &taken->event);
}

/* Keeps what is met and down behind an event. */
static void note_event(smf_track_t *track, const taken_t *taken) {
    const smf_event_t *event = &taken->event;
    uint8_t channel = event->status & 0x0F, kind = event->status & 0xF0;
    uint8_t *down = &track->down[channel][event->data[0]];
    track->running = taken->running;
    track->timeless = FALSE;
    if (event->status >= SMF_SYSEX) return;
    track->met[kind >> 4 & 7] |= (uint16_t)(1U << channel);
    if (kind == SMF_NOTE_ON && event->data[1] > 0)
        *down = (uint8_t)MIN(*down + 1, G_MAXUINT8);
    else if (kind == SMF_NOTE_ON || kind == SMF_NOTE_OFF)
        *down = (uint8_t)MAX(*down - 1, 0);
}

/* The place behind a bad event whose own bytes are all there, though they mean nothing; 0 where that
 * cannot be said. */
static size_t place_behind(const smf_track_t *track, const taken_t *bad) {
    size_t at = bad->status_at + (bad->explicit ? 1 : 0);
    if (bad->status_at == 0) return 0;
    if (bad->next > 0) return bad->next; /* doubtful */
    if (bad->event.status == SMF_META || bad->event.status == SMF_SYSEX ||
        bad->event.status == SMF_SYSEX_MORE)
        return 0;
    at += bad->event.status > SMF_SYSEX ? 0 : (bad->event.status & 0xE0) == 0xC0 ? 1 : 2;
    return at <= track->limit ? at : 0;
}

/* Points for going on at `at` with what stands there: a time or, where timeless, a status. */
static int judge_place(const smf_track_t *from, size_t at, gboolean timeless) {
    smf_track_t track = *from;
    int points = 0, faults = 0;
    taken_t taken;
    track.timeless = timeless;
    for (int i = 0; i < AHEAD && at < track.limit; i++) {
        if (!decode(&track, at, FALSE, &taken)) {
            points -= FAULT;
            at = place_behind(&track, &taken);
            track.timeless = FALSE;
            if (at == 0 || ++faults > MAX_FAULTS) return points;
            continue;
        }
        if (is_end(&taken))
            return points + (taken.next == track.declared || taken.next == track.limit ? 12 : -6);
        points += judge_event(&track, &taken);
        note_event(&track, &taken);
        at = taken.next;
    }
    return points;
}

/* Where a track may go on, and what speaks for it. */
typedef struct {
    size_t at; /* 0: nowhere */
    gboolean timeless;
    int points;
} place_t;

/* Makes a place the best one if it is. Its time may have been lost where a status stands. */
static void try_place(const smf_track_t *track, size_t at, int more, place_t *best) {
    for (int timeless = 0; timeless < 2; timeless++) {
        if (timeless && (at == track->limit || track->bytes[at] < 0x80 || is_stray(track->bytes[at])))
            continue;
        const int points = judge_place(track, at, timeless) + more - 2 * timeless;
        if (points > best->points) *best = (place_t){at, timeless, points};
    }
}

static void go_to_place(smf_track_t *track, const place_t *place) {
    track->at = place->at;
    track->timeless = place->timeless;
    track->left_out++;
}

/* The best place behind a bad event at track->at. */
static place_t find_place(const smf_track_t *track, const taken_t *bad) {
    gboolean is_long =
        bad->status_at > 0 && bad->explicit && bad->event.status >= SMF_SYSEX && !is_stray(bad->event.status);
    size_t behind = place_behind(track, bad),
           last = MIN(track->at + (is_long ? LONG_REACH : REACH), track->limit);
    const uint8_t *end =
        is_long ? memchr(track->bytes + track->at, SMF_SYSEX_MORE, track->limit - track->at) : NULL;
    place_t best = {0};
    for (size_t at = track->at + 1; at <= last; at++) {
        const int farther = behind > 0 && at > behind ? (int)MIN(at - behind, 12) : 0;
        try_place(track, at, at == behind ? LIKELY : -farther, &best);
    }
    if (behind > last) try_place(track, behind, LIKELY, &best);
    if (end) try_place(track, (size_t)(end - track->bytes) + 1, 0, &best);
    return best;
}

/* Leaves out a bad event, up to a place. Its time still counts where it makes sense. */
static void leave_out(smf_track_t *track, const taken_t *bad, const place_t *place) {
    if (bad->status_at > 0 && place->at > bad->status_at && !is_wild(track, bad->delta))
        track->tick += bad->delta;
    go_to_place(track, place);
}

static gboolean accept(smf_track_t *track, const taken_t *taken, smf_event_t *event) {
    note_event(track, taken);
    track->tick = MIN(track->tick + taken->delta, SMF_MAX_TICK);
    track->at = taken->next;
    track->leads += is_realtime(track->bytes[taken->time_at]) ? 1 : 0;
    *event = taken->event;
    event->tick = track->tick;
    return TRUE;
}

/* Points for an event and for what follows it. */
static int judge_with(const smf_track_t *track, const taken_t *taken) {
    smf_track_t after = *track;
    note_event(&after, taken);
    return judge_event(track, taken) + judge_place(&after, taken->next, FALSE);
}

/* Passes what stands at track->at and is no event. TRUE where it is one without its stray bytes. FALSE where
 * all of it is left out; where the track makes sense nowhere behind it, nothing is left of the track. */
static gboolean pass_bad(smf_track_t *track, const taken_t *bad, smf_event_t *event) {
    taken_t whole;
    const place_t place = find_place(track, bad);
    if (decode(track, track->at, TRUE, &whole) &&
        judge_with(track, &whole) + LIKELY >= MAX(place.points, 1)) {
        track->left_out++;
        track->strays++;
        return accept(track, &whole, event);
    }
    if (place.at > 0)
        leave_out(track, bad, &place);
    else
        track->limit = track->at;
    return FALSE;
}

/* The body of this event is unlike its kind: where the track makes sense only behind another end of it, it is
 * left out. */
static gboolean ends_elsewhere(smf_track_t *track, const taken_t *taken) {
    if (judge_place(track, taken->next, FALSE) >= CALM) return FALSE;
    const place_t place = find_place(track, taken);
    track->trials--;
    if (place.at == 0 || place.at == taken->next) return FALSE;
    leave_out(track, taken, &place);
    return TRUE;
}

/* Whether it is a message of a kind that the track has not had, a release of a key that is not down, or
 * stands behind a wild time. */
static gboolean is_unlikely(const smf_track_t *track, const taken_t *taken) {
    return taken->event.status < SMF_SYSEX &&
           judge_message(track, &taken->event) + taken->explicit - 4 * is_wild(track, taken->delta) < 0;
}

/* Whether a few events behind this one speak for it: they are sound, likely, and one has a status of its own.
 * Then damage behind them is no matter. */
static gboolean is_confirmed(const smf_track_t *track, const taken_t *taken) {
    smf_track_t after = *track;
    taken_t next;
    size_t at = taken->next;
    gboolean explicit = FALSE;
    note_event(&after, taken);
    for (int i = 0; i < CONFIRMING; i++) {
        if (!decode(&after, at, FALSE, &next) || judge_event(&after, &next) < 0) return FALSE;
        if (is_end(&next)) return next.next == track->declared;
        explicit |= next.explicit && next.event.status < SMF_SYSEX;
        note_event(&after, &next);
        at = next.next;
    }
    return explicit;
}

/* This event is sound but unlikely where it stands. Where the track makes sense only from a place near by, a
 * byte was changed into a status or a time, was lost, or does not belong there: what stands before the place
 * is left out. */
static gboolean goes_astray(smf_track_t *track, const taken_t *taken) {
    if (is_confirmed(track, taken)) return FALSE;
    place_t best = {.points = MAX(judge_with(track, taken), 0) + MARGIN};
    for (size_t at = track->at + 1; at <= MIN(taken->next + NEAR, track->limit); at++)
        try_place(track, at, 0, &best);
    track->trials--;
    if (best.at == 0) return FALSE;
    go_to_place(track, &best);
    return TRUE;
}

gboolean smf_take_event(smf_track_t *track, smf_event_t *event) {
    taken_t taken;
    while (track->at < track->limit) {
        const gboolean sound = decode(track, track->at, FALSE, &taken);
        if (track->trials == 0) return sound && accept(track, &taken, event);
        if (!sound) {
            track->trials--;
            if (pass_bad(track, &taken, event)) return TRUE;
            continue;
        }
        if (taken.doubtful && ends_elsewhere(track, &taken)) continue;
        if (is_unlikely(track, &taken) && goes_astray(track, &taken)) continue;
        return accept(track, &taken, event);
    }
    return FALSE;
}
