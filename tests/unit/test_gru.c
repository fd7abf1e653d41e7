/* packing and gru: the kernels beside a plain twin, sequence by sequence, in double. (Gradients:
 * double_sequence.c.) */
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/gru.h"
#include "trainer/model/layers.h"
#include "trainer/model/rng.h"

enum { MAX_B = 9, MAX_T = 6 };

static real_t *random_values(uint64_t stream, size_t n, double sigma) {
    const rng_t rng = rng_make(11, RNG_NOISE, 0, stream);
    real_t *x = g_new(real_t, n);
    rng_normal(&rng, x, n);
    for (size_t i = 0; i < n; i++) x[i] = (real_t)(sigma * (double)x[i]);
    return x;
}

static void test_packing(void) {
    static const struct {
        uint32_t lengths[5];
        size_t B, unit, T, counts[6];
    } cases[] = {
        {{5, 3, 3, 1}, 4, 1, 5, {4, 3, 3, 1, 1}},
        {{5, 3, 3, 1}, 4, 2, 3, {4, 3, 1}},
        {{5, 3, 3, 1}, 4, 5, 1, {4}},
        {{4, 4}, 2, 1, 4, {2, 2, 2, 2}},
        {{4, 4}, 2, 4, 1, {2}},
        {{5, 4}, 2, 4, 2, {2, 1}},
        {{1}, 1, 1, 1, {1}},
    };
    packing_t packing;
    packing_init(&packing, MAX_T);
    for (size_t i = 0; i < G_N_ELEMENTS(cases);
         i++) { /* in one packing: what was there before must not matter */
        size_t rows = 0;
        packing_make(&packing, cases[i].lengths, cases[i].B, cases[i].unit);
        g_assert_cmpuint(packing.B, ==, cases[i].B);
        g_assert_cmpuint(packing.T, ==, cases[i].T);
        for (size_t t = 0; t < packing.T; t++) {
            g_assert_cmpuint(packing.offset[t], ==, rows);
            g_assert_cmpuint(packing_count(&packing, t), ==, cases[i].counts[t]);
            rows += cases[i].counts[t];
        }
        g_assert_cmpuint(packing.rows, ==, rows);
    }
    packing_clear(&packing);
}

/* A batch with its parameters, and results of both sides. */
typedef struct {
    size_t H, B;
    packing_t packing;
    real_t *U, *c, *h0, *x, *weight; /* weight [rows, H]: d loss / d h */
    real_t *h, *dx, *dh0, *dU, *dc;
    double *plain_h, *plain_dx, *plain_dh0, *plain_dU, *plain_dc;
} recurrence_t;

static recurrence_t *recurrence_new(size_t H, const uint32_t *frames, size_t B) {
    recurrence_t *r = g_new0(recurrence_t, 1);
    r->H = H;
    r->B = B;
    packing_init(&r->packing, MAX_T);
    packing_make(&r->packing, frames, B, 1);
    const size_t rows = r->packing.rows;
    r->U = random_values(0, 3 * H * H, 1 / sqrt((double)H));
    r->c = random_values(1, H, 1);
    r->h0 = random_values(2, B * H, 1);
    r->x = random_values(3, rows * 3 * H, 1);
    r->weight = random_values(4, rows * H, 1);
    r->h = g_new0(real_t, rows * H);
    r->dx = random_values(5, rows * 3 * H, 1); /* written */
    r->dh0 = random_values(6, B * H, 1);
    r->dU = g_new0(real_t, 3 * H * H); /* added to */
    r->dc = g_new0(real_t, H);
    r->plain_h = g_new0(double, rows *H);
    r->plain_dx = g_new0(double, rows * 3 * H);
    r->plain_dh0 = g_new0(double, B *H);
    r->plain_dU = g_new0(double, 3 * H * H);
    r->plain_dc = g_new0(double, H);
    return r;
}

