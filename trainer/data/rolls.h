/* rolls: the songs of a corpus and their frames, which are in the host's memory. If they are larger than a
 * limit, only those that training needs next are (trainer/data/ring.h); others are read from the shards on
 * demand. What callers read is the same either way. */
#pragma once

#include "preprocess/shard/shard.h"
#include "trainer/data/order.h"

typedef struct rolls rolls_t;

/* Opens the corpus and shares its songs, one copy a host; frames come with rolls_fill(). Collective: the
 * leader of each host reads. NULL with the same error set on all ranks. Owner: caller. */
rolls_t *rolls_open(const char *folder, GError **error);
void rolls_free(rolls_t *rolls); /* collective */
/* The meters of a song. */
meters_t rolls_meters(const rolls_t *rolls, size_t song);
const shard_set_t *rolls_set(const rolls_t *rolls);

/* Reads all frames; if they are more than `memory` bytes (0: no limit), makes room for what steps of `batch`
 * samples of the order need instead; batch 0: nothing is trained. The order's blocks must outlive the rolls.
 * Collective. FALSE with the same error on all ranks, also if memory is too little for a step: it tells how
 * much is needed. played: also how onsets were played, of which all is in memory, whatever frames are; the
 * shards must say it, an error otherwise. Where batch is 0 it is not read if they do not. */
gboolean rolls_fill(rolls_t *rolls, const order_t *order, size_t memory, size_t batch, gboolean played,
                    GError **error);
/* A text for people on how much is in memory; NULL if all is. Owner: caller. */
char *rolls_describe(const rolls_t *rolls);

/* As ring_turn(), with groups counted within an epoch. Does nothing if all frames are in memory. */
gboolean rolls_turn(rolls_t *rolls, int64_t epoch, size_t first, size_t last, gboolean *stopped,
                    GError **error);
/* The frames of a song in a block of a group that rolls_turn() has made available. order must be planned for
 * that epoch. */
const uint8_t *rolls_train_song(const rolls_t *rolls, const order_t *order, int64_t epoch, size_t block,
                                size_t song);
/* The frames of n songs from `first` on (at most a block or one song), valid until the next call. If they
 * cannot be read they are silent, and rolls_agree() reports it. */
const uint8_t *rolls_songs(rolls_t *rolls, size_t first, size_t n);
/* How a song's onsets were played; only where rolls_fill() has read it. */
const played_t *rolls_played(const rolls_t *rolls, size_t song);
/* Whether a song could not be read, on this rank. */
gboolean rolls_failed(const rolls_t *rolls);
/* Collective: FALSE with the same error on all ranks where rolls_failed() on any. */
gboolean rolls_agree(rolls_t *rolls, GError **error);
