/* order: the order in which an epoch takes its samples, made so that a corpus larger than memory can be read
 * piece by piece.
 *
 * A block is a run of whole songs that are neighbours in the corpus. Each epoch deals the blocks at random,
 * by (seed, epoch) alone, into groups of about equal bytes. Groups are trained one after the other, the
 * samples (slots) of a group in random order. A corpus of one group is shuffled whole. No MPI, no files. */
#pragma once

#include <glib.h>

#include "trainer/model/rng.h"

/* The order depends on both: changing one changes what a seed trains. */
#define ORDER_GROUP_BYTES  ((size_t)64 << 20) /* most packed frames of a group, give or take a block */
#define ORDER_GROUP_BLOCKS 64                 /* blocks of a group, at least, unless songs are long */

typedef struct {
    size_t first_song, n_songs; /* of the corpus */
    int64_t first_slot, slots;
    size_t bytes; /* of its frames */
} order_block_t;

/* What the random numbers of a group shuffle. */
typedef enum { ORDER_OF_SLOTS, ORDER_OF_BATCHES, ORDER_OF_BLOCKS, ORDER_PURPOSES } order_purpose_t;

typedef struct order order_t;

/* blocks [n] are in corpus order, slots without gaps, and must outlive the order. Owner: caller. */
order_t *order_new(const order_block_t *blocks, size_t n, size_t group_bytes, uint64_t seed);
/* A second order of the same blocks, for another thread. Owner: caller. */
order_t *order_copy(const order_t *order);
void order_free(order_t *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(order_t, order_free)
/* The same in all epochs: number of samples; of groups, at least 1; the most bytes that a group can have. */
int64_t order_samples(const order_t *order);
size_t order_groups(const order_t *order);
size_t order_group_bytes(const order_t *order);
size_t order_block_bytes(const order_t *order); /* of the largest block */
/* The most groups that n consecutive samples can come from, in any epoch. */
size_t order_most_groups(const order_t *order, size_t n);

/* Plans an epoch, which the functions below then describe. Allocates nothing. */
void order_plan(order_t *order, int64_t epoch);
/* The slot that is sample i of the epoch, and the group that it is in. */
int64_t order_slot(const order_t *order, int64_t i);
size_t order_group_of(const order_t *order, int64_t i);
/* Position of a group's first sample in the epoch; for order_groups(), the number of samples. */
int64_t order_group_start(const order_t *order, size_t group);
/* The random numbers that shuffle something in a group. */
rng_t order_rng(const order_t *order, size_t group, order_purpose_t purpose);
/* The blocks of a group, in corpus order; *n of them. */
const uint32_t *order_group_blocks(const order_t *order, size_t group, size_t *n);
size_t order_blocks(const order_t *order);
const order_block_t *order_block(const order_t *order, size_t block);
/* Where a block's frames begin among its group's, in bytes. */
size_t order_block_offset(const order_t *order, size_t block, size_t *group);

/* Finds the last i with starts[i] <= at, of starts [n], ascending. */
size_t order_find(const int64_t *starts, size_t n, int64_t at);
