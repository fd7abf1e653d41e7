/* Checkpoints: the same bits back; other formats, values and shapes refused. */
#include <errno.h>
#include <hdf5.h>

#include "tests/helpers/checkpoint_states.h"

static void test_round_trip(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 77), *again = checkpoint_path(folder, 78);
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL, *same = NULL;
    size_t n, n_same;
    state_init(&state, &small, UINT64_MAX - 5);
    write_state(path, &state);
    g_assert_true(g_str_has_suffix(path, "/checkpoint-00000077.h5"));
    g_assert_true(equals(path, &state, &error));
    g_assert_no_error(error);
    /* No clock, no chance: the same state gives the same bytes. */
    g_usleep(1100000);
    write_state(again, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL) &&
                  g_file_get_contents(again, &same, &n_same, NULL));
    g_assert_true(n == n_same && memcmp(bytes, same, n) == 0);
    g_autofree char *hash = checkpoint_hash(path, &error);
    g_autofree char *whole = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)bytes, n);
    g_assert_cmpint((int)strlen(hash), ==, 16);
    g_assert_true(g_str_has_prefix(whole, hash));
    g_assert_null(checkpoint_hash("/nonexistent/x.h5", &error));
    g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ);
    remove_folder(folder);
}

/* The names and shapes that docs/formats.md promises to other programs. */
static void test_layout(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    hsize_t size[2];
    state_init(&state, &small, 1);
    write_state(path, &state);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    size_t n;
    const param_t *table = model_table(state.model, &n);
    for (size_t i = 0; i < n; i++) {
        const char *const groups[] = {"/weights", "/adam/m", "/adam/v", "/average", "/momentum"};
        for (size_t j = 0; j < G_N_ELEMENTS(groups); j++) {
            g_autofree char *name = g_strdup_printf("%s/%s", groups[j], table[i].name);
            hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
            g_assert_cmpint(H5Sget_simple_extent_dims(space, size, NULL), ==, 2);
            g_assert_true(size[0] == table[i].rows && size[1] == table[i].cols);
            H5Sclose(space);
            H5Dclose(dataset);
        }
    }
    g_assert_cmpint(H5Lexists(file, "/weights/encoder.0.weight", H5P_DEFAULT), >, 0);
    H5Fclose(file);
    remove_folder(folder);
}

/* tests/golden/checkpoint-v1.h5: written by version 1 from state_init(small, 4). sin() and cos() of other
 * libraries may round otherwise. */
static void test_version_1(void) {
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", "checkpoint-v1.h5", NULL);
    g_auto(state_t) state;
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(GError) error = NULL;
    state_init(&state, &small, 4);
    g_assert_true(checkpoint_read(path, &checkpoint, &error));
    g_assert_true(checkpoint.model.kind == MODEL_DENSE && checkpoint.model.window == 4 &&
                  checkpoint.model.hidden[1] == 5 && checkpoint.model.latent == 3);
    g_assert_true(checkpoint.step == 77 && checkpoint.so_far.nll == 1.0 / 3 &&
                  checkpoint.so_far.windows == 320 && checkpoint.so_far.frames == 0);
    const size_t n = model_size(state.model);
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 0, &error);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&(optimizer_config_t){.average = 0.9}, n);
    g_assert_true(checkpoint_read_state(path, model, optimizer, &error));
    g_assert_true(optimizer->step == 3 && optimizer->averaged == 0);
    for (size_t i = 0; i < n; i++) {
        g_assert_cmpfloat_with_epsilon(model_params(model)[i], model_params(state.model)[i], 1e-6F);
        g_assert_cmpfloat_with_epsilon(optimizer->m[i], state.optimizer->m[i], 1e-6F);
    }
    g_assert_true(checkpoint_read_weights(path, model, &error));
    g_assert_cmpfloat_with_epsilon(model_params(model)[0], model_params(state.model)[0], 1e-6F);
}

