/* head: owns the walk over a frame's cells and what the walk may skip. Frames are sparse, so nothing is done for silent features: each set bit adds one patch of a
 * table, its rows of Q for the cells around it, to the pre-activations of a group; logistic(a) is computed once after each set bit. A group's loss and gradient
 * are computed while its pre-activations are in first-level cache. Frames that are not canonical are not refused: certain cells cost nothing whatever they hold. */
#include "trainer/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/head_kernels.h"
#include "trainer/pitches.h"

/* Lags go in banks: what a pitch adds that sounded at some of a bank's lags is one patch. */
enum { REACH = 13, WINDOW = 2 * REACH + 1, BELOW = 24, BANK = 3, BANK_SETS = (1 << BANK) - 1 };

/* One (track, plane). */
typedef struct {
    size_t cell, byte; /* its first in cell order, its first in a frame */
    gboolean onset;
    const real_t *Q, *v;
    real_t *dQ, *dv;
    real_t *table, *dtable; /* see make_tables() */
} group_t;

/* Cells that share logistic(a): n from `first`, after `step` set bits. */
typedef struct {
    size_t first, n, step;
} stretch_t;

/* A group's part of one row. */
typedef struct {
    pitches_t now, unsure; /* unsure: cells that are not certain; */
    size_t first, end;     /* all lie in first .. end - 1: nothing is computed for others */
    size_t n_patches, n_stretches;
} part_t;

struct head {
    size_t D, A, Q, P, n_groups, frame_bytes;
    size_t lags[MODEL_MAX_LAGS], n_lags, n_banks;
    const real_t *W, *V, *p;
    real_t *dW, *dV, *dp;
    group_t *groups; /* in drawing order */
    real_t *tables;  /* [2, table_size]: of all groups, then their gradients */
    size_t table_size;
    /* Of the row at hand: */
    pitches_t *now;           /* [groups] */
    real_t *u;                /* [P, Q] pre-activations of the tied network */
    real_t *logits, *loss;    /* [P] */
    real_t *a;                /* [A] */
    size_t step, *cells;      /* set bits so far; [D] their cells */
    real_t *hidden, *dhidden; /* [D + 1, A]: logistic(a) after so many set bits */
    patch_t *patches;
    stretch_t *stretches;
};

static size_t count_groups(const model_config_t *config) { return config->tracks * config->planes; }
static size_t count_features(size_t n_lags, size_t g) { return (n_lags + g) * WINDOW + BELOW; }

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
        const size_t features = count_features(config->sequence.n_lags, g);
        g_snprintf(name, sizeof name, "head.tied.%zu", g);
        model_add_param(table, name, "weight", features, Q, (param_init_t){.bound = 1 / sqrt((double)features)});
        model_add_param(table, name, "output", 1, Q, (param_init_t){.bound = 1 / sqrt((double)Q)});
    }
}

/* Rows of a group's table: see make_tables(). */
static size_t lag_set_row(size_t bank, size_t set) { return (bank * BANK_SETS + set - 1) * WINDOW; }
static size_t across_row(const head_t *head, size_t h) { return (head->n_banks * BANK_SETS + h) * WINDOW; }
static size_t below_row(const head_t *head, size_t g) { return across_row(head, g); }
static size_t count_table_rows(const head_t *head, size_t g) { return below_row(head, g) + BELOW; }

/* Lag i stands alone in its bank. */
static size_t lag_row(size_t i) { return lag_set_row(i / BANK, (size_t)1 << i % BANK); }

static void find_params(head_t *head, const model_blocks_t *blocks) {
    char name[32];
    head->W = model_find_param(blocks, "head.nade", "weight", &head->dW);
    head->V = model_find_param(blocks, "head.nade", "output", &head->dV);
    head->p = model_find_param(blocks, "head.tied", "pitch", &head->dp);
    for (size_t g = 0; g < head->n_groups; g++) {
        group_t *group = &head->groups[g];
        g_snprintf(name, sizeof name, "head.tied.%zu", g);
        group->Q = model_find_param(blocks, name, "weight", &group->dQ);
        group->v = model_find_param(blocks, name, "output", &group->dv);
    }
}

