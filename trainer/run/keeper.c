/* keeper: owns the copies of states that are to be written, and what happens when that fails. Refuses to
 * write weights that are broken or differ between ranks. */
#include "trainer/run/keeper.h"

#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/watch.h"
#include "trainer/run/replicas.h"

#define BEST_INTERVAL_S  20   /* between writes of best states alone */
#define RETRY_INTERVAL_S 60   /* after a write that failed, at most */
#define SLOW_DISK        20e6 /* bytes a second that a disk is trusted to take before it was measured */

/* Makes room for a copy. It has no gradient of its own. */
static gboolean make_room(run_state_t *copy, const run_state_t *state, GError **error) {
    copy->model = model_new_in(&state->checkpoint.model, 1, 1, NULL, model_gradient(state->model), error);
    if (copy->model) copy->optimizer = optimizer_new(&state->optimizer->config, state->optimizer->n);
    return copy->model != NULL;
}

static void copy_state(run_state_t *copy, const run_state_t *state) {
    copy->checkpoint = state->checkpoint;
    memcpy(model_params(copy->model), model_params(state->model), model_size(state->model) * sizeof(real_t));
    optimizer_copy(copy->optimizer, state->optimizer);
}

gboolean keeper_init(keeper_t *keeper, const options_t *options, owner_t *owner, const run_state_t *state,
                     writer_before_t before, gpointer before_data, GError **error) {
    const writer_config_t config = {.run = options->output,
                                    .keep = options->keep,
                                    .owner = owner,
                                    .before = before,
                                    .before_data = before_data};
    GError *local = NULL;
    *keeper = (keeper_t){.options = options,
                         .state = state,
                         .ended = g_get_monotonic_time(),
                         .newest = state->checkpoint.step,
                         .longest_write_s = (double)run_state_bytes(state) / SLOW_DISK};
    if (comm_rank() == 0 && make_room(&keeper->best, state, &local) &&
        make_room(&keeper->copy, state, &local))
        keeper->writer = writer_new(&config);
    return comm_agree(local, error);
}

void keeper_clear(keeper_t *keeper) {
    writer_free(keeper->writer);
    run_state_t *copies[] = {&keeper->best, &keeper->copy};
    for (size_t i = 0; i < G_N_ELEMENTS(copies); i++) {
        model_free(copies[i]->model);
        optimizer_free(copies[i]->optimizer);
    }
    g_clear_error(&keeper->failure);
}

/* ---- what the writer did ---- */

/* Whether training goes on though a write failed. If not, *failure says why. */
static gboolean forgives(keeper_t *keeper, GError **failure) {
    const int minutes = WRITER_PATIENCE_S / 60;
    if (g_error_matches(*failure, OWNER_ERROR, OWNER_ERROR_LOST)) return FALSE;
    if (keeper->failing == 0) keeper->failing = keeper->started;
    if (watch_seconds_since(keeper->failing) > WRITER_PATIENCE_S) {
        g_prefix_error(failure, "checkpoints could not be written for %d minutes: ", minutes);
        return FALSE;
    }
    if (keeper->warned == 0 || watch_seconds_since(keeper->warned) >= RETRY_INTERVAL_S) {
        keeper->warned = g_get_monotonic_time();
        g_warning("%s; training goes on and tries again, for %d minutes at most", (*failure)->message,
                  minutes);
    }
    return TRUE;
}

static void note_written(keeper_t *keeper, const writer_job_t *job) {
    const int64_t step = job->state->checkpoint.step;
    keeper->newest = step;
    if (job->best && keeper->best.checkpoint.step == step) keeper->best_waits = FALSE;
}

/* Waits for the writer, and takes its result. FALSE with error set where a state was not written. */
static gboolean take_result(keeper_t *keeper, GError **error) {
    if (keeper->n_jobs == 0) return TRUE;
    const size_t n = keeper->n_jobs, written = writer_end(keeper->writer, error);
    for (size_t i = 0; i < written; i++) note_written(keeper, &keeper->jobs[i]);
    keeper->n_jobs = 0;
    keeper->ended = g_get_monotonic_time();
    if (written < n) {
        keeper->unsaved = TRUE;
        return FALSE;
    }
    const double took_s = (double)(keeper->ended - keeper->started) / G_USEC_PER_SEC / (double)n;
    keeper->longest_write_s = keeper->measured ? MAX(keeper->longest_write_s, took_s) : took_s;
    keeper->measured = TRUE;
    if (keeper->failing > 0) program_say("%s: checkpoints are written again\n", keeper->options->output);
    keeper->failing = keeper->warned = 0;
    return TRUE;
}

