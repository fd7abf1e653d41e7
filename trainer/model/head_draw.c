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

static double uniform_of(const head_rule_t *rule, size_t cell) {
    return rng_uniform(rule->rng, rule->element + cell);
}

/* The lowest of the cells to be set, or P: each is decided in turn by its own probability. */
static size_t next_set(head_t *head, const part_t *part, size_t g, pitch_set_t cells, const real_t *pre,
                       const head_rule_t *rule) {
    while (cells) {
        const size_t p = pitch_set_take(&cells);
        next_logits(head, part, g, p, p, pre);
        const double logit = (double)head->logits[0];
        if (rule->rng ? uniform_of(rule, head->groups[g].cell + p) < 1 / (1 + exp(-logit)) : logit > 0)
            return p;
    }
    return head->P;
}

/* How a group's next cell is decided where there is a temperature, a wish, or cells that are known. */
typedef struct {
    pitch_set_t cells, before; /* those still to be decided; pitches that sounded in the frame before */
    pitch_set_t known, set;    /* cells whose values are known; those of them that are set */
    const head_wish_t *wish;   /* NULL: none */
    const real_t *which;       /* [P]: the wish's */
    const pitch_set_t *told;   /* the cells to be set; NULL: draw */
    double temperature, uniform;
} choice_t;

/* What is wished of a cell within its case. */
static double wish_of(const choice_t *choice, size_t p) {
    if (!choice->wish || pitch_set_has(choice->known, p)) return 0;
    const double which = (double)choice->which[p];
    return pitch_set_has(choice->before, p) ? MIN(which, 0) : which;
}

/* Writes to weights [P] the logarithm of the probability that each of the choice's cells is the next to be
 * set, by the model; returns that of none. */
static double list_cells(const choice_t *choice, const real_t *logits, double *weights) {
    const size_t first = pitch_set_lowest(choice->cells);
    double silence = 0;
    for (pitch_set_t left = choice->cells; left;) {
        const size_t p = pitch_set_take(&left);
        const double logit = (double)logits[p - first], on = MIN(logit, 0) - log1p(exp(-fabs(logit)));
        weights[p] = silence + on;
        silence += on - logit;
    }
    return silence;
}

/* Changes what cells weigh as the temperature and the wish have it: see head_rule_t. */
static void shift_weights(const choice_t *choice, double *weights) {
    const head_wish_t *wish = choice->wish;
    double share[2] = {0}, highest[2] = {-INFINITY, -INFINITY}, sum[2] = {0};
    for (pitch_set_t left = choice->cells; left;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(choice->before, p);
        share[held] += exp(weights[p]);
        highest[held] = MAX(highest[held], weights[p]);
    }
    for (pitch_set_t left = choice->cells; left;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(choice->before, p);
        weights[p] = (weights[p] - highest[held]) / choice->temperature + (held ? 0 : wish_of(choice, p));
        sum[held] += exp(weights[p]);
    }
    for (pitch_set_t left = choice->cells; left;) {
        const size_t p = pitch_set_take(&left);
        const int held = pitch_set_has(choice->before, p);
        weights[p] += log(share[held] / sum[held]);
        if (wish) weights[p] += held ? wish_of(choice, p) + wish->stays : wish->begins;
    }
}

/* The logarithm of the sum of the cells' weights and of none's. */
static double log_total(pitch_set_t cells, const double *weights, double silence) {
    double most = silence, total = 0;
    for (pitch_set_t left = cells; left;) {
        const double weight = weights[pitch_set_take(&left)];
        most = MAX(most, weight);
    }
    if (!(most > -INFINITY)) return most;
    for (pitch_set_t left = cells; left;) total += exp(weights[pitch_set_take(&left)] - most);
    return most + log(total + exp(silence - most));
}

/* Draws one of the cells, or P for none, by weights whose sum has this logarithm. */
static size_t draw_cell(const choice_t *choice, pitch_set_t cells, const double *weights, double silence,
                        double log_sum, size_t P) {
    double left_over = choice->uniform - exp(silence - log_sum);
    size_t next = P;
    for (pitch_set_t left = cells; left && left_over >= 0;) {
        const size_t p = pitch_set_take(&left);
        if (weights[p] > -INFINITY) next = p;
        left_over -= exp(weights[p] - log_sum);
    }
    return next;
}

/* The next cell that is set, or P, of those that what is known allows; adds the logarithm of the probability
 * that it is one of them to *log_p. */
