/* Central differences of the head in a double build, over shapes: its columns of pre, and all its own parameters. The gradient is asked to agree to 1e-7 of its norm, or of
 * 0.1 where a rare feature's is smaller: differences are exact to 1e-10 only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/head.h"

#define STEP      1e-5
#define TOLERANCE 1e-7

enum { ROWS = 8, SEED = 3 };

typedef struct {
    const char *name;
    model_config_t config;
    double density;
} case_t;

typedef struct {
    head_t *head;
    GArray *table;
    size_t columns, size; /* of the block of parameters */
    real_t *params, *gradient, *pre;
    uint8_t *bits;
    const uint8_t *frames[ROWS];
} fixture_t;

static const double scale = 0.3;

static void fill(uint64_t stream, real_t *out, size_t n) {
    const rng_t rng = rng_make(SEED, RNG_NOISE, 0, stream);
    rng_normal(&rng, out, n);
}

/* Canonical frames one after the other, the first MODEL_CONTEXT of them before the rows; padding bits at random. */
static void fill_frames(const case_t *c, uint8_t *bits, size_t n) {
    const rng_t rng = rng_make(SEED, RNG_DECODE, 0, 0);
    const size_t bytes = model_frame_bytes(&c->config), stride = (c->config.pitches + 7) / 8, L = c->config.planes;
    for (size_t i = 0; i < 8 * n * bytes; i++) bits[i / 8] = (uint8_t)(bits[i / 8] | (rng_uniform(&rng, i) < c->density) << i % 8);
    for (size_t i = 0; L == 2 && i < n * bytes; i++) {
        if (i / stride % 2 == PLANE_SOUNDING) continue;
        const uint8_t sounds = bits[i - stride], sounded = i < bytes ? 0 : bits[i - stride - bytes];
        bits[i] = (uint8_t)((bits[i] | (uint8_t)~sounded) & sounds);
    }
}

static void set_up(fixture_t *f, const case_t *c) {
    const size_t bytes = model_frame_bytes(&c->config);
    f->table = g_array_new(FALSE, FALSE, sizeof(param_t));
    head_lay_out(&c->config, f->table);
    const param_t *last = &g_array_index(f->table, param_t, f->table->len - 1);
    const size_t size = f->size = last->offset + last->rows * last->cols;
    f->columns = head_columns(&c->config);
    f->params = ops_new_block(size);
    f->gradient = ops_new_block(size);
    f->pre = ops_new_block(ROWS * f->columns);
    f->bits = g_malloc0((MODEL_CONTEXT + ROWS) * bytes);
    fill(0, f->params, size);
    fill(1, f->pre, ROWS * f->columns);
    for (size_t i = 0; i < size; i++) f->params[i] *= 0.5;
    fill_frames(c, f->bits, MODEL_CONTEXT + ROWS);
    for (size_t r = 0; r < ROWS; r++) f->frames[r] = f->bits + (MODEL_CONTEXT + r) * bytes;
    const model_blocks_t blocks = {&g_array_index(f->table, param_t, 0), f->table->len, f->params, f->gradient};
    f->head = head_new(&c->config, &blocks, NULL);
}

static void tear_down(fixture_t *f) {
    head_free(f->head);
    g_array_unref(f->table);
    free(f->params);
    free(f->gradient);
    free(f->pre);
    g_free(f->bits);
}

static double objective(const fixture_t *f) {
    double nll[ROWS], sum = 0;
    head_score(f->head, ROWS, f->frames, f->pre, nll);
    for (size_t r = 0; r < ROWS; r++) sum += nll[r];
    return scale * sum;
}

static void check(const fixture_t *f, const char *name, real_t *x, const real_t *analytic, size_t n) {
    double wrong = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        const real_t saved = x[i];
        x[i] = saved + STEP;
        const double up = objective(f);
        x[i] = saved - STEP;
        const double numeric = (up - objective(f)) / (2 * STEP);
        x[i] = saved;
        wrong += (numeric - analytic[i]) * (numeric - analytic[i]);
        norm += numeric * numeric;
    }
    g_assert_cmpfloat(norm, >, 0);
    if (!(wrong < TOLERANCE * TOLERANCE * MAX(norm, 0.01)))
        g_test_fail_printf("%s: gradient differs from central differences by %g", name, sqrt(wrong / norm));
}

static void test_gradients(gconstpointer data) {
    const case_t *c = data;
    fixture_t f = {0};
    set_up(&f, c);
    double nll[ROWS], sum = 0;
    g_autofree real_t *dpre = g_memdup2(f.pre, ROWS * f.columns * sizeof *dpre);
    head_train(f.head, ROWS, f.frames, dpre, scale, nll);
    for (size_t r = 0; r < ROWS; r++) sum += scale * nll[r];
    g_assert_cmpfloat_with_epsilon(sum, objective(&f), 1e-12);
    check(&f, "pre", f.pre, dpre, ROWS * f.columns);
    for (size_t i = 0; i < f.table->len; i++) {
        const param_t *param = &g_array_index(f.table, param_t, i);
        check(&f, param->name, f.params + param->offset, f.gradient + param->offset, param->rows * param->cols);
    }
    g_autofree real_t *once = g_memdup2(f.gradient, f.size * sizeof *once); /* gradients are added to what is there */
    memcpy(dpre, f.pre, ROWS * f.columns * sizeof *dpre);
    head_train(f.head, ROWS, f.frames, dpre, scale, nll);
    for (size_t i = 0; i < f.size; i++) g_assert_cmpfloat_with_epsilon(f.gradient[i], 2 * once[i], 1e-12);
    tear_down(&f);
}

#define SHAPE(K, L, P, A_, Q_, ...)                                                                                                                  \
    {                                                                                                                                                \
        .kind = MODEL_SEQUENCE, .tracks = K, .planes = L, .pitches = P, .sequence = {.nade = A_, .tied = Q_, .order = {__VA_ARGS__} }                \
    }

static const case_t cases[] = {
    {"one track", SHAPE(1, 1, 40, 5, 4, 0), 0.2},
    {"wider than lanes", SHAPE(1, 1, 12, 19, 35, 0), 0.3},
    {"onsets", SHAPE(1, 2, 30, 4, 3, 0), 0.4},
    {"three tracks in an order of their own", SHAPE(3, 2, 13, 4, 3, 2, 0, 1), 0.4},
    {"two tracks without onsets", SHAPE(2, 1, 9, 3, 2, 1, 0), 0.3},
    {"fewer pitches than the windows", SHAPE(2, 2, 3, 3, 2, 1, 0), 0.7},
    {"all pitches", SHAPE(1, 1, 128, 2, 2, 0), 0.1},
};

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/head/gradients/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_gradients);
    }
    return g_test_run();
}
