/* layers: the layers of the models, each with its gradient: dense layers (by BLAS), activations, sampling of
 * latents, losses. Plain functions over row-major arrays: local, without state; only layers_new_block()
 * allocates. Letters as in trainer/model/model.h. Gradients named d<x> are d loss / d <x>.
 *
 * NaN in gives NaN out, so that a broken run shows in its loss. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "trainer/model/real.h"

#define LAYERS_MAX_PITCHES 128

/* Packed windows: bits [B, T, planes, ceil(P / 8)], planes = K L of the model. Row r of a frame holds its
 * cells r P..r P + P - 1. Frames >= valid[b] read as silence and count in no loss. 1 <= P <=
 * LAYERS_MAX_PITCHES. */
typedef struct {
    size_t B, T, planes, P;
    const uint8_t *bits;
    const uint32_t *valid; /* [B], <= T */
} layers_bits_t;

/* Lists for each cell the windows that set it, as the first layer reads them: for cell d, window[start[d]] ..
 * window[start[d + 1] - 1], ascending. start: [D + 1], window: [B D] at worst. B D < 2^32. */
void layers_list_active(const layers_bits_t *x, uint32_t *start, uint32_t *window);

/* Dense layer on bits: y [B, N] = x W + bias, W [D, N], by adding up the rows of W whose cells are set. */
void layers_linear_bits(const uint32_t *start, const uint32_t *window, const real_t *W, const real_t *bias,
                        real_t *y, size_t B, size_t D, size_t N);
/* Adds to dW [D, N] and, where not NULL, dbias [N]. */
void layers_linear_bits_backward(const uint32_t *start, const uint32_t *window, const real_t *dy, real_t *dW,
                                 real_t *dbias, size_t B, size_t D, size_t N);

/* Dense layer: y [B, N] = x [B, M] W [M, N] + bias [N], if any. */
void layers_linear(const real_t *x, const real_t *W, const real_t *bias, real_t *y, size_t B, size_t M,
                   size_t N);
/* Its gradient in two parts. Adds to dW [M, N] and, where not NULL, dbias [N]. */
void layers_linear_gradient(const real_t *x, const real_t *dy, real_t *dW, real_t *dbias, size_t B, size_t M,
                            size_t N);
/* Writes dx [B, M], or adds to it where add_dx. */
void layers_linear_backward(const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t B, size_t M,
                            size_t N);

/* y [B, N] += x W, where the rows of x [B, M] are ldx apart: x may be part of a wider array. */
void layers_add_product(const real_t *x, size_t ldx, const real_t *W, real_t *y, size_t B, size_t M,
                        size_t N);
/* Adds to dx, laid out as x, where not NULL, and to dW [M, N]. */
void layers_add_product_backward(const real_t *x, size_t ldx, const real_t *W, const real_t *dy, real_t *dx,
                                 real_t *dW, size_t B, size_t M, size_t N);

/* y = max(y, 0), in place. */
void layers_relu(real_t *y, size_t n);
/* Sets dy to 0 where y, the activation's output, is 0 (the derivative at 0 is 0, as in PyTorch). */
void layers_relu_backward(const real_t *y, real_t *dy, size_t n);
/* Multiplies the units of y [B, N] by scale if keep [B, stride] has 1 for them, and by 0 if not. */
void layers_dropout(real_t *y, const uint8_t *keep, size_t stride, real_t scale, size_t B, size_t N);
/* y [n] *= scale. */
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

/* Binary cross-entropy of logits [B, D] against bits, summed over the cells of a window that count: nll[b],
 * nats. dlogits [B, D], which may be NULL or logits itself, receives scale * d nll / d logits, 0 in cells
 * that do not count. Stable for any finite logit. */
void layers_bce_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll);
/* The same for the squared error (sigmoid(logits) - x)^2, summed. */
void layers_mse_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll);

/* The sum of the squares of x [n], in double: by chunks of LAYERS_NORM_CHUNK elements, which are added up in
 * their order, so that whoever has the squares of some chunks, each from this function, gets the same
 * bits. */
#define LAYERS_NORM_CHUNK 4096
double layers_squared_norm(const real_t *x, size_t n);

/* Allocates n zeros, 64-byte aligned, in huge pages if the system has them: a large model is bound by memory,
 * and they saved 6 % of a step. NULL if memory runs out. Owner: caller, free(). */
real_t *layers_new_block(size_t n);

/* Sets the threads that BLAS uses in this process, >= 1. */
void layers_set_threads(int threads);
/* How many BLAS uses. */
int layers_threads(void);
/* Describes the BLAS in use, its kernels and threads, in a static text that is valid until the next call. */
const char *layers_describe_blas(void);

/* For functions whose loops gain from wider vectors: the loader picks a version for the processor, because
 * login and compute nodes differ. All versions of a LAYERS_WIDE function round alike (the build contracts no
 * multiply-add), so ranks on unlike hosts agree to the bit. LAYERS_FUSED rounds as the processor does: for
 * gradients, which are averaged anyway, in files for which the Makefile allows contraction. It names levels
 * of processors, not one maker's, which compilers know from GCC 12 on. */
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
