/* train: owns the loop: which step comes next, what it sums over ranks, when a run validates, keeps, and
 * ends. Where training stands is all in one checkpoint_t, so that a resumed run goes on in the middle of an
 * epoch. What ranks must agree on in a step travels with the losses, in one sum. Refuses data and rank counts
 * that no step can be made of. */
#include "trainer/train.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "preprocess/common/program.h"
#include "trainer/checkpoint/snapshot.h"
#include "trainer/data/data.h"
#include "trainer/data/rank_batches.h"
#include "trainer/evaluate/validate.h"
#include "trainer/metrics.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/run/run.h"
#include "trainer/run/schedule.h"

#define VALIDATION_BATCH 16 /* windows or pieces a pass, at least */
#define BEST_INTERVAL_S                                                                                      \
    20 /* a best epoch goes to disk when the last write is so old; until then it waits in memory */

G_DEFINE_QUARK(mpianist_train_error, train_error)

typedef enum { GO_ON, STOP_AGAIN, STOP_DONE } stop_t; /* STOP_AGAIN: exit 75, submit again */

typedef struct {
    const options_t *options;
    data_t *data;
    model_t *model;
    optimizer_t *optimizer;
    rank_batches_t *passes;
    evaluator_t *evaluator;             /* dense, NULL else */
    piece_evaluator_t *piece_evaluator; /* sequence, NULL else */
    metrics_t *metrics;                 /* rank 0, NULL on others */
    checkpoint_t checkpoint;            /* where training stands */
    snapshot_t *best;                   /* rank 0, NULL on others */
    int64_t samples;                    /* windows or sequences of an epoch */
    int64_t steps_per_epoch, total_steps;
    int64_t checkpoint_steps;
    double checkpoint_minutes;
    schedule_t schedule;
    gint64 start, last_save; /* monotonic microseconds */
    double earlier_seconds;  /* of the sessions before */
    int64_t first_step;      /* of this session */
    int64_t saved_step;      /* of the newest checkpoint, -1: none */
    int64_t best_step;       /* of the state that waits */
    gboolean unsaved;        /* the state is past the newest checkpoint */
    gboolean best_waits;     /* the best state so far is only in memory */
    gboolean best_due;       /* by the clock, as of the last step */
    gboolean checkpoint_due; /* by steps or the clock */
} trainer_t;

/* What a step sums over ranks. Flags: how many ranks raise them. */
typedef struct {
    training_sums_t done;
    double signal, deadline, out_of_time, checkpoint_due, best_due;
} step_sums_t;

static double seconds_since(gint64 then) { return (double)(g_get_monotonic_time() - then) / G_USEC_PER_SEC; }

static gboolean is_sequence(const options_t *options) { return g_str_equal(options->model, "sequence"); }

/* What the samples are, and how many, for people. Owner: caller. */
static char *describe_samples(const trainer_t *t) {
    const options_t *options = t->options;
    const gulong n = (gulong)t->samples;
    if (!is_sequence(options))
        return g_strdup_printf("%lu train %s of %d frames", n, g_dngettext(NULL, "window", "windows", n),
                               options->window);
    if (options->chunk == 0)
        return g_strdup_printf("%lu train %s", n, g_dngettext(NULL, "piece", "pieces", n));
    return g_strdup_printf("%lu train %s of up to %d frames", n, g_dngettext(NULL, "chunk", "chunks", n),
                           options->chunk);
}

