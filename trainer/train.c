/* train: owns the loop: what a step sums over ranks, when a run validates, and when it ends. All progress is
 * in one checkpoint_t, so that a run can resume in the middle of an epoch. What ranks must agree on in a step
 * is summed together with the losses. */
#include "trainer/train.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/watch.h"
#include "trainer/run/replicas.h"
#include "trainer/session.h"

#define LEAVING_S  10.0 /* between the last write and the end of a job: ranks leave, a script queues anew */
#define FORGETTING 0.99 /* by which the longest step or validation shrinks with each one after it */
#define WAITING_S  10.0 /* for the next sync point, after a signal */

/* Handles a loss or gradient that is not finite; bad: on this rank. The current state may be broken; a best
 * state that waits in memory is written. Sets the same error on all ranks; returns FALSE. */
static gboolean fail_not_finite(session_t *session, gboolean bad, const char *what, GError **error) {
    const int culprit = comm_size() - (int)comm_max(bad ? comm_size() - comm_rank() : 0);
    if (session->metrics) metrics_flush(session->metrics, NULL);
    keeper_finish_best(&session->keeper, NULL);
    g_autofree char *where = culprit < comm_size() ? g_strdup_printf(" on rank %d", culprit) : g_strdup("");
    g_autofree char *kept = keeper_newest(&session->keeper);
    return program_fail(
        error, "step %" G_GINT64_FORMAT ": the %s is not finite%s; lower --learning-rate or set --clip; %s%s",
        session->state.checkpoint.step + 1, what, where,
        kept ? "the last good checkpoint is " : "no checkpoint was written before", kept ? kept : "");
}

static gboolean loss_is_finite(const training_sums_t *sums) {
    return isfinite(sums->nll + sums->kl + sums->auxiliary) != 0;
}

/* The longest time of late, from the one before. */
static double longest_of_late(double before_s, double took_s) { return MAX(took_s, FORGETTING * before_s); }

/* Whether `more` steps from now an epoch ends that is validated. */
static gboolean validation_due(const session_t *session, int64_t more) {
    const options_t *options = session->options;
    const checkpoint_t *checkpoint = &session->state.checkpoint;
    return checkpoint->epoch_step + more == session->steps_per_epoch &&
           ((checkpoint->epoch + 1) % options->validate_every == 0 ||
            checkpoint->step + more >= session->schedule.total_steps);
}

/* How many steps from now the next sync point is, 1: the step that begins is one. They are where --sync-every
 * divides the number of the step, at epochs' ends that are validated, and at the end. */
static int64_t steps_to_sync(const session_t *session) {
    const checkpoint_t *checkpoint = &session->state.checkpoint;
    const int64_t every = MAX(session->options->sync_every, 1),
                  of_epoch = session->steps_per_epoch - checkpoint->epoch_step,
                  left =
                      MIN(every - checkpoint->step % every, session->schedule.total_steps - checkpoint->step);
    return left > of_epoch && validation_due(session, of_epoch) ? of_epoch : left;
}

/* Whether the run should end at the next sync point, `left` steps from now: a signal came, or the job would
 * end before the one after that. *hurry: it cannot wait for the next one. The clock of rank 0 decides, where
 * alone there is a deadline. */
static gboolean should_stop(const session_t *session, int64_t left, gboolean *hurry) {
    const int64_t next = MAX(session->options->sync_every, 1);
    stop_reserve(keeper_seconds(&session->keeper) + session->longest_sync_s + LEAVING_S);
    if (left == 1)
        return stop_due((double)(1 + next) * session->longest_step_s +
                        (validation_due(session, 1) ? session->longest_validation_s : 0));
    *hurry = stop_signal() ? (double)(left - 1) * session->longest_step_s > WAITING_S
                           : stop_due(2 * session->longest_step_s);
    return *hurry || stop_signal();
}

/* Refuses a job that would be queued again and again though its time is too short for any progress. */
static gboolean check_progress(const session_t *session, const char *what, GError **error) {
    const gboolean made = session->state.checkpoint.step > session->first_step;
    stop_reserve(keeper_seconds(&session->keeper) + LEAVING_S);
    if (made || !comm_any(!stop_signal() && stop_due(0))) return TRUE;
    return program_fail(
        error,
        "the job's time is too short for %s and a checkpoint: no progress is possible; give it "
        "more (sbatch --time)",
        what);
}

