/* fit_attributes: owns the pass of the training songs through the encoder, on all ranks, and the report on
 * the vectors. Songs are cut into segments (windows) from their first frame on. Refuses models without
 * latents, data on another grid, and latents that tell nothing of any attribute. */
#include "trainer/evaluate/fit_attributes.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/json.h"
#include "preprocess/common/program.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/model/stream.h"
#include "trainer/model/vae_dense.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/run/run.h"

enum { SONGS = 8 }; /* that a rank encodes between two agreements on whether to go on */

typedef struct {
    evaluator_t base; /* its sums are those of moments */
    const checkpoint_t *checkpoint;
    stream_t *stream; /* of the sequence model, else NULL */
    size_t S, Z, frame_bytes, context;
    size_t n, own;            /* songs; of this rank */
    uint32_t *songs, *frames; /* [own]; [n] */
    uint8_t *bits;       /* a song after `context` silent frames, filled up with silence to whole segments */
    uint32_t *valid;     /* [job.max_B] */
    real_t *mu, *logvar; /* [segments of the longest song, Z] */
    real_t *prior_mu, *prior_logvar; /* [Z] */
    attribute_moments_t moments;
} fit_t;

static size_t segments_of(const fit_t *fit, size_t frames) { return (frames + fit->S - 1) / fit->S; }

static void encode_windows(fit_t *fit, const uint8_t *bits, size_t n) {
    const evaluation_job_t *job = &fit->base.job;
    for (size_t first = 0; first < n; first += job->max_B) {
        const batch_t batch = {.B = MIN(job->max_B, n - first),
                               .bits = bits + first * fit->S * fit->frame_bytes,
                               .valid = fit->valid};
        model_encode(job->model, &batch);
        memcpy(fit->mu + first * fit->Z, model_mu(job->model), batch.B * fit->Z * sizeof *fit->mu);
        memcpy(fit->logvar + first * fit->Z, model_logvar(job->model),
               batch.B * fit->Z * sizeof *fit->logvar);
    }
}

/* Encodes the segments of a song. Posteriors are measured from the prior's mean in its sd; the decoder
 * follows the song, and its state before each segment gives the prior. */
static void encode_segments(fit_t *fit, const uint8_t *bits, size_t n, meters_t meters) {
    const size_t Z = fit->Z, S = fit->S;
    stream_encode(fit->stream, bits, n * S, fit->mu, fit->logvar);
    stream_start(fit->stream, 1);
    stream_set_meters(fit->stream, 0, meters);
    for (size_t w = 0; w < n; w++) {
        real_t *mu = fit->mu + w * Z, *logvar = fit->logvar + w * Z;
        stream_prior(fit->stream, fit->prior_mu, fit->prior_logvar);
        stream_set_latent(fit->stream, mu);
        for (size_t t = w * S; t < (w + 1) * S; t++)
            stream_force(fit->stream, bits + t * fit->frame_bytes, TRUE, NULL);
        for (size_t i = 0; i < Z; i++) {
            mu[i] = (mu[i] - fit->prior_mu[i]) * (real_t)exp(-(double)fit->prior_logvar[i] / 2);
            logvar[i] -= fit->prior_logvar[i];
        }
    }
}

static void add_song(fit_t *fit, size_t song) {
    const size_t T = fit->frames[song], n = MAX(1, T / fit->S);
    uint8_t *bits = fit->bits + fit->context * fit->frame_bytes;
    double values[ATTRIBUTE_COUNT], changes[ATTRIBUTE_COUNT], before[ATTRIBUTE_COUNT] = {0};
    gboolean goes_on = FALSE; /* the segment before has attributes */
    data_piece(fit->base.job.data, fit->base.job.split, (int64_t)song, 0, segments_of(fit, T) * fit->S,
               fit->bits, NULL);
    if (fit->stream)
        encode_segments(fit, bits, n,
                        data_piece_meters(fit->base.job.data, fit->base.job.split, (int64_t)song));
    else
        encode_windows(fit, bits, n);
    for (size_t w = 0; w < n; w++) {
        const uint8_t *segment = bits + w * fit->S * fit->frame_bytes;
        const attribute_span_t span = {.grid = &fit->checkpoint->grid,
                                       .planes = fit->checkpoint->model.planes,
                                       .bits = segment,
                                       .before = segment - fit->frame_bytes,
                                       .frames = MIN(fit->S, T - w * fit->S)};
        const gboolean sounds = attribute_measure(&span, values);
        for (size_t a = 0; a < ATTRIBUTE_COUNT; a++)
            changes[a] = fit->stream ? values[a] - before[a] : values[a];
        if (sounds && (goes_on || !fit->stream))
            attribute_moments_add(&fit->moments, fit->mu + w * fit->Z, fit->logvar + w * fit->Z, values,
                                  changes);
        memcpy(before, values, sizeof before);
        goes_on = sounds;
    }
}

