/* differences: central differences, for the double build. With steps of 1e-5 and values near 1 a derivative's
 * error is about 1e-10; 1e-7 of the gradient's norm is asked. */
#pragma once

#include <glib.h>
#include <math.h>

#include "trainer/model/rng.h"

#define DIFFERENCES_STEP      1e-5
#define DIFFERENCES_TOLERANCE 1e-7

/* The function that is checked, of data and of x. */
typedef double (*differences_fn)(gpointer data);

static inline void differences_fill(uint64_t stream, real_t *out, size_t n) {
    const rng_t rng = rng_make(7, RNG_NOISE, 0, stream);
    rng_normal(&rng, out, n);
}

/* Compares the analytic gradient of f by x [n] with the numeric one. They may differ by a share of the
 * latter's norm, or of `least` where the norm is smaller (of a rare feature, or where there is none). Returns
 * the norm. */
static inline double differences_check(differences_fn f, gpointer data, real_t *x, const real_t *analytic,
                                       size_t n, double least, const char *name) {
    double wrong = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        const real_t saved = x[i];
        x[i] = saved + DIFFERENCES_STEP;
        const double up = f(data);
        x[i] = saved - DIFFERENCES_STEP;
        const double numeric = (up - f(data)) / (2 * DIFFERENCES_STEP);
        x[i] = saved;
        wrong += (numeric - analytic[i]) * (numeric - analytic[i]);
        squares += numeric * numeric;
    }
    const double norm = sqrt(squares);
    if (!(sqrt(wrong) < DIFFERENCES_TOLERANCE * MAX(norm, least)))
        g_test_fail_printf("%s: gradient differs from central differences by %g of %g", name, sqrt(wrong),
                           norm);
    return norm;
}
