/* evaluate_sequence: owns the pieces of a split while they are evaluated: their groups, their way to the
 * ranks and the sums. A piece's figures stay apart until all ranks have them, and are added up in corpus
 * order. Refuses nothing: callers see to it that there are pieces. */
#include "trainer/evaluate/evaluate_sequence.h"

#include "preprocess/common/progress.h"
#include "trainer/data/batch_order.h"
#include "trainer/evaluate/active_units.h"
#include "trainer/evaluate/piece_bound.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"

typedef struct {
    const data_t *data;
    split_t split;
    size_t Z, S, frame_bytes, context;
    size_t n, groups;         /* pieces; groups of PIECE_BOUND_PIECES, the last may have fewer */
    uint32_t *frames, *order; /* [n] of each piece; pieces, longest first */
    uint64_t *first_segment;  /* [n + 1] segments of the pieces before */
    uint64_t all_frames;
    uint32_t *rank; /* [groups] that evaluates it */
    uint64_t *load; /* [ranks] frames */
    piece_bound_t *figures;
    piece_bound_result_t *results; /* [n] */
    double *moments;               /* [2, Z] */
    uint8_t *bits;                 /* of a group's pieces, with the context before each */
    size_t room;                   /* bytes in bits */
    progress_t progress;
    double done; /* rows of this rank */
} job_t;

static int longest_first(const void *a, const void *b, void *data) {
    const uint32_t *frames = data, i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    return frames[i] != frames[j] ? (frames[i] < frames[j] ? 1 : -1) : (i > j) - (i < j);
}

static size_t group_size(const job_t *job, size_t group) {
    return MIN(PIECE_BOUND_PIECES, job->n - group * PIECE_BOUND_PIECES);
}

static void deal(job_t *job) {
    const size_t ranks = (size_t)comm_size();
    for (size_t i = 0; i < job->n; i++) {
        job->frames[i] = data_piece_frames(job->data, job->split, (int64_t)i);
        job->order[i] = (uint32_t)i;
        job->first_segment[i + 1] = job->first_segment[i] + (job->frames[i] + job->S - 1) / job->S;
        job->all_frames += job->frames[i];
    }
    g_qsort_with_data(job->order, (gint)job->n, sizeof *job->order, longest_first, job->frames);
    g_autofree uint32_t *frames = g_new0(uint32_t, job->groups);
    for (size_t i = 0; i < job->n; i++) frames[i / PIECE_BOUND_PIECES] += job->frames[job->order[i]];
    batch_order_split(frames, job->groups, ranks, job->rank, job->load);
}

static void job_start(job_t *job, const model_config_t *config, gboolean quiet) {
    job->Z = config->latent;
    job->S = config->sequence.segment;
    job->frame_bytes = model_frame_bytes(config);
    job->context = model_context(config);
    job->n = (size_t)data_pieces(job->data, job->split);
    job->groups = (job->n + PIECE_BOUND_PIECES - 1) / PIECE_BOUND_PIECES;
    job->frames = g_new0(uint32_t, job->n);
    job->order = g_new0(uint32_t, job->n);
    job->first_segment = g_new0(uint64_t, job->n + 1);
    job->rank = g_new0(uint32_t, job->groups);
    job->load = g_new0(uint64_t, (size_t)comm_size());
    job->results = g_new0(piece_bound_result_t, job->n);
    job->moments = g_new0(double, 2 * job->Z);
    deal(job);
    job->progress = progress_start("frames", quiet || comm_rank() > 0);
}

static void job_end(job_t *job) {
    progress_end(&job->progress);
    piece_bound_free(job->figures);
    void *const buffers[] = {job->frames, job->order,   job->first_segment, job->rank,
                             job->load,   job->results, job->moments,       job->bits};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
}

/* Rank 0's share done stands for everybody's. */
static gboolean tick(size_t rows, void *context) {
    job_t *job = context;
    job->done += (double)rows;
    const double share =
        job->done / ((double)job->load[comm_rank()] * (double)piece_bound_rows_a_frame(job->figures));
    progress_show(&job->progress, (size_t)(share * (double)job->all_frames), job->all_frames);
    return stop_signal() == 0;
}

