/* piece_bound: owns the passes over pieces: forced along the true frames once and with particles, and left to
 * itself with the latents alone. Pieces go side by side through one stream, so that products of matrices have
 * many rows; the shortest leave first. Weights are logarithms in double. */
#include "trainer/evaluate/piece_bound.h"

#include <math.h>
#include <string.h>

#include "trainer/model/stream.h"
#include "trainer/model/vae_sequence.h"

enum {
    PARTICLE_ROWS = 256,
    REBUILT = 0,
    FLOOR = 1,
    PATHS = 2
}; /* PARTICLE_ROWS: pieces are taken together up to so many particles */

struct figures {
    const model_config_t *config;
    size_t Z, S, K, frame_bytes;
    gboolean bound;
    uint64_t seed;
    stream_t *stream;
    size_t max_segments, first[PIECE_BOUND_PIECES]; /* room in mu and logvar; where a piece's begin */
    real_t *mu, *logvar; /* [max_segments, Z]: posterior of the pieces' segments, one piece after the other */
    real_t *prior_mu, *prior_logvar, *eps, *z; /* [rows, Z] */
    double *nll, *log_w; /* [rows]: of a frame; of the particle since it was last resampled */
    uint8_t *frames;     /* [rows, frame bytes] */
    uint32_t *parents;   /* [rows] */
    head_rule_t greedy[PATHS * PIECE_BOUND_PIECES];
};

/* A pass over pieces side by side, `rows` rows each: piece i has rows [i rows, (i + 1) rows) of the stream.
 */
typedef struct {
    piece_bound_t *figures;
    const piece_bound_piece_t *pieces;
    const size_t *first; /* of figures->first */
    piece_bound_result_t *results;
    size_t n, rows, t; /* pieces under way, frames done */
    piece_bound_tick_t tick;
    void *context;
    gboolean stopped;
} walk_t;

piece_bound_t *piece_bound_new(model_t *model, int particles, uint64_t seed, GError **error) {
    g_autoptr(piece_bound_t) figures = g_new0(piece_bound_t, 1);
    figures->config = model_config(model);
    figures->bound = particles > 0;
    figures->seed = seed;
    figures->S = figures->config->sequence.segment;
    figures->frame_bytes = model_frame_bytes(figures->config);
    const size_t Z = figures->Z = figures->config->latent, K = figures->K = Z ? (size_t)particles : 0;
    const size_t rows = MAX(PATHS * PIECE_BOUND_PIECES, MAX(K, MIN(PARTICLE_ROWS, PIECE_BOUND_PIECES * K)));
    if (!(figures->stream = stream_new(model, rows, error))) return NULL;
    real_t **const latents[] = {&figures->prior_mu, &figures->prior_logvar, &figures->eps, &figures->z};
    for (size_t i = 0; i < G_N_ELEMENTS(latents); i++) *latents[i] = g_new0(real_t, rows * Z);
    figures->nll = g_new0(double, rows);
    figures->log_w = g_new0(double, rows);
    figures->frames = g_malloc0(rows * figures->frame_bytes);
    figures->parents = g_new0(uint32_t, rows);
    for (size_t i = 0; i < G_N_ELEMENTS(figures->greedy); i++) figures->greedy[i].temperature = 1;
    return g_steal_pointer(&figures);
}

void piece_bound_free(piece_bound_t *figures) {
    if (!figures) return;
    stream_free(figures->stream);
    void *const buffers[] = {figures->mu,     figures->logvar, figures->prior_mu, figures->prior_logvar,
                             figures->eps,    figures->z,      figures->nll,      figures->log_w,
                             figures->frames, figures->parents};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(figures);
}

size_t piece_bound_rows_a_frame(const piece_bound_t *figures) {
    return figures->Z ? 1 + PATHS + figures->K : 1;
}

static size_t segments_of(const piece_bound_t *figures, const piece_bound_piece_t *piece) {
    return (piece->frames + figures->S - 1) / figures->S;
}

