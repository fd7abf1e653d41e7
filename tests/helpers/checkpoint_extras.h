/* checkpoint_extras: checkpoints with vectors of attributes and a guide beside their state, what they should
 * hold, and damage to them. */
#pragma once

#include "preprocess/shard/h5.h"
#include "tests/helpers/checkpoint_states.h"
#include "trainer/model/guide.h"

enum { Z = 3 }; /* as `small` has */

static real_t vectors[2 * Z] = {0.5F, -1.25F, 3, 0.1F, 0.2F, -0.3F};
static const attributes_t two = {.n = 2,
                                 .Z = Z,
                                 .info = {{"density", "notes a beat", 1.0 / 3, 0.7, 0.9, 1},
                                          {"register", "semitones", 61.5, 4.25, 0.04, 0.2}},
                                 .vectors = vectors};

/* A guide for the models of tests, of numbers that depend on the seed. Owner: caller. */
static inline checkpoint_guide_t make_guide(const model_config_t *config, uint64_t seed) {
    const size_t n = guide_groups(config) * guide_columns(config);
    const rng_t rng = rng_make(seed, RNG_INIT, 0, 0);
    checkpoint_guide_t guide = {
        .epochs = (int64_t)seed, .alone = 7.0 / 3, .guided = 4.0 / 3, .weights = g_new0(real_t, n)};
    rng_normal(&rng, guide.weights, n);
    return guide;
}

/* A fresh folder and the path of a checkpoint in it, after two steps. */
typedef struct {
    char *folder, *path;
} run_t;

static inline void write_checkpoint(const char *path, const model_config_t *config, uint64_t seed,
                                    gboolean average) {
    g_autoptr(GError) error = NULL;
    const grid_t grid = {.steps_per_beat = 4,
                         .pitch_low = 36,
                         .pitches = 13,
                         .n_tracks = 2,
                         .roles = {ROLE_MELODY, ROLE_BASS}};
    checkpoint_t checkpoint = {.model = *config,
                               .grid = grid,
                               .options = (char *)"[model]\n",
                               .tempo_bpm = 101.3,
                               .meter = {0, 6, 8},
                               .best = INFINITY,
                               .seed = seed};
    g_autoptr(model_t) model = model_new(config, 1, 1, &error);
    const optimizer_config_t adam = {
        .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .average = average ? 0.9 : 0};
    g_autoptr(optimizer_t) optimizer = optimizer_new(&adam, model_size(model));
    model_init(model, seed);
    for (uint64_t step = 0; step < 2; step++) {
        const rng_t rng = rng_make(seed, RNG_NOISE, step, 0);
        rng_normal(&rng, model_gradient(model), model_size(model));
        optimizer_step(optimizer, model, 0.001);
    }
    g_assert_true(checkpoint_write(path, &checkpoint, model, optimizer, NULL, &error));
}

static inline run_t make_run(const model_config_t *config, gboolean average) {
    run_t run = {.folder = make_folder()};
    run.path = checkpoint_path(run.folder, 2);
    write_checkpoint(run.path, config, 1, average);
    return run;
}

static inline void run_clear(run_t *run) {
    remove_folder(run->folder);
    g_free(run->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(run_t, run_clear)

static inline GBytes *bytes_of(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    return g_bytes_new_take(bytes, n);
}

static inline gboolean same_bytes(const char *path, GBytes *bytes) {
    g_autoptr(GBytes) now = bytes_of(path);
    return g_bytes_equal(now, bytes);
}

static inline void add_vectors(const char *path) {
    g_autoptr(GError) error = NULL;
    checkpoint_write_attributes(path, &two, NULL, &error);
    g_assert_no_error(error);
}

static inline void assert_two(const char *path) {
    g_auto(attributes_t) attributes = {0};
    g_autoptr(GError) error = NULL;
    checkpoint_read_attributes(path, &attributes, &error);
    g_assert_no_error(error);
    g_assert_true(attributes.n == 2 && attributes.Z == Z);
    for (size_t i = 0; i < 2; i++) {
        const attribute_info_t *here = &two.info[i], *there = &attributes.info[i];
        g_assert_cmpstr(here->name, ==, there->name);
        g_assert_cmpstr(here->unit, ==, there->unit);
        g_assert_true(here->mean == there->mean && here->sd == there->sd && here->r2 == there->r2 &&
                      here->reach == there->reach);
    }
    g_assert_cmpint(memcmp(attributes.vectors, vectors, sizeof vectors), ==, 0);
}

static inline void add_guide(const char *path, const checkpoint_guide_t *guide) {
    g_autoptr(GError) error = NULL;
    checkpoint_write_guide(path, guide, NULL, &error);
    g_assert_no_error(error);
}

static inline void assert_guide(const char *path, const checkpoint_guide_t *here,
                                const model_config_t *config) {
    g_auto(checkpoint_guide_t) there = {0};
    g_autoptr(GError) error = NULL;
    checkpoint_read_guide(path, &there, &error);
    g_assert_no_error(error);
    g_assert_true(here->epochs == there.epochs && here->alone == there.alone && here->guided == there.guided);
    g_assert_true(same_reals(here->weights, there.weights, guide_groups(config) * guide_columns(config)));
}

/* Weights, moments, average and counts. */
static inline void assert_same_state(const char *a, const char *b, const model_config_t *config) {
    const char *const paths[] = {a, b};
    g_autoptr(GError) error = NULL;
    g_autoptr(model_t) first = model_new(config, 1, 1, &error), second = model_new(config, 1, 1, &error);
    const optimizer_config_t adam = {.average = 0.5};
    const size_t n = model_size(first);
    g_autoptr(optimizer_t) one = optimizer_new(&adam, n), other = optimizer_new(&adam, n);
    for (int i = 0; i < 2; i++)
        g_assert_true(checkpoint_read_state(paths[i], i ? second : first, i ? other : one, &error));
    g_assert_cmpint(memcmp(model_params(first), model_params(second), n * sizeof(real_t)), ==, 0);
    g_assert_cmpint(memcmp(one->m, other->m, n * sizeof(real_t)), ==, 0);
    g_assert_cmpint(memcmp(one->v, other->v, n * sizeof(real_t)), ==, 0);
    g_assert_cmpint(memcmp(one->average, other->average, n * sizeof(real_t)), ==, 0);
    g_assert_true(one->step == other->step && one->averaged == other->averaged);
}

/* Replaces an attribute of an object, as another program would. */
static inline void set_attribute(const char *path, const char *object, const char *name, hid_t type,
                                 const void *value) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    g_assert_cmpint(H5Adelete_by_name(file, object, name, H5P_DEFAULT), >=, 0);
    hid_t attribute =
        H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, type, value), >=, 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Fclose(file);
}

/* The bytes of a matrix, changed by one. */
static inline void flip(const char *path, const real_t *values, size_t count) {
    g_autofree char *bytes = NULL;
    size_t n;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    char *found = memmem(bytes, n, values, count * sizeof *values);
    g_assert_nonnull(found);
    *found = (char)(*found ^ 1);
    g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
}
