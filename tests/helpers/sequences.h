/* sequences: batches of the sequence model for tests, drawn from Philox: canonical frames
 * (preprocess/roll/roll.h) of unequal sequences with noise and dropout. tests/golden/make_golden_sequence.py
 * draws the same. */
#pragma once

#include <string.h>

#include "trainer/model/model.h"

typedef struct {
    model_config_t config;
    size_t frame_bytes, context, segments; /* segments: of T frames */
    batch_t batch;                         /* points to what follows */
    uint8_t *bits, *keep_input, *keep_past, *keep_state, *keep_memory;
    uint32_t *valid;
    real_t *eps;
    played_t *onsets;     /* [B, room]: where the model learns how onsets are played */
    played_song_t *songs; /* [B]: the sequence and what comes before it in its song */
    size_t room;
    place_t *places;
} sequences_t;

/* Where the model learns how onsets are played, all frames but every so many are those of so many before:
 * players recall how they played what comes back. */
enum { SEQUENCES_REPEAT = 3 };

/* Two bars of three frames, then bars of two. Every second sequence begins there; the others begin after the
 * frames that come before them. */
static const meter_change_t sequences_meters[] = {{0, 3, 4}, {6, 2, 4}};
enum { SEQUENCES_SONG = 19 /* frames */ };

/* Probabilities that a cell sounds, before the frame is made canonical, and that an input frame, the past of
 * a segment and a unit of the state are kept; 1: no dropout. Units of memories: 0 is none, too. */
typedef struct {
    double density, keep_input, keep_past, keep_state, keep_memory;
} sequences_chances_t;

static inline sequences_t *sequences_new(const model_config_t *config, const uint32_t *valid, size_t B,
                                         size_t T) {
    sequences_t *s = g_new0(sequences_t, 1);
    s->config = *config;
    s->frame_bytes = model_frame_bytes(config);
    s->context = model_context(config);
    s->segments = (T + config->sequence.segment - 1) / config->sequence.segment;
    s->bits = g_malloc0(B * (s->context + T) * s->frame_bytes);
    s->valid = g_memdup2(valid, B * sizeof *valid);
    s->eps = g_new0(real_t, B * s->segments * config->latent + 1);
    s->keep_input = g_new0(uint8_t, B * T);
    s->keep_past = g_new0(uint8_t, B * s->segments);
    s->keep_state = g_new0(uint8_t, B * T * config->sequence.state);
    s->keep_memory = g_new0(uint8_t, B * T * model_memory_units(config));
    s->room = config->sequence.performance ? (s->context + T) * config->tracks * config->pitches : 0;
    s->onsets = g_new0(played_t, B * s->room);
    s->songs = g_new0(played_song_t, B);
    s->batch = (batch_t){.B = B, .T = T, .bits = s->bits, .valid = s->valid, .eps = s->eps};
    if (config->sequence.bar == 0) return s;
    s->batch.places = s->places = g_new0(place_t, B * T);
    for (size_t i = 0; i < B * T; i++)
        place_find((meters_t){1, sequences_meters, 2, SEQUENCES_SONG}, (i / T % 2 ? 0 : s->context) + i % T,
                   config, &s->places[i]);
    return s;
}

static inline void sequences_free(sequences_t *s) {
    void *const arrays[] = {
        s->bits,  s->valid,  s->eps, s->keep_input, s->keep_past, s->keep_state, s->keep_memory, s->onsets,
        s->songs, s->places, s};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sequences_t, sequences_free)

static inline size_t sequences_frames(const sequences_t *s) {
    size_t frames = 0;
    for (size_t b = 0; b < s->batch.B; b++) frames += s->valid[b];
    return frames;
}

/* Frame t of sequence b, t from -context. */
static inline uint8_t *sequences_frame(const sequences_t *s, size_t b, int t) {
    return s->bits + ((s->context + s->batch.T) * b + (size_t)((int)s->context + t)) * s->frame_bytes;
}

/* Makes a frame canonical: an onset needs its sound, and sound after silence begins with one. */
static inline void sequences_make_canonical(const sequences_t *s, size_t b, int t) {
    const size_t stride = (s->config.pitches + 7) / 8;
    uint8_t *frame = sequences_frame(s, b, t);
    const uint8_t *before = frame - s->frame_bytes;
    for (size_t i = 0; s->config.planes == 2 && i < s->frame_bytes; i++)
        if (i / stride % 2 == PLANE_ONSET)
            frame[i] = (uint8_t)(frame[i - stride] &
                                 (frame[i] | (uint8_t) ~(t == -(int)s->context ? 0 : before[i - stride])));
}

