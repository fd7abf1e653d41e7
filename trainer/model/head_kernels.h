/* head_kernels: the vectorised loops of the head. Letters as in trainer/model/head.h; n consecutive cells of
 * one group; arrays do not overlap. Private to the files of the head and to memory.c. */
#pragma once

#include <stddef.h>

#include "trainer/model/real.h"

enum { PITCH_CLASSES = 12 };

/* n consecutive elements of a table, starting at `from`, and the n pre-activations, starting at `to`, that
 * they belong to. */
typedef struct {
    size_t from, to, n;
} patch_t;

/* to [n] += from [n]. */
void head_add(const real_t *from, real_t *to, size_t n);
/* u += table, and dtable += du, in all patches. */
void head_scatter(const patch_t *patches, size_t n_patches, const real_t *table, real_t *u);
void head_gather(const patch_t *patches, size_t n_patches, const real_t *du, real_t *dtable);

/* u [n, Q] = p [n, Q] + shared [Q]. */
void head_begin_tied(const real_t *p, const real_t *shared, real_t *u, size_t n, size_t Q);
/* logits [n] += relu(u) [n, Q] v [Q]. */
void head_tied(const real_t *u, const real_t *v, real_t *logits, size_t n, size_t Q);
/* Turns u into its gradient; adds to dv [Q], dp [n, Q] and dshared [Q]. */
void head_tied_backward(const real_t *dlogits, const real_t *v, real_t *u, real_t *dv, real_t *dp,
                        real_t *dshared, size_t n, size_t Q);

/* The same where relu(u) has a gradient dy [n, Q] besides. */
void head_tied_backward_with(const real_t *dlogits, const real_t *v, const real_t *dy, real_t *u, real_t *dv,
                             real_t *dp, real_t *dshared, size_t n, size_t Q);

/* Adds to by_class [PITCH_CLASSES, Q], for each class c, the sum over windows i and steps s of profile_i[(c +
 * s) mod 12] times row s of K_i; profile [n, PITCH_CLASSES], K [n, PITCH_CLASSES, Q]. Backward: adds to dK,
 * from by_class as the gradient. */
void head_profile(const real_t *profile, const real_t *K, real_t *by_class, size_t n, size_t Q);
void head_profile_backward(const real_t *profile, const real_t *by_class, real_t *dK, size_t n, size_t Q);

/* a += W [A] unless W is NULL; then hidden [A] = logistic(a). */
void head_step(const real_t *W, real_t *a, real_t *hidden, size_t A);
/* logits [n] += V [n, A] hidden [A]. */
void head_nade(const real_t *V, const real_t *hidden, real_t *logits, size_t n, size_t A);
/* Adds to dV [n, A] and dhidden [A]. */
void head_nade_backward(const real_t *dlogits, const real_t *V, const real_t *hidden, real_t *dV,
                        real_t *dhidden, size_t n, size_t A);
/* da [A] += dhidden d logistic(a) / da; then dW [A] += da unless dW is NULL. */
void head_step_backward(const real_t *hidden, const real_t *dhidden, real_t *da, real_t *dW, size_t A);

/* Turns logits of silent cells (of set ones, negated) into scale * d loss / d logit; loss [n] in nats. */
void head_losses(real_t *logits, real_t *loss, double scale, size_t n);