static void recurrence_free(recurrence_t *r) {
    void *const arrays[] = {r->U,         r->c,        r->h0,       r->x,  r->weight,  r->h,
                            r->dx,        r->dh0,      r->dU,       r->dc, r->plain_h, r->plain_dx,
                            r->plain_dh0, r->plain_dU, r->plain_dc, r};
    packing_clear(&r->packing);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(recurrence_t, recurrence_free)

/* What one row computes: gates and h U of the state before. */
typedef struct {
    double r, g, n, m;
} unit_t;

static double before(const recurrence_t *r, size_t t, size_t b, size_t i) {
    return t ? r->plain_h[(r->packing.offset[t - 1] + b) * r->H + i] : (double)r->h0[b * r->H + i];
}

static unit_t plain_unit(const recurrence_t *r, size_t t, size_t b, size_t i) {
    const size_t H = r->H;
    const real_t *x = r->x + (r->packing.offset[t] + b) * 3 * H;
    double hU[3] = {0};
    for (size_t j = 0; j < H; j++)
        for (size_t k = 0; k < 3; k++) hU[k] += before(r, t, b, j) * (double)r->U[j * 3 * H + k * H + i];
    unit_t u = {.r = 1 / (1 + exp(-(double)x[i] - hU[0])),
                .g = 1 / (1 + exp(-(double)x[H + i] - hU[1])),
                .m = hU[2] + (double)r->c[i]};
    u.n = tanh((double)x[2 * H + i] + u.r * u.m);
    return u;
}

static void plain_forward(recurrence_t *r) {
    for (size_t t = 0; t < r->packing.T; t++)
        for (size_t b = 0; b < packing_count(&r->packing, t); b++)
            for (size_t i = 0; i < r->H; i++) {
                const unit_t u = plain_unit(r, t, b, i);
                r->plain_h[(r->packing.offset[t] + b) * r->H + i] =
                    (1 - u.g) * u.n + u.g * before(r, t, b, i);
            }
}

/* By the chain rule, a sequence at a time. */
static void plain_backward(recurrence_t *r) {
    const size_t H = r->H;
    for (size_t b = 0; b < r->B; b++) {
        g_autofree double *dh = g_new0(double, H);
        for (size_t t = r->packing.T; t-- > 0;) {
            if (b >= packing_count(&r->packing, t)) continue;
            const size_t row = r->packing.offset[t] + b;
            g_autofree double *earlier = g_new0(double, H);
            for (size_t i = 0; i < H; i++) {
                const unit_t u = plain_unit(r, t, b, i);
                const double d = dh[i] + (double)r->weight[row * H + i];
                const double dn = d * (1 - u.g) * (1 - u.n * u.n),
                             dg = d * (before(r, t, b, i) - u.n) * u.g * (1 - u.g);
                const double dr = dn * u.m * u.r * (1 - u.r), gates[3] = {dr, dg, dn},
                             by_U[3] = {dr, dg, dn * u.r};
                earlier[i] += d * u.g;
                r->plain_dc[i] += by_U[2];
                for (size_t k = 0; k < 3; k++) {
                    r->plain_dx[row * 3 * H + k * H + i] = gates[k];
                    for (size_t j = 0; j < H; j++) {
                        r->plain_dU[j * 3 * H + k * H + i] += by_U[k] * before(r, t, b, j);
                        earlier[j] += by_U[k] * (double)r->U[j * 3 * H + k * H + i];
                    }
                }
            }
            memcpy(dh, earlier, H * sizeof *dh);
        }
        memcpy(r->plain_dh0 + b * H, dh, H * sizeof *dh);
    }
}

static void run_kernels(recurrence_t *r, gru_tape_t *tape) {
    const gru_t gru = {.U = r->U, .c = r->c, .dU = r->dU, .dc = r->dc, .H = r->H};
    g_autofree real_t *dh = g_memdup2(r->weight, r->packing.rows * r->H * sizeof *dh);
    gru_forward(&gru, &r->packing, 1, r->h0, r->x, r->h, tape);
    gru_backward(&gru, &r->packing, 1, &(rows_t){.n = r->packing.rows}, dh, r->dx, r->dh0, tape);
}

static void check_near(const real_t *x, const double *truth, size_t n, const char *name) {
    double wrong = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        wrong += pow((double)x[i] - truth[i], 2);
        norm += truth[i] * truth[i];
    }
    g_assert_cmpfloat(norm, >, 0);
    if (!(sqrt(wrong / norm) < 1e-6))
        g_test_fail_printf("%s differs from its plain twin by %g of its norm", name, sqrt(wrong / norm));
}

/* Results for B sequences, and gradients, beside those of the plain twin. */
static void check_against_plain(recurrence_t *r, size_t B) {
    const size_t H = r->H, rows = r->packing.rows;
    plain_forward(r);
    plain_backward(r);
    check_near(r->h, r->plain_h, rows * H, "h");
    check_near(r->dx, r->plain_dx, rows * 3 * H, "dx");
    check_near(r->dh0, r->plain_dh0, B * H, "dh0");
    check_near(r->dU, r->plain_dU, 3 * H * H, "dU");
    check_near(r->dc, r->plain_dc, H, "dc");
}

static const uint32_t lengths[MAX_B] = {6, 6, 5, 5, 5, 3, 2, 1, 1};

