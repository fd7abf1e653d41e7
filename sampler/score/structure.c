/* structure: owns self-similarity and fitness. Refuses nothing.
 *
 * Scores D(n, m) of the best family up to unit n with a path that has come to the segment's m-th unit;
 * D(n, 0): with no path open. All of a row but its first two come from the rows before it alone, so they
 * are computed side by side. */
#include "sampler/score/structure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampler/score/tonal.h"
#include "trainer/model/layers.h"

enum { UNIT_BEATS = 2, SMOOTH = 8, KEEP_ONE_IN = 4 };
static const float PENALTY = -2;

/* Units that a segment has. */
static const struct {
    size_t lowest, highest;
} spans[STRUCTURE_SPANS] = {
    [STRUCTURE_SHORT] = {3, 8}, [STRUCTURE_MID] = {8, 15}, [STRUCTURE_LONG] = {15, STRUCTURE_MOST}};

/* ---- self-similarity ---- */

typedef float chroma_t[TONAL_CLASSES];

/* The vector of frames [first, end). */
static void read_unit(const roll_t *roll, const grid_t *grid, size_t first, size_t end, chroma_t unit) {
    double counts[TONAL_CLASSES] = {0}, squares = 0;
    for (size_t t = first; t < end; t++) {
        uint8_t keys[TONAL_MAX_STRIDE];
        tonal_merge_tracks(roll, grid, G_MAXUINT, t, keys);
        tonal_add_plane(keys, grid, counts);
    }
    for (int c = 0; c < TONAL_CLASSES; c++) squares += counts[c] * counts[c];
    for (int c = 0; c < TONAL_CLASSES; c++)
        unit[c] = (float)(squares > 0 ? counts[c] / sqrt(squares) : sqrt(1.0 / TONAL_CLASSES));
}

/* Products of all units with all others, moved up: [N, N]. */
static void multiply(const chroma_t *units, size_t N, int up, float *products) {
    for (size_t n = 0; n < N; n++)
        for (size_t m = 0; m < N; m++) {
            float sum = 0;
            for (int c = 0; c < TONAL_CLASSES; c++)
                sum += units[n][c] * units[m][(c + TONAL_CLASSES - up) % TONAL_CLASSES];
            products[n * N + m] = sum;
        }
}

