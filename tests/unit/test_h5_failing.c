/* Reads that fail, as on a disk or a network that is going: each call by which a checkpoint and a shard are
 * read fails once, and once with all that follow. The file is then refused by its name, or all of it was read
 * all the same: nothing is taken for less than it is. The functions here take the place of those of the C
 * library and of HDF5. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "tests/helpers/checkpoint_digest.h"
#include "tests/helpers/checkpoint_states.h"
#include "tests/helpers/lacking.h"
#include "tests/helpers/shard_digest.h"

static int calls, failing, cause = EIO; /* calls so far; the one that fails, 0: none */
static gboolean for_good;               /* so do all after it */

static gboolean fails(void) {
    calls++;
    if (failing == 0 || calls < failing || (calls > failing && !for_good)) return FALSE;
    errno = cause;
    return TRUE;
}

#define CAN_FAIL(result, name, parameters, arguments)                                                        \
    result name parameters {                                                                                 \
        static result(*real) parameters;                                                                     \
        void *found = real ? NULL : dlsym(RTLD_NEXT, #name);                                                 \
        if (!real) memcpy(&real, &found, sizeof real);                                                       \
        return fails() ? -1 : real arguments;                                                                \
    }

CAN_FAIL(hid_t, H5Fopen, (const char *path, unsigned flags, hid_t access), (path, flags, access))
CAN_FAIL(herr_t, H5Fget_filesize, (hid_t file, hsize_t *size), (file, size))
CAN_FAIL(htri_t, H5Lexists, (hid_t at, const char *name, hid_t access), (at, name, access))
CAN_FAIL(hid_t, H5Aopen_by_name,
         (hid_t at, const char *object, const char *name, hid_t access, hid_t link_access),
         (at, object, name, access, link_access))
CAN_FAIL(hid_t, H5Aget_type, (hid_t attribute), (attribute))
CAN_FAIL(hid_t, H5Aget_space, (hid_t attribute), (attribute))
CAN_FAIL(herr_t, H5Aread, (hid_t attribute, hid_t type, void *value), (attribute, type, value))
CAN_FAIL(hid_t, H5Dopen2, (hid_t at, const char *name, hid_t access), (at, name, access))
CAN_FAIL(hid_t, H5Dget_space, (hid_t dataset), (dataset))
CAN_FAIL(hid_t, H5Dget_type, (hid_t dataset), (dataset))
CAN_FAIL(herr_t, H5Dread, (hid_t dataset, hid_t type, hid_t memory, hid_t from, hid_t transfer, void *values),
         (dataset, type, memory, from, transfer, values))
CAN_FAIL(hid_t, H5Screate_simple, (int rank, const hsize_t *size, const hsize_t *most), (rank, size, most))
CAN_FAIL(herr_t, H5Sselect_hyperslab,
         (hid_t space, H5S_seloper_t op, const hsize_t *start, const hsize_t *stride, const hsize_t *count,
          const hsize_t *block),
         (space, op, start, stride, count, block))
CAN_FAIL(ssize_t, pread, (int fd, void *bytes, size_t n, off_t offset), (fd, bytes, n, offset))
CAN_FAIL(int, fsync, (int fd), (fd))

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails() ? -1 : openat(AT_FDCWD, path, flags, mode);
}

static char *read_failing(lacking_read_fn read, const char *path, int call, GError **error) {
    calls = 0;
    failing = call;
    char *digest = read(path, error);
    failing = 0;
    return digest;
}

/* Under a sanitizer, where each reading takes 25 times as long, only every seventh call is made to fail. */
#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 7 };
#else
enum { STRIDE = 1 };
#endif

/* Returns how many calls there are. */
static int sweep(const char *path, lacking_read_fn read) {
    g_autoptr(GError) none = NULL;
    g_autofree char *whole = read(path, &none);
    g_assert_no_error(none);
    for (int call = 1;; call += STRIDE) {
        g_autoptr(GError) error = NULL;
        g_autofree char *digest = read_failing(read, path, call, &error);
        if (calls < call) return calls;
        g_assert_true((digest == NULL) == (error != NULL));
        if (digest) g_assert_cmpstr(digest, ==, whole);
        if (error && !strstr(error->message, path)) g_error("'%s' does not name the file", error->message);
        if (error && strstr(error->message, "remove it")) g_error("'%s' is bad advice", error->message);
    }
}