/* Posteriors of all pieces, and their means to moments. */
static void encode(piece_bound_t *figures, const piece_bound_piece_t *pieces, size_t n, double *moments) {
    const size_t Z = figures->Z;
    size_t segments = 0;
    for (size_t i = 0; i < n; i++) {
        figures->first[i] = segments;
        segments += segments_of(figures, &pieces[i]);
    }
    if (segments > figures->max_segments) {
        figures->max_segments = segments;
        figures->mu = g_renew(real_t, figures->mu, segments * Z);
        figures->logvar = g_renew(real_t, figures->logvar, segments * Z);
    }
    for (size_t i = 0; i < n; i++)
        stream_encode(figures->stream, pieces[i].bits, pieces[i].frames, figures->mu + figures->first[i] * Z,
                      figures->logvar + figures->first[i] * Z);
    for (size_t i = 0; i < segments * Z; i++) {
        const double mu = (double)figures->mu[i];
        moments[i % Z] += mu;
        moments[Z + i % Z] += mu * mu;
    }
}

static void keep_rows(walk_t *walk) {
    for (size_t row = 0; row < walk->n * walk->rows; row++) walk->figures->parents[row] = (uint32_t)row;
}

static void walk_start(walk_t *walk) {
    walk->t = 0;
    stream_start(walk->figures->stream, walk->n * walk->rows);
}

/* TRUE where there is another frame: finished pieces have left then. FALSE at the end, or where tick said to
 * stop. */
static gboolean walk_on(walk_t *walk) {
    const size_t before = walk->n, S = walk->figures->S;
    while (walk->n > 0 && walk->pieces[walk->n - 1].frames <= walk->t) walk->n--;
    if (walk->n == 0) return FALSE;
    if (walk->n < before) {
        keep_rows(walk);
        stream_select(walk->figures->stream, walk->figures->parents, walk->n * walk->rows);
    }
    if (walk->t % S != 0 || !walk->tick) return TRUE;
    size_t frames = 0;
    for (size_t i = 0; i < walk->n; i++) frames += MIN(S, walk->pieces[i].frames - walk->t);
    walk->stopped = !walk->tick(frames * walk->rows, walk->context);
    return !walk->stopped;
}

static gboolean begins_segment(const walk_t *walk) {
    return walk->figures->Z > 0 && walk->t % walk->figures->S == 0;
}
/* Where the posterior of piece i's segment under way stands in mu and logvar. */
static size_t posterior_at(const walk_t *walk, size_t i) {
    return (walk->first[i] + walk->t / walk->figures->S) * walk->figures->Z;
}

/* Each row's latent from the posterior of its piece's segment, and the prior there. */
static void draw_latents(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    const size_t Z = figures->Z;
    for (size_t row = 0; row < walk->n * walk->rows; row++) {
        const size_t i = row / walk->rows, at = posterior_at(walk, i);
        const rng_t rng = rng_make(figures->seed, RNG_EVALUATE, row % walk->rows,
                                   walk->pieces[i].segment + walk->t / figures->S);
        rng_normal(&rng, figures->eps + row * Z, Z);
        for (size_t j = 0; j < Z; j++)
            figures->z[row * Z + j] =
                (real_t)((double)figures->mu[at + j] +
                         exp((double)figures->logvar[at + j] / 2) * (double)figures->eps[row * Z + j]);
    }
    stream_prior(figures->stream, figures->prior_mu, figures->prior_logvar);
    stream_set_latent(figures->stream, figures->z);
}

/* Every row goes on by its piece's true frame. */
static void force_frame(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    const size_t bytes = figures->frame_bytes;
    for (size_t row = 0; row < walk->n * walk->rows; row++)
        memcpy(figures->frames + row * bytes, walk->pieces[row / walk->rows].bits + walk->t * bytes, bytes);
    stream_force(figures->stream, figures->frames, FALSE, figures->nll);
}

