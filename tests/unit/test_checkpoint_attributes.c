/* Vectors of attributes in checkpoints: there and back, the rest of the file as it was, links, damage, full
 * disks. */
#include <glib/gstdio.h>
#include <hdf5.h>
#include <math.h>
#include <string.h>

#include "preprocess/common/file.h"
#include "tests/helpers/checkpoint_extras.h"
#include "tests/helpers/full_disk.h"

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
    const struct rlimit old = full_disk_begin(2000);
    const gboolean written = checkpoint_write_attributes(run.path, &two, NULL, &error);
    full_disk_end(old);
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
