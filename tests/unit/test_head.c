/* The head's kernels beside its plain twin, and what a head must be: a distribution over frames that reads
 * nothing it may not know. (Gradients: double_head.c.) */
#include <math.h>

#include "tests/helpers/head_fixture.h"

static const struct {
    model_config_t config;
    double density;
} cases[] = {
    {HEAD_SHAPE(1, 1, 88, 64, 32, FEW_LAGS, 0), 0.05},
    {HEAD_SHAPE(1, 2, 88, 16, 16, FEW_LAGS, 0), 0.15},
    {HEAD_SHAPE(3, 2, 21, 24, 8, FEW_LAGS, 2, 0, 1), 0.3},
    {HEAD_SHAPE(4, 1, 12, 5, 3, FEW_LAGS, 3, 1, 0, 2), 0.3},
    {HEAD_SHAPE(2, 2, 3, 7, 9, FEW_LAGS, 1, 0), 0.7},
    {HEAD_SHAPE(1, 1, 128, 17, 33, FEW_LAGS, 0), 0.1},
    {HEAD_SHAPE(2, 2, 100, 32, 16, FEW_LAGS, 1, 0), 0.02},
    {HEAD_SHAPE(1, 2, 1, 1, 1, FEW_LAGS, 0), 0.5},
    {HEAD_SHAPE(1, 1, 88, 64, 32, MANY_LAGS, 0), 0.05},
    {HEAD_SHAPE(3, 2, 21, 24, 8, MANY_LAGS, 2, 0, 1), 0.3},
    {HEAD_SHAPE(2, 2, 30, 5, 6, FAR_LAGS, 1, 0), 0.2},
    {HEAD_SHAPE(1, 1, 88, 64, 32, PROFILES, 0), 0.05},
    {HEAD_SHAPE(4, 2, 40, 9, 5, AFTER_DRUMS, 3, 1, 0, 2), 0.1},
};

static const uint8_t *const *rows_of(const fixture_t *f) { return (const uint8_t *const *)f->frames; }

static gboolean get(const fixture_t *f, const uint8_t *frame, size_t cell) {
    const size_t P = f->config.pitches;
    return frame[cell / P * ((P + 7) / 8) + cell % P / 8] >> cell % P % 8 & 1;
}

static void flip(const fixture_t *f, uint8_t *frame, size_t cell) {
    const size_t P = f->config.pitches;
    frame[cell / P * ((P + 7) / 8) + cell % P / 8] ^= (uint8_t)(1 << cell % P % 8);
}

/* The cell drawn as number i. */
static size_t cell_drawn(const fixture_t *f, size_t i) {
    const size_t P = f->config.pitches, per_track = f->config.planes * P;
    return f->config.sequence.order[i / per_track] * per_track + i % per_track;
}

static double plain_nll(const fixture_t *f, size_t row) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    double nll = 0;
    head_logits(f->head, f->frames[row], f->pre + row * f->columns, logits);
    for (size_t i = 0; i < f->D; i++) {
        const double l = get(f, f->frames[row], i) ? -(double)logits[i] : (double)logits[i];
        nll += isinf(l) ? (l > 0 ? INFINITY : 0) : MAX(l, 0) + log1p(exp(-fabs(l)));
    }
    return nll;
}

static void test_twin(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(cases); k++) {
        g_autoptr(fixture_t) f = fixture_new(&cases[k].config, cases[k].density);
        double score[ROWS], train[ROWS];
        head_score(f->head, ROWS, rows_of(f), NULL, f->pre, score);
        for (size_t r = 0; r < ROWS; r++) {
            const double plain = plain_nll(f, r);
            g_assert_cmpfloat_with_epsilon(score[r], plain, 2e-6 * plain);
        }
        head_train(f->head, ROWS, rows_of(f), NULL, f->pre, 1, train);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpfloat(train[r], ==, score[r]);
    }
}

static gboolean is_tied_weight(const param_t *param) {
    return g_str_has_prefix(param->name, "head.tied.") && g_str_has_suffix(param->name, ".weight");
}