/* Replaces a root attribute, as another program would. */
static void set_attribute(const char *path, const char *name, hid_t type, const void *value) {
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    g_assert_cmpint(H5Adelete(file, name), >=, 0);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, type, value), >=, 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Fclose(file);
}

static void assert_refused(const char *path, int code, const char *words) {
    g_autoptr(GError) error = NULL;
    g_auto(checkpoint_t) checkpoint = {0};
    g_assert_false(checkpoint_read(path, &checkpoint, &error));
    g_assert_error(error, CHECKPOINT_ERROR, code);
    g_assert_nonnull(strstr(error->message, words));
    g_assert_true(g_str_has_prefix(error->message, path));
}

static void test_foreign(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    const int64_t later = CHECKPOINT_VERSION + 1, none = 0, latent = 4;
    const char *shard = "mpianist-shard";
    state_init(&state, &small, 1);
    write_state(path, &state);
    set_attribute(path, "version", H5T_NATIVE_INT64, &later);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "use a later mpianist");
    set_attribute(path, "version", H5T_NATIVE_INT64, &none);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "version 0");
    write_state(path, &state);
    set_attribute(path, "latent", H5T_NATIVE_INT64, &latent);
    assert_refused(path, CHECKPOINT_ERROR_READ, "checksum");
    write_state(path, &state);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, strlen(shard));
    set_attribute(path, "format", text, shard);
    H5Tclose(text);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "mpianist-shard");
    /* Right checksum, values that cannot be. */
    state.checkpoint.grid.pitch_low = 127;
    write_state(path, &state);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "'pitch_low'");
    state.checkpoint.grid.pitch_low = 36;
    state.checkpoint.tempo_bpm = NAN;
    write_state(path, &state);
    assert_refused(path, CHECKPOINT_ERROR_FORMAT, "'tempo_bpm'");
    remove_folder(folder);
}

static void test_unreadable(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    g_autoptr(GError) error = NULL;
    state_init(&state, &small, 1);
    g_assert_false(equals(path, &state, &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOENT)));
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(path, "MThd", -1, NULL));
    g_assert_false(equals(path, &state, &error));
    g_assert_nonnull(strstr(error->message, "HDF5"));
    g_clear_error(&error);
    g_assert_false(equals(folder, &state, &error));
    g_assert_nonnull(error);
    remove_folder(folder);
}

static void test_shape(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    model_config_t other[] = {small, small, small, small, small, small, small};
    other[0].latent = 32;
    other[1].window = 5;
    other[2].hidden[1] = 6;
    other[3].planes = 2;
    other[4].tracks = 1;
    other[5].pitches = 12;
    other[6].loss = LOSS_MSE;
    const char *const wanted[] = {
        "checkpoint has latent 3, the run asks for 32; use --latent 3 or another --output",
        "checkpoint has window 4, the run asks for 5; use --window 4 or another --output",
        "checkpoint has hidden 7,5, the run asks for 7,6; use --hidden 7,5 or another --output",
        "checkpoint has planes sounding, the run asks for both; use --planes sounding or another --output",
        "checkpoint has tracks 2, the run asks for 1; preprocess the songs alike or another --output",
        "checkpoint has pitches 13, the run asks for 12; preprocess the songs alike or another --output",
        "checkpoint has loss bce, the run asks for mse; use --loss bce or another --output",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(other); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(model_t) model = model_new(&other[i], 1, 0, &error);
        g_assert_no_error(error);
        g_assert_false(checkpoint_read_weights(path, model, &error));
        g_assert_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE);
        g_assert_cmpstr(error->message + strlen(path) + 2, ==, wanted[i]);
    }
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint/round-trip", test_round_trip);
    g_test_add_func("/checkpoint/layout", test_layout);
    g_test_add_func("/checkpoint/version-1", test_version_1);
    g_test_add_func("/checkpoint/foreign", test_foreign);
    g_test_add_func("/checkpoint/unreadable", test_unreadable);
    g_test_add_func("/checkpoint/shape", test_shape);
    return g_test_run();
}
