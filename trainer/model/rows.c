/* rows: owns the choice between BLAS and grains. */
#include "trainer/model/rows.h"

#include "trainer/model/layers.h"

void rows_linear(const rows_t *rows, const real_t *x, const real_t *W, const real_t *bias, real_t *y,
                 size_t M, size_t N) {
    if (rows->grains.n > 0)
        grains_linear(x, W, bias, y, rows->n, M, N, rows->scratch);
    else
        layers_linear(x, W, bias, y, rows->n, M, N);
}

void rows_add_product(const rows_t *rows, const real_t *x, const real_t *W, real_t *y, size_t M, size_t N) {
    if (rows->grains.n > 0)
        grains_add_product(x, W, y, rows->n, M, N, rows->scratch);
    else
        layers_add_product(x, M, W, y, rows->n, M, N);
}

void rows_gradient(const rows_t *rows, const real_t *x, const real_t *dy, real_t *dW, real_t *dbias, size_t M,
                   size_t N) {
    if (rows->grains.n > 0)
        grains_linear_gradient(&rows->grains, x, dy, dW, dbias, M, N, rows->scratch);
    else
        layers_linear_gradient(x, dy, dW, dbias, rows->n, M, N);
}

void rows_backward(const rows_t *rows, const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t M,
                   size_t N) {
    if (rows->grains.n > 0)
        grains_linear_backward(W, dy, dx, add_dx, rows->n, M, N, rows->scratch);
    else
        layers_linear_backward(W, dy, dx, add_dx, rows->n, M, N);
}

void rows_bits_gradient(const rows_t *rows, const uint32_t *start, const uint32_t *window, const real_t *dy,
                        real_t *dW, real_t *dbias, size_t D, size_t N) {
    if (rows->grains.n > 0)
        grains_bits_gradient(&rows->grains, start, window, dy, dW, dbias, D, N);
    else
        layers_linear_bits_backward(start, window, dy, dW, dbias, rows->n, D, N);
}

void rows_sum(const rows_t *rows, const real_t *dy, size_t ld, real_t *to, size_t N) {
    if (rows->grains.n > 0)
        grains_sum_rows(&rows->grains, dy, ld, to, N);
    else
        for (size_t row = 0; row < rows->n; row++)
            for (size_t i = 0; i < N; i++) to[i] += dy[row * ld + i];
}
