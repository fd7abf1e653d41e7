/* piece_bound: owns the passes over pieces: forced along the true frames, once and with particles, and
 * generating freely from the latents alone. Pieces go side by side through one stream, so that matrix
 * products have many rows; the shortest leave first. Weights are logarithms in double. */
#include "trainer/evaluate/piece_bound.h"

#include <math.h>
#include <string.h>

#include "trainer/model/rebuild.h"
#include "trainer/model/resample.h"
#include "trainer/model/vae_sequence.h"

enum { PARTICLE_ROWS = 256 };   /* pieces go side by side up to so many particles */
enum { REBUILT, FLOOR, PATHS }; /* drawn from a piece's own latents, from the prior's */

struct piece_bound {
    const model_config_t *config;
    size_t Z, S, K, frame_bytes;
    size_t draws;     /* of a segment of a piece that is rebuilt */
    gboolean bounded; /* there are particles */
    uint64_t seed;
    stream_t *stream;
    size_t max_segments, first[PIECE_BOUND_PIECES]; /* room in mu and logvar; a piece's first segment */
    real_t *mu, *logvar; /* [max_segments, Z]: posterior of the pieces' segments, one piece after the other */
    real_t *prior_mu, *prior_logvar, *eps, *z; /* [rows, Z] */
    double *nll, *log_w; /* [rows]: of a frame; of the particle since it was last resampled */
    uint8_t *frames;     /* [rows, frame bytes] */
    uint32_t *parents;   /* [rows] */
    rebuild_t *rebuild;
    uint8_t *last; /* [paths of all pieces, frame bytes]: before the segment under way */
};

/* A pass over pieces side by side; piece i has rows [i rows, (i + 1) rows) of the stream. */
typedef struct {
    piece_bound_t *bound;
    const piece_bound_piece_t *pieces;
    const size_t *first; /* points into bound->first */
    piece_bound_result_t *results;
    size_t n, rows, t; /* pieces under way, frames done */
    piece_bound_tick_t tick;
    void *context;
    gboolean stopped;
} walk_t;

piece_bound_t *piece_bound_new(model_t *model, int particles, int draws, uint64_t seed, GError **error) {
    g_autoptr(piece_bound_t) bound = g_new0(piece_bound_t, 1);
    bound->config = model_config(model);
    bound->bounded = particles > 0;
    bound->seed = seed;
    bound->S = bound->config->sequence.segment;
    bound->frame_bytes = model_frame_bytes(bound->config);
    const size_t Z = bound->Z = bound->config->latent, K = bound->K = Z ? (size_t)particles : 0;
    bound->draws = (size_t)draws;
    const size_t rebuilt = PIECE_BOUND_PIECES * PATHS * bound->draws,
                 rows = MAX(rebuilt, MAX(K, MIN(PARTICLE_ROWS, PIECE_BOUND_PIECES * K)));
    if (!(bound->stream = stream_new(model, rows, error))) return NULL;
    real_t **const latents[] = {&bound->prior_mu, &bound->prior_logvar, &bound->eps, &bound->z};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++) *latents[i] = g_new0(real_t, rows * Z);
    bound->nll = g_new0(double, rows);
    bound->log_w = g_new0(double, rows);
    bound->frames = g_malloc0(rows * bound->frame_bytes);
    bound->parents = g_new0(uint32_t, rows);
    bound->rebuild = Z ? rebuild_new(model, bound->stream, rebuilt) : NULL;
    bound->last = g_malloc0(PIECE_BOUND_PIECES * PATHS * bound->frame_bytes);
    return g_steal_pointer(&bound);
}

void piece_bound_free(piece_bound_t *bound) {
    if (!bound) return;
    rebuild_free(bound->rebuild);
    stream_free(bound->stream);
    void *const buffers[] = {bound->mu,     bound->logvar,  bound->prior_mu, bound->prior_logvar,
                             bound->eps,    bound->z,       bound->nll,      bound->log_w,
                             bound->frames, bound->parents, bound->last};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(bound);
}

