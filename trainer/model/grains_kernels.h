/* grains_kernels: the loops of grains.c for one width of vectors, whose sums stay in registers. Included by
 * grains.c alone, once for each width, with KERNELS (what a name becomes), TARGET (for which processors),
 * VECTOR (bytes), VECTORS (to a panel's row) and ROWS (whose sums are in registers together). */

#define LANES    (VECTOR / sizeof(real_t))
#define PANEL    (VECTORS * LANES)
#define vector_t KERNELS(vector_t)
#define loose_t  KERNELS(loose_t)
#define places_t KERNELS(places_t)

typedef real_t vector_t __attribute__((vector_size(VECTOR)));
typedef real_t loose_t __attribute__((vector_size(VECTOR), aligned(sizeof(real_t))));
typedef place_t places_t __attribute__((vector_size(VECTOR)));

/* The first `vectors` vectors of y [rows, .], its rows ldy apart, += x [rows, K] panel [K, PANEL]. */
static inline __attribute__((always_inline)) void KERNELS(multiply)(size_t rows, size_t vectors,
                                                                    const real_t *restrict x, size_t ldx,
                                                                    const real_t *restrict panel, size_t K,
                                                                    real_t *restrict y, size_t ldy) {
    vector_t sum[ROWS][VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vectors; j++) sum[r][j] = *(const loose_t *)(y + r * ldy + j * LANES);
    for (size_t k = 0; k < K; k++) {
        const vector_t *w = (const vector_t *)(const void *)(panel + k * PANEL);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t j = 0; j < vectors; j++) sum[r][j] += x[r * ldx + k] * w[j];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vectors; j++) *(loose_t *)(y + r * ldy + j * LANES) = sum[r][j];
}

/* The same by one of the loops that are compiled: for each number of vectors. */
static inline __attribute__((always_inline)) void KERNELS(multiply_some)(size_t rows, size_t vectors,
                                                                         const real_t *x, size_t ldx,
                                                                         const real_t *panel, size_t K,
                                                                         real_t *y, size_t ldy) {
    if (vectors == VECTORS)
        KERNELS(multiply)(rows, VECTORS, x, ldx, panel, K, y, ldy);
    else if (vectors == 2)
        KERNELS(multiply)(rows, 2, x, ldx, panel, K, y, ldy);
    else
        KERNELS(multiply)(rows, 1, x, ldx, panel, K, y, ldy);
}

/* The same for any number of rows, of which only the first `columns` columns of y are there. */
TARGET static void KERNELS(multiply_rows)(size_t B, const real_t *x, size_t ldx, const real_t *panel,
                                          size_t K, real_t *y, size_t ldy, size_t columns) {
    real_t tile[ROWS * PANEL] __attribute__((aligned(VECTOR)));
    const size_t vectors = (columns + LANES - 1) / LANES;
    const gboolean whole = columns == vectors * LANES;
    for (size_t b = 0; b < B;) {
        const size_t left = B - b, rows = left >= ROWS ? ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        real_t *to = y + b * ldy;
        size_t ld = ldy;
        if (!whole) {
            memset(tile, 0, sizeof tile);
            for (size_t r = 0; r < rows; r++) memcpy(tile + r * PANEL, to + r * ldy, columns * sizeof *to);
            to = tile;
            ld = PANEL;
        }
        if (rows == ROWS)
            KERNELS(multiply_some)(ROWS, vectors, x + b * ldx, ldx, panel, K, to, ld);
        else if (rows == 4)
            KERNELS(multiply_some)(4, vectors, x + b * ldx, ldx, panel, K, to, ld);
        else if (rows == 2)
            KERNELS(multiply_some)(2, vectors, x + b * ldx, ldx, panel, K, to, ld);
        else
            KERNELS(multiply_some)(1, vectors, x + b * ldx, ldx, panel, K, to, ld);
        for (size_t r = 0; !whole && r < rows; r++)
            memcpy(y + (b + r) * ldy, tile + r * PANEL, columns * sizeof *y);
        b += rows;
    }
}

/* Rows of W, ld apart, to a panel. */
TARGET static void KERNELS(copy)(const real_t *restrict W, size_t ld, size_t columns, size_t depth,
                                 real_t *restrict panel) {
    if (columns < PANEL) {
        memset(panel, 0, depth * PANEL * sizeof *panel);
        for (size_t k = 0; k < depth; k++) memcpy(panel + k * PANEL, W + k * ld, columns * sizeof *panel);
        return;
    }
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < VECTORS; j++)
            *(vector_t *)(void *)(panel + k * PANEL + j * LANES) = *(const loose_t *)(W + k * ld + j * LANES);
}

