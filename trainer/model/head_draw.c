/* head_draw: owns the rules by which cells are drawn (head_rule_t). */
#include <math.h>
#include <string.h>

#include "trainer/model/head_tied.h"

/* Fills in the logits of the group's cells from `first` to `last`, given that those between are silent;
 * pre-activations are up to date. */
static void next_logits(head_t *head, const part_t *part, size_t g, size_t first, size_t last,
                        const real_t *pre) {
    const size_t cell = head->groups[g].cell + first, n = last + 1 - first;
    memcpy(head->logits, pre + cell, n * sizeof *pre);
    head_tied(head->u + (first - part->first) * head->Q, head->groups[g].v, head->logits, n, head->Q);
    head_nade(head->V + cell * head->A, head->hidden + head->step * head->A, head->logits, n, head->A);
    if (head->tied) tied_add_notes(head, part, g, first, n, head->logits);
}

/* The lowest of the cells to be set, or P: each is decided in turn by its own probability. */
static size_t next_set(head_t *head, const part_t *part, size_t g, pitch_set_t cells, const real_t *pre,
                       const head_rule_t *rule) {
    while (cells) {
        const size_t p = pitch_set_take(&cells);
        next_logits(head, part, g, p, p, pre);
        const double logit = (double)head->logits[0];
        if (rule->uniforms ? rule->uniforms[head->groups[g].cell + p] < 1 / (1 + exp(-logit)) : logit > 0)
            return p;
    }
    return head->P;
}

/* The same at a temperature: see head_rule_t. before: pitches that sounded in the frame before. */
static size_t next_tempered(head_t *head, const part_t *part, size_t g, pitch_set_t cells, pitch_set_t before,
                            const real_t *pre, const head_rule_t *rule) {
    const size_t first = pitch_set_lowest(cells);
    double silence = 0, share[2] = {0}, highest[2] = {-INFINITY, -INFINITY}, sum[2] = {0},
           weights[LAYERS_MAX_PITCHES]; /* silence, weights: logarithms at first */
    next_logits(head, part, g, first, pitch_set_highest(cells), pre);
    for (pitch_set_t left = cells; left;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(before, p);
        const double logit = (double)head->logits[p - first], on = MIN(logit, 0) - log1p(exp(-fabs(logit)));
        weights[p] = silence + on;
        share[held] += exp(weights[p]);
        highest[held] = MAX(highest[held], weights[p]);
        silence += on - logit;
    }
    for (pitch_set_t left = cells; left;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(before, p);
        weights[p] = exp((weights[p] - highest[held]) / rule->temperature);
        sum[held] += weights[p];
    }
    double left_over = rule->uniforms[head->groups[g].cell + first] - exp(silence);
    size_t next = head->P;
    for (pitch_set_t left = cells; left && left_over >= 0;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(before, p);
        if (weights[p] > 0) next = p;
        left_over -= share[held] * weights[p] / sum[held];
    }
    return next;
}

static pitch_set_t draw_part(head_t *head, part_t *part, size_t g, const uint8_t *frame,
                             const head_memory_t *memory, size_t row, const real_t *pre,
                             const head_rule_t *rule) {
    const group_t *group = &head->groups[g];
    const pitch_set_t certain = group->onset ? head->now[g - 1] & ~part->unsure : 0;
    const pitch_set_t before = group->onset ? 0 : walk_read(head, g, frame - head->frame_bytes);
    const gboolean tempered = rule->uniforms && (rule->temperature < 1 || rule->temperature > 1);
    pitch_set_t now = 0;
    head_begin_tied(head->p + (group->cell + part->first) * head->Q, pre + walk_tied_column(head, g), head->u,
                    walk_cells(part), head->Q);
    walk_add_profile(head, part, g);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
    tied_add_memory(head, part, g, memory, row);
    for (pitch_set_t left = part->unsure | certain; left;) {
        const size_t stop = left & certain ? pitch_set_lowest(left & certain) : head->P;
        const pitch_set_t cells = left & pitch_set_below(stop);
        size_t p = head->P;
        if (cells)
            p = tempered ? next_tempered(head, part, g, cells, before, pre, rule)
                         : next_set(head, part, g, cells, pre, rule);
        p = MIN(p, stop);
        if (p == head->P) break;
        left &= ~pitch_set_below(p + 1);
        now |= pitch_set_one(p);
        part->n_patches = 0;
        walk_take(head, part, g, p);
        head_scatter(head->patches, part->n_patches, group->table, head->u);
    }
    return now;
}

void head_draw(head_t *head, uint8_t *frame, const head_memory_t *memory, size_t row, const real_t *pre,
               const head_rule_t *rule) {
    walk_set_place(head, walk_place(memory, row));
    walk_begin_row(head, frame, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = walk_begin_part(head, g, frame, TRUE);
        head->now[g] = draw_part(head, &part, g, frame, memory, row, pre, rule);
        pitch_set_write(head->now[g], frame + head->groups[g].byte, head->P);
    }
}
