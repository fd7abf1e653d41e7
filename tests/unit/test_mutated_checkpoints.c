/* 4,000 damaged checkpoints: each is refused by its name, or reads as the one that was written, bit by
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

/* Damages a copy of the file at `path`. */
static void mutate_checkpoint(const char *path, const char *folder) {
    const guint mutations = mutate_count(MUTATIONS);
    g_autoptr(GError) error = NULL;
    g_autofree char *bytes = NULL, *damaged = checkpoint_path(folder, 2),
                    *whole = checkpoint_digest(path, &error);
    gsize n = 0;
    guint read = 0;
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &bytes, &n, &error));
    for (guint i = 0; i < mutations; i++) {
        mutate_begin("damage %u to %s", i, path);
        g_autoptr(GByteArray) file = mutate((guint8 *)bytes, n, i);
        g_autoptr(GError) refusal = NULL;
        mutate_write(damaged, file);
        g_autofree char *digest = checkpoint_digest(damaged, &refusal);
        g_assert_true((digest == NULL) == (refusal != NULL));
        if (digest)
            g_assert_cmpstr(digest, ==, whole);
        else if (!strstr(refusal->message, damaged))
            g_error("'%s' does not name the file", refusal->message);
        read += digest != NULL;
    }
    alarm(0);
    g_test_message("%s: %u of %u damaged checkpoints read as before, the others were refused", path, read,
                   mutations);
    g_assert_cmpuint(read, <, mutations / 4);
}

static void test_new(void) {
    char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(checkpoint_write_attributes(path, &two, NULL, &error));
    mutate_checkpoint(path, folder);
    remove_folder(folder);
}

/* A file of an older version. */
static void test_old(gconstpointer data) {
    char *folder = make_folder();
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", data, NULL);
    mutate_checkpoint(path, folder);
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
    return g_test_run();
}
