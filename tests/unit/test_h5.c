/* Tests of preprocess/h5: round trips, equal bytes, refusal of damaged files, and what a failed write leaves
 * behind. */
#include "preprocess/shard/h5.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "tests/helpers/full_disk.h"

enum { ROWS = 700, COLS = 500 };

static gboolean has_temporary(const char *path) {
    g_autofree char *temporary = file_temporary(path);
    return g_file_test(temporary, G_FILE_TEST_EXISTS);
}

static float *ramp(size_t n) {
    float *values = g_new(float, n);
    for (size_t i = 0; i < n; i++) values[i] = (float)i * 0.25F - 7;
    return values;
}

static void write_sample(const char *path) {
    g_autoptr(GError) error = NULL;
    g_autofree float *values = ramp(ROWS * COLS);
    h5_file_t *file = h5_file_create(path, &error);
    g_assert_no_error(error);
    g_assert_true(h5_write_floats(file, "/weights/deep/w", values, ROWS, COLS, &error));
    g_assert_true(h5_write_int(file, "/", "step", -12, &error));
    g_assert_true(h5_write_int(file, "/", "step", INT64_MAX, &error)); /* replaces */
    g_assert_true(h5_write_double(file, "/weights", "rate", 1e-3, &error));
    g_assert_true(h5_write_string(file, "/", "name", "Dvořák, \"Rusalka\"", &error));
    g_assert_true(h5_write_string(file, "/", "empty", "", &error));
    for (int i = 0; i < 20; i++) { /* enough for HDF5's dense storage */
        g_autofree char *name = g_strdup_printf("extra%d", i);
        g_assert_true(h5_write_int(file, "/", name, i, &error));
    }
    g_assert_true(h5_file_commit(file, NULL, &error));
    g_assert_no_error(error);
}

static void assert_sample(const char *path) {
    g_autoptr(GError) error = NULL;
    g_autofree float *wanted = ramp(ROWS * COLS);
    g_autofree float *values = g_new0(float, ROWS *COLS);
    g_autoptr(h5_file_t) file = h5_file_open(path, &error);
    g_assert_no_error(error);
    g_assert_true(h5_read_floats(file, "/weights/deep/w", values, ROWS, COLS, &error));
    g_assert_true(memcmp(values, wanted, ROWS * COLS * sizeof *values) == 0);
    int64_t step = 0;
    double rate = 0;
    g_assert_true(h5_read_int(file, "/", "step", &step, &error));
    g_assert_cmpint(step, ==, INT64_MAX);
    g_assert_true(h5_read_double(file, "/weights", "rate", &rate, &error));
    g_assert_cmpfloat(rate, ==, 1e-3);
    g_autofree char *name = h5_read_string(file, "/", "name", &error);
    g_assert_cmpstr(name, ==, "Dvořák, \"Rusalka\"");
    g_autofree char *empty = h5_read_string(file, "/", "empty", &error);
    g_assert_cmpstr(empty, ==, "");
}

static void test_round_trip(void) {
    write_sample("round.h5");
    assert_sample("round.h5");
    g_assert_false(has_temporary("round.h5"));
}

static void test_same_bytes(void) {
    g_autofree char *first = NULL, *second = NULL;
    gsize n_first = 0, n_second = 0;
    write_sample("a.h5");
    g_usleep(1100000); /* a stored time would differ by now */
    write_sample("b.h5");
    g_assert_true(g_file_get_contents("a.h5", &first, &n_first, NULL));
    g_assert_true(g_file_get_contents("b.h5", &second, &n_second, NULL));
    g_assert_cmpuint(n_first, ==, n_second);
    g_assert_true(memcmp(first, second, n_first) == 0);
}

static void test_wrong_requests(void) {
    float values[4];
    int64_t number = 0;
    write_sample("wrong.h5");
    g_autoptr(h5_file_t) file = h5_file_open("wrong.h5", NULL);
    struct {
        gboolean done;
        GError *error;
        const char *says;
    } cases[5] = {{0}};
    cases[0].done = h5_read_floats(file, "/weights/deep/w", values, 2, 2, &cases[0].error);
    cases[0].says = "*it is 700 x 500, wanted 2 x 2*";
    cases[1].done = h5_read_floats(file, "/absent", values, 2, 2, &cases[1].error);
    cases[1].says = "wrong.h5: cannot read /absent: *";
    cases[2].done = h5_read_int(file, "/", "name", &number, &cases[2].error);
    cases[2].says = "*attribute name: it has another type*";
    cases[3].done = h5_read_int(file, "/", "absent", &number, &cases[3].error);
    cases[3].says = "*attribute absent: there is none*";
    cases[4].done = h5_read_string(file, "/nowhere", "name", &cases[4].error) != NULL;
    cases[4].says = "*attribute name: the file is damaged (HDF5: *";
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_false(cases[i].done);
        g_assert_nonnull(cases[i].error);
        if (!g_pattern_match_simple(cases[i].says, cases[i].error->message))
            g_error("'%s' is not '%s'", cases[i].error->message, cases[i].says);
        g_error_free(cases[i].error);
    }
}