size_t piece_bound_rows_a_frame(const piece_bound_t *bound) {
    return bound->Z ? 1 + PATHS * bound->draws + bound->K : 1;
}

static size_t segments_of(const piece_bound_t *bound, const piece_bound_piece_t *piece) {
    return (piece->frames + bound->S - 1) / bound->S;
}

/* Encodes all pieces, and adds their posterior means to moments. */
static void encode(piece_bound_t *bound, const piece_bound_piece_t *pieces, size_t n, double *moments) {
    const size_t Z = bound->Z;
    size_t segments = 0;
    for (size_t i = 0; i < n; i++) {
        bound->first[i] = segments;
        segments += segments_of(bound, &pieces[i]);
    }
    if (segments > bound->max_segments) {
        bound->max_segments = segments;
        bound->mu = g_renew(real_t, bound->mu, segments * Z);
        bound->logvar = g_renew(real_t, bound->logvar, segments * Z);
    }
    for (size_t i = 0; i < n; i++)
        stream_encode(bound->stream, pieces[i].bits, pieces[i].frames, bound->mu + bound->first[i] * Z,
                      bound->logvar + bound->first[i] * Z);
    active_units_add(moments, bound->mu, segments, Z);
}

static void keep_rows(walk_t *walk) {
    for (size_t row = 0; row < walk->n * walk->rows; row++) walk->bound->parents[row] = (uint32_t)row;
}

static void walk_start(walk_t *walk) {
    walk->t = 0;
    stream_start(walk->bound->stream, walk->n * walk->rows);
    for (size_t row = 0; row < walk->n * walk->rows; row++)
        stream_set_meters(walk->bound->stream, row, walk->pieces[row / walk->rows].meters);
}

/* Moves on to the next frame, without finished pieces. FALSE at the end, or if tick said to stop. */
static gboolean walk_on(walk_t *walk) {
    const size_t before = walk->n, S = walk->bound->S;
    while (walk->n > 0 && walk->pieces[walk->n - 1].frames <= walk->t) walk->n--;
    if (walk->n == 0) return FALSE;
    if (walk->n < before) {
        keep_rows(walk);
        stream_select(walk->bound->stream, walk->bound->parents, walk->n * walk->rows);
    }
    if (walk->t % S != 0 || !walk->tick) return TRUE;
    size_t frames = 0;
    for (size_t i = 0; i < walk->n; i++) frames += MIN(S, walk->pieces[i].frames - walk->t);
    walk->stopped = !walk->tick(frames * walk->rows, walk->context);
    return !walk->stopped;
}

static gboolean begins_segment(const walk_t *walk) {
    return walk->bound->Z > 0 && walk->t % walk->bound->S == 0;
}
/* Offset in mu and logvar of the posterior of piece i's current segment. */
static size_t posterior_at(const walk_t *walk, size_t i) {
    return (walk->first[i] + walk->t / walk->bound->S) * walk->bound->Z;
}

/* Draws each row's latent from the posterior of its piece's current segment, and computes the prior there. */
static void draw_latents(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t Z = bound->Z;
    for (size_t row = 0; row < walk->n * walk->rows; row++) {
        const size_t i = row / walk->rows, at = posterior_at(walk, i);
        const rng_t rng = rng_make(bound->seed, RNG_EVALUATE, row % walk->rows,
                                   walk->pieces[i].segment + walk->t / bound->S);
        rng_normal(&rng, bound->eps + row * Z, Z);
        for (size_t j = 0; j < Z; j++)
            bound->z[row * Z + j] =
                (real_t)((double)bound->mu[at + j] +
                         exp((double)bound->logvar[at + j] / 2) * (double)bound->eps[row * Z + j]);
    }
    stream_prior(bound->stream, bound->prior_mu, bound->prior_logvar);
    stream_set_latent(bound->stream, bound->z);
}

/* Advances every row by its piece's true frame. */
static void force_frame(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t bytes = bound->frame_bytes;
    for (size_t row = 0; row < walk->n * walk->rows; row++)
        memcpy(bound->frames + row * bytes, walk->pieces[row / walk->rows].bits + walk->t * bytes, bytes);
    stream_force(bound->stream, bound->frames, FALSE, bound->nll);
}

