/* head_notes: owns the GRUs along pitches. Pitches are its time, rows its sequences: arrays go by pitch, then
 * by row. */
#include "trainer/model/head_notes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/gru_rows.h"

struct notes {
    size_t N, pitches, most;
    real_t *y, *x;       /* [pitches, rows, Q], [pitches, rows, 3 N]: input, and that times its weights */
    real_t *m, *dm;      /* [1 + pitches, rows, N] from that before the lowest on; [pitches, rows, N] */
    real_t *gates, *dhU; /* [pitches, rows, 4 N], [pitches, rows, 3 N] */
    real_t *output;      /* [2, rows, N]: each row's output, with dropout; its gradient */
    real_t *dbefore;     /* [rows, N] */
    real_t **panels;     /* [groups] */
    GPtrArray *blocks;
};

gboolean notes_has(const model_config_t *config, size_t g) {
    return config->sequence.note > 0 && g % config->planes == PLANE_SOUNDING;
}

void notes_lay_out(const model_config_t *config, size_t g, GArray *table) {
    const size_t N = config->sequence.note;
    char name[24], input[32];
    if (!notes_has(config, g)) return;
    g_snprintf(name, sizeof name, "head.note.%zu", g);
    g_snprintf(input, sizeof input, "%s.input", name);
    model_add_gru(table, input, name, config->sequence.tied, N);
    model_add_param(table, name, "pitch", config->sequence.tied_pitches, GATES * N, (param_init_t){0});
    model_add_param(table, name, "start", 1, N, (param_init_t){0});
    model_add_param(table, name, "output", 1, N, (param_init_t){.bound = 0.5 / sqrt((double)N)});
}

void notes_find(head_t *head, const model_config_t *config, size_t g, const model_blocks_t *blocks) {
    note_gru_t *note = &head->groups[g].note;
    char name[24], input[32];
    if (!notes_has(config, g)) return;
    g_snprintf(name, sizeof name, "head.note.%zu", g);
    g_snprintf(input, sizeof input, "%s.input", name);
    note->input = model_find_linear(blocks, input);
    note->gru = model_find_gru(blocks, name);
    note->pitch = model_find_param(blocks, name, "pitch", &note->dpitch);
    note->start = model_find_param(blocks, name, "start", &note->dstart);
    note->output = model_find_param(blocks, name, "output", &note->doutput);
}

gboolean notes_new(head_t *head, const model_config_t *config, size_t rows, GError **error) {
    const size_t N = config->sequence.note, pitches = config->sequence.tied_pitches, cells = pitches * rows;
    if (N == 0) return TRUE;
    notes_t *notes = head->notes = g_new0(notes_t, 1);
    GPtrArray *blocks = notes->blocks = g_ptr_array_new_with_free_func(free);
    notes->N = N;
    notes->pitches = pitches;
    notes->most = rows;
    notes->y = model_add_block(blocks, cells, head->Q);
    notes->x = model_add_block(blocks, cells, GATES * N);
    notes->m = model_add_block(blocks, cells + rows, N);
    notes->dm = model_add_block(blocks, cells, N);
    notes->gates = model_add_block(blocks, cells, 4 * N);
    notes->dhU = model_add_block(blocks, cells, GATES * N);
    notes->output = model_add_block(blocks, 2 * rows, N);
    notes->dbefore = model_add_block(blocks, rows, N);
    notes->panels = g_new0(real_t *, head->n_groups);
    for (size_t g = 0; g < head->n_groups; g++)
        if (notes_has(config, g)) notes->panels[g] = model_add_block(blocks, gru_rows_panels(N), 1);
    return model_check_blocks(blocks, "the GRUs along pitches", error);
}

void notes_free(head_t *head) {
    if (!head->notes) return;
    g_ptr_array_unref(head->notes->blocks);
    g_free(head->notes->panels);
    g_clear_pointer(&head->notes, g_free);
}

void notes_prepare(head_t *head) {
    for (size_t g = 0; head->notes && g < head->n_groups; g++)
        if (head->notes->panels[g]) gru_rows_prepare(&head->groups[g].note.gru, head->notes->panels[g]);
}

/* y = max(u, 0), keeping NaN. */
LAYERS_WIDE static void rectify(const real_t *restrict u, real_t *restrict y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = u[i] < 0 ? 0 : u[i];
}