/* A row that does not see its past is one whose lags have weights of zero, and learns nothing about them. */
static void test_hidden_past(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(cases); k++) {
        const size_t rows = 27 * cases[k].config.sequence.n_lags;
        const uint8_t past[ROWS] = {0};
        g_autoptr(fixture_t) hidden = fixture_new(&cases[k].config, cases[k].density),
                             zeroed = fixture_new(&cases[k].config, cases[k].density);
        double score[ROWS], train[ROWS], expected[ROWS];
        for (size_t i = 0; i < zeroed->table->len; i++) {
            const param_t *Q = &g_array_index(zeroed->table, param_t, i);
            if (is_tied_weight(Q))
                memset(zeroed->params + Q->offset, 0, rows * Q->cols * sizeof *zeroed->params);
        }
        head_score(hidden->head, ROWS, rows_of(hidden), past, hidden->pre, score);
        head_train(hidden->head, ROWS, rows_of(hidden), past, hidden->pre, 1, train);
        head_train(zeroed->head, ROWS, rows_of(zeroed), NULL, zeroed->pre, 1, expected);
        for (size_t r = 0; r < ROWS; r++) {
            g_assert_cmpfloat(train[r], ==, score[r]);
            g_assert_cmpfloat_with_epsilon(train[r], expected[r], 1e-6 * expected[r]);
        }
        for (size_t i = 0; i < ROWS * hidden->columns; i++)
            g_assert_cmpfloat_with_epsilon((double)hidden->pre[i], (double)zeroed->pre[i], 1e-5);
        for (size_t i = 0; i < hidden->table->len; i++) {
            const param_t *Q = &g_array_index(hidden->table, param_t, i);
            for (size_t j = 0; is_tied_weight(Q) && j < Q->rows * Q->cols; j++) {
                const double learned = (double)hidden->gradient[Q->offset + j];
                if (j < rows * Q->cols)
                    g_assert_cmpfloat(learned, ==, 0);
                else
                    g_assert_cmpfloat_with_epsilon(learned, (double)zeroed->gradient[Q->offset + j], 1e-4);
            }
        }
    }
}

/* Row r of Q is the feature that head.h says: with a weight there alone, a cell's logit is 1 where that bit
 * is set and 0 where it is not. */
static void test_features(void) {
    const size_t P = 40, p = 26, last = 2;
    const model_config_t config = HEAD_SHAPE(3, 1, 40, 1, 1, MANY_LAGS, 2, 0, 1);
    const size_t past = config.sequence.n_lags * 27, own = past + 24;
    g_autoptr(fixture_t) f = fixture_new(&config, 0);
    const param_t *Q = &g_array_index(f->table, param_t, f->table->len - 2), *v = Q + 1;
    g_assert_cmpuint(Q->rows, ==, own + 2 * 27);
    memset(f->bits, 0, (f->context + ROWS) * f->bytes);
    memset(f->params, 0, f->size * sizeof *f->params);
    memset(f->pre, 0, f->columns * sizeof *f->pre);
    f->params[v->offset] = 1;
    for (size_t r = 0; r < Q->rows; r++) {
        const size_t before = r < past ? config.sequence.lags[r / 27] : 0,
                     group = r < own ? last : (r - own) / 27;
        const size_t pitch = r < past  ? p - 13 + r % 27
                             : r < own ? p - 24 + r - past
                                       : p - 13 + (r - own) % 27;
        uint8_t *frame = f->frames[0] - before * f->bytes;
        real_t logits[3 * 40], with, without;
        f->params[Q->offset + r] = 1;
        head_logits(f->head, f->frames[0], f->pre, logits);
        without = logits[cell_drawn(f, last * P + p)];
        flip(f, frame, cell_drawn(f, group * P + pitch));
        head_logits(f->head, f->frames[0], f->pre, logits);
        with = logits[cell_drawn(f, last * P + p)];
        flip(f, frame, cell_drawn(f, group * P + pitch));
        f->params[Q->offset + r] = 0;
        g_assert_cmpfloat(without, ==, 0);
        g_assert_cmpfloat(with, ==, 1);
    }
}

/* A profile's row is the share that head.h says: three frames of one key and one of another in the last five;
 * drums and what is longer ago do not count. */
