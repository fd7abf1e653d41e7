/* layers: the layers of the models: dense layers (the only cblas.h), activations, the latent's arithmetic,
 * losses; each with its gradient. Plain functions over row-major arrays: no state; none but
 * layers_new_block() allocates; local. Letters as in trainer/model/model.h. Gradients named d<x> are d loss /
 * d <x>.
 *
 * NaN in gives NaN out, so that a broken run shows in its loss. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "trainer/model/real.h"

#define LAYERS_MAX_PITCHES 128

/* Packed windows, bits [B, T, planes, ceil(P / 8)] with planes = K L of the model: plane row r of a frame
 * holds cells r P..r P + P - 1 of the frame. Frames >= valid[b] read as silence and count in no loss. 1 <= P
 * <= LAYERS_MAX_PITCHES. */
typedef struct {
    size_t B, T, planes, P;
    const uint8_t *bits;
    const uint32_t *valid; /* [B], <= T */
} layers_bits_t;

/* Transposes the windows to lists, the form in which the first layer reads them: the windows where cell d
 * sounds are window[start[d]] .. window[start[d + 1] - 1], ascending. start: [D + 1], window: [B D] at worst.
 * B D < 2^32. */
void layers_list_active(const layers_bits_t *x, uint32_t *start, uint32_t *window);

/* Dense layer on bits: y [B, N] = x W + bias, W [D, N]: adds up the rows of W that sound; nothing is
 * unpacked. */
void layers_linear_bits(const uint32_t *start, const uint32_t *window, const real_t *W, const real_t *bias,
                        real_t *y, size_t B, size_t D, size_t N);
/* Adds to dW [D, N] and dbias [N]. */
void layers_linear_bits_backward(const uint32_t *start, const uint32_t *window, const real_t *dy, real_t *dW,
                                 real_t *dbias, size_t B, size_t D, size_t N);

/* Dense layer: y [B, N] = x [B, M] W [M, N] + bias [N], if any. */
void layers_linear(const real_t *x, const real_t *W, const real_t *bias, real_t *y, size_t B, size_t M,
                   size_t N);
/* Writes dx [B, M] where not NULL (adds to it where add_dx); adds to dW [M, N] and, where not NULL, dbias
 * [N]. */
void layers_linear_backward(const real_t *x, const real_t *W, const real_t *dy, real_t *dx, int add_dx,
                            real_t *dW, real_t *dbias, size_t B, size_t M, size_t N);

/* y [B, N] += x W, the rows of x [B, M] ldx apart: a part of a wider array. */
void layers_add_product(const real_t *x, size_t ldx, const real_t *W, real_t *y, size_t B, size_t M,
                        size_t N);
/* Adds to dx, laid out as x, where not NULL, and to dW [M, N]. */
void layers_add_product_backward(const real_t *x, size_t ldx, const real_t *W, const real_t *dy, real_t *dx,
                                 real_t *dW, size_t B, size_t M, size_t N);

/* y = max(y, 0), in place. */
void layers_relu(real_t *y, size_t n);
/* dy = 0 where y, the activation's output, is 0 (the derivative at 0 is 0, as in PyTorch); in place. */
void layers_relu_backward(const real_t *y, real_t *dy, size_t n);
/* y [B, N] of the units that keep [B, stride] has 1 for times scale, the others 0. */
void layers_dropout(real_t *y, const uint8_t *keep, size_t stride, real_t scale, size_t B, size_t N);
/* y [n] times scale. */
void layers_scale(real_t *y, real_t scale, size_t n);

/* z = mu + exp(logvar / 2) eps (Kingma & Welling 2014, equation 10); eps NULL: z = mu. */
void layers_sample_latent(const real_t *mu, const real_t *logvar, const real_t *eps, real_t *z, size_t n);
/* Writes dmu and dlogvar. */
void layers_sample_latent_backward(const real_t *logvar, const real_t *eps, const real_t *dz, real_t *dmu,
                                   real_t *dlogvar, size_t n);

/* kl[b] = KL(N(mu, exp(logvar)) || N(0, 1)) = 1/2 sum_i (mu_i^2 + exp(logvar_i) - 1 - logvar_i), nats (ibid.,
 * appendix B). */
void layers_kl(const real_t *mu, const real_t *logvar, double *kl, size_t B, size_t Z);
/* Adds weight[b] dkl[b] to dmu and dlogvar. */
void layers_kl_backward(const real_t *mu, const real_t *logvar, const double *weight, real_t *dmu,
                        real_t *dlogvar, size_t B, size_t Z);

/* Binary cross-entropy of logits [B, D] against bits, summed over a window's cells that count: nll[b], nats.
 * Where dlogits [B, D] is not NULL (it may be logits itself) it gets scale * d nll / d logits, 0 in cells
 * that do not count. Stable for any finite logit. */
void layers_bce_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll);
/* The same for the squared error (sigmoid(logits) - x)^2, summed. */
void layers_mse_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll);

/* n zeros, 64-byte aligned, in huge pages where the system gives them (a large model's passes are bound by
 * memory: measured 6 % of a step). NULL where memory does not suffice. Owner: caller, free(). */
real_t *layers_new_block(size_t n);

/* Threads that BLAS may use in this process, >= 1. */
void layers_set_threads(int threads);
/* The BLAS in use, its kernels and threads: static text, valid until the next call. */
const char *layers_describe_blas(void);

/* For functions whose loops gain from wider vectors: the loader picks a version for this processor, because
 * login and compute nodes differ. LAYERS_WIDE: all versions round alike (the build contracts no
 * multiply-add), so ranks on unlike hosts agree to the bit. LAYERS_FUSED: rounds as the processor does; for
 * gradients, which are averaged anyway, in files that the Makefile lets contract multiply-adds. It names
 * levels of processors, not one maker's, which compilers know from GCC 12 on. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define LAYERS_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LAYERS_WIDE
#endif
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12
#define LAYERS_FUSED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LAYERS_FUSED LAYERS_WIDE
#endif
