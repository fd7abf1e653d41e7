/* Vectors of attributes in checkpoints: there and back, the rest of the file as it was, links, damage, full
 * disks. */
#include <glib/gstdio.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "tests/helpers/checkpoint_states.h"

enum { Z = 3 }; /* as `small` has */

static real_t vectors[2 * Z] = {0.5F, -1.25F, 3, 0.1F, 0.2F, -0.3F};
static const attributes_t two = {.n = 2,
                                 .Z = Z,
                                 .info = {{"density", "notes a beat", 1.0 / 3, 0.7, 0.9, 1},
                                          {"register", "semitones", 61.5, 4.25, 0.04, 0.2}},
                                 .vectors = vectors};

/* A fresh folder and the path of a checkpoint in it, after two steps. */
typedef struct {
    char *folder, *path;
} run_t;

static void write_checkpoint(const char *path, const model_config_t *config, uint64_t seed,
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

static run_t make_run(const model_config_t *config, gboolean average) {
    run_t run = {.folder = make_folder()};
    run.path = checkpoint_path(run.folder, 2);
    write_checkpoint(run.path, config, 1, average);
    return run;
}

static void run_clear(run_t *run) {
    remove_folder(run->folder);
    g_free(run->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(run_t, run_clear)

static GBytes *bytes_of(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    return g_bytes_new_take(bytes, n);
}

static gboolean same_bytes(const char *path, GBytes *bytes) {
    g_autoptr(GBytes) now = bytes_of(path);
    return g_bytes_equal(now, bytes);
}

static void add_vectors(const char *path) {
    g_autoptr(GError) error = NULL;
    checkpoint_write_attributes(path, &two, NULL, &error);
    g_assert_no_error(error);
}

static void assert_two(const char *path) {
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

/* Weights, moments, average and counts. */
static void assert_same_state(const char *a, const char *b, const model_config_t *config) {
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

/* The vectors come back, all else stays, and vectors written again give the same bytes; so does the state
 * without them. */
static void check_round_trip(const model_config_t *config, gboolean average) {
    g_auto(run_t) run = make_run(config, average);
    g_autofree char *copy = g_build_filename(run.folder, "copy.h5", NULL);
    g_autoptr(GBytes) before = bytes_of(run.path);
    g_assert_true(
        g_file_set_contents(copy, g_bytes_get_data(before, NULL), (gssize)g_bytes_get_size(before), NULL));
    add_vectors(run.path);
    assert_two(run.path);
    assert_same_state(run.path, copy, config);
    g_autoptr(GBytes) with = bytes_of(run.path);
    add_vectors(run.path);
    g_assert_true(same_bytes(run.path, with));
    write_checkpoint(run.path, config, 1, average); /* what training writes has none */
    g_assert_true(same_bytes(run.path, before));
}

static void test_round_trip(void) {
    check_round_trip(&small, TRUE);
    check_round_trip(&small, FALSE);
    check_round_trip(&small_sequence, TRUE);
}

/* best.h5 stays a link; the file that it points at is written anew. */
static void test_link(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    g_autofree char *best = g_build_filename(run.folder, "best.h5", NULL),
                    *name = g_path_get_basename(run.path);
    g_autoptr(GError) error = NULL;
    g_assert_true(checkpoint_link(run.folder, "best.h5", name, &error));
    add_vectors(best);
    g_autofree char *target = g_file_read_link(best, &error);
    g_assert_cmpstr(target, ==, name);
    assert_two(run.path);
    assert_two(best);
}

/* Version 1 becomes version 2. */
static void test_version_1(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    g_autofree char *old = g_test_build_filename(G_TEST_DIST, "golden", "checkpoint-v1.h5", NULL);
    g_autoptr(GBytes) bytes = bytes_of(old);
    g_assert_true(
        g_file_set_contents(run.path, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes), NULL));
    add_vectors(run.path);
    assert_two(run.path);
    assert_same_state(run.path, old, &small);
}

static void assert_no_vectors(const char *path, GQuark domain, int code, const char *words) {
    g_auto(attributes_t) attributes = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(checkpoint_read_attributes(path, &attributes, &error));
    if (domain) g_assert_error(error, domain, code);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_assert_nonnull(strstr(error->message, words));
}

static void test_none(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE, "trainer --attributes");
    g_assert_cmpint(g_unlink(run.path), ==, 0);
    assert_no_vectors(run.path, 0, 0, "No such file");
    g_autoptr(GError) error = NULL;
    g_assert_false(checkpoint_write_attributes(run.path, &two, NULL, &error));
    g_assert_nonnull(strstr(error->message, "No such file"));
}

/* Replaces an attribute of an object, as another program would. */
static void set_attribute(const char *path, const char *object, const char *name, hid_t type,
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

/* A changed value is noticed; so are values that cannot be, before the checksum, and names that are none. */
static void test_changed(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    const double other = 0.71, nothing = 0;
    const char *const names[] = {"density,registen",
                                 "",
                                 "density,../register",
                                 "density,,register",
                                 "density,a_name_that_is_too_long_by_far_for_one",
                                 "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};
    add_vectors(run.path);
    set_attribute(run.path, "/vectors/density", "sd", H5T_NATIVE_DOUBLE, &other);
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "checksum");
    set_attribute(run.path, "/vectors/density", "sd", H5T_NATIVE_DOUBLE, &nothing);
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "makes no sense");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        add_vectors(run.path);
        hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, strlen(names[i]) + 1);
        set_attribute(run.path, "/vectors", "names", text, names[i]);
        H5Tclose(text);
        assert_no_vectors(run.path, 0, 0, i == 0 ? "registen" : "makes no sense");
    }
}

/* Vectors and figures that are no numbers, under checksums that are right, and a unit without end. */
static void test_senseless(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    g_autoptr(GError) error = NULL;
    attributes_t wrong = two;
    real_t no_numbers[2 * Z] = {0.5F, -1.25F, 3, 0.1F, NAN, -0.3F};
    wrong.vectors = no_numbers;
    g_assert_true(checkpoint_write_attributes(run.path, &wrong, NULL, &error));
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "makes no sense");
    wrong = two;
    wrong.info[1].r2 = INFINITY;
    g_assert_true(checkpoint_write_attributes(run.path, &wrong, NULL, &error));
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "makes no sense");
    add_vectors(run.path);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 40);
    set_attribute(run.path, "/vectors/density", "unit", text, "notes a beat and a beat and a beat, at l");
    H5Tclose(text);
    assert_no_vectors(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "makes no sense");
}

