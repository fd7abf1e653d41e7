/* evaluate: owns the way from a checkpoint to what is told of it. Refuses empty splits, data on another grid
 * than the model's and bounds that its kind has not. */
#include "trainer/evaluate/evaluate.h"

#include <errno.h>
#include <stdio.h>

#include "preprocess/common/json.h"
#include "preprocess/common/program.h"
#include "trainer/evaluate/evaluate_dense.h"
#include "trainer/evaluate/evaluate_sequence.h"
#include "trainer/parallel/comm.h"
#include "trainer/run/run.h"

#define EVALUATE_BATCH 32 /* windows of the dense model; pieces of the sequence model go through streams */

/* The bounds that a kind of model has. */
static gboolean check_bounds(const options_t *options, const model_config_t *config, GError **error) {
    const char *problem = NULL;
    if (config->kind == MODEL_SEQUENCE && options->iwae > 0)
        problem = "--iwae: %s is a sequence model, whose draws must be weighed segment by segment; take "
                  "--particles K";
    else if (config->kind == MODEL_DENSE && options->particles > 0)
        problem = "--particles: %s is a dense model, whose windows have one latent each; take --iwae K";
    else if (options->iwae > 0 && config->loss != LOSS_BCE)
        problem = "--iwae: %s was trained with --loss mse, which gives no likelihood; leave --iwae out";
    if (!problem) return TRUE;
    g_set_error(error, OPTION_ERROR, OPTION_ERROR_USAGE, problem, options->evaluate);
    return FALSE;
}

static gboolean check_songs(const options_t *options, const data_t *data, GError **error) {
    const split_t *splits = options->split.splits;
    for (size_t i = 0; i < options->split.n; i++) {
        if (data_frames(data, splits[i]) > 0) continue;
        g_set_error(error, SHARD_ERROR, SHARD_ERROR_NONE,
                    "%s: holds no %s songs; see `%s --info %s`, or take another --split", options->data,
                    split_name(splits[i]), program_called("preprocess"), options->data);
        return FALSE;
    }
    return TRUE;
}

gboolean evaluate_print_line(const char *text, GError **error) {
    if (puts(text) >= 0 && fflush(stdout) == 0) return TRUE;
    g_set_error(error, OPTION_ERROR, OPTION_ERROR_FILE, "standard output: cannot write: %s",
                g_strerror(errno));
    return FALSE;
}

/* Rank 0's part. */
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
        g_set_error(&local, OPTION_ERROR, OPTION_ERROR_FILE,
                    "stopped by a signal before the evaluation was done");
    return evaluator && comm_agree(local, error);
}

static gboolean run_splits(const options_t *options, const checkpoint_t *checkpoint, model_t *model,
                           const data_t *data, GError **error) {
    for (size_t i = 0; i < options->split.n; i++)
        if (!run_split(options, checkpoint,
                       &(evaluation_job_t){.data = data,
                                           .split = options->split.splits[i],
                                           .model = model,
                                           .seed = (uint64_t)options->seed,
                                           .max_B = EVALUATE_BATCH,
                                           .draws = MAX(options->iwae, options->particles),
                                           .quiet = options->quiet},
                       error))
            return FALSE;
    return TRUE;
}

int evaluate_run(const options_t *options, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(options->evaluate, &checkpoint, error)) return EXIT_ERROR;
    if (!check_bounds(options, &checkpoint.model, error)) return EXIT_USAGE;
    const data_config_t data_config = {.window = checkpoint.model.window,
                                       .context = model_context(&checkpoint.model),
                                       .planes = checkpoint.model.planes,
                                       .seed = (uint64_t)options->seed,
                                       .memory = (size_t)options->data_memory << 20};
    data_t *data = data_load(options->data, &data_config, error);
    if (!data) return EXIT_ERROR;
    GError *local = NULL;
    g_autoptr(model_t) model = NULL;
    gboolean done = run_check_grid(options->evaluate, &checkpoint, &data_shards(data)->grid, error) &&
                    check_songs(options, data, error);
    if (done) {
        const gboolean dense = checkpoint.model.kind == MODEL_DENSE;
        model = model_new(&checkpoint.model, dense ? EVALUATE_BATCH : 1, 1, &local);
        done = comm_agree(local, error);
    }
    done = done && run_read_weights(options->evaluate, model, error) &&
           run_splits(options, &checkpoint, model, data, error);
    data_free(data);
    return done ? EXIT_DONE : EXIT_ERROR;
}
