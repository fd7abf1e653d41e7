/* session: owns all that happens between the options and the first step. */
#include "trainer/session.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/evaluate/evaluate_dense.h"
#include "trainer/evaluate/validate_sequence.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/run/budget.h"

#define VALIDATION_BATCH 16 /* windows or pieces a pass, at least */

static gboolean is_sequence(const options_t *options) {
    return options_model_kind(options) == MODEL_SEQUENCE;
}

/* Describes the samples and their number for people. Owner: caller. */
static char *describe_samples(const session_t *session) {
    const options_t *options = session->options;
    const gulong n = (gulong)data_samples(session->data);
    if (!is_sequence(options))
        return g_strdup_printf("%lu train %s of %d frames", n, g_dngettext(NULL, "window", "windows", n),
                               (int)options->sizes.window);
    if (options->chunk == 0)
        return g_strdup_printf("%lu train %s", n, g_dngettext(NULL, "piece", "pieces", n));
    return g_strdup_printf("%lu train %s of up to %d frames", n, g_dngettext(NULL, "chunk", "chunks", n),
                           options->chunk);
}

/* Sets what is `auto`, the same on all ranks. */
static void choose_numbers(session_t *session, options_t *options, const shard_set_t *set) {
    g_autofree int64_t *frames = g_new(int64_t, set->n_songs);
    size_t n = 0;
    int64_t all = 0;
    for (size_t i = 0; i < set->n_songs; i++) {
        if (set->songs[i].split != SPLIT_TRAIN) continue;
        frames[n++] = set->songs[i].frames;
        all += set->songs[i].frames;
    }
    g_autofree char *chosen = budget_choose(options, frames, n);
    if (chosen)
        session->chosen = g_strdup_printf("%s, by %zu train %s of %" G_GINT64_FORMAT " frames", chosen, n,
                                          g_dngettext(NULL, "song", "songs", (gulong)n), all);
}

static gboolean load_data(session_t *session, options_t *options, GError **error) {
    const gboolean sequence = is_sequence(options);
    rolls_t *rolls = rolls_open(options->data, error);
    if (!rolls) return FALSE;
    choose_numbers(session, options, rolls_set(rolls));
    data_config_t config = {.window = sequence ? 0 : options->sizes.window,
                            .chunk = (size_t)options->chunk,
                            .align = model_alignment(&options->sizes),
                            .planes = options->sizes.planes,
                            .seed = (uint64_t)options->seed,
                            .memory = (size_t)options->data_memory << 20,
                            .batch = (size_t)options->batch,
                            .group_bytes = (size_t)options->shuffle_kib << 10,
                            .context = options_context(options),
                            .played = sequence && options->sizes.sequence.performance > 0,
                            .transpose_low = options->transpose.low,
                            .transpose_high = options->transpose.high,
                            .random_offsets = sequence || g_str_equal(options->offsets, "random")};
    session->data = data_load(rolls, &config, error);
    return session->data != NULL;
}

/* Refuses too few samples or too many ranks for a step; else computes steps and schedule. */
static gboolean plan_steps(session_t *session, GError **error) {
    const options_t *options = session->options;
    const int64_t samples = data_samples(session->data);
    g_autofree char *described = describe_samples(session);
    if (samples == 0)
        return program_fail(error, "%s: holds no train songs; preprocess more songs, or another --split",
                            options->data);
    if (samples < options->batch)
        return program_fail(error,
                            "%s: has %s, fewer than one batch of %d; take --batch %" G_GINT64_FORMAT
                            " or less, a smaller --%s, or more songs",
                            options->data, described, options->batch, samples,
                            is_sequence(options) ? "chunk" : "window");
    if (comm_size() > options->batch)
        return program_fail(
            error,
            "%d ranks for a --batch of %d: some would have nothing to do; start %d at most, or "
            "raise --batch",
            comm_size(), options->batch, options->batch);
    if (options->reproducible > 0 && comm_size() > options->reproducible)
        return program_fail(
            error,
            "%d ranks for --reproducible %d, which is the most that it allows; start fewer, or "
            "begin another run with --reproducible %d",
            comm_size(), options->reproducible, comm_size());
    session->steps_per_epoch = (samples + options->batch - 1) / options->batch;
    const int64_t steps = session->steps_per_epoch * options->epochs;
    schedule_init(&session->schedule, options,
                  options->max_steps > 0 ? MIN(steps, options->max_steps) : steps);
    return TRUE;
}

/* Makes the exchange, in whose memory the state will be. */
static gboolean make_exchange(session_t *session, const model_config_t *config, GError **error) {
    const options_t *options = session->options;
    GError *local = NULL;
    const size_t n = model_elements(config, &local);
    if (!comm_agree(local, error)) return FALSE;
    session->exchange = exchange_new(
        &(exchange_config_t){.n = n,
                             .bucket_bytes = (size_t)options->bucket_kib * 1024,
                             .grains = options->reproducible,
                             .wire = g_str_equal(options->wire, "bf16") ? WIRE_BF16 : WIRE_FLOAT,
                             .blocks = 3 + (options->average > 0) + (options->sync_every > 0 ? 2 : 0),
                             .local_steps = options->sync_every},
        error);
    return session->exchange != NULL;
}