static gboolean check_sizes(const trainer_t *t, GError **error) {
    const options_t *options = t->options;
    if (t->samples == 0) {
        g_set_error(error, TRAIN_ERROR, TRAIN_ERROR_DATA,
                    "%s: holds no train songs; preprocess more songs, or another --split", options->data);
        return FALSE;
    }
    if (t->samples < options->batch) {
        g_autofree char *samples = describe_samples(t);
        g_set_error(error, TRAIN_ERROR, TRAIN_ERROR_DATA,
                    "%s: has %s, fewer than one batch of %d; take --batch %" G_GINT64_FORMAT
                    " or less, a smaller --%s, or more songs",
                    options->data, samples, options->batch, t->samples,
                    is_sequence(options) ? "chunk" : "window");
        return FALSE;
    }
    if (comm_size() > options->batch) {
        g_set_error(
            error, TRAIN_ERROR, TRAIN_ERROR_DATA,
            "%d ranks for a --batch of %d: some would have nothing to do; start %d at most, or raise --batch",
            comm_size(), options->batch, options->batch);
        return FALSE;
    }
    return TRUE;
}

/* Passes, a model that holds the largest of them and of validation, optimizer. */
static gboolean allocate(trainer_t *t, const model_config_t *config, GError **error) {
    const options_t *options = t->options;
    GError *local = NULL;
    const rank_batches_config_t passes = {.batch = (size_t)options->batch,
                                          .accumulate = (size_t)options->accumulate,
                                          .seed = (uint64_t)options->seed,
                                          .rates = {.input_dropout = options->input_dropout,
                                                    .lag_dropout = options->lag_dropout,
                                                    .dropout = options->dropout}};
    const rank_batches_sizes_t sizes = rank_batches_sizes(t->data, config->kind, &passes);
    const size_t max_B = MAX(sizes.B, VALIDATION_BATCH),
                 max_frames = MAX(sizes.frames, data_longest_piece(t->data, SPLIT_VALID));
    t->model = model_new(config, max_B, max_frames, &local);
    if (!comm_agree(local, error)) return FALSE;
    const optimizer_config_t adam = options_optimizer_config(options);
    t->optimizer = optimizer_new(&adam, model_size(t->model));
    if (comm_rank() == 0) t->best = snapshot_new(config, &adam, &local);
    if (!comm_agree(local, error)) return FALSE;
    t->passes = rank_batches_new(t->data, config, &passes);
    if (is_sequence(options))
        t->piece_evaluator = piece_evaluator_new(t->data, SPLIT_VALID, config, max_B, max_frames);
    else
        t->evaluator = evaluator_new(config, max_B, 0);
    return TRUE;
}

static void new_head(trainer_t *t, const model_config_t *config) {
    const shard_set_t *set = data_shards(t->data);
    t->checkpoint = (checkpoint_t){.model = *config,
                                   .grid = set->grid,
                                   .tempo_bpm = data_median_tempo(t->data),
                                   .meter = data_main_meter(t->data),
                                   .seed = (uint64_t)t->options->seed,
                                   .batch = t->options->batch,
                                   .best = INFINITY};
    g_strlcpy(t->checkpoint.corpus_id, set->corpus_id, sizeof t->checkpoint.corpus_id);
    t->checkpoint.options = options_to_text(t->options);
}

/* Takes over where a checkpoint stands. */
static gboolean resume(trainer_t *t, const char *path, GError **error) {
    const shard_set_t *set = data_shards(t->data);
    g_auto(checkpoint_t) checkpoint = {0};
    if (!run_read_checkpoint(path, &checkpoint, error) ||
        !run_check_options(path, &checkpoint, t->options, error))
        return FALSE;
    if (strcmp(checkpoint.corpus_id, set->corpus_id) != 0) {
        g_set_error(error, TRAIN_ERROR, TRAIN_ERROR_DATA,
                    "%s: was trained on corpus %.12s, %s holds corpus %.12s; give the same --data, or name "
                    "another --output",
                    path, checkpoint.corpus_id, t->options->data, set->corpus_id);
        return FALSE;
    }
    if (!run_check_grid(path, &checkpoint, &set->grid, error) ||
        !run_read_state(path, t->model, t->optimizer, error))
        return FALSE;
    t->checkpoint.epoch = checkpoint.epoch;
    t->checkpoint.step = checkpoint.step;
    t->checkpoint.epoch_step = checkpoint.epoch_step;
    t->checkpoint.so_far = checkpoint.so_far;
    if (run_has_best(t->options->output)) { /* else the best so far is in another folder, or lost */
        t->checkpoint.best = checkpoint.best;
        t->checkpoint.best_epoch = checkpoint.best_epoch;
    }
    t->checkpoint.seconds = t->earlier_seconds = checkpoint.seconds;
    t->saved_step = checkpoint.step;
    return TRUE;
}

