/* layers: owns the arithmetic of all layers, and is the only file that calls BLAS. Loops are written so that
 * the compiler vectorises them without -ffast-math: element-wise over arrays that do not overlap, sums in
 * lanes of fixed number and order. Refuses nothing: callers check sizes. */
#include "trainer/model/layers.h"

#include <cblas.h>
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/fast_math.h"

#ifdef MPIANIST_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

/* Functions that OpenBLAS and BLIS have beyond cblas.h. They are null if the program is loaded with another
 * BLAS, which Debian lets its users choose. */
#define WEAK __attribute__((weak))
WEAK extern void openblas_set_num_threads(int threads);
WEAK extern int openblas_get_num_threads(void);
WEAK extern char *openblas_get_corename(void), *openblas_get_config(void);
WEAK extern void bli_thread_set_num_threads(int64_t threads);
WEAK extern int64_t bli_thread_get_num_threads(void);
WEAK extern char *bli_info_get_version_str(void);

/* CHUNK: cells that the losses process at a time, so as to stay in first-level cache. LANES: partial sums. */
enum { CHUNK = 1024, LANES = 16 };

void layers_list_active(const layers_bits_t *x, uint32_t *start, uint32_t *window) {
    const size_t stride = roll_stride(x->P), D = x->T * x->planes * x->P;
    const uint8_t last = (uint8_t)(0xFF >> (8 * stride - x->P)); /* padding bits do not count */
    memset(start, 0, (D + 1) * sizeof *start);
    for (int fill = 0; fill < 2; fill++) { /* count, then place: a counting sort */
        for (size_t b = 0; b < x->B; b++) {
            const uint8_t *row = x->bits + b * x->T * x->planes * stride;
            for (size_t r = 0; r < x->valid[b] * x->planes; r++, row += stride) {
                for (size_t i = 0; i < stride; i++) {
                    for (unsigned byte = i + 1 < stride ? row[i] : row[i] & last; byte; byte &= byte - 1) {
                        const size_t d = r * x->P + 8 * i + (size_t)__builtin_ctz(byte);
                        if (fill)
                            window[start[d]++] = (uint32_t)b;
                        else
                            start[d]++;
                    }
                }
            }
        }
        uint32_t sum = 0;
        for (size_t d = 0; !fill && d < D; d++) {
            const uint32_t count = start[d];
            start[d] = sum;
            sum += count;
        }
    }
    memmove(start + 1, start, D * sizeof *start); /* placing has moved each start to its end */
    start[0] = 0;
}

static void fill_rows(real_t *y, const real_t *row, size_t B, size_t N) {
    for (size_t b = 0; b < B; b++) memcpy(y + b * N, row, N * sizeof *y);
}

LAYERS_WIDE static void add_columns(real_t *restrict sum, const real_t *restrict y, size_t B, size_t N) {
    for (size_t b = 0; b < B; b++)
        for (size_t n = 0; n < N; n++) sum[n] += y[b * N + n];
}

/* Forward and backward pass once through the rows of W, in order: W is larger than the cache, while y and dy
 * stay in it. */
LAYERS_WIDE static void add_sounding_rows(const uint32_t *restrict start, const uint32_t *restrict window,
                                          const real_t *restrict W, real_t *restrict y, size_t D, size_t N) {
    for (size_t d = 0; d < D; d++) {
        const real_t *row = W + d * N;
        for (size_t i = start[d]; i < start[d + 1]; i++) {
            real_t *restrict to = y + window[i] * N;
            for (size_t n = 0; n < N; n++) to[n] += row[n];
        }
    }
}

LAYERS_WIDE static void add_to_sounding_rows(const uint32_t *restrict start, const uint32_t *restrict window,
                                             const real_t *restrict dy, real_t *restrict dW, size_t D,
                                             size_t N) {
    for (size_t d = 0; d < D; d++) {
        real_t *restrict row = dW + d * N;
        for (size_t i = start[d]; i < start[d + 1]; i++) {
            const real_t *from = dy + window[i] * N;
            for (size_t n = 0; n < N; n++) row[n] += from[n];
        }
    }
}

void layers_linear_bits(const uint32_t *start, const uint32_t *window, const real_t *W, const real_t *bias,
                        real_t *y, size_t B, size_t D, size_t N) {
    fill_rows(y, bias, B, N);
    add_sounding_rows(start, window, W, y, D, N);
}

void layers_linear_bits_backward(const uint32_t *start, const uint32_t *window, const real_t *dy, real_t *dW,
                                 real_t *dbias, size_t B, size_t D, size_t N) {
    if (dbias) add_columns(dbias, dy, B, N);
    add_to_sounding_rows(start, window, dy, dW, D, N);
}

void layers_linear(const real_t *x, const real_t *W, const real_t *bias, real_t *y, size_t B, size_t M,
                   size_t N) {
    const int b = (int)B, m = (int)M, n = (int)N;
    if (bias) fill_rows(y, bias, B, N);
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, b, n, m, 1, x, m, W, n, bias ? 1 : 0, y, n);
}