/* Makes the model and the optimizer. */
static gboolean make_state(session_t *session, const model_config_t *config, size_t max_B, size_t max_frames,
                           size_t grains, GError **error) {
    const optimizer_config_t adam = options_optimizer_config(session->options);
    exchange_t *exchange = session->exchange;
    run_state_t *state = &session->state;
    GError *local = NULL;
    state->fills = exchange_host_index(exchange) == 0;
    real_t *params = exchange_shared_block(exchange);
    optimizer_memory_t moments = {.m = exchange_shared_block(exchange), .v = exchange_shared_block(exchange)};
    if (adam.average > 0) moments.average = exchange_shared_block(exchange);
    if (adam.outer) {
        moments.momentum = exchange_shared_block(exchange);
        session->synced = exchange_shared_block(exchange);
    }
    state->model = model_new_in(config, max_B, max_frames, params, exchange_gradient(exchange, 0), &local);
    if (state->model && (grains == 0 || model_allow_grains(state->model, grains, &local)))
        state->optimizer = optimizer_new_in(&adam, model_size(state->model), &moments);
    return comm_agree(local, error);
}

static gboolean read_log_odds(session_t *session, GError **error) {
    const grid_t *grid = &data_shards(session->data)->grid;
    if (session->log_odds) return TRUE;
    session->log_odds =
        g_new(double, (size_t)grid->n_tracks * session->options->sizes.planes * (size_t)grid->pitches);
    return data_log_odds(session->data, session->log_odds, error);
}

/* Where the model has tied GRUs, only pitches near those that sound in training have them. */
static gboolean tie_pitches(session_t *session, model_config_t *config, GError **error) {
    size_t lowest, highest;
    if (config->kind != MODEL_SEQUENCE || config->sequence.tied_pitches == 0) return TRUE;
    if (!read_log_odds(session, error)) return FALSE;
    if (data_pitch_range(session->data, session->log_odds, &lowest, &highest))
        model_tie_range(config, lowest, highest);
    return TRUE;
}

/* Makes the batches, a model with room for the largest batch of training and validation, the optimizer, and
 * the evaluator. */
static gboolean make_model(session_t *session, GError **error) {
    const options_t *options = session->options;
    data_t *data = session->data;
    model_config_t config = options_model_config(options, &data_shards(data)->grid);
    const gboolean apart = options->reproducible > 0;
    const size_t shares = (size_t)(apart ? options->reproducible : comm_size());
    if (!tie_pitches(session, &config, error) || !make_exchange(session, &config, error)) return FALSE;
    rank_batches_config_t batches = {.batch = (size_t)options->batch,
                                     .shares = shares,
                                     .accumulate = (size_t)options->accumulate,
                                     .seed = (uint64_t)options->seed,
                                     .rates = {.input_dropout = options->input_dropout,
                                               .lag_dropout = options->lag_dropout,
                                               .memory_dropout = options->memory_dropout,
                                               .dropout = options->dropout},
                                     .context_dropout = options->context_dropout};
    /* Batches of a share alone bound those of the validation, which then do not depend on the ranks. */
    const rank_batches_sizes_t sizes = rank_batches_sizes(data, config.kind, &batches);
    const size_t valid_B = MAX(sizes.B, VALIDATION_BATCH),
                 max_frames = MAX(sizes.frames, data_longest_piece(data, SPLIT_VALID));
    if (apart && options->accumulate == 1) batches.together = gradient_most_grains(session->exchange);
    const rank_batches_sizes_t together = rank_batches_sizes(data, config.kind, &batches);
    GError *local = NULL;
    if (!make_state(session, &config, MAX(valid_B, together.B), MAX(max_frames, together.frames),
                    batches.together, error))
        return FALSE;
    session->batches = rank_batches_new(data, &config, &batches);
    session->slots = apart ? shares : 1;
    session->sums = g_malloc0(sizeof *session->sums + session->slots * sizeof *session->sums->done);
    session->gradient = gradient_new(session->state.model, session->batches, session->exchange,
                                     batches.together, apart, &local);
    if (!comm_agree(local, error)) return FALSE;
    size_t first_share, own_shares;
    exchange_grains(session->exchange, &first_share, &own_shares);
    const schedule_judge_t judge = schedule_judge(options);
    const evaluation_job_t validation = {.data = data,
                                         .split = SPLIT_VALID,
                                         .model = session->state.model,
                                         .seed = (uint64_t)options->seed,
                                         .beta = judge.beta,
                                         .free_bits = judge.free_bits,
                                         .free_share = judge.free_share,
                                         .max_B = valid_B,
                                         .max_frames = max_frames,
                                         .shares = apart ? shares : 0,
                                         .first_share = first_share,
                                         .own_shares = own_shares,
                                         .training = TRUE};
    session->evaluator =
        is_sequence(options) ? validate_sequence_new(&validation) : evaluate_dense_new(&validation);
    return TRUE;
}