static gboolean init_model(trainer_t *t, GError **error) {
    g_autofree double *log_odds =
        g_new(double, t->checkpoint.model.tracks * t->checkpoint.model.planes * t->checkpoint.model.pitches);
    if (!data_log_odds(t->data, log_odds, error)) return FALSE;
    model_init(t->model, t->checkpoint.seed);
    model_init_log_odds(t->model, log_odds);
    return TRUE;
}

static gboolean open_run(trainer_t *t, const model_config_t *config, GError **error) {
    const options_t *options = t->options;
    GError *local = NULL;
    g_autofree char *path = NULL;
    if (!run_open(options, &path, error)) return FALSE;
    new_head(t, config);
    if (!init_model(t, error)) return FALSE;
    if (path && !resume(t, path, error)) return FALSE;
    if (!run_write_options(options, error)) return FALSE;
    if (comm_rank() == 0)
        t->metrics = metrics_open(options->output,
                                  &(metrics_run_t){.kind = config->kind,
                                                   .step = t->checkpoint.step,
                                                   .epoch = t->checkpoint.epoch,
                                                   .total_steps = t->total_steps,
                                                   .epochs = options->epochs,
                                                   .quiet = options->quiet},
                                  &local);
    if (!comm_agree(local, error)) return FALSE;
    if (t->metrics) {
        g_autofree char *samples = describe_samples(t);
        metrics_say(t->metrics, "%s: %s, %" G_GINT64_FORMAT " %s of %d an epoch, %zu weights, %d %s",
                    options->data, samples, t->steps_per_epoch,
                    g_dngettext(NULL, "step", "steps", (gulong)t->steps_per_epoch), options->batch,
                    model_size(t->model), comm_size(),
                    g_dngettext(NULL, "rank", "ranks", (gulong)comm_size()));
        g_autofree char *memory = rolls_describe(data_rolls(t->data));
        if (memory) metrics_say(t->metrics, "%s: %s", options->data, memory);
        if (path)
            metrics_say(t->metrics, "%s: going on after step %" G_GINT64_FORMAT, path, t->checkpoint.step);
        if (data_pieces(t->data, SPLIT_VALID) == 0)
            metrics_say(t->metrics, "%s: holds no valid songs: the training loss decides what is best",
                        options->data);
    }
    return TRUE;
}

static gboolean prepare(trainer_t *t, GError **error) {
    const options_t *options = t->options;
    data_config_t data_config = {.window = is_sequence(options) ? 0 : (size_t)options->window,
                                 .chunk = (size_t)options->chunk,
                                 .align = (size_t)options->segment,
                                 .planes = strcmp(options->planes, "both") == 0 ? 2 : 1,
                                 .seed = (uint64_t)options->seed,
                                 .memory = (size_t)options->data_memory << 20,
                                 .batch = (size_t)options->batch,
                                 .group_bytes = (size_t)options->shuffle_kib << 10,
                                 .random_offsets =
                                     is_sequence(options) || strcmp(options->offsets, "random") == 0};
    model_config_t config;
    if (!options_context(options, &data_config.context, error) ||
        !options_transpose_range(options, &data_config.transpose_low, &data_config.transpose_high, error) ||
        !options_checkpoint_every(options, &t->checkpoint_steps, &t->checkpoint_minutes, error))
        return FALSE;
    t->data = data_load(options->data, &data_config, error);
    if (!t->data) return FALSE;
    const grid_t *grid = &data_shards(t->data)->grid;
    if (!options_model_config(options, grid, &config, error)) return FALSE;
    t->samples = data_samples(t->data);
    if (!check_sizes(t, error)) return FALSE;
    t->steps_per_epoch = (t->samples + options->batch - 1) / options->batch;
    t->total_steps = t->steps_per_epoch * options->epochs;
    if (options->max_steps > 0) t->total_steps = MIN(t->total_steps, options->max_steps);
    return schedule_init(&t->schedule, options, t->total_steps, error) && allocate(t, &config, error) &&
           open_run(t, &config, error);
}

