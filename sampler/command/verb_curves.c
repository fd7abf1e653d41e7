/* verb_curves: owns the verb curves: pictures of training runs. */
#include "sampler/command/job.h"
#include "sampler/command/rows.h"
#include "sampler/show/curves.h"

static gboolean run_curves(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    for (guint i = 0; i < cli->n_files; i++) {
        g_autofree char *name =
            cli->n_files == 1 ? g_strdup("curves") : g_strdup_printf("curves-%03u", i + 1);
        g_autoptr(GBytes) picture = curves_picture(cli->files[i], cli->picture, error);
        if (!picture || !result_make_folder(&job->writer, error) ||
            !result_write_picture(&job->writer, name, g_steal_pointer(&picture), error))
            return FALSE;
    }
    return TRUE;
}

static const option_t curves_rows[] = {
    OUTPUT_ROW,
    PICTURE_ROW("png", "PNG (default) or SVG"),
    END_ROWS,
};

const verb_t verb_curves = {
    .name = "curves",
    .takes = "RUN...",
    .summary = "Pictures of a training run's losses (RUN/metrics.jsonl).",
    .example = "curves RUN --picture=svg",
    .min_files = 1,
    .max_files = G_MAXUINT,
    .rows = curves_rows,
    .run = run_curves,
};
