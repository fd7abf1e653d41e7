/* verb_steps: owns the verbs interpolate and traverse: pieces that are steps of one way, each by itself and
 * all on one sheet. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "preprocess/common/program.h"
#include "sampler/command/job.h"
#include "sampler/command/rows.h"
#include "sampler/make/latent.h"

#define TRAVERSE_END 3 /* standard deviations of the prior */

/* Steps are drawn by the same random numbers, those of reconstruct's first song, so that they differ by their
 * latents alone. */
enum { SAME_DRAWS = 1 };

/* Writes pieces [n] that belong together, one by one as NAME-001 ..., and as one sheet NAME. */
static gboolean write_steps(job_t *job, const char *name, const char *title, const char *about,
                            const compose_piece_t *pieces, char *const *labels, size_t n,
                            const timeline_t *timeline, GError **error) {
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref),
                         rolls = g_ptr_array_new();
    g_autoptr(GArray) z = g_array_new(FALSE, FALSE, sizeof(real_t));
    job->total = n * pieces[0].frames;
    for (size_t i = 0; i < n; i++) {
        GArray *one = job_make(job, &pieces[i], 1, error);
        if (!one) return FALSE;
        g_ptr_array_add(all, one);
        const made_t *made = &g_array_index(one, made_t, 0);
        g_ptr_array_add(rolls, made->roll);
        g_array_append_vals(z, made->z->data, made->z->len);
        g_autofree char *step = g_strdup_printf("%s-%03zu", name, i + 1),
                        *heading = g_strdup_printf("%s · %s", title, labels[i]);
        g_autoptr(GPtrArray) texts = job_texts(job, i + 1);
        job_add_text(texts, "%s", about);
        if (!job_is_dense(job)) job_add_text(texts, "step: %s", labels[i]);
        job_add_latents(job, texts, made->z);
        if (!job_write(job, step, heading, made->roll, timeline, texts, error)) return FALSE;
    }
    g_autoptr(GPtrArray) texts = job_texts(job, 0);
    job_add_text(texts, "%s", about);
    job_add_latents(job, texts, z);
    job_add_performance(job, texts);
    return result_write_sheet(&job->writer, name, title, (roll_t *const *)rolls->pdata, labels, n, timeline,
                              texts, job_perform, job, error);
}

/* ---- interpolate ---- */

/* Reads two parts and counts their bars alike: by the map that both songs share, or by a's main tempo and
 * meter. */
static gboolean read_pair(const job_t *job, part_t *a, part_t *b, GError **error) {
    char *const *paths = job->cli->files;
    if (!job_open_part(job, paths[0], a, error) || !job_open_part(job, paths[1], b, error)) return FALSE;
    const size_t frames = MIN(a->frames, b->frames);
    g_autoptr(timeline_t) of_a = timeline_slice(a->timeline, 0, (int64_t)frames),
                          of_b = timeline_slice(b->timeline, 0, (int64_t)frames);
    timeline_free(a->timeline);
    timeline_free(b->timeline);
    a->timeline = timeline_equal(of_a, of_b) ? g_steal_pointer(&of_a)
                                             : timeline_new(of_a->steps_per_beat, a->tempo_bpm, a->meter);
    b->timeline = timeline_slice(a->timeline, 0, (int64_t)frames);
    a->whole_bars = b->whole_bars = TRUE;
    job->kind->encode(job, paths[0], a);
    job->kind->encode(job, paths[1], b);
    return TRUE;
}

/* Writes steps of one way from A to B; or one piece that is A at its first segment and B at its last. */
static gboolean run_interpolate(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    const size_t Z = job->model->checkpoint.model.latent, n = cli->morph ? 1 : (size_t)cli->steps;
    g_auto(part_t) a = {0}, b = {0};
    if (!read_pair(job, &a, &b, error)) return FALSE;
    const size_t W = MIN(a.n, b.n);
    g_autofree real_t *z = g_new(real_t, n * W * Z);
    g_autofree compose_piece_t *pieces = g_new(compose_piece_t, n);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double step = (double)i / (double)MAX(n - 1, 1);
        for (size_t w = 0; w < W; w++) {
            const double t = cli->morph ? (double)w / (double)MAX(W - 1, 1) : step;
            latent_slerp(a.mu + w * Z, b.mu + w * Z, t, z + (i * W + w) * Z, Z);
        }
        pieces[i] = job_plan(job, SAME_DRAWS, MIN(a.frames, b.frames), a.timeline);
        pieces[i].latents.centres = z + i * W * Z;
        pieces[i].latents.segments = W;
        labels[i] = g_strdup_printf("%zu: %.0f %%", i + 1, step * 100);
    }
    g_autofree char *from = job_stem(cli->files[0]), *to = job_stem(cli->files[1]);
    g_autofree char *title = g_strdup_printf("%s · %s to %s", cli->morph ? "morph" : "interpolate", from, to);
    g_autofree char *about = g_strdup_printf("songs: %s to %s", from, to);
    if (!cli->morph)
        return write_steps(job, "interpolate", title, about, pieces, labels, n, a.timeline, error);
    g_autoptr(GPtrArray) texts = job_texts(job, 1);
    job_add_text(texts, "%s", about);
    job->total = pieces[0].frames;
    return job_write_piece(job, &pieces[0], "morph", title, a.timeline, texts, error);
}

