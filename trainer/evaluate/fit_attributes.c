/* fit_attributes: owns the way of the training songs through the encoder, on all ranks, and what is told of
 * the vectors. Songs are cut into segments (windows) from their first frame on. Refuses models without
 * latents, data on another grid, and latents that tell no attribute. */
#include "trainer/evaluate/fit_attributes.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/progress.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/batch_order.h"
#include "trainer/data/data.h"
#include "trainer/evaluate/evaluation_print.h"
#include "trainer/model/stream.h"
#include "trainer/model/vae_dense.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/run/run.h"

enum { WINDOWS = 32 }; /* of the dense model encoded at once */

typedef struct {
    const data_t *data;
    const checkpoint_t *checkpoint;
    model_t *model;
    stream_t *stream;                          /* of the sequence model */
    size_t S, Z, frame_bytes, context, n, all; /* S: frames a segment (window); songs; their frames */
    uint32_t *rank, *frames;                   /* [n] */
    uint8_t *bits;       /* a song after `context` silent frames, filled up with silence to whole segments */
    uint32_t *valid;     /* [WINDOWS] */
    real_t *mu, *logvar; /* [segments of the longest song, Z] */
    real_t *prior_mu, *prior_logvar; /* [Z] */
    attribute_moments_t moments;
} job_t;

static size_t segments_of(const job_t *job, size_t frames) { return (frames + job->S - 1) / job->S; }

/* Frames before a segment: at least the one that tells what begins in it. */
static size_t context_of(const model_config_t *config) { return MAX(1, model_context(config)); }

static gboolean job_start(job_t *job, const data_t *data, const checkpoint_t *checkpoint, model_t *model,
                          GError **error) {
    const model_config_t *config = &checkpoint->model;
    const gboolean dense = config->kind == MODEL_DENSE;
    *job = (job_t){.data = data,
                   .checkpoint = checkpoint,
                   .model = model,
                   .Z = config->latent,
                   .n = (size_t)data_pieces(data, SPLIT_TRAIN)};
    job->S = dense ? config->window : config->sequence.segment;
    job->frame_bytes =
        (size_t)data_shards(data)->grid.n_tracks * config->planes * roll_stride(config->pitches);
    job->context = context_of(config);
    job->frames = g_new(uint32_t, job->n);
    job->rank = g_new(uint32_t, job->n);
    for (size_t i = 0; i < job->n; i++)
        job->all += job->frames[i] = data_piece_frames(data, SPLIT_TRAIN, (int64_t)i);
    g_autofree uint64_t *load = g_new(uint64_t, (size_t)comm_size());
    batch_order_split(job->frames, job->n, (size_t)comm_size(), job->rank, load);
    const size_t most = segments_of(job, data_longest_piece(data, SPLIT_TRAIN));
    job->bits = g_malloc((job->context + most * job->S) * job->frame_bytes);
    job->valid = g_new(uint32_t, WINDOWS);
    for (size_t i = 0; i < WINDOWS; i++) job->valid[i] = (uint32_t)job->S;
    job->mu = g_new(real_t, most * job->Z);
    job->logvar = g_new(real_t, most * job->Z);
    job->prior_mu = g_new(real_t, job->Z);
    job->prior_logvar = g_new(real_t, job->Z);
    return attribute_moments_init(&job->moments, job->Z, error) &&
           (dense || (job->stream = stream_new(model, 1, error)));
}

