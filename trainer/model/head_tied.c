/* head_tied: owns the blocks of rows. NADE of all groups comes first, because it needs no more than the
 * frame; then each group in turn, forward and backward, with one set of buffers; last NADE's gradient. A
 * block is as many rows as products take together (trainer/model/grains_kernels.h), and stays in second-level
 * cache. */
#include "trainer/model/head_tied.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/head_notes.h"

enum { BLOCK = 8 };

struct tied {
    size_t K, M, N, first, pitches;
    /* Of a block: */
    real_t *u, *logits; /* [BLOCK, P, Q], [BLOCK, D] */
    real_t *profiles;   /* [BLOCK, profiles, PITCH_CLASSES] */
    real_t *masks;      /* [BLOCK, K (M + N)]: what dropout multiplies units by */
    /* Of a row: */
    real_t *held; /* [pitches, M]: s with dropout, or its gradient */
    real_t *dy;   /* [P, Q] */
    /* [groups]: R and its transpose, as products read them. */
    real_t **panels, **back;
    GPtrArray *blocks;
};

/* Rows of a block, which begin at `first` of those of the call. */
typedef struct {
    size_t first, n;
    const uint8_t *const *frames;
    const uint8_t *past;
    const head_memory_t *memory;
} block_t;

/* ---- parameters ---- */

void tied_lay_out(const model_config_t *config, size_t g, GArray *table) {
    const sequence_sizes_t *sizes = &config->sequence;
    char name[32];
    g_snprintf(name, sizeof name, "head.tied.%zu", g);
    if (sizes->memory)
        model_add_param(table, name, "memory", sizes->memory, sizes->tied,
                        (param_init_t){.bound = 1 / sqrt((double)sizes->memory)});
    notes_lay_out(config, g, table);
}

void tied_find(head_t *head, const model_config_t *config, size_t g, const model_blocks_t *blocks) {
    group_t *group = &head->groups[g];
    char name[32];
    g_snprintf(name, sizeof name, "head.tied.%zu", g);
    if (config->sequence.memory) group->R = model_find_param(blocks, name, "memory", &group->dR);
    notes_find(head, config, g, blocks);
}

gboolean tied_new(head_t *head, const model_config_t *config, GError **error) {
    const sequence_sizes_t *sizes = &config->sequence;
    if (sizes->memory == 0 && sizes->note == 0) return TRUE;
    tied_t *tied = head->tied = g_new0(tied_t, 1);
    const size_t Q = head->Q, M = sizes->memory;
    tied->K = config->tracks;
    tied->M = M;
    tied->N = sizes->note;
    tied->first = sizes->tied_first;
    tied->pitches = sizes->tied_pitches;
    tied->blocks = g_ptr_array_new_with_free_func(free);
    tied->u = model_add_block(tied->blocks, BLOCK * head->P, Q);
    tied->logits = model_add_block(tied->blocks, BLOCK, head->D);
    tied->profiles = model_add_block(tied->blocks, BLOCK, head->n_profiles * PITCH_CLASSES);
    tied->masks = model_add_block(tied->blocks, BLOCK, model_memory_units(config));
    tied->held = model_add_block(tied->blocks, sizes->tied_pitches, M);
    tied->dy = model_add_block(tied->blocks, head->P, Q);
    tied->panels = g_new0(real_t *, head->n_groups);
    tied->back = g_new0(real_t *, head->n_groups);
    for (size_t g = 0; M > 0 && g < head->n_groups; g++) {
        tied->panels[g] = model_add_block(tied->blocks, grains_panels(M, Q), 1);
        tied->back[g] = model_add_block(tied->blocks, grains_panels(Q, M), 1);
    }
    return model_check_blocks(tied->blocks, "the head's blocks of rows", error) &&
           notes_new(head, config, BLOCK, error);
}

void tied_free(head_t *head) {
    tied_t *tied = head->tied;
    if (!tied) return;
    g_ptr_array_unref(tied->blocks);
    g_free(tied->panels);
    g_free(tied->back);
    notes_free(head);
    g_clear_pointer(&head->tied, g_free);
}

void tied_prepare(head_t *head) {
    const tied_t *tied = head->tied;
    for (size_t g = 0; tied && tied->M > 0 && g < head->n_groups; g++) {
        grains_make_panels(head->groups[g].R, tied->M, head->Q, 0, tied->panels[g]);
        grains_make_panels(head->groups[g].R, head->Q, tied->M, 1, tied->back[g]);
    }
    notes_prepare(head);
}

