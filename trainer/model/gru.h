/* gru: a gated recurrent unit (Cho et al. 2014, in the form of cuDNN and PyTorch) over packed sequences
 * (trainer/model/packing.h), with its gradient.
 *
 *     r = logistic(x_r + h U_r)
 *     g = logistic(x_g + h U_g)
 *     n = tanh(x_n + r (h U_n + c))
 *     h' = (1 - g) n + g h
 *
 * The caller projects the inputs to x [rows, 3 H], gates in the order r, g, n, biases of inputs included. */
#pragma once

#include "trainer/model/packing.h"
#include "trainer/model/rows.h"

enum { GATES = 3 }; /* r, g, n */

/* Parameters and their gradients, which point into blocks of the model. */
typedef struct {
    const real_t *U, *c; /* [H, 3 H], [H] */
    real_t *dU, *dc;
    size_t H;
} gru_t;

/* What the forward pass keeps for the backward pass. Owner: caller, gru_tape_clear(). */
typedef struct {
    size_t max_rows, max_B, H;
    real_t *before;         /* [max_rows, H]: the state h that each row starts from */
    real_t *gates;          /* [max_rows, 4 H]: r, g, n, h U_n + c */
    real_t *dgates;         /* [max_rows, 3 H]: scratch of the backward pass */
    real_t *panels;         /* U and its transpose in the order in which the kernels read them */
    real_t *active, *carry; /* [max_B, 3 H] of the sequences that are active in a step */
} gru_tape_t;

/* Allocates a tape. FALSE if memory runs out: clear it in that case too. */
int gru_tape_init(gru_tape_t *tape, size_t max_rows, size_t max_B, size_t H);
void gru_tape_clear(gru_tape_t *tape);

/* Computes h [rows, H] from x and the states before the first frame, h0 [B, H] (B: sequences of all groups,
 * one after the other, as their rows are). No row's bits depend on the sequences beside it. For the reverse
 * direction the caller reverses the rows of x. */
void gru_forward(const gru_t *gru, const packing_t *groups, size_t n, const real_t *h0, const real_t *x,
                 real_t *h, gru_tape_t *tape);
/* Gradient, after gru_forward(). dh [rows, H], the gradient of h from other layers, is overwritten. Writes dx
 * [rows, 3 H] and dh0 [B, H]; the gradients dU and dc are as rows has it. */
void gru_backward(const gru_t *gru, const packing_t *groups, size_t n, const rows_t *rows, real_t *dh,
                  real_t *dx, real_t *dh0, gru_tape_t *tape);

/* One step of many rows, as GRUs need that run at every pitch of a frame, along the pitches of several, or
 * outside training. U and its transpose are laid out once; no row's bits depend on the rows beside it. */
size_t gru_rows_panels(size_t H); /* so many elements, aligned as by layers_new_block() */
void gru_rows_prepare(const gru_t *gru, real_t *panels);
/* h [n, H] from x [n, 3 H] and the states before [n, H]; h may be before. Keeps gates [n, 4 H]: r, g, n, h
 * U_n + c. scratch: gru_rows_scratch() elements. */
size_t gru_rows_scratch(size_t H);
void gru_rows_forward(const gru_t *gru, const real_t *panels, size_t n, const real_t *x, const real_t *before,
                      real_t *h, real_t *gates, real_t *scratch);
/* From the gradient of h to that of x, of h U [n, 3 H] each, and of before, which are written. The gradients
 * of U and c follow from that of h U: gru_rows_gradient() adds them, of any number of steps together. */
void gru_rows_backward(const gru_t *gru, const real_t *panels, size_t n, const real_t *dh,
                       const real_t *gates, const real_t *before, real_t *dx, real_t *dhU, real_t *dbefore);
void gru_rows_gradient(const gru_t *gru, size_t n, const real_t *before, const real_t *dhU);
