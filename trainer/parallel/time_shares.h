/* time_shares: where the time of an epoch went, over all ranks. */
#pragma once

#include "trainer/parallel/comm.h"
#include "trainer/parallel/watch.h"

/* Shares of the wall time, means over ranks; all but hidden together 1.
 *
 * A rank is in calls that all ranks must come to for as long as the exchange takes and as long as it waits
 * for ranks that are late. The one that is late most does not wait: what it spends there is the exchange, and
 * what others spend there beyond that is waiting, for it. Ranks that are late by turns therefore count as
 * exchange.
 *
 * Efficiency is the time that one rank would need, if it computed as fast as each of these does, divided by
 * the time that they took and their number: (compute + data + validation of all ranks + checkpoint once) /
 * (ranks x wall). It does not see what ranks of a host cost each other in memory bandwidth, nor that matrix
 * products of a smaller part of a batch are slower. */
typedef struct {
    double wall_s;
    double compute;    /* forward and backward passes, the optimizer */
    double exchange;   /* of gradients, and of validation's sums; what is not hidden behind compute */
    double hidden;     /* a part of compute, behind which gradients were exchanged */
    double waiting;    /* for ranks that are late */
    double data;       /* batches are made, or waited for where data are streamed */
    double validation; /* without its sums */
    double checkpoint; /* training stood still for one */
    double efficiency;
    int ranks, late; /* the rank that others waited for most */
    char late_host[COMM_HOST_BYTES];
} time_shares_t;

/* Takes the times of all ranks since the last call (watch_take_times()). Collective. */
void time_shares_take(time_shares_t *shares);
/* Fills in all but late_host from the times of ranks [n]. Local. */
void time_shares_of(const watch_times_t *times, int n, time_shares_t *shares);
/* What people read, such as "compute 71 %, exchange 9 % (14 % more behind compute), waiting 12 % (for rank 3
 * on h2), data 8 %; efficiency against one rank 79 %": without what is less than half a percent, and on one
 * rank without the efficiency. Owner: caller. */
char *time_shares_text(const time_shares_t *shares);