static const option_t interpolate_rows[] = {
    CHECKPOINT_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    STEPS_ROW("8", .excludes = "morph", .because = "a morph is one piece"),
    FLAG("morph", 0, morph, SEQUENCE | TOLD, "instead one piece that becomes B on its way"),
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_interpolate = {
    .name = "interpolate",
    .takes = "A.mid B.mid",
    .summary = "From one song to another in equal steps (spherical).",
    .example = "interpolate --checkpoint best.h5 a.mid b.mid --steps 8 --picture",
    .min_files = 2,
    .max_files = 2,
    .kinds = DENSE | VAE,
    .rows = interpolate_rows,
    .run = run_interpolate,
};

/* ---- traverse ---- */

typedef struct {
    size_t feature;
    double sd;
} activity_t;

static int compare_activity(const void *a, const void *b) {
    const double x = ((const activity_t *)a)->sd, y = ((const activity_t *)b)->sd;
    return (x < y) - (x > y);
}

/* Says which features the song moves, by the standard deviation of their posterior means over its segments:
 * the others are likely to do nothing. */
static void say_activity(const char *path, const part_t *part, size_t Z, size_t feature) {
    enum { SHOWN = 5 };
    g_autofree activity_t *all = g_new(activity_t, Z);
    double own = 0;
    for (size_t i = 0; i < Z; i++) {
        double sum = 0, squares = 0;
        for (size_t w = 0; w < part->n; w++) {
            sum += part->mu[w * Z + i];
            squares += (double)part->mu[w * Z + i] * part->mu[w * Z + i];
        }
        const double mean = sum / (double)part->n, variance = squares / (double)part->n - mean * mean;
        all[i] = (activity_t){.feature = i, .sd = sqrt(fmax(0, variance))};
        if (i == feature) own = all[i].sd;
    }
    qsort(all, Z, sizeof *all, compare_activity);
    program_say("%s: latent feature %zu varies by %.2g over the song; those that vary most:", path, feature,
                own);
    for (size_t i = 0; i < MIN(SHOWN, Z); i++)
        fprintf(stderr, "%s %zu (%.2g)", i > 0 ? "," : "", all[i].feature, all[i].sd);
    fputc('\n', stderr);
}

static void say_feature(const job_t *job, const part_t *part, size_t feature) {
    const char *path = job->cli->files[0];
    if (job->cli->quiet) return;
    if (job_is_dense(job))
        program_say("%s: latent feature %zu is %.3g in this song\n", path, feature,
                    (double)part->mu[feature]);
    else
        say_activity(path, part, job->model->checkpoint.model.latent, feature);
}

/* A dense model's feature becomes each value; a sequence model's is moved by each from where it is. */
static gboolean run_traverse(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    const size_t n = (size_t)cli->steps, dim = (size_t)cli->dim;
    g_auto(part_t) part = {0};
    if (!job_read_part(job, cli->files[0], &part, error)) return FALSE;
    say_feature(job, &part, dim);
    g_autofree compose_piece_t *pieces = g_new(compose_piece_t, n);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double by = TRAVERSE_END * (2.0 * (double)i / (double)(n - 1) - 1);
        pieces[i] = job_plan_part(job, SAME_DRAWS, &part);
        pieces[i].latents.feature = dim;
        pieces[i].latents.by = by;
        labels[i] = job_is_dense(job) ? g_strdup_printf("z%zu = %+.2f", dim, (double)(real_t)by)
                                      : g_strdup_printf("z%zu %+.2f", dim, by);
    }
    g_autofree char *stem = job_stem(cli->files[0]), *name = g_strdup_printf("traverse-%zu", dim);
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim),
                    *about = g_strdup_printf("song: %s", stem);
    return write_steps(job, name, title, about, pieces, labels, n, part.timeline, error);
}

static const option_t traverse_rows[] = {
    CHECKPOINT_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    STEPS_ROW("7"),
    LIMITED("dim", 'd', OPTION_INT, dim, ANY | TOLD, "N", NULL,
            "the feature, from 0 to the model's latent size - 1 (required)", 0, INFINITY),
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static gboolean check_traverse(cli_t *cli, const model_config_t *model, GError **error) {
    if (!option_given(&cli->line, "dim"))
        return option_fail(error, "which latent feature? Give --dim N, counted from 0");
    if (!model || (size_t)cli->dim < model->latent) return TRUE;
    return option_fail(error, "%s: has no latent feature %d: it has %zu; give --dim 0 to %zu",
                       cli->checkpoint, cli->dim, model->latent, model->latent - 1);
}

const verb_t verb_traverse = {
    .name = "traverse",
    .takes = "SONG.mid",
    .summary = "One latent feature from -3 to 3, the others as in the song.",
    .example = "traverse --checkpoint best.h5 song.mid --dim 3 --picture",
    .min_files = 1,
    .max_files = 1,
    .kinds = DENSE | VAE,
    .rows = traverse_rows,
    .check = check_traverse,
    .run = run_traverse,
};
