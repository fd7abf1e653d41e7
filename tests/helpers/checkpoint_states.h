/* checkpoint_states: states to keep in checkpoints, and folders for these. */
#pragma once

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "trainer/checkpoint/checkpoint.h"

static const model_config_t small = {.kind = MODEL_DENSE,
                                     .window = 4,
                                     .tracks = 2,
                                     .planes = 1,
                                     .pitches = 13,
                                     .hidden = {7, 5},
                                     .n_hidden = 2,
                                     .latent = 3,
                                     .loss = LOSS_BCE};

static const model_config_t small_sequence = {.kind = MODEL_SEQUENCE,
                                              .tracks = 2,
                                              .planes = 1,
                                              .pitches = 13,
                                              .latent = 3,
                                              .loss = LOSS_BCE,
                                              .sequence = {.segment = 4,
                                                           .state = 3,
                                                           .encoder = 4,
                                                           .sketch = 5,
                                                           .nade = 6,
                                                           .tied = 7,
                                                           .posterior_hidden = 8,
                                                           .prior_hidden = 9,
                                                           .sketch_hidden = 10,
                                                           .lags = {1, 2, 4},
                                                           .n_lags = 3,
                                                           .order = {1, 0}}};

typedef struct {
    checkpoint_t checkpoint;
    model_t *model;
    optimizer_t *optimizer;
} state_t;

/* A state with no two values alike. */
static inline void state_init(state_t *state, const model_config_t *config, uint64_t seed) {
    g_autoptr(GError) error = NULL;
    state->checkpoint = (checkpoint_t){
        .model = *config,
        .grid = {.steps_per_beat = 12,
                 .pitch_low = 36,
                 .pitches = 13,
                 .fold_octaves = TRUE,
                 .n_tracks = 2,
                 .roles = {ROLE_MELODY, ROLE_BASS}},
        .options = g_strdup("[model]\nlatent=3\n"),
        .tempo_bpm = 101.3,
        .meter = {.numerator = 6, .denominator = 8},
        .seed = seed,
        .epoch = 3,
        .step = 77,
        .epoch_step = 5,
        .batch = 64,
        .so_far =
            {.windows = 320, .frames = 5120, .segments = 1280, .nll = 1.0 / 3, .kl = 0.1, .auxiliary = 0.7},
        .best = INFINITY,
        .best_epoch = 2,
        .multiplier = 0.37,
        .seconds = 12.5,
    };
    memset(state->checkpoint.corpus_id, 'c', 64);
    state->model = model_new(config, 2, 64, &error);
    g_assert_no_error(error);
    model_init(state->model, seed);
    const optimizer_config_t adam = {
        .learning_rate = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .average = 0.9, .outer = TRUE};
    state->optimizer = optimizer_new(&adam, model_size(state->model));
    real_t *momentum = g_steal_pointer(&state->optimizer->momentum); /* steps that are not local */
    for (int step = 0; step < 3; step++) {
        size_t n;
        const param_t *table = model_table(state->model, &n);
        /* No two matrices begin alike: test_flipped_weights() finds them by their bytes. */
        for (size_t i = 0; i < n; i++) {
            const rng_t rng = rng_make(seed, RNG_INIT, 1 + i, (uint64_t)step);
            rng_normal(&rng, model_gradient(state->model) + table[i].offset, table[i].rows * table[i].cols);
        }
        optimizer_step(state->optimizer, state->model, 0.001);
    }
    state->optimizer->momentum = momentum;
    state->optimizer->outer_steps = 2;
    size_t n;
    const param_t *table = model_table(state->model, &n);
    for (size_t i = 0; i < n; i++) {
        const rng_t rng = rng_make(seed, RNG_INIT, 1 + i, 3);
        rng_normal(&rng, momentum + table[i].offset, table[i].rows * table[i].cols);
    }
}

static inline void state_clear(state_t *state) {
    checkpoint_clear(&state->checkpoint);
    model_free(state->model);
    optimizer_free(state->optimizer);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(state_t, state_clear)

static inline char *make_folder(void) {
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("mpianist-checkpoint-XXXXXX", &error);
    g_assert_no_error(error);
    return folder;
}

static inline void remove_folder(char *path) {
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_unlink(file);
    }
    g_rmdir(path);
    g_free(path);
}

