/* head_draw: owns the rules by which cells are drawn (head_rule_t). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "trainer/model/head_tied.h"

/* Cells whose logits are computed together, given that those below them are silent, for products are fastest
 * by eight rows. */
enum { AHEAD = 8 };

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
        const size_t first = pitch_set_lowest(cells), end = MIN(first + AHEAD, pitch_set_highest(cells) + 1);
        next_logits(head, part, g, first, end - 1, pre);
        for (pitch_set_t near = cells & pitch_set_below(end); near;) {
            const size_t p = pitch_set_take(&near);
            const double logit = (double)head->logits[p - first];
            if (rule->rng ? uniform_of(rule, head->groups[g].cell + p) < 1 / (1 + exp(-logit)) : logit > 0)
                return p;
        }
        cells &= ~pitch_set_below(end);
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
    const real_t *guide;       /* [P]: what the guide adds to logits; NULL: none */
    double *guided;            /* head_rule_t's */
    double temperature, uniform;
} choice_t;

/* What is wished of a cell within its case. */
static double wish_of(const choice_t *choice, size_t p) {
    if (!choice->wish || pitch_set_has(choice->known, p)) return 0;
    const double which = (double)choice->which[p];
    return pitch_set_has(choice->before, p) ? MIN(which, 0) : which;
}

/* The probabilities that each cell is the next to be set, and of none; of the model alone as logarithms, too,
 * and log_own, that it is set given that those below it are silent. */
typedef struct {
    double log_p[LAYERS_MAX_PITCHES], log_own[LAYERS_MAX_PITCHES], p[LAYERS_MAX_PITCHES];
    double log_silence, silence;
} odds_t;

static void list_odds(const choice_t *choice, const real_t *logits, odds_t *odds) {
    const size_t first = pitch_set_lowest(choice->cells);
    odds->log_silence = 0;
    for (pitch_set_t left = choice->cells; left;) {
        const size_t p = pitch_set_take(&left);
        const double logit = (double)logits[p - first], on = MIN(logit, 0) - log1p(exp(-fabs(logit)));
        odds->log_own[p] = on;
        odds->log_p[p] = odds->log_silence + on;
        odds->p[p] = exp(odds->log_p[p]);
        odds->log_silence += on - logit;
    }
    odds->silence = exp(odds->log_silence);
}

static double sum_odds(pitch_set_t cells, const odds_t *odds) {
    double sum = 0;
    while (cells) sum += odds->p[pitch_set_take(&cells)];
    return sum;
}

static void scale_odds(pitch_set_t cells, double by, odds_t *odds) {
    while (cells) odds->p[pitch_set_take(&cells)] *= by;
}

static pitch_set_t others_of(const choice_t *choice) { return choice->cells & ~choice->before; }
static pitch_set_t held_of(const choice_t *choice) { return choice->cells & choice->before; }

/* Changes the odds as the temperature has it: see head_rule_t. */
static void temper(const choice_t *choice, odds_t *odds) {
    const pitch_set_t others = others_of(choice);
    const double share = sum_odds(others, odds), left_over = odds->silence + sum_odds(held_of(choice), odds);
    double own[LAYERS_MAX_PITCHES], above = 0, highest = -INFINITY;
    if (share <= 0) return;
    for (pitch_set_t left = others; left;) {
        const size_t p = pitch_set_take(&left);
        above += own[p] = exp(odds->log_own[p]);
        highest = MAX(highest, odds->log_p[p]);
    }
    double follow = 0, weights = 0, weights_follow = 0; /* by the model; by the temperature */
    for (pitch_set_t left = others; left;) {
        const size_t p = pitch_set_take(&left);
        const double weight = exp((odds->log_p[p] - highest) / choice->temperature);
        above -= own[p];
        follow += odds->p[p] * above;
        weights += weight;
        weights_follow += weight * above;
        odds->p[p] = weight;
    }
    const double begins = MIN((share + follow) / (1 + weights_follow / weights), 1),
                 rest = left_over > 0 ? (1 - begins) / left_over : 1;
    scale_odds(others, begins / weights, odds);
    scale_odds(held_of(choice), rest, odds);
    odds->silence *= rest;
}

/* Changes the odds as the wish has it: see head_wish_t. They need not add up to 1 then. */
static void grant(const choice_t *choice, odds_t *odds) {
    const pitch_set_t others = others_of(choice);
    const double share = sum_odds(others, odds);
    double most = 0; /* so that no strength overflows */
    for (pitch_set_t left = others; left;) {
        const size_t p = pitch_set_take(&left);
        most = MAX(most, wish_of(choice, p));
    }
    for (pitch_set_t left = others; left;) {
        const size_t p = pitch_set_take(&left);
        odds->p[p] *= exp(wish_of(choice, p) - most);
    }
    const double sum = sum_odds(others, odds);
    scale_odds(others, sum > 0 ? share / sum * exp(choice->wish->begins) : 0, odds);
    for (pitch_set_t left = held_of(choice); left;) {
        const size_t p = pitch_set_take(&left);
        odds->p[p] *= exp(choice->wish->stays + wish_of(choice, p));
    }
}

static gboolean tempers(double temperature) { return temperature < 1 || temperature > 1; }

/* Both, where there is either. */
static void change_odds(const choice_t *choice, odds_t *odds) {
    if (tempers(choice->temperature)) temper(choice, odds);
    if (choice->wish) grant(choice, odds);
}

