/* data: training windows from a folder of shards: epoch order, this rank's part of each global batch, augmentation. One copy of the rolls a host.
 *
 * A split's windows of an epoch: each song of F frames gives ceil(F / T) slots. Slot k of a song starts at frame k T (grid), or, where random, at k T + r with
 * r uniform in [0, T) drawn by (seed, epoch, slot), moved back to end with the song; a song shorter than T starts at 0. Frames past the song's end are silence and do not count
 * (batch_t.valid). Grid windows cover every frame exactly once: evaluation uses them. Sample i of an epoch is slot permutation(i). */
#ifndef MPIANIST_TRAINER_DATA_H
#define MPIANIST_TRAINER_DATA_H

#include "preprocess/shard.h"
#include "trainer/model.h"

typedef struct {
    size_t window; /* T */
    size_t planes; /* L */
    uint64_t seed;
    gboolean random_offsets;
    int transpose_low, transpose_high; /* semitones; a draw that would push a sounding note past the edge is clamped; drums stay */
} data_config_t;

typedef struct data data_t;

/* Collective: the leader of each host reads. NULL with the same error set on all ranks. Owner: caller. */
data_t *data_load(const char *folder, const data_config_t *config, GError **error);
void data_free(data_t *data); /* collective */
const shard_set_t *data_shards(const data_t *data);
int64_t data_windows(const data_t *data, split_t split);
int64_t data_frames(const data_t *data, split_t split);
double data_median_tempo(const data_t *data);
meter_t data_main_meter(const data_t *data);

/* Samples [first, first + n) of an epoch's order, augmented, packed to bits [n, window bytes] and valid [n]. Allocates nothing. */
void data_train_batch(const data_t *data, int64_t epoch, int64_t first, size_t n, uint8_t *bits, uint32_t *valid);
/* Grid windows [first, first + n) of a split in corpus order, as they are. */
void data_grid_batch(const data_t *data, split_t split, int64_t first, size_t n, uint8_t *bits, uint32_t *valid);

/* This rank's part of n items: [*first, *first + returned count), ranks differ by at most one. */
size_t data_part(int64_t n, int rank, int size, int64_t *first);

#endif
