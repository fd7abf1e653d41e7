/* Frames that are drawn: each cell by its rule, frames as often as the head's probabilities say. */
#include <math.h>

#include "tests/helpers/head_fixture.h"
#include "tests/helpers/head_twin.h"

/* Draws the rows one after the other, each given those drawn before; every bit must be what its rule says of
 * the twin's logits of the whole frame. */
static void check_draws(fixture_t *f, gboolean greedy) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    g_autofree double *uniforms = g_new(double, f->D);
    const rng_t rng = rng_make(9, RNG_DECODE, 0, 0);
    size_t set = 0, unset = 0;
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < f->D; i++) uniforms[i] = rng_uniform(&rng, r * f->D + i);
        const head_rule_t rule = {.rng = greedy ? NULL : &rng, .element = r * f->D, .temperature = 1};
        memset(f->frames[r], 0xFF, f->bytes);
        head_draw(f->head, f->frames[r], &f->memory, r, f->pre + r * f->columns, &rule);
        head_logits(f->head, &f->config, f->frames[r], &f->memory, r, f->pre + r * f->columns, logits);
        for (size_t i = 0; i < f->D; i++) {
            const double uniform = greedy ? 0.5 : uniforms[i], p = 1 / (1 + exp(-(double)logits[i]));
            if (fabs(p - uniform) > 1e-5) g_assert_cmpint(get(f, f->frames[r], i), ==, uniform < p);
            get(f, f->frames[r], i) ? set++ : unset++;
        }
        const size_t P = f->config.pitches, stride = (P + 7) / 8;
        for (size_t i = stride - 1; P % 8 && i < f->bytes; i += stride)
            g_assert_cmpint(f->frames[r][i] >> P % 8, ==, 0);
    }
    g_assert_cmpuint(MIN(set, unset), >, 0);
}

static void test_draw(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(HEAD_CASES); k++) {
        g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density);
        check_draws(f, TRUE);
        check_draws(f, FALSE);
    }
}

static const model_config_t tiny[] = {
    HEAD_SHAPE(2, 2, 2, 3, 3, FEW_LAGS, 1, 0), HEAD_SHAPE(1, 2, 4, 8, 4, FEW_LAGS, 0),
    HEAD_SHAPE(3, 1, 3, 4, 2, FEW_LAGS, 2, 0, 1), HEAD_SHAPE(2, 2, 2, 3, 3, TIED(FEW_LAGS, 3, 2, 0, 2), 1, 0),
    HEAD_SHAPE(1, 2, 4, 8, 4, TIED(FEW_LAGS, 0, 4, 1, 2), 0)};

/* All 2^D frames in place of row `row`, with their probabilities; those that are not canonical have 0. */
static double *new_probabilities(fixture_t *f, size_t row) {
    double *probability = g_new0(double, (size_t)1 << f->D);
    uint8_t *frame = f->frames[row];
    real_t *s[3];
    const head_memory_t memory = {.s = s};
    for (size_t k = 0; k < f->config.tracks; k++)
        s[k] = f->s[k] + row * f->config.sequence.tied_pitches * f->config.sequence.memory;
    for (size_t code = 0; code < (size_t)1 << f->D; code++) {
        gboolean canonical = TRUE;
        memset(frame, 0, f->bytes);
        for (size_t i = 0; i < f->D; i++)
            if (code >> i & 1) flip(f, frame, i);
        for (size_t i = 0; f->config.planes == 2 && i < f->D; i++) {
            if (i / f->config.pitches % 2 == PLANE_SOUNDING) continue;
            const gboolean sounds = get(f, frame, i - f->config.pitches),
                           sounded = get(f, frame - f->bytes, i - f->config.pitches);
            if (!(sounds && sounded) && get(f, frame, i) != sounds) canonical = FALSE;
        }
        double nll;
        head_score(f->head, 1, (const uint8_t *const *)&frame, NULL, &memory, f->pre + row * f->columns,
                   &nll);
        if (canonical) probability[code] = exp(-nll);
    }
    return probability;
}

static void test_sum_of_probabilities(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        for (size_t row = 0; row < ROWS; row++) {
            g_autofree double *probability = new_probabilities(f, row);
            double sum = 0;
            for (size_t code = 0; code < (size_t)1 << f->D; code++) sum += probability[code];
            g_assert_cmpfloat_with_epsilon(sum, 1, 1e-6);
        }
    }
}

/* A case of frames that are drawn with some cells known: their mask and values, as codes. */
typedef struct {
    size_t known, values;
    const head_wish_t *wish;
    double temperature;
} draw_case_t;

static void write_code(const fixture_t *f, size_t code, uint8_t *frame) {
    memset(frame, 0, f->bytes);
    for (size_t i = 0; i < f->D; i++)
        if (code >> i & 1) flip(f, frame, i);
}