static void test_profile(void) {
    enum { P = 40, CELL = 26, DRUMS = 1 };
    const model_config_t config = HEAD_SHAPE(2, 1, 40, 1, 1, AFTER_DRUMS, DRUMS, 0);
    const double expected[2][12] = {{[1] = 3 * 0.75, [6] = 3 * 0.25},
                                    {[1] = 3 * 0.6, [6] = 3 * 0.2, [11] = 3 * 0.2}}; /* besides - 3 / 12 */
    g_autoptr(fixture_t) f = fixture_new(&config, 0);
    const param_t *profile = &g_array_index(f->table, param_t, f->table->len - 2), *v = profile + 1;
    g_assert_cmpuint(profile->rows, ==, 24);
    memset(f->bits, 0, (f->context + ROWS) * f->bytes);
    memset(f->params, 0, f->size * sizeof *f->params);
    memset(f->pre, 0, f->columns * sizeof *f->pre);
    f->params[v->offset] = 1;
    f->pre[f->columns - 1] = 1; /* above the ramp's corner */
    for (size_t back = 1; back <= 14; back++) flip(f, f->frames[0] - back * f->bytes, DRUMS * P + 30);
    for (size_t back = 2; back <= 4; back++) flip(f, f->frames[0] - back * f->bytes, 3);
    flip(f, f->frames[0] - 5 * f->bytes, 20);
    flip(f, f->frames[0] - 14 * f->bytes, 13);
    for (size_t r = 0; r < profile->rows; r++) {
        real_t logits[2 * P];
        f->params[profile->offset + r] = 1;
        head_logits(f->head, f->frames[0], f->pre, logits);
        f->params[profile->offset + r] = 0;
        g_assert_cmpfloat_with_epsilon((double)logits[CELL], 1 + expected[r / 12][r % 12] - 0.25, 1e-6);
    }
}

/* Changing cells from the i-th drawn on leaves the logits up to the i-th as they are, and changes some after
 * it. */
static void test_causality(void) {
    for (size_t k = 1; k < 5; k++) {
        g_autoptr(fixture_t) f = fixture_new(&cases[k].config, cases[k].density);
        g_autofree real_t *before = g_new(real_t, f->D), *after = g_new(real_t, f->D);
        size_t changed = 0;
        for (size_t i = 0; i < f->D; i += 1 + f->D / 16) {
            head_logits(f->head, f->frames[4], f->pre, before);
            for (size_t j = i; j < f->D; j += j == i ? 1 : 2) flip(f, f->frames[4], cell_drawn(f, j));
            head_logits(f->head, f->frames[4], f->pre, after);
            for (size_t j = 0; j < f->D; j++) {
                const size_t cell = cell_drawn(f, j);
                if (j <= i)
                    g_assert_cmpfloat(before[cell], ==, after[cell]);
                else
                    changed += before[cell] != after[cell];
            }
        }
        g_assert_cmpuint(changed, >, 0);
    }
}

/* Draws the rows one after the other, each given those drawn before; every bit must be what its rule says of
 * the twin's logits of the whole frame. */
static void check_draws(fixture_t *f, gboolean greedy) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    g_autofree double *uniforms = g_new(double, f->D);
    const rng_t rng = rng_make(9, RNG_DECODE, 0, 0);
    size_t set = 0, unset = 0;
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < f->D; i++) uniforms[i] = rng_uniform(&rng, r * f->D + i);
        const head_rule_t rule = {greedy ? NULL : uniforms, 1};
        memset(f->frames[r], 0xFF, f->bytes);
        head_draw(f->head, f->frames[r], f->pre + r * f->columns, &rule);
        head_logits(f->head, f->frames[r], f->pre + r * f->columns, logits);
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
    for (size_t k = 0; k < G_N_ELEMENTS(cases); k++) {
        g_autoptr(fixture_t) f = fixture_new(&cases[k].config, cases[k].density);
        check_draws(f, TRUE);
        check_draws(f, FALSE);
    }
}

static const model_config_t tiny[] = {HEAD_SHAPE(2, 2, 2, 3, 3, FEW_LAGS, 1, 0),
                                      HEAD_SHAPE(1, 2, 4, 8, 4, FEW_LAGS, 0),
                                      HEAD_SHAPE(3, 1, 3, 4, 2, FEW_LAGS, 2, 0, 1)};