/* Gradient and plain losses of this rank's passes. */
static void compute_gradient(trainer_t *t, const model_objective_t *objective, training_sums_t *sums) {
    memset(model_gradient(t->model), 0, model_size(t->model) * sizeof(real_t));
    for (const batch_t *batch; (batch = rank_batches_next(t->passes));) {
        model_losses_t losses = {0};
        model_train(t->model, batch, objective, &losses);
        sums->windows += (double)batch->B;
        sums->segments += losses.segments;
        sums->nll += losses.nll;
        sums->kl += losses.kl;
        sums->auxiliary += losses.auxiliary;
        for (size_t b = 0; b < batch->B; b++) sums->frames += batch->valid[b];
    }
}

/* A checkpoint's metrics are on disk before it. */
static gboolean flush_metrics(trainer_t *t, GError **error) {
    GError *local = NULL;
    if (t->metrics) metrics_flush(t->metrics, &local);
    return comm_agree(local, error);
}

/* Writes the best state so far where it waits in memory. */
static gboolean save_best(trainer_t *t, GError **error) {
    if (!t->best_waits) return TRUE;
    t->best_waits = FALSE;
    const checkpoint_t *checkpoint = t->best ? &t->best->checkpoint : NULL;
    return flush_metrics(t, error) &&
           run_write_checkpoint(t->options->output, checkpoint, t->best ? t->best->model : NULL,
                                t->best ? t->best->optimizer : NULL, t->options->keep, TRUE, error);
}

/* Sets the error of a step that is not finite. bad: on this rank. The same on all ranks. A best state that
 * waits in memory is kept first: it was good. */
static void fail_not_finite(trainer_t *t, gboolean bad, const char *what, GError **error) {
    int culprit = comm_size() - (int)comm_max(bad ? comm_size() - comm_rank() : 0);
    if (t->best_waits && save_best(t, NULL)) t->saved_step = t->best_step;
    g_autofree char *where = culprit < comm_size() ? g_strdup_printf(" on rank %d", culprit) : g_strdup("");
    g_autofree char *kept = t->saved_step >= 0 ? checkpoint_path(t->options->output, t->saved_step) : NULL;
    g_set_error(error, TRAIN_ERROR, TRAIN_ERROR_NOT_FINITE,
                "step %" G_GINT64_FORMAT
                ": the %s is not finite%s; lower --learning-rate or set --clip; %s%s",
                t->checkpoint.step + 1, what, where,
                kept ? "the last good checkpoint is " : "no checkpoint was written before", kept ? kept : "");
}

static gboolean loss_is_finite(const training_sums_t *sums) {
    return isfinite(sums->nll + sums->kl + sums->auxiliary) != 0;
}

/* Writes a checkpoint of the state as it is, and before it the best one that waits; best: that is the state.
 */
static gboolean save(trainer_t *t, gboolean best, GError **error) {
    if (best) t->best_waits = FALSE;
    if (!save_best(t, error) || !flush_metrics(t, error) ||
        !run_check_weights(t->options->output, &t->checkpoint, t->model, error))
        return FALSE;
    t->checkpoint.seconds = t->earlier_seconds + seconds_since(t->start);
    if (!run_write_checkpoint(t->options->output, &t->checkpoint, t->model, t->optimizer, t->options->keep,
                              best, error))
        return FALSE;
    t->saved_step = t->checkpoint.step;
    t->last_save = g_get_monotonic_time();
    t->unsaved = t->checkpoint_due = FALSE;
    return TRUE;
}

