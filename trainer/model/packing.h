/* packing: sequences of unequal length as rows without padding, ordered by time, then by sequence: row
 * offset[t] + b is frame t of sequence b. Sequences are sorted by length, longest first, so that those still
 * active at t are 0 .. count(t) - 1, and a step of a recurrent layer is one block of rows. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t B, T, rows; /* sequences, frames of the longest, frames in all */
    size_t max_T;
    uint32_t *offset; /* [max_T + 1]; offset[0] = 0, offset[T] = rows, before a shift */
} packing_t;

/* Room for sequences of at most max_T frames. Owner: caller, packing_clear(). */
void packing_init(packing_t *packing, size_t max_T);
void packing_clear(packing_t *packing);
/* Packs sequences of lengths [B], descending, each 1..max_T. Lengths are first divided by `unit`, rounding up
 * (1: frames, S: segments). Allocates nothing. */
void packing_make(packing_t *packing, const uint32_t *lengths, size_t B, size_t unit);
/* Its rows are [first, first + rows) of arrays that hold several packings. */
void packing_shift(packing_t *packing, size_t first);
/* Number of sequences that are active at t. */
static inline size_t packing_count(const packing_t *packing, size_t t) {
    return t < packing->T ? packing->offset[t + 1] - packing->offset[t] : 0;
}
