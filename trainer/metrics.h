/* metrics: reports on a run: RUN/metrics.jsonl for programs, a progress line or a line an epoch on standard
 * error for people. Rank 0 only; no MPI.
 *
 * metrics.jsonl holds one JSON object a line, "kind" first. Losses are means in nats a window (sequence
 * model: a frame), unless the name says frame or segment (one latent). A value that does not exist, as
 * without a latent, or is not finite is null.
 *   step:        epoch, step, windows (sequence: sequences, frames), loss (nll + beta kl), nll, kl,
 *                nll_per_frame, kl_per_frame, beta, free_bits, learning_rate, gradient_norm, step_ms,
 *                sum_ms (of step_ms, in averaging gradients), windows_per_second (sequence:
 *                frames_per_second); and, of the sequence model, kl_per_segment, auxiliary_per_frame; with
 *                --latent-rate beta is what the step took, multiplier what it left
 *   epoch:       epoch (ended, from 1), step, windows (sequence: sequences, frames), nll, kl, seconds, best;
 *                sequence: kl_per_segment, auxiliary_per_frame, multiplier; and, where validated,
 *                valid_windows (sequence: valid_pieces), valid_loss (schedule_judge()), valid_nll, valid_kl,
 *                valid_nll_per_frame, valid_kl_per_frame, active_units; dense: precision, recall, f1;
 *                sequence: valid_kl_per_segment, with --performance valid_performance_per_onset
 *                and where the time went, as shares of the wall time that together are 1 (time_shares.h):
 *                compute_share, exchange_share, waiting_share, data_share, validation_share,
 *                checkpoint_share; on several ranks also exchange_hidden, the part of compute_share behind
 *                which gradients were exchanged, efficiency, against one rank, and waited_for, the rank that
 *                the others waited for most
 *   validation:  as epoch, of a run that ended inside an epoch */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/parallel/time_shares.h"
#include "trainer/run/options.h"

/* What a step reports beside its place in the run. */
typedef struct {
    training_sums_t done; /* over all ranks */
    model_objective_t objective;
    double learning_rate, gradient_norm;
    double step_ms, sum_ms;
} metrics_step_t;

typedef struct metrics metrics_t;

/* Opens RUN/metrics.jsonl to continue at the checkpoint: later lines, and an incomplete last line, are cut
 * off. The owner of the folder, the options and the checkpoint, which advances with training, must outlive
 * the metrics. total_steps: of the whole run. NULL with error set: file and cause. Owner: caller. */
metrics_t *metrics_open(const options_t *options, owner_t *owner, const checkpoint_t *checkpoint,
                        int64_t total_steps, GError **error);
void metrics_close(metrics_t *metrics); /* flushes, if it can */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(metrics_t, metrics_close)

/* Adds a line and shows progress. Lines wait in memory and are written about every second, or later where
 * that fails. Allocates only where more lines wait than ever. */
void metrics_step(metrics_t *metrics, const metrics_step_t *step);
/* Reports the end of the current epoch. whole: it counts as done. valid: its validation, or NULL. best: it is
 * the best so far. shares: where its time went. */
void metrics_epoch(metrics_t *metrics, gboolean whole, const evaluation_t *valid, gboolean best,
                   const time_shares_t *shares);
/* Hands all lines to the system. FALSE with error set: what is not written waits, and the next call tries
 * again. Any thread may call it, and metrics_sync(). */
gboolean metrics_flush(metrics_t *metrics, GError **error);
/* The same, and waits until they are on disk. */
gboolean metrics_sync(metrics_t *metrics, GError **error);
/* Prints a message for people on a line of its own, unless --quiet. */
void metrics_say(metrics_t *metrics, const char *format, ...) G_GNUC_PRINTF(2, 3);