void notes_read(head_t *head, size_t r, size_t n, const real_t *u) {
    const size_t Q = head->Q;
    for (size_t i = 0; i < head->notes->pitches; i++) rectify(u + i * Q, head->notes->y + (i * n + r) * Q, Q);
}

/* to [N] += a [N] times b [N]. */
static void add_products(const real_t *a, const real_t *b, real_t *to, size_t N) {
    for (size_t i = 0; i < N; i++) to[i] += a[i] * b[i];
}

void notes_forward(head_t *head, size_t g, const notes_rows_t *rows) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const size_t N = notes->N, wide = GATES * N, n = rows->n;
    for (size_t i = 0; i < notes->pitches; i++) { /* what a pitch's rows have in common */
        real_t *x = notes->x + i * n * wide;
        head_begin_tied(note->pitch + i * wide, note->input.bias, x, 1, wide);
        for (size_t r = 1; r < n; r++) memcpy(x + r * wide, x, wide * sizeof *x);
    }
    layers_add_product(notes->y, head->Q, note->input.W, notes->x, notes->pitches * n, head->Q, wide);
    memset(notes->output, 0, n * N * sizeof *notes->output);
    for (size_t r = 0; r < n; r++) {
        memcpy(notes->m + r * N, note->start, N * sizeof *notes->m);
        add_products(note->output, rows->mask + r * rows->mask_step, notes->output + r * N, N);
    }
    for (size_t i = 0; i < notes->pitches; i++) {
        real_t *x = notes->x + i * n * wide, *before = notes->m + i * n * N, *m = before + n * N;
        gru_rows_forward(&note->gru, notes->panels[g], n, x, before, m, notes->gates + i * n * 4 * N);
        for (size_t r = 0; r < n; r++)
            head_nade(m + r * N, notes->output + r * N, rows->logits + r * rows->logits_step + i, 1, N);
    }
}

void notes_backward(head_t *head, size_t g, const notes_rows_t *rows) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const size_t N = notes->N, wide = GATES * N, n = rows->n, cells = notes->pitches * n;
    real_t *doutput = notes->output + notes->most * N;
    memset(notes->dm, 0, cells * N * sizeof *notes->dm);
    memset(notes->dbefore, 0, n * N * sizeof *notes->dbefore);
    memset(doutput, 0, n * N * sizeof *doutput);
    for (size_t i = notes->pitches; i-- > 0;) {
        real_t *dx = notes->x + i * n * wide, *dm = notes->dm + i * n * N;
        const real_t *before = notes->m + i * n * N, *m = before + n * N;
        for (size_t r = 0; r < n; r++)
            head_nade_backward(rows->logits + r * rows->logits_step + i, m + r * N, notes->output + r * N,
                               dm + r * N, doutput + r * N, 1, N);
        head_add(notes->dbefore, dm, n * N);
        gru_rows_backward(&note->gru, notes->panels[g], n, dm, notes->gates + i * n * 4 * N, before, dx,
                          notes->dhU + i * n * wide, notes->dbefore);
        for (size_t r = 0; r < n; r++) head_add(dx + r * wide, note->dpitch + i * wide, wide);
    }
    for (size_t r = 0; r < n; r++) {
        head_add(notes->dbefore + r * N, note->dstart, N);
        add_products(doutput + r * N, rows->mask + r * rows->mask_step, note->doutput, N);
    }
    gru_rows_gradient(&note->gru, cells, notes->m, notes->dhU);
    layers_linear_gradient(notes->y, notes->x, note->input.dW, note->input.dbias, cells, head->Q, wide);
    layers_linear_backward(note->input.W, notes->x, notes->y, 0, cells, head->Q, wide);
}

const real_t *notes_gradient(const head_t *head, size_t r, size_t n, size_t i) {
    return head->notes->y + (i * n + r) * head->Q;
}

void notes_draw(head_t *head, size_t g, size_t i, const real_t *u, real_t *logit) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const size_t N = notes->N;
    real_t *before = notes->m + i * N, *m = before + N; /* a block of one row */
    if (i == 0) memcpy(before, note->start, N * sizeof *m);
    rectify(u, notes->y, head->Q);
    linear_forward(&note->input, notes->y, notes->x, &(rows_t){.n = 1});
    head_add(note->pitch + i * GATES * N, notes->x, GATES * N);
    gru_rows_forward(&note->gru, notes->panels[g], 1, notes->x, before, m, notes->gates);
    head_nade(m, note->output, logit, 1, N);
}
