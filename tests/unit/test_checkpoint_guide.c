/* A guide in checkpoints: there and back, the rest of the file as it was, vectors of attributes beside it,
 * links, damage, full disks. */
#include <math.h>

#include "preprocess/common/file.h"
#include "tests/helpers/checkpoint_extras.h"
#include "tests/helpers/full_disk.h"
#include "tests/helpers/mutate.h"

static const model_config_t *const config = &small_sequence;

static void assert_no_guide(const char *path, GQuark domain, int code, const char *words) {
    g_auto(checkpoint_guide_t) guide = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(checkpoint_read_guide(path, &guide, &error));
    if (domain) g_assert_error(error, domain, code);
    g_assert_true(g_str_has_prefix(error->message, path));
    if (!strstr(error->message, words)) g_error("'%s' does not say '%s'", error->message, words);
}

/* The guide comes back, all else stays, and a guide written again gives the same bytes; so does the state
 * without it. */
static void check_round_trip(gboolean average) {
    g_auto(run_t) run = make_run(config, average);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    g_autofree char *copy = g_build_filename(run.folder, "copy.h5", NULL);
    g_autoptr(GBytes) before = bytes_of(run.path);
    mutate_copy(run.path, copy);
    add_guide(run.path, &guide);
    assert_guide(run.path, &guide, config);
    assert_same_state(run.path, copy, config);
    g_autoptr(GBytes) with = bytes_of(run.path);
    add_guide(run.path, &guide);
    g_assert_true(same_bytes(run.path, with));
    write_checkpoint(run.path, config, 1, average); /* what training writes has none */
    g_assert_true(same_bytes(run.path, before));
}

static void test_round_trip(void) {
    check_round_trip(TRUE);
    check_round_trip(FALSE);
}

/* Vectors and guide keep each other, whichever came first. */
static void test_both(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5), other = make_guide(config, 6);
    g_autofree char *copy = g_build_filename(run.folder, "copy.h5", NULL);
    mutate_copy(run.path, copy);
    add_vectors(run.path);
    add_guide(run.path, &guide);
    g_autoptr(GBytes) both = bytes_of(run.path);
    assert_two(run.path);
    assert_guide(run.path, &guide, config);
    add_guide(copy, &guide);
    add_vectors(copy);
    g_assert_true(same_bytes(copy, both));
    add_vectors(copy);
    g_assert_true(same_bytes(copy, both));
    add_guide(copy, &other);
    assert_two(copy);
    assert_guide(copy, &other, config);
    assert_same_state(run.path, copy, config);
    add_guide(copy, &guide);
    g_assert_true(same_bytes(copy, both));
}

/* best.h5 stays a link; the file that it points at is written anew. */
static void test_link(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    g_autofree char *best = g_build_filename(run.folder, "best.h5", NULL),
                    *name = g_path_get_basename(run.path);
    g_autoptr(GError) error = NULL;
    g_assert_true(checkpoint_link(run.folder, "best.h5", name, &error));
    add_guide(best, &guide);
    g_autofree char *target = g_file_read_link(best, &error);
    g_assert_cmpstr(target, ==, name);
    assert_guide(run.path, &guide, config);
    assert_guide(best, &guide, config);
}

/* A file of an older version becomes one of the newest. */
static void test_version_5(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_autofree char *old = g_test_build_filename(G_TEST_DIST, "golden", "checkpoint-v5.h5", NULL);
    g_auto(checkpoint_t) head = {0};
    g_autoptr(GError) error = NULL;
    mutate_copy(old, run.path);
    g_assert_true(checkpoint_read(old, &head, &error));
    g_auto(checkpoint_guide_t) guide = make_guide(&head.model, 5);
    add_guide(run.path, &guide);
    assert_guide(run.path, &guide, &head.model);
    assert_same_state(run.path, old, &head.model);
}

static void test_none(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    g_autofree char *advice =
        g_strdup_printf("has no guide; learn one: trainer --masks %s --data SHARDS", run.path);
    g_autoptr(GError) error = NULL;
    assert_no_guide(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE, advice);
    add_vectors(run.path);
    assert_no_guide(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE, advice);
    g_assert_cmpint(g_unlink(run.path), ==, 0);
    assert_no_guide(run.path, 0, 0, "No such file");
    g_assert_false(checkpoint_write_guide(run.path, &guide, NULL, &error));
    g_assert_nonnull(strstr(error->message, "No such file"));
}

