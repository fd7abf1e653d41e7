/* Central differences in a double build (tests/helpers/differences.h): the GRU over packed sequences, and
 * whole sequence models, through the latents, over shapes. */
#include <string.h>

#include "tests/helpers/differences.h"
#include "tests/helpers/sequences.h"
#include "trainer/model/gru.h"
#include "trainer/model/layers.h"

/* ---- GRU ---- */

typedef struct {
    gru_t gru;
    gru_tape_t tape;
    packing_t packing;
    real_t *U, *c, *dU, *dc, *h0, *dh0, *x, *dx, *h, *dh, *weight; /* f = sum of weight * h */
} recurrence_t;

static double weighted_states(gpointer data) {
    recurrence_t *r = data;
    double sum = 0;
    gru_forward(&r->gru, &r->packing, 1, r->h0, r->x, r->h, &r->tape);
    for (size_t i = 0; i < r->packing.rows * r->gru.H; i++) sum += r->weight[i] * r->h[i];
    return sum;
}

static void test_gru(gconstpointer data) {
    static const uint32_t lengths[] = {5, 5, 4, 4, 2, 1, 1}; /* blocks of four rows and single ones */
    const size_t B = G_N_ELEMENTS(lengths), H = GPOINTER_TO_SIZE(data);
    recurrence_t r = {0};
    packing_init(&r.packing, lengths[0] + 2);
    packing_make(&r.packing, lengths, B, 1);
    const size_t rows = r.packing.rows;
    g_assert_cmpuint(rows, ==, 22);
    g_assert_true(gru_tape_init(&r.tape, rows + 3, B + 2, H));
    const struct {
        real_t **array;
        size_t n;
        double sigma;
    } arrays[] = {{&r.U, 3 * H * H, 1 / sqrt((double)H)},
                  {&r.c, H, 1},
                  {&r.h0, B * H, 1},
                  {&r.x, rows * 3 * H, 1},
                  {&r.weight, rows * H, 1},
                  {&r.dU, 3 * H * H, 0},
                  {&r.dc, H, 0},
                  {&r.dh0, B * H, 1}, /* written, not added to: what was there must not matter */
                  {&r.dx, rows * 3 * H, 1},
                  {&r.h, rows * H, 1},
                  {&r.dh, rows * H, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) {
        *arrays[i].array = g_new0(real_t, arrays[i].n);
        differences_fill(i, *arrays[i].array, arrays[i].n);
        for (size_t j = 0; j < arrays[i].n; j++) (*arrays[i].array)[j] *= arrays[i].sigma;
    }
    r.gru = (gru_t){.U = r.U, .c = r.c, .dU = r.dU, .dc = r.dc, .H = H};
    weighted_states(&r);
    memcpy(r.dh, r.weight, rows * H * sizeof *r.dh);
    gru_backward(&r.gru, &r.packing, 1, &(rows_t){.n = rows}, r.dh, r.dx, r.dh0, &r.tape);
    const struct {
        const char *name;
        real_t *x, *dx;
        size_t n;
    } checks[] = {{"x", r.x, r.dx, rows * 3 * H},
                  {"h0", r.h0, r.dh0, B * H},
                  {"U", r.U, r.dU, 3 * H * H},
                  {"c", r.c, r.dc, H}};
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++)
        g_assert_cmpfloat(
            differences_check(weighted_states, &r, checks[i].x, checks[i].dx, checks[i].n, 0, checks[i].name),
            >, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(*arrays[i].array);
    gru_tape_clear(&r.tape);
    packing_clear(&r.packing);
}

/* ---- whole models ---- */

enum { MAX_B = 6 };

typedef struct {
    const char *name;
    model_config_t config;
    uint32_t valid[MAX_B]; /* to the first 0 */
    sequences_chances_t chances;
    model_objective_t objective;
    gboolean no_noise, clamped;
    size_t held_back; /* sequences with fewer free bits than they may have */
} case_t;

typedef struct {
    const case_t *c;
    model_t *model;
    sequences_t *sequences;
} whole_t;

/* model_forward() knows each sequence's divergence, model_train() the auxiliary loss. */
static double objective(gpointer data) {
    const whole_t *w = data;
    const model_objective_t *o = &w->c->objective;
    double nll[MAX_B], kl[MAX_B], sum = 0;
    model_losses_t losses = {0};
    model_forward(w->model, &w->sequences->batch, nll, kl);
    if (o->auxiliary > 0) model_train(w->model, &w->sequences->batch, o, &losses);
    for (size_t b = 0; b < w->sequences->batch.B; b++) {
        const size_t S = w->c->config.sequence.segment, n = (w->c->valid[b] + S - 1) / S;
        sum += nll[b] + o->beta * (double)n * MAX(kl[b] / (double)n, o->free_bits);
    }
    return o->scale * (sum + o->auxiliary * losses.auxiliary);
}

/* Away from where models start: states that begin anywhere, moments that differ, and, where clamped, logvars
 * beyond their range on both sides. */
static void disturb(model_t *model, gboolean clamped) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        real_t *x = model_params(model) + table[i].offset;
        const size_t entries = table[i].rows * table[i].cols;
        g_autofree real_t *noise = g_new(real_t, entries);
        differences_fill(100 + i, noise, entries);
        for (size_t j = 0; j < entries; j++) x[j] += 0.3 * noise[j];
        const gboolean moments =
            g_str_equal(table[i].name, "posterior.1.bias") || g_str_equal(table[i].name, "prior.1.bias");
        for (size_t j = entries / 2; clamped && moments && j < entries; j++)
            x[j] = j % 3 == 0 ? 6 : j % 3 == 1 ? -10 : -1;
    }
}

