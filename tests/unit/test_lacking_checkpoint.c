/* Checkpoints that lack something, or have something else in its place. */
#include "tests/helpers/lacking.h"

#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_states.h"

static real_t vectors[3] = {0.5F, -1.25F, 3};
static const attributes_t one = {
    .n = 1, .Z = 3, .info = {{"density", "notes a beat", 1.0 / 3, 0.7, 0.9, 1}}, .vectors = vectors};

static char *make_one(void) {
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = make_folder();
    char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(checkpoint_write_attributes(path, &one, NULL, &error));
    return path;
}

static void test_attributes(void) {
    static const char *const of_vectors[] = {"/vectors", "/vectors/density"};
    g_autofree char *path = make_one();
    g_assert_cmpuint(lacking_attributes(path, "/", "tool", checkpoint_digest), >, 30);
    for (size_t i = 0; i < G_N_ELEMENTS(of_vectors); i++)
        g_assert_cmpuint(lacking_attributes(path, of_vectors[i], "crc32", checkpoint_digest), >=, 2);
    g_assert_cmpuint(lacking_attributes(path, "/weights/mu.weight", "crc32", checkpoint_digest), ==, 1);
    remove_folder(g_path_get_dirname(path));
}

static void test_matrices(void) {
    static const char *const groups[] = {"/weights", "/adam/m", "/adam/v", "/average"};
    g_autofree char *path = make_one();
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autofree char *name = g_strconcat(groups[i], "/decoder.1.bias", NULL);
        lacking_dataset(path, name, checkpoint_digest);
    }
    lacking_dataset(path, "/vectors/density", checkpoint_digest);
    remove_folder(g_path_get_dirname(path));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* this file calls HDF5 before h5.h does */
    g_test_add_func("/lacking-checkpoint/attributes", test_attributes);
    g_test_add_func("/lacking-checkpoint/matrices", test_matrices);
    return g_test_run();
}
