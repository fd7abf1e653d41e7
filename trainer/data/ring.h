/* ring: groups of songs (trainer/data/order.h) in the host's shared memory, one epoch after the other, read
 * from the shards ahead of need by a thread of the host's leader. Groups count over epochs: group g of epoch
 * e is e * order_groups() + g. */
#pragma once

#include "preprocess/shard/shard.h"
#include "trainer/data/order.h"

typedef struct ring ring_t;

/* Room for `slots` groups, 2 at least so that one is read while another is used. order: the reader's own;
 * taken over. Collective: NULL with the same error on all ranks where memory does not suffice. set must
 * outlive it. Owner: caller. */
ring_t *ring_new(const shard_set_t *set, order_t *order, size_t slots, GError **error);
/* Collective. Ends the thread, after the block that it reads. */
void ring_free(ring_t *ring);

/* Waits until groups first to last are there, at most `slots` of them, and gives room to the reader: those
 * before first are gone. Collective, the same on all ranks, and no rank may still use a group before first.
 * FALSE with the same error on all ranks where a read failed: file, cause, song. TRUE with *stopped where a
 * signal came first. Costs nothing where the groups are known to be there. */
gboolean ring_turn(ring_t *ring, uint64_t first, uint64_t last, gboolean *stopped, GError **error);
/* The number of an epoch's first group. */
uint64_t ring_groups_before(const ring_t *ring, int64_t epoch);
/* The bytes of a group that is there. */
const uint8_t *ring_group(const ring_t *ring, uint64_t group);
