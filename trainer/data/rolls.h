/* rolls: the songs of a corpus and their frames: in the memory of the host, or, where they are larger than a
 * limit, as many as training needs next (trainer/data/ring.h), the others read from the shards one at a time.
 * What is read is the same, whatever the limit. */
#pragma once

#include "preprocess/shard/shard.h"
#include "trainer/data/order.h"

typedef struct rolls rolls_t;

/* The songs, one copy a host. Collective: the leader of each host reads. NULL with the same error set on all
 * ranks. Owner: caller. */
rolls_t *rolls_open(const char *folder, GError **error);
void rolls_free(rolls_t *rolls); /* collective */
const shard_set_t *rolls_set(const rolls_t *rolls);

/* Reads all frames, or, where they are more than `memory` bytes (0: no limit), makes room for those that
 * training needs with steps of `batch` samples of the order; batch 0: nothing is trained. The order's blocks
 * must outlive the rolls. Collective. FALSE with the same error on all ranks: where memory is less than a
 * step needs, with the least that does. */
gboolean rolls_fill(rolls_t *rolls, const order_t *order, size_t memory, size_t batch, GError **error);
/* How much is in memory, for people; NULL where all is. Owner: caller. */
char *rolls_describe(const rolls_t *rolls);

/* See ring_turn(), in groups of an epoch of the order. Nothing to do where all frames are in memory. */
gboolean rolls_turn(rolls_t *rolls, int64_t epoch, size_t first, size_t last, gboolean *stopped,
                    GError **error);
/* The frames of a song of a block of a group that rolls_turn() turned to. order: planned for that epoch. */
const uint8_t *rolls_train_song(const rolls_t *rolls, const order_t *order, int64_t epoch, size_t block,
                                size_t song);
/* The frames of any song, or of n songs from the first on (those of a block at most), valid until the next
 * call. Where they cannot be read they are silent, and rolls_agree() will tell. */
const uint8_t *rolls_songs(rolls_t *rolls, size_t first, size_t n);
/* Whether a song could not be read, on this rank. */
gboolean rolls_failed(const rolls_t *rolls);
/* Collective: FALSE with the same error on all ranks where rolls_failed() on any. */
gboolean rolls_agree(rolls_t *rolls, GError **error);
