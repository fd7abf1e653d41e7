/* head: owns the parameters, loss and gradient. A group's loss and gradient are computed while its
 * pre-activations are in first-level cache. Frames that break the rules of a roll are not refused: certain
 * cells cost nothing whatever they hold. */
#include "trainer/model/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/head_notes.h"
#include "trainer/model/head_tied.h"

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
        const size_t features = walk_features(walk_lags(config), g);
        g_snprintf(name, sizeof name, "head.tied.%zu", g);
        model_add_param(table, name, "weight", features, Q,
                        (param_init_t){.bound = 1 / sqrt((double)features)});
        if (walk_has_profile(config, g)) {
            const size_t classes = config->sequence.n_profiles * PITCH_CLASSES;
            model_add_param(table, name, "profile", classes, Q,
                            (param_init_t){.bound = 1 / sqrt((double)(features + classes))});
        }
        tied_lay_out(config, g, table);
        const double share = notes_has(config, g) ? 0.5 : 1;
        model_add_param(table, name, "output", 1, Q, (param_init_t){.bound = share / sqrt((double)Q)});
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
        tied_find(head, config, g, blocks);
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
        group->track = g / config->planes;
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
    head->n_lags = walk_lags(config);
    head->first_bar_lag = config->sequence.n_lags;
    memcpy(head->lags, config->sequence.lags, sizeof config->sequence.lags);
    head->n_profiles = config->sequence.n_profiles;
    memcpy(head->profiles, config->sequence.profiles, sizeof head->profiles);
    head->groups = g_new0(group_t, head->n_groups);
    head->now = g_new0(pitch_set_t, head->n_groups);
    head->cells = g_new0(size_t, head->D);
    head->patches = g_new0(patch_t, walk_max_patches(head));
    head->stretches = g_new0(stretch_t, head->P + 1);
    for (size_t g = 0; g < head->n_groups; g++)
        head->table_size += walk_table_rows(head->n_lags, g) * head->Q;
    if (!new_blocks(head, error) || !tied_new(head, config, error)) {
        head_free(head);
        return NULL;
    }
    place_groups(head, config);
    head_find(head, config, blocks);
    return head;
}

void head_prepare(head_t *head) {
    walk_make_tables(head);
    tied_prepare(head);
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
    head->levels =
        model_new_block(grains_levels(n) * gradient_size(head), "the head's gradients of grains", error);
    return head->levels != NULL;
}

void head_free(head_t *head) {
    if (!head) return;
    real_t *const blocks[] = {head->tables, head->hidden, head->u, head->levels};
    void *const arrays[] = {head->groups, head->now, head->cells, head->patches, head->stretches};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    tied_free(head);
    g_free(head);
}

void head_start(const head_t *head) {
    for (size_t g = 0; g < head->n_groups; g++)
        if (head->groups[g].note.gru.H) model_open_gru(&head->groups[g].note.input);
}

static void forward_part(head_t *head, const part_t *part, size_t g, const real_t *pre) {
    const group_t *group = &head->groups[g];
    const size_t Q = head->Q, n = walk_cells(part), cell = group->cell + part->first;
    memcpy(head->logits, pre + cell, n * sizeof *pre);
    walk_begin_units(head, part, g, pre);
    head_tied(head->u, group->v, head->logits, n, Q);
    walk_nade(head, part, g);
}

static void backward_part(head_t *head, const part_t *part, size_t g, real_t *dpre) {
    const group_t *group = &head->groups[g];
    const size_t Q = head->Q, n = walk_cells(part), cell = group->cell + part->first;
    real_t *dshared = dpre + walk_tied_column(head, g);
    memset(dpre + group->cell, 0, head->P * sizeof *dpre);
    memcpy(dpre + cell, head->logits, n * sizeof *dpre);
    memset(dshared, 0, Q * sizeof *dshared);
    head_tied_backward(head->logits, group->v, head->u, group->dv, head->dp + cell * Q, dshared, n, Q);
    head_gather(head->patches, part->n_patches, head->u, group->dtable);
    walk_profile_backward(head, part, g);
    walk_nade_backward(head, part, g, head->logits);
}

void head_record(head_t *head, const head_record_t *record) { head->record = *record; }

/* Returns the loss of the r-th row, in nats; computes the gradient too if dpre, which may be pre, is not
 * NULL. */
