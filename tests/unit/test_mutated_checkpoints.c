/* 6,000 damaged checkpoints: each is refused by its name, or reads as the one that was written, bit by
 * bit. */
#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_states.h"
#include "tests/helpers/mutate.h"

enum { MUTATIONS = 1000 /* of each file */, MEMORY = 1024 /* MiB */ };

static real_t vectors[6] = {0.5F, -1.25F, 3, 0.1F, 0.2F, -0.3F};
static const attributes_t two = {.n = 2,
                                 .Z = 3,
                                 .info = {{"density", "notes a beat", 1.0 / 3, 0.7, 0.9, 1},
                                          {"register", "semitones", 61.5, 4.25, 0.04, 0.2}},
                                 .vectors = vectors};

static void test_new(void) {
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(checkpoint_write_attributes(path, &two, NULL, &error));
    mutate_file(path, path, checkpoint_digest, MUTATIONS);
    remove_folder(folder);
}

/* A file of an older version. */
static void test_old(gconstpointer data) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1),
                    *golden = g_test_build_filename(G_TEST_DIST, "golden", data, NULL);
    mutate_copy(golden, path);
    mutate_file(path, path, checkpoint_digest, MUTATIONS);
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    mutate_watch();
    mutate_limit_memory(MEMORY);
    g_test_add_func("/mutated-checkpoints/new", test_new);
    g_test_add_data_func("/mutated-checkpoints/version-1", "checkpoint-v1.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-2", "checkpoint-v2.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-3", "checkpoint-v3.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-4", "checkpoint-v4.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-5", "checkpoint-v5.h5", test_old);
    return g_test_run();
}