static inline void write_state(const char *path, state_t *state) {
    g_autoptr(GError) error = NULL;
    checkpoint_write(path, &state->checkpoint, state->model, state->optimizer, NULL, &error);
    g_assert_no_error(error);
}

static inline gboolean same_reals(const real_t *a, const real_t *b, size_t n) {
    return memcmp(a, b, n * sizeof *a) == 0;
}

/* Everything read from path equals state, to the bit. */
static inline gboolean equals(const char *path, const state_t *state, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 0, error);
    if (!model) return FALSE;
    g_autoptr(optimizer_t) optimizer =
        optimizer_new(&(optimizer_config_t){.average = 0.9, .outer = TRUE}, model_size(model));
    if (!checkpoint_read_state(path, model, optimizer, error)) return FALSE;
    const checkpoint_t *there = &state->checkpoint;
    const size_t n = model_size(state->model);
    g_assert_cmpuint(model_size(model), ==, n);
    g_assert_true(same_reals(model_params(model), model_params(state->model), n));
    g_assert_true(same_reals(optimizer->m, state->optimizer->m, n));
    g_assert_true(same_reals(optimizer->v, state->optimizer->v, n));
    g_assert_true(same_reals(optimizer->average, state->optimizer->average, n));
    g_assert_true(same_reals(optimizer->momentum, state->optimizer->momentum, n));
    g_assert_cmpint(optimizer->outer_steps, ==, state->optimizer->outer_steps);
    g_assert_true(optimizer->step == state->optimizer->step &&
                  optimizer->averaged == state->optimizer->averaged);
    g_assert_cmpstr(checkpoint.options, ==, there->options);
    g_assert_cmpstr(checkpoint.corpus_id, ==, there->corpus_id);
    g_assert_true(checkpoint.model.kind == there->model.kind && checkpoint.model.loss == there->model.loss &&
                  checkpoint.model.latent == there->model.latent);
    g_assert_true(checkpoint.model.window == there->model.window &&
                  checkpoint.model.tracks == there->model.tracks);
    g_assert_true(checkpoint.model.planes == there->model.planes &&
                  checkpoint.model.pitches == there->model.pitches);
    g_assert_true(checkpoint.model.n_hidden == there->model.n_hidden &&
                  checkpoint.model.hidden[0] == there->model.hidden[0]);
    g_assert_true(checkpoint.grid.steps_per_beat == there->grid.steps_per_beat &&
                  checkpoint.grid.pitch_low == there->grid.pitch_low);
    g_assert_true(checkpoint.grid.pitches == there->grid.pitches &&
                  checkpoint.grid.fold_octaves == there->grid.fold_octaves);
    g_assert_true(checkpoint.grid.sustain_pedal == there->grid.sustain_pedal &&
                  checkpoint.grid.n_tracks == there->grid.n_tracks);
    g_assert_true(checkpoint.grid.roles[0] == there->grid.roles[0] &&
                  checkpoint.grid.roles[1] == there->grid.roles[1]);
    g_assert_true(checkpoint.meter.numerator == there->meter.numerator &&
                  checkpoint.meter.denominator == there->meter.denominator);
    g_assert_true(checkpoint.tempo_bpm == there->tempo_bpm && checkpoint.best == there->best &&
                  checkpoint.seconds == there->seconds && checkpoint.multiplier == there->multiplier);
    g_assert_cmpint(memcmp(&checkpoint.so_far, &there->so_far, sizeof checkpoint.so_far), ==, 0);
    g_assert_true(checkpoint.seed == there->seed);
    g_assert_cmpint(checkpoint.epoch, ==, there->epoch);
    g_assert_cmpint(checkpoint.step, ==, there->step);
    g_assert_cmpint(checkpoint.epoch_step, ==, there->epoch_step);
    g_assert_cmpint(checkpoint.batch, ==, there->batch);
    g_assert_cmpint(checkpoint.best_epoch, ==, there->best_epoch);
    return TRUE;
}