static gboolean run_group(job_t *job, size_t group) {
    piece_bound_piece_t pieces[PIECE_BOUND_PIECES];
    piece_bound_result_t results[PIECE_BOUND_PIECES];
    const uint32_t *order = job->order + group * PIECE_BOUND_PIECES;
    const size_t n = group_size(job, group);
    size_t frames = 0;
    for (size_t i = 0; i < n; i++) frames += job->context + job->frames[order[i]];
    if (frames * job->frame_bytes > job->room) {
        job->room = frames * job->frame_bytes;
        job->bits = g_realloc(job->bits, job->room);
    }
    uint8_t *bits = job->bits;
    for (size_t i = 0; i < n; i++) {
        const uint32_t T = job->frames[order[i]];
        data_piece(job->data, job->split, order[i], T, bits);
        pieces[i] = (piece_bound_piece_t){.bits = bits + job->context * job->frame_bytes,
                                          .frames = T,
                                          .segment = job->first_segment[order[i]]};
        bits += (job->context + T) * job->frame_bytes;
    }
    if (!piece_bound_run(job->figures, pieces, n, results, job->moments, tick, job)) return FALSE;
    for (size_t i = 0; i < n; i++) job->results[order[i]] = results[i];
    return TRUE;
}

/* Group after group on each rank, with a word between: as often on every rank. */
static gboolean run_groups(job_t *job) {
    const size_t ranks = (size_t)comm_size(), mine = (size_t)comm_rank();
    g_autofree size_t *counts = g_new0(size_t, ranks);
    size_t rounds = 0, next = 0;
    for (size_t group = 0; group < job->groups; group++) rounds = MAX(rounds, ++counts[job->rank[group]]);
    for (size_t round = 0; round < rounds; round++) {
        while (next < job->groups && job->rank[next] != mine) next++;
        double stop = next < job->groups ? !run_group(job, next++) : stop_signal() != 0;
        if (rolls_failed(data_rolls(job->data))) stop = 1;
        comm_sum_doubles(&stop, 1);
        if (stop > 0) return FALSE;
    }
    return TRUE;
}

static sequence_notes_t notes_of(const piece_bound_cells_t *cells) {
    return (sequence_notes_t){.precision = cells->hits / MAX(1, cells->hits + cells->false_alarms),
                              .recall = cells->hits / MAX(1, cells->hits + cells->misses),
                              .f1 = 2 * cells->hits /
                                    MAX(1, 2 * cells->hits + cells->false_alarms + cells->misses)};
}

static void add_result(piece_bound_result_t *sum, const piece_bound_result_t *piece) {
    double *to = (double *)sum;
    const double *from = (const double *)piece;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += from[i];
}

static void add_up(const job_t *job, int particles, sequence_evaluation_t *result) {
    const double frames = (double)job->all_frames, segments = (double)job->first_segment[job->n];
    piece_bound_result_t sum = {0};
    for (size_t i = 0; i < job->n; i++) add_result(&sum, &job->results[i]);
    *result = (sequence_evaluation_t){.pieces = (int64_t)job->n,
                                      .frames = (int64_t)job->all_frames,
                                      .segments = (int64_t)job->first_segment[job->n],
                                      .nll = sum.nll / frames,
                                      .kl = sum.kl / frames,
                                      .particles = particles,
                                      .bound = sum.bound / frames,
                                      .active_units = active_units(job->moments, segments, job->Z),
                                      .rebuilt = notes_of(&sum.rebuilt),
                                      .floor = notes_of(&sum.floor)};
}

gboolean evaluate_sequence(model_t *model, const data_t *data, split_t split, uint64_t seed, int particles,
                           gboolean quiet, sequence_evaluation_t *result, GError **error) {
    GError *local = NULL;
    job_t job = {.data = data, .split = split};
    job_start(&job, model_config(model), quiet);
    job.figures = piece_bound_new(model, particles, seed, &local);
    const gboolean done = comm_agree(local, error) && run_groups(&job);
    if (done) {
        comm_sum_doubles((double *)job.results, job.n * sizeof *job.results / sizeof(double));
        comm_sum_doubles(job.moments, 2 * job.Z);
        add_up(&job, particles, result);
    }
    job_end(&job);
    return done;
}