static gboolean add_songs(evaluator_t *evaluator, size_t batch) {
    fit_t *fit = (fit_t *)evaluator;
    for (size_t i = batch * SONGS; i < MIN((batch + 1) * SONGS, fit->own); i++) {
        if (stop_signal() != 0) return FALSE;
        add_song(fit, fit->songs[i]);
        evaluator_advance(evaluator, fit->frames[fit->songs[i]]);
    }
    return TRUE;
}

static void clear(evaluator_t *evaluator) {
    fit_t *fit = (fit_t *)evaluator;
    stream_free(fit->stream);
    attribute_moments_clear(&fit->moments);
}

/* NULL with MODEL_ERROR_MEMORY set. Owner: caller. */
static fit_t *fit_new(const evaluation_job_t *job, const checkpoint_t *checkpoint, GError **error) {
    const model_config_t *config = &checkpoint->model;
    const gboolean dense = config->kind == MODEL_DENSE;
    g_autoptr(evaluator_t) base = evaluator_new(sizeof(fit_t), job);
    fit_t *fit = (fit_t *)base;
    base->add = add_songs;
    base->clear = clear;
    fit->checkpoint = checkpoint;
    fit->Z = config->latent;
    fit->S = dense ? config->window : config->sequence.segment;
    fit->frame_bytes = model_frame_bytes(config);
    fit->context = MAX(1, model_context(config)); /* the frame before tells what begins in a segment */
    fit->n = (size_t)data_pieces(job->data, job->split);
    fit->frames = evaluator_alloc(base, fit->n, sizeof *fit->frames);
    fit->songs = evaluator_alloc(base, fit->n, sizeof *fit->songs);
    for (size_t i = 0; i < fit->n; i++) fit->frames[i] = data_piece_frames(job->data, job->split, (int64_t)i);
    fit->own = evaluator_deal(base, fit->frames, fit->n, 0, fit->songs);
    base->batches = (fit->own + SONGS - 1) / SONGS;
    const size_t most = segments_of(fit, data_longest_piece(job->data, job->split));
    fit->bits = evaluator_alloc(base, fit->context + most * fit->S, fit->frame_bytes);
    fit->valid = evaluator_alloc(base, job->max_B, sizeof *fit->valid);
    for (size_t i = 0; i < job->max_B; i++) fit->valid[i] = (uint32_t)fit->S;
    fit->mu = evaluator_alloc(base, most * fit->Z, sizeof *fit->mu);
    fit->logvar = evaluator_alloc(base, most * fit->Z, sizeof *fit->logvar);
    fit->prior_mu = evaluator_alloc(base, fit->Z, sizeof *fit->prior_mu);
    fit->prior_logvar = evaluator_alloc(base, fit->Z, sizeof *fit->prior_logvar);
    if (!attribute_moments_init(&fit->moments, fit->Z, error) ||
        (!dense && !(fit->stream = stream_new(job->model, 1, error))))
        return NULL;
    base->slots = base->sums = fit->moments.sums;
    base->n_sums = fit->moments.n;
    return (fit_t *)g_steal_pointer(&base);
}

/* Returns stopped; sets the error if it is TRUE. */
static gboolean was_stopped(gboolean stopped, GError **error) {
    if (stopped) program_fail(error, "stopped by a signal before the vectors were there");
    return stopped;
}

static gboolean print_json(const options_t *options, const attribute_info_t *info, double segments,
                           GError **error) {
    g_autoptr(GString) line = g_string_new(NULL);
    json_t json = {line, JSON_EXACT};
    json_open(&json, NULL, '{');
    json_text(&json, "checkpoint", options->attributes);
    json_text(&json, "attribute", info->name);
    json_text(&json, "unit", info->unit);
    json_number(&json, "mean", info->mean);
    json_number(&json, "sd", info->sd);
    json_number(&json, "r2", info->r2);
    json_number(&json, "reach", info->reach);
    json_count(&json, "segments", (size_t)segments);
    json_close(&json, '{');
    return evaluate_print_line(line->str, error);
}