/* With one draw a segment: nll, and the KL divergence from the prior that the earlier draws lead to. */
static void add_likelihood(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    for (walk_start(walk); walk_on(walk); walk->t++) {
        if (begins_segment(walk)) {
            draw_latents(walk);
            for (size_t i = 0; i < walk->n; i++) {
                const size_t at = posterior_at(walk, i), row = i * bound->Z;
                double kl;
                sequence_kl(bound->mu + at, bound->logvar + at, bound->prior_mu + row,
                            bound->prior_logvar + row, &kl, 1, bound->Z);
                walk->results[i].kl += kl;
            }
        }
        force_frame(walk);
        for (size_t i = 0; i < walk->n; i++) walk->results[i].nll += bound->nll[i];
    }
}

/* log p(z | past) - log q(z | segment) of a row's latent; the constants of both normal densities cancel. */
static double log_ratio(const walk_t *walk, size_t row) {
    const piece_bound_t *bound = walk->bound;
    const real_t *logvar = bound->logvar + posterior_at(walk, row / walk->rows);
    double sum = 0;
    for (size_t j = 0; j < bound->Z; j++) {
        const size_t at = row * bound->Z + j;
        const double eps = (double)bound->eps[at],
                     distance = (double)bound->z[at] - (double)bound->prior_mu[at];
        sum += (double)logvar[j] + eps * eps - (double)bound->prior_logvar[at] -
               distance * distance * exp(-(double)bound->prior_logvar[at]);
    }
    return sum / 2;
}

/* At a segment's end, resamples the pieces that go on and have too few effective particles. */
static void resample_pieces(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t K = walk->rows, segment = walk->t / bound->S;
    gboolean any = FALSE;
    keep_rows(walk);
    for (size_t i = 0; i < walk->n; i++) {
        double *log_w = bound->log_w + i * K, effective;
        const double mean = resample_log_mean(log_w, K, &effective);
        if (walk->pieces[i].frames == walk->t + 1 || !(effective < (double)K / 2)) continue;
        const rng_t rng = rng_make(bound->seed, RNG_RESAMPLE, 0, walk->pieces[i].segment + segment);
        resample_systematic(log_w, K, mean, rng_uniform(&rng, 0), (uint32_t)(i * K), bound->parents + i * K);
        walk->results[i].bound -= mean;
        for (size_t k = 0; k < K; k++) log_w[k] = 0;
        any = TRUE;
    }
    if (any) stream_select(bound->stream, bound->parents, walk->n * K);
}

static void add_bound(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t K = walk->rows;
    memset(bound->log_w, 0, walk->n * K * sizeof *bound->log_w);
    for (walk_start(walk); walk_on(walk); walk->t++) {
        const size_t rows = walk->n * K;
        if (begins_segment(walk)) {
            draw_latents(walk);
            for (size_t row = 0; row < rows; row++) bound->log_w[row] += log_ratio(walk, row);
        }
        force_frame(walk);
        for (size_t row = 0; row < rows; row++) bound->log_w[row] -= bound->nll[row];
        for (size_t i = 0; i < walk->n; i++)
            if (walk->pieces[i].frames == walk->t + 1)
                walk->results[i].bound -= resample_log_mean(bound->log_w + i * K, K, NULL);
        if ((walk->t + 1) % bound->S == 0) resample_pieces(walk);
    }
}

/* ---- pieces from latents alone ---- */

/* Sets the latents of a segment that begins, and in z [pieces, PATHS, Z] one of each path: the posterior's
 * mean, or the mean of the prior that the path itself has led to. */
static void set_path_latents(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t Z = bound->Z, K = bound->draws;
    stream_prior(bound->stream, bound->prior_mu, bound->prior_logvar);
    for (size_t path = 0; path < walk->n * PATHS; path++) {
        const real_t *mu = path % PATHS == REBUILT ? bound->mu + posterior_at(walk, path / PATHS)
                                                   : bound->prior_mu + path * K * Z;
        memcpy(bound->z + path * Z, mu, Z * sizeof *mu);
        for (size_t k = 0; k < K; k++) memcpy(bound->eps + (path * K + k) * Z, mu, Z * sizeof *mu);
    }
    stream_set_latent(bound->stream, bound->eps);
}

