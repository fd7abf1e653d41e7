/* data: training samples from a folder of shards: windows of one length, or sequences of unequal length;
 * augmentation. One copy of the rolls a host. What a sample is depends on (seed, epoch, slot) alone.
 *
 * Windows have T frames: a song of F frames gives ceil(F / T) slots. Slot k of a song starts at frame k T
 * (grid), or, with random offsets, at k T + r with r uniform in [0, T) drawn by (seed, epoch, slot), or
 * earlier to end with the song; in a song shorter than T, at 0. Frames past the song's end are silence and
 * do not count (batch_t.valid). Grid windows cover every frame exactly once: evaluation uses them. Sample i
 * of an epoch is slot order_slot(i), trainer/data/order.h.
 *
 * Sequences are whole songs (pieces), one slot each, or chunks of C frames at most, ceil(F / C) slots a
 * song. Slot k starts at k C, or, with random offsets, at k C + r as above, rounded down to a multiple of
 * `align` frames, or at an earlier multiple so as to fit: the last chunk may be shorter than C. The `context`
 * frames before a sequence come with it, silence before the song. trainer/data/batch_order.h orders them.
 *
 * A corpus may be larger than its memory (trainer/data/rolls.h), so training calls data_turn() first. */
#pragma once

#include "preprocess/shard/shard.h"
#include "trainer/data/order.h"
#include "trainer/data/rolls.h"
#include "trainer/model/model.h"

typedef struct {
    size_t window;  /* T; 0: sequences */
    size_t chunk;   /* C, frames, at least align; 0: whole pieces */
    size_t align;   /* frames a segment: chunks begin where a segment of the song does */
    size_t context; /* of sequences: frames before them that the model looks at, model_context() */
    size_t planes;  /* L */
    uint64_t seed;
    gboolean random_offsets;
    gboolean played;    /* also how onsets were played; where nothing is trained, if the shards say it */
    size_t memory;      /* bytes of frames a host may hold, 0: all */
    size_t batch;       /* samples a step of training, 0: nothing is trained */
    size_t group_bytes; /* of the order, 0: ORDER_GROUP_BYTES */
    /* Range of transposition, in semitones; drums stay. A draw that would move a sounding note, also of the
     * context, past the edge is clamped. */
    int transpose_low, transpose_high;
} data_config_t;

typedef struct data data_t;

/* Indexes the songs and reads the frames of rolls_open()'s rolls, which it owns from now on. NULL where these
 * are NULL. Collective: the leader of each host reads. NULL with the same error set on all ranks. Owner:
 * caller. */
data_t *data_load(rolls_t *rolls, const data_config_t *config, GError **error);
void data_free(data_t *data); /* collective */
const shard_set_t *data_shards(const data_t *data);
/* The frames behind the samples. Ask rolls_agree() whether reading a piece or a grid window has failed. */
rolls_t *data_rolls(const data_t *data);
int64_t data_windows(const data_t *data, split_t split);
/* Samples of an epoch: windows or sequences, slots of the train split. */
int64_t data_samples(const data_t *data);
/* Log-odds of each cell [K, L, P] in the train split: log((n + 0.5) / (F - n + 0.5)) for a cell set in n of F
 * frames; `preprocess --info` prints the probabilities. Collective. FALSE with the same error on all ranks if
 * a song cannot be read. */
gboolean data_log_odds(const data_t *data, double *log_odds, GError **error);
/* The lowest and the highest pitch of those cells that are ever set, by their log-odds. FALSE if none is. */
gboolean data_pitch_range(const data_t *data, const double *log_odds, size_t *lowest, size_t *highest);
double data_median_tempo(const data_t *data);
meter_t data_main_meter(const data_t *data);

/* The order of an epoch, valid until another is planned. Local, allocates nothing. */
const order_t *data_plan(const data_t *data, int64_t epoch);
/* Waits until the songs of samples [first, first + n) of an epoch's order are in memory; songs of earlier
 * groups may be dropped. Collective; *stopped and errors as for ring_turn(). */
gboolean data_turn(const data_t *data, int64_t epoch, int64_t first, size_t n, gboolean *stopped,
                   GError **error);
/* Writes samples [first, first + n) of an epoch's order, augmented: packed windows to bits [n, window bytes],
 * their true frames to valid [n]. Allocates nothing. */
void data_train_batch(const data_t *data, int64_t epoch, int64_t first, size_t n, uint8_t *bits,
                      uint32_t *valid);
/* Writes grid windows [first, first + n) of a split in corpus order, as data_train_batch(), not augmented. */
void data_grid_batch(const data_t *data, split_t split, int64_t first, size_t n, uint8_t *bits,
                     uint32_t *valid);

/* Frames of a slot's sequence in an epoch, and the most that it has in any epoch. */
uint32_t data_sequence_frames(const data_t *data, int64_t epoch, int64_t slot);
uint32_t data_sequence_most_frames(const data_t *data, int64_t slot);
/* Writes a slot's sequence, augmented, to bits [context + T, K, L, stride], with silence after its end; T is
 * at least its frames, which are returned. *whole, unless whole is NULL: its song, not transposed, whose
 * onsets keep their order; only where data_config_t.played; valid as data_turn() says. Allocates nothing. */
uint32_t data_sequence(const data_t *data, int64_t epoch, int64_t slot, size_t T, uint8_t *bits,
                       played_song_t *whole);

/* The train song of a slot's sequence, as a piece of its split, and the sequence's frames in it: [*start,
 * *start + *frames). */
size_t data_find_sequence(const data_t *data, int64_t epoch, int64_t slot, int64_t *start, size_t *frames);

/* Whole songs of a split, in corpus order. data_piece() writes one as data_sequence() does, after a
 * silent context, transposed by so many semitones as far as its notes allow. */
int64_t data_pieces(const data_t *data, split_t split);
uint32_t data_longest_piece(const data_t *data, split_t split); /* frames; 0 where there is none */
uint32_t data_piece_frames(const data_t *data, split_t split, int64_t piece);
uint32_t data_piece(const data_t *data, split_t split, int64_t piece, int semitones, size_t T, uint8_t *bits,
                    const played_t **played);
meters_t data_piece_meters(const data_t *data, split_t split, int64_t piece);

/* Divides n items evenly: this part of so many has [*first, *first + returned count). Counts differ by at
 * most 1. */
static inline size_t data_part(int64_t n, int part, int parts, int64_t *first) {
    int64_t share = n / parts, rest = n % parts;
    *first = part * share + MIN(part, rest);
    return (size_t)(share + (part < rest));
}