static gboolean new_blocks(head_t *head, GError **error) {
    const size_t A = head->A, Q = head->Q, P = head->P, steps = head->D + 1;
    if (!(head->tables = model_new_block(2 * head->table_size, "the head's tables", error)) ||
        !(head->hidden = model_new_block(2 * steps * A, "the head's hidden units", error)) ||
        !(head->u = model_new_block(P * Q + 2 * P + A, "the head's cells", error)))
        return FALSE;
    head->dhidden = head->hidden + steps * A;
    head->logits = head->u + P * Q;
    head->loss = head->logits + P;
    head->a = head->loss + P;
    return TRUE;
}

static void place_groups(head_t *head, const model_config_t *config) {
    real_t *table = head->tables;
    for (size_t g = 0; g < head->n_groups; g++) {
        const size_t track = config->sequence.order[g / config->planes], plane = g % config->planes;
        group_t *group = &head->groups[g];
        group->cell = (track * config->planes + plane) * head->P;
        group->byte = (track * config->planes + plane) * ((head->P + 7) / 8);
        group->onset = plane == PLANE_ONSET;
        group->table = table;
        group->dtable = table + head->table_size;
        table += count_table_rows(head, g) * head->Q;
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
    head->n_banks = (head->n_lags + BANK - 1) / BANK;
    head->groups = g_new0(group_t, head->n_groups);
    head->now = g_new0(pitches_t, head->n_groups);
    head->cells = g_new0(size_t, head->D);
    head->patches = g_new0(patch_t, head->P * (head->n_groups + head->n_banks));
    head->stretches = g_new0(stretch_t, head->P + 1);
    for (size_t g = 0; g < head->n_groups; g++) head->table_size += count_table_rows(head, g) * head->Q;
    if (!new_blocks(head, error)) {
        head_free(head);
        return NULL;
    }
    place_groups(head, config);
    find_params(head, blocks);
    return head;
}

void head_free(head_t *head) {
    if (!head) return;
    real_t *const blocks[] = {head->tables, head->hidden, head->u};
    void *const arrays[] = {head->groups, head->now, head->cells, head->patches, head->stretches};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++) free(blocks[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    g_free(head);
}

/* table = Q upside down. */
static void turn(const real_t *Q, real_t *table, size_t rows, size_t units) {
    for (size_t r = 0; r < rows; r++) memcpy(table + (rows - 1 - r) * units, Q + r * units, units * sizeof *Q);
}

static void turn_back(const real_t *dtable, real_t *dQ, size_t rows, size_t units) {
    for (size_t r = 0; r < rows; r++) head_add(dtable + (rows - 1 - r) * units, dQ + r * units, units);
}

/* A group's table holds what one set bit adds to the cells around it, the lowest first, which is Q with each window upside down: WINDOW rows for each set of a bank's
 * lags at which the bit is set, WINDOW for each group drawn before, BELOW for the group itself. */
static void make_tables(head_t *head) {
    const size_t Q = head->Q, window = WINDOW * Q;
    for (size_t g = 0; g < head->n_groups; g++) {
        const group_t *group = &head->groups[g];
        for (size_t i = 0; i < head->n_lags; i++) turn(group->Q + i * window, group->table + lag_row(i) * Q, WINDOW, Q);
        for (size_t i = 0; i < head->n_banks * BANK_SETS; i++) {
            const size_t bank = i / BANK_SETS, set = i % BANK_SETS + 1, others = set & (set - 1), first = set - others;
            if (!others) continue;
            real_t *sum = group->table + lag_set_row(bank, set) * Q;
            memcpy(sum, group->table + lag_set_row(bank, others) * Q, window * sizeof *sum);
            head_add(group->table + lag_set_row(bank, first) * Q, sum, window);
        }
        turn(group->Q + head->n_lags * window, group->table + below_row(head, g) * Q, BELOW, Q);
        for (size_t h = 0; h < g; h++) turn(group->Q + count_features(head->n_lags, h) * Q, group->table + across_row(head, h) * Q, WINDOW, Q);
    }
}

static void add_table_gradients(head_t *head) {
    const size_t Q = head->Q, window = WINDOW * Q;
    for (size_t g = 0; g < head->n_groups; g++) {
        const group_t *group = &head->groups[g];
        for (size_t i = head->n_banks * BANK_SETS; i > 0; i--) {
            const size_t bank = (i - 1) / BANK_SETS, set = (i - 1) % BANK_SETS + 1, others = set & (set - 1), first = set - others;
            if (!others) continue;
            head_add(group->dtable + lag_set_row(bank, set) * Q, group->dtable + lag_set_row(bank, others) * Q, window);
            head_add(group->dtable + lag_set_row(bank, set) * Q, group->dtable + lag_set_row(bank, first) * Q, window);
        }
        for (size_t i = 0; i < head->n_lags; i++) turn_back(group->dtable + lag_row(i) * Q, group->dQ + i * window, WINDOW, Q);
        turn_back(group->dtable + below_row(head, g) * Q, group->dQ + head->n_lags * window, BELOW, Q);
        for (size_t h = 0; h < g; h++) turn_back(group->dtable + across_row(head, h) * Q, group->dQ + count_features(head->n_lags, h) * Q, WINDOW, Q);
    }
}

static void begin_row(head_t *head, const real_t *pre) {
    head->step = 0;
    memcpy(head->a, pre + head->D, head->A * sizeof *head->a);
    head_step(NULL, head->a, head->hidden, head->A);
    memset(head->dhidden, 0, head->A * sizeof *head->dhidden);
}

/* Goes on past a set bit. */
static void step(head_t *head, size_t cell) {
    const size_t A = head->A;
    head->cells[head->step++] = cell;
    head_step(head->W + cell * A, head->a, head->hidden + head->step * A, A);
    memset(head->dhidden + head->step * A, 0, A * sizeof *head->dhidden);
}

static pitches_t read_group(const head_t *head, size_t g, const uint8_t *frame) { return pitches_read(frame + head->groups[g].byte, head->P); }

/* Onsets that are free given the sounding plane: of a pitch that sounded before and does now. */
static pitches_t unsure_cells(const head_t *head, size_t g, const uint8_t *frame) {
    return head->groups[g].onset ? head->now[g - 1] & read_group(head, g - 1, frame - head->frame_bytes) : pitches_below(head->P);
}

/* A set bit's rows of the table, from `row`, belong to the cells from `lowest` on. */
static void add_patch(head_t *head, part_t *part, size_t row, size_t rows, ptrdiff_t lowest) {
    const ptrdiff_t first = MAX(lowest, (ptrdiff_t)part->first), end = MIN(lowest + (ptrdiff_t)rows, (ptrdiff_t)part->end);
    if (first >= end) return;
    const size_t Q = head->Q, skipped = (size_t)(first - lowest);
    head->patches[part->n_patches++] = (patch_t){(row + skipped) * Q, ((size_t)first - part->first) * Q, (size_t)(end - first) * Q};
}

static void add_bank(head_t *head, part_t *part, size_t g, size_t bank, const uint8_t *frame) {
    pitches_t before[BANK] = {0}, any = 0;
    for (size_t i = 0; i < BANK && bank * BANK + i < head->n_lags; i++)
        any |= before[i] = read_group(head, g, frame - head->lags[bank * BANK + i] * head->frame_bytes);
    while (any) {
        const size_t p = pitches_take(&any);
        size_t set = 0;
        for (size_t i = 0; i < BANK; i++) set |= (size_t)pitches_has(before[i], p) << i;
        add_patch(head, part, lag_set_row(bank, set), WINDOW, (ptrdiff_t)p - REACH);
    }
}

/* What is known before the group's own cells are. */
static part_t begin_part(head_t *head, size_t g, const uint8_t *frame) {
    part_t part = {.unsure = unsure_cells(head, g, frame)};
    if (!part.unsure) return part;
    part.first = pitches_lowest(part.unsure);
    part.end = pitches_highest(part.unsure) + 1;
    for (size_t bank = 0; bank < head->n_banks; bank++) add_bank(head, &part, g, bank, frame);
    for (size_t h = 0; h < g; h++)
        for (pitches_t left = head->now[h]; left;) add_patch(head, &part, across_row(head, h), WINDOW, (ptrdiff_t)pitches_take(&left) - REACH);
    return part;
}

/* Takes the group's set bits in turn, and notes the stretches between them. */
static void walk_part(head_t *head, part_t *part, size_t g) {
    size_t first = part->first;
    for (pitches_t left = part->now;;) {
        const size_t set = left ? pitches_take(&left) : head->P, end = MIN(set + 1, part->end);
        if (first < end) {
            head->stretches[part->n_stretches++] = (stretch_t){first, end - first, head->step};
            first = end;
        }
        if (set == head->P) return;
        add_patch(head, part, below_row(head, g), BELOW, (ptrdiff_t)set + 1);
        step(head, head->groups[g].cell + set);
    }
}

static size_t part_cells(const part_t *part) { return part->end - part->first; }
static size_t tied_column(const head_t *head, size_t g) { return head->D + head->A + g * head->Q; }

static void forward_part(head_t *head, const part_t *part, size_t g, const real_t *pre) {
    const group_t *group = &head->groups[g];
    const size_t A = head->A, Q = head->Q, n = part_cells(part), cell = group->cell + part->first;
    memcpy(head->logits, pre + cell, n * sizeof *pre);
    head_begin_tied(head->p + cell * Q, pre + tied_column(head, g), head->u, n, Q);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
    head_tied(head->u, group->v, head->logits, n, Q);
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        head_nade(head->V + (group->cell + s.first) * A, head->hidden + s.step * A, head->logits + (s.first - part->first), s.n, A);
    }
}

/* A set cell's loss is that of a silent one at the negated logit. */
static void negate_set(head_t *head, const part_t *part) {
    for (pitches_t left = part->now & part->unsure; left;) {
        real_t *logit = &head->logits[pitches_take(&left) - part->first];
        *logit = -*logit;
    }
}

/* The part's nats; turns its logits into their gradient. */
static double part_losses(head_t *head, const part_t *part, double scale) {
    double sum = 0;
    negate_set(head, part);
    head_losses(head->logits, head->loss, scale, part_cells(part));
    negate_set(head, part);
    for (pitches_t certain = pitches_below(part->end) & ~pitches_below(part->first) & ~part->unsure; certain;) {
        const size_t i = pitches_take(&certain) - part->first;
        head->logits[i] = head->loss[i] = 0;
    }
    for (size_t i = 0; i < part_cells(part); i++) sum += (double)head->loss[i];
    return sum;
}

static void backward_part(head_t *head, const part_t *part, size_t g, real_t *dpre) {
    const group_t *group = &head->groups[g];
    const size_t A = head->A, Q = head->Q, n = part_cells(part), cell = group->cell + part->first;
    real_t *dshared = dpre + tied_column(head, g);
    memset(dpre + group->cell, 0, head->P * sizeof *dpre);
    memcpy(dpre + cell, head->logits, n * sizeof *dpre);
    memset(dshared, 0, Q * sizeof *dshared);
    head_tied_backward(head->logits, group->v, head->u, group->dv, head->dp + cell * Q, dshared, n, Q);
    head_gather(head->patches, part->n_patches, head->u, group->dtable);
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        const size_t row = (group->cell + s.first) * A, at = s.step * A;
        head_nade_backward(head->logits + (s.first - part->first), head->V + row, head->hidden + at, head->dV + row, head->dhidden + at, s.n, A);
    }
}

