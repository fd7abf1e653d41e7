/* rng: owns the layout of Philox's counter; keeps no state, so that any rank can compute any number.
 *
 * Counter of 128 bits: element / 2 : 40 | attempt : 8 | sample : 40 | purpose : 8 | epoch : 32.
 * Key of 64 bits: the seed.
 * One call gives 128 random bits, which two neighbouring elements share. No two draws of one seed share a
 * counter. */
#include "trainer/model/rng.h"

#include <glib.h>
#include <math.h>

enum { PERMUTE_ROUNDS = 8 };

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The 64-bit words of elements 2 * pair and 2 * pair + 1. */
static void draw_pair(const rng_t *rng, uint64_t pair, uint32_t attempt, uint64_t word[2]) {
    const uint32_t counter[4] = {(uint32_t)pair,
                                 (uint32_t)(pair >> 32 & 0xFF) | (attempt & 0xFF) << 8 |
                                     (uint32_t)(rng->sample & 0xFFFF) << 16,
                                 (uint32_t)(rng->sample >> 16 & 0xFFFFFF) | rng->purpose << 24, rng->epoch};
    const uint32_t key[2] = {(uint32_t)rng->seed, (uint32_t)(rng->seed >> 32)};
    uint32_t out[4];
    rng_philox(counter, key, out);
    word[0] = (uint64_t)out[1] << 32 | out[0];
    word[1] = (uint64_t)out[3] << 32 | out[2];
}

static uint64_t draw(const rng_t *rng, uint64_t element, uint32_t attempt) {
    uint64_t word[2];
    draw_pair(rng, element / 2, attempt, word);
    return word[element % 2];
}

static double to_uniform(uint64_t word) { return (double)(word >> 11) * 0x1p-53; }

rng_t rng_make(uint64_t seed, rng_purpose_t purpose, uint64_t epoch, uint64_t sample) {
    return (rng_t){.seed = seed, .purpose = (uint32_t)purpose, .epoch = (uint32_t)epoch, .sample = sample};
}

void rng_bits(const rng_t *rng, uint64_t first, uint64_t *out, size_t n) {
    uint64_t word[2];
    for (size_t i = 0; i < n; i += 2) {
        draw_pair(rng, (first + i) / 2, 0, word);
        out[i] = word[0];
        if (i + 1 < n) out[i + 1] = word[1];
    }
}

double rng_uniform(const rng_t *rng, uint64_t element) { return to_uniform(draw(rng, element, 0)); }

uint64_t rng_below(const rng_t *rng, uint64_t element, uint64_t n) {
    /* Lemire 2019: the high half of word * n; words in the first 2^64 mod n of a residue would be one too
     * many, and are drawn again. */
    const uint64_t excess = -n % n;
    unsigned __int128 product;
    uint32_t attempt = 0;
    do product = (unsigned __int128)draw(rng, element, attempt++) * n;
    while ((uint64_t)product < excess && attempt < 256);
    return (uint64_t)(product >> 64);
}

void rng_normal(const rng_t *rng, real_t *out, size_t n) {
    for (size_t i = 0; i < n; i += 2) {
        uint64_t word[2];
        draw_pair(rng, i / 2, 0, word);
        const double radius = sqrt(-2.0 * log1p(-to_uniform(word[0]))),
                     angle = 2.0 * G_PI * to_uniform(word[1]);
        out[i] = (real_t)(radius * cos(angle));
        if (i + 1 < n) out[i + 1] = (real_t)(radius * sin(angle));
    }
}

void rng_uniform_fill(const rng_t *rng, real_t *out, size_t n, double low, double high) {
    const real_t below_high = (real_t)nextafterf((float)high, (float)low);
    for (size_t i = 0; i < n; i += 2) {
        uint64_t word[2];
        draw_pair(rng, i / 2, 0, word);
        for (size_t j = 0; j < 2 && i + j < n; j++) {
            const real_t value = (real_t)(low + (high - low) * to_uniform(word[j]));
            out[i + j] = (double)value < high ? value : below_high; /* rounding to float may reach high */
        }
    }
}

uint64_t rng_permute(const rng_t *rng, uint64_t index, uint64_t n) {
    unsigned half = 1; /* bits of each side: the network permutes 0..4^half - 1 >= n */
    while (half < 32 && (n - 1) >> (2 * half)) half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do { /* cycle walking: following the permutation until it is back below n is a permutation of 0..n-1 */
        uint64_t left = index >> half, right = index & mask;
        for (uint64_t round = 0; round < PERMUTE_ROUNDS; round++) {
            const uint64_t mixed = left ^ (draw(rng, right << 4 | round, 0) & mask);
            left = right;
            right = mixed;
        }
        index = left << half | right;
    } while (index >= n);
    return index;
}
