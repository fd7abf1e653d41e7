/* verbs: owns the list of verbs and the way to one: the model and its kind, what --latent, --more and --less
 * mean for it. Refuses attributes and latent vectors that the model does not have. */
#include "sampler/command/verbs.h"

#include "preprocess/common/program.h"
#include "sampler/make/latent.h"

extern const verb_t verb_prior, verb_song, verb_continue, verb_reconstruct, verb_vary, verb_interpolate,
    verb_traverse, verb_perform, verb_curves, verb_score, verb_fill, verb_accompany, verb_harmonise;

const verb_t *const verbs[] = {&verb_fill,        &verb_accompany,
                               &verb_harmonise,   &verb_prior,
                               &verb_song,        &verb_continue,
                               &verb_reconstruct, &verb_vary,
                               &verb_interpolate, &verb_traverse,
                               &verb_perform,     &verb_curves,
                               &verb_score,       NULL};

/* Adds to shift [Z] `by` times the vector of each attribute named. */
static gboolean add_attributes(const char *path, const attributes_t *attributes, char *const *wanted,
                               double by, real_t *shift, GError **error) {
    const size_t Z = attributes->Z;
    for (; wanted && *wanted; wanted++) {
        const size_t i = attributes_find(attributes, *wanted);
        if (i == attributes->n) {
            g_autoptr(GString) names = g_string_new(attributes->info[0].name);
            for (size_t k = 1; k < attributes->n; k++)
                g_string_append_printf(names, ", %s", attributes->info[k].name);
            return option_fail(error, "%s: has no attribute '%s'; it has %s", path, *wanted, names->str);
        }
        if (attributes->info[i].r2 < ATTRIBUTES_FAINT_R2)
            program_say("warning: %s: the latents hardly tell %s (R^2 %.2f): expect little of it\n", path,
                        *wanted, attributes->info[i].r2);
        for (size_t j = 0; j < Z; j++) shift[j] += (real_t)(by * attributes->vectors[i * Z + j]);
    }
    return TRUE;
}

/* --more and --less: *shift [Z], --strength times the vectors of those attributes, added up; NULL where none
 * is asked for. */
static gboolean read_shift(const cli_t *cli, const sample_model_t *model, real_t **shift, GError **error) {
    g_auto(attributes_t) attributes = {0};
    *shift = NULL;
    if (!cli->more && !cli->less) return TRUE;
    if (!checkpoint_read_attributes(model->path, &attributes, error)) return FALSE;
    *shift = g_new0(real_t, attributes.Z);
    return add_attributes(model->path, &attributes, cli->more, cli->strength, *shift, error) &&
           add_attributes(model->path, &attributes, cli->less, -cli->strength, *shift, error);
}

/* --latent: *latents [n, Z]; NULL where none is given. */
static gboolean read_latents(const cli_t *cli, const sample_model_t *model, real_t **latents,
                             GError **error) {
    const size_t Z = model->checkpoint.model.latent, n = cli->latents ? g_strv_length(cli->latents) : 0;
    *latents = n > 0 ? g_new(real_t, n * Z) : NULL;
    for (size_t i = 0; i < n; i++)
        if (!latent_from_text(cli->latents[i], *latents + i * Z, Z, error)) return FALSE;
    return TRUE;
}

/* The message about a piece without notes. Owner: caller. */
static char *explain_silence(const job_t *job) {
    if (job_is_dense(job))
        return g_strdup_printf("no key reaches the threshold; try --density, --sample or --threshold %.2g",
                               job->cli->threshold / 2);
    return g_strdup_printf("the model has written silence; try %s",
                           job->cli->draw ? "another --seed or --temperature" : "--sample");
}

/* What is made is played where the model has learned it, unless --perform 0 is given. */
static gboolean open_performer(job_t *job, GError **error) {
    model_t *model = job->model->model;
    job->writer.perform = job->cli->perform;
    if (!performer_fits(model) || job->cli->perform <= 0) return TRUE;
    job->performer = performer_new(model, error);
    return job->performer != NULL;
}

/* Runs a verb that needs the model, which job has; the job's writer is set. */
static gboolean run(job_t *job, cli_t *cli, GError **error) {
    g_autofree real_t *latents = NULL, *shift = NULL;
    if (!cli_fit(cli, &job->model->checkpoint.model, error) ||
        !read_latents(cli, job->model, &latents, error) || !read_shift(cli, job->model, &shift, error) ||
        !result_make_folder(&job->writer, error))
        return FALSE;
    g_autofree char *silence = explain_silence(job);
    job->writer.silence = silence;
    job->writer.grid = &job->model->checkpoint.grid;
    job->latents = latents;
    job->shift = shift;
    job->kind = job_is_dense(job) ? &kind_dense : &kind_sequence;
    job->progress = progress_start("frames", cli->quiet);
    const gboolean done =
        job->kind->open(job, error) && open_performer(job, error) && cli->verb->run(job, error);
    g_clear_pointer(&job->compose, compose_free);
    g_clear_pointer(&job->performer, performer_free);
    return done;
}

/* Runs any verb; the job's writer knows what the command line says of it. */
static gboolean run_verb(job_t *job, cli_t *cli, GError **error) {
    if (!cli->verb->kinds) return cli->verb->run(job, error);
    g_autofree char *soundfont = cli->audio ? audio_soundfont(cli->soundfont, error) : NULL;
    if (cli->audio && !soundfont) return FALSE;
    job->writer.soundfont = soundfont;
    g_autoptr(sample_model_t) model = sample_model_open(cli->checkpoint, error);
    job->model = model;
    return model && run(job, cli, error);
}

/* What was written before an error is to stay, too; it is the first error that is told. */
/* The songs that no result may replace: nothing of it is owned but itself. */
static GPtrArray *list_songs(const cli_t *cli) {
    GPtrArray *songs = g_ptr_array_new();
    for (guint i = 0; i < cli->n_files; i++) g_ptr_array_add(songs, cli->files[i]);
    if (cli->until) g_ptr_array_add(songs, cli->until);
    g_ptr_array_add(songs, NULL);
    return songs;
}

gboolean verbs_run(cli_t *cli, GError **error) {
    g_autoptr(GPtrArray) songs = list_songs(cli);
    g_autoptr(GPtrArray) written = g_ptr_array_new_with_free_func(g_free);
    job_t job = {.cli = cli,
                 .writer = {.folder = cli->output,
                            .songs = (char *const *)songs->pdata,
                            .picture = cli->picture,
                            .audio = cli->audio,
                            .quiet = cli->quiet,
                            .written = written}};
    const gboolean done = run_verb(&job, cli, error);
    return result_sync(&job.writer, done ? error : NULL) && done;
}
