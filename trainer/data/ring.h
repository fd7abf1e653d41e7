/* ring: a ring buffer of groups of songs (trainer/data/order.h) in the host's shared memory, which a thread
 * of the host's leader fills from the shards ahead of need. Groups are numbered over epochs: group g of epoch
 * e is e * order_groups() + g. */
#pragma once

#include "preprocess/shard/shard.h"
#include "trainer/data/order.h"

typedef struct ring ring_t;

/* Room for `slots` groups, at least 2 so that one is read while another is used. Takes over order, which only
 * the ring may use; set must outlive it. Collective: NULL with the same error on all ranks if memory runs
 * out. Owner: caller. */
ring_t *ring_new(const shard_set_t *set, order_t *order, size_t slots, GError **error);
/* Collective. Ends the thread once it has read the block under way. */
void ring_free(ring_t *ring);

/* Waits until groups first to last, at most `slots` of them, are in memory, and frees the room of those
 * before first, which no rank may use any more. Collective, with the same arguments on all ranks. FALSE with
 * the same error on all ranks if a read failed, naming file, cause and song. TRUE with *stopped set if a
 * signal came first. Costs nothing if the groups are known to be there. */
gboolean ring_turn(ring_t *ring, uint64_t first, uint64_t last, gboolean *stopped, GError **error);
/* The number of an epoch's first group. */
uint64_t ring_groups_before(const ring_t *ring, int64_t epoch);
/* The frames of a group that is in memory. */
const uint8_t *ring_group(const ring_t *ring, uint64_t group);
