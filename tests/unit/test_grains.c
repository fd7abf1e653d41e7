/* Dense layers by grains: what BLAS computes, to rounding; rows whose bits do not depend on the rows beside
 * them; gradients whose bits are those of the tree, however many grains are computed at once, with empty ones
 * too; narrow vectors with the bits of wide ones. */
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/grains.h"
#include "trainer/model/layers.h"
#include "trainer/model/rng.h"

enum { GRAINS = 8 };

/* Sizes that fill panels and rows of registers, and that do not; sums longer than what is in cache. */
static const struct {
    size_t M, N;
    uint32_t begin[GRAINS + 1];
} cases[] = {
    {16, 96, {0, 8, 16, 24, 32, 40, 48, 56, 64}}, {13, 5, {0, 1, 1, 4, 4, 4, 9, 10, 11}},
    {300, 49, {0, 3, 6, 9, 12, 15, 18, 21, 24}},  {70, 600, {0, 0, 0, 0, 0, 0, 0, 2, 2}},
    {1, 1, {0, 5, 5, 5, 5, 5, 5, 5, 5}},          {9, 331, {0, 0, 2, 5, 9, 14, 20, 27, 35}},
    {48, 32, {0, 1, 2, 3, 4, 5, 6, 7, 8}},        {19, 64, {0, 150, 151, 152, 152, 170, 290, 291, 300}}};

typedef struct {
    size_t M, N, B;
    real_t *x, *W, *bias, *dy, *dx, *y, *scratch;
} layer_t;

static real_t *draw(size_t n, uint64_t purpose) {
    real_t *block = layers_new_block(n);
    const rng_t rng = rng_make(7, RNG_NOISE, purpose, 0);
    rng_normal(&rng, block, n);
    return block;
}

static layer_t new_layer(size_t i) {
    const size_t M = cases[i].M, N = cases[i].N, B = cases[i].begin[GRAINS];
    return (layer_t){M,
                     N,
                     B,
                     draw(B * M, 0),
                     draw(M * N, 1),
                     draw(N, 2),
                     draw(B * N, 3),
                     draw(B * M, 4),
                     layers_new_block(B * N),
                     layers_new_block(grains_scratch(B))};
}

static void free_layer(layer_t *l) {
    real_t *const blocks[] = {l->x, l->W, l->bias, l->dy, l->dx, l->y, l->scratch};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
}

static void assert_near(const real_t *a, const real_t *b, size_t n, double tolerance) {
    for (size_t i = 0; i < n; i++)
        g_assert_cmpfloat(fabs((double)a[i] - (double)b[i]), <, tolerance * (1 + fabs((double)b[i])));
}

static gboolean same(const real_t *a, const real_t *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

/* The products of weights that are laid out beforehand: what the others give, for any number of rows. */
static void check_panels(const layer_t *l, const real_t *wanted) {
    real_t *panels = layers_new_block(MAX(grains_panels(l->M, l->N), grains_panels(l->N, l->M)));
    real_t *y = layers_new_block(l->B * MAX(l->M, l->N));
    real_t *dx = layers_new_block(l->B * l->M);
    grains_make_panels(l->W, l->M, l->N, FALSE, panels);
    grains_linear(l->x, l->W, NULL, l->y, l->B, l->M, l->N, l->scratch);
    for (size_t n = 1; n <= l->B; n++) {
        grains_multiply(l->x, panels, y, n, l->M, l->N);
        g_assert_true(same(y, l->y, n * l->N));
    }
    grains_linear(l->x, l->W, l->bias, l->y, l->B, l->M, l->N, l->scratch);
    for (size_t b = 0; b < l->B; b++) memcpy(y + b * l->N, l->bias, l->N * sizeof *y);
    grains_add_multiply(l->x, panels, y, l->B, l->M, l->N);
    assert_near(y, wanted, l->B * l->N, 1e-4);
    g_assert_true(same(y, l->y, l->B * l->N));
    for (size_t b = 0; b < l->B; b++) memcpy(y + b * l->N, l->bias, l->N * sizeof *y);
    grains_add_product(l->x, l->W, y, l->B, l->M, l->N, l->scratch);
    assert_near(y, wanted, l->B * l->N, 1e-4);
    grains_make_panels(l->W, l->N, l->M, TRUE, panels);
    grains_linear_backward(l->W, l->dy, dx, FALSE, l->B, l->M, l->N, l->scratch);
    for (size_t n = 1; n <= l->B; n++) {
        grains_multiply(l->dy, panels, y, n, l->N, l->M);
        g_assert_true(same(y, dx, n * l->M));
    }
    free(panels);
    free(y);
    free(dx);
}

/* All that the functions write, by vectors of one width. */
static real_t *run_all(const layer_t *l, const grains_t *grains, int only_narrow, size_t *size) {
    const size_t y = l->B * l->N, dx = l->B * l->M, dW = l->M * l->N;
    *size = 2 * y + 2 * dx + dW + l->N + dW;
    real_t *found = g_new0(real_t, *size), *to = found, *panels;
    grains_use_narrow(only_narrow);
    panels = layers_new_block(MAX(grains_panels(l->M, l->N), grains_panels(l->N, l->M)));
    grains_linear(l->x, l->W, l->bias, to, l->B, l->M, l->N, l->scratch);
    grains_make_panels(l->W, l->M, l->N, FALSE, panels);
    grains_multiply(l->x, panels, to += y, l->B, l->M, l->N);
    grains_linear_backward(l->W, l->dy, to += y, FALSE, l->B, l->M, l->N, l->scratch);
    grains_make_panels(l->W, l->N, l->M, TRUE, panels);
    grains_multiply(l->dy, panels, to += dx, l->B, l->N, l->M);
    to += dx;
    grains_linear_gradient(grains, l->x, l->dy, to, to + dW, l->M, l->N, l->scratch);
    grains_add_gradient(l->x, l->dy, to + dW + l->N, l->B, l->M, l->N);
    grains_use_narrow(FALSE);
    free(panels);
    return found;
}

static void test_widths(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        layer_t l = new_layer(i);
        const grains_t grains = {cases[i].begin, GRAINS};
        size_t size;
        g_autofree real_t *wide = run_all(&l, &grains, FALSE, &size);
        g_autofree real_t *narrow = run_all(&l, &grains, TRUE, &size);
        g_assert_true(same(wide, narrow, size));
        free_layer(&l);
    }
}

