/* gru: owns the recurrence. The product with U has only as many rows as there are active sequences, too few
 * for BLAS, which would repack U at each step. So U and its transpose are laid out once a batch
 * (trainer/model/grains.h). The gradient of U does not depend on the step before, and is one large product.
 * Steps of many rows go by STEP_ROWS of them, whose products stay in first-level cache. */
#include "trainer/model/gru.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/fast_math.h"
#include "trainer/model/layers.h"

enum { STEP_ROWS = 16 };

int gru_tape_init(gru_tape_t *tape, size_t max_rows, size_t max_B, size_t H) {
    *tape = (gru_tape_t){.max_rows = max_rows, .max_B = max_B, .H = H};
    tape->before = layers_new_block(max_rows * H);
    tape->gates = layers_new_block(max_rows * 4 * H);
    tape->dgates = layers_new_block(max_rows * 3 * H);
    tape->panels = layers_new_block(MAX(grains_panels(H, 3 * H), grains_panels(3 * H, H)));
    tape->active = layers_new_block(max_B * 3 * H);
    tape->carry = layers_new_block(max_B * 3 * H);
    return tape->before && tape->gates && tape->dgates && tape->panels && tape->active && tape->carry;
}

void gru_tape_clear(gru_tape_t *tape) {
    real_t *const blocks[] = {tape->before, tape->gates,  tape->dgates,
                              tape->panels, tape->active, tape->carry};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
    *tape = (gru_tape_t){0};
}

static size_t longest(const packing_t *groups, size_t n) {
    size_t T = 0;
    for (size_t i = 0; i < n; i++) T = MAX(T, groups[i].T);
    return T;
}

/* Rows: x [rows, 3 H] and s = h U [rows, 3 H] to h' and gates [r, g, n, h U_n + c]. before may be h. */
LAYERS_WIDE static void advance(size_t rows, size_t H, const real_t *restrict x, const real_t *restrict s,
                                const real_t *restrict c, const real_t *before, real_t *h,
                                real_t *restrict gates) {
    for (; rows > 0; rows--, x += 3 * H, s += 3 * H, before += H, h += H, gates += 4 * H) {
        for (size_t i = 0; i < H; i++) {
            const real_t r = logistic(x[i] + s[i]), g = logistic(x[H + i] + s[H + i]),
                         m = s[2 * H + i] + c[i];
            const real_t n = hyperbolic_tangent(x[2 * H + i] + r * m);
            gates[i] = r;
            gates[H + i] = g;
            gates[2 * H + i] = n;
            gates[3 * H + i] = m;
            h[i] = (1 - g) * n + g * before[i];
        }
    }
}

void gru_forward(const gru_t *gru, const packing_t *groups, size_t n, const real_t *h0, const real_t *x,
                 real_t *h, gru_tape_t *tape) {
    const size_t H = gru->H, T = longest(groups, n);
    grains_make_panels(gru->U, H, 3 * H, 0, tape->panels);
    for (size_t t = 0; t < T; t++) {
        size_t B = 0;
        const real_t *start = h0;
        for (const packing_t *group = groups; group < groups + n; start += group++->B * H) {
            const size_t count = packing_count(group, t);
            const real_t *from = t == 0 ? start : count ? h + group->offset[t - 1] * H : NULL;
            if (count == 0) continue;
            memcpy(tape->before + group->offset[t] * H, from, count * H * sizeof *h);
            memcpy(tape->active + B * H, from, count * H * sizeof *h);
            B += count;
        }
        grains_multiply(tape->active, tape->panels, tape->carry, B, H, 3 * H);
        const real_t *s = tape->carry;
        for (const packing_t *group = groups; group < groups + n; group++)
            for (size_t b = 0; b < packing_count(group, t); b++, s += 3 * H) {
                const size_t row = group->offset[t] + b;
                advance(1, H, x + row * 3 * H, s, gru->c, tape->before + row * H, h + row * H,
                        tape->gates + row * 4 * H);
            }
    }
}

/* Backward step of rows: dh to dx [rows, 3 H], ds = d loss / d (h U) [rows, 3 H], and through = the part of
 * d loss / d before that comes by gate g alone. */
