/* bf16: owns the rounding. */
#include "trainer/parallel/bf16.h"

#include <string.h>

#include "trainer/model/layers.h"

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define MAGNITUDE 0x7fffffffU
#define INFINITE  0x7f800000U
#define QUIET     0x00400000U

static inline uint32_t rounded(float x) {
    const uint32_t bits = bits_of(x);
    return ((bits & MAGNITUDE) > INFINITE ? bits | QUIET : bits + 0x7fffU + (bits >> 16 & 1)) >> 16;
}

LAYERS_WIDE static void pack_exact(const float *restrict x, float *restrict error, uint16_t *restrict out,
                                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float sum = x[i] + error[i];
        const uint32_t kept = rounded(sum);
        out[i] = (uint16_t)kept;
        error[i] = (bits_of(sum) & MAGNITUDE) < INFINITE ? sum - float_of(kept << 16) : 0;
    }
}

LAYERS_WIDE static void pack(const float *restrict x, uint16_t *restrict out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (uint16_t)rounded(x[i]);
}

void bf16_pack(const float *x, float *error, uint16_t *out, size_t n) {
    if (error)
        pack_exact(x, error, out, n);
    else
        pack(x, out, n);
}

LAYERS_WIDE void bf16_unpack(const uint16_t *restrict in, float *restrict out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = float_of((uint32_t)in[i] << 16);
}