/* A file may claim a text of any length. */
static void test_long_text(void) {
    g_autofree char *text = g_strnfill((1 << 24) + 1, 'x');
    g_autoptr(GError) error = NULL;
    h5_file_t *written = h5_file_create("long.h5", &error);
    g_assert_true(h5_write_string(written, "/", "long", text, &error) &&
                  h5_write_string(written, "/", "most", text + 1, &error) &&
                  h5_file_commit(written, NULL, &error));
    g_autoptr(h5_file_t) file = h5_file_open("long.h5", &error);
    g_autofree char *most = h5_read_string(file, "/", "most", &error);
    g_assert_cmpstr(most, ==, text + 1);
    g_assert_null(h5_read_string(file, "/", "long", &error));
    g_assert_true(
        g_str_has_prefix(error->message, "long.h5: cannot read attribute long: it is impossibly long"));
}

static void assert_refused(const char *path, const char *says) {
    g_autoptr(GError) error = NULL;
    g_assert_null(h5_file_open(path, &error));
    g_assert_nonnull(error);
    if (!g_pattern_match_simple(says, error->message)) g_error("'%s' is not '%s'", error->message, says);
}

static void test_damaged(void) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    g_autoptr(GError) error = NULL;
    g_autofree float *values = g_new0(float, ROWS *COLS);
    assert_refused("none.h5", "none.h5: cannot open: No such file or directory; check its name");
    assert_refused(".", ".: cannot open: it is a folder; name a file in it");
    assert_refused("/dev/null", "/dev/null: cannot read it: not a file;*");
    g_assert_true(g_file_set_contents("text.h5", "not at all", -1, NULL));
    assert_refused("text.h5", "text.h5: cannot read it: not an HDF5 file of version 1.10 or newer;*");
    assert_refused("text.h5/none.h5", "text.h5/none.h5: cannot open: Not a directory; check its name");
    g_assert_true(g_file_set_contents("empty.h5", "", 0, NULL));
    assert_refused("empty.h5", "empty.h5: cannot read it: the file is empty; give another, or make it again");
    g_assert_cmpint(mkfifo("pipe.h5", 0666), ==, 0); /* nobody writes to it */
    assert_refused("pipe.h5", "pipe.h5: cannot read it: not a file;*");
    write_sample("damaged.h5");
    g_assert_true(g_file_get_contents("damaged.h5", &bytes, &n, NULL));
    bytes[8] = 0; /* the superblock's version: before 2 there are no checksums */
    g_assert_true(g_file_set_contents("old.h5", bytes, (gssize)n, NULL));
    assert_refused("old.h5", "old.h5: cannot read it: not an HDF5 file of version 1.10 or newer;*");
    bytes[8] = 3;
    g_assert_true(g_file_set_contents("short.h5", bytes, (gssize)(n * 2 / 3), NULL));
    assert_refused("short.h5", "short.h5: cannot open: the file is cut short (HDF5: truncated file*); copy "
                               "it anew, or make it again");
    bytes[n / 2] ^= 0x10; /* amid the matrix: Fletcher-32 must see it */
    g_assert_true(g_file_set_contents("damaged.h5", bytes, (gssize)n, NULL));
    g_autoptr(h5_file_t) file = h5_file_open("damaged.h5", &error);
    g_assert_no_error(error);
    g_assert_false(h5_read_floats(file, "/weights/deep/w", values, ROWS, COLS, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(
        strstr(error->message, "damaged.h5: cannot read /weights/deep/w: the file is damaged (HDF5: "));
}

/* Every single bit flip or cut of a small file is either refused or read; it never ends the process. */
static void test_any_damage(void) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    h5_file_t *small = h5_file_create("small.h5", NULL);
    const float values[4] = {1, 2, 3, 4};
    g_assert_true(h5_write_floats(small, "/w", values, 2, 2, NULL) &&
                  h5_write_string(small, "/", "name", "small", NULL));
    g_assert_true(h5_file_commit(small, NULL, NULL));
    g_assert_true(g_file_get_contents("small.h5", &bytes, &n, NULL));
    for (gsize i = 0; i < n; i += 7) {
        float back[4];
        bytes[i] ^= (char)(1 << i % 8);
        g_assert_true(g_file_set_contents("flipped.h5", bytes, (gssize)n, NULL));
        bytes[i] ^= (char)(1 << i % 8);
        g_autoptr(h5_file_t) file = h5_file_open("flipped.h5", NULL);
        if (!file) continue;
        g_autofree char *name = h5_read_string(file, "/", "name", NULL);
        if (h5_read_floats(file, "/w", back, 2, 2, NULL))
            g_assert_true(memcmp(back, values, sizeof values) == 0);
    }
}

