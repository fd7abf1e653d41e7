/* head_notes: owns the GRUs along pitches. Pitches are their time, rows their sequences: arrays go by pitch,
 * then by row. All products are those of trainer/model/grains.h: no row's bits depend on the rows beside
 * it. */
#include "trainer/model/head_notes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A group's weights as products read them: U, its transpose; N, its transpose. */
typedef struct {
    real_t *gru, *input, *back; /* NULL: the group has no GRU */
} panels_t;

struct notes {
    size_t N, pitches, most;
    real_t *y, *x;        /* [pitches, rows, Q], [pitches, rows, 3 N]: input, and that times its weights */
    real_t *m, *gates;    /* [1 + pitches, rows, N] from that before the lowest on; [pitches, rows, 4 N] */
    real_t *dhU;          /* [pitches, rows, 3 N] */
    real_t *output;       /* [2, rows, N]: each row's output, with dropout; its gradient */
    real_t *dm, *dbefore; /* [rows, N] of a pitch; what goes to the one below */
    real_t *scratch;
    panels_t *panels; /* [groups] */
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
    notes->dm = model_add_block(blocks, rows, N);
    notes->gates = model_add_block(blocks, cells, 4 * N);
    notes->dhU = model_add_block(blocks, cells, GATES * N);
    notes->output = model_add_block(blocks, 2 * rows, N);
    notes->dbefore = model_add_block(blocks, rows, N);
    notes->scratch = model_add_block(blocks, gru_rows_scratch(N), 1);
    notes->panels = g_new0(panels_t, head->n_groups);
    for (size_t g = 0; g < head->n_groups; g++) {
        if (!notes_has(config, g)) continue;
        notes->panels[g] = (panels_t){model_add_block(blocks, gru_rows_panels(N), 1),
                                      model_add_block(blocks, grains_panels(head->Q, GATES * N), 1),
                                      model_add_block(blocks, grains_panels(GATES * N, head->Q), 1)};
    }
    return model_check_blocks(blocks, "the GRUs along pitches", error);
}

void notes_free(head_t *head) {
    if (!head->notes) return;
    g_ptr_array_unref(head->notes->blocks);
    g_free(head->notes->panels);
    g_clear_pointer(&head->notes, g_free);
}

void notes_prepare(head_t *head) {
    for (size_t g = 0; head->notes && g < head->n_groups; g++) {
        const panels_t *panels = &head->notes->panels[g];
        const note_gru_t *note = &head->groups[g].note;
        if (!panels->gru) continue;
        gru_rows_prepare(&note->gru, panels->gru);
        grains_make_panels(note->input.W, head->Q, GATES * note->gru.H, 0, panels->input);
        grains_make_panels(note->input.W, GATES * note->gru.H, head->Q, 1, panels->back);
    }
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

/* Adds up dx [n, N]. */
LAYERS_WIDE static void add_rows(const real_t *restrict dx, size_t n, size_t N, real_t *restrict dpitch,
                                 real_t *restrict dbias) {
    for (size_t r = 0; r < n; r++, dx += N) {
        for (size_t i = 0; i < N; i++) {
            dpitch[i] += dx[i];
            dbias[i] += dx[i];
        }
    }
}

void notes_forward(head_t *head, size_t g, const notes_rows_t *rows) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const panels_t *panels = &notes->panels[g];
    const size_t N = notes->N, wide = GATES * N, n = rows->n;
    for (size_t i = 0; i < notes->pitches; i++) { /* what a pitch's rows have in common */
        real_t *x = notes->x + i * n * wide;
        head_begin_tied(note->pitch + i * wide, note->input.bias, x, 1, wide);
        for (size_t r = 1; r < n; r++) memcpy(x + r * wide, x, wide * sizeof *x);
    }
    grains_add_multiply(notes->y, panels->input, notes->x, notes->pitches * n, head->Q, wide);
    memset(notes->output, 0, n * N * sizeof *notes->output);
    for (size_t r = 0; r < n; r++) {
        memcpy(notes->m + r * N, note->start, N * sizeof *notes->m);
        add_products(note->output, rows->mask + r * rows->mask_step, notes->output + r * N, N);
    }
    for (size_t i = 0; i < notes->pitches; i++) {
        real_t *x = notes->x + i * n * wide, *before = notes->m + i * n * N, *m = before + n * N;
        gru_rows_forward(&note->gru, panels->gru, n, x, before, m, notes->gates + i * n * 4 * N,
                         notes->scratch);
        for (size_t r = 0; r < n; r++)
            head_nade(m + r * N, notes->output + r * N, rows->logits + r * rows->logits_step + i, 1, N);
    }
}

void notes_backward(head_t *head, size_t g, const notes_rows_t *rows) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const panels_t *panels = &notes->panels[g];
    const size_t N = notes->N, wide = GATES * N, n = rows->n, cells = notes->pitches * n;
    real_t *doutput = notes->output + notes->most * N, *dm = notes->dm, *dbefore = notes->dbefore;
    memset(dm, 0, n * N * sizeof *dm);
    memset(doutput, 0, n * N * sizeof *doutput);
    for (size_t i = notes->pitches; i-- > 0;) {
        real_t *dx = notes->x + i * n * wide, *const below = dbefore;
        const real_t *before = notes->m + i * n * N, *m = before + n * N;
        for (size_t r = 0; r < n; r++)
            head_nade_backward(rows->logits + r * rows->logits_step + i, m + r * N, notes->output + r * N,
                               dm + r * N, doutput + r * N, 1, N);
        gru_rows_backward(&note->gru, panels->gru, n, dm, notes->gates + i * n * 4 * N, before, dx,
                          notes->dhU + i * n * wide, below);
        add_rows(dx, n, wide, note->dpitch + i * wide, note->input.dbias);
        dbefore = dm;
        dm = below;
    }
    for (size_t r = 0; r < n; r++) {
        head_add(dm + r * N, note->dstart, N);
        add_products(doutput + r * N, rows->mask + r * rows->mask_step, note->doutput, N);
    }
    gru_rows_gradient(&note->gru, cells, notes->m, notes->dhU);
    grains_add_gradient(notes->y, notes->x, note->input.dW, cells, head->Q, wide);
    grains_multiply(notes->x, panels->back, notes->y, cells, wide, head->Q);
}

const real_t *notes_gradient(const head_t *head, size_t r, size_t n, size_t i) {
    return head->notes->y + (i * n + r) * head->Q;
}

void notes_draw(head_t *head, size_t g, size_t i, size_t n, const real_t *u, real_t *logits) {
    notes_t *notes = head->notes;
    const note_gru_t *note = &head->groups[g].note;
    const panels_t *panels = &notes->panels[g];
    const size_t N = notes->N, wide = GATES * N;
    real_t *before = notes->m + i * N; /* a block of one row */
    if (i == 0) memcpy(before, note->start, N * sizeof *before);
    rectify(u, notes->y, n * head->Q);
    head_begin_tied(note->pitch + i * wide, note->input.bias, notes->x, n, wide);
    grains_add_multiply(notes->y, panels->input, notes->x, n, head->Q, wide);
    for (const real_t *x = notes->x; n > 0; n--, x += wide, before += N, logits++) {
        gru_rows_forward(&note->gru, panels->gru, 1, x, before, before + N, notes->gates, notes->scratch);
        head_nade(before + N, note->output, logits, 1, N);
    }
}
