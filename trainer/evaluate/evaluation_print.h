/* evaluation_print: figures of an evaluation for machines and people: one line of JSON to standard output, a
 * table to standard error unless --quiet. Rank 0 only. */
#ifndef MPIANIST_TRAINER_EVALUATE_EVALUATION_PRINT_H
#define MPIANIST_TRAINER_EVALUATE_EVALUATION_PRINT_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/evaluate_sequence.h"

/* FALSE with OPTIONS_ERROR_FILE set where standard output takes no more. */
gboolean evaluation_print(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                          const evaluation_t *evaluation, GError **error);
gboolean evaluation_print_sequence(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                                   const sequence_evaluation_t *evaluation, GError **error);
/* A line of results to standard output, written at once; FALSE as above. */
gboolean evaluation_print_line(const char *text, GError **error);

#endif
