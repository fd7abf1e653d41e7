/* batch_order: sequences of unequal length into batches of similar length, and a batch into parts of about
 * equal frames. No MPI, no files. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/data/order.h"

#define BATCH_ORDER_POOL 8 /* batches that are sorted by length together */

typedef struct batch_order batch_order_t;

/* For epochs of n sequences, `batch` a step, 1 <= batch <= n < 2^32. Owner: caller. */
batch_order_t *batch_order_new(size_t n, size_t batch);
void batch_order_free(batch_order_t *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(batch_order_t, batch_order_free)

/* Plans the order's epoch of sequences (its samples) of frames [n] >= 1. The whole batches of a group in the
 * order's order are cut into pools of BATCH_ORDER_POOL batches; each pool is sorted by length (ties by that
 * order) and cut into batches; the batches of the group are shuffled. A batch that lies across groups comes
 * between them. So a batch has similar lengths, the epoch has no order, and every sequence comes once. */
void batch_order_plan(batch_order_t *plan, const order_t *order, const uint32_t *frames);
/* Steps of an epoch: ceil(n / batch). One of them has fewer sequences where n is no multiple. */
size_t batch_order_steps(const batch_order_t *plan);
/* The sequences of a step of the planned epoch, longest first; *n of them. */
const uint32_t *batch_order_step(const batch_order_t *plan, size_t step, size_t *n);
/* The first of a step's samples in the order: its songs are in the groups of samples [first, first + n). */
int64_t batch_order_step_first(const batch_order_t *plan, size_t step);

/* sequences [n] to sorted [n], longest first by frames[sequence], ties in their order. keys [n]: scratch. */
void batch_order_sort(const uint32_t *sequences, size_t n, const uint32_t *frames, uint64_t *keys,
                      uint32_t *sorted);
/* Sequences of frames [n], longest first, to parts 0 .. parts - 1: each to the part with the fewest frames so
 * far, the first of several; part [n], load [parts] frames of each. Parts differ by the longest sequence at
 * most, and none has more than batch_order_most() (Graham 1969). A part keeps the order; it may stay empty.
 */
void batch_order_split(const uint32_t *frames, size_t n, size_t parts, uint32_t *part, uint64_t *load);
/* total / parts + (1 - 1 / parts) longest, rounded up. */
uint64_t batch_order_most(uint64_t total, uint64_t longest, size_t parts);
