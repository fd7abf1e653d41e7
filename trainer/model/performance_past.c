/* performance_past: owns the running means and the last onsets of each track and key. Refuses nothing. */
#include "trainer/model/performance_past.h"

#include <math.h>
#include <string.h>

#define QUICK_RATE 0.125
#define SLOW_RATE  0.015625
#define ALL_RATE   0.0625
#define LEVEL_RATE 0.00390625
#define LAG_RATE   0.03125
#define SIZE_RATE  0.03125
#define SCALE      16.0
#define CIRCLE     (PLAYED_UNITS / (2 * G_PI))
#define HALF       0.500001 /* rounds halves up, which the mean of two angles often is, but for an error */

enum { KINDS = 2 }; /* velocity, offset */

typedef struct {
    double now[KINDS];
    gboolean any;
} last_t;

typedef struct {
    last_t last;
    double quick[KINDS], slow[KINDS], size[KINDS];
    size_t t; /* of the last onset */
    double level;
    size_t n;
} track_t;

struct performance_past {
    size_t n_tracks, pitches;
    recall_t *recall;
    track_t *tracks; /* [n_tracks] */
    last_t *keys;    /* [n_tracks, pitches] */
    last_t newest;   /* onset of any track */
    size_t newest_t;
    double all[KINDS];
    gboolean on_grid;
    double lag[2]; /* cosine and sine, of length 1 at most */
    size_t n;
};

performance_past_t *performance_past_new(size_t tracks, size_t pitches) {
    performance_past_t *past = g_new0(performance_past_t, 1);
    past->n_tracks = tracks;
    past->pitches = pitches;
    past->recall = recall_new(tracks, pitches);
    past->tracks = g_new0(track_t, tracks);
    past->keys = g_new0(last_t, tracks * pitches);
    return past;
}

void performance_past_free(performance_past_t *past) {
    if (!past) return;
    recall_free(past->recall);
    g_free(past->tracks);
    g_free(past->keys);
    g_free(past);
}

void performance_past_begin(performance_past_t *past, const uint8_t *frames, size_t T, gboolean on_grid) {
    recall_begin(past->recall, frames, T);
    memset(past->tracks, 0, past->n_tracks * sizeof *past->tracks);
    memset(past->keys, 0, past->n_tracks * past->pitches * sizeof *past->keys);
    past->newest = (last_t){0};
    past->all[0] = past->all[1] = past->lag[0] = past->lag[1] = 0;
    past->on_grid = on_grid;
    past->n = 0;
}

int performance_past_turn(int offset, int from) {
    const int half = PLAYED_UNITS / 2;
    return ((offset - from + half) % PLAYED_UNITS + PLAYED_UNITS) % PLAYED_UNITS - half;
}

played_t performance_past_reference(const performance_past_t *past, size_t track) {
    const track_t *own = &past->tracks[track];
    const double level = own->n ? floor(own->level + HALF) : PLAYED_VELOCITY,
                 lag = past->on_grid ? 0 : floor(CIRCLE * atan2(past->lag[1], past->lag[0]) + HALF);
    return (played_t){(uint8_t)level, (int8_t)performance_past_turn((int)lag, 0)};
}

static last_t from_reference(played_t played, played_t reference) {
    return (last_t){{(played.velocity - reference.velocity) / SCALE,
                     performance_past_turn(played.offset, reference.offset) / SCALE},
                    TRUE};
}

static real_t *put(real_t *to, const double values[KINDS]) {
    for (int kind = 0; kind < KINDS; kind++) *to++ = (real_t)values[kind];
    return to;
}

static real_t *put_last(real_t *to, const last_t *last, gboolean counts) {
    static const double none[KINDS];
    to = put(to, counts ? last->now : none);
    *to++ = counts ? 1 : 0;
    return to;
}

/* An onset's distances, and 1; or 0 where there is none. */
static real_t *put_recalled(real_t *to, const played_t *played, played_t reference) {
    const last_t there = played ? from_reference(*played, reference) : (last_t){0};
    return put_last(to, &there, there.any);
}

void performance_past_read(performance_past_t *past, const performance_place_t *place,
                           real_t features[PERFORMANCE_FEATURES]) {
    const track_t *track = &past->tracks[place->track];
    const last_t *key = &past->keys[place->track * past->pitches + place->pitch];
    const played_t reference = performance_past_reference(past, place->track);
    real_t *to = put(features, track->last.now);
    to = put(to, track->quick);
    to = put(to, track->slow);
    to = put_last(to, &past->newest, past->newest.any && past->newest_t == place->t);
    to = put(to, past->all);
    to = put_last(to, key, key->any);
    if (place->below == 0) recall_look(past->recall, place->track, place->t);
    for (size_t i = 0; i < RECALL_WINDOWS; i++)
        to = put_recalled(to, recall_at(past->recall, i, place->below), reference);
    to = put(to, track->size);
    *to++ = track->n ? (real_t)((track->level - 64) / 32) : 0;
    *to++ = track->last.any ? 1 : 0;
    *to++ = track->last.any ? (real_t)(log2((double)(1 + place->t - track->t)) / 4) : 0;
    *to++ = (real_t)place->above / 4;
    *to++ = (real_t)place->below / 4;
    *to++ = place->above == 0 ? 1 : 0;
    memset(to, 0, PERFORMANCE_PHASES * sizeof *to);
    to[place->t % PERFORMANCE_PHASES] = 1;
}

/* The first value is the mean; later ones move it. */
static void move_mean(double mean[KINDS], const double now[KINDS], gboolean any, double rate) {
    for (int kind = 0; kind < KINDS; kind++)
        mean[kind] = any ? mean[kind] + rate * (now[kind] - mean[kind]) : now[kind];
}

void performance_past_take(performance_past_t *past, const performance_place_t *place, played_t played) {
    track_t *track = &past->tracks[place->track];
    const last_t last = from_reference(played, performance_past_reference(past, place->track));
    const double angle = played.offset / CIRCLE, size[KINDS] = {fabs(last.now[0]), fabs(last.now[1])};
    recall_take(past->recall, place->track, place->t, played);
    move_mean(track->quick, last.now, track->last.any, QUICK_RATE);
    move_mean(track->slow, last.now, track->last.any, SLOW_RATE);
    move_mean(track->size, size, track->last.any, SIZE_RATE);
    move_mean(past->all, last.now, past->newest.any, ALL_RATE);
    track->last = past->newest = past->keys[place->track * past->pitches + place->pitch] = last;
    track->t = past->newest_t = place->t;
    track->level += fmax(LEVEL_RATE, 1 / (double)++track->n) * (played.velocity - track->level);
    const double rate = fmax(LAG_RATE, 1 / (double)++past->n);
    past->lag[0] += rate * (cos(angle) - past->lag[0]);
    past->lag[1] += rate * (sin(angle) - past->lag[1]);
}