/* ---- cells with a memory ---- */

/* The cells of a part that have a memory: first .. end - 1, as pitches. */
typedef struct {
    size_t first, end;
} span_t;

static span_t held_cells(const tied_t *tied, const part_t *part) {
    const size_t first = MAX(part->first, tied->first), end = MIN(part->end, tied->first + tied->pitches);
    return (span_t){first, MAX(first, end)};
}

static size_t count_units(const tied_t *tied) { return tied->K * (tied->M + tied->N); }

/* Fills in the masks. */
static void read_masks(tied_t *tied, const block_t *block) {
    const size_t units = count_units(tied);
    for (size_t r = 0; r < block->n; r++) {
        const uint8_t *keep = block->memory->keep ? block->memory->keep[block->first + r] : NULL;
        for (size_t i = 0; i < units; i++)
            tied->masks[r * units + i] = !keep ? 1 : keep[i] ? block->memory->kept : 0;
    }
}

/* Of the memory of track k; of its GRU along pitches. */
static const real_t *memory_mask(const tied_t *tied, size_t r, size_t k) {
    return tied->masks + r * count_units(tied) + k * tied->M;
}

static const real_t *note_mask(const tied_t *tied, size_t r, size_t k) {
    return tied->masks + r * count_units(tied) + tied->K * tied->M + k * tied->N;
}

/* to [n, M] = from times mask [M]; or += that. */
LAYERS_WIDE static void mask_rows(const real_t *restrict from, const real_t *restrict mask,
                                  real_t *restrict to, size_t n, size_t M) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < M; j++) to[i * M + j] = from[i * M + j] * mask[j];
}

LAYERS_WIDE static void add_masked(const real_t *restrict from, const real_t *restrict mask,
                                   real_t *restrict to, size_t n, size_t M) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < M; j++) to[i * M + j] += from[i * M + j] * mask[j];
}

static size_t state_at(const tied_t *tied, size_t row, size_t p) {
    return (row * tied->pitches + p - tied->first) * tied->M;
}

static gboolean sees_past(const block_t *block, size_t r) {
    return !block->past || block->past[block->first + r];
}

static gboolean reads_memory(const head_t *head, const block_t *block, size_t g, size_t r) {
    return head->groups[g].R && sees_past(block, r);
}

/* A part of the r-th row, without its patches' gradient yet; the row's pointers are set. */
static part_t open_part(head_t *head, const block_t *block, size_t g, size_t r) {
    tied_t *tied = head->tied;
    const uint8_t *frame = block->frames[block->first + r];
    const size_t classes = head->n_profiles * PITCH_CLASSES;
    for (size_t h = 0; h <= g; h++) head->now[h] = walk_read(head, h, frame);
    walk_set_place(head, walk_place(block->memory, block->first + r));
    part_t part = walk_begin_part(head, g, frame, sees_past(block, r));
    part.now = head->now[g];
    for (pitch_set_t left = part.now; left;) walk_patch(head, &part, g, pitch_set_take(&left));
    head->u = tied->u + r * head->P * head->Q;
    head->logits = tied->logits + r * head->D + head->groups[g].cell;
    memcpy(head->profile, tied->profiles + r * classes, classes * sizeof *head->profile);
    return part;
}

/* Fills `held` with the states of n cells of a row from pitch p on; returns them. */
static const real_t *hold(const tied_t *tied, const block_t *block, size_t k, size_t r, size_t p, size_t n) {
    mask_rows(block->memory->s[k] + state_at(tied, block->first + r, p), memory_mask(tied, r, k), tied->held,
              n, tied->M);
    return tied->held;
}

/* Adds R s to the pre-activations of a part's cells. */
static void read_memory(head_t *head, const block_t *block, const part_t *part, size_t g, size_t r) {
    const tied_t *tied = head->tied;
    const span_t span = held_cells(tied, part);
    const size_t n = span.end - span.first;
    if (!reads_memory(head, block, g, r) || n == 0) return;
    grains_add_multiply(hold(tied, block, head->groups[g].track, r, span.first, n), tied->panels[g],
                        head->u + (span.first - part->first) * head->Q, n, tied->M, head->Q);
}

