/* head: owns the parameters, loss and gradient. A group's loss and gradient are computed while its
 * pre-activations are in first-level cache. Frames that break the rules of a roll are not refused: certain
 * cells cost nothing whatever they hold. */
#include "trainer/model/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/head_internal.h"

static size_t count_groups(const model_config_t *config) { return config->tracks * config->planes; }

size_t head_columns(const model_config_t *config) {
    return model_cells(config) + config->sequence.nade + count_groups(config) * config->sequence.tied;
}

void head_lay_out(const model_config_t *config, GArray *table) {
    const size_t D = model_cells(config), A = config->sequence.nade, Q = config->sequence.tied;
    const param_init_t normal = {.sd = 0.05};
    char name[32];
    model_add_param(table, "head.nade", "weight", D, A, normal);
    model_add_param(table, "head.nade", "output", D, A, normal);
    model_add_param(table, "head.tied", "pitch", D, Q, normal);
    for (size_t g = 0; g < count_groups(config); g++) {
        const size_t features = walk_features(config->sequence.n_lags, g);
        g_snprintf(name, sizeof name, "head.tied.%zu", g);
        model_add_param(table, name, "weight", features, Q,
                        (param_init_t){.bound = 1 / sqrt((double)features)});
        if (walk_has_profile(config, g)) {
            const size_t classes = config->sequence.n_profiles * PITCH_CLASSES;
            model_add_param(table, name, "profile", classes, Q,
                            (param_init_t){.bound = 1 / sqrt((double)(features + classes))});
        }
        model_add_param(table, name, "output", 1, Q, (param_init_t){.bound = 1 / sqrt((double)Q)});
    }
}

void head_find(head_t *head, const model_config_t *config, const model_blocks_t *blocks) {
    char name[32];
    head->W = model_find_param(blocks, "head.nade", "weight", &head->dW);
    head->V = model_find_param(blocks, "head.nade", "output", &head->dV);
    head->p = model_find_param(blocks, "head.tied", "pitch", &head->dp);
    for (size_t g = 0; g < head->n_groups; g++) {
        group_t *group = &head->groups[g];
        g_snprintf(name, sizeof name, "head.tied.%zu", g);
        group->Q = model_find_param(blocks, name, "weight", &group->dQ);
        if (walk_has_profile(config, g))
            group->profile = model_find_param(blocks, name, "profile", &group->dprofile);
        group->v = model_find_param(blocks, name, "output", &group->dv);
    }
}

static gboolean new_blocks(head_t *head, GError **error) {
    const size_t A = head->A, Q = head->Q, P = head->P, steps = head->D + 1,
                 classes = PITCH_CLASSES * (head->n_profiles + Q);
    if (!(head->tables = model_new_block(2 * head->table_size, "the head's tables", error)) ||
        !(head->hidden = model_new_block(2 * steps * A, "the head's hidden units", error)) ||
        !(head->u = model_new_block(P * Q + 2 * P + A + classes, "the head's cells", error)))
        return FALSE;
    head->dhidden = head->hidden + steps * A;
    head->logits = head->u + P * Q;
    head->loss = head->logits + P;
    head->a = head->loss + P;
    head->profile = head->a + A;
    head->by_class = head->profile + head->n_profiles * PITCH_CLASSES;
    return TRUE;
}

static void place_groups(head_t *head, const model_config_t *config) {
    real_t *table = head->tables;
    for (size_t g = 0; g < head->n_groups; g++) {
        const size_t track = config->sequence.order[g / config->planes], plane = g % config->planes;
        group_t *group = &head->groups[g];
        group->cell = (track * config->planes + plane) * head->P;
        group->byte = (track * config->planes + plane) * roll_stride(head->P);
        group->onset = plane == PLANE_ONSET;
        group->table = table;
        group->dtable = table + head->table_size;
        table += walk_table_rows(head->n_lags, g) * head->Q;
    }
}