/* Pearson's chi-square of drawn frames, those expected fewer than 5 times taken together, against its 99.99 %
 * bound (Wilson & Hilferty 1931). weight: of each frame in what is to be drawn from; its share of the draws
 * is that, divided by the weight that its draw returns. */
static void check_frequencies(fixture_t *f, size_t row, const draw_case_t *c, const double *weight) {
    enum { DRAWS = 20000 };
    g_autofree size_t *count = g_new0(size_t, (size_t)1 << f->D);
    g_autofree double *returned = g_new0(double, (size_t)1 << f->D);
    g_autofree uint8_t *known = g_malloc0(f->bytes);
    const rng_t rng = rng_make(21, RNG_DECODE, 0, 0);
    write_code(f, c->known, known);
    for (size_t n = 0; n < DRAWS; n++) {
        const head_rule_t rule = {.rng = &rng,
                                  .element = n * f->D,
                                  .temperature = c->temperature,
                                  .known = c->known ? known : NULL,
                                  .wish = c->wish};
        write_code(f, c->values, f->frames[row]);
        const double log_weight =
            head_draw(f->head, f->frames[row], &f->memory, row, f->pre + row * f->columns, &rule);
        if (log_weight == -INFINITY) continue; /* what is known cannot follow: its weight is 0 */
        size_t code = 0;
        for (size_t i = 0; i < f->D; i++) code |= (size_t)get(f, f->frames[row], i) << i;
        g_assert_cmpuint(code & c->known, ==, c->values & c->known);
        returned[code] = log_weight;
        count[code]++;
    }
    double chi = 0, rare = 0, common = 0, n = 0, seen = 0;
    for (size_t code = 0; code < (size_t)1 << f->D; code++) seen += (double)count[code];
    for (size_t code = 0; code < (size_t)1 << f->D; code++) {
        const double expected = DRAWS * weight[code] / exp(returned[code]), drawn = (double)count[code];
        if (weight[code] == 0) g_assert_cmpfloat(drawn, ==, 0);
        if (drawn == 0 || expected < 5) {
            rare += drawn;
        } else {
            common += expected;
            chi += (drawn - expected) * (drawn - expected) / expected;
            n++;
        }
    }
    if (seen == DRAWS && DRAWS - common >= 5) chi += pow(rare - (DRAWS - common), 2) / (DRAWS - common);
    g_assert_cmpfloat(n, >, c->known ? 1 : 5);
    g_assert_cmpfloat(chi, <, n * pow(1 - 2 / (9 * n) + 3.719 * sqrt(2 / (9 * n)), 3));
}

static void test_frequencies(void) {
    enum { ROW = 5 };
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        g_autofree double *probability = new_probabilities(f, ROW);
        check_frequencies(f, ROW, &(draw_case_t){.temperature = 1}, probability);
        check_frequencies(f, ROW, &(draw_case_t){.temperature = 1 + 1e-9}, probability); /* the other way */
    }
}

/* How many cells from the i-th drawn on end with the group or before a cell that is certain to be set. */
static size_t count_open(const fixture_t *f, const real_t *logits, size_t i) {
    size_t n = 0;
    while ((n == 0 || (i + n) % f->config.pitches != 0) && i + n < f->D &&
           logits[cell_drawn(f, i + n)] < INFINITY)
        n++;
    return n;
}

/* Whether a cell is one of the sounding plane that was set in the frame before. */
static gboolean was_held(const fixture_t *f, const uint8_t *before, size_t cell) {
    return cell / f->config.pitches % f->config.planes == PLANE_SOUNDING && get(f, before, cell);
}

static double logistic(real_t logit) { return 1 / (1 + exp(-(double)logit)); }

/* Goes on in frame from the i-th cell drawn to the one behind the next to be set, or the end of its group,
 * and multiplies the probability of that, as head_rule_t says it, from the twin's logits of the frame as far
 * as it is known there. */