/* a after step k is c and the rows of W of k set bits. */
static void backward_steps(head_t *head, real_t *da) {
    const size_t A = head->A;
    memset(da, 0, A * sizeof *da);
    for (size_t k = head->step; k > 0; k--) head_step_backward(head->hidden + k * A, head->dhidden + k * A, da, head->dW + head->cells[k - 1] * A, A);
    head_step_backward(head->hidden, head->dhidden, da, NULL, A);
}

/* Nats of a row; where dpre, which may be pre, is not NULL, the gradient too. */
static double run_row(head_t *head, const uint8_t *frame, const real_t *pre, real_t *dpre, double scale) {
    double nll = 0;
    begin_row(head, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = begin_part(head, g, frame);
        head->now[g] = part.now = read_group(head, g, frame);
        walk_part(head, &part, g);
        forward_part(head, &part, g, pre);
        nll += part_losses(head, &part, scale);
        if (dpre) backward_part(head, &part, g, dpre);
    }
    if (dpre) backward_steps(head, dpre + head->D);
    return nll;
}

static size_t count_columns(const head_t *head) { return tied_column(head, head->n_groups); }

void head_score(head_t *head, size_t rows, const uint8_t *const *frames, const real_t *pre, double *nll) {
    make_tables(head);
    for (size_t r = 0; r < rows; r++) nll[r] = run_row(head, frames[r], pre + r * count_columns(head), NULL, 1);
}