head_t *head_new(const model_config_t *config, const model_blocks_t *blocks, GError **error) {
    head_t *head = g_new0(head_t, 1);
    head->D = model_cells(config);
    head->A = config->sequence.nade;
    head->Q = config->sequence.tied;
    head->P = config->pitches;
    head->n_groups = count_groups(config);
    head->frame_bytes = model_frame_bytes(config);
    head->n_lags = config->sequence.n_lags;
    memcpy(head->lags, config->sequence.lags, sizeof head->lags);
    head->n_profiles = config->sequence.n_profiles;
    memcpy(head->profiles, config->sequence.profiles, sizeof head->profiles);
    head->groups = g_new0(group_t, head->n_groups);
    head->now = g_new0(pitch_set_t, head->n_groups);
    head->cells = g_new0(size_t, head->D);
    head->patches = g_new0(patch_t, walk_max_patches(head));
    head->stretches = g_new0(stretch_t, head->P + 1);
    for (size_t g = 0; g < head->n_groups; g++)
        head->table_size += walk_table_rows(head->n_lags, g) * head->Q;
    if (!new_blocks(head, error)) {
        head_free(head);
        return NULL;
    }
    place_groups(head, config);
    head_find(head, config, blocks);
    return head;
}

/* Elements of the gradient of the head's own parameters, which begins at dW. */
static size_t gradient_size(const head_t *head) {
    const real_t *end = head->groups[head->n_groups - 1].dv + head->Q; /* as head_lay_out() has them */
    return (size_t)(end - head->dW);
}

void head_report(const head_t *head, const model_report_t *report) {
    model_report(report, head->dW, gradient_size(head));
}

gboolean head_allow_grains(head_t *head, size_t n, GError **error) {
    const size_t waiting = (size_t)g_bit_storage(MAX(n, 2) - 1); /* subtrees that wait for their siblings */
    head->levels = model_new_block(waiting * gradient_size(head), "the head's gradients of grains", error);
    return head->levels != NULL;
}

void head_free(head_t *head) {
    if (!head) return;
    real_t *const blocks[] = {head->tables, head->hidden, head->u, head->levels};
    void *const arrays[] = {head->groups, head->now, head->cells, head->patches, head->stretches};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    g_free(head);
}

/* Visits the group's set bits in turn, and notes the stretches between them. */
static void walk_part(head_t *head, part_t *part, size_t g) {
    size_t first = part->first;
    for (pitch_set_t left = part->now;;) {
        const size_t set = left ? pitch_set_take(&left) : head->P, end = MIN(set + 1, part->end);
        if (first < end) {
            head->stretches[part->n_stretches++] = (stretch_t){first, end - first, head->step};
            first = end;
        }
        if (set == head->P) return;
        walk_take(head, part, g, set);
    }
}

static void forward_part(head_t *head, const part_t *part, size_t g, const real_t *pre) {
    const group_t *group = &head->groups[g];
    const size_t A = head->A, Q = head->Q, n = walk_cells(part), cell = group->cell + part->first;
    memcpy(head->logits, pre + cell, n * sizeof *pre);
    head_begin_tied(head->p + cell * Q, pre + walk_tied_column(head, g), head->u, n, Q);
    walk_add_profile(head, part, g);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
    head_tied(head->u, group->v, head->logits, n, Q);
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        head_nade(head->V + (group->cell + s.first) * A, head->hidden + s.step * A,
                  head->logits + (s.first - part->first), s.n, A);
    }
}

/* A set cell's loss is that of a silent one at the negated logit. */
static void negate_set(head_t *head, const part_t *part) {
    for (pitch_set_t left = part->now & part->unsure; left;) {
        real_t *logit = &head->logits[pitch_set_take(&left) - part->first];
        *logit = -*logit;
    }
}

/* Returns the part's loss, in nats; turns its logits into their gradient. */
static double part_losses(head_t *head, const part_t *part, double scale) {
    double sum = 0;
    negate_set(head, part);
    head_losses(head->logits, head->loss, scale, walk_cells(part));
    negate_set(head, part);
    for (pitch_set_t certain = pitch_set_below(part->end) & ~pitch_set_below(part->first) & ~part->unsure;
         certain;) {
        const size_t i = pitch_set_take(&certain) - part->first;
        head->logits[i] = head->loss[i] = 0;
    }
    for (size_t i = 0; i < walk_cells(part); i++) sum += (double)head->loss[i];
    return sum;
}

