/* gru_rows: owns kernels of ROWS rows times up to three vectors of LANES columns, which are the three gates
 * of LANES units, or neighbouring columns of the gradient. All sums stay in registers. The last rows of a
 * step are filled up with copies of the last one. */
#include "trainer/model/gru_rows.h"

#include <glib.h>
#include <string.h>

#include "trainer/model/fast_math.h"
#include "trainer/model/layers.h"

enum { LANES = 16, ROWS = 4, VECTORS = 3 };
typedef real_t lanes_t __attribute__((vector_size(LANES * sizeof(real_t))));

#define INLINE static inline __attribute__((always_inline))

static size_t count_vectors(size_t n) { return (n + LANES - 1) / LANES; }

size_t gru_rows_panels(size_t H) { return 2 * GATES * H * count_vectors(H) * LANES; }

static const real_t *backward_panels(const real_t *panels, size_t H) {
    return panels + gru_rows_panels(H) / 2;
}

void gru_rows_prepare(const gru_t *gru, real_t *panels) {
    const size_t H = gru->H, wide = GATES * H;
    for (size_t unit = 0; unit < H; unit += LANES) /* [units / LANES][H][GATES][LANES] */
        for (size_t k = 0; k < H; k++)
            for (size_t gate = 0; gate < GATES; gate++)
                for (size_t j = 0; j < LANES; j++)
                    *panels++ = unit + j < H ? gru->U[k * wide + gate * H + unit + j] : 0;
    for (size_t column = 0; column < H; column += VECTORS * LANES) { /* [groups][3 H][vectors][LANES] */
        const size_t vectors = MIN(VECTORS, count_vectors(H - column));
        for (size_t k = 0; k < wide; k++)
            for (size_t j = 0; j < vectors * LANES; j++)
                *panels++ = column + j < H ? gru->U[(column + j) * wide + k] : 0;
    }
}

/* sum [ROWS, vectors] = rows [ROWS, K] panel [K, vectors]. */
INLINE void multiply(const real_t *const *rows, const lanes_t *panel, size_t K, size_t vectors,
                     lanes_t sum[ROWS][VECTORS]) {
    lanes_t s[ROWS][VECTORS] = {{{0}}};
    for (size_t k = 0; k < K; k++, panel += vectors) {
#pragma GCC unroll 4
        for (size_t r = 0; r < ROWS; r++) {
            const real_t factor = rows[r][k];
#pragma GCC unroll 3
            for (size_t v = 0; v < vectors; v++) s[r][v] += factor * panel[v];
        }
    }
    memcpy(sum, s, sizeof s);
}

/* n units of a row, from their columns s of h U. */
INLINE void activate(size_t n, size_t H, const real_t *restrict x, const real_t *restrict s,
                     const real_t *restrict c, const real_t *before, real_t *h, real_t *restrict gates) {
    for (size_t i = 0; i < n; i++) {
        const real_t r = logistic(x[i] + s[i]), g = logistic(x[H + i] + s[LANES + i]),
                     m = s[2 * LANES + i] + c[i];
        const real_t state = hyperbolic_tangent(x[2 * H + i] + r * m);
        gates[i] = r;
        gates[H + i] = g;
        gates[2 * H + i] = state;
        gates[3 * H + i] = m;
        h[i] = (1 - g) * state + g * before[i];
    }
}

/* The rows from `first` on, each of `width` elements; past the last, the last. */
INLINE void point(const real_t *base, size_t first, size_t n, size_t width, const real_t *rows[ROWS]) {
    for (size_t r = 0; r < ROWS; r++) rows[r] = base + MIN(first + r, n - 1) * width;
}