/* A layer's two products, whole and row by row. */
static void test_products(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        layer_t l = new_layer(i);
        real_t *wanted = layers_new_block(l.B * l.N), *row = layers_new_block(l.N + l.M);
        real_t *dx = g_memdup2(l.dx, l.B * l.M * sizeof *dx), *old = g_memdup2(l.dx, l.B * l.M * sizeof *dx);
        grains_linear(l.x, l.W, l.bias, l.y, l.B, l.M, l.N, l.scratch);
        layers_linear(l.x, l.W, l.bias, wanted, l.B, l.M, l.N);
        assert_near(l.y, wanted, l.B * l.N, 1e-4);
        for (int adds = 0; adds < 2; adds++) {
            memcpy(l.dx, old, l.B * l.M * sizeof *dx);
            memcpy(dx, old, l.B * l.M * sizeof *dx);
            grains_linear_backward(l.W, l.dy, l.dx, adds, l.B, l.M, l.N, l.scratch);
            layers_linear_backward(l.W, l.dy, dx, adds, l.B, l.M, l.N);
            assert_near(l.dx, dx, l.B * l.M, 1e-4);
        }
        check_panels(&l, wanted);
        for (size_t b = 0; b < l.B; b++) {
            grains_linear(l.x + b * l.M, l.W, l.bias, row, 1, l.M, l.N, l.scratch);
            g_assert_true(same(row, l.y + b * l.N, l.N));
            memcpy(row, old + b * l.M, l.M * sizeof *row);
            grains_linear_backward(l.W, l.dy + b * l.N, row, 1, 1, l.M, l.N, l.scratch);
            g_assert_true(same(row, l.dx + b * l.M, l.M));
        }
        free_layer(&l);
        free(wanted);
        free(row);
        g_free(dx);
        g_free(old);
    }
}

/* The gradient of grains [first, first + n), written to dW [M, N] and after it dbias [N]. */
typedef void (*gradient_fn)(const layer_t *l, const uint32_t *begin, size_t n, real_t *dW);

static void linear_gradient(const layer_t *l, const uint32_t *begin, size_t n, real_t *dW) {
    g_autofree uint32_t *from = g_new(uint32_t, n + 1);
    for (size_t i = 0; i <= n; i++) from[i] = begin[i] - begin[0];
    grains_linear_gradient(&(grains_t){from, n}, l->x + begin[0] * l->M, l->dy + begin[0] * l->N, dW,
                           dW + l->M * l->N, l->M, l->N, l->scratch);
}

/* A cell sounds where x is above 1. */
static void list_cells(const layer_t *l, size_t first, size_t end, uint32_t *start, uint32_t *window) {
    start[0] = 0;
    for (size_t m = 0; m < l->M; m++) {
        start[m + 1] = start[m];
        for (size_t b = first; b < end; b++)
            if (l->x[b * l->M + m] > 1) window[start[m + 1]++] = (uint32_t)(b - first);
    }
}

static void bits_gradient(const layer_t *l, const uint32_t *begin, size_t n, real_t *dW) {
    g_autofree uint32_t *from = g_new(uint32_t, n + 1), *start = g_new(uint32_t, l->M + 1),
                        *window = g_new(uint32_t, l->B * l->M + 1);
    for (size_t i = 0; i <= n; i++) from[i] = begin[i] - begin[0];
    list_cells(l, begin[0], begin[n], start, window);
    grains_bits_gradient(&(grains_t){from, n}, start, window, l->dy + begin[0] * l->N, dW, dW + l->M * l->N,
                         l->M, l->N);
}

typedef struct {
    const layer_t *layer;
    const uint32_t *begin;
} rows_call_t;