/* What the passes say of the same batch: sums, and how many sequences the free bits hold back. */
static void check_losses(const whole_t *w, const model_losses_t *losses) {
    const size_t B = w->sequences->batch.B, S = w->c->config.sequence.segment;
    double nll[MAX_B], kl[MAX_B], sum_nll = 0, sum_kl = 0;
    size_t segments = 0, held_back = 0;
    model_forward(w->model, &w->sequences->batch, nll, kl);
    for (size_t b = 0; b < B; b++) {
        const size_t n = (w->c->valid[b] + S - 1) / S;
        sum_nll += nll[b];
        sum_kl += kl[b];
        segments += n;
        held_back += kl[b] < w->c->objective.free_bits * (double)n;
        g_test_message("sequence %zu: nll %g, kl a segment %g", b, nll[b], kl[b] / (double)n);
    }
    g_assert_cmpfloat_with_epsilon(losses->nll, sum_nll, 1e-9);
    g_assert_cmpfloat_with_epsilon(losses->kl, sum_kl, 1e-9);
    if (w->c->config.latent)
        g_assert_cmpuint(held_back, ==, w->c->held_back);
    else
        segments = 0;
    g_assert_cmpfloat(losses->segments, ==, (double)segments);
}

static void test_model(gconstpointer data) {
    const case_t *c = data;
    size_t B = 0, n;
    while (B < MAX_B && c->valid[B]) B++;
    g_autoptr(GError) error = NULL;
    g_autoptr(sequences_t) sequences = sequences_new(&c->config, c->valid, B, c->valid[0] + B % 2);
    g_autoptr(model_t) model = model_new(&c->config, B, sequences_frames(sequences), &error);
    g_assert_no_error(error);
    sequences_draw(sequences, &c->chances, 3, 0);
    if (c->no_noise) sequences->batch.eps = NULL;
    model_init(model, 5);
    disturb(model, c->clamped);
    const whole_t whole = {c, model, sequences};
    model_losses_t losses;
    model_train(model, &sequences->batch, &c->objective, &losses);
    g_autofree real_t *gradient = g_memdup2(model_gradient(model), model_size(model) * sizeof(real_t));
    check_losses(&whole, &losses);
    const param_t *table = model_table(model, &n);
    double norm = 0;
    for (size_t i = 0; i < n; i++)
        norm +=
            differences_check(objective, (gpointer)&whole, model_params(model) + table[i].offset,
                              gradient + table[i].offset, table[i].rows * table[i].cols, 0.1, table[i].name);
    g_assert_cmpfloat(norm, >, 1);
}

