/* grains: owns the order of sums. Columns are taken in panels that fit into registers and first-level cache;
 * how wide they are does not show in any bit, since an element never shares its sum with others. The file is
 * compiled with contraction: multiply and add are one instruction, for each element, where the processor has
 * it. */
#include "trainer/model/grains.h"

#include <glib.h>
#include <string.h>

#include "trainer/model/layers.h"

enum {
    MAX_PANEL = 48, /* columns of the widest panel */
    DEPTH = 256,    /* terms of a panel that are in cache together */
    SHALLOW = 128,  /* rows of a batch whose part of a gradient's panel stays in first-level cache */
    STRIP = 56,     /* rows of a gradient that are computed side by side from them */
    LEVELS = 11,    /* subtrees that wait for their siblings, at most log2(GRAINS_MAX), and the sum */
    STRETCH = 256   /* elements of a row that are summed by the tree together */
};

/* An integer as wide as real_t. */
#ifdef MPIANIST_DOUBLE
typedef int64_t place_t;
#else
typedef int32_t place_t;
#endif

G_STATIC_ASSERT(1 << (LEVELS - 1) == GRAINS_MAX);

/* The loops for one width of vectors. A panel has `panel` columns, and zeros where the matrix ends. */
typedef struct {
    size_t panel;
    /* y [B, columns], its rows ldy apart, += x [B, K] panel [K, panel]. */
    void (*multiply_rows)(size_t B, const real_t *x, size_t ldx, const real_t *panel, size_t K, real_t *y,
                          size_t ldy, size_t columns);
    /* A panel [depth, columns] of W, whose rows are ld apart: as it is; or of its transpose. */
    void (*copy)(const real_t *W, size_t ld, size_t columns, size_t depth, real_t *panel);
    void (*turn)(const real_t *W, size_t ld, size_t columns, size_t depth, real_t *panel);
    /* dW [M, columns], its rows N apart, from x [B, M] and a panel of dy [B, panel]. */
    void (*gradient_panel)(const grains_t *grains, const real_t *x, const real_t *panel, real_t *dW, size_t M,
                           size_t N, size_t columns);
    /* dW [M, N] += x [B, M], turned, times dy [B, N]. */
    void (*add_gradient)(size_t B, const real_t *x, const real_t *dy, real_t *dW, size_t M, size_t N);
} kernels_t;

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12
#define HAVE_WIDE
#define KERNELS(name) name##_wide
#define TARGET        __attribute__((target("arch=x86-64-v4")))
#define VECTOR        64
#define VECTORS       3
#define ROWS          8
#include "trainer/model/grains_kernels.h"
#endif

#define KERNELS(name) name##_narrow
#define TARGET        LAYERS_FUSED
#define VECTOR        32
#define VECTORS       3
#define ROWS          4
#include "trainer/model/grains_kernels.h"

static gboolean narrow;

void grains_use_narrow(int only) { narrow = only; }

