/* order: the order in which an epoch takes its samples, such that a corpus larger than memory can be read as
 * it goes.
 *
 * The songs are cut into blocks: whole songs that follow each other in the corpus. Each epoch deals all
 * blocks anew, in an order that depends on (seed, epoch) alone, to groups of about equal bytes. The groups
 * come one after the other; within a group its samples (slots) come in random order. A corpus of one group is
 * shuffled whole. No MPI, no files. */
#pragma once

#include <glib.h>

#include "trainer/model/rng.h"

/* Part of what the order is: other values are another order. */
#define ORDER_GROUP_BYTES  ((size_t)64 << 20) /* packed frames of a group, at most, but for one block */
#define ORDER_GROUP_BLOCKS 64                 /* a block has this part of a group, at most, but for a song */

typedef struct {
    size_t first_song, n_songs; /* of the corpus */
    int64_t first_slot, slots;
    size_t bytes; /* of its frames */
} order_block_t;

/* What is shuffled in a group. */
typedef enum { ORDER_OF_SLOTS, ORDER_OF_BATCHES, ORDER_OF_BLOCKS, ORDER_PURPOSES } order_purpose_t;

typedef struct order order_t;

/* blocks [n], in corpus order, slots without gaps; they must outlive it. Owner: caller. */
order_t *order_new(const order_block_t *blocks, size_t n, size_t group_bytes, uint64_t seed);
/* Another one of the same blocks, for another thread. Owner: caller. */
order_t *order_copy(const order_t *order);
void order_free(order_t *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(order_t, order_free)
/* The same in all epochs: samples; groups, at least 1; the most bytes that a group has in any epoch. */
int64_t order_samples(const order_t *order);
size_t order_groups(const order_t *order);
size_t order_group_bytes(const order_t *order);
size_t order_block_bytes(const order_t *order); /* of the largest block */
/* The most groups that n samples in a row can come from, in any epoch. */
size_t order_most_groups(const order_t *order, size_t n);

/* Plans an epoch; the functions below are of the one that was planned last. Allocates nothing. */
void order_plan(order_t *order, int64_t epoch);
/* The slot that is sample i of the epoch, and the group that it is in. */
int64_t order_slot(const order_t *order, int64_t i);
size_t order_group_of(const order_t *order, int64_t i);
/* Samples of the groups before; of order_groups(): all. */
int64_t order_group_start(const order_t *order, size_t group);
/* The random numbers that something in a group is shuffled by. */
rng_t order_rng(const order_t *order, size_t group, order_purpose_t purpose);
/* The blocks of a group, in corpus order; *n of them. */
const uint32_t *order_group_blocks(const order_t *order, size_t group, size_t *n);
size_t order_blocks(const order_t *order);
const order_block_t *order_block(const order_t *order, size_t block);
/* Where a block's frames begin among its group's, in bytes. */
size_t order_block_offset(const order_t *order, size_t block, size_t *group);

/* Of n stretches that begin at starts [n], ascending, the one that `at` is in: the last that begins there or
 * before. */
size_t order_find(const int64_t *starts, size_t n, int64_t at);
