/* 7,000 damaged checkpoints: each is refused by its name, or reads as the one that was written, bit by
 * bit. */
#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_extras.h"
#include "tests/helpers/mutate.h"

enum { MUTATIONS = 1000 /* of each file */, MEMORY = 1024 /* MiB */ };

static void test_new(gconstpointer data) {
    const model_config_t *config = data;
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, config, 1);
    write_state(path, &state);
    add_vectors(path);
    if (config->kind == MODEL_SEQUENCE) {
        g_auto(checkpoint_guide_t) guide = make_guide(config, 1);
        add_guide(path, &guide);
    }
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
    g_test_add_data_func("/mutated-checkpoints/new", &small, test_new);
    g_test_add_data_func("/mutated-checkpoints/guide", &small_sequence, test_new);
    g_test_add_data_func("/mutated-checkpoints/version-1", "checkpoint-v1.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-2", "checkpoint-v2.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-3", "checkpoint-v3.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-4", "checkpoint-v4.h5", test_old);
    g_test_add_data_func("/mutated-checkpoints/version-5", "checkpoint-v5.h5", test_old);
    return g_test_run();
}
