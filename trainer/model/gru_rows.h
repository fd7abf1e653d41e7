/* gru_rows: one step of a GRU (trainer/model/gru.h) for many rows at once, as GRUs need that run at every
 * pitch of every piece, or along the pitches of every frame. The product with U and the gates are one kernel,
 * and all rows are computed alike: a row's result does not depend on the rows beside it, to the bit. */
#pragma once

#include "trainer/model/gru.h"

/* U, and U transposed, in the order in which the kernels read them: so many elements, aligned as by
 * layers_new_block(). */
size_t gru_rows_panels(size_t H);
void gru_rows_prepare(const gru_t *gru, real_t *panels);

/* h [n, H] from x [n, 3 H] and the states before [n, H]; h may be before. Keeps gates [n, 4 H]: r, g, n, h
 * U_n + c. */
void gru_rows_forward(const gru_t *gru, const real_t *panels, size_t n, const real_t *x, const real_t *before,
                      real_t *h, real_t *gates);
/* From the gradient of h to that of x, of h U [n, 3 H] each, and of before, which are written. The gradients
 * of U and c follow from that of h U: gru_rows_gradient() adds them, of any number of steps together. */
void gru_rows_backward(const gru_t *gru, const real_t *panels, size_t n, const real_t *dh,
                       const real_t *gates, const real_t *before, real_t *dx, real_t *dhU, real_t *dbefore);
void gru_rows_gradient(const gru_t *gru, size_t n, const real_t *before, const real_t *dhU);