static void sweep_both(const char *path, lacking_read_fn read, int least) {
    for (for_good = FALSE;; for_good = TRUE) {
        const int n = sweep(path, read);
        g_test_message("%s: %d calls, every %d. fails %s", path, n, STRIDE,
                       for_good ? "with all that follow" : "by itself");
        g_assert_cmpint(n, >, least);
        if (for_good) break;
    }
    for_good = FALSE;
}

static void test_checkpoint(void) {
    static real_t vector[3] = {0.5F, -1.25F, 3};
    const attributes_t one = {
        .n = 1, .Z = 3, .info = {{"density", "notes a beat", 1.0 / 3, 0.7, 0.9, 1}}, .vectors = vector};
    char *folder = make_folder();
    g_autofree char *path = checkpoint_path(folder, 1);
    g_autoptr(GError) error = NULL;
    g_auto(state_t) state;
    state_init(&state, &small, 1);
    write_state(path, &state);
    g_assert_true(checkpoint_write_attributes(path, &one, NULL, &error));
    sweep_both(path, checkpoint_digest, 500);
    remove_folder(folder);
}

static char *digest_folder_of(const char *path, GError **error) {
    g_autofree char *folder = g_path_get_dirname(path);
    return shard_digest(folder, error);
}

static void test_shard(void) {
    char *folder = g_dir_make_tmp("mpianist-shard-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "shard-00000-of-00001.h5", NULL);
    g_autoptr(GError) error = NULL;
    shard_set_t head = {.grid = grid_default(), .options = (char *)"", .n_shards = 1};
    shard_song_t song = {.frames = 3, .tempo_bpm = 60, .meter_numerator = 4, .meter_denominator = 4};
    g_autofree uint8_t *bits = g_malloc0(3 * grid_frame_bytes(&head.grid));
    g_assert_true(shard_write(folder, &head, 0, &song, NULL, NULL, 1, bits, 3, 1, &error));
    sweep_both(path, digest_folder_of, 50);
    remove_folder(folder);
}

static void assert_says(GError *error, const char *says) {
    g_assert_nonnull(error);
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
}

/* A write that fails says what helps; what was there before stays. */
static void test_way_out(void) {
    static const struct {
        int cause;
        const char *says;
    } cases[] = {{ENOSPC, "*: cannot write: *; free some space or choose another folder"},
                 {EDQUOT, "*: cannot write: *; free some space or choose another folder"},
                 {EFBIG, "*: cannot write: *; raise the file size limit*"},
                 {EACCES, "*: cannot write: *; choose a folder that you may write to"},
                 {EPERM, "*: cannot write: *; choose a folder that you may write to"},
                 {EROFS, "*: cannot write: *; choose a folder that you may write to"},
                 {EIO, "*: cannot write: Input/output error"}};
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "a.h5", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        h5_file_t *file = h5_file_create(path, &error);
        g_assert_no_error(error);
        calls = 0;
        failing = 1; /* fsync of the file */
        cause = cases[i].cause;
        g_assert_false(h5_file_commit(file, NULL, &error));
        assert_says(error, cases[i].says);
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    }
    cause = EIO;
    failing = 0;
    remove_folder(folder);
}

/* A file that may not be read, one that goes while it is opened, and names that others hold. */
static void test_open(void) {
    static const int refusals[] = {EACCES, EPERM};
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "a.h5", NULL);
    g_autoptr(GError) error = NULL;
    g_assert_true(h5_file_commit(h5_file_create(path, NULL), NULL, &error));
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_autoptr(GError) refusal = NULL;
        calls = 0;
        failing = 1;
        cause = refusals[i];
        g_assert_null(h5_file_open(path, &refusal));
        assert_says(refusal, "*: cannot open: *; make it readable");
    }
    cause = EIO;
    failing = 0;
    g_unlink(path);
    g_assert_cmpint(g_mkdir(path, 0777), ==, 0);
    g_assert_false(h5_file_commit(h5_file_create(path, NULL), NULL, &error));
    assert_says(error, "*/a.h5: cannot write: Is a directory");
    g_rmdir(path);
    remove_folder(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/h5-failing/checkpoint", test_checkpoint);
    g_test_add_func("/h5-failing/shard", test_shard);
    g_test_add_func("/h5-failing/way-out", test_way_out);
    g_test_add_func("/h5-failing/open", test_open);
    return g_test_run();
}