/* Adds to the error of a song that cannot be read that the state, which is good, was kept. Returns FALSE. */
static gboolean fail_to_read(trainer_t *t, GError **error) {
    if (t->unsaved) save(t, FALSE, NULL);
    g_autofree char *kept = t->saved_step >= 0 ? checkpoint_path(t->options->output, t->saved_step) : NULL;
    g_prefix_error(error, "after step %" G_GINT64_FORMAT ", %s%s: ", t->checkpoint.step,
                   kept ? "kept in " : "with no checkpoint", kept ? kept : "");
    return FALSE;
}

/* One optimizer step, or none where a signal came first. sums: over all ranks. FALSE with an error: the same.
 */
static gboolean step(trainer_t *t, step_sums_t *sums, GError **error) {
    const options_t *options = t->options;
    checkpoint_t *checkpoint = &t->checkpoint;
    gint64 start = g_get_monotonic_time();
    rank_batches_step_t global;
    if (!rank_batches_begin(t->passes, checkpoint->epoch, checkpoint->epoch_step, &global, error))
        return fail_to_read(t, error);
    *sums = (step_sums_t){.signal = global.stopped || stop_signal() != 0};
    if (global.stopped) return TRUE;
    const model_objective_t objective = schedule_objective(&t->schedule, checkpoint->step, global.scale);
    if (comm_rank() == 0) { /* one clock decides */
        sums->deadline = stop_deadline_near();
        sums->out_of_time = options->max_minutes > 0 && seconds_since(t->start) >= options->max_minutes * 60;
        sums->best_due = seconds_since(t->last_save) >= BEST_INTERVAL_S;
        sums->checkpoint_due =
            t->checkpoint_minutes > 0 && seconds_since(t->last_save) >= t->checkpoint_minutes * 60;
    }
    compute_gradient(t, &objective, &sums->done);
    gboolean bad = !loss_is_finite(&sums->done);
    gint64 before_sum = g_get_monotonic_time();
    comm_sum_doubles((double *)sums, sizeof *sums / sizeof(double));
    if (!loss_is_finite(&sums->done)) {
        fail_not_finite(t, bad, "loss", error);
        return FALSE;
    }
    comm_sum_floats(model_gradient(t->model), model_size(t->model), (size_t)options->bucket_kib * 1024);
    double sum_ms = seconds_since(before_sum) * 1e3;
    double rate = schedule_rate(&t->schedule, checkpoint->step);
    double norm = optimizer_step(t->optimizer, t->model, rate);
    if (!isfinite(norm)) {
        fail_not_finite(t, FALSE, "gradient", error);
        return FALSE;
    }
    checkpoint->step++;
    checkpoint->epoch_step++;
    for (size_t i = 0; i < sizeof sums->done / sizeof(double); i++)
        ((double *)&checkpoint->so_far)[i] += ((double *)&sums->done)[i];
    t->best_due = sums->best_due > 0;
    t->unsaved = TRUE;
    if (t->metrics)
        metrics_step(t->metrics, &(metrics_step_t){.epoch = checkpoint->epoch + 1,
                                                   .step = checkpoint->step,
                                                   .done = sums->done,
                                                   .beta = objective.beta,
                                                   .free_bits = objective.free_bits,
                                                   .learning_rate = rate,
                                                   .gradient_norm = norm,
                                                   .step_ms = seconds_since(start) * 1e3,
                                                   .sum_ms = sum_ms});
    return TRUE;
}

/* Keeps the state as the best so far in memory: writing each of many quick epochs would take longer than
 * training them. */
static gboolean hold_best(trainer_t *t, GError **error) {
    if (!run_check_weights(t->options->output, &t->checkpoint, t->model, error)) return FALSE;
    t->checkpoint.seconds = t->earlier_seconds + seconds_since(t->start);
    if (t->best) snapshot_take(t->best, &t->checkpoint, t->model, t->optimizer);
    t->best_step = t->checkpoint.step;
    t->best_waits = TRUE;
    return TRUE;
}