/* The bytes of a matrix, changed by one. */
static void flip(const char *path, const real_t *values, size_t count) {
    g_autofree char *bytes = NULL;
    size_t n;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    char *found = memmem(bytes, n, values, count * sizeof *values);
    g_assert_nonnull(found);
    *found = (char)(*found ^ 1);
    g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
}

/* Vectors are under checksums; a checkpoint with a damaged weight gets none, and stays as it is. */
static void test_flipped(void) {
    g_auto(run_t) run = make_run(&small, FALSE);
    g_autoptr(GError) error = NULL;
    for (size_t i = 0; i < 2; i++) {
        add_vectors(run.path);
        flip(run.path, vectors + i * Z, Z);
        assert_no_vectors(run.path, 0, 0, two.info[i].name);
    }
    g_autoptr(model_t) model = model_new(&small, 1, 0, &error);
    size_t n;
    const param_t *table = model_table(model, &n);
    g_assert_true(checkpoint_read_weights(run.path, model, &error));
    flip(run.path, model_params(model) + table[n - 2].offset, table[n - 2].rows * table[n - 2].cols);
    g_autoptr(GBytes) damaged = bytes_of(run.path);
    g_assert_false(checkpoint_write_attributes(run.path, &two, NULL, &error));
    g_assert_nonnull(strstr(error->message, table[n - 2].name));
    g_assert_true(same_bytes(run.path, damaged));
}

/* A full disk, or what the kernel tells us like one: the checkpoint is whole, nothing left over. */
static void test_disk_full(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    g_autofree char *temporary = file_temporary(run.path);
    g_autoptr(GBytes) before = bytes_of(run.path);
    g_autoptr(GError) error = NULL;
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    low = (struct rlimit){.rlim_cur = 2000, .rlim_max = old.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &low), ==, 0);
    const gboolean written = checkpoint_write_attributes(run.path, &two, NULL, &error);
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_false(written);
    g_assert_true(g_str_has_prefix(error->message, run.path));
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_assert_true(same_bytes(run.path, before));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint-attributes/round-trip", test_round_trip);
    g_test_add_func("/checkpoint-attributes/link", test_link);
    g_test_add_func("/checkpoint-attributes/version-1", test_version_1);
    g_test_add_func("/checkpoint-attributes/none", test_none);
    g_test_add_func("/checkpoint-attributes/changed", test_changed);
    g_test_add_func("/checkpoint-attributes/senseless", test_senseless);
    g_test_add_func("/checkpoint-attributes/flipped", test_flipped);
    g_test_add_func("/checkpoint-attributes/disk-full", test_disk_full);
    return g_test_run();
}