void layers_add_product(const real_t *x, size_t ldx, const real_t *W, real_t *y, size_t B, size_t M,
                        size_t N) {
    GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)B, (int)N, (int)M, 1, x, (int)ldx, W, (int)N, 1, y,
         (int)N);
}

void layers_add_product_backward(const real_t *x, size_t ldx, const real_t *W, const real_t *dy, real_t *dx,
                                 real_t *dW, size_t B, size_t M, size_t N) {
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)M, (int)N, (int)B, 1, x, (int)ldx, dy, (int)N, 1, dW,
         (int)N);
    if (dx)
        GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (int)B, (int)M, (int)N, 1, dy, (int)N, W, (int)N, 1, dx,
             (int)ldx);
}

void layers_linear_gradient(const real_t *x, const real_t *dy, real_t *dW, real_t *dbias, size_t B, size_t M,
                            size_t N) {
    const int b = (int)B, m = (int)M, n = (int)N;
    if (dbias) add_columns(dbias, dy, B, N);
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, b, 1, x, m, dy, n, 1, dW, n);
}

void layers_linear_backward(const real_t *W, const real_t *dy, real_t *dx, int add_dx, size_t B, size_t M,
                            size_t N) {
    const int b = (int)B, m = (int)M, n = (int)N;
    GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, b, m, n, 1, dy, n, W, n, add_dx ? 1 : 0, dx, m);
}

void layers_relu(real_t *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = y[i] < 0 ? 0 : y[i]; /* keeps NaN */
}

void layers_relu_backward(const real_t *y, real_t *dy, size_t n) {
    for (size_t i = 0; i < n; i++) dy[i] = y[i] == 0 ? 0 : dy[i];
}

void layers_dropout(real_t *y, const uint8_t *keep, size_t stride, real_t scale, size_t B, size_t N) {
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < N; i++) y[b * N + i] = keep[b * stride + i] ? y[b * N + i] * scale : 0;
}

void layers_scale(real_t *y, real_t scale, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] *= scale;
}

void layers_sample_latent(const real_t *mu, const real_t *logvar, const real_t *eps, real_t *z, size_t n) {
    for (size_t i = 0; i < n; i++) z[i] = eps ? (real_t)(mu[i] + exp(0.5 * logvar[i]) * eps[i]) : mu[i];
}

void layers_sample_latent_backward(const real_t *logvar, const real_t *eps, const real_t *dz, real_t *dmu,
                                   real_t *dlogvar, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dmu[i] = dz[i];
        dlogvar[i] = eps ? (real_t)(0.5 * exp(0.5 * logvar[i]) * eps[i] * dz[i]) : 0;
    }
}

void layers_kl(const real_t *mu, const real_t *logvar, double *kl, size_t B, size_t Z) {
    for (size_t b = 0; b < B; b++) {
        double sum = 0;
        for (size_t i = b * Z; i < (b + 1) * Z; i++)
            sum += (double)mu[i] * mu[i] + expm1(logvar[i]) - logvar[i];
        kl[b] = 0.5 * sum;
    }
}

void layers_kl_backward(const real_t *mu, const real_t *logvar, const double *weight, real_t *dmu,
                        real_t *dlogvar, size_t B, size_t Z) {
    for (size_t b = 0; b < B; b++) {
        for (size_t i = b * Z; i < (b + 1) * Z; i++) {
            dmu[i] += (real_t)(weight[b] * mu[i]);
            dlogvar[i] += (real_t)(weight[b] * 0.5 * expm1(logvar[i]));
        }
    }
}

/* Losses and gradients of n <= CHUNK cells. With s = l where x = 0 and -l where x = 1, both losses are those
 * of a silent cell at logit s: no difference of near-equal numbers is ever taken. e = exp(-|s|); sigmoid(s) =
 * 1 / (1 + e) or e / (1 + e). */
typedef void (*cells_fn)(const uint8_t *x, const real_t *logits, real_t scale, real_t *loss, real_t *gradient,
                         size_t n);

LAYERS_WIDE static void bce_cells(const uint8_t *restrict x, const real_t *restrict logits, real_t scale,
                                  real_t *restrict loss, real_t *restrict gradient, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const real_t sign = (real_t)(1 - 2 * (int)x[i]), s = sign * logits[i], positive = s < 0 ? 0 : s;
        const real_t e = exp_negative(s - 2 * positive), upper = s < 0 ? e : 1;
        loss[i] = positive + log1p_unit(e);
        gradient[i] = sign * scale * upper / (1 + e);
    }
}

