/* sum_order: in which order floats are summed: a binary tree over numbered leaves, made into a list of
 * additions that runs over chunks. Local. */
#pragma once

#include <glib.h>
#include <stddef.h>

/* A subtree: leaves [first, first + count), count a power of two that divides first. Leaves that nobody has
 * count as nothing, not as zero: a sum of one operand is the operand itself. */
typedef struct {
    size_t first, count;
} sum_node_t;

/* Writes the fewest subtrees that have exactly the leaves [first, end), in ascending order, to nodes [128].
 * Returns their number. */
size_t sum_order_cut(size_t first, size_t end, sum_node_t *nodes);
/* The smallest subtree from leaf 0 on that has all leaves [0, end). */
sum_node_t sum_order_root(size_t end);

typedef struct sum_order sum_order_t;

/* Makes the order in which a subtree is summed from smaller ones within it: inputs [n], ascending, without
 * overlap; others of the list that lie outside are left alone. At least one lies within. Owner: caller. */
sum_order_t *sum_order_new(sum_node_t node, const sum_node_t *inputs, size_t n);
void sum_order_free(sum_order_t *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sum_order_t, sum_order_free)

/* Sums inputs, each [count], of which those outside the subtree are not read, to out [count], which may be
 * one of them. */
void sum_order_run(const sum_order_t *order, const float *const *inputs, float *out, size_t count);
