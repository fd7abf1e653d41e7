/* evaluate: owns the steps from a checkpoint to printed figures. Refuses empty splits, data on another grid
 * than the model's, and bounds that a kind of model does not have. */
#include "trainer/evaluate/evaluate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "preprocess/common/file.h"
#include "preprocess/common/json.h"
#include "preprocess/common/program.h"
#include "trainer/evaluate/evaluate_dense.h"
#include "trainer/evaluate/evaluate_sequence.h"
#include "trainer/model/rebuild.h"
#include "trainer/parallel/comm.h"
#include "trainer/run/run.h"

enum { WINDOWS = 32 }; /* batch of the dense model; the sequence model evaluates pieces by streams */

/* Refuses bounds that the kind of model does not have. */
static gboolean check_bounds(const options_t *options, const model_config_t *config, GError **error) {
    const char *problem = NULL;
    if (config->kind == MODEL_SEQUENCE && options->iwae > 0)
        problem = "--iwae: %s is a sequence model, whose draws must be weighed segment by segment; take "
                  "--particles K";
    else if (config->kind == MODEL_DENSE && options->particles > 0)
        problem = "--particles: %s is a dense model, whose windows have one latent each; take --iwae K";
    else if (config->kind == MODEL_DENSE && options->rebuild != REBUILD_DRAWS)
        problem = "--rebuild: %s is a dense model, which decodes a window at once; leave --rebuild out";
    else if (options->iwae > 0 && config->loss != LOSS_BCE)
        problem = "--iwae: %s was trained with --loss mse, which gives no likelihood; leave --iwae out";
    if (!problem) return TRUE;
    g_set_error(error, OPTION_ERROR, OPTION_ERROR_USAGE, problem, options->evaluate);
    return FALSE;
}

gboolean evaluate_open(evaluation_job_t *job, const options_t *options, const char *path,
                       const checkpoint_t *checkpoint, const option_splits_t *splits, GError **error) {
    const model_config_t *config = &checkpoint->model;
    const data_config_t data_config = {.window = config->window,
                                       .context = MAX(1, model_context(config)),
                                       .planes = config->planes,
                                       .played =
                                           config->kind == MODEL_SEQUENCE && config->sequence.performance > 0,
                                       .seed = (uint64_t)options->seed,
                                       .memory = (size_t)options->data_memory << 20};
    GError *local = NULL;
    job->seed = data_config.seed;
    job->max_B = config->kind == MODEL_DENSE ? WINDOWS : 1;
    job->quiet = options->quiet;
    job->data = data_load(rolls_open(options->data, error), &data_config, error);
    if (!job->data || !run_check_grid(path, checkpoint, &data_shards(job->data)->grid, error)) return FALSE;
    for (size_t i = 0; i < splits->n; i++)
        if (data_pieces(job->data, splits->splits[i]) == 0)
            return program_fail(error, "%s: holds no %s songs; see `%s --info %s`%s", options->data,
                                split_name(splits->splits[i]), program_called("preprocess"), options->data,
                                options->evaluate ? ", or take another --split" : "");
    job->model = model_new(config, job->max_B, 1, &local);
    return comm_agree(local, error) && run_read_weights(path, job->model, error);
}

void evaluate_close(evaluation_job_t *job) {
    model_free(job->model);
    data_free(job->data);
}

gboolean evaluate_own_folder(const char *path, owner_t **owner, GError **error) {
    char *resolved = comm_rank() == 0 ? realpath(path, NULL) : NULL;
    g_autofree char *folder = resolved ? g_path_get_dirname(resolved) : NULL,
                    *shared = comm_broadcast_string(folder, 0);
    const gboolean own = run_own(shared, owner, error);
    if (own && resolved) {
        g_autofree char *name = g_path_get_basename(resolved), *prefix = g_strconcat(name, ".", NULL);
        file_sweep(shared, prefix, NULL, NULL); /* of killed writers */
    }
    free(resolved);
    return own;
}

gboolean evaluate_print_line(const char *text, GError **error) {
    if (puts(text) >= 0 && fflush(stdout) == 0) return TRUE;
    return program_fail(error, "standard output: cannot write: %s", g_strerror(errno));
}

/* Prints the figures of a split, on rank 0. */
static gboolean print(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                      const evaluation_t *found, GError **error) {
    g_autoptr(GString) line = g_string_new(NULL);
    json_t json = {line, JSON_EXACT};
    json_open(&json, NULL, '{');
    json_text(&json, "checkpoint", options->evaluate);
    json_text(&json, "split", split_name(split));
    json_count(&json, "step", (size_t)checkpoint->step);
    g_string_append_printf(line, ",%s", found->members->str);
    json_close(&json, '{');
    const gboolean written = evaluate_print_line(line->str, error);
    if (!options->quiet) g_printerr("%s on %s: %s", options->evaluate, split_name(split), found->text->str);
    return written;
}

static gboolean run_split(const options_t *options, const checkpoint_t *checkpoint,
                          const evaluation_job_t *job, GError **error) {
    g_autoptr(evaluator_t) evaluator = checkpoint->model.kind == MODEL_SEQUENCE
                                           ? evaluate_sequence_new(job, error)
                                           : evaluate_dense_new(job);
    GError *local = NULL;
    const evaluation_t *found = evaluator ? evaluator_run(evaluator, &local) : NULL;
    if (found && comm_rank() == 0) print(options, checkpoint, job->split, found, &local);
    if (evaluator && !found && !local)
        program_fail(&local, "stopped by a signal before the evaluation was done");
    return evaluator && comm_agree(local, error);
}

int evaluate_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(options->evaluate, &checkpoint, error)) return EXIT_ERROR;
    if (!check_bounds(options, &checkpoint.model, error)) return EXIT_USAGE;
    evaluation_job_t job = {.draws = MAX(options->iwae, options->particles), .rebuild = options->rebuild};
    gboolean done = evaluate_open(&job, options, options->evaluate, &checkpoint, &options->split, error);
    for (size_t i = 0; done && i < options->split.n; i++) {
        job.split = options->split.splits[i];
        done = run_split(options, &checkpoint, &job, error);
    }
    evaluate_close(&job);
    return done ? EXIT_DONE : EXIT_ERROR;
}