static void add_rows(void *data, size_t i, real_t *dW) {
    const rows_call_t *call = data;
    const layer_t *l = call->layer;
    const size_t b = call->begin[i];
    g_assert_cmpuint(call->begin[i + 1], >, b);
    for (size_t j = 0; j < l->M * l->N + l->N; j++) g_assert_true(dW[j] == 0);
    grains_add_gradient(l->x + b * l->M, l->dy + b * l->N, dW, call->begin[i + 1] - b, l->M, l->N);
    for (size_t row = b; row < call->begin[i + 1]; row++)
        for (size_t j = 0; j < l->N; j++) dW[l->M * l->N + j] += l->dy[row * l->N + j];
}

static void blocks_gradient(const layer_t *l, const uint32_t *begin, size_t n, real_t *dW) {
    const size_t size = l->M * l->N + l->N;
    g_autofree real_t *levels = g_new(real_t, grains_levels(n) * size);
    for (size_t i = 0; i < grains_levels(n) * size; i++) levels[i] = (real_t)NAN;
    grains_sum_blocks(&(grains_t){begin, n}, dW, levels, size, add_rows, &(rows_call_t){l, begin});
}

/* n grains at once give the bits of their halves, added up; and so on down to each alone. */
static void check_tree(gradient_fn gradient, const layer_t *l, const uint32_t *begin, size_t n) {
    const size_t size = l->M * l->N + l->N;
    g_autofree real_t *whole = g_new(real_t, size), *left = g_new(real_t, size), *right = g_new(real_t, size);
    for (size_t i = 0; i < size; i++)
        whole[i] = left[i] = right[i] = (real_t)NAN; /* is written, not added to */
    if (n == 1) return;
    gradient(l, begin, n, whole);
    gradient(l, begin, n / 2, left);
    gradient(l, begin + n / 2, n / 2, right);
    for (size_t i = 0; i < size; i++) left[i] += right[i];
    g_assert_true(same(whole, left, size));
    check_tree(gradient, l, begin, n / 2);
    check_tree(gradient, l, begin + n / 2, n / 2);
}

static void test_gradients(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        layer_t l = new_layer(i);
        const size_t size = l.M * l.N + l.N;
        g_autofree real_t *found = g_new(real_t, size), *wanted = g_new0(real_t, size);
        linear_gradient(&l, cases[i].begin, GRAINS, found);
        layers_linear_gradient(l.x, l.dy, wanted, wanted + l.M * l.N, l.B, l.M, l.N);
        assert_near(found, wanted, size, 1e-4);
        check_tree(linear_gradient, &l, cases[i].begin, GRAINS);
        blocks_gradient(&l, cases[i].begin, GRAINS, found);
        assert_near(found, wanted, size, 1e-4);
        check_tree(blocks_gradient, &l, cases[i].begin, GRAINS);
        g_autofree real_t *sums =
            g_new(real_t, l.N); /* of columns that are part of wider rows: of the last */
        grains_sum_rows(&(grains_t){cases[i].begin, GRAINS}, l.dy + l.N - 1, l.N, sums, 1);
        g_assert_true(same(sums, found + size - 1, 1));

        g_autofree uint32_t *start = g_new(uint32_t, l.M + 1), *window = g_new(uint32_t, l.B * l.M + 1);
        memset(wanted, 0, size * sizeof *wanted);
        list_cells(&l, 0, l.B, start, window);
        bits_gradient(&l, cases[i].begin, GRAINS, found);
        layers_linear_bits_backward(start, window, l.dy, wanted, wanted + l.M * l.N, l.B, l.M, l.N);
        assert_near(found, wanted, size, 1e-4);
        check_tree(bits_gradient, &l, cases[i].begin, GRAINS);
        free_layer(&l);
    }
}

/* Gradients that are added to, of all rows at once and in two calls: the same bits. */
static void test_added_gradients(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        layer_t l = new_layer(i);
        const size_t size = l.M * l.N;
        g_autofree real_t *found = g_memdup2(l.W, size * sizeof *found),
                          *wanted = g_memdup2(l.W, size * sizeof *wanted);
        layers_linear_gradient(l.x, l.dy, wanted, NULL, l.B, l.M, l.N);
        grains_add_gradient(l.x, l.dy, found, l.B, l.M, l.N);
        assert_near(found, wanted, size, 1e-4);
        for (size_t first = 0; first <= l.B; first++) {
            g_autofree real_t *parts = g_memdup2(l.W, size * sizeof *parts);
            grains_add_gradient(l.x, l.dy, parts, first, l.M, l.N);
            grains_add_gradient(l.x + first * l.M, l.dy + first * l.N, parts, l.B - first, l.M, l.N);
            g_assert_true(same(parts, found, size));
        }
        free_layer(&l);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/grains/products", test_products);
    g_test_add_func("/grains/gradients", test_gradients);
    g_test_add_func("/grains/added-gradients", test_added_gradients);
    g_test_add_func("/grains/widths", test_widths);
    return g_test_run();
}
