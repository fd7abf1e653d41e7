/* verb_score: owns the verb score: figures of MIDI files beside those of real songs, and their picture. */
#include "preprocess/common/program.h"
#include "preprocess/shard/shard.h"
#include "sampler/command/job.h"
#include "sampler/command/rows.h"
#include "sampler/score/score_report.h"
#include "sampler/show/picture_distributions.h"

/* Figures, then histograms. rows: for all of them; names: those of figures, kept for the rows. */
static void list_rows(const score_result_t *result, char *const *names, picture_row_t *rows) {
    const size_t figures = result->of_pieces.figures;
    for (size_t f = 0; f < figures; f++)
        rows[f] = (picture_row_t){names[f], score_group(f), &result->values[f], &result->distances[f]};
    for (notes_histogram_t h = 0; h < NOTES_HISTOGRAMS; h++)
        rows[figures + h] = (picture_row_t){
            .name = notes_histogram_name(h), .group = "histograms", .distances = &result->histograms[h]};
}

/* Standard output has the line of figures alone: the picture's path is said beside it. */
static gboolean draw(const job_t *job, const score_result_t *result, GError **error) {
    const size_t figures = result->of_pieces.figures, n = figures + NOTES_HISTOGRAMS;
    g_auto(GStrv) names = g_new0(char *, figures + 1);
    g_autofree picture_row_t *rows = g_new(picture_row_t, n);
    for (size_t f = 0; f < figures; f++) names[f] = score_name(&result->pieces->grid, f);
    list_rows(result, names, rows);
    g_autofree char *title = g_strdup_printf(
        "%zu %s beside %zu %s of %s (%s)", result->pieces->n, result->pieces->n == 1 ? "piece" : "pieces",
        result->real->n, result->real->n == 1 ? "song" : "songs", result->corpus, result->split);
    if (!result_make_folder(&job->writer, error)) return FALSE;
    g_autofree char *path = result_save_picture(
        &job->writer, "score", picture_distributions(rows, n, title, job->writer.picture, error), error);
    if (path && !job->writer.quiet) program_say("picture: %s\n", path);
    return path != NULL;
}

static gboolean run_score(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    const score_request_t request = {
        .files = cli->files,
        .corpus = cli->corpus,
        .originality = cli->originality,
        .split = cli->split,
        .tracks = cli->tracks,
        .steps_per_beat = cli->steps_per_beat,
        .meter = cli->bar_meter,
        .seam_frames = cli->seam > 0 ? (size_t)cli->seam : 0,
        .seed = (uint64_t)cli->seed,
        .quiet = cli->quiet,
    };
    g_auto(score_result_t) result = {0};
    return score_report(&request, &result, error) && (!cli->picture || draw(job, &result, error));
}

#define SHARDS "corpus,originality"

static const option_t score_rows[] = {
    SEED_ROW(ANY, "of the shuffled tracks", .needs = "corpus"),
    TEXT("corpus", 0, corpus, ANY, "SHARDS", NULL,
         "folder of shards: the grid, and the real songs to compare with"),
    TEXT("split", 0, split, ANY, "NAME", NULL, "which real songs: train, valid or test (default test)",
         .needs = SHARDS),
    METER_ROW(ANY, "bars of this meter, whatever the files say"),
    UNSET("seam", 0, OPTION_INT, seam, ANY, "FRAMES", "do segments of so many frames show where they meet?",
          2, 4096, .needs = "corpus"),
    TEXT("originality", 0, originality, ANY, "SHARDS", NULL,
         "the longest passages shared with the training songs there"),
    TEXT("tracks", 0, tracks, ANY, "LIST", NULL,
         "without shards: merged, or roles (default melody,chords,bass,drums)", .excludes = SHARDS,
         .because = "the shards have a grid"),
    UNSET("steps-per-beat", 0, OPTION_INT, steps_per_beat, ANY, "N",
          "without shards: frames a quarter note (default 4)", 1, 96, .excludes = SHARDS,
          .because = "the shards have a grid"),
    PICTURE_ROW(NULL, "also a picture of the distributions, as PNG (default) or SVG", .needs = "corpus"),
    OUTPUT_ROW,
    END_ROWS,
};

static gboolean check_score(cli_t *cli, const model_config_t *model, GError **error) {
    split_t split;
    grid_t grid;
    g_autoptr(GError) cause = NULL;
    if (cli->split && !split_from_name(cli->split, &split))
        return option_fail(error, "--split %s: there is no such split; give train, valid or test",
                           cli->split);
    if (cli->tracks && !grid_set_tracks(&grid, cli->tracks, &cause))
        return option_fail(error, "--tracks: %s", cause->message);
    return cli_check_meter(cli, model, error);
}

const verb_t verb_score = {
    .name = "score",
    .takes = "FILE...",
    .summary = "Figures of MIDI files or folders of them, beside those of a corpus' real songs.",
    .example = "score new/ --corpus shards --seam 16 --originality shards",
    .min_files = 1,
    .max_files = G_MAXUINT,
    .rows = score_rows,
    .check = check_score,
    .run = run_score,
};