void head_train(head_t *head, size_t rows, const uint8_t *const *frames, real_t *pre, double scale, double *nll) {
    make_tables(head);
    memset(head->tables + head->table_size, 0, head->table_size * sizeof *head->tables);
    for (size_t r = 0; r < rows; r++) {
        real_t *row = pre + r * count_columns(head);
        nll[r] = run_row(head, frames[r], row, row, scale);
    }
    add_table_gradients(head);
}

/* Fills in the logits of the group's cells from `first` to `last`, given that those between are silent; pre-activations are up to date. */
static void next_logits(head_t *head, const part_t *part, size_t g, size_t first, size_t last, const real_t *pre) {
    const size_t cell = head->groups[g].cell + first, n = last + 1 - first;
    memcpy(head->logits, pre + cell, n * sizeof *pre);
    head_tied(head->u + (first - part->first) * head->Q, head->groups[g].v, head->logits, n, head->Q);
    head_nade(head->V + cell * head->A, head->hidden + head->step * head->A, head->logits, n, head->A);
}

/* The lowest of the cells to be set, or P: each in turn by its own probability. */
static size_t next_set(head_t *head, const part_t *part, size_t g, pitches_t cells, const real_t *pre, const head_rule_t *rule) {
    while (cells) {
        const size_t p = pitches_take(&cells);
        next_logits(head, part, g, p, p, pre);
        const double logit = (double)head->logits[0];
        if (rule->uniforms ? rule->uniforms[head->groups[g].cell + p] < 1 / (1 + exp(-logit)) : logit > 0) return p;
    }
    return head->P;
}

