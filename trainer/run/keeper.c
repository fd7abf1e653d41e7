/* keeper: owns the copy of the best state, and the writing and removal of checkpoints. Refuses to write
 * weights that are broken or differ between ranks. */
#include "trainer/run/keeper.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"

#define BEST_INTERVAL_S 20   /* between writes of best states alone */
#define SLOW_DISK       20e6 /* bytes a second that a disk is trusted to take before it was measured */

/* Of weights, both moments, and the average. */
static size_t state_bytes(const run_state_t *state) {
    return (state->optimizer->average ? 4 : 3) * model_size(state->model) * sizeof(real_t);
}

gboolean keeper_init(keeper_t *keeper, const options_t *options, owner_t *owner, const run_state_t *state,
                     GError **error) {
    GError *local = NULL;
    *keeper = (keeper_t){.options = options,
                         .owner = owner,
                         .state = state,
                         .last_write = g_get_monotonic_time(),
                         .newest = state->checkpoint.step,
                         .longest_write_s = (double)state_bytes(state) / SLOW_DISK};
    if (comm_rank() == 0) {
        keeper->best.model = model_new(&state->checkpoint.model, 1, 1, &local);
        keeper->best.optimizer = optimizer_new(&state->optimizer->config, state->optimizer->n);
    }
    return comm_agree(local, error);
}

void keeper_clear(keeper_t *keeper) {
    model_free(keeper->best.model);
    optimizer_free(keeper->best.optimizer);
}

void keeper_step(keeper_t *keeper, double age) {
    const option_span_t *every = &keeper->options->checkpoint_every;
    keeper->unsaved = TRUE;
    keeper->age = age;
    if ((every->minutes > 0 && age >= every->minutes * 60) ||
        (every->steps > 0 && keeper->state->checkpoint.step % every->steps == 0))
        keeper->due = TRUE;
}

/* Checks before the state is kept that weights are finite, and the same on all ranks by FNV-1a (Fowler, Noll
 * & Vo 1991) over their 32-bit words: no guard against malice, but a hundred times faster than SHA-256. */
static gboolean check_weights(const keeper_t *keeper, GError **error) {
    const real_t *params = model_params(keeper->state->model);
    const size_t size = model_size(keeper->state->model);
    gboolean finite = TRUE;
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++) {
        uint32_t word;
        G_STATIC_ASSERT(sizeof word == sizeof *params);
        memcpy(&word, &params[i], sizeof word);
        hash = (hash ^ word) * 0x100000001b3;
        finite &= isfinite(params[i]) != 0;
    }
    finite = !comm_any(!finite);
    if (finite && comm_same(hash)) return TRUE;
    return program_fail(
        error,
        finite ? "step %" G_GINT64_FORMAT ": the ranks' weights differ, though they should be replicas: "
                 "memory, BLAS or MPI computes wrongly on some host; the checkpoints in %s are from "
                 "before: go on with --resume auto on other hosts"
               : "step %" G_GINT64_FORMAT ": the weights are not finite; lower --learning-rate or set "
                 "--clip; the checkpoints in %s are from before",
        keeper->state->checkpoint.step, keeper->options->output);
}

/* Writes a state, links latest.h5 and, if best, best.h5 to it, and removes the oldest beyond --keep. */
static gboolean write_state(keeper_t *keeper, const run_state_t *state, gboolean best, GError **error) {
    const char *run = keeper->options->output;
    const gint64 start = g_get_monotonic_time();
    GError *local = NULL;
    if (comm_rank() == 0) {
        g_autofree char *path = checkpoint_path(run, state->checkpoint.step);
        g_autofree char *name = g_path_get_basename(path);
        /* latest.h5 comes last: a run killed between the two links resumes from the checkpoint before, and
         * finds this best state again. */
        if (checkpoint_write(path, &state->checkpoint, state->model, state->optimizer, keeper->owner,
                             &local) &&
            owner_check(keeper->owner, &local) && (!best || checkpoint_link(run, "best.h5", name, &local)) &&
            checkpoint_link(run, "latest.h5", name, &local) && owner_check(keeper->owner, &local))
            checkpoint_prune(run, keeper->options->keep, &local);
    }
    if (!comm_agree(local, error)) return FALSE;
    keeper->newest = state->checkpoint.step;
    keeper->last_write = g_get_monotonic_time();
    if (!keeper->measured) keeper->longest_write_s = 0;
    keeper->measured = TRUE;
    keeper->longest_write_s =
        MAX(keeper->longest_write_s, (double)(keeper->last_write - start) / G_USEC_PER_SEC);
    return TRUE;
}

static gboolean hold_best(keeper_t *keeper, GError **error) {
    const run_state_t *state = keeper->state;
    run_state_t *best = &keeper->best;
    if (!check_weights(keeper, error)) return FALSE;
    keeper->best_waits = TRUE;
    best->checkpoint = state->checkpoint;
    if (!best->model) return TRUE;
    memcpy(model_params(best->model), model_params(state->model), model_size(state->model) * sizeof(real_t));
    optimizer_copy(best->optimizer, state->optimizer);
    return TRUE;
}

gboolean keeper_epoch(keeper_t *keeper, gboolean best, GError **error) {
    keeper->unsaved = TRUE;
    if (best && !hold_best(keeper, error)) return FALSE;
    return !(keeper->due || (keeper->best_waits && keeper->age >= BEST_INTERVAL_S)) ||
           keeper_save(keeper, error);
}

gboolean keeper_save_best(keeper_t *keeper, GError **error) {
    if (!keeper->best_waits) return TRUE;
    keeper->best_waits = FALSE;
    return write_state(keeper, &keeper->best, TRUE, error);
}

gboolean keeper_save(keeper_t *keeper, GError **error) {
    const gboolean best =
        keeper->best_waits && keeper->best.checkpoint.step == keeper->state->checkpoint.step;
    if (!keeper->unsaved) return TRUE;
    if (best) keeper->best_waits = FALSE;
    if (!keeper_save_best(keeper, error) || !check_weights(keeper, error) ||
        !write_state(keeper, keeper->state, best, error))
        return FALSE;
    keeper->unsaved = keeper->due = FALSE;
    return TRUE;
}

double keeper_seconds(const keeper_t *keeper) {
    return (keeper->best_waits ? 2 : 1) * keeper->longest_write_s;
}

char *keeper_newest(const keeper_t *keeper) {
    return keeper->newest > 0 ? checkpoint_path(keeper->options->output, keeper->newest) : NULL;
}
