/* bf16: floats as their upper 16 bits, rounded to the nearest, ties to even, with what rounding took away
 * kept for the next time. Local. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes x + error, rounded, to out [n], and what is missing to error [n]; where the sum is not finite the
 * error becomes 0. error NULL: writes x, rounded. NaN stays NaN, infinity stays infinity. */
void bf16_pack(const float *x, float *error, uint16_t *out, size_t n);
void bf16_unpack(const uint16_t *in, float *out, size_t n);
