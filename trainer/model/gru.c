/* gru: owns the recurrence. The product with U has only as many rows as there are active sequences, too few
 * for BLAS, which would repack U at each step. So U and its transpose are laid out once a batch, in panels of
 * PANEL columns that a kernel reads from end to end. The gradient of U does not depend on the step before,
 * and is one large product. */
#include "trainer/model/gru.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/fast_math.h"
#include "trainer/model/layers.h"

enum { LANES = 8, PANEL = 2 * LANES, ROWS = 4 };
/* The compiler maps it to the vectors of the processor. */
typedef real_t lanes_t __attribute__((vector_size(LANES * sizeof(real_t))));

static size_t padded(size_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

int gru_tape_init(gru_tape_t *tape, size_t max_rows, size_t max_B, size_t H) {
    *tape = (gru_tape_t){.max_rows = max_rows, .max_B = max_B, .H = H};
    tape->before = layers_new_block(max_rows * H);
    tape->gates = layers_new_block(max_rows * 4 * H);
    tape->dgates = layers_new_block(max_rows * 3 * H);
    tape->panels = layers_new_block(MAX(H * padded(3 * H), 3 * H * padded(H)));
    tape->carry = layers_new_block(max_B * 4 * H);
    return tape->before && tape->gates && tape->dgates && tape->panels && tape->carry;
}

void gru_tape_clear(gru_tape_t *tape) {
    real_t *const blocks[] = {tape->before, tape->gates, tape->dgates, tape->panels, tape->carry};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
    *tape = (gru_tape_t){0};
}

/* W [K, N] (or, transposed, W [N, K]) to panels [ceil(N / PANEL), K, PANEL], zeros past N. */
static void make_panels(const real_t *W, size_t K, size_t N, int transposed, real_t *panels) {
    for (size_t j = 0; j < N; j += PANEL) {
        const size_t n = MIN(PANEL, N - j);
        for (size_t k = 0; k < K; k++, panels += PANEL)
            for (size_t i = 0; i < PANEL; i++)
                panels[i] = i >= n ? 0 : transposed ? W[(j + i) * K + k] : W[k * N + j + i];
    }
}

/* y [ROWS, PANEL] = x [ROWS, K] panel [K, PANEL], the rows of x apart by ld: all sums stay in registers. */
LAYERS_FUSED static void multiply_panel(const real_t *restrict x, size_t ld, const real_t *restrict panel,
                                        size_t K, real_t *restrict y) {
    const lanes_t *w = (const lanes_t *)(const void *)panel;
    lanes_t sum[ROWS][2] = {{{0}}};
    for (size_t k = 0; k < K; k++) {
        const lanes_t left = w[2 * k], right = w[2 * k + 1];
#pragma GCC unroll 4
        for (size_t r = 0; r < ROWS; r++) {
            sum[r][0] += x[r * ld + k] * left;
            sum[r][1] += x[r * ld + k] * right;
        }
    }
    memcpy(y, sum, sizeof sum);
}

/* The same for a single row, with two partial sums, because each addition must wait for the one before. */
LAYERS_FUSED static void multiply_panel_row(const real_t *restrict x, const real_t *restrict panel, size_t K,
                                            real_t *restrict y) {
    const lanes_t *w = (const lanes_t *)(const void *)panel;
    lanes_t even[2] = {{0}}, odd[2] = {{0}};
    for (size_t k = 0; k + 2 <= K; k += 2) {
        for (size_t i = 0; i < 2; i++) {
            even[i] += x[k] * w[2 * k + i];
            odd[i] += x[k + 1] * w[2 * k + 2 + i];
        }
    }
    for (size_t i = 0; K % 2 && i < 2; i++) even[i] += x[K - 1] * w[2 * (K - 1) + i];
    for (size_t i = 0; i < 2; i++) even[i] += odd[i];
    memcpy(y, even, sizeof even);
}

/* y [B, N] = x [B, K] W, W in panels. */
static void multiply(const real_t *x, const real_t *panels, real_t *y, size_t B, size_t K, size_t N) {
    real_t tile[ROWS * PANEL];
    for (size_t j = 0; j < N; j += PANEL, panels += K * PANEL) {
        const size_t n = MIN(PANEL, N - j);
        for (size_t b = 0; b < B;) {
            const size_t taken = B - b >= ROWS ? ROWS : 1;
            if (taken == ROWS)
                multiply_panel(x + b * K, K, panels, K, tile);
            else
                multiply_panel_row(x + b * K, panels, K, tile);
            for (size_t r = 0; r < taken; r++) memcpy(y + (b + r) * N + j, tile + r * PANEL, n * sizeof *y);
            b += taken;
        }
    }
}

/* One row: x [3 H] and s = h U [3 H] to h' and gates [r, g, n, h U_n + c]. before may be h. */
LAYERS_WIDE static void advance(size_t H, const real_t *restrict x, const real_t *restrict s,
                                const real_t *restrict c, const real_t *before, real_t *h,
                                real_t *restrict gates) {
    for (size_t i = 0; i < H; i++) {
        const real_t r = logistic(x[i] + s[i]), g = logistic(x[H + i] + s[H + i]), m = s[2 * H + i] + c[i];
        const real_t n = hyperbolic_tangent(x[2 * H + i] + r * m);
        gates[i] = r;
        gates[H + i] = g;
        gates[2 * H + i] = n;
        gates[3 * H + i] = m;
        h[i] = (1 - g) * n + g * before[i];
    }
}

void gru_forward(const gru_t *gru, const packing_t *packing, const real_t *h0, const real_t *x, real_t *h,
                 gru_tape_t *tape) {
    const size_t H = gru->H;
    make_panels(gru->U, H, 3 * H, 0, tape->panels);
    for (size_t t = 0; t < packing->T; t++) {
        const size_t B = packing_count(packing, t), row = packing->offset[t];
        real_t *before = tape->before + row * H;
        memcpy(before, t ? h + packing->offset[t - 1] * H : h0, B * H * sizeof *h);
        multiply(before, tape->panels, tape->carry, B, H, 3 * H);
        for (size_t b = 0; b < B; b++)
            advance(H, x + (row + b) * 3 * H, tape->carry + b * 3 * H, gru->c, before + b * H,
                    h + (row + b) * H, tape->gates + (row + b) * 4 * H);
    }
}

/* Backward step of one row: dh to dx [3 H], ds = d loss / d (h U) [3 H], and through = the part of d loss / d
 * before that comes by gate g alone. */
LAYERS_WIDE static void retreat(size_t H, const real_t *restrict dh, const real_t *restrict gates,
                                const real_t *restrict before, real_t *restrict dx, real_t *restrict ds,
                                real_t *restrict through) {
    for (size_t i = 0; i < H; i++) {
        const real_t r = gates[i], g = gates[H + i], n = gates[2 * H + i], m = gates[3 * H + i];
        const real_t dn = dh[i] * (1 - g) * (1 - n * n), dg = dh[i] * (before[i] - n) * g * (1 - g),
                     dr = dn * m * r * (1 - r);
        dx[i] = ds[i] = dr;
        dx[H + i] = ds[H + i] = dg;
        dx[2 * H + i] = dn;
        ds[2 * H + i] = dn * r;
        through[i] = dh[i] * g;
    }
}

void gru_backward(const gru_t *gru, const packing_t *packing, real_t *dh, real_t *dx, real_t *dh0,
                  gru_tape_t *tape) {
    const size_t H = gru->H;
    real_t *const through = tape->carry, *const by_U = tape->carry + tape->max_B * H;
    make_panels(gru->U, 3 * H, H, 1, tape->panels);
    for (size_t t = packing->T; t-- > 0;) {
        const size_t B = packing_count(packing, t), row = packing->offset[t];
        for (size_t b = 0; b < B; b++)
            retreat(H, dh + (row + b) * H, tape->gates + (row + b) * 4 * H, tape->before + (row + b) * H,
                    dx + (row + b) * 3 * H, tape->dgates + (row + b) * 3 * H, through + b * H);
        multiply(tape->dgates + row * 3 * H, tape->panels, by_U, B, 3 * H, H);
        real_t *const earlier = t ? dh + packing->offset[t - 1] * H : dh0;
        if (t == 0) memset(dh0, 0, packing->B * H * sizeof *dh0);
        for (size_t i = 0; i < B * H; i++) earlier[i] += through[i] + by_U[i];
    }
    layers_add_product_backward(tape->before, H, NULL, tape->dgates, NULL, gru->dU, packing->rows, H, 3 * H);
    for (size_t row = 0; row < packing->rows; row++)
        for (size_t i = 0; i < H; i++) gru->dc[i] += tape->dgates[row * 3 * H + 2 * H + i];
}

void gru_step(const gru_t *gru, size_t N, const real_t *x, real_t *h, real_t *scratch) {
    const size_t H = gru->H;
    layers_linear(h, gru->U, NULL, scratch, N, H, 3 * H);
    for (size_t n = 0; n < N; n++)
        advance(H, x + n * 3 * H, scratch + n * 3 * H, gru->c, h + n * H, h + n * H, scratch + N * 3 * H);
}
