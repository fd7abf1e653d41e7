/* Central differences of the head in a double build (tests/helpers/differences.h), over shapes: its columns
 * of pre, and all its own parameters. */
#include "tests/helpers/differences.h"
#include "tests/helpers/head_fixture.h"

#define SCALE 0.3

typedef struct {
    const char *name;
    model_config_t config;
    double density;
} case_t;

static double objective(gpointer data) {
    const fixture_t *f = data;
    double nll[ROWS], sum = 0;
    head_prepare(f->head);
    head_score(f->head, ROWS, (const uint8_t *const *)f->frames, f->past, &f->memory, f->pre, nll);
    for (size_t r = 0; r < ROWS; r++) sum += nll[r];
    return SCALE * sum;
}

static void check(fixture_t *f, const char *name, real_t *x, const real_t *analytic, size_t n) {
    g_assert_cmpfloat(differences_check(objective, f, x, analytic, n, 0.1, name), >, 0);
}

/* Sum over rows of scale * nll. */
static double train(const fixture_t *f, real_t *dpre) {
    double nll[ROWS], sum = 0;
    memcpy(dpre, f->pre, ROWS * f->columns * sizeof *dpre);
    head_train(f->head, ROWS, (const uint8_t *const *)f->frames, f->past, &f->memory, dpre, SCALE, nll);
    for (size_t r = 0; r < ROWS; r++) sum += SCALE * nll[r];
    return sum;
}

static void test_gradients(gconstpointer data) {
    const case_t *c = data;
    g_autoptr(fixture_t) f = fixture_new(&c->config, c->density);
    g_autofree real_t *dpre = g_new(real_t, ROWS * f->columns);
    g_assert_cmpfloat_with_epsilon(train(f, dpre), objective(f), 1e-12);
    check(f, "pre", f->pre, dpre, ROWS * f->columns);
    const size_t states = ROWS * f->config.sequence.tied_pitches * f->config.sequence.memory;
    for (size_t k = 0; states && k < f->config.tracks; k++) check(f, "s", f->s[k], f->ds[k], states);
    for (size_t i = 0; i < f->table->len; i++) {
        const param_t *param = &g_array_index(f->table, param_t, i);
        check(f, param->name, f->params + param->offset, f->gradient + param->offset,
              param->rows * param->cols);
    }
    g_autofree real_t *once = g_memdup2(f->gradient, f->size * sizeof *once);
    train(f, dpre); /* adds to what is there */
    for (size_t i = 0; i < f->size; i++) g_assert_cmpfloat_with_epsilon(f->gradient[i], 2 * once[i], 1e-12);
}

static const case_t cases[] = {
    {"one track", HEAD_SHAPE(1, 1, 40, 5, 4, FEW_LAGS, 0), 0.2},
    {"wider than lanes", HEAD_SHAPE(1, 1, 12, 19, 35, FEW_LAGS, 0), 0.3},
    {"onsets", HEAD_SHAPE(1, 2, 30, 4, 3, FEW_LAGS, 0), 0.4},
    {"three tracks in an order of their own", HEAD_SHAPE(3, 2, 13, 4, 3, FEW_LAGS, 2, 0, 1), 0.4},
    {"two tracks without onsets", HEAD_SHAPE(2, 1, 9, 3, 2, FEW_LAGS, 1, 0), 0.3},
    {"fewer pitches than the windows", HEAD_SHAPE(2, 2, 3, 3, 2, FEW_LAGS, 1, 0), 0.7},
    {"many lags", HEAD_SHAPE(2, 2, 11, 3, 3, MANY_LAGS, 0, 1), 0.4},
    {"one lag, not the last frame", HEAD_SHAPE(1, 2, 20, 3, 2, FAR_LAGS, 0), 0.4},
    {"profiles", HEAD_SHAPE(1, 1, 40, 5, 4, PROFILES, 0), 0.2},
    {"profiles of two tracks after drums", HEAD_SHAPE(3, 2, 30, 4, 3, AFTER_DRUMS, 2, 0, 1), 0.3},
    {"fewer pitches than pitch classes", HEAD_SHAPE(2, 2, 5, 3, 2, PROFILES, 1, 0), 0.4},
    {"memory and notes", HEAD_SHAPE(1, 1, 20, 5, 4, TIED(FEW_LAGS, 3, 2, 2, 15), 0), 0.2},
    {"lags in bars", HEAD_SHAPE(2, 1, 13, 4, 3, BAR_LAGS, 1, 0), 0.3},
    {"lags in bars and memory", HEAD_SHAPE(1, 2, 13, 4, 3, TIED(BAR_LAGS, 3, 2, 1, 11), 0), 0.3},
    {"memory and notes of tracks", HEAD_SHAPE(3, 2, 13, 4, 3, TIED(AFTER_DRUMS, 3, 2, 1, 11), 2, 0, 1), 0.4},
    {"all pitches", HEAD_SHAPE(1, 1, 128, 2, 2, FEW_LAGS, 0), 0.1},
};

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/head/gradients/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_gradients);
    }
    return g_test_run();
}