/* Compares the segment of each path with the true one. */
static void compare_segments(walk_t *walk, const uint32_t *valid) {
    piece_bound_t *bound = walk->bound;
    const size_t bytes = bound->frame_bytes;
    for (size_t path = 0; path < walk->n * PATHS; path++) {
        piece_bound_result_t *result = &walk->results[path / PATHS];
        const uint8_t *truth = walk->pieces[path / PATHS].bits + walk->t * bytes,
                      *found = rebuild_frames(bound->rebuild, path);
        uint8_t *last = bound->last + path * bytes;
        rebuilt_add(path % PATHS == REBUILT ? &result->rebuilt : &result->floor, bound->config, truth,
                    walk->t > 0 ? truth - bytes : NULL, found, walk->t > 0 ? last : NULL, valid[path]);
        memcpy(last, found + (valid[path] - 1) * bytes, bytes);
    }
}

/* Two paths a piece, which never see its true frames, segment by segment. */
static void add_rebuilt(walk_t *walk) {
    piece_bound_t *bound = walk->bound;
    const size_t D = model_cells(bound->config);
    for (walk_start(walk); walk_on(walk); walk->t += bound->S) {
        rebuild_numbers_t numbers[PIECE_BOUND_PIECES * PATHS];
        uint32_t valid[PIECE_BOUND_PIECES * PATHS];
        for (size_t path = 0; path < walk->n * PATHS; path++) {
            const piece_bound_piece_t *piece = &walk->pieces[path / PATHS];
            valid[path] = (uint32_t)MIN(bound->S, piece->frames - walk->t);
            numbers[path] = (rebuild_numbers_t){.seed = bound->seed,
                                                .epoch = path % PATHS,
                                                .stride = PATHS,
                                                .sample = piece->segment + walk->t / bound->S};
        }
        set_path_latents(walk);
        const size_t longest = MIN(bound->S, walk->pieces[0].frames - walk->t);
        for (size_t t = 0; t < longest; t++) {
            rebuild_draw(bound->rebuild, walk->n * PATHS, bound->draws, numbers, REBUILD_TEMPERATURE);
            for (size_t path = 0; path < walk->n * PATHS; path++) numbers[path].element += D;
        }
        rebuild_keep(bound->rebuild, walk->n * PATHS, bound->draws, bound->z, valid);
        compare_segments(walk, valid);
    }
}

gboolean piece_bound_run(piece_bound_t *bound, const piece_bound_piece_t *pieces, size_t n,
                         piece_bound_result_t *results, double *moments, piece_bound_tick_t tick,
                         void *context) {
    g_assert(n >= 1 && n <= PIECE_BOUND_PIECES);
    const walk_t all = {.bound = bound,
                        .pieces = pieces,
                        .first = bound->first,
                        .results = results,
                        .n = n,
                        .rows = 1,
                        .tick = tick,
                        .context = context};
    memset(results, 0, n * sizeof *results);
    stream_prepare(bound->stream);
    if (bound->Z) encode(bound, pieces, n, moments);
    walk_t walk = all;
    add_likelihood(&walk);
    if (bound->Z && !walk.stopped) {
        walk = all;
        walk.rows = PATHS * bound->draws;
        add_rebuilt(&walk);
    }
    const size_t together = bound->K ? CLAMP(PARTICLE_ROWS / bound->K, 1, PIECE_BOUND_PIECES) : 0;
    for (size_t begin = 0; together && begin < n && !walk.stopped; begin += together) {
        walk = all;
        walk.rows = bound->K;
        walk.n = MIN(together, n - begin);
        walk.pieces += begin;
        walk.first += begin;
        walk.results += begin;
        add_bound(&walk);
    }
    for (size_t i = 0; i < n && bound->bounded && !bound->Z; i++) results[i].bound = results[i].nll;
    return !walk.stopped;
}
