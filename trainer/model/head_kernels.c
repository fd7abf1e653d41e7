/* head_kernels: owns the head's inner loops. Rows of A or Q are short and stay in first-level cache, so loops
 * run along whole rows, one after the other: summing blocks of columns was measured at half the speed. Scalar
 * products run in LANES, and are fastest if sizes are multiples of it. */
#include "trainer/model/head_kernels.h"

#include "trainer/model/fast_math.h"
#include "trainer/model/layers.h"

enum { LANES = 8 }; /* 16 and 32 are slower: adding up the lanes of a short product takes time */

#define INLINE static inline __attribute__((always_inline))

LAYERS_WIDE void head_add(const real_t *restrict from, real_t *restrict to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

LAYERS_WIDE void head_scatter(const patch_t *restrict patches, size_t n_patches, const real_t *restrict table,
                              real_t *restrict u) {
    for (size_t i = 0; i < n_patches; i++) {
        const patch_t patch = patches[i];
        for (size_t j = 0; j < patch.n; j++) u[patch.to + j] += table[patch.from + j];
    }
}

LAYERS_WIDE void head_gather(const patch_t *restrict patches, size_t n_patches, const real_t *restrict du,
                             real_t *restrict dtable) {
    for (size_t i = 0; i < n_patches; i++) {
        const patch_t patch = patches[i];
        for (size_t j = 0; j < patch.n; j++) dtable[patch.from + j] += du[patch.to + j];
    }
}

LAYERS_WIDE void head_begin_tied(const real_t *restrict p, const real_t *restrict shared, real_t *restrict u,
                                 size_t n, size_t Q) {
    for (size_t i = 0; i < n; i++)
        for (size_t q = 0; q < Q; q++) u[i * Q + q] = p[i * Q + q] + shared[q];
}

INLINE real_t relu(real_t u) { return u < 0 ? 0 : u; } /* keeps NaN */

INLINE real_t sum_lanes(real_t *lane) {
    for (size_t half = LANES / 2; half; half /= 2)
        for (size_t j = 0; j < half; j++) lane[j] += lane[j + half];
    return lane[0];
}

LAYERS_WIDE void head_tied(const real_t *restrict u, const real_t *restrict v, real_t *restrict logits,
                           size_t n, size_t Q) {
    for (size_t i = 0; i < n; i++, u += Q) {
        real_t lane[LANES] = {0};
        size_t q = 0;
        for (; q + LANES <= Q; q += LANES)
            for (size_t j = 0; j < LANES; j++) lane[j] += relu(u[q + j]) * v[q + j];
        for (size_t j = 0; q + j < Q; j++) lane[j] += relu(u[q + j]) * v[q + j];
        logits[i] += sum_lanes(lane);
    }
}

LAYERS_WIDE void head_tied_backward(const real_t *restrict dlogits, const real_t *restrict v,
                                    real_t *restrict u, real_t *restrict dv, real_t *restrict dp,
                                    real_t *restrict dshared, size_t n, size_t Q) {
    for (size_t i = 0; i < n; i++, u += Q, dp += Q) {
        for (size_t q = 0; q < Q; q++) {
            const real_t du = u[q] > 0 ? dlogits[i] * v[q] : 0;
            dv[q] += dlogits[i] * relu(u[q]);
            dshared[q] += du;
            dp[q] += du;
            u[q] = du;
        }
    }
}

LAYERS_WIDE void head_tied_backward_with(const real_t *restrict dlogits, const real_t *restrict v,
                                         const real_t *restrict dy, real_t *restrict u, real_t *restrict dv,
                                         real_t *restrict dp, real_t *restrict dshared, size_t n, size_t Q) {
    for (size_t i = 0; i < n; i++, u += Q, dy += Q, dp += Q) {
        for (size_t q = 0; q < Q; q++) {
            const real_t du = u[q] > 0 ? dlogits[i] * v[q] + dy[q] : 0;
            dv[q] += dlogits[i] * relu(u[q]);
            dshared[q] += du;
            dp[q] += du;
            u[q] = du;
        }
    }
}

LAYERS_WIDE void head_profile(const real_t *restrict profile, const real_t *restrict K,
                              real_t *restrict by_class, size_t n, size_t Q) {
    /* The loop over s is outside that over c, so that consecutive additions go to different sums. */
    for (size_t i = 0; i < n; i++, profile += PITCH_CLASSES, K += PITCH_CLASSES * Q)
        for (size_t s = 0; s < PITCH_CLASSES; s++)
            for (size_t c = 0; c < PITCH_CLASSES; c++)
                for (size_t q = 0; q < Q; q++)
                    by_class[c * Q + q] += profile[(c + s) % PITCH_CLASSES] * K[s * Q + q];
}

LAYERS_WIDE void head_profile_backward(const real_t *restrict profile, const real_t *restrict by_class,
                                       real_t *restrict dK, size_t n, size_t Q) {
    for (size_t i = 0; i < n; i++, profile += PITCH_CLASSES, dK += PITCH_CLASSES * Q)
        for (size_t c = 0; c < PITCH_CLASSES; c++)
            for (size_t s = 0; s < PITCH_CLASSES; s++)
                for (size_t q = 0; q < Q; q++)
                    dK[s * Q + q] += profile[(c + s) % PITCH_CLASSES] * by_class[c * Q + q];
}

LAYERS_WIDE void head_step(const real_t *restrict W, real_t *restrict a, real_t *restrict hidden, size_t A) {
    for (size_t j = 0; W && j < A; j++) a[j] += W[j];
    for (size_t j = 0; j < A; j++) hidden[j] = logistic(a[j]);
}

LAYERS_WIDE void head_nade(const real_t *restrict V, const real_t *restrict hidden, real_t *restrict logits,
                           size_t n, size_t A) {
    for (size_t i = 0; i < n; i++, V += A) {
        real_t lane[LANES] = {0};
        size_t j = 0;
        for (; j + LANES <= A; j += LANES)
            for (size_t k = 0; k < LANES; k++) lane[k] += V[j + k] * hidden[j + k];
        for (size_t k = 0; j + k < A; k++) lane[k] += V[j + k] * hidden[j + k];
        logits[i] += sum_lanes(lane);
    }
}

LAYERS_WIDE void head_nade_backward(const real_t *restrict dlogits, const real_t *restrict V,
                                    const real_t *restrict hidden, real_t *restrict dV,
                                    real_t *restrict dhidden, size_t n, size_t A) {
    for (size_t i = 0; i < n; i++, V += A, dV += A) {
        for (size_t j = 0; j < A; j++) {
            dhidden[j] += dlogits[i] * V[j];
            dV[j] += dlogits[i] * hidden[j];
        }
    }
}

LAYERS_WIDE void head_step_backward(const real_t *restrict hidden, const real_t *restrict dhidden,
                                    real_t *restrict da, real_t *restrict dW, size_t A) {
    for (size_t j = 0; j < A; j++) da[j] += dhidden[j] * hidden[j] * (1 - hidden[j]);
    for (size_t j = 0; dW && j < A; j++) dW[j] += da[j];
}

LAYERS_WIDE void head_losses(real_t *restrict logits, real_t *restrict loss, double scale, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const real_t l = logits[i], positive = l < 0 ? 0 : l;
        const real_t e = exp_negative(l - 2 * positive), upper = l < 0 ? e : 1;
        loss[i] = positive + log1p_unit(e);
        logits[i] = (real_t)scale * upper / (1 + e);
    }
}
