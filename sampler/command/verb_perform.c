/* verb_perform: owns the verb perform: songs as they are, played by the model. */
#include "sampler/command/job.h"
#include "sampler/command/rows.h"

static gboolean run_perform(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    g_auto(part_t) part = {0};
    if (!job_open_part(job, cli->files[0], &part, error)) return FALSE;
    g_autofree char *stem = job_stem(cli->files[0]), *name = g_strdup_printf("perform-%s", stem),
                    *title = g_strdup_printf("perform · %s", stem);
    g_autoptr(GPtrArray) texts = job_texts_given(job, 0);
    job_add_text(texts, "song: %s", stem);
    return job_write(job, name, title, part.roll, part.timeline, texts, error);
}

static gboolean check_perform(cli_t *cli, const model_config_t *model, GError **error) {
    (void)cli;
    if (!model || model->sequence.performance > 0) return TRUE;
    return option_fail(error, "perform: this model has not learned how notes are played; train one with "
                              "--performance N");
}

static const option_t perform_rows[] = {
    CHECKPOINT_ROW,
    SEED_OF_DRAWS_ROW,
    KEY_ROW,
    MUSIC_ROWS,
};

const verb_t verb_perform = {
    .name = "perform",
    .takes = "SONG.mid",
    .summary = "A song's own notes, on the grid, with velocities and timing by the model.",
    .example = "perform --checkpoint best.h5 song.mid",
    .min_files = 1,
    .max_files = 1,
    .kinds = SEQUENCE,
    .rows = perform_rows,
    .check = check_perform,
    .run = run_perform,
};