static gboolean at_max_steps(const trainer_t *t) {
    return t->options->max_steps > 0 && t->checkpoint.step >= t->options->max_steps;
}

/* The weights' average is validated, where there is one. FALSE: a signal came, or see rolls_agree(). */
static gboolean validate(trainer_t *t, evaluation_t *valid) {
    const double beta = t->options->beta, free_bits = t->options->free_bits;
    optimizer_swap_average(t->optimizer, t->model);
    const gboolean done = t->piece_evaluator ? piece_evaluator_run(t->piece_evaluator, t->model,
                                                                   t->checkpoint.seed, beta, free_bits, valid)
                                             : evaluator_run(t->evaluator, t->model, t->data, SPLIT_VALID,
                                                             t->checkpoint.seed, beta, free_bits, valid);
    optimizer_swap_average(t->optimizer, t->model);
    return done;
}

/* Of the epoch so far, as evaluation_t's objective without free bits. */
static double training_loss(const trainer_t *t) {
    const training_sums_t *sums = &t->checkpoint.so_far;
    return (sums->nll + t->options->beta * sums->kl) / sums->windows;
}

/* Validates where due, reports the epoch, and keeps the model where it is the best so far. last: the run ends
 * here; where that is inside the epoch, the epoch is not counted as done. *stopped: a signal came meanwhile
 * and nothing has changed. */
static gboolean finish_epoch(trainer_t *t, gboolean last, gboolean *stopped, GError **error) {
    const options_t *options = t->options;
    checkpoint_t *checkpoint = &t->checkpoint;
    evaluation_t valid = {0};
    int64_t epoch = checkpoint->epoch + 1;
    gboolean whole = checkpoint->epoch_step == t->steps_per_epoch;
    gboolean due =
        last || epoch % options->validate_every == 0 || epoch >= options->epochs || at_max_steps(t);
    gboolean validates = due && data_pieces(t->data, SPLIT_VALID) > 0;
    *stopped = validates && !validate(t, &valid);
    if (*stopped) return rolls_agree(data_rolls(t->data), error) || fail_to_read(t, error);
    double loss = validates ? valid.objective : training_loss(t);
    gboolean best = due && loss < checkpoint->best;
    if (best) {
        checkpoint->best = loss;
        checkpoint->best_epoch = epoch;
    }
    if (t->metrics)
        metrics_epoch(t->metrics, &(metrics_epoch_t){.whole = whole,
                                                     .epoch = epoch,
                                                     .step = checkpoint->step,
                                                     .done = checkpoint->so_far,
                                                     .seconds = t->earlier_seconds + seconds_since(t->start),
                                                     .valid = validates ? &valid : NULL,
                                                     .best = best});
    if (whole) {
        checkpoint->epoch++;
        checkpoint->epoch_step = 0;
        checkpoint->so_far = (training_sums_t){0};
    }
    t->unsaved = TRUE;
    if (t->checkpoint_due || (t->best_due && (best || t->best_waits))) return save(t, best, error);
    return !best || hold_best(t, error);
}

/* Only where an epoch ended that was validated: the others could not improve. */
static gboolean stopped_improving(const trainer_t *t) {
    const options_t *options = t->options;
    const checkpoint_t *checkpoint = &t->checkpoint;
    return options->early_stopping > 0 && checkpoint->epoch_step == 0 &&
           checkpoint->epoch % options->validate_every == 0 && checkpoint->best_epoch > 0 &&
           checkpoint->epoch - checkpoint->best_epoch >= options->early_stopping;
}