LAYERS_WIDE static void mse_cells(const uint8_t *restrict x, const real_t *restrict logits, real_t scale,
                                  real_t *restrict loss, real_t *restrict gradient, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const real_t sign = (real_t)(1 - 2 * (int)x[i]), s = sign * logits[i], positive = s < 0 ? 0 : s;
        const real_t e = exp_negative(s - 2 * positive), upper = s < 0 ? e : 1;
        const real_t sigmoid = upper / (1 + e), slope = e / ((1 + e) * (1 + e));
        loss[i] = sigmoid * sigmoid;
        gradient[i] = sign * scale * 2 * sigmoid * slope;
    }
}

LAYERS_WIDE static double sum_cells(const real_t *restrict loss, size_t n) {
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (double)loss[i + j];
    for (; i < n; i++) lane[i % LANES] += (double)loss[i];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

/* Bits to bytes 0 or 1; writes up to 7 bytes too many. */
static void unpack_row(const uint8_t *bits, size_t P, uint8_t *x) {
    for (size_t p = 0; p < P; p += 8) {
        const uint64_t spread = bits[p / 8] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        const uint64_t cells =
            GUINT64_TO_LE((spread + UINT64_C(0x7F7F7F7F7F7F7F7F)) >> 7 & UINT64_C(0x0101010101010101));
        memcpy(x + p, &cells, sizeof cells);
    }
}

static void loss_logits(cells_fn cells, const layers_bits_t *x, const real_t *logits, real_t *dlogits,
                        double scale, double *nll) {
    const size_t stride = roll_stride(x->P), rows = x->T * x->planes, D = rows * x->P,
                 chunk_rows = CHUNK / x->P;
    uint8_t targets[CHUNK + 8];
    real_t loss[CHUNK], gradient[CHUNK];
    for (size_t b = 0; b < x->B; b++) {
        const uint8_t *bits = x->bits + b * rows * stride;
        const size_t counted = x->valid[b] * x->planes;
        nll[b] = 0;
        for (size_t row = 0; row < counted; row += chunk_rows) {
            const size_t taken = MIN(chunk_rows, counted - row), n = taken * x->P, at = b * D + row * x->P;
            for (size_t r = 0; r < taken; r++)
                unpack_row(bits + (row + r) * stride, x->P, targets + r * x->P);
            cells(targets, logits + at, (real_t)scale, loss, gradient, n);
            nll[b] += sum_cells(loss, n);
            if (dlogits) memcpy(dlogits + at, gradient, n * sizeof *gradient);
        }
        if (dlogits) memset(dlogits + b * D + counted * x->P, 0, (rows - counted) * x->P * sizeof *dlogits);
    }
}

void layers_bce_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll) {
    loss_logits(bce_cells, x, logits, dlogits, scale, nll);
}

void layers_mse_logits(const layers_bits_t *x, const real_t *logits, real_t *dlogits, double scale,
                       double *nll) {
    loss_logits(mse_cells, x, logits, dlogits, scale, nll);
}

LAYERS_WIDE static double sum_squares(const real_t *restrict x, size_t n) {
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) lane[i % LANES] += (double)x[i] * (double)x[i];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

double layers_squared_norm(const real_t *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i += LAYERS_NORM_CHUNK)
        sum += sum_squares(x + i, MIN(n - i, LAYERS_NORM_CHUNK));
    return sum;
}

real_t *layers_new_block(size_t n) {
    enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };
    void *block = NULL;
    if (n > SIZE_MAX / sizeof(real_t)) return NULL;
    const size_t bytes = n * sizeof(real_t);
    if (posix_memalign(&block, bytes < HUGE_PAGE ? CACHE_LINE : HUGE_PAGE, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE)
        (void)madvise(block, bytes / HUGE_PAGE * HUGE_PAGE,
                      MADV_HUGEPAGE); /* a request, which fails if there are none */
#endif
    return memset(block, 0, bytes);
}

void layers_set_threads(int threads) {
    if (openblas_set_num_threads)
        openblas_set_num_threads(MAX(threads, 1));
    else if (bli_thread_set_num_threads)
        bli_thread_set_num_threads(MAX(threads, 1));
}

int layers_threads(void) {
    if (openblas_get_num_threads) return openblas_get_num_threads();
    return bli_thread_get_num_threads ? MAX(1, (int)bli_thread_get_num_threads()) : 1;
}

const char *layers_describe_blas(void) {
    static char text[128];
    if (openblas_get_config) {
        g_auto(GStrv) words = g_strsplit(openblas_get_config(), " ", 3); /* name, version, how it was built */
        g_snprintf(text, sizeof text, "%s %s, %s kernels, threads: %d", words[0], words[1],
                   openblas_get_corename(), openblas_get_num_threads());
    } else if (bli_info_get_version_str) {
        g_snprintf(text, sizeof text, "BLIS %s, threads: %d", bli_info_get_version_str(),
                   (int)bli_thread_get_num_threads());
    } else {
        g_snprintf(text, sizeof text, "BLAS of one thread");
    }
    return text;
}