/* All 2^D frames in place of row `row`, with their probabilities; those that are not canonical have 0. */
static double *new_probabilities(fixture_t *f, size_t row) {
    double *probability = g_new0(double, (size_t)1 << f->D);
    uint8_t *frame = f->frames[row];
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
        head_score(f->head, 1, (const uint8_t *const *)&frame, NULL, f->pre + row * f->columns, &nll);
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

/* Pearson's chi-square of drawn frames, those expected fewer than 5 times taken together, against its 99.99 %
 * bound (Wilson & Hilferty 1931). */
static void check_frequencies(fixture_t *f, size_t row, double temperature, const double *probability) {
    enum { DRAWS = 20000 };
    g_autofree double *uniforms = g_new(double, f->D);
    g_autofree size_t *count = g_new0(size_t, (size_t)1 << f->D);
    const rng_t rng = rng_make(21, RNG_DECODE, 0, 0);
    for (size_t n = 0; n < DRAWS; n++) {
        for (size_t i = 0; i < f->D; i++) uniforms[i] = rng_uniform(&rng, n * f->D + i);
        head_draw(f->head, f->frames[row], f->pre + row * f->columns, &(head_rule_t){uniforms, temperature});
        size_t code = 0;
        for (size_t i = 0; i < f->D; i++) code |= (size_t)get(f, f->frames[row], i) << i;
        count[code]++;
    }
    double chi = 0, rare = 0, expected_rare = 0, n = 0;
    for (size_t code = 0; code < (size_t)1 << f->D; code++) {
        const double expected = DRAWS * probability[code], seen = (double)count[code];
        if (expected == 0) g_assert_cmpfloat(seen, ==, 0);
        if (expected < 5) {
            rare += seen;
            expected_rare += expected;
        } else {
            chi += (seen - expected) * (seen - expected) / expected;
            n++;
        }
    }
    if (expected_rare > 0) chi += (rare - expected_rare) * (rare - expected_rare) / expected_rare;
    g_assert_cmpfloat(n, >, 5);
    g_assert_cmpfloat(chi, <, n * pow(1 - 2 / (9 * n) + 3.719 * sqrt(2 / (9 * n)), 3));
}

static void test_frequencies(void) {
    enum { ROW = 5 };
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        g_autofree double *probability = new_probabilities(f, ROW);
        check_frequencies(f, ROW, 1, probability);
        check_frequencies(f, ROW, 1 + 1e-9, probability); /* the other way to draw */
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

/* Goes on in frame from the i-th cell drawn to the one behind the next to be set, or the end of its group,
 * and multiplies the probability of that, as head_rule_t says it, from the twin's logits of the frame as far
 * as it is known there. */
static size_t take_stretch(fixture_t *f, size_t row, const uint8_t *frame, size_t i, double temperature,
                           double *probability) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    const uint8_t *before = f->frames[row] - f->bytes;
    memset(f->frames[row], 0, f->bytes);
    for (size_t j = 0; j < i; j++)
        if (get(f, frame, cell_drawn(f, j))) flip(f, f->frames[row], cell_drawn(f, j));
    head_logits(f->head, f->frames[row], f->pre + row * f->columns, logits);
    const size_t end = i + count_open(f, logits, i);
    if (i == end) { /* certain */
        *probability *= get(f, frame, cell_drawn(f, i));
        return i + 1;
    }
    double silence = 1, share[2] = {0}, sum[2] = {0}, chosen = 0;
    size_t set = end;
    int kind = 0;
    for (; i < end; i++) {
        const size_t cell = cell_drawn(f, i), planes = f->config.planes;
        const int held = cell / f->config.pitches % planes == PLANE_SOUNDING && get(f, before, cell);
        const double p = 1 / (1 + exp(-(double)logits[cell])), weight = pow(silence * p, 1 / temperature);
        share[held] += silence * p;
        sum[held] += weight;
        silence *= 1 - p;
        if (set < end || !get(f, frame, cell)) continue;
        set = i;
        kind = held;
        chosen = weight;
    }
    *probability *= set == end ? silence : chosen > 0 ? share[kind] * chosen / sum[kind] : 0;
    return MIN(set + 1, end);
}

static double tempered_probability(fixture_t *f, size_t row, const uint8_t *frame, double temperature) {
    double probability = 1;
    for (size_t i = 0; i < f->D;) i = take_stretch(f, row, frame, i, temperature, &probability);
    return probability;
}

/* At temperatures: not how many notes, but which. */
static void test_temperature(void) {
    enum { ROW = 5 };
    static const double temperatures[] = {0.3, 0.8, 2};
    for (size_t k = 0; k < G_N_ELEMENTS(tiny); k++) {
        g_autoptr(fixture_t) f = fixture_new(&tiny[k], 0.5);
        g_autofree double *probability = g_new(double, (size_t)1 << f->D);
        g_autofree uint8_t *frame = g_new(uint8_t, f->bytes);
        for (size_t t = 0; t < G_N_ELEMENTS(temperatures); t++) {
            double sum = 0;
            for (size_t code = 0; code < (size_t)1 << f->D; code++) {
                memset(frame, 0, f->bytes);
                for (size_t i = 0; i < f->D; i++)
                    if (code >> i & 1) flip(f, frame, i);
                probability[code] = tempered_probability(f, ROW, frame, temperatures[t]);
                sum += probability[code];
            }
            g_assert_cmpfloat_with_epsilon(sum, 1, 1e-6);
            check_frequencies(f, ROW, temperatures[t], probability);
        }
    }
}

static void test_nan(void) {
    g_autoptr(fixture_t) f = fixture_new(&cases[0].config, cases[0].density);
    const size_t D = f->D, A = f->config.sequence.nade,
                 columns[] = {0, D - 1, D, D + A - 1, D + A, f->columns - 1};
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        g_autofree real_t *pre = g_memdup2(f->pre, ROWS * f->columns * sizeof *pre);
        double nll[ROWS];
        pre[2 * f->columns + columns[i]] = NAN;
        head_score(f->head, ROWS, rows_of(f), NULL, pre, nll);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpint(isnan(nll[r]) != 0, ==, r == 2);
        head_train(f->head, ROWS, rows_of(f), NULL, pre, 1, nll);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpint(isnan(nll[r]) != 0, ==, r == 2);
    }
}

