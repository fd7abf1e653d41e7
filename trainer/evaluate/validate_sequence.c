/* validate_sequence: owns which pieces of a split are this rank's and how they fill batches, which is planned
 * once because it is the same in every validation. */
#include "trainer/evaluate/validate_sequence.h"

#include "trainer/evaluate/figures.h"
#include "trainer/model/vae_sequence.h"

typedef struct {
    evaluator_t base;
    size_t Z, S, frame_bytes, context;
    uint32_t *pieces, *valid; /* [n] this rank's, longest first; their frames */
    size_t *first;            /* [batches + 1]: batch i has pieces [first[i], first[i + 1]) */
    uint8_t *bits;            /* of a batch: [B, context + T, frame bytes] */
    place_t *places;          /* [B, T], NULL where the model knows none */
    played_song_t *songs;     /* [B], NULL where the model does not learn how they are played */
    real_t *eps;              /* [B, W, Z], NULL where Z is 0 */
    double *nll, *kl;         /* [B] */
} validation_t;

static size_t segments_of(const validation_t *v, size_t frames) { return (frames + v->S - 1) / v->S; }

/* Fills batches with the n pieces of a share, which come after the `done` ones of shares before. */
static void fill_share(validation_t *v, size_t done, size_t n) {
    const evaluation_job_t *job = &v->base.job;
    for (size_t i = done, begun = done, sum = 0; i < done + n; i++) {
        if (i == done || i - begun == job->max_B || sum + v->valid[i] > job->max_frames) {
            v->first[v->base.batches++] = begun = i;
            sum = 0;
        }
        sum += v->valid[i];
    }
    v->first[v->base.batches] = done + n;
}

/* Fills batches with this rank's pieces. */
static void fill_batches(validation_t *v) {
    const evaluation_job_t *job = &v->base.job;
    const size_t all = (size_t)data_pieces(job->data, job->split);
    g_autofree uint32_t *pieces = g_new(uint32_t, all), *frames = g_new(uint32_t, all),
                        *mine = g_new(uint32_t, all);
    evaluator_sort_pieces(job->data, job->split, pieces, frames);
    v->pieces = evaluator_alloc(&v->base, all, sizeof *v->pieces);
    v->valid = evaluator_alloc(&v->base, all, sizeof *v->valid);
    v->first = evaluator_alloc(&v->base, all + 1, sizeof *v->first);
    for (size_t share = 0, done = 0; share < v->base.job.own_shares; share++) {
        const size_t n = evaluator_deal(&v->base, frames, all, share, mine);
        for (size_t i = 0; i < n; i++) {
            v->pieces[done + i] = pieces[mine[i]];
            v->valid[done + i] = frames[mine[i]];
        }
        fill_share(v, done, n);
        evaluator_end_share(&v->base, share);
        done += n;
    }
}

static void allocate_batch(validation_t *v) {
    size_t B = 0, frames = 0, segments = 0;
    for (size_t i = 0; i < v->base.batches; i++) {
        const size_t count = v->first[i + 1] - v->first[i], T = v->valid[v->first[i]];
        B = MAX(B, count);
        frames = MAX(frames, count * (v->context + T));
        segments = MAX(segments, count * segments_of(v, T));
    }
    v->bits = evaluator_alloc(&v->base, frames, v->frame_bytes);
    if (model_config(v->base.job.model)->sequence.bar > 0)
        v->places = evaluator_alloc(&v->base, frames, sizeof *v->places);
    if (model_config(v->base.job.model)->sequence.performance > 0)
        v->songs = evaluator_alloc(&v->base, B, sizeof *v->songs);
    v->eps = v->Z ? evaluator_alloc(&v->base, segments * v->Z, sizeof *v->eps) : NULL;
    v->nll = evaluator_alloc(&v->base, B, sizeof *v->nll);
    v->kl = evaluator_alloc(&v->base, B, sizeof *v->kl);
}

