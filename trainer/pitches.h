/* pitches: a set of pitches of one track and plane, as the bits of one number; read from and written to
 * packed rows (preprocess/roll.h). Inline: a row is 16 bytes. */
#ifndef MPIANIST_TRAINER_PITCHES_H
#define MPIANIST_TRAINER_PITCHES_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 pitches_t; /* bit p: pitch p < OPS_MAX_PITCHES */

/* 0 .. n - 1, n <= 128. */
static inline pitches_t pitches_below(size_t n) { return n < 128 ? ((pitches_t)1 << n) - 1 : ~(pitches_t)0; }
static inline pitches_t pitches_one(size_t p) { return (pitches_t)1 << p; }
static inline int pitches_has(pitches_t set, size_t p) { return (int)(set >> p & 1); }

/* Of a set that is not empty. */
static inline size_t pitches_lowest(pitches_t set) {
    const uint64_t low = (uint64_t)set;
    return (size_t)(low ? __builtin_ctzll(low) : 64 + __builtin_ctzll((uint64_t)(set >> 64)));
}

static inline size_t pitches_highest(pitches_t set) {
    const uint64_t high = (uint64_t)(set >> 64);
    return (size_t)(high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((uint64_t)set));
}

/* Removes the lowest. */
static inline size_t pitches_take(pitches_t *set) {
    const size_t p = pitches_lowest(*set);
    *set &= *set - 1;
    return p;
}

/* 8 bytes, the first the lowest: one load where the processor has them so. */
static inline uint64_t pitches_read_word(const uint8_t *bytes) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) word |= (uint64_t)bytes[i] << 8 * i;
    return word;
}

/* The first P bits of a row of ceil(P / 8) bytes; the others do not count. */
static inline pitches_t pitches_read(const uint8_t *row, size_t P) {
    const size_t bytes = (P + 7) / 8, whole = bytes / 8 * 8;
    uint64_t words[2] = {0};
    for (size_t i = 0; i < whole; i += 8) words[i / 8] = pitches_read_word(row + i);
    for (size_t i = whole; i < bytes; i++) words[i / 8] |= (uint64_t)row[i] << 8 * (i % 8);
    return ((pitches_t)words[1] << 64 | words[0]) & pitches_below(P);
}

static inline void pitches_write(pitches_t set, uint8_t *row, size_t P) {
    for (size_t i = 0; i < (P + 7) / 8; i++) row[i] = (uint8_t)(set >> 8 * i);
}

#endif
