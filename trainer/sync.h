/* sync: hosts that take several steps each by itself (--sync-every): what their steps are made of, and how
 * they become one again, at sync points. There all hosts have the same weights, moments, average and
 * momentum, so that whatever needs one state (validation, checkpoints, the end) happens there. Which steps
 * are sync points is train's business. */
#pragma once

#include "trainer/data/rank_batches.h"
#include "trainer/parallel/exchange.h"
#include "trainer/run/run.h"

enum { SYNC_SUMS = 3 /* blocks that sync_hosts() sums over hosts */ };

typedef struct {
    exchange_t *exchange; /* not owned, like all below */
    run_state_t *state;
    real_t *synced;  /* weights at the last sync point, shared by the host; NULL: hosts sum each step */
    int64_t steps;   /* since the last sync point; 0: this is one */
    double own, all; /* weight of their batches (rank_batches_step_t): of this host, of all */
} sync_t;

/* synced: a block of the exchange, or NULL. The state is filled in already. Collective. */
void sync_begin(sync_t *sync, exchange_t *exchange, run_state_t *state, real_t *synced);
/* By what the losses of a step that has begun are scaled: one over the weight of the batch, or of this host's
 * part of it. Counts the step. Local. */
double sync_scale(sync_t *sync, const rank_batches_t *batches, const rank_batches_step_t *global);
/* Makes the hosts one: averages moments, by how much of the samples each host has had, and takes the outer
 * step (optimizer.h). Nothing at a sync point. Collective; all ranks of a host have finished the step. */
void sync_hosts(sync_t *sync);
