/* pitch_set: a set of pitches of one track and plane, as the bits of one number; read from and written to
 * packed rows (preprocess/roll/roll.h). Inline: a row is 16 bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 pitch_set_t; /* bit p: pitch p < LAYERS_MAX_PITCHES */

/* The set 0 .. n - 1, n <= 128. */
static inline pitch_set_t pitch_set_below(size_t n) {
    return n < 128 ? ((pitch_set_t)1 << n) - 1 : ~(pitch_set_t)0;
}
static inline pitch_set_t pitch_set_one(size_t p) { return (pitch_set_t)1 << p; }
static inline int pitch_set_has(pitch_set_t set, size_t p) { return (int)(set >> p & 1); }

static inline size_t pitch_set_count(pitch_set_t set) {
    return (size_t)(__builtin_popcountll((uint64_t)set) + __builtin_popcountll((uint64_t)(set >> 64)));
}

/* The lowest and the highest pitch of a set that is not empty. */
static inline size_t pitch_set_lowest(pitch_set_t set) {
    const uint64_t low = (uint64_t)set;
    return (size_t)(low ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)(set >> 64)));
}

static inline size_t pitch_set_highest(pitch_set_t set) {
    const uint64_t high = (uint64_t)(set >> 64);
    return (size_t)(high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)set));
}

/* Removes the lowest pitch and returns it. */
static inline size_t pitch_set_take(pitch_set_t *set) {
    const size_t p = pitch_set_lowest(*set);
    *set &= *set - 1;
    return p;
}

/* Reads 8 little-endian bytes; compilers make this one load where they can. */
static inline uint64_t pitch_set_read_word(const uint8_t *bytes) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) word |= (uint64_t)bytes[i] << 8 * i;
    return word;
}

/* Reads the first P bits of a row of ceil(P / 8) bytes; the others do not count. */
static inline pitch_set_t pitch_set_read(const uint8_t *row, size_t P) {
    const size_t bytes = (P + 7) / 8, whole = bytes / 8 * 8;
    uint64_t words[2] = {0};
    for (size_t i = 0; i < whole; i += 8) words[i / 8] = pitch_set_read_word(row + i);
    for (size_t i = whole; i < bytes; i++) words[i / 8] |= (uint64_t)row[i] << 8 * (i % 8);
    return ((pitch_set_t)words[1] << 64 | words[0]) & pitch_set_below(P);
}

static inline void pitch_set_write(pitch_set_t set, uint8_t *row, size_t P) {
    for (size_t i = 0; i < (P + 7) / 8; i++) row[i] = (uint8_t)(set >> 8 * i);
}