static void test_full_disk(void) {
    g_autoptr(GError) error = NULL;
    write_sample("full.h5");
    g_autofree float *values = ramp(2 * ROWS * COLS);
    const struct rlimit old = full_disk_begin(1 << 20);
    h5_file_t *file = h5_file_create("full.h5", &error);
    g_assert_no_error(error);
    g_assert_true(h5_write_floats(file, "/weights/deep/w", values, 2 * ROWS, COLS, &error));
    g_assert_false(h5_file_commit(file, NULL, &error));
    full_disk_end(old);
    g_assert_error(error, H5_ERROR, H5_ERROR_WRITE);
    g_assert_true(g_str_has_prefix(error->message, "full.h5: cannot write: File too large; "));
    g_assert_false(has_temporary("full.h5"));
    assert_sample("full.h5"); /* the old file stands */
    g_clear_error(&error);
    g_assert_null(h5_file_create("no/such/folder.h5", &error));
    g_assert_cmpstr(error->message, ==, "no/such/folder.h5: cannot create: No such file or directory");
}

/* Closing without a commit leaves the old file, and no temporary. */
static void test_abandoned(void) {
    write_sample("kept.h5");
    h5_file_t *file = h5_file_create("kept.h5", NULL);
    g_assert_true(h5_write_int(file, "/", "step", 1, NULL));
    g_assert_true(has_temporary("kept.h5"));
    h5_file_close(file);
    g_assert_false(has_temporary("kept.h5"));
    assert_sample("kept.h5");
    h5_file_close(NULL);
}

/* Moves the link latest.h5 from file to file, and removes the one before, as a run does, until `ended`. */
static gint ended;
static gpointer move_link(gpointer data) {
    const GString *bytes = data;
    g_autofree char *before = NULL;
    for (int i = 0; !g_atomic_int_get(&ended); i++) {
        char *path = g_strdup_printf("moved-%d.h5", i);
        g_assert_true(g_file_set_contents(path, bytes->str, (gssize)bytes->len, NULL));
        g_assert_true(symlink(path, "made") == 0 && g_rename("made", "latest.h5") == 0);
        g_assert_true(!before || g_remove(before) == 0);
        g_free(before);
        before = path;
    }
    return NULL;
}

static void test_moving_link(void) {
    g_autoptr(GError) error = NULL;
    GString bytes = {0};
    write_sample("still.h5");
    g_assert_true(g_file_get_contents("still.h5", &bytes.str, &bytes.len, NULL));
    GThread *writer = g_thread_new("writer", move_link, &bytes);
    while (!g_file_test("latest.h5", G_FILE_TEST_EXISTS)) g_usleep(1000);
    for (int i = 0; i < 500; i++) {
        g_autoptr(h5_file_t) file = h5_file_open("latest.h5", &error);
        g_assert_no_error(error);
    }
    g_atomic_int_set(&ended, 1);
    g_thread_join(writer);
    g_free(bytes.str);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/h5/round-trip", test_round_trip);
    g_test_add_func("/h5/same-bytes", test_same_bytes);
    g_test_add_func("/h5/wrong-requests", test_wrong_requests);
    g_test_add_func("/h5/long-text", test_long_text);
    g_test_add_func("/h5/damaged", test_damaged);
    g_test_add_func("/h5/any-damage", test_any_damage);
    g_test_add_func("/h5/moving-link", test_moving_link);
    g_test_add_func("/h5/full-disk", test_full_disk);
    g_test_add_func("/h5/abandoned", test_abandoned);
    return g_test_run();
}
