/* kind_dense: owns how verbs are done by the dense model: windows end to end, or along a path and
 * overlapping. */
#include "preprocess/common/program.h"
#include "sampler/command/job.h"
#include "sampler/make/latent.h"

static gboolean open(job_t *job, GError **error) {
    (void)job, (void)error;
    return TRUE;
}

/* One window, or the whole song. */
static size_t measure(const job_t *job, const char *path, const part_t *part) {
    const size_t T = job->model->checkpoint.model.window, end = part->first + T, frames = part->roll->frames;
    if (part->whole) return frames;
    if (end > frames && !job->cli->quiet)
        program_say("%s: the song ends %zu %s before the window of %zu; filled up with silence\n", path,
                    end - frames, g_dngettext(NULL, "frame", "frames", end - frames), T);
    return T;
}

static size_t count_windows(const job_t *job, size_t frames) {
    const size_t T = job->model->checkpoint.model.window;
    return (frames + T - 1) / T;
}

static void encode(const job_t *job, const char *path, part_t *part) {
    (void)path;
    part->n = count_windows(job, part->frames);
    part->mu = sample_encode(job->model, part->roll, part->first, part->n);
}

/* z [n, Z]. The centre goes towards 0 as noise comes in, so that the length of z stays about what the prior's
 * is. */
static void choose_latents(const compose_piece_t *piece, real_t *z, size_t n, size_t Z) {
    const compose_latents_t *latents = &piece->latents;
    if (latents->noise > 0 || !latents->centres)
        latent_prior(piece->seed, piece->index, latents->noise, z, Z);
    for (size_t i = 0; i < n * Z && latents->centres; i++)
        z[i] =
            latents->noise > 0 ? (real_t)(latents->keep * latents->centres[i] + z[i]) : latents->centres[i];
    if (latents->feature < Z) z[latents->feature] = (real_t)latents->by;
}

/* z [n, Z] of a piece's windows. */
static void place_latents(const job_t *job, const compose_piece_t *piece, real_t *z, size_t n) {
    const size_t Z = job->model->checkpoint.model.latent;
    if (job->path)
        latent_path(piece->seed, piece->index, piece->latents.noise, job->cli->correlation, z, n, Z);
    else
        choose_latents(piece, z, n, Z);
    for (size_t i = 0; i < n * Z && job->shift; i++) z[i] += job->shift[i % Z];
}

/* Decodes a piece of one window whose latent is z [Z], with those that follow it, which differ by their
 * numbers alone: decoding one takes as long as a batch. Returns the piece's row. */
static size_t decode_ahead(job_t *job, const compose_piece_t *piece, const real_t *z) {
    const size_t Z = job->model->checkpoint.model.latent;
    if (piece->index < job->batch.first || piece->index >= job->batch.end) {
        if (job->batch.n == 0) job->batch.n = sample_equal_rows(job->model, z, job->batch.rows);
        g_autofree real_t *all = g_new0(real_t, SAMPLE_BATCH * Z);
        compose_piece_t each = *piece;
        for (size_t i = 0; i < job->batch.n; i++, each.index++)
            place_latents(job, &each, all + job->batch.rows[i] * Z, 1);
        sample_decode(job->model, all);
        job->batch.first = piece->index;
        job->batch.end = each.index;
    }
    return job->batch.rows[piece->index - job->batch.first];
}

static roll_t *make(job_t *job, const compose_piece_t *piece, GArray *all, GError **error) {
    const cli_t *cli = job->cli;
    const sample_model_t *model = job->model;
    const size_t Z = model->checkpoint.model.latent, hop = sample_hop(model, model->checkpoint.meter),
                 n = job->path ? sample_overlapped_count(model, hop, piece->frames)
                               : count_windows(job, piece->frames);
    const sample_rule_t rule = {.threshold = cli->threshold,
                                .density = cli->density,
                                .draw = piece->draw,
                                .seed = piece->seed,
                                .index = piece->index};
    g_array_set_size(all, all->len + (guint)(n * Z));
    real_t *z = &g_array_index(all, real_t, all->len - n * Z);
    place_latents(job, piece, z, n);
    if (job->path) return sample_overlapped(model, z, n, hop, piece->frames, &rule, error);
    if (n > 1 || piece->latents.noise <= 0) return sample_windows(model, z, n, piece->frames, &rule);
    return sample_decoded(model, decode_ahead(job, piece, z), piece->frames, &rule);
}

const kind_t kind_dense = {open, measure, encode, make};
