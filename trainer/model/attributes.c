/* attributes: owns how the attributes of a segment are measured and their vectors computed. It counts in
 * packed bytes. Refuses nothing: an attribute that does not vary, or that the latents do not tell, has no
 * vector. */
#include "trainer/model/attributes.h"

#include <math.h>
#include <string.h>

enum { MAX_STRIDE = 16 };

static const struct {
    const char *name, *unit;
} kinds[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_DENSITY] = {"density", "notes a beat"},
    [ATTRIBUTE_REGISTER] = {"register", "semitones"},
    [ATTRIBUTE_POLYPHONY] = {"polyphony", "keys at once"},
    [ATTRIBUTE_DRUMS] = {"drums", "strokes a beat"},
};

const char *attribute_name(attribute_t attribute) { return kinds[attribute].name; }
const char *attribute_unit(attribute_t attribute) { return kinds[attribute].unit; }

static gboolean is_drums(const grid_t *grid, size_t track) { return grid->roles[track] == ROLE_DRUMS; }

static gboolean has_track(const grid_t *grid, gboolean drums) {
    for (size_t k = 0; k < (size_t)grid->n_tracks; k++)
        if (is_drums(grid, k) == drums) return TRUE;
    return FALSE;
}

gboolean attribute_exists(attribute_t attribute, const grid_t *grid) {
    return has_track(grid, attribute == ATTRIBUTE_DRUMS);
}

/* ---- counting ---- */

typedef struct {
    size_t keys, frames;   /* sounding keys, all pitched tracks merged; frames with any */
    size_t cells, sum;     /* sounding keys of all frames and pitched tracks; the sum of their numbers */
    size_t begun, strokes; /* notes begun in pitched tracks, in drums */
} counts_t;

/* Keys that begin in byte i of a frame's row; before: the row of the frame before. */
static uint8_t onsets(const attribute_span_t *span, const uint8_t *row, const uint8_t *before, size_t stride,
                      size_t i) {
    if (span->planes == ROLL_PLANES) return row[stride * PLANE_ONSET + i];
    return (uint8_t)(row[i] & ~(before ? before[i] : 0));
}

static void add_keys(uint8_t byte, size_t i, counts_t *counts) {
    for (unsigned left = byte; left; left &= left - 1) {
        counts->sum += 8 * i + (size_t)__builtin_ctz(left);
        counts->cells++;
    }
}

/* Counts frame t of the span; before: the frame before it or NULL. */
static void count_frame(const attribute_span_t *span, size_t t, const uint8_t *before, counts_t *counts) {
    const grid_t *grid = span->grid;
    const size_t stride = roll_stride((size_t)grid->pitches), row = span->planes * stride,
                 tracks = (size_t)grid->n_tracks;
    const uint8_t *frame = span->bits + t * tracks * row;
    uint8_t merged[MAX_STRIDE] = {0};
    for (size_t k = 0; k < tracks; k++) {
        for (size_t i = 0; i < stride; i++) {
            const uint8_t sounding = frame[k * row + i],
                          fresh = onsets(span, frame + k * row, before ? before + k * row : NULL, stride, i);
            const size_t count = (size_t)__builtin_popcount(fresh);
            if (is_drums(grid, k)) {
                counts->strokes += count;
                continue;
            }
            merged[i] |= sounding;
            counts->begun += count;
            add_keys(sounding, i, counts);
        }
    }
    const size_t keys = roll_count_bits(merged, stride);
    counts->keys += keys;
    counts->frames += keys > 0;
}

static double ratio(size_t a, size_t b) { return b > 0 ? (double)a / (double)b : 0; }

gboolean attribute_measure(const attribute_span_t *span, double *values) {
    const grid_t *grid = span->grid;
    const size_t frame_bytes = (size_t)grid->n_tracks * span->planes * roll_stride((size_t)grid->pitches);
    const double beats = (double)span->frames / (double)grid->steps_per_beat;
    counts_t counts = {0};
    for (size_t t = 0; t < span->frames; t++)
        count_frame(span, t, t > 0 ? span->bits + (t - 1) * frame_bytes : span->before, &counts);
    values[ATTRIBUTE_DENSITY] = (double)counts.begun / beats;
    values[ATTRIBUTE_REGISTER] = counts.cells > 0 ? grid->pitch_low + ratio(counts.sum, counts.cells) : 0;
    values[ATTRIBUTE_POLYPHONY] = ratio(counts.keys, counts.frames);
    values[ATTRIBUTE_DRUMS] = (double)counts.strokes / beats;
    return has_track(grid, FALSE) ? counts.cells > 0 : counts.strokes > 0;
}

/* ---- sums ---- */

enum { A = ATTRIBUTE_COUNT };