/* *chosen: elements of *x and *y together, by places; of Clang's own shuffles those must be constants. */
static inline __attribute__((always_inline)) void KERNELS(shuffle)(const vector_t *x, const vector_t *y,
                                                                   const places_t *places, vector_t *chosen) {
#ifdef __clang__
    for (size_t i = 0; i < LANES; i++) {
        const size_t place = (size_t)(*places)[i];
        (*chosen)[i] = place < LANES ? (*x)[place] : (*y)[place - LANES];
    }
#else
    *chosen = __builtin_shuffle(*x, *y, *places);
#endif
}

/* LANES rows of W, ld apart, become columns: each pass interleaves the first half of them with the second. */
static inline __attribute__((always_inline)) void KERNELS(turn_square)(const real_t *restrict W, size_t ld,
                                                                       real_t *restrict panel) {
    places_t low = {0}, high = {0};
    for (size_t i = 0; i < LANES; i++) {
        low[i] = (place_t)(i / 2 + i % 2 * LANES);
        high[i] = (place_t)(i / 2 + i % 2 * LANES + LANES / 2);
    }
    vector_t rows[LANES], next[LANES];
    for (size_t r = 0; r < LANES; r++) rows[r] = *(const loose_t *)(W + r * ld);
#pragma GCC unroll 4
    for (size_t width = LANES; width > 1; width /= 2) {
#pragma GCC unroll 8
        for (size_t r = 0; r < LANES / 2; r++) {
            KERNELS(shuffle)(&rows[r], &rows[r + LANES / 2], &low, &next[2 * r]);
            KERNELS(shuffle)(&rows[r], &rows[r + LANES / 2], &high, &next[2 * r + 1]);
        }
#pragma GCC unroll 16
        for (size_t r = 0; r < LANES; r++) rows[r] = next[r];
    }
    for (size_t r = 0; r < LANES; r++) *(vector_t *)(void *)(panel + r * PANEL) = rows[r];
}

/* W [columns, depth], its rows ld apart, to a panel, transposed: its rows become columns. */
TARGET static void KERNELS(turn)(const real_t *restrict W, size_t ld, size_t columns, size_t depth,
                                 real_t *restrict panel) {
    if (columns < PANEL) memset(panel, 0, depth * PANEL * sizeof *panel);
    const size_t squares = columns / LANES * LANES, deep = depth / LANES * LANES;
    for (size_t k = 0; k < deep; k += LANES)
        for (size_t j = 0; j < squares; j += LANES)
            KERNELS(turn_square)(W + j * ld + k, ld, panel + k * PANEL + j);
    for (size_t j = 0; j < columns; j++)
        for (size_t k = j < squares ? deep : 0; k < depth; k++) panel[k * PANEL + j] = W[j * ld + k];
}

/* Rows of a grain's sum: adds n rows of the batch, x [., rows] times panel [., PANEL], to what is at level,
 * nothing at first; then as many subtrees, each `below` elements below the last, as are whole with it.
 * Written to kept, whose rows are `apart` apart. */
static inline __attribute__((always_inline)) void
KERNELS(add_grain)(size_t rows, const real_t *x, size_t ldx, const real_t *panel, size_t n, gboolean first,
                   const real_t *level, size_t below, size_t merges, real_t *kept, size_t apart) {
    vector_t sum[ROWS][VECTORS];
    const vector_t *there = (const vector_t *)(const void *)level;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < VECTORS; j++) sum[r][j] = (vector_t){0};
    for (size_t r = 0; !first && r < rows; r++)
        for (size_t j = 0; j < VECTORS; j++) sum[r][j] = there[r * VECTORS + j];
    for (size_t b = 0; b < n; b++) {
        const vector_t *w = (const vector_t *)(const void *)(panel + b * PANEL);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t j = 0; j < VECTORS; j++) sum[r][j] += x[b * ldx + r] * w[j];
    }
    for (; merges > 0; merges--) {
        const vector_t *waits = (const vector_t *)(const void *)(level -= below);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < VECTORS; j++) sum[r][j] += waits[r * VECTORS + j];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < VECTORS; j++) *(loose_t *)(kept + r * apart + j * LANES) = sum[r][j];
}

/* M rows, at most strip, of columns [n, n + columns) of dW: grain by grain, and of each so many rows of the
 * batch at a time that they stay in first-level cache. As in a binary counter: the ones of i are the subtrees
 * that wait, those at its end are whole with grain i. */
