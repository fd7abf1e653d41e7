/* head_tied: the head of models with a memory or GRUs along pitches. Rows are processed in blocks: a GRU
 * along pitches runs over the rows of a block side by side, pitch by pitch. Private to head.c and
 * head_draw.c; letters as in trainer/model/head.h. */
#pragma once

#include "trainer/model/head_internal.h"

/* Appends a group's parameters, and finds them. */
void tied_lay_out(const model_config_t *config, size_t g, GArray *table);
void tied_find(head_t *head, const model_config_t *config, size_t g, const model_blocks_t *blocks);
/* Makes head->tied, if the config has need of it. FALSE with MODEL_ERROR_MEMORY set. */
gboolean tied_new(head_t *head, const model_config_t *config, GError **error);
void tied_free(head_t *head);
/* A part of head_prepare(). */
void tied_prepare(head_t *head);

/* As head_score() and head_train(), once the tables are made; the latter of rows first .. end - 1. */
void tied_score(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, const real_t *pre, double *nll);
void tied_train(head_t *head, size_t first, size_t end, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, real_t *pre, double scale, double *nll);

/* Drawing: adds R s of a row to the pre-activations u of a part's cells. */
void tied_add_memory(head_t *head, const part_t *part, size_t g, const head_memory_t *memory, size_t row);
/* Takes the group's GRU through n cells from `first` on, whose units u are up to date, and adds to their
 * logits. Cells are taken from the lowest up, and again from any that has been. */
void tied_add_notes(head_t *head, const part_t *part, size_t g, size_t first, size_t n, real_t *logits);
