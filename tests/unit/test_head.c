/* The head's kernels beside its plain twin, and what a head must be: a distribution over frames that reads
 * nothing it may not know. (Gradients: double_head.c.) */
#include <math.h>

#include "tests/helpers/head_fixture.h"
#include "tests/helpers/head_twin.h"

static double plain_nll(const fixture_t *f, size_t row) {
    g_autofree real_t *logits = g_new(real_t, f->D);
    double nll = 0;
    head_logits(f->head, &f->config, f->frames[row], &f->memory, row, f->pre + row * f->columns, logits);
    for (size_t i = 0; i < f->D; i++) {
        const double l = get(f, f->frames[row], i) ? -(double)logits[i] : (double)logits[i];
        nll += isinf(l) ? (l > 0 ? INFINITY : 0) : MAX(l, 0) + log1p(exp(-fabs(l)));
    }
    return nll;
}

static void test_twin(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(HEAD_CASES); k++) {
        g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density);
        double score[ROWS], train[ROWS];
        head_score(f->head, ROWS, rows_of(f), NULL, &f->memory, f->pre, score);
        for (size_t r = 0; r < ROWS; r++) {
            const double plain = plain_nll(f, r);
            g_assert_cmpfloat_with_epsilon(score[r], plain, 2e-6 * plain);
        }
        head_train(f->head, ROWS, rows_of(f), NULL, &f->memory, f->pre, 1, train);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpfloat(train[r], ==, score[r]);
    }
}

static gboolean is_tied_weight(const param_t *param) {
    return g_str_has_prefix(param->name, "head.tied.") && g_str_has_suffix(param->name, ".weight");
}

/* A row that does not see its past is one whose lags have weights of zero and whose memory is zero, and
 * learns nothing about them. */
static void test_hidden_past(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(HEAD_CASES); k++) {
        const sequence_sizes_t *sizes = &HEAD_CASES[k].config.sequence;
        const size_t rows = 27 * (sizes->n_lags + sizes->n_bar_lags);
        const uint8_t past[ROWS] = {0};
        g_autoptr(fixture_t) hidden = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density),
                             zeroed = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density);
        double score[ROWS], train[ROWS], expected[ROWS];
        for (size_t i = 0; i < zeroed->table->len; i++) {
            const param_t *Q = &g_array_index(zeroed->table, param_t, i);
            if (is_tied_weight(Q))
                memset(zeroed->params + Q->offset, 0, rows * Q->cols * sizeof *zeroed->params);
        }
        const size_t states = ROWS * zeroed->config.sequence.tied_pitches * zeroed->config.sequence.memory;
        for (size_t t = 0; t < zeroed->config.tracks; t++)
            memset(zeroed->s[t], 0, states * sizeof *zeroed->s[t]);
        head_score(hidden->head, ROWS, rows_of(hidden), past, &hidden->memory, hidden->pre, score);
        head_train(hidden->head, ROWS, rows_of(hidden), past, &hidden->memory, hidden->pre, 1, train);
        head_train(zeroed->head, ROWS, rows_of(zeroed), NULL, &zeroed->memory, zeroed->pre, 1, expected);
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
        head_logits(f->head, &f->config, f->frames[0], &f->memory, 0, f->pre, logits);
        without = logits[cell_drawn(f, last * P + p)];
        flip(f, frame, cell_drawn(f, group * P + pitch));
        head_logits(f->head, &f->config, f->frames[0], &f->memory, 0, f->pre, logits);
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
        head_logits(f->head, &f->config, f->frames[0], &f->memory, 0, f->pre, logits);
        f->params[profile->offset + r] = 0;
        g_assert_cmpfloat_with_epsilon((double)logits[CELL], 1 + expected[r / 12][r % 12] - 0.25, 1e-6);
    }
}

/* Changing cells from the i-th drawn on leaves the logits up to the i-th as they are, and changes some after
 * it. */
