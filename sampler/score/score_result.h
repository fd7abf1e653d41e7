/* score_result: all that the verb score has found out, and how it is told. Filled in by score_report.c. */
#pragma once

#include "sampler/score/distribution.h"
#include "sampler/score/originality.h"
#include "sampler/score/score.h"
#include "sampler/score/score_set.h"
#include "sampler/score/seam.h"

/* Figures and histograms of n pieces: values [n][numbers], as score_measure() has them. */
typedef struct {
    size_t n, figures, numbers;
    double *values;
} score_table_t;

/* Passages shared with the training songs, by pitched tracks read as one ("all") or by one track. */
typedef struct {
    const char *name;
    passage_t *of_pieces, *of_held; /* [pieces->n], [held->n] or NULL */
} score_voice_t;

typedef struct {
    const char *corpus, *originality; /* folders; NULL: not asked for */
    const char *split;
    size_t seam_frames; /* 0: not asked for */

    score_set_t *pieces; /* what is scored */
    score_set_t *real;   /* the split's songs in corpus; NULL without */
    score_table_t of_pieces, of_real, of_shuffled;
    /* Of the pieces beside the real songs, [figures]; distances of [NOTES_HISTOGRAMS]; NULL without. */
    distribution_t *values, *distances, *histograms;

    seam_t *seams, *real_seams; /* [pieces->n], [real->n] */

    score_set_t *train;      /* in originality; NULL without */
    const score_set_t *held; /* the split's songs there; NULL where the split has none or is train */
    score_set_t *own_held;   /* the same, where it is not `real` */
    size_t n_voices;
    score_voice_t voices[1 + ROLL_MAX_TRACKS];
} score_result_t;

/* Frees what the result owns: all but corpus, originality and split. */
void score_result_clear(score_result_t *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(score_result_t, score_result_clear)

/* The line of JSON that sampler/score/score_report.h describes, without its line end. Owner: caller. */
char *score_result_json(const score_result_t *result);
/* The table, to standard error. */
void score_result_show(const score_result_t *result);