/* The same, but an error that ends the run is kept for keeper_look(), and others are forgiven. */
static void note_result(keeper_t *keeper) {
    g_autoptr(GError) failure = NULL;
    if (!take_result(keeper, &failure) && !forgives(keeper, &failure) && !keeper->failure)
        keeper->failure = g_steal_pointer(&failure);
}

gboolean keeper_look(keeper_t *keeper, GError **error) {
    if (keeper->n_jobs > 0 && !writer_busy(keeper->writer)) note_result(keeper);
    if (keeper->failure) g_propagate_error(error, g_steal_pointer(&keeper->failure));
    return *error == NULL;
}

/* ---- when ---- */

gboolean keeper_asks(const keeper_t *keeper) {
    const option_span_t *every = &keeper->options->checkpoint_every;
    const double age_s = watch_seconds_since(keeper->ended);
    if (comm_rank() > 0) return FALSE;
    if (every->steps > 0 && (keeper->state->checkpoint.step + 1) % every->steps == 0) return TRUE;
    return keeper->n_jobs == 0 && ((every->minutes > 0 && age_s >= every->minutes * 60) ||
                                   (keeper->failing > 0 && age_s >= RETRY_INTERVAL_S));
}

void keeper_step(keeper_t *keeper, gboolean due) {
    keeper->unsaved = TRUE;
    keeper->due |= due;
}

/* ---- what ---- */

static void start(keeper_t *keeper, const run_state_t *state, gboolean best) {
    keeper->jobs[keeper->n_jobs++] = (writer_job_t){.state = state, .best = best};
}

static void begin_writing(keeper_t *keeper) {
    keeper->started = g_get_monotonic_time();
    writer_start(keeper->writer, keeper->jobs, keeper->n_jobs,
                 (double)keeper->n_jobs * keeper->longest_write_s);
}

/* Gives the writer all that is not written yet, on rank 0. */
static void give_all(keeper_t *keeper) {
    const gboolean same = keeper->best.checkpoint.step == keeper->state->checkpoint.step;
    note_result(keeper);
    copy_state(&keeper->copy, keeper->state);
    if (keeper->best_waits && !same) start(keeper, &keeper->best, TRUE);
    start(keeper, &keeper->copy, keeper->best_waits && same);
    begin_writing(keeper);
}

/* Copies a state that is the best, on rank 0. */
static void hold_best(keeper_t *keeper) {
    for (size_t i = 0; i < keeper->n_jobs; i++)
        if (keeper->jobs[i].state == &keeper->best) note_result(keeper);
    copy_state(&keeper->best, keeper->state);
    keeper->best_waits = TRUE;
}

gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error) {
    keeper->unsaved = TRUE;
    if (best && !replicas_check(keeper->state, keeper->options->output, error)) return FALSE;
    if (best && comm_rank() == 0) hold_best(keeper);
    const gboolean waits =
        keeper->best_waits && keeper->n_jobs == 0 && watch_seconds_since(keeper->ended) >= BEST_INTERVAL_S;
    return !comm_any(keeper->due || waits) || keeper_save(keeper, error);
}

gboolean keeper_save(keeper_t *keeper, GError **error) {
    keeper->due = FALSE;
    if (!comm_any(keeper->unsaved)) return TRUE;
    if (!replicas_check(keeper->state, keeper->options->output, error)) return FALSE;
    keeper->unsaved = FALSE;
    if (comm_rank() == 0) give_all(keeper);
    return TRUE;
}

/* Waits until the writer is done; nothing is forgiven. */
static gboolean settle(keeper_t *keeper, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) take_result(keeper, &local);
    return comm_agree(local, error);
}

gboolean keeper_finish(keeper_t *keeper, GError **error) {
    if (comm_rank() == 0) take_result(keeper, NULL); /* what was not written is still unsaved */
    return keeper_save(keeper, error) && settle(keeper, error);
}

gboolean keeper_finish_best(keeper_t *keeper, GError **error) {
    if (comm_rank() == 0) take_result(keeper, NULL);
    if (keeper->best_waits) {
        start(keeper, &keeper->best, TRUE);
        begin_writing(keeper);
    }
    return settle(keeper, error);
}

double keeper_seconds(const keeper_t *keeper) {
    return (double)(keeper->n_jobs + (keeper->best_waits ? 2 : 1)) * keeper->longest_write_s;
}

char *keeper_newest(const keeper_t *keeper) {
    g_autofree char *path =
        keeper->newest > 0 ? checkpoint_path(keeper->options->output, keeper->newest) : NULL;
    char *shared = comm_broadcast_string(path, 0);
    if (!*shared) g_clear_pointer(&shared, g_free);
    return shared;
}