/* A dense model has none and gets none. */
static void test_dense(void) {
    g_auto(run_t) run = make_run(&small, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(&small, 5);
    g_autoptr(GBytes) before = bytes_of(run.path);
    g_autoptr(GError) error = NULL;
    assert_no_guide(run.path, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE, "only sequence models have one");
    g_assert_false(checkpoint_write_guide(run.path, &guide, NULL, &error));
    g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE);
    g_assert_true(g_str_has_prefix(error->message, run.path));
    g_assert_true(same_bytes(run.path, before));
}

/* A guide that is damaged is refused in these words, with the way out. The file stays as it is where vectors
 * should be written into it, and is whole again once it has a new guide. */
static void assert_damaged(const char *path, const char *words, const checkpoint_guide_t *guide) {
    g_autofree char *advice =
        g_strdup_printf("; learn the guide anew: trainer --masks %s --data SHARDS", path);
    g_autoptr(GBytes) damaged = bytes_of(path);
    g_autoptr(GError) error = NULL;
    assert_no_guide(path, 0, 0, words);
    assert_no_guide(path, 0, 0, advice);
    g_assert_false(checkpoint_write_attributes(path, &two, NULL, &error));
    g_assert_true(g_str_has_prefix(error->message, path) && strstr(error->message, words));
    g_assert_true(same_bytes(path, damaged));
    add_guide(path, guide);
    assert_guide(path, guide, config);
    assert_two(path);
}

/* Numbers that were changed, and numbers that cannot be. */
static void test_changed(void) {
    static const struct {
        const char *name, *says;
        double value;
    } reals[] = {{"alone", "checksum", 2.5},         {"guided", "checksum", 2.5},
                 {"alone", "makes no sense", NAN},   {"guided", "makes no sense", INFINITY},
                 {"alone", "makes no sense", -1e-9}, {"guided", "makes no sense", -1}};
    static const struct {
        const char *says;
        int64_t value;
    } counts[] = {{"checksum", 6}, {"makes no sense", -1}};
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    add_vectors(run.path);
    add_guide(run.path, &guide);
    for (size_t i = 0; i < G_N_ELEMENTS(reals); i++) {
        set_attribute(run.path, "/guide", reals[i].name, H5T_NATIVE_DOUBLE, &reals[i].value);
        assert_damaged(run.path, reals[i].says, &guide);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        set_attribute(run.path, "/guide", "epochs", H5T_NATIVE_INT64, &counts[i].value);
        assert_damaged(run.path, counts[i].says, &guide);
    }
    g_auto(h5_id_t) text = h5_string_type(64);
    set_attribute(run.path, "/guide", "sha256", text,
                  "0000000000000000000000000000000000000000000000000000000000000000");
    assert_damaged(run.path, "it does not match its checksum", &guide);
}

/* Puts a matrix without a checksum of its own in the place of the weights. */
static void set_weights(const char *path, const real_t *values, size_t rows, size_t cols) {
    const hsize_t size[2] = {rows, cols};
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(2, size, NULL);
    g_assert_cmpint(H5Ldelete(file, "/guide/weights", H5P_DEFAULT), >=, 0);
    hid_t matrix =
        H5Dcreate2(file, "/guide/weights", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Dwrite(matrix, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), >=, 0);
    H5Dclose(matrix);
    H5Sclose(space);
    H5Fclose(file);
}

/* Weights that were changed or are no numbers, and a matrix of another shape. */
static void test_weights(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5), wrong = make_guide(config, 5);
    const size_t rows = guide_groups(config), cols = guide_columns(config);
    add_vectors(run.path);
    add_guide(run.path, &guide);
    set_weights(run.path, guide.weights, rows, cols);
    assert_guide(run.path, &guide, config);
    wrong.weights[rows * cols - 1] += 1;
    set_weights(run.path, wrong.weights, rows, cols);
    assert_damaged(run.path, "it does not match its checksum", &guide);
    wrong.weights[rows * cols - 1] = NAN;
    set_weights(run.path, wrong.weights, rows, cols);
    assert_damaged(run.path, "a value makes no sense", &guide);
    set_weights(run.path, guide.weights, cols, rows);
    assert_damaged(run.path, "cannot read /guide/weights: it is", &guide);
    set_weights(run.path, guide.weights, rows, cols - 1);
    assert_damaged(run.path, "cannot read /guide/weights: it is", &guide);
}