static gboolean add(evaluator_t *evaluator, size_t batch_number) {
    validation_t *v = (validation_t *)evaluator;
    const evaluation_job_t *job = &evaluator->job;
    const size_t first = v->first[batch_number], B = v->first[batch_number + 1] - first, T = v->valid[first],
                 W = segments_of(v, T);
    const batch_t batch = {.B = B,
                           .T = T,
                           .bits = v->bits,
                           .places = v->places,
                           .valid = v->valid + first,
                           .songs = v->songs,
                           .eps = v->eps,
                           .keep_rate = 1};
    for (size_t b = 0; b < B; b++) {
        const uint32_t piece = v->pieces[first + b];
        uint8_t *bits = v->bits + b * (v->context + T) * v->frame_bytes;
        const played_t *played = NULL;
        data_piece(job->data, job->split, piece, 0, T, bits, v->songs ? &played : NULL);
        if (v->songs)
            v->songs[b] = (played_song_t){bits + v->context * v->frame_bytes, batch.valid[b], 0, played};
        const meters_t meters = data_piece_meters(job->data, job->split, piece);
        for (size_t t = 0; v->places && t < batch.valid[b]; t++)
            place_find(meters, t, model_config(job->model), &v->places[b * T + t]);
        const rng_t rng = rng_make(job->seed, RNG_EVALUATE, 0, piece);
        if (v->eps) rng_normal(&rng, v->eps + b * W * v->Z, W * v->Z);
    }
    model_forward(job->model, &batch, v->nll, v->kl);
    sequence_sums_t *sums = (sequence_sums_t *)v->base.sums;
    size_t means = 0;
    const real_t *mu = model_segment_means(job->model, &means);
    active_units_add(v->base.moments, mu, means, v->Z);
    if (v->songs) sums->performance += model_performance_loss(job->model);
    for (size_t b = 0; b < B; b++) {
        if (v->songs)
            sums->onsets +=
                (double)roll_count_onsets(v->songs[b].frames, v->songs[b].T, &data_shards(job->data)->grid);
        const double segments = v->eps ? (double)segments_of(v, batch.valid[b]) : 0;
        sums->pieces++;
        sums->frames += batch.valid[b];
        sums->segments += segments;
        sums->nll += v->nll[b];
        sums->kl += v->kl[b];
        sums->objective += MAX(v->nll[b] + job->beta * MAX(v->kl[b], segments * job->free_bits),
                               v->nll[b] / (1 - (segments > 0 ? job->free_share : 0)));
    }
    return TRUE;
}

void validate_sequence_tell(const sequence_sums_t *sums, int active, json_t *members, evaluation_t *found) {
    const double nll = sums->nll / sums->pieces, kl = sums->kl / sums->pieces,
                 frames = sums->frames / sums->pieces, /* per piece */
        kl_per_segment = kl * sums->pieces / sums->segments;
    found->objective = sums->objective / sums->pieces;
    json_number(members, "valid_pieces", sums->pieces);
    json_number(members, "valid_loss", found->objective / frames);
    json_number(members, "valid_nll", nll / frames);
    json_number(members, "valid_kl", kl / frames);
    json_number(members, "valid_nll_per_frame", nll / frames);
    json_number(members, "valid_kl_per_frame", kl / frames);
    json_number(members, "valid_kl_per_segment", kl_per_segment);
    json_number(members, "active_units", active);
    if (sums->onsets > 0)
        json_number(members, "valid_performance_per_onset", sums->performance / sums->onsets);
    g_string_append_printf(found->text, "%.3f", nll / frames);
    if (sums->segments > 0)
        g_string_append_printf(found->text, " + %.3f (KL %.2f a segment), %d active %s", kl / frames,
                               kl_per_segment, active, g_dngettext(NULL, "unit", "units", (gulong)active));
    if (sums->onsets > 0)
        g_string_append_printf(found->text, ", played %.3f an onset", sums->performance / sums->onsets);
}

static void tell(const evaluator_t *evaluator, json_t *members, evaluation_t *found) {
    const validation_t *v = (const validation_t *)evaluator;
    const sequence_sums_t *sums = (const sequence_sums_t *)v->base.sums;
    validate_sequence_tell(sums, active_units(v->base.moments, sums->segments, v->Z), members, found);
}

evaluator_t *validate_sequence_new(const evaluation_job_t *job) {
    validation_t *v = evaluator_new(sizeof *v, job);
    const model_config_t *config = model_config(job->model);
    v->Z = config->latent;
    v->S = config->sequence.segment;
    v->frame_bytes = model_frame_bytes(config);
    v->context = model_context(config);
    evaluator_sums(&v->base, sizeof(sequence_sums_t) / sizeof(double));
    v->base.add = add;
    v->base.tell = tell;
    fill_batches(v);
    allocate_batch(v);
    return &v->base;
}