/* Raises S to the means of products along diagonals, forwards and backwards. */
static void smooth(const float *products, size_t N, float *S) {
    for (size_t n = 0; n < N; n++)
        for (size_t m = 0; m < N; m++) {
            float ahead = 0, behind = 0;
            for (size_t k = 0; k < SMOOTH && MAX(n, m) + k < N; k++) ahead += products[(n + k) * N + m + k];
            for (size_t k = 0; k < SMOOTH && k <= MIN(n, m); k++) behind += products[(n - k) * N + m - k];
            S[n * N + m] = fmaxf(S[n * N + m], fmaxf(ahead, behind) / SMOOTH);
        }
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Keeps the largest quarter, stretched to 0 .. 1. */
static void enhance(float *S, size_t N) {
    const size_t cells = N * N;
    g_autofree float *sorted = g_memdup2(S, cells * sizeof *S);
    qsort(sorted, cells, sizeof *sorted, ascending);
    const float least = sorted[MIN(cells - 1, cells - cells / KEEP_ONE_IN)], most = sorted[cells - 1];
    for (size_t i = 0; i < cells; i++)
        S[i] = S[i] < least ? PENALTY : most > least ? (S[i] - least) / (most - least) : 1;
    for (size_t n = 0; n < N; n++) S[n * N + n] = 1;
}

float *structure_similarity(const roll_t *roll, const grid_t *grid, size_t *N) {
    const size_t unit = UNIT_BEATS * (size_t)grid->steps_per_beat,
                 frames = MIN(roll_sounding_end(roll), STRUCTURE_MOST * unit);
    *N = (frames + unit - 1) / unit;
    if (*N == 0) return NULL;
    g_autofree chroma_t *units = g_new(chroma_t, *N);
    g_autofree float *products = g_new(float, *N **N);
    float *S = g_new0(float, *N **N);
    for (size_t n = 0; n < *N; n++) read_unit(roll, grid, n * unit, MIN((n + 1) * unit, frames), units[n]);
    for (int up = 0; up < TONAL_CLASSES; up++) {
        multiply((const chroma_t *)units, *N, up, products);
        smooth(products, *N, S);
    }
    enhance(S, *N);
    return S;
}

/* ---- fitness ---- */

/* Rows of D, each [M + 1]; the two before the first are there, too. Room for any segment. */
typedef struct {
    size_t N, M;
    float *cells;
} scores_t;

static float *row_of(const scores_t *scores, size_t n) { return scores->cells + (n + 2) * (scores->M + 1); }

/* D(n, m) for m = 3 .. M. */
LAYERS_WIDE static void extend_paths(const float *restrict S, const float *restrict last,
                                     const float *restrict before, float *restrict row, size_t M) {
    for (size_t m = 3; m <= M; m++) {
        const float one = last[m - 1], slow = before[m - 1], fast = last[m - 2],
                    straight = one > slow ? one : slow;
        row[m] = S[m - 1] + (straight > fast ? straight : fast);
    }
}

static void fill_scores(const scores_t *scores, const float *S, size_t first) {
    const size_t N = scores->N, M = scores->M;
    for (size_t i = 0; i < 2 * (M + 1); i++) scores->cells[i] = -INFINITY;
    scores->cells[M + 1] = 0; /* the family that has no path yet */
    for (size_t n = 0; n < N; n++) {
        const float *similar = S + n * N + first, *last = row_of(scores, n) - (M + 1),
                    *before = last - (M + 1);
        float *row = row_of(scores, n);
        row[0] = fmaxf(last[0], last[M]);
        row[1] = row[0] + similar[0];
        if (M >= 2) row[2] = similar[1] + fmaxf(last[1], before[1]);
        extend_paths(similar, last, before, row, M);
    }
}

/* Follows the best family back: its cells and the units that it covers. */
static void trace(const scores_t *scores, size_t *length, size_t *covered) {
    const size_t M = scores->M;
    size_t n = scores->N - 1, end = n, m = row_of(scores, n)[M] >= row_of(scores, n)[0] ? M : 0;
    *length = *covered = 0;
    for (;;) {
        const float *last = row_of(scores, n) - (M + 1), *before = last - (M + 1);
        if (m == 0) {
            if (n-- == 0) return;
            m = last[M] > last[0] ? M : 0;
            end = n;
            continue;
        }
        ++*length;
        if (m == 1) {
            *covered += end - n + 1;
            m = 0;
        } else if (last[m - 1] >= before[m - 1] && (m == 2 || last[m - 1] >= last[m - 2])) {
            n--, m--;
        } else if (m == 2 || before[m - 1] >= last[m - 2]) {
            n -= 2, m--;
        } else {
            n--, m -= 2;
        }
    }
}

static double fitness(const scores_t *scores, const float *S, size_t first) {
    const size_t N = scores->N, M = scores->M;
    size_t length, covered;
    fill_scores(scores, S, first);
    trace(scores, &length, &covered);
    if (covered <= M) return 0;
    const double score = fmaxf(row_of(scores, N - 1)[0], row_of(scores, N - 1)[M]),
                 sigma = (score - (double)M) / (double)length, gamma = (double)(covered - M) / (double)N;
    return sigma > 0 ? 2 * sigma * gamma / (sigma + gamma) : 0;
}

double structure_fitness(const float *S, size_t N, size_t first, size_t M) {
    g_autofree float *cells = g_new(float, (N + 2) * (M + 1));
    return fitness(&(scores_t){N, M, cells}, S, first);
}

/* No segment of M units is fitter than one whose repetitions are exact and cover everything. */
static double fittest(size_t N, size_t M) {
    const double gamma = (double)(N - M) / (double)N;
    return 2 * gamma / (1 + gamma);
}

void structure_measure(const roll_t *roll, const grid_t *grid, double indicators[STRUCTURE_SPANS]) {
    size_t N;
    g_autofree float *S = structure_similarity(roll, grid, &N);
    g_autofree float *cells = g_new(float, (N + 2) * (N + 1));
    for (size_t span = 0; span < STRUCTURE_SPANS; span++) {
        double *most = &indicators[span];
        *most = N < spans[span].lowest ? NAN : 0;
        for (size_t M = spans[span].lowest; M <= MIN(spans[span].highest, N) && fittest(N, M) > *most; M++)
            for (size_t first = 0; first + M <= N; first++)
                *most = fmax(*most, fitness(&(scores_t){N, M, cells}, S, first));
    }
}
