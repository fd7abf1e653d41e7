/* How onsets are played, in a double build: central differences of its loss, of models with and without
 * memories; nothing else has a gradient from it; and a performer says the same of a piece as training
 * does. */
#include <string.h>

#include "tests/helpers/differences.h"
#include "tests/helpers/sequences.h"
#include "trainer/model/layers.h"
#include "trainer/model/performer.h"

enum { MAX_B = 4, SCALE_PERCENT = 30 };

typedef struct {
    const char *name;
    model_config_t config;
    uint32_t valid[MAX_B]; /* to the first 0 */
} case_t;

typedef struct {
    model_t *model;
    sequences_t *sequences;
    size_t onsets;
} whole_t;

static const model_objective_t objective = {.beta = 0.7, .auxiliary = 0.5, .scale = SCALE_PERCENT / 100.0};

static double performance_loss(gpointer data) {
    const whole_t *w = data;
    model_losses_t losses;
    model_train(w->model, &w->sequences->batch, &objective, &losses);
    return objective.scale * losses.performance;
}

static gboolean plays(const param_t *param) { return g_str_has_prefix(param->name, "performance."); }

/* Away from where models start. */
static void disturb(model_t *model) {
    size_t n;
    const param_t *table = model_table(model, &n);
    model_init(model, 5);
    for (size_t i = 0; i < n; i++) {
        const size_t entries = table[i].rows * table[i].cols;
        g_autofree real_t *noise = g_new(real_t, entries);
        differences_fill(100 + i, noise, entries);
        for (size_t j = 0; j < entries; j++) model_params(model)[table[i].offset + j] += 0.3 * noise[j];
    }
}

static void open_whole(whole_t *w, const case_t *c) {
    size_t B = 0;
    g_autoptr(GError) error = NULL;
    while (B < MAX_B && c->valid[B]) B++;
    w->sequences = sequences_new(&c->config, c->valid, B, c->valid[0]);
    w->model = model_new(&c->config, B, sequences_frames(w->sequences), &error);
    g_assert_no_error(error);
    sequences_draw(w->sequences, &(sequences_chances_t){0.3, 1, 1, 1, 1}, 3, 0);
    w->sequences->batch.eps = NULL;
    disturb(w->model);
    for (size_t b = 0; b < B; b++) w->onsets += sequences_count_onsets(w->sequences, b);
    g_assert_cmpuint(w->onsets, >, 10);
}

static void close_whole(whole_t *w) {
    model_free(w->model);
    sequences_free(w->sequences);
}

static real_t *train(whole_t *w, model_losses_t *losses) {
    const size_t bytes = model_size(w->model) * sizeof(real_t);
    memset(model_gradient(w->model), 0, bytes);
    model_train(w->model, &w->sequences->batch, &objective, losses);
    return g_memdup2(model_gradient(w->model), bytes);
}

static void test_gradient(gconstpointer data) {
    whole_t w = {0};
    size_t n, players = 0;
    model_losses_t losses, without;
    open_whole(&w, data);
    g_autofree real_t *gradient = train(&w, &losses);
    w.sequences->batch.songs = NULL;
    g_autofree real_t *notes = train(&w, &without);
    w.sequences->batch.songs = w.sequences->songs;
    g_assert_cmpfloat(losses.performance, >, (double)w.onsets);
    g_assert_cmpfloat(without.performance, ==, 0);
    g_assert_cmpfloat(losses.nll, ==, without.nll);
    const param_t *table = model_table(w.model, &n);
    for (size_t i = 0; i < n; i++) {
        const size_t entries = table[i].rows * table[i].cols;
        const real_t *own = gradient + table[i].offset;
        if (plays(&table[i])) {
            for (size_t j = 0; j < entries; j++) g_assert_true(notes[table[i].offset + j] == 0);
            g_assert_cmpfloat(differences_check(performance_loss, &w, model_params(w.model) + table[i].offset,
                                                own, entries, 0.1, table[i].name),
                              >, 0.01);
            players++;
        } else {
            g_assert_true(memcmp(own, notes + table[i].offset, entries * sizeof *own) == 0);
        }
    }
    g_assert_cmpuint(players, ==, 6 * ((const case_t *)data)->config.tracks);
    close_whole(&w);
}

/* Of one sequence that begins its song. */
static void test_performer(gconstpointer data) {
    case_t one = *(const case_t *)data;
    whole_t w = {0};
    model_losses_t losses;
    g_autoptr(GError) error = NULL;
    one.valid[1] = 0;
    open_whole(&w, &one);
    g_free(train(&w, &losses));
    g_autoptr(performer_t) performer = performer_new(w.model, &error);
    g_assert_no_error(error);
    const size_t n = w.onsets;
    g_autofree played_t *drawn = g_new(played_t, n), *again = g_new(played_t, n),
                        *free_one = g_new(played_t, n);
    performance_piece_t piece = {.given = w.sequences->songs[0].played, .drawn = drawn};
    const uint8_t *bits = sequences_frame(w.sequences, 0, 0);
    performer_play(performer, bits, one.valid[0], 1, 2, &piece);
    g_assert_cmpfloat_with_epsilon(piece.nll, losses.performance, 1e-9 * losses.performance);
    performance_piece_t repeat = {.drawn = free_one, .on_grid = TRUE};
    performer_play(performer, bits, one.valid[0], 1, 2, &repeat); /* hears what it has drawn itself */
    performance_piece_t same = {.given = free_one, .drawn = again, .on_grid = TRUE};
    performer_play(performer, bits, one.valid[0], 1, 2, &same);
    g_assert_true(memcmp(free_one, again, n * sizeof *again) == 0);
    close_whole(&w);
}

#define SHAPE(K, P, Z, ...)                                                                                  \
    .config = {.kind = MODEL_SEQUENCE,                                                                       \
               .tracks = K,                                                                                  \
               .planes = 2,                                                                                  \
               .pitches = P,                                                                                 \
               .latent = Z,                                                                                  \
               .sequence = {.segment = 2,                                                                    \
                            .state = 5,                                                                      \
                            .encoder = 3,                                                                    \
                            .sketch = 3,                                                                     \
                            .nade = 4,                                                                       \
                            .tied = 3,                                                                       \
                            .posterior_hidden = 4,                                                           \
                            .prior_hidden = 3,                                                               \
                            .sketch_hidden = 5,                                                              \
                            .lags = {1, 2, 4},                                                               \
                            .n_lags = 3,                                                                     \
                            .performance = 4,                                                                \
                            .order = {__VA_ARGS__}}}

static const case_t cases[] = {
    {"one-track", SHAPE(1, 9, 0, 0), {6, 4, 1}},
    {"tracks-and-latent", SHAPE(2, 10, 2, 1, 0), {5, 5, 2}, .config.sequence.drums = 1},
    {"memory",
     SHAPE(2, 10, 0, 1, 0),
     {5, 4},
     .config.sequence.memory = 3,
     .config.sequence.note = 2,
     .config.sequence.tied_first = 1,
     .config.sequence.tied_pitches = 8},
};

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    layers_set_threads(1);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *gradient = g_strdup_printf("/performance/gradient/%s", cases[i].name),
                        *performer = g_strdup_printf("/performance/performer/%s", cases[i].name);
        g_test_add_data_func(gradient, &cases[i], test_gradient);
        g_test_add_data_func(performer, &cases[i], test_performer);
    }
    return g_test_run();
}