/* Sizes: encoder, state, sketch, nade, tied, hidden of posterior, prior, sketch. */
#define SHAPE(K, L, P, Z, S, E, H, U, A, Q, HIDDEN_Q, HIDDEN_P, HIDDEN_U, ...)                               \
    .config = {.kind = MODEL_SEQUENCE,                                                                       \
               .tracks = K,                                                                                  \
               .planes = L,                                                                                  \
               .pitches = P,                                                                                 \
               .latent = Z,                                                                                  \
               .sequence = {.segment = S,                                                                    \
                            .state = H,                                                                      \
                            .encoder = E,                                                                    \
                            .sketch = U,                                                                     \
                            .nade = A,                                                                       \
                            .tied = Q,                                                                       \
                            .posterior_hidden = HIDDEN_Q,                                                    \
                            .prior_hidden = HIDDEN_P,                                                        \
                            .sketch_hidden = HIDDEN_U,                                                       \
                            .lags = {1, 2, 4},                                                               \
                            .n_lags = 3,                                                                     \
                            .order = {__VA_ARGS__}}}
#define NO_DROPOUT     .chances = {0.3, 1, 1, 1}
#define DROPOUT        .chances = {0.3, 0.7, 0.7, 0.6, 0.8}
#define OBJECTIVE(...) .objective = {__VA_ARGS__}

#define MEMORY(M, N, FIRST, PITCHES)                                                                         \
    .config.sequence.memory = M, .config.sequence.note = N, .config.sequence.tied_first = FIRST,             \
    .config.sequence.tied_pitches = PITCHES

#define BAR(FRAMES, ...)                                                                                     \
    .config.sequence.bar = FRAMES, .config.sequence.bar_lags = {__VA_ARGS__}, .config.sequence.n_bar_lags = 2

