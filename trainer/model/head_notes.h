/* head_notes: the GRUs along pitches, each with room for a block of rows, which it takes side by side, pitch
 * by pitch. Private to head.c and head_tied.c; letters as in trainer/model/head.h. */
#pragma once

#include "trainer/model/head_internal.h"

/* Whether a group, the g-th drawn, has a GRU along pitches: sound. */
gboolean notes_has(const model_config_t *config, size_t g);
/* Appends a group's parameters, and finds them. */
void notes_lay_out(const model_config_t *config, size_t g, GArray *table);
void notes_find(head_t *head, const model_config_t *config, size_t g, const model_blocks_t *blocks);
/* Makes head->notes, for blocks of so many rows, if the config has GRUs. FALSE with MODEL_ERROR_MEMORY
 * set. */
gboolean notes_new(head_t *head, const model_config_t *config, size_t rows, GError **error);
void notes_free(head_t *head);
/* A part of tied_prepare(). */
void notes_prepare(head_t *head);

/* A block's rows as the g-th group's GRU takes them: arrays of the first row, and how far rows are apart. */
typedef struct {
    size_t n;           /* rows */
    const real_t *mask; /* [N] what dropout multiplies m by */
    size_t mask_step;
    real_t *logits; /* of the cells from the first pitch of the GRU on; or their gradient */
    size_t logits_step;
} notes_rows_t;

/* Reads the r-th of n rows: its pre-activations u, from the first pitch of the GRU on. */
void notes_read(head_t *head, size_t r, size_t n, const real_t *u);
/* Adds to the rows' logits. */
void notes_forward(head_t *head, size_t g, const notes_rows_t *rows);
/* From the gradient of logits to the parameters' and that of the units y, which notes_gradient() gives: [Q]
 * of the r-th row and the i-th pitch. */
void notes_backward(head_t *head, size_t g, const notes_rows_t *rows);
const real_t *notes_gradient(const head_t *head, size_t r, size_t n, size_t i);
/* Drawing: takes the GRU through n pitches from its i-th on, whose pre-activations are u, and adds to their
 * logits. Pitches are taken from the lowest up, and again from any that has been. */
void notes_draw(head_t *head, size_t g, size_t i, size_t n, const real_t *u, real_t *logits);