/* From the gradient of pre-activations to those of R and s. */
static void read_memory_backward(head_t *head, const block_t *block, const part_t *part, size_t g, size_t r) {
    const tied_t *tied = head->tied;
    const span_t span = held_cells(tied, part);
    const size_t k = head->groups[g].track, n = span.end - span.first;
    const real_t *du = head->u + (span.first - part->first) * head->Q;
    if (!reads_memory(head, block, g, r) || n == 0) return;
    grains_add_gradient(hold(tied, block, k, r, span.first, n), du, head->groups[g].dR, n, tied->M, head->Q);
    grains_multiply(du, tied->back[g], tied->held, n, head->Q, tied->M);
    add_masked(tied->held, memory_mask(tied, r, k),
               block->memory->ds[k] + state_at(tied, block->first + r, span.first), n, tied->M);
}

/* What a group's GRU along pitches takes. */
static notes_rows_t note_rows(const head_t *head, const block_t *block, size_t g) {
    const tied_t *tied = head->tied;
    return (notes_rows_t){.n = block->n,
                          .mask = note_mask(tied, 0, head->groups[g].track),
                          .mask_step = count_units(tied),
                          .logits = tied->logits + head->groups[g].cell + tied->first,
                          .logits_step = head->D};
}

/* ---- groups ---- */

static void forward_group(head_t *head, const block_t *block, size_t g, const real_t *pre) {
    const tied_t *tied = head->tied;
    const group_t *group = &head->groups[g];
    const size_t Q = head->Q;
    const gboolean has_note = group->note.gru.H > 0;
    for (size_t r = 0; r < block->n; r++) {
        const part_t part = open_part(head, block, g, r);
        if (!part.unsure) continue;
        walk_begin_units(head, &part, g, pre + r * walk_columns(head));
        read_memory(head, block, &part, g, r);
        head_tied(head->u, group->v, head->logits, walk_cells(&part), Q);
        walk_record(head, block->first + r, g, block->frames[block->first + r]);
        if (has_note) notes_read(head, r, block->n, head->u + tied->first * Q);
    }
    if (!has_note) return;
    const notes_rows_t rows = note_rows(head, block, g);
    notes_forward(head, g, &rows);
}

/* The gradient of relu() that comes from the group's GRU along pitches, of all of a row's cells. */
static const real_t *read_gradient(const head_t *head, const block_t *block, size_t r) {
    const tied_t *tied = head->tied;
    const size_t Q = head->Q;
    for (size_t i = 0; i < tied->pitches; i++)
        memcpy(tied->dy + (tied->first + i) * Q, notes_gradient(head, r, block->n, i), Q * sizeof *tied->dy);
    return tied->dy;
}

/* Writes the gradient of the group's columns of pre. */
static void backward_group(head_t *head, const block_t *block, size_t g, real_t *pre) {
    const group_t *group = &head->groups[g];
    const size_t Q = head->Q;
    if (group->note.gru.H) {
        const notes_rows_t rows = note_rows(head, block, g);
        notes_backward(head, g, &rows);
    }
    for (size_t r = 0; r < block->n; r++) {
        const part_t part = open_part(head, block, g, r);
        const size_t n = walk_cells(&part), cell = group->cell + part.first;
        real_t *dpre = pre + r * walk_columns(head), *dshared = dpre + walk_tied_column(head, g);
        memset(dpre + group->cell, 0, head->P * sizeof *dpre);
        memcpy(dpre + cell, head->logits, n * sizeof *dpre);
        memset(dshared, 0, Q * sizeof *dshared);
        if (group->note.gru.H)
            head_tied_backward_with(head->logits, group->v, read_gradient(head, block, r), head->u, group->dv,
                                    head->dp + cell * Q, dshared, n, Q);
        else
            head_tied_backward(head->logits, group->v, head->u, group->dv, head->dp + cell * Q, dshared, n,
                               Q);
        head_gather(head->patches, part.n_patches, head->u, group->dtable);
        walk_profile_backward(head, &part, g);
        read_memory_backward(head, block, &part, g, r);
    }
}

/* ---- blocks ---- */