static const case_t cases[] = {
    {"places in the bar",
     SHAPE(1, 1, 11, 2, 3, 5, 7, 4, 5, 3, 6, 4, 5, 0),
     {18, 5, 3, 1},
     DROPOUT,
     OBJECTIVE(0.7, 0, 0, 0.3),
     BAR(3, 1, 2)},
    {"places, memories and lags in bars",
     SHAPE(2, 2, 13, 0, 2, 3, 5, 3, 4, 2, 4, 3, 5, 1, 0),
     {12, 3, 1},
     DROPOUT,
     OBJECTIVE(0.5, 0, 0.5, 0.3),
     MEMORY(3, 2, 1, 12),
     BAR(2, 1, 3)},
    {"memory",
     SHAPE(1, 1, 11, 0, 3, 5, 7, 4, 5, 3, 6, 4, 5, 0),
     {7, 5, 3, 1},
     NO_DROPOUT,
     OBJECTIVE(0.7, 0, 0, 0.3),
     MEMORY(4, 0, 0, 11)},
    {"notes",
     SHAPE(1, 1, 11, 0, 3, 5, 7, 4, 5, 3, 6, 4, 5, 0),
     {7, 5, 3, 1},
     NO_DROPOUT,
     OBJECTIVE(0.7, 0, 0, 0.3),
     MEMORY(0, 3, 0, 11)},
    {"memory and notes of a range",
     SHAPE(1, 1, 16, 2, 3, 5, 7, 4, 5, 3, 6, 4, 5, 0),
     {18, 5, 3, 1},
     DROPOUT,
     OBJECTIVE(0.7, 0, 0, 0.3),
     MEMORY(4, 3, 2, 13)},
    {"memory and notes of tracks",
     SHAPE(3, 2, 14, 2, 2, 3, 5, 3, 4, 2, 4, 3, 5, 1, 2, 0),
     {4, 3, 1},
     DROPOUT,
     OBJECTIVE(0.5, 0, 0.5, 0.3),
     MEMORY(3, 2, 1, 12),
     .config.sequence.drums = 1},
    {"one track",
     SHAPE(1, 1, 11, 3, 3, 5, 7, 4, 5, 3, 6, 4, 5, 0),
     {7, 5, 3, 1},
     NO_DROPOUT,
     OBJECTIVE(0.7, 0, 0, 0.3)},
    {"auxiliary and dropout",
     SHAPE(1, 1, 8, 2, 2, 3, 5, 3, 4, 2, 4, 3, 5, 0),
     {6, 6, 3, 2, 1},
     DROPOUT,
     OBJECTIVE(1, 0, 0.5, 0.3)},
    {"tracks and onsets",
     SHAPE(2, 2, 9, 2, 2, 3, 5, 3, 4, 2, 4, 3, 5, 1, 0),
     {5, 4, 1},
     DROPOUT,
     OBJECTIVE(0.5, 0, 0.5, 0.3)},
    {"no latent",
     SHAPE(1, 2, 12, 0, 4, 3, 6, 4, 4, 3, 4, 4, 4, 0),
     {6, 2},
     DROPOUT,
     OBJECTIVE(1, 3, 0.5, 0.3)},
    {"a latent a frame",
     SHAPE(1, 1, 9, 2, 1, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {4, 2, 1},
     NO_DROPOUT,
     OBJECTIVE(1, 0, 0.5, 0.3)},
    {"single frames",
     SHAPE(1, 1, 9, 2, 4, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {1, 1, 1, 1, 1},
     NO_DROPOUT,
     OBJECTIVE(1, 0, 0.5, 0.3)},
    {"one sequence, segments longer",
     SHAPE(1, 1, 9, 2, 8, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {6},
     DROPOUT,
     OBJECTIVE(1, 0, 0.5, 0.3)},
    {"clamped logvar",
     SHAPE(1, 1, 9, 6, 2, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {5, 2},
     NO_DROPOUT,
     OBJECTIVE(0.001, 0, 0.5, 0.3),
     .clamped = TRUE},
    {"some held back",
     SHAPE(1, 1, 9, 3, 2, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {6, 5, 3, 2},
     NO_DROPOUT,
     OBJECTIVE(1, 3.6, 0, 0.3),
     .held_back = 2},
    {"all held back",
     SHAPE(1, 1, 9, 3, 2, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {6, 5, 3, 2},
     NO_DROPOUT,
     OBJECTIVE(1, 5, 0, 0.3),
     .held_back = 4},
    {"no noise",
     SHAPE(1, 1, 9, 3, 2, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {6, 5, 1},
     NO_DROPOUT,
     OBJECTIVE(1, 0, 0, 0.3),
     .no_noise = TRUE},
    {"beta 0",
     SHAPE(1, 1, 9, 3, 2, 4, 5, 3, 3, 2, 4, 3, 4, 0),
     {6, 5, 1},
     NO_DROPOUT,
     OBJECTIVE(0, 0, 0, 0.3)},
    {"wider than a panel",
     SHAPE(1, 1, 3, 2, 2, 17, 18, 3, 2, 2, 4, 3, 4, 0),
     {3, 3, 3, 3, 2, 1},
     NO_DROPOUT,
     OBJECTIVE(1, 0, 0, 0.3)},
};

int main(int argc, char **argv) {
    static const size_t sizes[] = {1, 5, 16, 17};
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *path = g_strdup_printf("/differences/gru/%zu", sizes[i]);
        g_test_add_data_func(path, GSIZE_TO_POINTER(sizes[i]), test_gru);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/differences/sequence/%s", cases[i].name);
        g_test_add_data_func(path, &cases[i], test_model);
    }
    return g_test_run();
}