/* Frames of its song before a sequence. */
static inline size_t sequences_before(const sequences_t *s, size_t b) { return b % 2 ? s->context : 0; }

/* Onsets of a sequence and of its song before it. */
static inline size_t sequences_count_onsets(const sequences_t *s, size_t b) {
    const size_t stride = roll_stride(s->config.pitches);
    size_t n = 0;
    for (int t = -(int)sequences_before(s, b); t < (int)s->valid[b]; t++)
        for (size_t k = 0; k < s->config.tracks; k++)
            for (size_t i = 0; i < stride; i++)
                n += (size_t)__builtin_popcount(sequences_frame(s, b, t)[(2 * k + PLANE_ONSET) * stride + i]);
    return n;
}

/* The songs, and how their onsets are played, by their numbers. */
static inline void sequences_draw_played(sequences_t *s, uint64_t step) {
    for (size_t b = 0; b < s->batch.B; b++) {
        played_t *onsets = s->onsets + b * s->room;
        for (size_t i = 0; i < sequences_count_onsets(s, b); i++) {
            const uint64_t hash = (i + 1000 * b + 100000 * step + 1) * 2654435761U >> 9;
            onsets[i] = (played_t){(uint8_t)(1 + hash % 127), (int8_t)(hash >> 8 & 255)};
        }
        const size_t before = sequences_before(s, b);
        s->songs[b] =
            (played_song_t){sequences_frame(s, b, -(int)before), before + s->valid[b], before, onsets};
    }
    s->batch.songs = s->songs;
}

/* Draws the sequences anew. Every second one begins its song, with silence before; all end in silence. */
static inline void sequences_draw(sequences_t *s, const sequences_chances_t *chances, uint64_t seed,
                                  uint64_t step) {
    const size_t B = s->batch.B, T = s->batch.T, P = s->config.pitches, H = s->config.sequence.state,
                 D = model_cells(&s->config), Z = s->config.latent, M = model_memory_units(&s->config);
    memset(s->bits, 0, B * (s->context + T) * s->frame_bytes);
    for (size_t b = 0; b < B; b++) {
        const rng_t bits = rng_make(seed, RNG_DECODE, step, b), noise = rng_make(seed, RNG_NOISE, step, b);
        const rng_t input = rng_make(seed, RNG_INPUT_DROPOUT, step, b),
                    past = rng_make(seed, RNG_LAG_DROPOUT, step, b);
        const rng_t state = rng_make(seed, RNG_DROPOUT, step, b),
                    memory = rng_make(seed, RNG_MEMORY_DROPOUT, step, b);
        for (size_t i = b % 2 ? 0 : s->context * D; i < (s->context + s->valid[b]) * D; i++)
            if (rng_uniform(&bits, i) < chances->density)
                sequences_frame(s, b,
                                (int)(i / D) - (int)s->context)[i % D / P * ((P + 7) / 8) + i % P / 8] |=
                    (uint8_t)(1 << i % P % 8);
        for (int t = SEQUENCES_REPEAT - (int)sequences_before(s, b); s->room > 0 && t < (int)s->valid[b]; t++)
            if (t % SEQUENCES_REPEAT)
                memcpy(sequences_frame(s, b, t), sequences_frame(s, b, t - SEQUENCES_REPEAT), s->frame_bytes);
        for (int t = -(int)s->context; t < (int)s->valid[b]; t++) sequences_make_canonical(s, b, t);
        rng_normal(&noise, s->eps + b * s->segments * Z, s->segments * Z);
        for (size_t i = 0; i < s->valid[b]; i++)
            s->keep_input[b * T + i] = rng_uniform(&input, i) < chances->keep_input;
        for (size_t w = 0; w < s->segments; w++)
            s->keep_past[b * s->segments + w] = rng_uniform(&past, w) < chances->keep_past;
        for (size_t i = 0; i < s->valid[b] * H; i++)
            s->keep_state[b * T * H + i] = rng_uniform(&state, i) < chances->keep_state;
        for (size_t i = 0; i < s->valid[b] * M; i++)
            s->keep_memory[b * T * M + i] = rng_uniform(&memory, i) < chances->keep_memory;
    }
    s->batch.keep_input = chances->keep_input < 1 ? s->keep_input : NULL;
    s->batch.keep_past = chances->keep_past < 1 ? s->keep_past : NULL;
    s->batch.keep_state = chances->keep_state < 1 ? s->keep_state : NULL;
    s->batch.keep_rate = chances->keep_state;
    s->batch.keep_memory = M && chances->keep_memory > 0 && chances->keep_memory < 1 ? s->keep_memory : NULL;
    s->batch.memory_rate = chances->keep_memory;
    if (s->room) sequences_draw_played(s, step);
}
