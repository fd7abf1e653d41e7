/* costs: measures what the exchange's own arithmetic costs a core. Prints nanoseconds an element that is
 * added to another, squared, rounded to bfloat16 and widened again, such as "0.12,0.10,0.30,0.11". Bucket
 * by bucket, as the exchange works: what it has just got or written is in caches, what it keeps from step
 * to step is not. Not a test: simulate.py runs it and hands the figures to play.c. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/processor.h"
#include "trainer/model/layers.h"
#include "trainer/parallel/bf16.h"
#include "trainer/parallel/sum_order.h"

enum { BUCKET = 1 << 20, BUCKETS = 16, ROUNDS = 3, KINDS = 4 };
enum { ADD, SQUARE, PACK, UNPACK };

static double ns[KINDS][ROUNDS * BUCKETS], start;

static void take(int kind, int i) {
    ns[kind][i] = (processor_us() - start) * 1e3 / BUCKET;
    start = processor_us();
}

static int compare(const void *x, const void *y) {
    return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
}

/* A block that is larger than caches, filled. */
static float *block(void) {
    float *x = g_new(float, BUCKET *BUCKETS);
    for (size_t i = 0; i < BUCKET * BUCKETS; i++) x[i] = (float)i * 1e-6F;
    return x;
}

int main(void) {
    float *gradient = block(), *errors = block(), *come = block(), *sum = block();
    uint16_t *bits = g_new0(uint16_t, BUCKET * BUCKETS);
    sum_order_t *order = sum_order_new(sum_order_root(2), (const sum_node_t[]){{0, 1}, {1, 1}}, 2);
    double seen = 0;
    for (int i = 0; i < ROUNDS * BUCKETS; i++) {
        const size_t at = (size_t)(i % BUCKETS) * BUCKET;
        start = processor_us();
        bf16_pack(gradient + at, errors + at, bits + at, BUCKET);
        take(PACK, i);
        bf16_unpack(bits + at, come + at, BUCKET);
        take(UNPACK, i);
        sum_order_run(order, (const float *const[]){gradient + at, come + at}, sum + at, BUCKET);
        take(ADD, i);
        seen += layers_squared_norm(sum + at, BUCKET);
        take(SQUARE, i);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        qsort(ns[kind], ROUNDS * BUCKETS, sizeof **ns, compare);
        printf("%s%.4f", kind ? "," : "", ns[kind][ROUNDS * BUCKETS / 2]);
    }
    printf("\n");
    return !(seen > 0);
}
