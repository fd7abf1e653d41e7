/* head_twin: the output layer's logits by the equations of trainer/model/head.h, without sparse sums or
 * vectors: what the kernels are compared with. */
#pragma once

#include <math.h>

#include "trainer/model/head_internal.h"

static inline double feature(const head_t *head, size_t g, const uint8_t *frame, ptrdiff_t p) {
    if (p < 0 || p >= (ptrdiff_t)head->P) return 0;
    return frame[head->groups[g].byte + (size_t)p / 8] >> p % 8 & 1;
}

/* The value of pitch class `key` mod 12 in the i-th profile of the frames before. */
static inline double plain_profile(const head_t *head, size_t i, size_t key, const uint8_t *frame) {
    double count = 0, total = 0;
    for (size_t back = 1; back <= head->profiles[i]; back++) {
        for (size_t p = 0; p < head->P; p++) {
            double sounds = 0;
            for (size_t g = 0; g < head->n_groups; g++)
                if (head->groups[g].profile)
                    sounds = MAX(sounds, feature(head, g, frame - back * head->frame_bytes, (ptrdiff_t)p));
            total += sounds;
            if (p % PITCH_CLASSES == key % PITCH_CLASSES) count += sounds;
        }
    }
    return total > 0 ? PROFILE_SCALE * (count / total - 1.0 / PITCH_CLASSES) : 0;
}

static inline double tied_unit(const head_t *head, size_t g, ptrdiff_t p, size_t q, const uint8_t *frame,
                               const real_t *pre) {
    const group_t *group = &head->groups[g];
    const real_t *row = group->Q + q; /* of the features in turn */
    double u =
        (double)pre[walk_tied_column(head, g) + q] + (double)head->p[(group->cell + (size_t)p) * head->Q + q];
    for (size_t i = 0; i < head->n_lags; i++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q)
            u += feature(head, g, frame - head->lags[i] * head->frame_bytes, p + d) * (double)*row;
    for (ptrdiff_t d = -BELOW; d < 0; d++, row += head->Q) u += feature(head, g, frame, p + d) * (double)*row;
    for (size_t h = 0; h < g; h++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q)
            u += feature(head, h, frame, p + d) * (double)*row;
    row = group->profile ? group->profile + q : NULL;
    for (size_t i = 0; row && i < head->n_profiles; i++)
        for (size_t s = 0; s < PITCH_CLASSES; s++, row += head->Q)
            u += plain_profile(head, i, (size_t)p + s, frame) * (double)*row;
    return u < 0 ? 0 : u;
}

static inline double nade_unit(const head_t *head, size_t g, size_t p, size_t j, const uint8_t *frame,
                               const real_t *pre) {
    double a = (double)pre[head->D + j];
    for (size_t h = 0; h <= g; h++)
        for (size_t s = 0; s < (h < g ? head->P : p); s++)
            a += feature(head, h, frame, (ptrdiff_t)s) *
                 (double)head->W[(head->groups[h].cell + s) * head->A + j];
    return 1 / (1 + exp(-a));
}

static inline double plain_logit(const head_t *head, size_t g, size_t p, const uint8_t *frame,
                                 const real_t *pre) {
    const size_t cell = head->groups[g].cell + p;
    if (head->groups[g].onset) {
        const double sounds = feature(head, g - 1, frame, (ptrdiff_t)p),
                     sounded = feature(head, g - 1, frame - head->frame_bytes, (ptrdiff_t)p);
        if (sounds == 0 || sounded == 0) return sounds == 0 ? -INFINITY : INFINITY;
    }
    double logit = (double)pre[cell];
    for (size_t j = 0; j < head->A; j++)
        logit += (double)head->V[cell * head->A + j] * nade_unit(head, g, p, j, frame, pre);
    for (size_t q = 0; q < head->Q; q++)
        logit += (double)head->groups[g].v[q] * tied_unit(head, g, (ptrdiff_t)p, q, frame, pre);
    return logit;
}

/* The logits [D] of one row given all of its frame; -INFINITY or INFINITY for certain cells. */
static inline void head_logits(head_t *head, const uint8_t *frame, const real_t *pre, real_t *logits) {
    for (size_t g = 0; g < head->n_groups; g++)
        for (size_t p = 0; p < head->P; p++)
            logits[head->groups[g].cell + p] = (real_t)plain_logit(head, g, p, frame, pre);
}