/* A changed byte of the guide is noticed; where vectors or weights have one, the file gets no guide. */
static void test_flipped(void) {
    g_auto(run_t) run = make_run(config, FALSE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    g_autoptr(GError) error = NULL;
    add_vectors(run.path);
    add_guide(run.path, &guide);
    flip(run.path, guide.weights, guide_columns(config));
    assert_damaged(run.path, "/guide/weights", &guide);
    flip(run.path, vectors, Z);
    g_autoptr(GBytes) damaged = bytes_of(run.path);
    g_assert_false(checkpoint_write_guide(run.path, &guide, NULL, &error));
    g_assert_true(g_str_has_prefix(error->message, run.path) && strstr(error->message, "/vectors/density"));
    g_assert_true(same_bytes(run.path, damaged));
    g_clear_error(&error);
    add_vectors(run.path);
    assert_guide(run.path, &guide, config);
    g_autoptr(model_t) model = model_new(config, 1, 1, &error);
    size_t n;
    const param_t *table = model_table(model, &n);
    g_assert_true(checkpoint_read_weights(run.path, model, &error));
    flip(run.path, model_params(model) + table[0].offset, table[0].rows * table[0].cols);
    g_autoptr(GBytes) without = bytes_of(run.path);
    g_assert_false(checkpoint_write_guide(run.path, &guide, NULL, &error));
    g_assert_nonnull(strstr(error->message, table[0].name));
    g_assert_true(same_bytes(run.path, without));
}

/* A guide that could not be read is not written. */
static void test_senseless(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5), wrong = make_guide(config, 6);
    add_guide(run.path, &guide);
    g_autoptr(GBytes) before = bytes_of(run.path);
    for (int i = 0; i < 4; i++) {
        g_autoptr(GError) error = NULL;
        wrong.weights[7] = i == 0 ? INFINITY : 1;
        wrong.alone = i == 1 ? NAN : 1;
        wrong.guided = i == 2 ? -1 : 1;
        wrong.epochs = i == 3 ? -1 : 1;
        g_assert_false(checkpoint_write_guide(run.path, &wrong, NULL, &error));
        g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT);
        g_assert_true(g_str_has_prefix(error->message, run.path));
        g_assert_true(same_bytes(run.path, before));
    }
}

/* A full disk, or what the kernel tells us like one: the checkpoint is whole, nothing left over. */
static void test_disk_full(void) {
    g_auto(run_t) run = make_run(config, TRUE);
    g_auto(checkpoint_guide_t) guide = make_guide(config, 5);
    g_autofree char *temporary = file_temporary(run.path);
    g_autoptr(GBytes) before = bytes_of(run.path);
    g_autoptr(GError) error = NULL;
    const struct rlimit old = full_disk_begin(2000);
    const gboolean written = checkpoint_write_guide(run.path, &guide, NULL, &error);
    full_disk_end(old);
    g_assert_false(written);
    g_assert_true(g_str_has_prefix(error->message, run.path));
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_assert_true(same_bytes(run.path, before));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint-guide/round-trip", test_round_trip);
    g_test_add_func("/checkpoint-guide/both", test_both);
    g_test_add_func("/checkpoint-guide/link", test_link);
    g_test_add_func("/checkpoint-guide/version-5", test_version_5);
    g_test_add_func("/checkpoint-guide/none", test_none);
    g_test_add_func("/checkpoint-guide/dense", test_dense);
    g_test_add_func("/checkpoint-guide/changed", test_changed);
    g_test_add_func("/checkpoint-guide/weights", test_weights);
    g_test_add_func("/checkpoint-guide/flipped", test_flipped);
    g_test_add_func("/checkpoint-guide/senseless", test_senseless);
    g_test_add_func("/checkpoint-guide/disk-full", test_disk_full);
    return g_test_run();
}