static void backward_part(head_t *head, const part_t *part, size_t g, real_t *dpre) {
    const group_t *group = &head->groups[g];
    const size_t A = head->A, Q = head->Q, n = walk_cells(part), cell = group->cell + part->first;
    real_t *dshared = dpre + walk_tied_column(head, g);
    memset(dpre + group->cell, 0, head->P * sizeof *dpre);
    memcpy(dpre + cell, head->logits, n * sizeof *dpre);
    memset(dshared, 0, Q * sizeof *dshared);
    head_tied_backward(head->logits, group->v, head->u, group->dv, head->dp + cell * Q, dshared, n, Q);
    head_gather(head->patches, part->n_patches, head->u, group->dtable);
    walk_profile_backward(head, part, g);
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        const size_t row = (group->cell + s.first) * A, at = s.step * A;
        head_nade_backward(head->logits + (s.first - part->first), head->V + row, head->hidden + at,
                           head->dV + row, head->dhidden + at, s.n, A);
    }
}

/* After step k, a is c plus the rows of W of the k set bits. */
static void backward_steps(head_t *head, real_t *da) {
    const size_t A = head->A;
    memset(da, 0, A * sizeof *da);
    for (size_t k = head->step; k > 0; k--)
        head_step_backward(head->hidden + k * A, head->dhidden + k * A, da, head->dW + head->cells[k - 1] * A,
                           A);
    head_step_backward(head->hidden, head->dhidden, da, NULL, A);
}

/* Returns the loss of a row, in nats; computes the gradient too if dpre, which may be pre, is not NULL. */
static double run_row(head_t *head, const uint8_t *frame, gboolean past, const real_t *pre, real_t *dpre,
                      double scale) {
    double nll = 0;
    walk_begin_row(head, frame, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = walk_begin_part(head, g, frame, past);
        head->now[g] = part.now = walk_read(head, g, frame);
        walk_part(head, &part, g);
        forward_part(head, &part, g, pre);
        nll += part_losses(head, &part, scale);
        if (dpre) backward_part(head, &part, g, dpre);
    }
    if (dpre) backward_steps(head, dpre + head->D);
    return nll;
}

static size_t count_columns(const head_t *head) { return walk_tied_column(head, head->n_groups); }

void head_score(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const real_t *pre, double *nll) {
    for (size_t r = 0; r < rows; r++)
        nll[r] = run_row(head, frames[r], !past || past[r], pre + r * count_columns(head), NULL, 1);
}

/* Adds to the gradients of the head's own parameters, too. */
static void train_rows(head_t *head, size_t first, size_t end, const uint8_t *const *frames,
                       const uint8_t *past, real_t *pre, double scale, double *nll) {
    memset(head->tables + head->table_size, 0, head->table_size * sizeof *head->tables);
    for (size_t r = first; r < end; r++) {
        real_t *row = pre + r * count_columns(head);
        nll[r] = run_row(head, frames[r], !past || past[r], row, row, scale);
    }
    walk_add_table_gradients(head);
}

void head_train(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past, real_t *pre,
                double scale, double *nll) {
    head_prepare(head);
    train_rows(head, 0, rows, frames, past, pre, scale, nll);
}

/* The gradients go to another block from now on. */
static void move_gradient(head_t *head, real_t *to) {
    const real_t *from = head->dW;
    real_t **const own[] = {&head->dW, &head->dV, &head->dp};
    for (size_t i = G_N_ELEMENTS(own); i-- > 0;) *own[i] = to + (*own[i] - from);
    for (size_t g = 0; g < head->n_groups; g++) {
        group_t *group = &head->groups[g];
        group->dQ = to + (group->dQ - from);
        group->dv = to + (group->dv - from);
        if (group->dprofile) group->dprofile = to + (group->dprofile - from);
    }
}

/* As in a binary counter: the ones of i are the subtrees that wait, those at its end are whole with grain
 * i. */
void head_train_grains(head_t *head, const grains_t *grains, const uint8_t *const *frames,
                       const uint8_t *past, real_t *pre, double scale, double *nll) {
    real_t *const block = head->dW;
    const size_t n = gradient_size(head);
    head_prepare(head);
    for (size_t i = 0; i < grains->n; i++) {
        const size_t level = (size_t)__builtin_popcountll(i);
        real_t *sum = level ? head->levels + (level - 1) * n : block;
        memset(sum, 0, n * sizeof *sum);
        move_gradient(head, sum);
        if (grains->begin[i] < grains->begin[i + 1])
            train_rows(head, grains->begin[i], grains->begin[i + 1], frames, past, pre, scale, nll);
        size_t at = level;
        for (int merges = __builtin_ctzll(~(unsigned long long)i); merges > 0; merges--, at--)
            head_add(head->levels + (at - 1) * n, at > 1 ? head->levels + (at - 2) * n : block, n);
    }
    move_gradient(head, block);
}