/* The parts of the sums. */
typedef struct {
    double *count, *values, *changes, *change_products, *mu, *variance, *cross, *mu_products;
} parts_t;

static parts_t parts_of(const attribute_moments_t *moments) {
    const size_t Z = moments->Z;
    parts_t parts = {.count = moments->sums};
    parts.values = parts.count + 1;
    parts.changes = parts.values + A;
    parts.change_products = parts.changes + A;
    parts.mu = parts.change_products + A * A;
    parts.variance = parts.mu + Z;
    parts.cross = parts.variance + Z;
    parts.mu_products = parts.cross + A * Z;
    return parts;
}

static double *new_doubles(size_t n, size_t Z, GError **error) {
    double *values = g_try_new0(double, n);
    if (!values)
        g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY,
                    "attributes: cannot allocate the products of %zu latent units", Z);
    return values;
}

gboolean attribute_moments_init(attribute_moments_t *moments, size_t Z, GError **error) {
    *moments = (attribute_moments_t){.Z = Z, .n = 1 + 2 * A + A * A + 2 * Z + A * Z + Z * Z};
    return (moments->sums = new_doubles(moments->n, Z, error)) != NULL;
}

void attribute_moments_clear(attribute_moments_t *moments) { g_clear_pointer(&moments->sums, g_free); }

void attribute_moments_add(attribute_moments_t *moments, const real_t *mu, const real_t *logvar,
                           const double *values, const double *changes) {
    const size_t Z = moments->Z;
    const parts_t parts = parts_of(moments);
    parts.count[0]++;
    for (size_t a = 0; a < A; a++) {
        parts.values[a] += values[a];
        parts.changes[a] += changes[a];
        for (size_t b = 0; b < A; b++) parts.change_products[a * A + b] += changes[a] * changes[b];
        for (size_t i = 0; i < Z; i++) parts.cross[a * Z + i] += changes[a] * (double)mu[i];
    }
    for (size_t i = 0; i < Z; i++) {
        parts.mu[i] += (double)mu[i];
        parts.variance[i] += exp((double)logvar[i]);
        for (size_t j = 0; j < Z; j++) parts.mu_products[i * Z + j] += (double)mu[i] * (double)mu[j];
    }
}

double attribute_moments_count(const attribute_moments_t *moments) { return moments->sums[0]; }

/* ---- vectors ---- */

/* Cholesky: M [n, n], symmetric and positive definite, gets L in its lower half, where M = L L^T. */
static void factorise(double *M, size_t n) {
    for (size_t j = 0; j < n; j++) {
        for (size_t i = j; i < n; i++) {
            double sum = M[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= M[i * n + k] * M[j * n + k];
            M[i * n + j] = i == j ? sqrt(sum) : sum / M[j * n + j];
        }
    }
}

/* Replaces x [n] by M^-1 x. */
static void solve(const double *L, size_t n, double *x) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) x[i] -= L[i * n + k] * x[k];
        x[i] /= L[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) x[i] -= L[k * n + i] * x[k];
        x[i] /= L[i * n + i];
    }
}

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* The attributes that get a vector, and their statistics. */
typedef struct {
    size_t m, Z;
    attribute_t kinds[A];
    double mean[A], change[A], sd[A]; /* of the attribute; mean and sd of its changes */
    double inverse[A * A];            /* [m, m] of R + ridge A (attributes.h) */
    double *covariance;               /* [Z, Z] of latents drawn from the posteriors, factorised */
    double *cross;                    /* [m, Z] covariance with the latents' means, of changes in sd */
    double *weights;                  /* [m, Z] of the linear readings */
    double *vector, *reading;         /* [Z] scratch */
} fit_t;

