/* validate: owns which pieces of a split are this rank's and how they fill passes: the same at every
 * run, so found once. Sums are double. Refuses nothing. */
#include "trainer/evaluate/validate.h"

#include "trainer/data/batch_order.h"
#include "trainer/evaluate/active_units.h"
#include "trainer/model/vae_sequence.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"

struct piece_evaluator {
    const data_t *data;
    split_t split;
    size_t Z, S, frame_bytes, context;
    uint32_t *pieces;                /* [n], longest first */
    uint32_t *valid;                 /* [n], their frames */
    size_t *first;                   /* [n_passes + 1]: pass i has pieces [first[i], first[i + 1]) */
    size_t n, n_passes, most_passes; /* most: of any rank */
    uint8_t *bits;                   /* of a pass: [B, context + T, frame bytes] */
    real_t *eps;                     /* [B, W, Z], NULL where Z is 0 */
    double *nll, *kl;                /* [B] */
    double *moments;                 /* [2, Z] of this rank's posterior means, as active_units() */
};

/* Sums that ranks add up. */
typedef struct {
    double pieces, frames, segments, nll, kl, objective;
    double failed; /* ranks that could not read a piece */
} sums_t;

static size_t segments_of(const piece_evaluator_t *evaluator, size_t frames) {
    return (frames + evaluator->S - 1) / evaluator->S;
}

/* This rank's pieces and their frames, longest first. */
static void choose_pieces(piece_evaluator_t *evaluator) {
    const size_t all = (size_t)data_pieces(evaluator->data, evaluator->split), ranks = (size_t)comm_size();
    g_autofree uint32_t *pieces = g_new(uint32_t, all), *frames = g_new(uint32_t, all),
                        *sorted = g_new(uint32_t, all), *part = g_new(uint32_t, all);
    g_autofree uint64_t *keys = g_new(uint64_t, all), *load = g_new(uint64_t, ranks);
    for (size_t i = 0; i < all; i++) {
        pieces[i] = (uint32_t)i;
        frames[i] = data_piece_frames(evaluator->data, evaluator->split, (int64_t)i);
    }
    batch_order_sort(pieces, all, frames, keys, sorted);
    for (size_t i = 0; i < all; i++)
        frames[i] = data_piece_frames(evaluator->data, evaluator->split, sorted[i]);
    batch_order_split(frames, all, ranks, part, load);
    for (size_t i = 0; i < all; i++) {
        if (part[i] != (uint32_t)comm_rank()) continue;
        evaluator->pieces[evaluator->n] = sorted[i];
        evaluator->valid[evaluator->n++] = frames[i];
    }
}

/* Fills one pass after the other. */
static void fill_passes(piece_evaluator_t *evaluator, size_t max_B, size_t max_frames) {
    size_t frames = 0;
    for (size_t i = 0; i < evaluator->n; i++) {
        const size_t begun = evaluator->n_passes ? evaluator->first[evaluator->n_passes - 1] : 0;
        if (i == 0 || i - begun == max_B || frames + evaluator->valid[i] > max_frames) {
            evaluator->first[evaluator->n_passes++] = i;
            frames = 0;
        }
        frames += evaluator->valid[i];
    }
    evaluator->first[evaluator->n_passes] = evaluator->n;
    evaluator->most_passes = (size_t)comm_max((int64_t)evaluator->n_passes);
}

static void allocate_pass(piece_evaluator_t *evaluator) {
    size_t B = 0, frames = 0, segments = 0;
    for (size_t i = 0; i < evaluator->n_passes; i++) {
        const size_t count = evaluator->first[i + 1] - evaluator->first[i],
                     T = evaluator->valid[evaluator->first[i]];
        B = MAX(B, count);
        frames = MAX(frames, count * (evaluator->context + T));
        segments = MAX(segments, count * segments_of(evaluator, T));
    }
    evaluator->bits = g_malloc(frames * evaluator->frame_bytes);
    evaluator->eps = evaluator->Z ? g_new0(real_t, segments * evaluator->Z) : NULL;
    evaluator->nll = g_new(double, B);
    evaluator->kl = g_new(double, B);
    evaluator->moments = g_new(double, 2 * evaluator->Z);
}