/* One draw a segment: nll, and the KL divergence from the prior that the draws before lead to. */
static void add_likelihood(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    for (walk_start(walk); walk_on(walk); walk->t++) {
        if (begins_segment(walk)) {
            draw_latents(walk);
            for (size_t i = 0; i < walk->n; i++) {
                const size_t at = posterior_at(walk, i), row = i * figures->Z;
                double kl;
                sequence_kl(figures->mu + at, figures->logvar + at, figures->prior_mu + row,
                            figures->prior_logvar + row, &kl, 1, figures->Z);
                walk->results[i].kl += kl;
            }
        }
        force_frame(walk);
        for (size_t i = 0; i < walk->n; i++) walk->results[i].nll += figures->nll[i];
    }
}

/* log p(z | past) - log q(z | segment) of a row's latent; the constants of both normal densities cancel. */
static double log_ratio(const walk_t *walk, size_t row) {
    const piece_bound_t *figures = walk->figures;
    const real_t *logvar = figures->logvar + posterior_at(walk, row / walk->rows);
    double sum = 0;
    for (size_t j = 0; j < figures->Z; j++) {
        const size_t at = row * figures->Z + j;
        const double eps = (double)figures->eps[at],
                     distance = (double)figures->z[at] - (double)figures->prior_mu[at];
        sum += (double)logvar[j] + eps * eps - (double)figures->prior_logvar[at] -
               distance * distance * exp(-(double)figures->prior_logvar[at]);
    }
    return sum / 2;
}

/* log of the mean of the K weights; where not NULL, the effective sample size (sum w)^2 / sum w^2. */
static double log_mean(const double *log_w, size_t K, double *effective) {
    double most = log_w[0], sum = 0, squares = 0;
    for (size_t k = 1; k < K; k++) most = MAX(most, log_w[k]);
    for (size_t k = 0; k < K; k++) {
        const double w = exp(log_w[k] - most);
        sum += w;
        squares += w * w;
    }
    if (effective) *effective = sum * sum / squares;
    return most + log(sum / (double)K);
}

/* Systematic resampling (Carpenter et al. 1999): particle j's parent is where (j + u) / K falls among the
 * cumulative weights. */
static void resample(const double *log_w, size_t K, double log_mean_w, double u, uint32_t first,
                     uint32_t *parents) {
    double cumulative = exp(log_w[0] - log_mean_w); /* K in all */
    uint32_t parent = 0;
    for (size_t j = 0; j < K; j++) {
        while (cumulative <= (double)j + u && parent + 1 < K) cumulative += exp(log_w[++parent] - log_mean_w);
        parents[j] = first + parent;
    }
}

/* At a segment's end: pieces that go on with too few effective particles. */
static void resample_pieces(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    const size_t K = walk->rows, segment = walk->t / figures->S;
    gboolean any = FALSE;
    keep_rows(walk);
    for (size_t i = 0; i < walk->n; i++) {
        double *log_w = figures->log_w + i * K, effective;
        const double mean = log_mean(log_w, K, &effective);
        if (walk->pieces[i].frames == walk->t + 1 || !(effective < (double)K / 2)) continue;
        const rng_t rng = rng_make(figures->seed, RNG_RESAMPLE, 0, walk->pieces[i].segment + segment);
        resample(log_w, K, mean, rng_uniform(&rng, 0), (uint32_t)(i * K), figures->parents + i * K);
        walk->results[i].bound -= mean;
        for (size_t k = 0; k < K; k++) log_w[k] = 0;
        any = TRUE;
    }
    if (any) stream_select(figures->stream, figures->parents, walk->n * K);
}

static void add_bound(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    const size_t K = walk->rows;
    memset(figures->log_w, 0, walk->n * K * sizeof *figures->log_w);
    for (walk_start(walk); walk_on(walk); walk->t++) {
        const size_t rows = walk->n * K;
        if (begins_segment(walk)) {
            draw_latents(walk);
            for (size_t row = 0; row < rows; row++) figures->log_w[row] += log_ratio(walk, row);
        }
        force_frame(walk);
        for (size_t row = 0; row < rows; row++) figures->log_w[row] -= figures->nll[row];
        for (size_t i = 0; i < walk->n; i++)
            if (walk->pieces[i].frames == walk->t + 1)
                walk->results[i].bound -= log_mean(figures->log_w + i * K, K, NULL);
        if ((walk->t + 1) % figures->S == 0) resample_pieces(walk);
    }
}