/* Steps until something ends the run; *why says what. */
static gboolean loop(trainer_t *t, stop_t *why, GError **error) {
    const options_t *options = t->options;
    checkpoint_t *checkpoint = &t->checkpoint;
    for (*why = GO_ON; *why == GO_ON;) {
        if (checkpoint->epoch_step == t->steps_per_epoch) {
            gboolean stopped = FALSE;
            if (!finish_epoch(t, FALSE, &stopped, error)) return FALSE;
            if (stopped) *why = STOP_AGAIN;
            continue;
        }
        if (checkpoint->epoch >= options->epochs || at_max_steps(t) || stopped_improving(t)) {
            *why = STOP_DONE;
            continue;
        }
        step_sums_t sums;
        if (!step(t, &sums, error)) return FALSE;
        if (sums.signal > 0 || sums.deadline > 0)
            *why = STOP_AGAIN;
        else if (sums.out_of_time > 0)
            *why = STOP_DONE;
        if (sums.checkpoint_due > 0 ||
            (t->checkpoint_steps > 0 && checkpoint->step % t->checkpoint_steps == 0))
            t->checkpoint_due = TRUE;
        gboolean ended =
            checkpoint->epoch_step == t->steps_per_epoch; /* finish_epoch() keeps what is due then */
        if (t->checkpoint_due && !ended && *why == GO_ON && !save(t, FALSE, error)) return FALSE;
    }
    return TRUE;
}

/* Validates an epoch that a run ends in, and keeps the last state. One that is to be submitted again hurries:
 * it only keeps. */
static gboolean finish(trainer_t *t, stop_t *why, GError **error) {
    gboolean stopped = FALSE;
    if (*why == STOP_DONE && t->checkpoint.step > t->first_step && t->checkpoint.epoch_step > 0 &&
        !finish_epoch(t, TRUE, &stopped, error))
        return FALSE;
    if (stopped) *why = STOP_AGAIN;
    if (t->best_waits && t->best_step == t->checkpoint.step) return save(t, TRUE, error);
    return !t->unsaved || save(t, FALSE, error);
}

static void close_run(trainer_t *t, stop_t why) {
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    double seconds = seconds_since(t->start), peak_mib = (double)comm_max(usage.ru_maxrss) / 1024;
    int64_t steps = t->checkpoint.step - t->first_step;
    if (!t->metrics) return;
    g_autofree char *kept =
        t->saved_step >= 0 ? checkpoint_path(t->options->output, t->saved_step) : g_strdup("no checkpoint");
    if (why == STOP_AGAIN)
        metrics_say(t->metrics, "stopped early; submit the same command with --resume auto to go on");
    if (steps == 0)
        metrics_say(t->metrics,
                    "nothing left to do: raise --epochs, --max-steps or --early-stopping to train on");
    metrics_say(t->metrics,
                "mpianist trainer " MPIANIST_VERSION ": %s at step %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT
                " %s in %.1f s on %d %s, %.0f MiB a rank at most",
                kept, t->checkpoint.step, steps, g_dngettext(NULL, "step", "steps", (gulong)steps), seconds,
                comm_size(), g_dngettext(NULL, "rank", "ranks", (gulong)comm_size()), peak_mib);
}

static void clear(trainer_t *t) {
    metrics_close(t->metrics);
    rank_batches_free(t->passes);
    evaluator_free(t->evaluator);
    piece_evaluator_free(t->piece_evaluator);
    snapshot_free(t->best);
    optimizer_free(t->optimizer);
    model_free(t->model);
    data_free(t->data);
    checkpoint_clear(&t->checkpoint);
}

int train_run(const options_t *options, GError **error) {
    trainer_t t = {.options = options,
                   .start = g_get_monotonic_time(),
                   .last_save = g_get_monotonic_time(),
                   .saved_step = -1};
    stop_t why = GO_ON;
    gboolean done = prepare(&t, error);
    if (done) {
        t.first_step = t.checkpoint.step;
        done = loop(&t, &why, error) && finish(&t, &why, error);
    }
    if (done) close_run(&t, why);
    clear(&t);
    return !done ? EXIT_ERROR : why == STOP_AGAIN ? EXIT_STOPPED_EARLY : EXIT_DONE;
}
