/* head_internal: owns the tables. A group's table holds what one set bit adds to the cells around it, from
 * the lowest cell: that is Q with each window upside down. Lags are grouped into banks: a pitch that sounded
 * at some lags of a bank adds one patch. So a table has WINDOW rows for each nonempty subset of a bank's
 * lags, WINDOW for each group drawn before, and BELOW for the group itself. Profiles are dense and have no
 * table: what they add is the same for all cells of a pitch class. */
#include "trainer/model/head_internal.h"

#include <math.h>
#include <string.h>

enum { BANK = 3, BANK_SETS = (1 << BANK) - 1 };

static size_t count_banks(size_t n_lags) { return (n_lags + BANK - 1) / BANK; }

/* First rows of parts of a group's table. */
static size_t lag_set_row(size_t bank, size_t set) { return (bank * BANK_SETS + set - 1) * WINDOW; }
static size_t across_row(size_t n_lags, size_t h) { return (count_banks(n_lags) * BANK_SETS + h) * WINDOW; }
static size_t below_row(size_t n_lags, size_t g) { return across_row(n_lags, g); }

/* The rows of lag i by itself. */
static size_t lag_row(size_t i) { return lag_set_row(i / BANK, (size_t)1 << i % BANK); }

size_t walk_table_rows(size_t n_lags, size_t g) { return below_row(n_lags, g) + BELOW; }
size_t walk_max_patches(const head_t *head) { return head->P * (head->n_groups + count_banks(head->n_lags)); }

/* table = Q upside down. */
static void turn(const real_t *Q, real_t *table, size_t rows, size_t units) {
    for (size_t r = 0; r < rows; r++)
        memcpy(table + (rows - 1 - r) * units, Q + r * units, units * sizeof *Q);
}

static void turn_back(const real_t *dtable, real_t *dQ, size_t rows, size_t units) {
    for (size_t r = 0; r < rows; r++) head_add(dtable + (rows - 1 - r) * units, dQ + r * units, units);
}

void walk_make_tables(head_t *head) {
    const size_t Q = head->Q, window = WINDOW * Q;
    for (size_t g = 0; g < head->n_groups; g++) {
        const group_t *group = &head->groups[g];
        for (size_t i = 0; i < head->n_lags; i++)
            turn(group->Q + i * window, group->table + lag_row(i) * Q, WINDOW, Q);
        for (size_t i = 0; i < count_banks(head->n_lags) * BANK_SETS; i++) {
            const size_t bank = i / BANK_SETS, set = i % BANK_SETS + 1, others = set & (set - 1),
                         first = set - others;
            if (!others) continue;
            real_t *sum = group->table + lag_set_row(bank, set) * Q;
            memcpy(sum, group->table + lag_set_row(bank, others) * Q, window * sizeof *sum);
            head_add(group->table + lag_set_row(bank, first) * Q, sum, window);
        }
        turn(group->Q + head->n_lags * window, group->table + below_row(head->n_lags, g) * Q, BELOW, Q);
        for (size_t h = 0; h < g; h++)
            turn(group->Q + walk_features(head->n_lags, h) * Q,
                 group->table + across_row(head->n_lags, h) * Q, WINDOW, Q);
    }
}

void walk_add_table_gradients(head_t *head) {
    const size_t Q = head->Q, window = WINDOW * Q;
    for (size_t g = 0; g < head->n_groups; g++) {
        const group_t *group = &head->groups[g];
        for (size_t i = count_banks(head->n_lags) * BANK_SETS; i > 0; i--) {
            const size_t bank = (i - 1) / BANK_SETS, set = (i - 1) % BANK_SETS + 1, others = set & (set - 1),
                         first = set - others;
            if (!others) continue;
            head_add(group->dtable + lag_set_row(bank, set) * Q,
                     group->dtable + lag_set_row(bank, others) * Q, window);
            head_add(group->dtable + lag_set_row(bank, set) * Q, group->dtable + lag_set_row(bank, first) * Q,
                     window);
        }
        for (size_t i = 0; i < head->n_lags; i++)
            turn_back(group->dtable + lag_row(i) * Q, group->dQ + i * window, WINDOW, Q);
        turn_back(group->dtable + below_row(head->n_lags, g) * Q, group->dQ + head->n_lags * window, BELOW,
                  Q);
        for (size_t h = 0; h < g; h++)
            turn_back(group->dtable + across_row(head->n_lags, h) * Q,
                      group->dQ + walk_features(head->n_lags, h) * Q, WINDOW, Q);
    }
}