/* The losses of a step, added up in the order of its slots. */
static training_sums_t add_up(const session_t *session) {
    training_sums_t sum = session->sums->done[0];
    for (size_t slot = 1; slot < session->slots; slot++)
        for (size_t i = 0; i < sizeof sum / sizeof(double); i++)
            ((double *)&sum)[i] += ((const double *)&session->sums->done[slot])[i];
    return sum;
}

/* Updates this rank's slices of its host's weights, if the gradient is finite. */
static void update_weights(session_t *session, const metrics_step_t *told) {
    run_state_t *state = &session->state;
    size_t n;
    const exchange_slice_t *slices = exchange_slices(session->exchange, &n);
    session->broken |= !optimizer_begin(state->optimizer, told->gradient_norm, told->learning_rate);
    for (size_t i = 0; i < n && !session->broken; i++)
        optimizer_update(state->optimizer, state->model, slices[i].first, slices[i].count, slices[i].sum);
    exchange_updated(session->exchange);
}

/* Makes the hosts one, unless a gradient was not finite since they were: of one host's own steps, the others
 * have not seen that. */
static gboolean meet_hosts(session_t *session, GError **error) {
    const gboolean local = session->synced != NULL, broken = session->broken;
    const gint64 start = g_get_monotonic_time();
    if (local) watch_phase(PHASE_EXCHANGE, session->state.checkpoint.step + 1);
    if (local ? comm_any(broken) : broken)
        return fail_not_finite(session, local && broken, "gradient", error);
    sync_hosts(&session->sync);
    if (local) session->longest_sync_s = longest_of_late(session->longest_sync_s, watch_seconds_since(start));
    return TRUE;
}

/* Handles a song that cannot be read: keeps the state, which is good; the error says where. Returns FALSE. */
static gboolean fail_to_read(session_t *session, GError **error) {
    if (meet_hosts(session, NULL) && !session->options->check) keeper_finish(&session->keeper, NULL);
    g_autofree char *kept = keeper_newest(&session->keeper);
    g_prefix_error(error, "after step %" G_GINT64_FORMAT ", %s%s: ", session->state.checkpoint.step,
                   kept ? "kept in " : "with no checkpoint", kept ? kept : "");
    return FALSE;
}

/* A best state that waits in memory is good: replicas were compared before it was held. */
static gboolean check_replicas(session_t *session, GError **error) {
    if (replicas_check(&session->state, session->options->output, error)) return TRUE;
    keeper_finish_best(&session->keeper, NULL);
    return FALSE;
}

/* Takes one optimizer step, or none if a signal came first. Sets session->stop if the run should end. */
static gboolean step(session_t *session, GError **error) {
    const options_t *options = session->options;
    const gint64 start = g_get_monotonic_time();
    checkpoint_t *checkpoint = &session->state.checkpoint;
    rank_batches_step_t global;
    watch_phase(PHASE_DATA, checkpoint->step + 1);
    if (!rank_batches_begin(session->batches, checkpoint->epoch, checkpoint->epoch_step, &global, error))
        return fail_to_read(session, error);
    if (global.stopped) {
        session->stop = STOP_AGAIN;
        return TRUE;
    }
    GError *local = NULL;
    metrics_step_t told = {
        .objective = schedule_objective(&session->schedule, checkpoint->step, checkpoint->multiplier,
                                        sync_scale(&session->sync, session->batches, &global)),
        .learning_rate = schedule_rate(&session->schedule, checkpoint->step)};
    step_sums_t *sums = session->sums;
    const size_t n_sums = sizeof *sums + session->slots * sizeof *sums->done;
    memset(sums, 0, n_sums);
    gboolean hurry = FALSE;
    const int64_t left = steps_to_sync(session), before = checkpoint->step + 1 - session->sync.steps;
    sums->stop_again = should_stop(session, left, &hurry);
    sums->hurry = hurry;
    if (comm_rank() == 0) { /* the clock of one rank decides */
        sums->out_of_time =
            options->max_minutes > 0 && watch_seconds_since(session->start) >= options->max_minutes * 60;
        sums->save = keeper_asks(&session->keeper);
        sums->failed = !owner_check(session->owner, &local) || !keeper_look(&session->keeper, &local);
    }
    gradient_compute(session->gradient, &told.objective, checkpoint->step + 1, sums->done);
    told.done = add_up(session);
    const gboolean bad = !loss_is_finite(&told.done);
    const gint64 before_sum = g_get_monotonic_time();
    watch_phase(PHASE_EXCHANGE, checkpoint->step + 1);
    exchange_add_doubles(session->exchange, (double *)sums, n_sums / sizeof(double));
    told.gradient_norm = sqrt(exchange_finish(session->exchange));
    told.sum_ms = watch_seconds_since(before_sum) * 1e3;
    if (sums->failed > 0) return comm_agree(local, error);
    told.done = add_up(session);
    if (!loss_is_finite(&told.done)) return fail_not_finite(session, bad, "loss", error);
    watch_phase(PHASE_COMPUTE, checkpoint->step + 1);
    update_weights(session, &told);
    session->longest_step_s = longest_of_late(session->longest_step_s, watch_seconds_since(start));
    const gint64 before_meeting = g_get_monotonic_time();
    const gboolean meets = left == 1 || sums->hurry > 0;
    if (meets && !meet_hosts(session, error)) return FALSE;
    told.sum_ms += watch_seconds_since(before_meeting) * 1e3;
    checkpoint->multiplier =
        schedule_multiplier(&session->schedule, checkpoint->step, checkpoint->multiplier, &told.done);
    checkpoint->step++;
    checkpoint->epoch_step++;
    checkpoint->seconds = session->earlier_seconds + watch_seconds_since(session->start);
    for (size_t i = 0; i < sizeof told.done / sizeof(double); i++)
        ((double *)&checkpoint->so_far)[i] += ((double *)&told.done)[i];
    keeper_step(&session->keeper, sums->save > 0);
    if (sums->stop_again > 0)
        session->asked = STOP_AGAIN;
    else if (sums->out_of_time > 0 && session->asked == GO_ON)
        session->asked = STOP_DONE;
    if (meets) session->stop = session->asked;
    told.step_ms = watch_seconds_since(start) * 1e3;
    if (session->metrics) metrics_step(session->metrics, &told);
    const gboolean checks = meets && checkpoint->step / REPLICAS_EVERY != before / REPLICAS_EVERY;
    return !checks || check_replicas(session, error);
}