piece_evaluator_t *piece_evaluator_new(const data_t *data, split_t split, const model_config_t *config,
                                       size_t max_B, size_t max_frames) {
    piece_evaluator_t *evaluator = g_new0(piece_evaluator_t, 1);
    const size_t all = (size_t)data_pieces(data, split);
    evaluator->data = data;
    evaluator->split = split;
    evaluator->Z = config->latent;
    evaluator->S = config->sequence.segment;
    evaluator->frame_bytes = model_frame_bytes(config);
    evaluator->context = model_context(config);
    evaluator->pieces = g_new(uint32_t, all);
    evaluator->valid = g_new(uint32_t, all);
    evaluator->first = g_new(size_t, all + 1);
    choose_pieces(evaluator);
    fill_passes(evaluator, max_B, max_frames);
    allocate_pass(evaluator);
    return evaluator;
}

void piece_evaluator_free(piece_evaluator_t *evaluator) {
    if (!evaluator) return;
    void *const buffers[] = {evaluator->pieces, evaluator->valid, evaluator->first, evaluator->bits,
                             evaluator->eps,    evaluator->nll,   evaluator->kl,    evaluator->moments};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(evaluator);
}

static void add_means(piece_evaluator_t *evaluator, const model_t *model) {
    size_t n = 0;
    const real_t *mu = model_segment_means(model, &n);
    for (size_t i = 0; i < n * evaluator->Z; i++) {
        const double value = (double)mu[i];
        evaluator->moments[i % evaluator->Z] += value;
        evaluator->moments[evaluator->Z + i % evaluator->Z] += value * value;
    }
}

static void add_pass(piece_evaluator_t *evaluator, model_t *model, size_t pass, uint64_t seed, double beta,
                     double free_bits, sums_t *sums) {
    const size_t first = evaluator->first[pass], B = evaluator->first[pass + 1] - first,
                 T = evaluator->valid[first], W = segments_of(evaluator, T);
    for (size_t b = 0; b < B; b++) {
        const uint32_t piece = evaluator->pieces[first + b];
        data_piece(evaluator->data, evaluator->split, piece, T,
                   evaluator->bits + b * (evaluator->context + T) * evaluator->frame_bytes);
        const rng_t rng = rng_make(seed, RNG_EVALUATE, 0, piece);
        if (evaluator->eps) rng_normal(&rng, evaluator->eps + b * W * evaluator->Z, W * evaluator->Z);
    }
    const batch_t batch = {.B = B,
                           .T = T,
                           .bits = evaluator->bits,
                           .valid = evaluator->valid + first,
                           .eps = evaluator->eps,
                           .keep_rate = 1};
    model_forward(model, &batch, evaluator->nll, evaluator->kl);
    add_means(evaluator, model);
    for (size_t b = 0; b < B; b++) {
        const double segments = evaluator->eps ? (double)segments_of(evaluator, batch.valid[b]) : 0;
        sums->pieces++;
        sums->frames += batch.valid[b];
        sums->segments += segments;
        sums->nll += evaluator->nll[b];
        sums->kl += evaluator->kl[b];
        sums->objective += evaluator->nll[b] + beta * MAX(evaluator->kl[b], segments * free_bits);
    }
}

gboolean piece_evaluator_run(piece_evaluator_t *evaluator, model_t *model, uint64_t seed, double beta,
                             double free_bits, evaluation_t *result) {
    sums_t sums = {0};
    for (size_t j = 0; j < 2 * evaluator->Z; j++) evaluator->moments[j] = 0;
    for (size_t pass = 0; pass < evaluator->most_passes; pass++) { /* as often on every rank */
        double stop = stop_signal() != 0 || rolls_failed(data_rolls(evaluator->data));
        comm_sum_doubles(&stop, 1);
        if (stop > 0) return FALSE;
        if (pass < evaluator->n_passes) add_pass(evaluator, model, pass, seed, beta, free_bits, &sums);
    }
    sums.failed = rolls_failed(data_rolls(evaluator->data));
    comm_sum_doubles((double *)&sums, sizeof sums / sizeof(double));
    if (sums.failed > 0) return FALSE;
    comm_sum_doubles(evaluator->moments, 2 * evaluator->Z);
    *result = (evaluation_t){
        .windows = (int64_t)sums.pieces,
        .frames = (int64_t)sums.frames,
        .segments = (int64_t)sums.segments,
        .nll = sums.nll / sums.pieces,
        .kl = sums.kl / sums.pieces,
        .objective = sums.objective / sums.pieces,
        .active_units = active_units(evaluator->moments, sums.segments, evaluator->Z),
    };
    return TRUE;
}