/* Sounding planes of a true and a drawn frame; bits past the last pitch do not count. */
static void count_cells(const model_config_t *config, const uint8_t *truth, const uint8_t *drawn,
                        piece_bound_cells_t *cells) {
    const size_t stride = roll_stride(config->pitches);
    const unsigned last = 0xFFU >> (8 * stride - config->pitches);
    int hits = 0, found = 0, sounding = 0;
    for (size_t k = 0; k < config->tracks; k++) {
        const size_t plane = (k * config->planes + PLANE_SOUNDING) * stride;
        for (size_t i = 0; i < stride; i++) {
            const unsigned mask = i + 1 < stride ? 0xFFU : last, a = truth[plane + i] & mask,
                           b = drawn[plane + i] & mask;
            hits += __builtin_popcount(a & b);
            found += __builtin_popcount(b);
            sounding += __builtin_popcount(a);
        }
    }
    cells->hits += hits;
    cells->false_alarms += found - hits;
    cells->misses += sounding - hits;
}

/* Two greedy paths a piece that never see it: latents at the posterior's means, and at the means of the prior
 * that the path itself leads to. */
static void add_rebuilt(walk_t *walk) {
    piece_bound_t *figures = walk->figures;
    const size_t Z = figures->Z, bytes = figures->frame_bytes;
    for (walk_start(walk); walk_on(walk); walk->t++) {
        if (begins_segment(walk)) {
            stream_prior(figures->stream, figures->z, figures->prior_logvar);
            for (size_t i = 0; i < walk->n; i++)
                memcpy(figures->z + (i * PATHS + REBUILT) * Z, figures->mu + posterior_at(walk, i),
                       Z * sizeof *figures->z);
            stream_set_latent(figures->stream, figures->z);
        }
        stream_draw(figures->stream, figures->greedy, figures->frames);
        for (size_t i = 0; i < walk->n; i++) {
            const uint8_t *truth = walk->pieces[i].bits + walk->t * bytes,
                          *drawn = figures->frames + i * PATHS * bytes;
            count_cells(figures->config, truth, drawn + REBUILT * bytes, &walk->results[i].rebuilt);
            count_cells(figures->config, truth, drawn + FLOOR * bytes, &walk->results[i].floor);
        }
    }
}

gboolean piece_bound_run(piece_bound_t *figures, const piece_bound_piece_t *pieces, size_t n,
                         piece_bound_result_t *results, double *moments, piece_bound_tick_t tick,
                         void *context) {
    g_assert(n >= 1 && n <= PIECE_BOUND_PIECES);
    const walk_t all = {.figures = figures,
                        .pieces = pieces,
                        .first = figures->first,
                        .results = results,
                        .n = n,
                        .rows = 1,
                        .tick = tick,
                        .context = context};
    memset(results, 0, n * sizeof *results);
    if (figures->Z) encode(figures, pieces, n, moments);
    walk_t walk = all;
    add_likelihood(&walk);
    if (figures->Z && !walk.stopped) {
        walk = all;
        walk.rows = PATHS;
        add_rebuilt(&walk);
    }
    const size_t together = figures->K ? CLAMP(PARTICLE_ROWS / figures->K, 1, PIECE_BOUND_PIECES) : 0;
    for (size_t begin = 0; together && begin < n && !walk.stopped; begin += together) {
        walk = all;
        walk.rows = figures->K;
        walk.n = MIN(together, n - begin);
        walk.pieces += begin;
        walk.first += begin;
        walk.results += begin;
        add_bound(&walk);
    }
    for (size_t i = 0; i < n && figures->bound && !figures->Z; i++) results[i].bound = results[i].nll;
    return !walk.stopped;
}