static void test_causality(void) {
    static const size_t cases[] = {1, 2, 3, 4, 14, 15, 16, 17};
    for (size_t c = 0; c < G_N_ELEMENTS(cases); c++) {
        const size_t k = cases[c];
        g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density);
        g_autofree real_t *before = g_new(real_t, f->D), *after = g_new(real_t, f->D);
        size_t changed = 0;
        for (size_t i = 0; i < f->D; i += 1 + f->D / 16) {
            head_logits(f->head, &f->config, f->frames[4], &f->memory, 4, f->pre, before);
            for (size_t j = i; j < f->D; j += j == i ? 1 : 2) flip(f, f->frames[4], cell_drawn(f, j));
            head_logits(f->head, &f->config, f->frames[4], &f->memory, 4, f->pre, after);
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

static void test_nan(void) {
    g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[0].config, HEAD_CASES[0].density);
    const size_t D = f->D, A = f->config.sequence.nade,
                 columns[] = {0, D - 1, D, D + A - 1, D + A, f->columns - 1};
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        g_autofree real_t *pre = g_memdup2(f->pre, ROWS * f->columns * sizeof *pre);
        double nll[ROWS];
        pre[2 * f->columns + columns[i]] = NAN;
        head_score(f->head, ROWS, rows_of(f), NULL, &f->memory, pre, nll);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpint(isnan(nll[r]) != 0, ==, r == 2);
        head_train(f->head, ROWS, rows_of(f), NULL, &f->memory, pre, 1, nll);
        for (size_t r = 0; r < ROWS; r++) g_assert_cmpint(isnan(nll[r]) != 0, ==, r == 2);
    }
}

static void test_far_logits(void) {
    g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[0].config, HEAD_CASES[0].density);
    double nll;
    double expected = 0;
    for (size_t i = 0; i < f->D; i++) {
        const gboolean likely = i % 2 == 1;
        f->pre[i] = likely ? 1e6f : -1e6f;
        expected += get(f, f->frames[0], i) != likely ? 1e6 : 0;
    }
    head_train(f->head, 1, rows_of(f), NULL, &f->memory, f->pre, 1, &nll);
    g_assert_cmpfloat_with_epsilon(nll, expected, 1e-3 * expected);
    for (size_t i = 0; i < f->D; i++) {
        const int set = get(f, f->frames[0], i), likely = i % 2;
        g_assert_cmpfloat_with_epsilon((double)f->pre[i], likely - set, 1e-6);
    }
}

/* A group without unsure cells leaves no trace but zeros. */
static void test_certain_cells(void) {
    g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[1].config, HEAD_CASES[1].density);
    const size_t P = f->config.pitches, stride = (P + 7) / 8;
    double nll;
    memset(f->frames[4] - f->bytes, 0, f->bytes); /* silence: all onsets follow */
    memcpy(f->frames[4] + stride, f->frames[4], stride);
    head_train(f->head, 1, rows_of(f) + 4, NULL, &f->memory, f->pre, 1, &nll);
    for (size_t i = 0; i < P; i++) {
        g_assert_cmpfloat(f->pre[i], !=, 0);
        g_assert_cmpfloat(f->pre[P + i], ==, 0);
    }
    const size_t onset_group = f->columns - f->config.sequence.tied;
    for (size_t i = onset_group; i < f->columns; i++) g_assert_cmpfloat(f->pre[i], ==, 0);
}

/* Of rows whose struck pitches are few in some tracks and none in others, the units alone have the bits that
 * are written beside losses. */
static void test_units(void) {
    for (size_t k = 0; k < G_N_ELEMENTS(HEAD_CASES); k++) {
        if (HEAD_CASES[k].config.planes < 2) continue;
        g_autoptr(fixture_t) f = fixture_new(&HEAD_CASES[k].config, HEAD_CASES[k].density);
        const size_t Q = f->config.sequence.tied, K = f->config.tracks, P = f->config.pitches,
                     n = ROWS * K * P * Q;
        g_autofree real_t *beside = g_new0(real_t, n), *alone = g_new0(real_t, n);
        g_autofree uint32_t *first = g_new(uint32_t, ROWS * K);
        double nll[ROWS];
        size_t written = 0;
        for (size_t i = 0; i < ROWS * K; i++) first[i] = (uint32_t)(i * P);
        head_record(f->head, &(head_record_t){.units = beside, .step = Q, .first = first});
        head_score(f->head, ROWS, rows_of(f), NULL, &f->memory, f->pre, nll);
        head_record(f->head, &(head_record_t){.units = alone, .step = Q, .first = first});
        head_units(f->head, ROWS, rows_of(f), &f->memory, f->pre);
        for (size_t i = 0; i < n; i++) written += beside[i] > 0;
        g_assert_cmpuint(written, >, 0);
        g_assert_true(memcmp(alone, beside, n * sizeof *alone) == 0);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/head/twin", test_twin);
    g_test_add_func("/head/hidden-past", test_hidden_past);
    g_test_add_func("/head/features", test_features);
    g_test_add_func("/head/profile", test_profile);
    g_test_add_func("/head/causality", test_causality);
    g_test_add_func("/head/nan", test_nan);
    g_test_add_func("/head/far_logits", test_far_logits);
    g_test_add_func("/head/certain_cells", test_certain_cells);
    g_test_add_func("/head/units", test_units);
    return g_test_run();
}