static void job_clear(job_t *job) {
    void *const buffers[] = {job->frames, job->rank,   job->bits,     job->valid,
                             job->mu,     job->logvar, job->prior_mu, job->prior_logvar};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    stream_free(job->stream);
    attribute_moments_clear(&job->moments);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(job_t, job_clear)

static void encode_windows(job_t *job, const uint8_t *bits, size_t n) {
    for (size_t first = 0; first < n; first += WINDOWS) {
        const batch_t batch = {.B = MIN(WINDOWS, n - first),
                               .bits = bits + first * job->S * job->frame_bytes,
                               .valid = job->valid};
        model_encode(job->model, &batch);
        memcpy(job->mu + first * job->Z, model_mu(job->model), batch.B * job->Z * sizeof *job->mu);
        memcpy(job->logvar + first * job->Z, model_logvar(job->model),
               batch.B * job->Z * sizeof *job->logvar);
    }
}

/* Posteriors, counted in the prior's sd from the prior's mean: the decoder hears the song and says before
 * each segment what it expects. */
static void encode_segments(job_t *job, const uint8_t *bits, size_t n) {
    const size_t Z = job->Z, S = job->S;
    stream_encode(job->stream, bits, n * S, job->mu, job->logvar);
    stream_start(job->stream, 1);
    for (size_t w = 0; w < n; w++) {
        real_t *mu = job->mu + w * Z, *logvar = job->logvar + w * Z;
        stream_prior(job->stream, job->prior_mu, job->prior_logvar);
        stream_set_latent(job->stream, mu);
        for (size_t t = w * S; t < (w + 1) * S; t++)
            stream_force(job->stream, bits + t * job->frame_bytes, TRUE, NULL);
        for (size_t i = 0; i < Z; i++) {
            mu[i] = (mu[i] - job->prior_mu[i]) * (real_t)exp(-(double)job->prior_logvar[i] / 2);
            logvar[i] -= job->prior_logvar[i];
        }
    }
}

static void add_song(job_t *job, size_t song) {
    const size_t T = job->frames[song], n = MAX(1, T / job->S);
    uint8_t *bits = job->bits + job->context * job->frame_bytes;
    double values[ATTRIBUTE_COUNT], changes[ATTRIBUTE_COUNT], before[ATTRIBUTE_COUNT] = {0};
    gboolean goes_on = FALSE; /* the segment before has attributes */
    data_piece(job->data, SPLIT_TRAIN, (int64_t)song, segments_of(job, T) * job->S, job->bits);
    if (job->stream)
        encode_segments(job, bits, n);
    else
        encode_windows(job, bits, n);
    for (size_t w = 0; w < n; w++) {
        const uint8_t *segment = bits + w * job->S * job->frame_bytes;
        const attribute_span_t span = {.grid = &job->checkpoint->grid,
                                       .planes = job->checkpoint->model.planes,
                                       .bits = segment,
                                       .before = segment - job->frame_bytes,
                                       .frames = MIN(job->S, T - w * job->S)};
        const gboolean sounds = attribute_measure(&span, values);
        for (size_t a = 0; a < ATTRIBUTE_COUNT; a++)
            changes[a] = job->stream ? values[a] - before[a] : values[a];
        if (sounds && (goes_on || !job->stream))
            attribute_moments_add(&job->moments, job->mu + w * job->Z, job->logvar + w * job->Z, values,
                                  changes);
        memcpy(before, values, sizeof before);
        goes_on = sounds;
    }
}

/* TRUE where a signal came, which is the error. */
static gboolean was_stopped(gboolean stopped, GError **error) {
    if (stopped)
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE,
                    "stopped by a signal before the vectors were there");
    return stopped;
}

/* This rank's songs, then the sums of all. FALSE where any rank caught a stopping signal or could not read a
 * song. */
static gboolean add_songs(job_t *job, gboolean quiet, GError **error) {
    progress_t progress = progress_start("frames", quiet || comm_rank() > 0);
    size_t done = 0;
    for (size_t i = 0; i < job->n && stop_signal() == 0 && !rolls_failed(data_rolls(job->data)); i++) {
        if (job->rank[i] == (uint32_t)comm_rank()) add_song(job, i);
        done += job->frames[i]; /* rank 0's songs lie among those of the others */
        progress_show(&progress, done, job->all);
    }
    progress_end(&progress);
    if (!rolls_agree(data_rolls(job->data), error)) return FALSE;
    if (was_stopped(comm_any(stop_signal() != 0), error)) return FALSE;
    comm_sum_doubles(job->moments.sums, job->moments.n);
    return TRUE;
}

static gboolean print_json(const options_t *options, const attribute_info_t *info, double segments,
                           GError **error) {
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"mean", info->mean}, {"sd", info->sd}, {"r2", info->r2}, {"reach", info->reach}};
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "checkpoint");
    json_builder_add_string_value(builder, options->attributes);
    json_builder_set_member_name(builder, "attribute");
    json_builder_add_string_value(builder, info->name);
    json_builder_set_member_name(builder, "unit");
    json_builder_add_string_value(builder, info->unit);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        json_builder_set_member_name(builder, numbers[i].name);
        json_builder_add_double_value(builder, numbers[i].value);
    }
    json_builder_set_member_name(builder, "segments");
    json_builder_add_int_value(builder, (int64_t)segments);
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, FALSE);
    return evaluation_print_line(text, error);
}