/* The width shows in no bit: an element never shares its sum with others. */
static const kernels_t *find_kernels(void) {
#ifdef HAVE_WIDE
    if (!narrow && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return &kernels_wide;
#endif
    return &kernels_narrow;
}

size_t grains_scratch(size_t B) { return MAX(B, DEPTH) * MAX_PANEL; }

void grains_add_product(const real_t *x, const real_t *W, real_t *y, size_t B, size_t M, size_t N,
                        real_t *scratch) {
    const kernels_t *kernels = find_kernels();
    for (size_t n = 0; n < N; n += kernels->panel) {
        const size_t columns = MIN(kernels->panel, N - n);
        for (size_t m = 0; m < M; m += DEPTH) {
            const size_t depth = MIN(DEPTH, M - m);
            kernels->copy(W + m * N + n, N, columns, depth, scratch);
            kernels->multiply_rows(B, x + m, M, scratch, depth, y + n, N, columns);
        }
    }
}

void grains_linear(const real_t *x, const real_t *W, const real_t *bias, real_t *y, size_t B, size_t M,
                   size_t N, real_t *scratch) {
    for (size_t b = 0; b < B; b++)
        if (bias)
            memcpy(y + b * N, bias, N * sizeof *y);
        else
            memset(y + b * N, 0, N * sizeof *y);
    grains_add_product(x, W, y, B, M, N, scratch);
}

void grains_linear_backward(const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t B, size_t M,
                            size_t N, real_t *scratch) {
    const kernels_t *kernels = find_kernels();
    if (!add_dx) memset(dx, 0, B * M * sizeof *dx);
    for (size_t m = 0; m < M; m += kernels->panel) {
        const size_t columns = MIN(kernels->panel, M - m);
        for (size_t n = 0; n < N; n += DEPTH) {
            const size_t depth = MIN(DEPTH, N - n);
            kernels->turn(W + m * N + n, N, columns, depth, scratch);
            kernels->multiply_rows(B, dy + n, N, scratch, depth, dx + m, M, columns);
        }
    }
}

LAYERS_WIDE static void add(real_t *restrict to, const real_t *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* What waits for its siblings: sums of some grains, n elements each. Grains without rows add nothing, which
 * is the same as adding 0. */
typedef struct {
    real_t level[LEVELS + 1][STRETCH];
    uint32_t height[LEVELS + 1]; /* of the subtree in which a level and the one below it meet */
    size_t depth, n;
    uint32_t last; /* the newest grain */
} tree_t;

static void join_last(tree_t *tree) {
    tree->depth--;
    add(tree->level[tree->depth - 1], tree->level[tree->depth], tree->n);
}

/* Adds a row of a grain, none of which is of an earlier grain than the rows before. */
static void add_row(tree_t *tree, uint32_t grain, const real_t *row) {
    if (tree->depth > 0 && grain == tree->last) {
        add(tree->level[tree->depth - 1], row, tree->n);
        return;
    }
    if (tree->depth > 0) {
        const uint32_t height = 31 - (uint32_t)__builtin_clz(tree->last ^ grain);
        while (tree->depth > 1 && tree->height[tree->depth - 1] < height) join_last(tree);
        tree->height[tree->depth] = height;
    }
    memcpy(tree->level[tree->depth++], row, tree->n * sizeof *row);
    tree->last = grain;
}

/* A sum of -0 alone becomes 0, as it does beside grains that have none. */
LAYERS_WIDE static void write_sum(tree_t *tree, real_t *restrict to) {
    while (tree->depth > 1) join_last(tree);
    if (tree->depth == 0) memset(to, 0, tree->n * sizeof *to);
    for (size_t i = 0; tree->depth > 0 && i < tree->n; i++) to[i] = tree->level[0][i] + 0;
}

/* to [N] = the sum of rows of dy [., N], ld apart, whose numbers, ascending, are listed; NULL: 0 .. n - 1. */
static void sum_rows(const grains_t *grains, const uint32_t *list, size_t n, const real_t *dy, size_t ld,
                     real_t *to, size_t N) {
    tree_t tree;
    for (size_t at = 0; at < N; at += STRETCH) {
        uint32_t grain = 0;
        tree.depth = 0;
        tree.n = MIN(STRETCH, N - at);
        for (size_t i = 0; i < n; i++) {
            const size_t row = list ? list[i] : i;
            while (row >= grains->begin[grain + 1]) grain++;
            add_row(&tree, grain, dy + row * ld + at);
        }
        write_sum(&tree, to + at);
    }
}

void grains_sum_rows(const grains_t *grains, const real_t *dy, size_t ld, real_t *to, size_t N) {
    sum_rows(grains, NULL, grains->begin[grains->n], dy, ld, to, N);
}

void grains_linear_gradient(const grains_t *grains, const real_t *x, const real_t *dy, real_t *dW,
                            real_t *dbias, size_t M, size_t N, real_t *scratch) {
    const kernels_t *kernels = find_kernels();
    const size_t B = grains->begin[grains->n];
    if (dbias) grains_sum_rows(grains, dy, N, dbias, N);
    for (size_t n = 0; n < N; n += kernels->panel) {
        const size_t columns = MIN(kernels->panel, N - n);
        kernels->copy(dy + n, N, columns, B, scratch);
        kernels->gradient_panel(grains, x, scratch, dW + n, M, N, columns);
    }
}

void grains_bits_gradient(const grains_t *grains, const uint32_t *start, const uint32_t *window,
                          const real_t *dy, real_t *dW, real_t *dbias, size_t D, size_t N) {
    if (dbias) grains_sum_rows(grains, dy, N, dbias, N);
    for (size_t d = 0; d < D; d++)
        sum_rows(grains, window + start[d], start[d + 1] - start[d], dy, N, dW + d * N, N);
}

static size_t count_panels(size_t N) { return (N + find_kernels()->panel - 1) / find_kernels()->panel; }

size_t grains_panels(size_t K, size_t N) { return count_panels(N) * find_kernels()->panel * K; }

void grains_make_panels(const real_t *W, size_t K, size_t N, int transposed, real_t *panels) {
    const kernels_t *kernels = find_kernels();
    for (size_t n = 0; n < N; n += kernels->panel, panels += K * kernels->panel)
        if (transposed)
            kernels->turn(W + n * K, K, MIN(kernels->panel, N - n), K, panels);
        else
            kernels->copy(W + n, N, MIN(kernels->panel, N - n), K, panels);
}

void grains_add_multiply(const real_t *x, const real_t *panels, real_t *y, size_t B, size_t K, size_t N) {
    const kernels_t *kernels = find_kernels();
    for (size_t n = 0; n < N; n += kernels->panel, panels += K * kernels->panel)
        kernels->multiply_rows(B, x, K, panels, K, y + n, N, MIN(kernels->panel, N - n));
}

void grains_multiply(const real_t *x, const real_t *panels, real_t *y, size_t B, size_t K, size_t N) {
    memset(y, 0, B * N * sizeof *y);
    grains_add_multiply(x, panels, y, B, K, N);
}

void grains_add_gradient(const real_t *x, const real_t *dy, real_t *dW, size_t B, size_t M, size_t N) {
    find_kernels()->add_gradient(B, x, dy, dW, M, N);
}

size_t grains_levels(size_t n) { return (size_t)g_bit_storage(MAX(n, 2) - 1); }

/* As in a binary counter: the ones of i are the subtrees that wait, those at its end are whole with grain
 * i. */
void grains_sum_blocks(const grains_t *grains, real_t *block, real_t *levels, size_t n,
                       grains_add_t add_grain, void *data) {
    for (size_t i = 0; i < grains->n; i++) {
        const size_t level = (size_t)__builtin_popcountll(i);
        real_t *sum = level ? levels + (level - 1) * n : block;
        memset(sum, 0, n * sizeof *sum);
        if (grains->begin[i] < grains->begin[i + 1]) add_grain(data, i, sum);
        size_t at = level;
        for (int merges = __builtin_ctzll(~(unsigned long long)i); merges > 0; merges--, at--)
            add(at > 1 ? levels + (at - 2) * n : block, levels + (at - 1) * n, n);
    }
}
