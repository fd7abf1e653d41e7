/* evaluator: one loop over a split on all ranks. Each rank adds up its batches of windows or pieces; between
 * them the ranks agree whether to go on; at last the sums are added up over ranks. A kind of evaluation fills
 * in the table below: what it adds, and how it tells its figures. It alone knows them by name: a new figure
 * touches its file alone.
 *
 * What a batch adds depends on the split and the seed alone, so results depend on the rank count only by
 * rounding. */
#pragma once

#include "preprocess/common/json.h"
#include "preprocess/common/progress.h"
#include "trainer/data/data.h"

/* What is evaluated, and how. */
typedef struct {
    data_t *data;
    split_t split; /* of at least one song */
    model_t *model;
    uint64_t seed;
    double beta, free_bits;   /* of the objective */
    size_t max_B, max_frames; /* of a batch: what the model holds */
    int draws;                /* --evaluate: K latents (particles) for a tighter bound, 0: none */
    gboolean training;        /* told for metrics.jsonl, else for --evaluate */
    gboolean quiet;           /* no progress on a terminal */
} evaluation_job_t;

/* What was found, in the words of its kind. */
typedef struct {
    double objective; /* mean of nll + beta * max(kl, free_bits), nats a window or piece; lower is better */
    GString *members; /* JSON members, without the brackets around them */
    GString *text;    /* for people: while training, part of a line; else, a table */
} evaluation_t;

typedef struct evaluator evaluator_t;

/* First member of each kind's own structure. */
struct evaluator {
    evaluation_job_t job;
    /* What a kind fills in. */
    size_t batches; /* of this rank, may be 0 */
    double *sums;   /* [n_sums], zero before the first batch: evaluator_sums() */
    size_t n_sums;
    double *moments; /* the last of them: [2, Z] of posterior means, for active_units() */
    /* Adds batch 0 .. batches - 1. FALSE where a signal came and left it half done. */
    gboolean (*add)(evaluator_t *evaluator, size_t batch);
    /* The sums of all ranks, told. members and text are empty. */
    void (*tell)(const evaluator_t *evaluator, json_t *members, evaluation_t *found);
    void (*clear)(evaluator_t *evaluator); /* frees what evaluator_alloc() did not give; NULL: nothing */
    /* What evaluator.c keeps. */
    GPtrArray *buffers;
    double all_frames, own_frames; /* that evaluator_deal() dealt; those to this rank */
    double done;                   /* of own_frames: evaluator_advance() */
    progress_t progress;
    evaluation_t found;
};

/* A kind's structure of so many bytes, zero but for the job. Owner: caller. */
void *evaluator_new(size_t bytes, const evaluation_job_t *job);
/* n elements of zeros, freed with it. */
void *evaluator_alloc(evaluator_t *evaluator, size_t n, size_t element_bytes);
/* Makes room for n sums and the moments. */
void evaluator_sums(evaluator_t *evaluator, size_t n);
void evaluator_free(evaluator_t *evaluator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(evaluator_t, evaluator_free)

/* The loop alone: afterwards every rank has the same sums of all ranks. Collective. FALSE with the same error
 * on all ranks where any rank could not read a song; without one where any rank caught a stopping signal. */
gboolean evaluator_sum(evaluator_t *evaluator, GError **error);
/* The loop, and what it found, valid until the next call; the same on every rank. Collective. NULL where
 * evaluator_sum() is FALSE. */
const evaluation_t *evaluator_run(evaluator_t *evaluator, GError **error);

/* This rank's part of n items of so many frames, by number to mine [n]: each in turn goes to the rank with
 * the fewest frames so far. Returns how many. Local, the same plan on all ranks. */
size_t evaluator_deal(evaluator_t *evaluator, const uint32_t *frames, size_t n, uint32_t *mine);
/* So many more of this rank's frames are done: shows on rank 0's terminal how far all are, taking its share
 * done for everybody's. */
void evaluator_advance(evaluator_t *evaluator, double frames);
/* The n pieces of a split to pieces [n], longest first, ties in corpus order; their frames in that order to
 * frames [n]. */
void evaluator_sort_pieces(const data_t *data, split_t split, uint32_t *pieces, uint32_t *frames);

/* For tell(): "4 windows, " to text, or "1 window, "; a row of a table. */
void evaluator_tell_count(GString *text, double n, const char *one, const char *many, const char *after);
void evaluator_tell_row(GString *text, const char *label, double left, double right);