/* The same at a temperature: see head_rule_t. before: pitches that sounded in the frame before. */
static size_t next_tempered(head_t *head, const part_t *part, size_t g, pitches_t cells, pitches_t before, const real_t *pre,
                            const head_rule_t *rule) {
    const size_t first = pitches_lowest(cells);
    double silence = 0, share[2] = {0}, highest[2] = {-INFINITY, -INFINITY}, sum[2] = {0},
           weights[OPS_MAX_PITCHES]; /* silence, weights: logarithms at first */
    next_logits(head, part, g, first, pitches_highest(cells), pre);
    for (pitches_t left = cells; left;) {
        const size_t p = pitches_take(&left);
        const int held = pitches_has(before, p);
        const double logit = (double)head->logits[p - first], on = MIN(logit, 0) - log1p(exp(-fabs(logit)));
        weights[p] = silence + on;
        share[held] += exp(weights[p]);
        highest[held] = MAX(highest[held], weights[p]);
        silence += on - logit;
    }
    for (pitches_t left = cells; left;) {
        const size_t p = pitches_take(&left);
        const int held = pitches_has(before, p);
        weights[p] = exp((weights[p] - highest[held]) / rule->temperature);
        sum[held] += weights[p];
    }
    double left_over = rule->uniforms[head->groups[g].cell + first] - exp(silence);
    size_t next = head->P;
    for (pitches_t left = cells; left && left_over >= 0;) {
        const size_t p = pitches_take(&left);
        const int held = pitches_has(before, p);
        if (weights[p] > 0) next = p;
        left_over -= share[held] * weights[p] / sum[held];
    }
    return next;
}

