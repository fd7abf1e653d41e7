/* rows: what a layer does with the rows of a batch, by BLAS, or, where they are in grains
 * (trainer/model/grains.h), so that no row's bits depend on the rows beside it. Without grains gradients are
 * added to the block; with grains they are written. Letters as in trainer/model/layers.h; B is rows->n. */
#pragma once

#include "trainer/model/grains.h"

typedef struct {
    size_t n;        /* rows */
    grains_t grains; /* of these rows; n 0: none */
    real_t *scratch; /* grains_scratch() elements where there are grains */
} rows_t;

/* y = x W + bias, if any; the same added to y. */
void rows_linear(const rows_t *rows, const real_t *x, const real_t *W, const real_t *bias, real_t *y,
                 size_t M, size_t N);
void rows_add_product(const rows_t *rows, const real_t *x, const real_t *W, real_t *y, size_t M, size_t N);
/* dbias may be NULL. */
void rows_gradient(const rows_t *rows, const real_t *x, const real_t *dy, real_t *dW, real_t *dbias, size_t M,
                   size_t N);
/* Writes dx, or adds to it where add_dx. */
void rows_backward(const rows_t *rows, const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t M,
                   size_t N);
/* The gradient of a layer that reads bits: start and window as layers_list_active() lists them. */
void rows_bits_gradient(const rows_t *rows, const uint32_t *start, const uint32_t *window, const real_t *dy,
                        real_t *dW, real_t *dbias, size_t D, size_t N);
/* The gradient of what was added to N elements of each row of y, ld apart: their sum. */
void rows_sum(const rows_t *rows, const real_t *dy, size_t ld, real_t *to, size_t N);