static gboolean epoch_ended(const session_t *session) {
    return session->state.checkpoint.epoch_step == session->steps_per_epoch;
}

gboolean train_finished(const session_t *session) {
    return session->state.checkpoint.step >= session->schedule.total_steps;
}

/* Swaps the host's weights with their average, each rank its slices, once all ranks of the host have come. */
static void swap_average(session_t *session) {
    size_t n;
    const exchange_slice_t *slices = exchange_slices(session->exchange, &n);
    comm_node_barrier();
    for (size_t i = 0; i < n; i++)
        optimizer_swap_average(session->state.optimizer, session->state.model, slices[i].first,
                               slices[i].count);
    comm_node_barrier();
}

/* Validates the average of the weights, if there is one, else the weights. NULL as for evaluator_run(). */
static const evaluation_t *validate(session_t *session, GError **error) {
    watch_phase(PHASE_VALIDATE, session->state.checkpoint.step);
    swap_average(session);
    const gint64 start = g_get_monotonic_time();
    const evaluation_t *valid = evaluator_run(session->evaluator, error);
    if (valid)
        session->longest_validation_s =
            longest_of_late(session->longest_validation_s, watch_seconds_since(start));
    swap_average(session);
    return valid;
}

/* Validates if it is time to, reports the epoch, and keeps its state. An epoch cut short by the end of the
 * run is validated and reported, but does not count as done. If a signal interrupts the validation, the
 * resumed run ends the epoch instead. */
static gboolean end_epoch(session_t *session, GError **error) {
    const options_t *options = session->options;
    checkpoint_t *checkpoint = &session->state.checkpoint;
    const training_sums_t *sums = &checkpoint->so_far;
    const int64_t epoch = checkpoint->epoch + 1;
    const gboolean whole = epoch_ended(session),
                   due = session->stop == STOP_DONE || validation_due(session, 0),
                   validates = due && data_pieces(session->data, SPLIT_VALID) > 0;
    GError *failure = NULL;
    const evaluation_t *valid = validates ? validate(session, &failure) : NULL;
    if (validates && !valid) {
        session->stop = STOP_AGAIN;
        if (!failure) return check_progress(session, "a validation", error);
        g_propagate_error(error, failure);
        return fail_to_read(session, error);
    }
    const double beta = schedule_judge(options).beta,
                 loss = valid ? valid->objective : (sums->nll + beta * sums->kl) / sums->windows;
    const gboolean best = due && loss < checkpoint->best;
    if (best) {
        checkpoint->best = loss;
        checkpoint->best_epoch = epoch;
    }
    checkpoint->seconds = session->earlier_seconds + watch_seconds_since(session->start);
    time_shares_t shares;
    time_shares_take(&shares);
    watch_phase(PHASE_CHECKPOINT, checkpoint->step);
    if (session->metrics) metrics_epoch(session->metrics, whole, valid, best, &shares);
    if (whole) {
        checkpoint->epoch++;
        checkpoint->epoch_step = 0;
        checkpoint->so_far = (training_sums_t){0};
    }
    return session->sync.steps > 0 || keeper_epoch(&session->keeper, best, error);
}