static void test_twin(void) {
    static const size_t sizes[] = {1, 5, 8, 16, 17, 33, 64};
    for (size_t k = 0; k < G_N_ELEMENTS(sizes); k++)
        for (size_t n = 2; n < 2 * (MAX_B + 1);
             n++) { /* the longest n / 2 or the shortest: rows by fours and the rest; one frame in all */
            const size_t B = n / 2;
            g_autoptr(recurrence_t) r = recurrence_new(sizes[k], n % 2 ? lengths : lengths + MAX_B - B, B);
            gru_tape_t tape;
            g_assert_true(gru_tape_init(&tape, r->packing.rows, B, r->H));
            run_kernels(r, &tape);
            check_against_plain(r, B);
            gru_tape_clear(&tape);
        }
}

/* A tape that has seen a larger batch gives what a fresh one gives, to the bit. */
static void test_tape(void) {
    enum { H = 19, SMALL = 3 };
    g_autoptr(recurrence_t) large = recurrence_new(H, lengths, MAX_B),
                            used = recurrence_new(H, lengths + 4, SMALL);
    g_autoptr(recurrence_t) fresh = recurrence_new(H, lengths + 4, SMALL);
    gru_tape_t tape, clean;
    g_assert_true(gru_tape_init(&tape, large->packing.rows, MAX_B, H) &&
                  gru_tape_init(&clean, fresh->packing.rows, SMALL, H));
    run_kernels(large, &tape);
    run_kernels(used, &tape);
    run_kernels(fresh, &clean);
    const size_t rows = fresh->packing.rows;
    const struct {
        const real_t *used, *fresh;
        size_t n;
    } results[] = {{used->h, fresh->h, rows * H},
                   {used->dx, fresh->dx, rows * 3 * H},
                   {used->dh0, fresh->dh0, SMALL * H},
                   {used->dU, fresh->dU, 3 * H * H},
                   {used->dc, fresh->dc, H}};
    for (size_t i = 0; i < G_N_ELEMENTS(results); i++)
        g_assert_cmpint(memcmp(results[i].used, results[i].fresh, results[i].n * sizeof(real_t)), ==, 0);
    gru_tape_clear(&tape);
    gru_tape_clear(&clean);
}

/* A step of many rows, forward and backward, beside the plain twin's single frame. Rows do not know each
 * other: each is the same, to the bit, alone. */
static void test_rows(void) {
    enum { N = 37 };
    static const size_t sizes[] = {1, 5, 16, 17, 32, 48, 49, 100};
    uint32_t ones[N];
    for (size_t i = 0; i < N; i++) ones[i] = 1;
    for (size_t k = 0; k < G_N_ELEMENTS(sizes); k++) {
        const size_t H = sizes[k];
        g_autoptr(recurrence_t) r = recurrence_new(H, ones, N);
        const gru_t gru = {.U = r->U, .c = r->c, .dU = r->dU, .dc = r->dc, .H = H};
        real_t *panels = layers_new_block(gru_rows_panels(H)),
               *scratch = layers_new_block(gru_rows_scratch(H));
        g_autofree real_t *gates = g_new(real_t, N * 4 * H), *dhU = g_new(real_t, N * 3 * H);
        gru_rows_prepare(&gru, panels);
        gru_rows_forward(&gru, panels, N, r->x, r->h0, r->h, gates, scratch);
        g_autofree real_t *in_place = g_memdup2(r->h0, N * H * sizeof *in_place);
        gru_rows_forward(&gru, panels, N, r->x, in_place, in_place, gates, scratch);
        g_assert_cmpint(memcmp(in_place, r->h, N * H * sizeof *in_place), ==, 0);
        gru_rows_backward(&gru, panels, N, r->weight, gates, r->h0, r->dx, dhU, r->dh0);
        gru_rows_gradient(&gru, N, r->h0, dhU);
        check_against_plain(r, N);
        for (size_t b = 0; b < N; b++) {
            g_autofree real_t *h = g_memdup2(r->h0 + b * H, H * sizeof *h), *dx = g_new(real_t, 3 * H),
                              *dh0 = g_new(real_t, H);
            gru_rows_forward(&gru, panels, 1, r->x + b * 3 * H, h, h, gates, scratch);
            g_assert_cmpint(memcmp(h, r->h + b * H, H * sizeof *h), ==, 0);
            gru_rows_backward(&gru, panels, 1, r->weight + b * H, gates, r->h0 + b * H, dx, dhU, dh0);
            g_assert_cmpint(memcmp(dx, r->dx + b * 3 * H, 3 * H * sizeof *dx), ==, 0);
            g_assert_cmpint(memcmp(dh0, r->dh0 + b * H, H * sizeof *dh0), ==, 0);
        }
        free(panels);
        free(scratch);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    g_test_add_func("/gru/packing", test_packing);
    g_test_add_func("/gru/twin", test_twin);
    g_test_add_func("/gru/tape", test_tape);
    g_test_add_func("/gru/rows", test_rows);
    return g_test_run();
}
