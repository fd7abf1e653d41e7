/* batch_order: groups sequences of unequal length into batches of similar length, and splits a batch into
 * parts with about the same number of frames. No MPI, no files. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/data/order.h"

#define BATCH_ORDER_POOL 8 /* batches that are sorted by length together */

typedef struct batch_order batch_order_t;

/* For epochs of n sequences with `batch` of them a step, 1 <= batch <= n < 2^32. Owner: caller. */
batch_order_t *batch_order_new(size_t n, size_t batch);
void batch_order_free(batch_order_t *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(batch_order_t, batch_order_free)

/* Plans the epoch that `order` is planned for; frames [n] >= 1: length of each sequence. Within a group of
 * the order, pools of BATCH_ORDER_POOL whole batches are sorted by length (ties in the order's order), cut
 * into batches, and the batches shuffled. A batch that spans groups comes between them. So lengths in a batch
 * are similar, the epoch is random, and each sequence comes once. */
void batch_order_plan(batch_order_t *plan, const order_t *order, const uint32_t *frames);
/* Steps of an epoch: ceil(n / batch). One step is smaller if n is not a multiple of batch. */
size_t batch_order_steps(const batch_order_t *plan);
/* The sequences of a step of the planned epoch, longest first; *n: their number. Owned by the plan. */
const uint32_t *batch_order_step(const batch_order_t *plan, size_t step, size_t *n);
/* Position `first`: the n sequences of a step are in the groups of samples [first, first + n) of the
 * order. */
int64_t batch_order_step_first(const batch_order_t *plan, size_t step);

/* Sorts sequences [n] into sorted [n], longest first by frames[sequence], stably. keys [n]: scratch. */
void batch_order_sort(const uint32_t *sequences, size_t n, const uint32_t *frames, uint64_t *keys,
                      uint32_t *sorted);
/* Splits sequences of frames [n], longest first, into parts: each goes to the part with the fewest frames so
 * far, the first of several. part [n] receives 0 .. parts - 1, load [parts] the frames of each part. Loads
 * differ by at most the longest sequence, and none is above batch_order_most() (Graham 1969). A part may be
 * empty. */
void batch_order_split(const uint32_t *frames, size_t n, size_t parts, uint32_t *part, uint64_t *load);
/* The largest load that a part may have: total / parts + (1 - 1 / parts) longest, rounded up. */
uint64_t batch_order_most(uint64_t total, uint64_t longest, size_t parts);