static void print_table(const options_t *options, const fit_t *fit, const attributes_t *attributes) {
    const gboolean dense = fit->checkpoint->model.kind == MODEL_DENSE;
    const gulong n = (gulong)attribute_moments_count(&fit->moments);
    g_printerr("%s: vectors from %lu %s of %zu train %s\n", options->attributes, n,
               dense ? g_dngettext(NULL, "window", "windows", n)
                     : g_dngettext(NULL, "segment", "segments", n),
               fit->n, g_dngettext(NULL, "song", "songs", fit->n));
    if (strcmp(fit->checkpoint->corpus_id, data_shards(fit->base.job.data)->corpus_id) != 0)
        g_printerr("warning: %s was trained on corpus %.12s, these shards are %.12s\n", options->attributes,
                   fit->checkpoint->corpus_id, data_shards(fit->base.job.data)->corpus_id);
    g_printerr("%-12s %10s %10s %8s %8s  %s\n", "", "mean", "sd", "R^2", "reach", "unit");
    for (size_t i = 0; i < attributes->n; i++) {
        const attribute_info_t *info = &attributes->info[i];
        g_printerr("%-12s %10.3f %10.3f %8.3f %8.2f  %s\n", info->name, info->mean, info->sd, info->r2,
                   info->reach, info->unit);
    }
    for (attribute_t a = 0; a < ATTRIBUTE_COUNT; a++)
        if (attribute_exists(a, &fit->checkpoint->grid) &&
            attributes_find(attributes, attribute_name(a)) == attributes->n)
            g_printerr("%-12s left out: it does not vary, or the latents do not tell it\n",
                       attribute_name(a));
    g_printerr("sd: %s; R^2: of a linear reading of the latents; reach: sd by which the reading grows at "
               "strength 1\n",
               dense ? "over windows" : "of changes from segment to segment");
}

/* Rank 0's part, once all sums are there: fits, writes and reports the vectors. */
static gboolean finish(const options_t *options, const fit_t *fit, owner_t *owner, GError **error) {
    g_auto(attributes_t) attributes = {0};
    if (attribute_moments_count(&fit->moments) < 1)
        return program_fail(error, "%s: the train songs %s; see `%s --info %s`", options->data,
                            fit->stream ? "have no two segments in a row that sound" : "are silent",
                            program_called("preprocess"), options->data);
    if (!attributes_fit(&fit->moments, &fit->checkpoint->grid, &attributes, error)) return FALSE;
    if (attributes.n == 0)
        return program_fail(
            error,
            "%s: its latents tell none of the attributes of these songs; train longer, or with a "
            "higher --latent-rate or more --free-bits",
            options->attributes);
    if (was_stopped(stop_signal() != 0, error))
        return FALSE; /* fitting takes as long as the songs where latents are many */
    if (!checkpoint_write_attributes(options->attributes, &attributes, owner, error)) return FALSE;
    gboolean written = TRUE;
    for (size_t i = 0; written && i < attributes.n; i++)
        written = print_json(options, &attributes.info[i], attribute_moments_count(&fit->moments), error);
    if (!options->quiet) print_table(options, fit, &attributes);
    return written;
}

static gboolean run_fit(const options_t *options, const evaluation_job_t *job, const checkpoint_t *checkpoint,
                        owner_t *owner, GError **error) {
    GError *local = NULL;
    fit_t *fit = fit_new(job, checkpoint, &local);
    g_autoptr(evaluator_t) base = (evaluator_t *)fit;
    if (!comm_agree(local, error)) return FALSE;
    const gboolean summed = evaluator_sum(base, &local);
    if (!local && !was_stopped(!summed, &local) && comm_rank() == 0) finish(options, fit, owner, &local);
    return comm_agree(local, error);
}

int attributes_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(options->attributes, &checkpoint, error)) return EXIT_ERROR;
    if (checkpoint.model.latent == 0) {
        g_set_error(error, OPTION_ERROR, OPTION_ERROR_USAGE,
                    "--attributes: %s has no latents (--latent 0), so there is nothing that vectors could "
                    "move; train one with --latent",
                    options->attributes);
        return EXIT_USAGE;
    }
    const option_splits_t train = {.splits = {SPLIT_TRAIN}, .n = 1};
    evaluation_job_t job = {.split = SPLIT_TRAIN};
    g_autoptr(owner_t) owner = NULL;
    const gboolean done = evaluate_own_folder(options->attributes, &owner, error) &&
                          evaluate_open(&job, options, options->attributes, &checkpoint, &train, error) &&
                          run_fit(options, &job, &checkpoint, owner, error);
    evaluate_close(&job);
    return done ? EXIT_DONE : EXIT_ERROR;
}
