/* Checkpoints that were cut or changed, and full disks: every damage is noticed. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "tests/helpers/checkpoint_states.h"
#include "tests/helpers/full_disk.h"

/* The file cut at any length is refused. */
static void test_truncated(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    struct stat status;
    g_assert_cmpint(stat(path, &status), ==, 0);
    for (off_t length = status.st_size - 1; length >= 0; length -= 1 + length / 60) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(truncate(path, length), ==, 0);
        g_assert_false(equals(path, &state, &error));
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, path));
    }
    remove_folder(folder);
}

/* A byte changed anywhere is refused, or lies where it changes nothing that is read. */
static void test_flipped(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *bytes = NULL;
    g_auto(state_t) state;
    size_t n, refused = 0, tried = 0;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    for (size_t i = 0; i < n; i += 1 + n / 500, tried++) {
        g_autoptr(GError) error = NULL;
        bytes[i] = (char)(bytes[i] ^ 0x11);
        FILE *file = fopen(path, "wb");
        g_assert_cmpuint(fwrite(bytes, 1, n, file), ==, n);
        fclose(file);
        bytes[i] = (char)(bytes[i] ^ 0x11);
        refused += !equals(path, &state, &error);
    }
    g_test_message("%zu of %zu flipped bytes refused, %zu bytes a file", refused, tried, n);
    g_assert_cmpuint(refused, >, tried / 4);
    remove_folder(folder);
}

/* Every weight and moment is under a checksum: its bytes are searched for in the file and changed one at a
 * time. */
static void test_flipped_weights(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *bytes = NULL;
    g_auto(state_t) state;
    size_t n, n_table;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    const param_t *table = model_table(state.model, &n_table);
    const real_t *const blocks[] = {model_params(state.model), state.optimizer->m, state.optimizer->v,
                                    state.optimizer->average, state.optimizer->momentum};
    for (size_t b = 0; b < G_N_ELEMENTS(blocks); b++)
        for (size_t i = 0; i < n_table; i++) {
            g_autoptr(GError) error = NULL;
            char *found =
                memmem(bytes, n, blocks[b] + table[i].offset, sizeof(real_t) * table[i].rows * table[i].cols);
            g_assert_nonnull(found);
            *found = (char)(*found ^ 1);
            g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
            *found = (char)(*found ^ 1);
            g_assert_false(equals(path, &state, &error));
            g_assert_nonnull(strstr(error->message, table[i].name));
        }
    remove_folder(folder);
}

/* HDF5's own checksum (Fletcher-32) takes words of 16 bits that are all zeros for words that are all ones: a
 * block of a disk that comes back erased would read as weights that are no numbers. */
static void test_erased(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(state_t) state;
    size_t n, n_table;
    state_init(&state, &small, 1);
    const param_t *first = model_table(state.model, &n_table);
    real_t *matrix = model_params(state.model) + first->offset;
    memset(matrix + 3, 0, 2 * sizeof *matrix);
    write_state(path, &state);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    char *found = memmem(bytes, n, matrix, sizeof *matrix * first->rows * first->cols);
    g_assert_nonnull(found);
    memset(found + 3 * sizeof *matrix, 0xFF, 2 * sizeof *matrix);
    g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
    g_assert_false(equals(path, &state, &error));
    g_assert_nonnull(strstr(error->message, first->name));
    remove_folder(folder);
}

/* A full disk, or what the kernel tells us like one: named, the old file whole, nothing left over. */
static void test_disk_full(void) {
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autofree char *temporary = file_temporary(path);
    g_auto(state_t) state, changed;
    g_autoptr(GError) error = NULL;
    state_init(&state, &small, 1);
    state_init(&changed, &small, 2);
    write_state(path, &state);
    const struct rlimit old = full_disk_begin(2000);
    gboolean written =
        checkpoint_write(path, &changed.checkpoint, changed.model, changed.optimizer, NULL, &error);
    full_disk_end(old);
    g_assert_false(written);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_assert_nonnull(strstr(error->message, g_strerror(EFBIG)));
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_clear_error(&error);
    g_assert_true(equals(path, &state, &error));
    g_assert_false(checkpoint_write("/nonexistent/checkpoint-00000001.h5", &state.checkpoint, state.model,
                                    state.optimizer, NULL, &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOENT)));
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checkpoint-damage/truncated", test_truncated);
    g_test_add_func("/checkpoint-damage/flipped", test_flipped);
    g_test_add_func("/checkpoint-damage/flipped-weights", test_flipped_weights);
    g_test_add_func("/checkpoint-damage/erased", test_erased);
    g_test_add_func("/checkpoint-damage/disk-full", test_disk_full);
    return g_test_run();
}
