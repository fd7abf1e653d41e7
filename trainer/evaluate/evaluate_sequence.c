/* evaluate_sequence: owns the groups, sums and reported figures of a split's pieces. The figures of a piece
 * stay apart until all ranks have them, and are added up in corpus order. */
#include "trainer/evaluate/evaluate_sequence.h"

#include "trainer/evaluate/figures.h"
#include "trainer/evaluate/performance_figures.h"
#include "trainer/evaluate/piece_bound.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"

enum {
    RESULT_SUMS = sizeof(piece_bound_result_t) / sizeof(double),
    PLAYED_SUMS = sizeof(performance_figures_t) / sizeof(double)
};

typedef struct {
    evaluator_t base;
    size_t Z, S, frame_bytes, context;
    size_t n;                  /* pieces */
    uint32_t *pieces, *frames; /* [n], longest first: group g has [g PIECE_BOUND_PIECES, ...); their frames */
    uint32_t *groups;          /* [base.batches] of this rank */
    uint64_t *first_segment;   /* [n + 1], by piece: segments of the pieces before it */
    piece_bound_t *bound;
    piece_bound_result_t *results; /* [n], by piece: begins base.sums */
    performer_t *performer;        /* NULL where model or shards do not say how pieces are played */
    performance_figures_t *played; /* [n], by piece: after results, where there is a performer */
    uint8_t *bits;                 /* of a group's pieces, with the context before each */
} pieces_t;

static size_t group_size(const pieces_t *p, size_t group) {
    return MIN(PIECE_BOUND_PIECES, p->n - group * PIECE_BOUND_PIECES);
}

/* Makes groups of similar length, and picks those of this rank. */
static void deal(pieces_t *p) {
    const evaluation_job_t *job = &p->base.job;
    const size_t groups = (p->n + PIECE_BOUND_PIECES - 1) / PIECE_BOUND_PIECES;
    g_autofree uint32_t *frames = g_new0(uint32_t, groups);
    uint64_t most = 0; /* of a group, with the context */
    evaluator_sort_pieces(job->data, job->split, p->pieces, p->frames);
    for (size_t i = 0; i < p->n; i++)
        p->first_segment[i + 1] =
            p->first_segment[i] + (data_piece_frames(job->data, job->split, (int64_t)i) + p->S - 1) / p->S;
    for (size_t i = 0; i < p->n; i++) frames[i / PIECE_BOUND_PIECES] += p->frames[i];
    p->base.batches = evaluator_deal(&p->base, frames, groups, 0, p->groups);
    for (size_t i = 0; i < p->base.batches; i++) {
        const size_t group = p->groups[i];
        most = MAX(most, frames[group] + group_size(p, group) * p->context);
    }
    p->bits = evaluator_alloc(&p->base, most, p->frame_bytes);
}

static gboolean tick(size_t rows, void *context) {
    pieces_t *p = context;
    evaluator_advance(&p->base, (double)rows / (double)piece_bound_rows_a_frame(p->bound));
    return stop_signal() == 0;
}

static gboolean add(evaluator_t *evaluator, size_t batch) {
    pieces_t *p = (pieces_t *)evaluator;
    const evaluation_job_t *job = &evaluator->job;
    const size_t begin = p->groups[batch] * PIECE_BOUND_PIECES, n = group_size(p, p->groups[batch]);
    piece_bound_piece_t pieces[PIECE_BOUND_PIECES] = {0};
    piece_bound_result_t results[PIECE_BOUND_PIECES];
    uint8_t *bits = p->bits;
    for (size_t i = 0; i < n; i++) {
        const uint32_t piece = p->pieces[begin + i], T = p->frames[begin + i];
        const played_t *played = NULL;
        data_piece(job->data, job->split, piece, 0, T, bits, p->performer ? &played : NULL);
        pieces[i] = (piece_bound_piece_t){.bits = bits + p->context * p->frame_bytes,
                                          .frames = T,
                                          .segment = p->first_segment[piece],
                                          .meters = data_piece_meters(job->data, job->split, piece)};
        if (p->performer)
            performance_measure(p->performer, model_config(job->model), pieces[i].bits, T, pieces[i].meters,
                                played, roll_count_onsets(pieces[i].bits, T, &data_shards(job->data)->grid),
                                job->seed, piece, &p->played[piece]);
        bits += (p->context + T) * p->frame_bytes;
    }
    if (!piece_bound_run(p->bound, pieces, n, results, p->base.moments, tick, p)) return FALSE;
    for (size_t i = 0; i < n; i++) p->results[p->pieces[begin + i]] = results[i];
    return TRUE;
}

/* What pieces from latents alone have of the true ones, beside those from the prior's latents. */
static void tell_rebuilt(const rebuilt_t *rebuilt, const rebuilt_t *floor, int draws, GString *text) {
    const cells_t *cells = &rebuilt->cells, *least = &floor->cells;
    g_string_append(text, "pieces from latents alone, ");
    if (draws > 1)
        g_string_append_printf(text, "of each segment the best of %d draws\n", draws);
    else
        g_string_append(text, "the likelier of each cell\n");
    g_string_append_printf(text, "%-28s %12s %12s\n", "", "their own", "the prior's");
    evaluator_tell_row(text, "cells that sound: precision", cells_precision(cells), cells_precision(least));
    evaluator_tell_row(text, "cells that sound: recall", cells_recall(cells), cells_recall(least));
    evaluator_tell_row(text, "cells that sound: F1", cells_f1(cells), cells_f1(least));
    evaluator_tell_row(text, "onsets: F1", cells_f1(&rebuilt->onsets), cells_f1(&floor->onsets));
    evaluator_tell_row(text, "notes at once: error", rebuilt_density_error(rebuilt),
                       rebuilt_density_error(floor));
}

