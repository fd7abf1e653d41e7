/* grains: dense layers for batches whose rows are summed in parts, the grains, so that gradients have the
 * same bits whatever grains stand beside each other. Each row of a product has the same bits whatever rows
 * there are, which BLAS does not promise; each element is one sum in the order of its terms. Gradients are
 * summed over the rows of each grain, and these sums by a binary tree over the grains' numbers, in registers:
 * a gradient is written once. Letters as in layers.h. Local. Bits are those of the processor:
 * with or without fused multiply-add. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "trainer/model/real.h"

#define GRAINS_MAX 1024

/* Grain i has rows [begin[i], begin[i + 1]), which may be none; n is a power of two, at most GRAINS_MAX. */
typedef struct {
    const uint32_t *begin;
    size_t n;
} grains_t;

/* Whether to leave wide vectors unused where the processor has them, for tests: no bit depends on it. Panels
 * that are laid out belong to one width. */
void grains_use_narrow(int only);

/* Elements of scratch that the functions below need for B rows. */
size_t grains_scratch(size_t B);

/* As layers_linear(), layers_add_product() and layers_linear_backward(). */
void grains_linear(const real_t *x, const real_t *W, const real_t *bias, real_t *y, size_t B, size_t M,
                   size_t N, real_t *scratch);
void grains_add_product(const real_t *x, const real_t *W, real_t *y, size_t B, size_t M, size_t N,
                        real_t *scratch);
void grains_linear_backward(const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t B, size_t M,
                            size_t N, real_t *scratch);
/* As layers_linear_gradient() and layers_linear_bits_backward(), but dW and dbias are written, not added
 * to. */
void grains_linear_gradient(const grains_t *grains, const real_t *x, const real_t *dy, real_t *dW,
                            real_t *dbias, size_t M, size_t N, real_t *scratch);
void grains_bits_gradient(const grains_t *grains, const uint32_t *start, const uint32_t *window,
                          const real_t *dy, real_t *dW, real_t *dbias, size_t D, size_t N);
/* to [N] = the sum of the rows of dy [., N], ld apart. */
void grains_sum_rows(const grains_t *grains, const real_t *dy, size_t ld, real_t *to, size_t N);

/* A product that is taken often with few rows, each with the same bits whatever rows there are: W [K, N] or,
 * transposed, W [N, K] is laid out once, in grains_panels(K, N) elements, 64-byte aligned. Then y [B, N] = x
 * [B, K] W. */
size_t grains_panels(size_t K, size_t N);
void grains_make_panels(const real_t *W, size_t K, size_t N, int transposed, real_t *panels);
void grains_multiply(const real_t *x, const real_t *panels, real_t *y, size_t B, size_t K, size_t N);
/* y += x W. */
void grains_add_multiply(const real_t *x, const real_t *panels, real_t *y, size_t B, size_t K, size_t N);
/* Its gradient: dW [M, N] += x [B, M], turned, times dy [B, N], each element in the order of the rows. */
void grains_add_gradient(const real_t *x, const real_t *dy, real_t *dW, size_t B, size_t M, size_t N);

/* Gradients that are not products: block [n] = the sum by the tree of what add_grain() adds for each grain
 * that has rows, in their order, to n zeros. levels: grains_levels() blocks of n elements, for subtrees that
 * wait for their siblings. */
typedef void (*grains_add_t)(void *data, size_t grain, real_t *to);
size_t grains_levels(size_t n_grains);
void grains_sum_blocks(const grains_t *grains, real_t *block, real_t *levels, size_t n,
                       grains_add_t add_grain, void *data);
