/* sum_order: owns the tree. It is walked once, into steps of an addition each; what a step gives is kept in
 * scratch of one chunk, so that memory is read once and written once however many inputs there are. The last
 * step alone writes to the output, which may therefore be an input. */
#include "trainer/parallel/sum_order.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"

enum { CHUNK = 2048 };

/* An operand or a result: an input, or scratch. */
typedef struct {
    gboolean scratch;
    size_t index;
} place_t;

typedef struct {
    place_t a, b;
    size_t to; /* scratch */
} addition_t;

struct sum_order {
    GArray *steps; /* addition_t; the last one's `to` is the output */
    place_t only;  /* without steps: what the sum consists of */
    float *scratch;
};

size_t sum_order_cut(size_t first, size_t end, sum_node_t *nodes) {
    size_t n = 0;
    while (first < end) {
        size_t count = 1;
        while (first % (2 * count) == 0 && first + 2 * count <= end) count *= 2;
        nodes[n++] = (sum_node_t){first, count};
        first += count;
    }
    return n;
}

sum_node_t sum_order_root(size_t end) {
    size_t count = 1;
    while (count < end) count *= 2;
    return (sum_node_t){0, count};
}

static gboolean inside(sum_node_t inner, sum_node_t outer) {
    return inner.first >= outer.first && inner.first + inner.count <= outer.first + outer.count;
}

/* Appends the steps of a subtree, whose inputs are [from, end), end > from. depth: scratch that is free from
 * there on. */
static place_t walk(sum_order_t *order, sum_node_t node, const sum_node_t *inputs, size_t from, size_t end,
                    size_t depth) {
    if (end - from == 1) return (place_t){FALSE, from};
    const size_t half = node.count / 2;
    size_t middle = from;
    while (middle < end && inputs[middle].first < node.first + half) middle++;
    const sum_node_t left = {node.first, half}, right = {node.first + half, half};
    if (middle == end) return walk(order, left, inputs, from, end, depth);
    if (middle == from) return walk(order, right, inputs, from, end, depth);
    addition_t addition = {.to = depth};
    addition.a = walk(order, left, inputs, from, middle, depth);
    addition.b = walk(order, right, inputs, middle, end, depth + 1);
    g_array_append_val(order->steps, addition);
    return (place_t){TRUE, depth};
}

sum_order_t *sum_order_new(sum_node_t node, const sum_node_t *inputs, size_t n) {
    sum_order_t *order = g_new0(sum_order_t, 1);
    order->steps = g_array_new(FALSE, FALSE, sizeof(addition_t));
    size_t from = 0, end;
    while (from < n && !inside(inputs[from], node)) from++;
    for (end = from; end < n && inside(inputs[end], node);) end++;
    if (from == end) g_error("sum_order: a sum of nothing");
    order->only = walk(order, node, inputs, from, end, 0);
    size_t depth = 0;
    for (size_t i = 0; i < order->steps->len; i++)
        depth = MAX(depth, g_array_index(order->steps, addition_t, i).to + 1);
    order->scratch = g_new(float, MAX(depth, 1) * CHUNK);
    return order;
}

void sum_order_free(sum_order_t *order) {
    if (!order) return;
    g_array_unref(order->steps);
    g_free(order->scratch);
    g_free(order);
}

/* to may be a or b. */
LAYERS_WIDE static void add(const float *a, const float *b, float *to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}

static const float *find(const sum_order_t *order, place_t place, const float *const *inputs, size_t done) {
    return place.scratch ? order->scratch + place.index * CHUNK : inputs[place.index] + done;
}

void sum_order_run(const sum_order_t *order, const float *const *inputs, float *out, size_t count) {
    const size_t steps = order->steps->len;
    if (steps == 0) {
        const float *only = inputs[order->only.index];
        if (only != out) memcpy(out, only, count * sizeof *out);
        return;
    }
    for (size_t done = 0; done < count; done += CHUNK) {
        const size_t n = MIN(count - done, CHUNK);
        for (size_t i = 0; i < steps; i++) {
            const addition_t *step = &g_array_index(order->steps, addition_t, i);
            float *to = i + 1 == steps ? out + done : order->scratch + step->to * CHUNK;
            add(find(order, step->a, inputs, done), find(order, step->b, inputs, done), to, n);
        }
    }
}