/* Early stopping, checked only after an epoch that was validated: others could not improve. */
static gboolean stopped_improving(const session_t *session) {
    const options_t *options = session->options;
    const checkpoint_t *checkpoint = &session->state.checkpoint;
    return options->early_stopping > 0 && checkpoint->epoch_step == 0 &&
           checkpoint->epoch % options->validate_every == 0 && checkpoint->best_epoch > 0 &&
           checkpoint->epoch - checkpoint->best_epoch >= options->early_stopping;
}

/* Trains until something ends the run: session->stop says what. */
static gboolean loop(session_t *session, GError **error) {
    const checkpoint_t *checkpoint = &session->state.checkpoint;
    if (!train_finished(session) && !check_progress(session, "a step", error)) return FALSE;
    watch_times_t start;
    watch_take_times(&start); /* belongs to no epoch */
    while (session->stop == GO_ON) {
        if (epoch_ended(session)) {
            if (!end_epoch(session, error)) return FALSE;
        } else if (session->keeper.due && session->sync.steps == 0 && !train_finished(session)) {
            watch_phase(PHASE_CHECKPOINT, checkpoint->step);
            if (!keeper_save(&session->keeper, error)) return FALSE;
        }
        if (session->stop != GO_ON) break;
        if (train_finished(session) || stopped_improving(session))
            session->stop = STOP_DONE;
        else if (!step(session, error))
            return FALSE;
    }
    if (!meet_hosts(session, error)) return FALSE; /* where a signal came while data were waited for */
    /* An epoch cut short is validated if the run is done, but not if it should hurry and will be resumed. The
     * last state is not written before, or a run that was killed in between would end without that. */
    const gboolean news = checkpoint->step > session->first_step || !isfinite(checkpoint->best);
    if (session->stop == STOP_DONE && news && checkpoint->epoch_step > 0 && !end_epoch(session, error))
        return FALSE;
    watch_phase(PHASE_CHECKPOINT, checkpoint->step);
    return keeper_finish(&session->keeper, error);
}

/* Prints a summary at the end of a run. Collective. */
static void conclude(const session_t *session) {
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    const double peak_mib = (double)comm_max(usage.ru_maxrss) / 1024;
    const int64_t step = session->state.checkpoint.step, steps = step - session->first_step;
    g_autofree char *kept = keeper_newest(&session->keeper);
    if (!session->metrics) return;
    if (session->stop == STOP_AGAIN)
        metrics_say(session->metrics, "stopped early; submit the same command with --resume auto to go on");
    if (steps == 0)
        metrics_say(session->metrics,
                    "nothing left to do: raise --epochs, --max-steps or --early-stopping to train on");
    metrics_say(session->metrics,
                "mpianist trainer " MPIANIST_VERSION ": %s at step %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT
                " %s in %.1f s on %d %s, %.0f MiB a rank at most",
                kept ? kept : "no checkpoint", step, steps, g_dngettext(NULL, "step", "steps", (gulong)steps),
                watch_seconds_since(session->start), comm_size(),
                g_dngettext(NULL, "rank", "ranks", (gulong)comm_size()), peak_mib);
}

gboolean train_step(session_t *session, GError **error) {
    if (epoch_ended(session)) {
        session->state.checkpoint.epoch++;
        session->state.checkpoint.epoch_step = 0;
    }
    return step(session, error);
}

int train_run(options_t *options, GError **error) {
    session_t session;
    watch_phase(PHASE_START, 0);
    const gboolean done = session_open(&session, options, error) && loop(&session, error);
    watch_phase(PHASE_END, session.state.checkpoint.step);
    if (done) conclude(&session);
    session_close(&session);
    return !done ? EXIT_ERROR : session.stop == STOP_AGAIN ? EXIT_STOPPED_EARLY : EXIT_DONE;
}