/* Fills in the state before the first step. */
static gboolean begin_state(session_t *session, GError **error) {
    const shard_set_t *set = data_shards(session->data);
    model_t *model = session->state.model;
    const model_config_t *config = model_config(model);
    checkpoint_t *checkpoint = &session->state.checkpoint;
    *checkpoint = (checkpoint_t){.model = *config,
                                 .grid = set->grid,
                                 .options = options_to_text(session->options),
                                 .tempo_bpm = data_median_tempo(session->data),
                                 .meter = data_main_meter(session->data),
                                 .seed = (uint64_t)session->options->seed,
                                 .batch = session->options->batch,
                                 .best = INFINITY,
                                 .multiplier = options_hold_rate(session->options) ? MULTIPLIER_START : 0};
    g_strlcpy(checkpoint->corpus_id, set->corpus_id, sizeof checkpoint->corpus_id);
    if (!read_log_odds(session, error)) return FALSE;
    if (session->state.fills) {
        model_init(model, checkpoint->seed);
        model_init_log_odds(model, session->log_odds);
    }
    comm_node_barrier();
    return TRUE;
}

/* Prints what a run is about to do. resumed: path of a checkpoint, or "". */
static void announce(const session_t *session, const char *resumed) {
    const options_t *options = session->options;
    metrics_t *metrics = session->metrics;
    g_autofree char *samples = describe_samples(session);
    g_autofree char *memory = rolls_describe(data_rolls(session->data)), *deadline = stop_find_deadline();
    if (session->chosen) metrics_say(metrics, "%s: auto is %s", options->data, session->chosen);
    metrics_say(metrics, "%s: %s, %" G_GINT64_FORMAT " %s of %d an epoch, %zu weights, %d %s", options->data,
                samples, session->steps_per_epoch,
                g_dngettext(NULL, "step", "steps", (gulong)session->steps_per_epoch), options->batch,
                model_size(session->state.model), comm_size(),
                g_dngettext(NULL, "rank", "ranks", (gulong)comm_size()));
    if (memory) metrics_say(metrics, "%s: %s", options->data, memory);
    if (exchange_hosts(session->exchange) > 1)
        metrics_say(metrics, "%s", exchange_describe(session->exchange));
    if (deadline) metrics_say(metrics, "%s", deadline);
    if (*resumed)
        metrics_say(metrics, "%s: going on after step %" G_GINT64_FORMAT, resumed, session->first_step);
    if (data_pieces(session->data, SPLIT_VALID) == 0)
        metrics_say(metrics, "%s: holds no valid songs: the training loss decides what is best",
                    options->data);
}

static gboolean open_metrics(session_t *session, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0)
        session->metrics = metrics_open(session->options, session->owner, &session->state.checkpoint,
                                        session->schedule.total_steps, &local);
    return comm_agree(local, error);
}

static gboolean sync_metrics(gpointer metrics, GError **error) { return metrics_sync(metrics, error); }

static gboolean start_keeper(session_t *session, GError **error) {
    return keeper_init(&session->keeper, session->options, session->owner, &session->state, sync_metrics,
                       session->metrics, error);
}

gboolean session_open(session_t *session, options_t *options, GError **error) {
    const checkpoint_t *checkpoint = &session->state.checkpoint;
    g_autofree char *resumed = NULL;
    *session = (session_t){.options = options, .start = g_get_monotonic_time()};
    if (!load_data(session, options, error) || !plan_steps(session, error) || !make_model(session, error) ||
        !run_open(options, &session->owner, &resumed, error) || !begin_state(session, error) ||
        (*resumed && !run_resume(options, resumed, &session->state, error)) ||
        (!options->check &&
         (!run_write_options(options, session->owner, error) || !open_metrics(session, error))) ||
        !start_keeper(session, error))
        return FALSE;
    sync_begin(&session->sync, session->exchange, &session->state, session->synced);
    session->first_step = checkpoint->step;
    session->earlier_seconds = checkpoint->seconds;
    if (session->metrics) announce(session, resumed);
    return TRUE;
}

void session_close(session_t *session) {
    keeper_clear(&session->keeper);
    metrics_close(session->metrics);
    owner_release(session->owner);
    gradient_free(session->gradient);
    g_free(session->sums);
    g_free(session->log_odds);
    rank_batches_free(session->batches);
    evaluator_free(session->evaluator);
    optimizer_free(session->state.optimizer);
    model_free(session->state.model);
    exchange_free(session->exchange);
    data_free(session->data);
    g_free(session->chosen);
    checkpoint_clear(&session->state.checkpoint);
}
