/* session: everything a rank holds while it trains. A resumed run is a new session. */
#pragma once

#include "trainer/data/rank_batches.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/gradient.h"
#include "trainer/metrics.h"
#include "trainer/run/keeper.h"
#include "trainer/run/schedule.h"
#include "trainer/sync.h"

typedef enum {
    GO_ON,
    STOP_AGAIN, /* the run is not finished: submit it again */
    STOP_DONE
} stop_t;

/* What a step sums over ranks. All are doubles. */
typedef struct {
    double stop_again, out_of_time; /* above 0 if any rank says so */
    double save;                    /* rank 0's keeper_asks() */
    double failed;                  /* above 0 if rank 0 may not or cannot write in the run folder any more */
    double hurry;                   /* above 0 if any rank cannot wait for the next sync point */
    training_sums_t done[];         /* [slots] */
} step_sums_t;

typedef struct {
    const options_t *options; /* not owned */
    char *chosen; /* what of them was `auto`, and for which songs, for people; NULL: nothing was */
    data_t *data;
    exchange_t *exchange; /* of gradients; owns the blocks of the state */
    run_state_t state;    /* replicas on all hosts, at sync points */
    double *log_odds;     /* of each cell in the training songs, once they have been read */
    real_t *synced;       /* sync_begin()'s */
    sync_t sync;
    rank_batches_t *batches;
    gradient_t *gradient;
    step_sums_t *sums;      /* of the step under way */
    size_t slots;           /* of sums: one, or one a grain */
    evaluator_t *evaluator; /* of the valid split */
    metrics_t *metrics;     /* rank 0, NULL on others */
    owner_t *owner;         /* of the run folder; rank 0, NULL on others */
    keeper_t keeper;
    schedule_t schedule;
    int64_t steps_per_epoch;
    stop_t asked;    /* what ends the run at the next sync point */
    stop_t stop;     /* why the run ends */
    gboolean broken; /* this host's gradient was not finite */
    gint64 start;    /* monotonic microseconds */
    double longest_step_s, longest_sync_s, longest_validation_s; /* on this rank, of late; 0: none yet */
    int64_t first_step; /* steps and training seconds before this session */
    double earlier_seconds;
} session_t;

/* Loads the data, makes or resumes the model, opens the run folder, and says what will be trained. Refuses
 * data with too few samples for a step, and more ranks than a batch has samples. Collective. FALSE with the
 * same error set on all ranks. Call session_close() in both cases.
 * Options that are `auto` are set to what budget_choose() says of the training songs.
 * With --check no file is written but the owner's mark, which session_close() removes; metrics is NULL. */
gboolean session_open(session_t *session, options_t *options, GError **error);
void session_close(session_t *session); /* collective */