/* Pitches that sound in any pitched track. */
static pitch_set_t sounding_keys(const head_t *head, const uint8_t *frame) {
    pitch_set_t keys = 0;
    for (size_t g = 0; g < head->n_groups; g++)
        if (head->groups[g].profile) keys |= walk_read(head, g, frame);
    return keys;
}

static void count_classes(head_t *head, const uint8_t *frame) {
    size_t counts[PITCH_CLASSES] = {0}, total = 0, back = 1;
    for (size_t i = 0; i < head->n_profiles; i++) {
        for (; back <= head->profiles[i]; back++)
            for (pitch_set_t left = sounding_keys(head, frame - back * head->frame_bytes); left; total++)
                counts[pitch_set_take(&left) % PITCH_CLASSES]++;
        for (size_t c = 0; c < PITCH_CLASSES; c++)
            head->profile[i * PITCH_CLASSES + c] =
                total ? (real_t)(PROFILE_SCALE * ((double)counts[c] / (double)total - 1.0 / PITCH_CLASSES))
                      : 0;
    }
}

/* Adds the group's profile to u. */
static void add_profile(head_t *head, const part_t *part, size_t g) {
    const group_t *group = &head->groups[g];
    if (!group->profile || !part->unsure) return;
    memset(head->by_class, 0, PITCH_CLASSES * head->Q * sizeof *head->by_class);
    head_profile(head->profile, group->profile, head->by_class, head->n_profiles, head->Q);
    for (size_t p = part->first; p < part->end; p++)
        head_add(head->by_class + p % PITCH_CLASSES * head->Q, head->u + (p - part->first) * head->Q,
                 head->Q);
}

void walk_begin_units(head_t *head, const part_t *part, size_t g, const real_t *pre) {
    const group_t *group = &head->groups[g];
    head_begin_tied(head->p + (group->cell + part->first) * head->Q, pre + walk_tied_column(head, g), head->u,
                    walk_cells(part), head->Q);
    add_profile(head, part, g);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
}

void walk_profile_backward(head_t *head, const part_t *part, size_t g) {
    const group_t *group = &head->groups[g];
    if (!group->profile || !part->unsure) return;
    memset(head->by_class, 0, PITCH_CLASSES * head->Q * sizeof *head->by_class);
    for (size_t p = part->first; p < part->end; p++)
        head_add(head->u + (p - part->first) * head->Q, head->by_class + p % PITCH_CLASSES * head->Q,
                 head->Q);
    head_profile_backward(head->profile, head->by_class, group->dprofile, head->n_profiles, head->Q);
}

void walk_begin_row(head_t *head, const uint8_t *frame, const real_t *pre) {
    count_classes(head, frame);
    walk_begin_steps(head, pre);
}

void walk_begin_steps(head_t *head, const real_t *pre) {
    head->step = 0;
    memcpy(head->a, pre + head->D, head->A * sizeof *head->a);
    head_step(NULL, head->a, head->hidden, head->A);
    memset(head->dhidden, 0, head->A * sizeof *head->dhidden);
}

/* Onsets that the sounding plane leaves open: of pitches that sound now and did before. */
static pitch_set_t unsure_cells(const head_t *head, size_t g, const uint8_t *frame) {
    return head->groups[g].onset ? head->now[g - 1] & walk_read(head, g - 1, frame - head->frame_bytes)
                                 : pitch_set_below(head->P);
}

/* Adds a patch for a set bit: table rows from `row`, for the cells from `lowest` on. */
static void add_patch(head_t *head, part_t *part, size_t row, size_t rows, ptrdiff_t lowest) {
    const ptrdiff_t first = MAX(lowest, (ptrdiff_t)part->first),
                    end = MIN(lowest + (ptrdiff_t)rows, (ptrdiff_t)part->end);
    if (first >= end) return;
    const size_t Q = head->Q, skipped = (size_t)(first - lowest);
    head->patches[part->n_patches++] =
        (patch_t){(row + skipped) * Q, ((size_t)first - part->first) * Q, (size_t)(end - first) * Q};
}

static void add_bank(head_t *head, part_t *part, size_t g, size_t bank, const uint8_t *frame) {
    pitch_set_t before[BANK] = {0}, any = 0;
    for (size_t i = 0; i < BANK && bank * BANK + i < head->n_lags; i++) {
        const size_t lag = head->lags[bank * BANK + i];
        if (lag > 0) any |= before[i] = walk_read(head, g, frame - lag * head->frame_bytes);
    }
    while (any) {
        const size_t p = pitch_set_take(&any);
        size_t set = 0;
        for (size_t i = 0; i < BANK; i++) set |= (size_t)pitch_set_has(before[i], p) << i;
        add_patch(head, part, lag_set_row(bank, set), WINDOW, (ptrdiff_t)p - REACH);
    }
}