static piece_bound_result_t add_up(const pieces_t *p) {
    piece_bound_result_t sum = {0};
    for (size_t i = 0; i < p->n * RESULT_SUMS; i++) ((double *)&sum)[i % RESULT_SUMS] += p->base.sums[i];
    return sum;
}

static void tell_performance(const pieces_t *p, json_t *members, GString *text) {
    performance_figures_t sum = {0};
    if (!p->performer) return;
    for (size_t i = 0; i < p->n * PLAYED_SUMS; i++)
        ((double *)&sum)[i % PLAYED_SUMS] += ((const double *)p->played)[i];
    performance_tell(&sum, members, text);
}

static void tell(const evaluator_t *evaluator, json_t *members, evaluation_t *found) {
    const pieces_t *p = (const pieces_t *)evaluator;
    GString *text = found->text;
    const piece_bound_result_t sum = add_up(p);
    const double frames = evaluator->all_frames, segments = (double)p->first_segment[p->n],
                 per_segment = frames / segments, nll = sum.nll / frames, kl = sum.kl / frames,
                 bound = sum.bound / frames;
    const int particles = evaluator->job.draws, active = active_units(p->base.moments, segments, p->Z);
    json_count(members, "pieces", p->n);
    json_count(members, "frames", (size_t)frames);
    json_count(members, "segments", (size_t)segments);
    json_count(members, "active_units", (size_t)active);
    json_count(members, "particles", (size_t)particles);
    json_number(members, "nll_per_frame", nll);
    json_number(members, "kl_per_frame", kl);
    json_number(members, "loss_per_frame", nll + kl);
    json_number(members, "kl_per_segment", kl * frames / segments);
    if (particles > 0) json_number(members, "bound_per_frame", bound);
    json_count(members, "rebuild", (size_t)evaluator->job.rebuild);
    rebuilt_tell(&sum.rebuilt, "", p->Z > 0, members);
    rebuilt_tell(&sum.floor, "floor_", p->Z > 0, members);
    evaluator_tell_count(text, (double)p->n, "piece", "pieces", ", ");
    evaluator_tell_count(text, frames, "frame", "frames", ", ");
    evaluator_tell_count(text, segments, "segment", "segments", "\n");
    g_string_append_printf(text, "%-28s %12s %12s\n", "", "a segment", "a frame");
    evaluator_tell_row(text, p->Z > 0 ? "reconstruction, nats" : "-log-likelihood, nats", nll * per_segment,
                       nll);
    if (p->Z > 0) {
        evaluator_tell_row(text, "KL divergence, nats", kl * per_segment, kl);
        evaluator_tell_row(text, "sum (-ELBO)", (nll + kl) * per_segment, nll + kl);
    }
    if (particles > 0) {
        g_autofree char *name = g_strdup_printf(
            "bound of %d %s", particles, g_dngettext(NULL, "particle", "particles", (gulong)particles));
        evaluator_tell_row(text, name, bound * per_segment, bound);
    }
    tell_performance(p, members, text);
    if (p->Z == 0) return;
    g_string_append_printf(text, "%-28s %12d of %zu\n", "active latent units", active, p->Z);
    tell_rebuilt(&sum.rebuilt, &sum.floor, evaluator->job.rebuild, text);
}

static void clear(evaluator_t *evaluator) {
    pieces_t *p = (pieces_t *)evaluator;
    piece_bound_free(p->bound);
    performer_free(p->performer);
}

evaluator_t *evaluate_sequence_new(const evaluation_job_t *job, GError **error) {
    pieces_t *p = evaluator_new(sizeof *p, job);
    evaluator_t *base = &p->base;
    const model_config_t *config = model_config(job->model);
    GError *local = NULL;
    p->Z = config->latent;
    p->S = config->sequence.segment;
    p->frame_bytes = model_frame_bytes(config);
    p->context = model_context(config);
    p->n = (size_t)data_pieces(job->data, job->split);
    const gboolean plays = performer_fits(job->model) && data_shards(job->data)->played;
    evaluator_sums(base, p->n * RESULT_SUMS + (plays ? p->n * PLAYED_SUMS : 0));
    base->add = add;
    base->tell = tell;
    base->clear = clear;
    p->results = (piece_bound_result_t *)base->sums;
    p->played = (performance_figures_t *)(void *)(base->sums + p->n * RESULT_SUMS);
    uint32_t **const numbers[] = {&p->pieces, &p->frames, &p->groups};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        *numbers[i] = evaluator_alloc(base, p->n, sizeof(uint32_t));
    p->first_segment = evaluator_alloc(base, p->n + 1, sizeof *p->first_segment);
    deal(p);
    p->bound = piece_bound_new(job->model, job->draws, job->rebuild, job->seed, &local);
    if (p->bound && plays) p->performer = performer_new(job->model, &local);
    if (comm_agree(local, error)) return base;
    evaluator_free(base);
    return NULL;
}