static double run_row(head_t *head, size_t r, const uint8_t *frame, gboolean past, const place_t *place,
                      const real_t *pre, real_t *dpre, double scale) {
    double nll = 0;
    walk_set_place(head, place);
    walk_begin_row(head, frame, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = walk_begin_part(head, g, frame, past);
        head->now[g] = part.now = walk_read(head, g, frame);
        walk_part(head, &part, g);
        forward_part(head, &part, g, pre);
        walk_record(head, r, g, frame);
        walk_record_logits(head, r, g, &part);
        nll += walk_losses(head, &part, scale);
        if (dpre) backward_part(head, &part, g, dpre);
    }
    if (dpre) walk_steps_backward(head, dpre + head->D);
    return nll;
}

void head_score(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, const real_t *pre, double *nll) {
    if (head->tied) {
        tied_score(head, rows, frames, past, memory, pre, nll);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        nll[r] = run_row(head, r, frames[r], !past || past[r], walk_place(memory, r),
                         pre + r * walk_columns(head), NULL, 1);
}

/* Writes the units of a group's onsets; part: its cells, from the lowest. */
static void write_units(head_t *head, part_t *part, size_t r, size_t g, const uint8_t *frame,
                        const head_memory_t *memory, const real_t *pre) {
    for (pitch_set_t left = part->now; left;) walk_patch(head, part, g, pitch_set_take(&left));
    walk_begin_units(head, part, g, pre);
    tied_add_memory(head, part, g, memory, r);
    walk_record(head, r, g, frame);
}

void head_units(head_t *head, size_t rows, const uint8_t *const *frames, const head_memory_t *memory,
                const real_t *pre) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *frame = frames[r];
        const real_t *row = pre + r * walk_columns(head);
        walk_set_place(head, walk_place(memory, r));
        walk_begin_row(head, frame, row);
        for (size_t g = 0; g < head->n_groups; g++) {
            head->now[g] = walk_read(head, g, frame);
            if (head->groups[g].onset || !walk_read(head, g + 1, frame)) continue;
            part_t part = walk_begin_part(head, g, frame, TRUE);
            part.now = head->now[g];
            write_units(head, &part, r, g, frame, memory, row);
        }
    }
}

/* What head_train() is called with. */
typedef struct {
    head_t *head;
    const grains_t *grains;
    const uint8_t *const *frames;
    const uint8_t *past;
    const head_memory_t *memory;
    real_t *pre;
    double scale, *nll;
} train_t;

/* Rows first .. end - 1; adds to the gradients of the head's own parameters, too. */
static void train_rows(const train_t *call, size_t first, size_t end) {
    head_t *head = call->head;
    const uint8_t *past = call->past;
    memset(head->tables + head->table_size, 0, head->table_size * sizeof *head->tables);
    if (head->tied)
        tied_train(head, first, end, call->frames, past, call->memory, call->pre, call->scale, call->nll);
    for (size_t r = first; !head->tied && r < end; r++) {
        real_t *row = call->pre + r * walk_columns(head);
        call->nll[r] = run_row(head, r, call->frames[r], !past || past[r], walk_place(call->memory, r), row,
                               row, call->scale);
    }
    walk_add_table_gradients(head);
}

void head_train(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, real_t *pre, double scale, double *nll) {
    const train_t call = {head, NULL, frames, past, memory, pre, scale, nll};
    head_prepare(head);
    train_rows(&call, 0, rows);
}

/* The gradients go to another block from now on. */
static void move_gradient(head_t *head, real_t *to) {
    const real_t *from = head->dW;
    real_t **const own[] = {&head->dW, &head->dV, &head->dp};
    for (size_t i = G_N_ELEMENTS(own); i-- > 0;) *own[i] = to + (*own[i] - from);
    for (size_t g = 0; g < head->n_groups; g++) {
        group_t *group = &head->groups[g];
        note_gru_t *note = &group->note;
        real_t **const of_group[] = {&group->dQ,      &group->dv,         &group->dprofile, &group->dR,
                                     &note->input.dW, &note->input.dbias, &note->gru.dU,    &note->gru.dc,
                                     &note->dpitch,   &note->dstart,      &note->doutput};
        for (size_t i = 0; i < G_N_ELEMENTS(of_group); i++)
            if (*of_group[i]) *of_group[i] = to + (*of_group[i] - from);
    }
}

static void train_grain(void *data, size_t grain, real_t *to) {
    const train_t *call = data;
    move_gradient(call->head, to);
    train_rows(call, call->grains->begin[grain], call->grains->begin[grain + 1]);
}

void head_train_grains(head_t *head, const grains_t *grains, const uint8_t *const *frames,
                       const uint8_t *past, const head_memory_t *memory, real_t *pre, double scale,
                       double *nll) {
    train_t call = {head, grains, frames, past, memory, pre, scale, nll};
    real_t *const block = head->dW;
    head_prepare(head);
    grains_sum_blocks(grains, block, head->levels, gradient_size(head), train_grain, &call);
    move_gradient(head, block);
}