static void fit_clear(fit_t *fit) {
    double *const blocks[] = {fit->covariance, fit->cross, fit->weights, fit->vector, fit->reading};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) g_free(blocks[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(fit_t, fit_clear)

static void choose(fit_t *fit, const parts_t *parts, const grid_t *grid) {
    const double count = parts->count[0];
    for (size_t a = 0; a < A; a++) {
        const double change = parts->changes[a] / count,
                     variance = parts->change_products[a * A + a] / count - change * change;
        if (!attribute_exists((attribute_t)a, grid) || !(variance > 1e-9 * (1 + change * change))) continue;
        fit->kinds[fit->m] = (attribute_t)a;
        fit->mean[fit->m] = parts->values[a] / count;
        fit->change[fit->m] = change;
        fit->sd[fit->m++] = sqrt(variance);
    }
}

/* Computes covariance, cross and weights. */
static void read_latents(fit_t *fit, const parts_t *parts) {
    const size_t Z = fit->Z;
    const double count = parts->count[0];
    for (size_t i = 0; i < Z; i++)
        for (size_t j = 0; j < Z; j++)
            fit->covariance[i * Z + j] = parts->mu_products[i * Z + j] / count -
                                         parts->mu[i] / count * (parts->mu[j] / count) +
                                         (i == j ? parts->variance[i] / count : 0);
    factorise(fit->covariance, Z);
    for (size_t a = 0; a < fit->m; a++) {
        double *cross = fit->cross + a * Z, *weights = fit->weights + a * Z;
        for (size_t i = 0; i < Z; i++)
            cross[i] = (parts->cross[fit->kinds[a] * Z + i] / count - fit->change[a] * parts->mu[i] / count) /
                       fit->sd[a];
        memcpy(weights, cross, Z * sizeof *weights);
        solve(fit->covariance, Z, weights);
    }
}

/* Computes the inverse; its ridge limits the effect of attributes that the latents hardly tell. */
static void relate(fit_t *fit, const parts_t *parts) {
    const size_t m = fit->m, Z = fit->Z;
    double related[A * A];
    for (size_t a = 0; a < m; a++) {
        for (size_t b = 0; b < m; b++) {
            const double product =
                parts->change_products[fit->kinds[a] * A + fit->kinds[b]] / parts->count[0];
            const double correlation =
                (product - fit->change[a] * fit->change[b]) / (fit->sd[a] * fit->sd[b]);
            related[a * m + b] = dot(fit->weights + a * Z, fit->cross + b * Z, Z) +
                                 ATTRIBUTES_RIDGE * (a == b ? 1 + 1e-6 : correlation);
            fit->inverse[a * m + b] = a == b;
        }
    }
    factorise(related, m);
    for (size_t a = 0; a < m; a++) solve(related, m, fit->inverse + a * m);
}

/* Row a of inverse, times rows [m, Z]: cross or weights. */
static void combine(const fit_t *fit, size_t a, const double *rows, double *sum) {
    memset(sum, 0, fit->Z * sizeof *sum);
    for (size_t b = 0; b < fit->m; b++)
        for (size_t i = 0; i < fit->Z; i++) sum[i] += fit->inverse[a * fit->m + b] * rows[b * fit->Z + i];
}

static void add_vector(fit_t *fit, size_t a, attributes_t *attributes) {
    const size_t Z = fit->Z;
    const double *weights = fit->weights + a * Z, r2 = dot(weights, fit->cross + a * Z, Z);
    combine(fit, a, fit->cross, fit->vector);
    combine(fit, a, fit->weights, fit->reading);
    const double grows = dot(weights, fit->vector, Z), length = sqrt(dot(fit->vector, fit->reading, Z));
    if (!(r2 >= ATTRIBUTES_LEAST_R2) || !(grows > 0)) return;
    const double scale = MIN(1 / grows, ATTRIBUTES_FARTHEST / length);
    attribute_info_t *info = &attributes->info[attributes->n];
    *info =
        (attribute_info_t){.mean = fit->mean[a], .sd = fit->sd[a], .r2 = MIN(r2, 1), .reach = scale * grows};
    g_strlcpy(info->name, attribute_name(fit->kinds[a]), sizeof info->name);
    g_strlcpy(info->unit, attribute_unit(fit->kinds[a]), sizeof info->unit);
    for (size_t i = 0; i < Z; i++)
        attributes->vectors[attributes->n * Z + i] = (real_t)(scale * fit->vector[i]);
    attributes->n++;
}

gboolean attributes_fit(const attribute_moments_t *moments, const grid_t *grid, attributes_t *attributes,
                        GError **error) {
    const size_t Z = moments->Z, cells = A * Z;
    const parts_t parts = parts_of(moments);
    g_auto(fit_t) fit = {.Z = Z};
    *attributes = (attributes_t){.Z = Z, .vectors = g_new0(real_t, cells)};
    if (!(fit.covariance = new_doubles(Z * Z, Z, error))) return FALSE;
    fit.cross = g_new0(double, cells);
    fit.weights = g_new0(double, cells);
    fit.vector = g_new0(double, Z);
    fit.reading = g_new0(double, Z);
    choose(&fit, &parts, grid);
    read_latents(&fit, &parts);
    relate(&fit, &parts);
    for (size_t a = 0; a < fit.m; a++) add_vector(&fit, a, attributes);
    return TRUE;
}

void attributes_clear(attributes_t *attributes) { g_clear_pointer(&attributes->vectors, g_free); }

size_t attributes_find(const attributes_t *attributes, const char *name) {
    size_t i = 0;
    while (i < attributes->n && !g_str_equal(attributes->info[i].name, name)) i++;
    return i;
}