void walk_set_place(head_t *head, const place_t *place) {
    for (size_t i = head->first_bar_lag; i < head->n_lags; i++)
        head->lags[i] = place ? place->back[i - head->first_bar_lag] : 0;
}

part_t walk_begin_part(head_t *head, size_t g, const uint8_t *frame, gboolean past) {
    part_t part = {.unsure = unsure_cells(head, g, frame)};
    if (!part.unsure) return part;
    part.first = pitch_set_lowest(part.unsure);
    part.end = pitch_set_highest(part.unsure) + 1;
    for (size_t bank = 0; past && bank < count_banks(head->n_lags); bank++)
        add_bank(head, &part, g, bank, frame);
    for (size_t h = 0; h < g; h++)
        for (pitch_set_t left = head->now[h]; left;)
            add_patch(head, &part, across_row(head->n_lags, h), WINDOW,
                      (ptrdiff_t)pitch_set_take(&left) - REACH);
    return part;
}

void walk_patch(head_t *head, part_t *part, size_t g, size_t p) {
    add_patch(head, part, below_row(head->n_lags, g), BELOW, (ptrdiff_t)p + 1);
}

void walk_take(head_t *head, part_t *part, size_t g, size_t p) {
    const size_t A = head->A, cell = head->groups[g].cell + p;
    walk_patch(head, part, g, p);
    head->cells[head->step++] = cell;
    head_step(head->W + cell * A, head->a, head->hidden + head->step * A, A);
    memset(head->dhidden + head->step * A, 0, A * sizeof *head->dhidden);
}

void walk_part(head_t *head, part_t *part, size_t g) {
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

void walk_nade(head_t *head, const part_t *part, size_t g) {
    const size_t A = head->A;
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        head_nade(head->V + (head->groups[g].cell + s.first) * A, head->hidden + s.step * A,
                  head->logits + (s.first - part->first), s.n, A);
    }
}

void walk_nade_backward(head_t *head, const part_t *part, size_t g, const real_t *dlogits) {
    const size_t A = head->A;
    for (size_t i = 0; i < part->n_stretches; i++) {
        const stretch_t s = head->stretches[i];
        const size_t row = (head->groups[g].cell + s.first) * A, at = s.step * A;
        head_nade_backward(dlogits + (s.first - part->first), head->V + row, head->hidden + at,
                           head->dV + row, head->dhidden + at, s.n, A);
    }
}

void walk_record(const head_t *head, size_t row, size_t g, const uint8_t *frame) {
    const head_record_t *record = &head->record;
    const size_t Q = head->Q;
    if (!record->units || head->groups[g].onset) return;
    const size_t tracks = head->groups[head->n_groups - 1].track + 1;
    pitch_set_t struck = walk_read(head, g + 1, frame); /* the onsets of the same track */
    real_t *to = record->units + record->first[row * tracks + head->groups[g].track] * record->step;
    for (; struck; to += record->step) {
        const real_t *u = head->u + pitch_set_take(&struck) * Q;
        for (size_t i = 0; i < Q; i++) to[i] = u[i] < 0 ? 0 : u[i];
    }
}

void walk_record_logits(const head_t *head, size_t row, size_t g, const part_t *part) {
    if (!head->record.logits) return;
    real_t *to = head->record.logits + row * head->D + head->groups[g].cell;
    for (size_t p = 0; p < head->P; p++)
        if (pitch_set_has(part->unsure, p))
            to[p] = head->logits[p - part->first];
        else
            to[p] = pitch_set_has(part->now, p) ? (real_t)INFINITY : (real_t)-INFINITY;
}

/* A set cell's loss is that of a silent one at the negated logit. */
static void negate_set(head_t *head, const part_t *part) {
    for (pitch_set_t left = part->now & part->unsure; left;) {
        real_t *logit = &head->logits[pitch_set_take(&left) - part->first];
        *logit = -*logit;
    }
}

double walk_losses(head_t *head, const part_t *part, double scale) {
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

/* After step k, a is c plus the rows of W of the k set bits. */
void walk_steps_backward(head_t *head, real_t *da) {
    const size_t A = head->A;
    memset(da, 0, A * sizeof *da);
    for (size_t k = head->step; k > 0; k--)
        head_step_backward(head->hidden + k * A, head->dhidden + k * A, da, head->dW + head->cells[k - 1] * A,
                           A);
    head_step_backward(head->hidden, head->dhidden, da, NULL, A);
}
