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

/* Whether a pitch has a memory and is one of those that GRUs along pitches go through. */
static inline gboolean is_tied(const model_config_t *config, size_t p) {
    const sequence_sizes_t *sizes = &config->sequence;
    return p >= sizes->tied_first && p < sizes->tied_first + sizes->tied_pitches;
}

/* R s of unit q. */
static inline double memory_unit(const head_t *head, const model_config_t *config, size_t g, size_t p,
                                 size_t q, const head_memory_t *memory, size_t row) {
    const sequence_sizes_t *sizes = &config->sequence;
    double sum = 0;
    if (!sizes->memory || !is_tied(config, p)) return 0;
    const real_t *s =
        memory->s[g / config->planes] + (row * sizes->tied_pitches + p - sizes->tied_first) * sizes->memory;
    for (size_t i = 0; i < sizes->memory; i++)
        sum += (double)s[i] * (double)head->groups[g].R[i * head->Q + q];
    return sum;
}

/* Takes m [N] to the next pitch, whose units are y [Q]; returns what that adds to its logit. */
static inline double plain_note(const head_t *head, const model_config_t *config, size_t g, size_t p,
                                const double *y, double *m) {
    const note_gru_t *note = &head->groups[g].note;
    const size_t N = config->sequence.note, i = p - config->sequence.tied_first;
    double before[64], logit = 0;
    g_assert(N <= 64);
    memcpy(before, m, N * sizeof *m);
    for (size_t j = 0; j < N; j++) {
        double x[GATES], hU[GATES] = {0};
        for (size_t gate = 0; gate < GATES; gate++) {
            const size_t column = gate * N + j;
            x[gate] = (double)note->input.bias[column] + (double)note->pitch[i * GATES * N + column];
            for (size_t q = 0; q < head->Q; q++)
                x[gate] += y[q] * (double)note->input.W[q * GATES * N + column];
            for (size_t h = 0; h < N; h++)
                hU[gate] += before[h] * (double)note->gru.U[h * GATES * N + column];
        }
        const double r = 1 / (1 + exp(-x[0] - hU[0])), g_ = 1 / (1 + exp(-x[1] - hU[1])),
                     n = tanh(x[2] + r * (hU[2] + (double)note->gru.c[j]));
        m[j] = (1 - g_) * n + g_ * before[j];
        logit += m[j] * (double)note->output[j];
    }
    return logit;
}

static inline double tied_unit(const head_t *head, size_t g, ptrdiff_t p, size_t q, const uint8_t *frame,
                               const real_t *pre) {
    const group_t *group = &head->groups[g];
    const real_t *row = group->Q + q; /* of the features in turn */
    double u =
        (double)pre[walk_tied_column(head, g) + q] + (double)head->p[(group->cell + (size_t)p) * head->Q + q];
    for (size_t i = 0; i < head->n_lags; i++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q)
            if (head->lags[i] > 0)
                u += feature(head, g, frame - head->lags[i] * head->frame_bytes, p + d) * (double)*row;
    for (ptrdiff_t d = -BELOW; d < 0; d++, row += head->Q) u += feature(head, g, frame, p + d) * (double)*row;
    for (size_t h = 0; h < g; h++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q)
            u += feature(head, h, frame, p + d) * (double)*row;
    row = group->profile ? group->profile + q : NULL;
    for (size_t i = 0; row && i < head->n_profiles; i++)
        for (size_t s = 0; s < PITCH_CLASSES; s++, row += head->Q)
            u += plain_profile(head, i, (size_t)p + s, frame) * (double)*row;
    return u;
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

/* m: of the group's GRU, before p; it is taken on. */
static inline double plain_logit(const head_t *head, const model_config_t *config, size_t g, size_t p,
                                 const uint8_t *frame, const head_memory_t *memory, size_t r,
                                 const real_t *pre, double *m) {
    const size_t cell = head->groups[g].cell + p;
    if (head->groups[g].onset) {
        const double sounds = feature(head, g - 1, frame, (ptrdiff_t)p),
                     sounded = feature(head, g - 1, frame - head->frame_bytes, (ptrdiff_t)p);
        if (sounds == 0 || sounded == 0) return sounds == 0 ? -INFINITY : INFINITY;
    }
    double logit = (double)pre[cell];
    for (size_t j = 0; j < head->A; j++)
        logit += (double)head->V[cell * head->A + j] * nade_unit(head, g, p, j, frame, pre);
    g_autofree double *y = g_new(double, head->Q);
    for (size_t q = 0; q < head->Q; q++) {
        y[q] = MAX(tied_unit(head, g, (ptrdiff_t)p, q, frame, pre) +
                       memory_unit(head, config, g, p, q, memory, r),
                   0);
        logit += (double)head->groups[g].v[q] * y[q];
    }
    if (head->groups[g].note.gru.H && is_tied(config, p)) logit += plain_note(head, config, g, p, y, m);
    return logit;
}

/* The logits [D] of one row given all of its frame; -INFINITY or INFINITY for certain cells. */
static inline void head_logits(head_t *head, const model_config_t *config, const uint8_t *frame,
                               const head_memory_t *memory, size_t row, const real_t *pre, real_t *logits) {
    for (size_t i = head->first_bar_lag; i < head->n_lags; i++)
        head->lags[i] = memory->places[row]->back[i - head->first_bar_lag];
    for (size_t g = 0; g < head->n_groups; g++) {
        double m[64] = {0};
        for (size_t i = 0; i < head->groups[g].note.gru.H; i++) m[i] = (double)head->groups[g].note.start[i];
        for (size_t p = 0; p < head->P; p++)
            logits[head->groups[g].cell + p] =
                (real_t)plain_logit(head, config, g, p, frame, memory, row, pre, m);
    }
}