static void print_table(const options_t *options, const job_t *job, const attributes_t *attributes) {
    const gboolean dense = job->checkpoint->model.kind == MODEL_DENSE;
    const gulong n = (gulong)attribute_moments_count(&job->moments);
    g_printerr("%s: vectors from %lu %s of %zu train %s\n", options->attributes, n,
               dense ? g_dngettext(NULL, "window", "windows", n)
                     : g_dngettext(NULL, "segment", "segments", n),
               job->n, g_dngettext(NULL, "song", "songs", job->n));
    if (strcmp(job->checkpoint->corpus_id, data_shards(job->data)->corpus_id) != 0)
        g_printerr("warning: %s was trained on corpus %.12s, these shards are %.12s\n", options->attributes,
                   job->checkpoint->corpus_id, data_shards(job->data)->corpus_id);
    g_printerr("%-12s %10s %10s %8s %8s  %s\n", "", "mean", "sd", "R^2", "reach", "unit");
    for (size_t i = 0; i < attributes->n; i++) {
        const attribute_info_t *info = &attributes->info[i];
        g_printerr("%-12s %10.3f %10.3f %8.3f %8.2f  %s\n", info->name, info->mean, info->sd, info->r2,
                   info->reach, info->unit);
    }
    for (attribute_t a = 0; a < ATTRIBUTE_COUNT; a++)
        if (attribute_exists(a, &job->checkpoint->grid) &&
            attributes_find(attributes, attribute_name(a)) == attributes->n)
            g_printerr("%-12s left out: it does not vary, or the latents do not tell it\n",
                       attribute_name(a));
    g_printerr("sd: %s; R^2: of a linear reading of the latents; reach: sd by which the reading grows at "
               "strength 1\n",
               dense ? "over windows" : "of changes from segment to segment");
}

/* Rank 0's part, once all sums are there. */
static gboolean finish(const options_t *options, const job_t *job, GError **error) {
    g_auto(attributes_t) attributes = {0};
    if (attribute_moments_count(&job->moments) < 1) {
        g_set_error(error, SHARD_ERROR, SHARD_ERROR_NONE, "%s: the train songs %s; see `%s --info %s`",
                    options->data, job->stream ? "have no two segments in a row that sound" : "are silent",
                    program_called("preprocess"), options->data);
        return FALSE;
    }
    if (!attributes_fit(&job->moments, &job->checkpoint->grid, &attributes, error)) return FALSE;
    if (attributes.n == 0) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE,
                    "%s: its latents tell none of the attributes of these songs; train longer, or with more "
                    "--free-bits",
                    options->attributes);
        return FALSE;
    }
    if (was_stopped(stop_signal() != 0, error))
        return FALSE; /* fitting takes as long as the songs where latents are many */
    if (!checkpoint_write_attributes(options->attributes, &attributes, error)) return FALSE;
    gboolean written = TRUE;
    for (size_t i = 0; written && i < attributes.n; i++)
        written = print_json(options, &attributes.info[i], attribute_moments_count(&job->moments), error);
    if (!options->quiet) print_table(options, job, &attributes);
    return written;
}

static gboolean run_job(const options_t *options, const checkpoint_t *checkpoint, model_t *model,
                        const data_t *data, GError **error) {
    GError *local = NULL;
    g_auto(job_t) job;
    job_start(&job, data, checkpoint, model, &local);
    if (!comm_agree(local, error) || !add_songs(&job, options->quiet, error)) return FALSE;
    if (comm_rank() == 0) finish(options, &job, &local);
    return comm_agree(local, error);
}

/* What can be told before anything is computed. */
static gboolean check(const options_t *options, const checkpoint_t *checkpoint, const data_t *data,
                      GError **error) {
    if (!run_check_grid(options->attributes, checkpoint, &data_shards(data)->grid, error)) return FALSE;
    if (data_pieces(data, SPLIT_TRAIN) > 0) return TRUE;
    g_set_error(error, SHARD_ERROR, SHARD_ERROR_NONE, "%s: holds no train songs; see `%s --info %s`",
                options->data, program_called("preprocess"), options->data);
    return FALSE;
}

int attributes_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(options->attributes, &checkpoint, error)) return EXIT_ERROR;
    if (checkpoint.model.latent == 0) {
        g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_USAGE,
                    "--attributes: %s has no latents (--latent 0), so there is nothing that vectors could "
                    "move; train one with --latent",
                    options->attributes);
        return EXIT_USAGE;
    }
    const data_config_t data_config = {.context = context_of(&checkpoint.model),
                                       .planes = checkpoint.model.planes,
                                       .seed = (uint64_t)options->seed,
                                       .memory = (size_t)options->data_memory << 20};
    data_t *data = data_load(options->data, &data_config, error);
    if (!data) return EXIT_ERROR;
    GError *local = NULL;
    g_autoptr(model_t) model = NULL;
    gboolean done = check(options, &checkpoint, data, error);
    if (done) {
        model = model_new(&checkpoint.model, checkpoint.model.kind == MODEL_DENSE ? WINDOWS : 1, 1, &local);
        done = comm_agree(local, error);
    }
    done = done && run_read_weights(options->attributes, model, error) &&
           run_job(options, &checkpoint, model, data, error);
    data_free(data);
    return done ? EXIT_DONE : EXIT_ERROR;
}
