/* fast_math: exp, log(1 + e), logistic and tanh without branches or calls, so that the compiler can vectorise
 * loops over them; hence also inline. The double build, for gradient checks, uses the library's. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "trainer/model/real.h"

#define FAST_MATH static inline __attribute__((always_inline, unused))

#ifdef MPIANIST_DOUBLE
FAST_MATH real_t exp_negative(real_t x) { return exp(x); }
FAST_MATH real_t log1p_unit(real_t e) { return log1p(e); }
#else
/* exp(x), x <= 0, within 2 ulp: 2^n exp(r), |r| <= ln(2) / 2, with the polynomial and the split of ln(2) of
 * Cephes' expf. Below -87 it is exp(-87), still a normal number. */
FAST_MATH float exp_negative(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float round = 0x1.8p23f, shifted = x * 1.44269504f + round; /* n in the lowest bits */
    const float n = shifted - round, r = x - n * 0.693359375f - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3F800000u;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* log(1 + e), 0 <= e <= 1: 2 artanh(s), s = e / (2 + e) <= 1/3: the series to s^13, the rest below 2e-8 of
 * it; exact for small e. */
FAST_MATH float log1p_unit(float e) {
    const float s = e / (2.0f + e), q = s * s;
    float p = 1.0f / 13.0f;
    p = p * q + 1.0f / 11.0f;
    p = p * q + 1.0f / 9.0f;
    p = p * q + 1.0f / 7.0f;
    p = p * q + 1.0f / 5.0f;
    p = p * q + 1.0f / 3.0f;
    return 2.0f * s + 2.0f * s * q * p;
}
#endif

/* 1 / (1 + exp(-x)), stable on both sides; NaN stays NaN. */
FAST_MATH real_t logistic(real_t x) {
    const real_t e = exp_negative(x < 0 ? x : -x), upper = x < 0 ? e : 1;
    return upper / (1 + e);
}

/* tanh(x), computed from |x|; absolute error below 1e-7 in float. */
FAST_MATH real_t hyperbolic_tangent(real_t x) {
    const real_t magnitude = x < 0 ? -x : x, e = exp_negative(-2 * magnitude), t = (1 - e) / (1 + e);
    return x < 0 ? -t : t;
}