static size_t take_stretch(fixture_t *f, size_t row, const uint8_t *frame, size_t i, const draw_case_t *c,
                           double *probability) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    const uint8_t *before = f->frames[row] - f->bytes;
    memset(f->frames[row], 0, f->bytes);
    for (size_t j = 0; j < i; j++)
        if (get(f, frame, cell_drawn(f, j))) flip(f, f->frames[row], cell_drawn(f, j));
    head_logits(f->head, &f->config, f->frames[row], &f->memory, row, f->pre + row * f->columns, logits);
    const size_t end = i + count_open(f, logits, i);
    if (i == end) { /* certain */
        *probability *= get(f, frame, cell_drawn(f, i));
        return i + 1;
    }
    double silence = 1, share[2] = {0}, stays[2] = {0}, sum[2] = {0}, chosen = 0, plain = 0,
           tempered[2] = {0};
    size_t set = end;
    int kind = 0;
    for (; i < end; i++) {
        const size_t cell = cell_drawn(f, i);
        const int held = was_held(f, before, cell);
        const double p = logistic(logits[cell]),
                     which = c->wish && !(c->known >> cell & 1) ? (double)c->wish->which[cell] : 0,
                     power = pow(silence * p, held ? 1 : 1 / c->temperature),
                     weight = power * (held ? 1 : exp(which));
        double follow = 0;
        for (size_t j = i + 1; j < end; j++)
            if (!was_held(f, before, cell_drawn(f, j))) follow += logistic(logits[cell_drawn(f, j)]);
        if (!held) {
            plain += silence * p * follow;
            tempered[0] += power * follow;
            tempered[1] += power;
        }
        share[held] += silence * p;
        sum[held] += weight;
        stays[held] += weight * (held ? exp(MIN(which, 0)) : 1);
        silence *= 1 - p;
        if (set < end || !get(f, frame, cell)) continue;
        set = i;
        kind = held;
        chosen = weight * (held ? exp(MIN(which, 0)) : 1);
    }
    if (sum[0] > 0) {
        const double begins = MIN((share[0] + plain) / (1 + tempered[0] / tempered[1]), 1);
        share[1] *= (1 - begins) / (1 - share[0]);
        silence *= (1 - begins) / (1 - share[0]);
        share[0] = begins;
    }
    double all = silence;
    for (int k = 0; k < 2; k++) {
        const double more = !c->wish ? 0 : k ? c->wish->stays : c->wish->begins;
        if (sum[k] > 0) share[k] *= exp(more) / sum[k];
        all += sum[k] > 0 ? share[k] * stays[k] : 0;
    }
    *probability *= (set == end ? silence : share[kind] * chosen) / all;
    return MIN(set + 1, end);
}

static double changed_probability(fixture_t *f, size_t row, const uint8_t *frame, const draw_case_t *c) {
    double probability = 1;
    for (size_t i = 0; i < f->D;) i = take_stretch(f, row, frame, i, c, &probability);
    return probability;
}

/* Checks draws of a case against the twin's probabilities of all frames that agree with what is known; where
 * nothing is known these must add up to 1. */
static void check_case(fixture_t *f, size_t row, const draw_case_t *c) {
    g_autofree double *probability = g_new(double, (size_t)1 << f->D);
    g_autofree uint8_t *frame = g_new(uint8_t, f->bytes);
    double sum = 0;
    for (size_t code = 0; code < (size_t)1 << f->D; code++) {
        write_code(f, code, frame);
        probability[code] = (code ^ c->values) & c->known ? 0 : changed_probability(f, row, frame, c);
        sum += probability[code];
    }
    if (!c->known) g_assert_cmpfloat_with_epsilon(sum, 1, 1e-6);
    check_frequencies(f, row, c, probability);
}

/* The likeliest frame of all is known in every third cell, or in all but one track; or something is wished.
 * */
static void test_known_and_wished(void) {
    enum { ROW = 5 };
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        const size_t cells = (size_t)1 << f->D, track = f->config.planes * f->config.pitches;
        g_autofree double *probability = new_probabilities(f, ROW);
        g_autofree real_t *which = g_new(real_t, f->D);
        size_t values = 0;
        for (size_t code = 1; code < cells; code++)
            if (probability[code] > probability[values]) values = code;
        for (size_t i = 0; i < f->D; i++) which[i] = (real_t)i / 5 - 1;
        const head_wish_t wish = {which, 0.7, -0.4};
        const size_t thirds = 0x9249249249249249 & (cells - 1), last = (cells - 1) >> track << track;
        const draw_case_t cases[] = {
            {thirds, values, NULL, 1},   {last, values, NULL, 1},   {0, 0, &wish, 1},
            {thirds, values, NULL, 0.6}, {last, values, NULL, 0.1}, {thirds, values, &wish, 1},
            {thirds, values, &wish, 0.6}};
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) check_case(f, ROW, &cases[i]);
    }
}

/* At temperatures: not how many notes begin nor how long they last, but which begin. */
static void test_temperature(void) {
    enum { ROW = 5 };
    static const double temperatures[] = {0.3, 0.8, 2};
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        for (size_t t = 0; t < G_N_ELEMENTS(temperatures); t++)
            check_case(f, ROW, &(draw_case_t){.temperature = temperatures[t]});
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/head-draw/draw", test_draw);
    g_test_add_func("/head-draw/sum_of_probabilities", test_sum_of_probabilities);
    g_test_add_func("/head-draw/frequencies", test_frequencies);
    g_test_add_func("/head-draw/known_and_wished", test_known_and_wished);
    g_test_add_func("/head-draw/temperature", test_temperature);
    return g_test_run();
}
