/* evaluator: the loop over a split that all evaluations share. Each rank adds up its batches of windows or
 * pieces; before each batch the ranks agree whether to go on; at the end the sums are added up over ranks. A
 * kind of evaluation fills in the structure below: what it sums, and how it reports its figures. Only that
 * kind's file knows the figures by name.
 *
 * What a batch adds depends on the split and the seed alone, so results depend on the rank count only by
 * rounding, and with a fixed number of shares not at all. */
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
    double beta, free_bits;   /* of the objective, as schedule_judge() has it */
    double free_share;        /* the same, sequence only */
    size_t max_B, max_frames; /* of a batch: what the model holds */
    /* A split is divided into so many shares, of which this rank has some; each is added up apart, so that
     * results do not depend on the rank count at all. 0: one a rank, added up together. */
    size_t shares, first_share, own_shares;
    int draws;         /* --evaluate: K latents (particles) for a tighter bound, 0: none */
    int rebuild;       /* --evaluate, sequence: draws of each segment of pieces from latents alone */
    gboolean training; /* report for metrics.jsonl, else for --evaluate */
    gboolean quiet;    /* no progress on a terminal */
} evaluation_job_t;

/* The result of an evaluation. */
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
    size_t batches;      /* of this rank, may be 0 */
    size_t *share_begin; /* [own shares + 1] which of them are of which share: by evaluator_end_share() */
    double *slots; /* [n_slots, n_sums] by evaluator_sums(): of each share, zero before the first batch */
    double *sums;  /* [n_sums] of the batch's share; at last of all */
    size_t n_sums;
    double *moments; /* the last of them: [2, Z] of posterior means, for active_units() */
    /* Adds a batch, 0 .. batches - 1, to the sums. FALSE if a signal interrupted it. */
    gboolean (*add)(evaluator_t *evaluator, size_t batch);
    /* Reports the sums of all ranks; members and found->text are empty before. */
    void (*tell)(const evaluator_t *evaluator, json_t *members, evaluation_t *found);
    void (*clear)(evaluator_t *evaluator); /* frees what evaluator_alloc() did not allocate, or NULL */
    /* Private to evaluator.c. */
    GPtrArray *buffers;
    size_t n_slots;
    double all_frames, own_frames; /* that evaluator_deal() divided; this rank's */
    double done;                   /* of own_frames: evaluator_advance() */
    progress_t progress;
    evaluation_t found;
};

/* Allocates a kind's structure of so many bytes, zero but for the job. Owner: caller. */
void *evaluator_new(size_t bytes, const evaluation_job_t *job);
/* Allocates n zeroed elements, which are freed with the evaluator. */
void *evaluator_alloc(evaluator_t *evaluator, size_t n, size_t element_bytes);
/* Allocates n sums of the kind, and the moments after them. */
void evaluator_sums(evaluator_t *evaluator, size_t n);
void evaluator_free(evaluator_t *evaluator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(evaluator_t, evaluator_free)

/* Runs the loop alone; afterwards every rank has the sums over all ranks. Collective. FALSE with the same
 * error on all ranks if any could not read a song, or without an error if any rank caught a stopping
 * signal. */
gboolean evaluator_sum(evaluator_t *evaluator, GError **error);
/* Runs the loop and reports the result, the same on every rank, valid until the next call. Collective. NULL
 * if evaluator_sum() is FALSE. */
const evaluation_t *evaluator_run(evaluator_t *evaluator, GError **error);

/* Divides n items of so many frames among the shares: each in turn goes to the share with the fewest frames
 * so far. Writes the numbers of the items of this rank's i-th share to mine [n]; returns how many. Local, the
 * same plan on all ranks. */
size_t evaluator_deal(evaluator_t *evaluator, const uint32_t *frames, size_t n, size_t i, uint32_t *mine);
/* The batches of this rank's i-th share end here, at evaluator->batches. Shares without it are one. */
void evaluator_end_share(evaluator_t *evaluator, size_t i);
/* Which of this rank's shares a batch is of. */
size_t evaluator_share(const evaluator_t *evaluator, size_t batch);
/* Counts more of this rank's frames as done; rank 0 shows progress as if all ranks were equally far. */
void evaluator_advance(evaluator_t *evaluator, double frames);
/* Sorts the n pieces of a split, longest first, ties in corpus order: their numbers to pieces [n], their
 * frames in that order to frames [n]. */
void evaluator_sort_pieces(const data_t *data, split_t split, uint32_t *pieces, uint32_t *frames);

/* For tell(): appends "4 windows, " or "1 window, " to text; appends a row of a table. */
void evaluator_tell_count(GString *text, double n, const char *one, const char *many, const char *after);
void evaluator_tell_row(GString *text, const char *label, double left, double right);
