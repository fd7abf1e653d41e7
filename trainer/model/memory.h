/* memory: a small GRU (trainer/model/gru.h) that runs over time at every pitch, with weights that the pitches
 * share: what a key has done so far, wherever it lies (tied-parallel networks; Johnson 2017, "Generating
 * Polyphonic Music Using Tied Parallel Networks"). One for each track k. At pitch i of frame t it reads, of
 * the frame before, which input dropout hides whole,
 *
 *     x = b + e_i + d_(t mod 16) + the rows of the place in the bar (trainer/model/place.h), if any,
 *         + sum of the rows of W that the set cells choose,
 *
 * with a row of W for each of these, in this order, silence past the edges:
 *     pitched tracks:  pitches i + 13 down to i - 13 of each plane of the track;
 *                      the same of the sound of each other pitched track, in drawing order;
 *                      notes of all pitched tracks in the pitch classes of i, i + 1, .. i + 11: a row counts
 *                      as often as there are such notes
 *     drums, whose keys are no pitches, for each plane in turn:
 *                      this key, a row for each key that it may be; any key, a row for each
 *
 * and s_(t,i) = GRU(x, s_(t-1,i)) from a learned s before the first frame, the same for all pitches. It reads
 * neither latents nor the decoder's state, so pieces with the same notes have the same memory. Pitches are
 * those of config.sequence.tied_first and tied_pitches; t is counted from the piece's start. */
#pragma once

#include "trainer/model/model_kind.h"
#include "trainer/model/place.h"

typedef struct memory memory_t;

/* Appends, for each track in drawing order, a GRU "memory.K" with the layer "memory.K.input" (W, b), and
 * "memory.K.pitch" e [pitches, 3 M], "memory.K.phase" d [16, 3 M], where the config has places in the bar
 * "memory.K.bar" [place_table_rows(), 3 M], "memory.K.start" [1, M], all zero; nothing where the config
 * has no memory. */
void memory_lay_out(const model_config_t *config, GArray *table);
/* Only for a config that has one. NULL with MODEL_ERROR_MEMORY set. Owner: caller. */
memory_t *memory_new(const model_config_t *config, const model_blocks_t *blocks, GError **error);
void memory_free(memory_t *memory);
/* Finds the parameters in other blocks. */
void memory_find(memory_t *memory, const model_blocks_t *blocks);
/* Initial values that the table cannot express: at first gates keep more than they let in. */
void memory_start(const memory_t *memory);

/* The states of a batch. */
typedef struct {
    size_t K;
    real_t **s, **ds; /* [K][rows, pitches, M]: states; their gradient, from the head */
    real_t **gates;   /* [K][rows, pitches, 4 M] */
    /* Of a frame: */
    real_t *x, *dhU;         /* [pitches, 3 M]: what a GRU reads; or gradients */
    real_t *start, *dbefore; /* [pitches, M]: before the first frame; the gradient that goes a frame back */
    real_t *scratch;
    GPtrArray *blocks;
} memory_pass_t;

/* Room for batches of at most max_rows frames. FALSE with MODEL_ERROR_MEMORY set; clear it in that case
 * too. */
gboolean memory_pass_init(memory_pass_t *pass, const memory_t *memory, size_t max_rows, GError **error);
void memory_pass_clear(memory_pass_t *pass);
/* Rows of a batch: packed in groups, of sequences whose frames are counted from the first. frames points
 * to each row's frame, which the frame before it precedes in memory; that one is heard or not. places is
 * not read where the config has none. */
typedef struct {
    const packing_t *groups;
    size_t n_groups;
    const uint8_t *const *frames;
    const uint8_t *heard;
    const place_t *const *places;
} memory_rows_t;

/* Computes all s. */
void memory_forward(memory_t *memory, memory_pass_t *pass, const memory_rows_t *rows);
/* Gradient from ds, which is overwritten: adds to the parameters' and reports it. Where there are grains
 * (trainer/model/grains.h), a group for each that has rows, it is summed by their tree, and written; else
 * there is one group. */
void memory_backward(memory_t *memory, memory_pass_t *pass, const memory_rows_t *rows, const grains_t *grains,
                     const model_report_t *report);
/* Makes room for n grains, once. FALSE with MODEL_ERROR_MEMORY set. */
gboolean memory_allow_grains(memory_t *memory, size_t n, GError **error);

/* Outside training: memory_prepare() reads the parameters, anew where they have changed; memory_begin() sets
 * s [K][N, pitches, M] before the first frame; memory_step() advances pieces first .. end - 1 by frame t, s
 * in place; frames and places as above, of all pieces; scratch of memory_scratch() elements. memory_step()
 * alone does not take NULL for no memory. */
size_t memory_scratch(const memory_t *memory);
void memory_prepare(memory_t *memory);
void memory_begin(const memory_t *memory, real_t *const *s, size_t N);
void memory_step(memory_t *memory, size_t first, size_t end, const uint8_t *const *frames,
                 const place_t *const *places, size_t t, real_t *const *s, real_t *scratch);
