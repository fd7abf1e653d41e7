/* kind_dense: owns how verbs are done by the dense model: windows end to end, or along a path and
 * overlapping. */
#include <string.h>

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

/* The latents of a piece, of n windows, added to what is made. */
static const real_t *add_latents(const job_t *job, const compose_piece_t *piece, size_t n, made_t *made) {
    const size_t Z = job->model->checkpoint.model.latent;
    g_array_set_size(made->z, (guint)(n * Z));
    place_latents(job, piece, (real_t *)(void *)made->z->data, n);
    return (const real_t *)(void *)made->z->data;
}

static sample_rule_t rule_of(const job_t *job, const compose_piece_t *piece) {
    return (sample_rule_t){.threshold = job->cli->threshold,
                           .density = job->cli->density,
                           .draw = piece->draw,
                           .seed = piece->seed,
                           .index = piece->index};
}

/* Pieces of one window are decoded together: one takes as long as a batch. */
static void make_windows(const job_t *job, const compose_piece_t *pieces, size_t n, made_t *made) {
    const sample_model_t *model = job->model;
    const size_t Z = model->checkpoint.model.latent;
    g_autofree real_t *all = g_new0(real_t, SAMPLE_BATCH * Z);
    size_t rows[SAMPLE_BATCH], together = 0;
    for (size_t first = 0; first < n; first += together) {
        const real_t *z = add_latents(job, &pieces[first], 1, &made[first]);
        if (together == 0) together = sample_equal_rows(model, z, rows);
        for (size_t i = first; i < MIN(first + together, n); i++)
            memcpy(all + rows[i - first] * Z, add_latents(job, &pieces[i], 1, &made[i]), Z * sizeof *all);
        sample_decode(model, all);
        for (size_t i = first; i < MIN(first + together, n); i++) {
            const sample_rule_t rule = rule_of(job, &pieces[i]);
            made[i].roll = sample_decoded(model, rows[i - first], pieces[i].frames, &rule);
        }
    }
}

static gboolean make_one(const job_t *job, const compose_piece_t *piece, made_t *made, GError **error) {
    const sample_model_t *model = job->model;
    const size_t hop = sample_hop(model, model->checkpoint.meter),
                 n = job->path ? sample_overlapped_count(model, hop, piece->frames)
                               : count_windows(job, piece->frames);
    const sample_rule_t rule = rule_of(job, piece);
    const real_t *z = add_latents(job, piece, n, made);
    made->roll = job->path ? sample_overlapped(model, z, n, hop, piece->frames, &rule, error)
                           : sample_windows(model, z, n, piece->frames, &rule);
    return made->roll != NULL;
}

static gboolean make(job_t *job, const compose_piece_t *pieces, size_t n, made_t *made, GError **error) {
    if (n > 1 && !job->path && count_windows(job, pieces[0].frames) == 1) {
        make_windows(job, pieces, n, made);
        return TRUE;
    }
    for (size_t i = 0; i < n; i++)
        if (!make_one(job, &pieces[i], &made[i], error)) return FALSE;
    return TRUE;
}

const kind_t kind_dense = {open, measure, encode, make};