/* All panels are multiplied before a state is written: h may be before. */
LAYERS_FUSED void gru_rows_forward(const gru_t *gru, const real_t *panels, size_t n, const real_t *x,
                                   const real_t *before, real_t *h, real_t *gates) {
    const size_t H = gru->H;
    for (size_t first = 0; first < n; first += ROWS) {
        const real_t *rows[ROWS];
        real_t old[ROWS * 1024];
        point(before, first, n, H, rows);
        if (h == before)
            for (size_t r = 0; r < ROWS; r++) rows[r] = memcpy(old + r * H, rows[r], H * sizeof *old);
        const lanes_t *panel = (const lanes_t *)(const void *)panels;
        for (size_t unit = 0; unit < H; unit += LANES, panel += H * GATES) {
            lanes_t sum[ROWS][VECTORS];
            multiply(rows, panel, H, GATES, sum);
            for (size_t r = 0; r < MIN(ROWS, n - first); r++) {
                const size_t row = first + r;
                const real_t *s = (const real_t *)sum[r], *from = x + row * GATES * H + unit;
                real_t *to = h + row * H + unit, *kept = gates + row * 4 * H + unit;
                if (H - unit >= LANES)
                    activate(LANES, H, from, s, gru->c + unit, rows[r] + unit, to, kept);
                else
                    activate(H - unit, H, from, s, gru->c + unit, rows[r] + unit, to, kept);
            }
        }
    }
}

/* n units of a row: from dh to dx, dhU, and the part of dbefore that comes by gate g alone. */
INLINE void retreat(size_t n, size_t H, const real_t *restrict dh, const real_t *restrict gates,
                    const real_t *restrict before, real_t *restrict dx, real_t *restrict dhU,
                    real_t *restrict dbefore) {
    for (size_t i = 0; i < n; i++) {
        const real_t r = gates[i], g = gates[H + i], state = gates[2 * H + i], m = gates[3 * H + i];
        const real_t dn = dh[i] * (1 - g) * (1 - state * state),
                     dg = dh[i] * (before[i] - state) * g * (1 - g), dr = dn * m * r * (1 - r);
        dx[i] = dhU[i] = dr;
        dx[H + i] = dhU[H + i] = dg;
        dx[2 * H + i] = dn;
        dhU[2 * H + i] = dn * r;
        dbefore[i] = dh[i] * g;
    }
}

INLINE void add_columns(const lanes_t *panel, const real_t *const *rows, size_t K, size_t vectors,
                        size_t taken, real_t *to, size_t ld, size_t columns) {
    lanes_t sum[ROWS][VECTORS];
    multiply(rows, panel, K, vectors, sum);
    for (size_t r = 0; r < taken; r++) {
        const real_t *s = (const real_t *)sum[r];
        for (size_t j = 0; j < columns; j++) to[r * ld + j] += s[j];
    }
}

LAYERS_FUSED void gru_rows_backward(const gru_t *gru, const real_t *panels, size_t n, const real_t *dh,
                                    const real_t *gates, const real_t *before, real_t *dx, real_t *dhU,
                                    real_t *dbefore) {
    const size_t H = gru->H, wide = GATES * H;
    for (size_t first = 0; first < n; first += ROWS) {
        const size_t taken = MIN(ROWS, n - first);
        const real_t *rows[ROWS];
        for (size_t row = first; row < first + taken; row++)
            retreat(H, H, dh + row * H, gates + row * 4 * H, before + row * H, dx + row * wide,
                    dhU + row * wide, dbefore + row * H);
        point(dhU, first, n, wide, rows);
        const lanes_t *panel = (const lanes_t *)(const void *)backward_panels(panels, H);
        for (size_t column = 0; column < H; column += VECTORS * LANES) {
            const size_t columns = MIN(VECTORS * LANES, H - column), vectors = count_vectors(columns);
            real_t *to = dbefore + first * H + column;
            if (vectors == 3)
                add_columns(panel, rows, wide, 3, taken, to, H, columns);
            else if (vectors == 2)
                add_columns(panel, rows, wide, 2, taken, to, H, columns);
            else
                add_columns(panel, rows, wide, 1, taken, to, H, columns);
            panel += wide * vectors;
        }
    }
}

LAYERS_WIDE static void add_candidates(size_t n, size_t H, const real_t *restrict dhU, real_t *restrict dc) {
    for (size_t row = 0; row < n; row++)
        for (size_t i = 0; i < H; i++) dc[i] += dhU[row * GATES * H + 2 * H + i];
}

void gru_rows_gradient(const gru_t *gru, size_t n, const real_t *before, const real_t *dhU) {
    layers_add_product_backward(before, gru->H, NULL, dhU, NULL, gru->dU, n, gru->H, GATES * gru->H);
    add_candidates(n, gru->H, dhU, gru->dc);
}