LAYERS_WIDE static void retreat(size_t rows, size_t H, const real_t *restrict dh,
                                const real_t *restrict gates, const real_t *restrict before,
                                real_t *restrict dx, real_t *restrict ds, real_t *restrict through) {
    for (; rows > 0; rows--, dh += H, gates += 4 * H, before += H, dx += 3 * H, ds += 3 * H, through += H) {
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
}

void gru_backward(const gru_t *gru, const packing_t *groups, size_t n, const rows_t *rows, real_t *dh,
                  real_t *dx, real_t *dh0, gru_tape_t *tape) {
    const size_t H = gru->H;
    real_t *const through = tape->carry, *const by_U = tape->carry + tape->max_B * H;
    grains_make_panels(gru->U, 3 * H, H, 1, tape->panels);
    for (size_t t = longest(groups, n); t-- > 0;) {
        size_t B = 0;
        for (const packing_t *group = groups; group < groups + n; group++)
            for (size_t b = 0; b < packing_count(group, t); b++, B++) {
                const size_t row = group->offset[t] + b;
                retreat(1, H, dh + row * H, tape->gates + row * 4 * H, tape->before + row * H,
                        dx + row * 3 * H, tape->dgates + row * 3 * H, through + B * H);
                memcpy(tape->active + B * 3 * H, tape->dgates + row * 3 * H, 3 * H * sizeof *dh);
            }
        grains_multiply(tape->active, tape->panels, by_U, B, 3 * H, H);
        size_t at = 0;
        real_t *start = dh0;
        for (const packing_t *group = groups; group < groups + n; start += group++->B * H) {
            const size_t end = at + packing_count(group, t) * H;
            if (end == at) continue;
            real_t *earlier = t ? dh + group->offset[t - 1] * H : start;
            for (; at < end; at++, earlier++) *earlier = (t ? *earlier : 0) + (through[at] + by_U[at]);
        }
    }
    rows_gradient(rows, tape->before, tape->dgates, gru->dU, NULL, H, 3 * H);
    rows_sum(rows, tape->dgates + 2 * H, 3 * H, gru->dc, H);
}

/* ---- many rows, a step at a time ---- */

size_t gru_rows_panels(size_t H) { return grains_panels(H, GATES * H) + grains_panels(GATES * H, H); }

void gru_rows_prepare(const gru_t *gru, real_t *panels) {
    const size_t H = gru->H;
    grains_make_panels(gru->U, H, GATES * H, 0, panels);
    grains_make_panels(gru->U, GATES * H, H, 1, panels + grains_panels(H, GATES * H));
}

size_t gru_rows_scratch(size_t H) { return STEP_ROWS * (GATES + 1) * H; }

void gru_rows_forward(const gru_t *gru, const real_t *panels, size_t n, const real_t *x, const real_t *before,
                      real_t *h, real_t *gates, real_t *scratch) {
    const size_t H = gru->H;
    real_t *const old = scratch + STEP_ROWS * GATES * H;
    for (size_t first = 0; first < n; first += STEP_ROWS) {
        const size_t rows = MIN(STEP_ROWS, n - first);
        const real_t *from = before + first * H;
        if (before == h) from = memcpy(old, from, rows * H * sizeof *old); /* apart, loops become vectors */
        grains_multiply(from, panels, scratch, rows, H, GATES * H);
        advance(rows, H, x + first * GATES * H, scratch, gru->c, from, h + first * H, gates + first * 4 * H);
    }
}

void gru_rows_backward(const gru_t *gru, const real_t *panels, size_t n, const real_t *dh,
                       const real_t *gates, const real_t *before, real_t *dx, real_t *dhU, real_t *dbefore) {
    const size_t H = gru->H, wide = GATES * H;
    for (size_t first = 0; first < n; first += STEP_ROWS) {
        const size_t rows = MIN(STEP_ROWS, n - first);
        retreat(rows, H, dh + first * H, gates + first * 4 * H, before + first * H, dx + first * wide,
                dhU + first * wide, dbefore + first * H);
        grains_add_multiply(dhU + first * wide, panels + grains_panels(H, wide), dbefore + first * H, rows,
                            wide, H);
    }
}

LAYERS_WIDE static void add_candidates(size_t n, size_t H, const real_t *restrict dhU, real_t *restrict dc) {
    for (size_t row = 0; row < n; row++)
        for (size_t i = 0; i < H; i++) dc[i] += dhU[row * GATES * H + 2 * H + i];
}

void gru_rows_gradient(const gru_t *gru, size_t n, const real_t *before, const real_t *dhU) {
    grains_add_gradient(before, dhU, gru->dU, n, gru->H, GATES * gru->H);
    add_candidates(n, gru->H, dhU, gru->dc);
}
