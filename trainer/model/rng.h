/* rng: counter-based random numbers. A number depends on (seed, purpose, epoch, sample, element) alone, never
 * on rank, thread or order.
 *
 * Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), known-answer tested. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "trainer/model/real.h"

typedef enum {
    RNG_INIT,            /* weight initialisation: sample = parameter matrix, element = entry */
    RNG_SHUFFLE,         /* order of an epoch */
    RNG_OFFSET,          /* start of a window in its song */
    RNG_TRANSPOSE,       /* semitones */
    RNG_NOISE,           /* eps of z = mu + exp(logvar / 2) eps, training */
    RNG_EVALUATE,        /* eps in evaluation: epoch = draw k; sample = window or segment */
    RNG_PRIOR,           /* sampler: z from the prior */
    RNG_DECODE,          /* sampler: Bernoulli draws */
    RNG_INPUT_DROPOUT,   /* element = frame */
    RNG_DROPOUT,         /* element / 4 has the 16 bits of element = frame * units + unit, lowest first */
    RNG_RESAMPLE,        /* particles in evaluation: sample = segment */
    RNG_LAG_DROPOUT,     /* element = segment */
    RNG_MEMORY_DROPOUT,  /* as RNG_DROPOUT */
    RNG_PERFORMANCE,     /* element / 2 = onset: its velocity, its offset */
    RNG_CONTEXT_DROPOUT, /* of a chunk */
    RNG_MASK             /* what is known of a song while a guide is learned */
} rng_purpose_t;

typedef struct {
    uint64_t seed;
    uint32_t purpose;
    uint32_t epoch;
    uint64_t sample;
} rng_t; /* element is the remaining counter */

/* The bijection: maps counter and key to 128 random bits. */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A stream of elements 0, 1, ... Ranges: epoch < 2^32, sample < 2^40, element < 2^41; higher bits are
 * ignored. All functions below draw from the same elements: give each use its own purpose or elements. */
rng_t rng_make(uint64_t seed, rng_purpose_t purpose, uint64_t epoch, uint64_t sample);
/* Writes 64 random bits for each of the elements first .. first + n - 1 to out [n]; first must be even. */
void rng_bits(const rng_t *rng, uint64_t first, uint64_t *out, size_t n);
/* Uniform in [0, 1), 53 bits. */
double rng_uniform(const rng_t *rng, uint64_t element);
/* Uniform integer in [0, n), unbiased, n >= 1. */
uint64_t rng_below(const rng_t *rng, uint64_t element, uint64_t n);
/* Standard normal numbers to out [n], elements 0..n-1 (Box & Muller 1958); a prefix does not depend on n. */
void rng_normal(const rng_t *rng, real_t *out, size_t n);
/* Writes uniform numbers in [low, high) to out [n]. */
void rng_uniform_fill(const rng_t *rng, real_t *out, size_t n, double low, double high);
/* Position `index` (0 <= index < n) of a pseudo-random permutation of 0..n-1, by a keyed Feistel network with
 * cycle walking: the order of an epoch without storing it. */
uint64_t rng_permute(const rng_t *rng, uint64_t index, uint64_t n);