static size_t next_chosen(head_t *head, const part_t *part, size_t g, const choice_t *choice,
                          const real_t *pre, double *log_p) {
    double weights[LAYERS_MAX_PITCHES];
    const gboolean tempered = choice->temperature < 1 || choice->temperature > 1;
    const pitch_set_t must = choice->cells & choice->set;
    const size_t stop = must ? pitch_set_lowest(must) : head->P;
    const pitch_set_t allowed =
        choice->cells & ((pitch_set_below(stop) & ~choice->known) | (must ? pitch_set_one(stop) : 0));
    next_logits(head, part, g, pitch_set_lowest(choice->cells), pitch_set_highest(choice->cells), pre);
    const double silence = list_cells(choice, head->logits, weights);
    if (tempered || choice->wish) shift_weights(choice, weights);
    const double none = must ? -INFINITY : silence, log_allowed = log_total(allowed, weights, none);
    if (choice->known) *log_p += log_allowed - log_total(choice->cells, weights, silence);
    if (choice->told) {
        const pitch_set_t told = *choice->told & choice->cells;
        return told ? pitch_set_lowest(told) : head->P;
    }
    return log_allowed > -INFINITY ? draw_cell(choice, allowed, weights, none, log_allowed, stop) : stop;
}

/* What a rule knows and wishes of a group. */
static choice_t begin_choice(const head_t *head, size_t g, const uint8_t *frame, const head_rule_t *rule) {
    const group_t *group = &head->groups[g];
    const pitch_set_t known = rule->known ? walk_read(head, g, rule->known) : 0;
    return (choice_t){.before = group->onset ? 0 : walk_read(head, g, frame - head->frame_bytes),
                      .known = known,
                      .set = walk_read(head, g, frame) & known,
                      .wish = rule->wish,
                      .which = rule->wish ? rule->wish->which + group->cell : NULL,
                      .temperature = rule->temperature};
}

static pitch_set_t draw_part(head_t *head, part_t *part, size_t g, const uint8_t *frame,
                             const head_memory_t *memory, size_t row, const real_t *pre,
                             const head_rule_t *rule, double *log_p) {
    const group_t *group = &head->groups[g];
    const pitch_set_t certain = group->onset ? head->now[g - 1] & ~part->unsure : 0;
    const gboolean tempered = rule->rng && (rule->temperature < 1 || rule->temperature > 1);
    const pitch_set_t told = rule->told ? walk_read(head, g, rule->told) : 0;
    choice_t choice = begin_choice(head, g, frame, rule);
    pitch_set_t now = 0;
    if (rule->told) choice.told = &told;
    if ((certain & choice.known & ~choice.set) | (choice.set & ~(part->unsure | certain)))
        *log_p = -INFINITY; /* what is known breaks the rules of a roll beside what was drawn */
    head_begin_tied(head->p + (group->cell + part->first) * head->Q, pre + walk_tied_column(head, g), head->u,
                    walk_cells(part), head->Q);
    walk_add_profile(head, part, g);
    head_scatter(head->patches, part->n_patches, group->table, head->u);
    tied_add_memory(head, part, g, memory, row);
    for (pitch_set_t left = part->unsure | certain; left;) {
        const size_t stop = left & certain ? pitch_set_lowest(left & certain) : head->P;
        size_t p = head->P;
        choice.cells = left & pitch_set_below(stop);
        if (choice.cells && (tempered || choice.known || choice.wish || choice.told)) {
            choice.uniform = uniform_of(rule, group->cell + pitch_set_lowest(choice.cells));
            p = next_chosen(head, part, g, &choice, pre, log_p);
        } else if (choice.cells) {
            p = next_set(head, part, g, choice.cells, pre, rule);
        }
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

double head_draw(head_t *head, uint8_t *frame, const head_memory_t *memory, size_t row, const real_t *pre,
                 const head_rule_t *rule) {
    double log_p = 0;
    g_assert(rule->rng || (!rule->known && !rule->wish && !rule->told));
    walk_set_place(head, walk_place(memory, row));
    walk_begin_row(head, frame, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = walk_begin_part(head, g, frame, TRUE);
        head->now[g] = draw_part(head, &part, g, frame, memory, row, pre, rule, &log_p);
        pitch_set_write(head->now[g], frame + head->groups[g].byte, head->P);
    }
    return log_p;
}