static pitches_t draw_part(head_t *head, part_t *part, size_t g, const uint8_t *frame, const real_t *pre, const head_rule_t *rule) {
    const group_t *group = &head->groups[g];
    const pitches_t certain = group->onset ? head->now[g - 1] & ~part->unsure : 0;
    const pitches_t before = group->onset ? 0 : read_group(head, g, frame - head->frame_bytes);
    const gboolean tempered = rule->uniforms && (rule->temperature < 1 || rule->temperature > 1);
    pitches_t now = 0;
    head_begin_tied(head->p + (group->cell + part->first) * head->Q, pre + tied_column(head, g), head->u, part_cells(part), head->Q);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
    for (pitches_t left = part->unsure | certain; left;) {
        const size_t stop = left & certain ? pitches_lowest(left & certain) : head->P;
        const pitches_t cells = left & pitches_below(stop);
        size_t p = head->P;
        if (cells) p = tempered ? next_tempered(head, part, g, cells, before, pre, rule) : next_set(head, part, g, cells, pre, rule);
        p = MIN(p, stop);
        if (p == head->P) break;
        left &= ~pitches_below(p + 1);
        now |= pitches_one(p);
        step(head, group->cell + p);
        part->n_patches = 0;
        add_patch(head, part, below_row(head, g), BELOW, (ptrdiff_t)p + 1);
        head_scatter(head->patches, part->n_patches, group->table, head->u);
    }
    return now;
}

void head_draw(head_t *head, uint8_t *frame, const real_t *pre, const head_rule_t *rule) {
    make_tables(head);
    begin_row(head, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = begin_part(head, g, frame);
        head->now[g] = draw_part(head, &part, g, frame, pre, rule);
        pitches_write(head->now[g], frame + head->groups[g].byte, head->P);
    }
}

/* The plain twin. */

static double feature(const head_t *head, size_t g, const uint8_t *frame, ptrdiff_t p) {
    if (p < 0 || p >= (ptrdiff_t)head->P) return 0;
    return frame[head->groups[g].byte + (size_t)p / 8] >> p % 8 & 1;
}

static double tied_unit(const head_t *head, size_t g, ptrdiff_t p, size_t q, const uint8_t *frame, const real_t *pre) {
    const group_t *group = &head->groups[g];
    const real_t *row = group->Q + q; /* of the features in turn */
    double u = (double)pre[tied_column(head, g) + q] + (double)head->p[(group->cell + (size_t)p) * head->Q + q];
    for (size_t i = 0; i < head->n_lags; i++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q)
            u += feature(head, g, frame - head->lags[i] * head->frame_bytes, p + d) * (double)*row;
    for (ptrdiff_t d = -BELOW; d < 0; d++, row += head->Q) u += feature(head, g, frame, p + d) * (double)*row;
    for (size_t h = 0; h < g; h++)
        for (ptrdiff_t d = -REACH; d <= REACH; d++, row += head->Q) u += feature(head, h, frame, p + d) * (double)*row;
    return u < 0 ? 0 : u;
}

static double nade_unit(const head_t *head, size_t g, size_t p, size_t j, const uint8_t *frame, const real_t *pre) {
    double a = (double)pre[head->D + j];
    for (size_t h = 0; h <= g; h++)
        for (size_t s = 0; s < (h < g ? head->P : p); s++)
            a += feature(head, h, frame, (ptrdiff_t)s) * (double)head->W[(head->groups[h].cell + s) * head->A + j];
    return 1 / (1 + exp(-a));
}

static double plain_logit(const head_t *head, size_t g, size_t p, const uint8_t *frame, const real_t *pre) {
    const size_t cell = head->groups[g].cell + p;
    if (head->groups[g].onset) {
        const double sounds = feature(head, g - 1, frame, (ptrdiff_t)p), sounded = feature(head, g - 1, frame - head->frame_bytes, (ptrdiff_t)p);
        if (sounds == 0 || sounded == 0) return sounds == 0 ? -INFINITY : INFINITY;
    }
    double logit = (double)pre[cell];
    for (size_t j = 0; j < head->A; j++) logit += (double)head->V[cell * head->A + j] * nade_unit(head, g, p, j, frame, pre);
    for (size_t q = 0; q < head->Q; q++) logit += (double)head->groups[g].v[q] * tied_unit(head, g, (ptrdiff_t)p, q, frame, pre);
    return logit;
}

void head_logits(head_t *head, const uint8_t *frame, const real_t *pre, real_t *logits) {
    for (size_t g = 0; g < head->n_groups; g++)
        for (size_t p = 0; p < head->P; p++) logits[head->groups[g].cell + p] = (real_t)plain_logit(head, g, p, frame, pre);
}