/* Logits as far as NADE tells them, of all groups; and what profiles are. */
static void nade_forward(head_t *head, const block_t *block, const real_t *pre) {
    tied_t *tied = head->tied;
    const size_t classes = head->n_profiles * PITCH_CLASSES;
    for (size_t r = 0; r < block->n; r++) {
        const uint8_t *frame = block->frames[block->first + r];
        const real_t *row = pre + r * walk_columns(head);
        walk_begin_row(head, frame, row);
        memcpy(tied->profiles + r * classes, head->profile, classes * sizeof *head->profile);
        for (size_t g = 0; g < head->n_groups; g++) {
            part_t part = walk_begin_part(head, g, frame, FALSE);
            head->now[g] = part.now = walk_read(head, g, frame);
            walk_part(head, &part, g);
            head->logits = tied->logits + r * head->D + head->groups[g].cell;
            memcpy(head->logits, row + head->groups[g].cell + part.first, walk_cells(&part) * sizeof *row);
            walk_nade(head, &part, g);
        }
    }
}

static void nade_backward(head_t *head, const block_t *block, real_t *pre) {
    for (size_t r = 0; r < block->n; r++) {
        const uint8_t *frame = block->frames[block->first + r];
        real_t *row = pre + r * walk_columns(head);
        walk_begin_steps(head, row);
        for (size_t g = 0; g < head->n_groups; g++) {
            part_t part = walk_begin_part(head, g, frame, FALSE);
            head->now[g] = part.now = walk_read(head, g, frame);
            walk_part(head, &part, g);
            walk_nade_backward(head, &part, g, row + head->groups[g].cell + part.first);
        }
        walk_steps_backward(head, row + head->D);
    }
}

/* dpre: pre, or NULL. */
static void run_block(head_t *head, const block_t *block, const real_t *pre, real_t *dpre, double scale,
                      double *nll) {
    const tied_t *tied = head->tied;
    const size_t row = tied->pitches * tied->M;
    for (size_t k = 0; dpre && tied->M > 0 && k < tied->K; k++)
        memset(block->memory->ds[k] + block->first * row, 0, block->n * row * sizeof *dpre);
    read_masks(head->tied, block);
    nade_forward(head, block, pre);
    for (size_t r = 0; r < block->n; r++) nll[r] = 0;
    for (size_t g = 0; g < head->n_groups; g++) {
        forward_group(head, block, g, pre);
        for (size_t r = 0; r < block->n; r++) {
            const part_t part = open_part(head, block, g, r);
            walk_record_logits(head, block->first + r, g, &part);
            nll[r] += walk_losses(head, &part, scale);
        }
        if (dpre) backward_group(head, block, g, dpre);
    }
    if (dpre) nade_backward(head, block, dpre);
}

static void run_blocks(head_t *head, size_t first, size_t end, block_t block, const real_t *pre, real_t *dpre,
                       double scale, double *nll) {
    real_t *const u = head->u, *const logits = head->logits;
    for (block.first = first; block.first < end; block.first += block.n) {
        const size_t at = block.first * walk_columns(head);
        block.n = MIN(BLOCK, end - block.first);
        run_block(head, &block, pre + at, dpre ? dpre + at : NULL, scale, nll + block.first);
    }
    head->u = u;
    head->logits = logits;
}

void tied_score(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, const real_t *pre, double *nll) {
    const block_t block = {.frames = frames, .past = past, .memory = memory};
    run_blocks(head, 0, rows, block, pre, NULL, 1, nll);
}

void tied_train(head_t *head, size_t first, size_t end, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, real_t *pre, double scale, double *nll) {
    const block_t block = {.frames = frames, .past = past, .memory = memory};
    run_blocks(head, first, end, block, pre, pre, scale, nll);
}

/* ---- drawing ---- */

void tied_add_memory(head_t *head, const part_t *part, size_t g, const head_memory_t *memory, size_t row) {
    const group_t *group = &head->groups[g];
    const tied_t *tied = head->tied;
    if (!tied || !group->R || !part->unsure) return;
    const span_t span = held_cells(tied, part);
    grains_add_multiply(memory->s[group->track] + state_at(tied, row, span.first), tied->panels[g],
                        head->u + (span.first - part->first) * head->Q, span.end - span.first, tied->M,
                        head->Q);
}

void tied_add_notes(head_t *head, const part_t *part, size_t g, size_t first, size_t n, real_t *logits) {
    const tied_t *tied = head->tied;
    const size_t lowest = MAX(first, tied->first), end = MIN(first + n, tied->first + tied->pitches);
    if (head->groups[g].note.gru.H > 0 && lowest < end)
        notes_draw(head, g, lowest - tied->first, end - lowest, head->u + (lowest - part->first) * head->Q,
                   logits + (lowest - first));
}