/* Draws one of the cells, or P for none, whose odds and `none` add up to sum. */
static size_t draw_cell(const choice_t *choice, pitch_set_t cells, const odds_t *odds, double none,
                        double sum, size_t P) {
    double left_over = choice->uniform * sum - none;
    size_t next = P;
    for (pitch_set_t left = cells; left && left_over >= 0;) {
        const size_t p = pitch_set_take(&left);
        if (odds->p[p] > 0) next = p;
        left_over -= odds->p[p];
    }
    return next;
}

/* The cell that is told, or one that is drawn of those allowed; `stop` where none has odds. */
static size_t take_cell(const head_t *head, const choice_t *choice, pitch_set_t allowed, const odds_t *odds,
                        double none, double sum, size_t stop) {
    if (choice->told) {
        const pitch_set_t told = *choice->told & choice->cells;
        return told ? pitch_set_lowest(told) : head->P;
    }
    return sum > 0 ? draw_cell(choice, allowed, odds, none, sum, stop) : stop;
}

/* The odds as the guide has them, by which cells are drawn. */
static void list_guided_odds(head_t *head, const choice_t *choice, odds_t *odds) {
    const size_t first = pitch_set_lowest(choice->cells), n = pitch_set_highest(choice->cells) + 1 - first;
    head_add(choice->guide + first, head->logits, n);
    list_odds(choice, head->logits, odds);
    change_odds(choice, odds);
}

/* The next cell that is set, or P, of those that what is known allows. Adds the logarithm of its weight to
 * *log_p: how probable it is that the next cell is one of them, and, where a guide draws it, how much
 * likelier it is by the odds than by the guide. */
static size_t next_chosen(head_t *head, const part_t *part, size_t g, const choice_t *choice,
                          const real_t *pre, double *log_p) {
    odds_t odds;
    const pitch_set_t must = choice->cells & choice->set;
    const size_t stop = must ? pitch_set_lowest(must) : head->P;
    const pitch_set_t allowed =
        choice->cells & ((pitch_set_below(stop) & ~choice->known) | (must ? pitch_set_one(stop) : 0));
    next_logits(head, part, g, pitch_set_lowest(choice->cells), pitch_set_highest(choice->cells), pre);
    list_odds(choice, head->logits, &odds);
    change_odds(choice, &odds);
    const double none = must ? 0 : odds.silence, sum = none + sum_odds(allowed, &odds);
    if (choice->known && sum > 0)
        *log_p += log(sum) - (choice->wish || tempers(choice->temperature)
                                  ? log(odds.silence + sum_odds(choice->cells, &odds))
                                  : 0);
    else if (choice->known) /* too small for a number: the way that is certain to be allowed */
        *log_p += must ? odds.log_p[stop] : odds.log_silence;
    if (!choice->guide || sum <= 0) return take_cell(head, choice, allowed, &odds, none, sum, stop);
    odds_t guided;
    list_guided_odds(head, choice, &guided);
    const double guided_none = must ? 0 : guided.silence,
                 guided_sum = guided_none + sum_odds(allowed, &guided);
    const size_t next = take_cell(head, choice, allowed, &guided, guided_none, guided_sum, stop);
    const double more = log(MAX(next < head->P ? guided.p[next] : guided.silence, DBL_MIN) / guided_sum) -
                        log(MAX(next < head->P ? odds.p[next] : odds.silence, DBL_MIN) / sum);
    *log_p -= more;
    if (choice->guided) *choice->guided += more;
    return next;
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
                      .guide = rule->guide ? rule->guide + group->cell : NULL,
                      .guided = rule->guided,
                      .temperature = rule->temperature};
}

static pitch_set_t draw_part(head_t *head, part_t *part, size_t g, const uint8_t *frame,
                             const head_memory_t *memory, size_t row, const real_t *pre,
                             const head_rule_t *rule, double *log_p) {
    const group_t *group = &head->groups[g];
    const pitch_set_t certain = group->onset ? head->now[g - 1] & ~part->unsure : 0;
    const gboolean tempered = rule->rng && tempers(rule->temperature);
    const pitch_set_t told = rule->told ? walk_read(head, g, rule->told) : 0;
    choice_t choice = begin_choice(head, g, frame, rule);
    pitch_set_t now = 0;
    if (rule->told) choice.told = &told;
    if ((certain & choice.known & ~choice.set) | (choice.set & ~(part->unsure | certain)))
        *log_p = -INFINITY; /* what is known breaks the rules of a roll beside what was drawn */
    walk_begin_units(head, part, g, pre);
    tied_add_memory(head, part, g, memory, row);
    for (pitch_set_t left = part->unsure | certain; left;) {
        const size_t stop = left & certain ? pitch_set_lowest(left & certain) : head->P;
        size_t p = head->P;
        choice.cells = left & pitch_set_below(stop);
        if (choice.cells && (tempered || choice.known || choice.wish || choice.told || choice.guide)) {
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
    if (rule->guided) *rule->guided = 0;
    g_assert(rule->rng || (!rule->known && !rule->wish && !rule->told && !rule->guide));
    walk_set_place(head, walk_place(memory, row));
    walk_begin_row(head, frame, pre);
    for (size_t g = 0; g < head->n_groups; g++) {
        part_t part = walk_begin_part(head, g, frame, TRUE);
        head->now[g] = draw_part(head, &part, g, frame, memory, row, pre, rule, &log_p);
        pitch_set_write(head->now[g], frame + head->groups[g].byte, head->P);
    }
    return log_p;
}