static void test_far_logits(void) {
    g_autoptr(fixture_t) f = fixture_new(&cases[0].config, cases[0].density);
    double nll;
    double expected = 0;
    for (size_t i = 0; i < f->D; i++) {
        const gboolean likely = i % 2 == 1;
        f->pre[i] = likely ? 1e6f : -1e6f;
        expected += get(f, f->frames[0], i) != likely ? 1e6 : 0;
    }
    head_train(f->head, 1, rows_of(f), NULL, f->pre, 1, &nll);
    g_assert_cmpfloat_with_epsilon(nll, expected, 1e-3 * expected);
    for (size_t i = 0; i < f->D; i++) {
        const int set = get(f, f->frames[0], i), likely = i % 2;
        g_assert_cmpfloat_with_epsilon((double)f->pre[i], likely - set, 1e-6);
    }
}

/* A group without unsure cells leaves no trace but zeros. */
static void test_certain_cells(void) {
    g_autoptr(fixture_t) f = fixture_new(&cases[1].config, cases[1].density);
    const size_t P = f->config.pitches, stride = (P + 7) / 8;
    double nll;
    memset(f->frames[4] - f->bytes, 0, f->bytes); /* silence: all onsets follow */
    memcpy(f->frames[4] + stride, f->frames[4], stride);
    head_train(f->head, 1, rows_of(f) + 4, NULL, f->pre, 1, &nll);
    for (size_t i = 0; i < P; i++) {
        g_assert_cmpfloat(f->pre[i], !=, 0);
        g_assert_cmpfloat(f->pre[P + i], ==, 0);
    }
    const size_t onset_group = f->columns - f->config.sequence.tied;
    for (size_t i = onset_group; i < f->columns; i++) g_assert_cmpfloat(f->pre[i], ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/head/twin", test_twin);
    g_test_add_func("/head/hidden-past", test_hidden_past);
    g_test_add_func("/head/features", test_features);
    g_test_add_func("/head/profile", test_profile);
    g_test_add_func("/head/causality", test_causality);
    g_test_add_func("/head/draw", test_draw);
    g_test_add_func("/head/sum_of_probabilities", test_sum_of_probabilities);
    g_test_add_func("/head/frequencies", test_frequencies);
    g_test_add_func("/head/temperature", test_temperature);
    g_test_add_func("/head/nan", test_nan);
    g_test_add_func("/head/far_logits", test_far_logits);
    g_test_add_func("/head/certain_cells", test_certain_cells);
    return g_test_run();
}