TARGET static void KERNELS(gradient_strip)(const grains_t *grains, const real_t *x, size_t ldx,
                                           const real_t *panel, real_t *dW, size_t strip, size_t M, size_t N,
                                           size_t columns) {
    real_t levels[LEVELS * STRIP * PANEL] __attribute__((aligned(VECTOR)));
    const size_t below = strip * PANEL;
    for (size_t i = 0; i < grains->n; i++) {
        const size_t begin = grains->begin[i], end = grains->begin[i + 1],
                     level = (size_t)__builtin_popcountll(i);
        size_t b = begin, n;
        do {
            n = MIN(end - b, SHALLOW);
            const gboolean first = b == begin, last = b + n == end,
                           placed = last && i + 1 == grains->n && columns == PANEL;
            const size_t merges = last ? (size_t)__builtin_ctzll(~(unsigned long long)i) : 0;
            const size_t apart = placed ? N : PANEL;
            const real_t *const w = panel + b * PANEL;
            for (size_t m = 0, rows; m < M; m += rows) {
                const real_t *const from = x + b * ldx + m, *const at = levels + level * below + m * PANEL;
                real_t *const kept = placed ? dW + m * N : levels + (level - merges) * below + m * PANEL;
                rows = M - m >= ROWS ? ROWS : 1;
                if (rows == ROWS)
                    KERNELS(add_grain)(ROWS, from, ldx, w, n, first, at, below, merges, kept, apart);
                else
                    KERNELS(add_grain)(1, from, ldx, w, n, first, at, below, merges, kept, apart);
            }
            b += n;
        } while (b < end);
    }
    for (size_t m = 0; columns < PANEL && m < M; m++)
        memcpy(dW + m * N, levels + m * PANEL, columns * sizeof *dW);
}

/* Columns [n, n + columns) of dW. */
static void KERNELS(gradient_panel)(const grains_t *grains, const real_t *x, const real_t *panel, real_t *dW,
                                    size_t M, size_t N, size_t columns) {
    const size_t strip = grains->begin[grains->n] <= SHALLOW ? ROWS : STRIP;
    for (size_t m = 0; m < M; m += strip)
        KERNELS(gradient_strip)(grains, x + m, M, panel, dW + m * N, strip, MIN(strip, M - m), N, columns);
}

/* dW [rows, vectors], its rows N apart, += x [B, rows], turned, times dy [B, vectors]; rows of x are M, those
 * of dy are N apart. */
static inline __attribute__((always_inline)) void KERNELS(add_tile)(size_t rows, size_t vectors, size_t B,
                                                                    const real_t *restrict x, size_t M,
                                                                    const real_t *restrict dy, size_t N,
                                                                    real_t *restrict dW) {
    vector_t sum[ROWS][VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vectors; j++) sum[r][j] = *(const loose_t *)(dW + r * N + j * LANES);
    for (size_t b = 0; b < B; b++) {
        const loose_t *w = (const loose_t *)(dy + b * N);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t j = 0; j < vectors; j++) sum[r][j] += x[b * M + r] * w[j];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < vectors; j++) *(loose_t *)(dW + r * N + j * LANES) = sum[r][j];
}

/* So many columns of dW [M, .], at most a panel's. */
static inline __attribute__((always_inline)) void KERNELS(add_columns)(size_t vectors, size_t B,
                                                                       const real_t *x, size_t M,
                                                                       const real_t *dy, size_t N,
                                                                       real_t *dW) {
    size_t m = 0;
    for (; m + ROWS <= M; m += ROWS) KERNELS(add_tile)(ROWS, vectors, B, x + m, M, dy, N, dW + m * N);
    for (; m < M; m++) KERNELS(add_tile)(1, vectors, B, x + m, M, dy, N, dW + m * N);
}

/* dW [M, N] += x [B, M], turned, times dy [B, N]: so many rows at a time that a panel of dy stays in
 * first-level cache. */
TARGET static void KERNELS(add_gradient)(size_t B, const real_t *x, const real_t *dy, real_t *dW, size_t M,
                                         size_t N) {
    for (size_t n; B > 0; B -= n, x += n * M, dy += n * N) {
        size_t at = 0;
        n = MIN(B, SHALLOW);
        for (; at + PANEL <= N; at += PANEL) KERNELS(add_columns)(VECTORS, n, x, M, dy + at, N, dW + at);
        for (; at + LANES <= N; at += LANES) KERNELS(add_columns)(1, n, x, M, dy + at, N, dW + at);
        for (size_t b = 0; b < n; b++)
            for (size_t m = 0; m < M; m++)
                for (size_t j = at; j < N; j++) dW[m * N + j] += x[b * M + m] * dy[b * N + j];
    }
}

static const kernels_t KERNELS(kernels) = {
    .panel = PANEL,
    .multiply_rows = KERNELS(multiply_rows),
    .copy = KERNELS(copy),
    .turn = KERNELS(turn),
    .gradient_panel = KERNELS(gradient_panel),
    .add_gradient = KERNELS(add_gradient),
};

#undef LANES
#undef PANEL
#undef vector_t
#undef loose_t
#undef places_t
#undef KERNELS
#undef TARGET
#undef VECTOR
#undef VECTORS
#undef ROWS
