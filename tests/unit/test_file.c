/* file: many files that are made to stay at once: how often the disk is waited for, on systems of every kind,
 * and what a disk that fails is told by. The functions here take the place of those of the C library. */
#include "preprocess/common/file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MANY = 40 };

static const char *release = "6.1.0-generic";
static int fsyncs, syncfses, syncfs_fails; /* calls so far; errno of syncfs(), 0: none */
static struct stat lost;                   /* the file or folder that fsync() cannot write */

int uname(struct utsname *system) {
    memset(system, 0, sizeof *system);
    g_strlcpy(system->release, release, sizeof system->release);
    return 0;
}

int fsync(int fd) {
    struct stat status;
    fsyncs++;
    g_assert_cmpint(fstat(fd, &status), ==, 0);
    if (status.st_ino != lost.st_ino) return 0;
    errno = EIO;
    return -1;
}

int syncfs(int fd) {
    (void)fd;
    syncfses++;
    errno = syncfs_fails;
    return syncfs_fails == 0 ? 0 : -1;
}

/* Files in a folder, written but not yet synced. */
static GStrv write_files(size_t n) {
    GStrv paths = g_new0(char *, n + 1);
    g_assert_cmpint(g_mkdir_with_parents("files", 0777), ==, 0);
    for (size_t i = 0; i < n; i++) {
        paths[i] = g_strdup_printf("files/%02zu", i);
        g_assert_true(file_replace_unsynced(paths[i], "abc", 3));
    }
    fsyncs = syncfses = 0;
    return paths;
}

static void expect_waits(size_t n, int whole_disk, int each) {
    g_auto(GStrv) paths = write_files(n);
    g_autoptr(GError) error = NULL;
    g_assert_true(file_sync_all(paths, n, "look elsewhere", &error));
    g_assert_no_error(error);
    g_assert_cmpint(syncfses, ==, whole_disk);
    g_assert_cmpint(fsyncs, ==, each);
}

static void test_waits(void) {
    expect_waits(0, 0, 0);
    expect_waits(1, 0, 2); /* the file and the folder */
    expect_waits(16, 0, 17);
    expect_waits(MANY, 1, 1);
    release = "5.8.0";
    expect_waits(MANY, 1, 1);
    release = "4.18.0-553.el8_10.x86_64"; /* does not tell of failed writes */
    expect_waits(MANY, 0, MANY + 1);
    release = "6.1.0-generic";
    syncfs_fails = ENOSYS;
    expect_waits(MANY, 1, MANY + 1);
    syncfs_fails = EIO; /* of another program's file */
    expect_waits(MANY, 1, MANY + 1);
    syncfs_fails = 0;
}

/* Files of which `path`, one of them or their folder, cannot be written. */
static void expect_lost(const char *path, size_t n) {
    g_auto(GStrv) paths = write_files(n);
    g_autoptr(GError) error = NULL;
    g_autofree char *wanted =
        g_strdup_printf("%s: cannot bring to disk: %s; look elsewhere", path, g_strerror(EIO));
    g_assert_cmpint(stat(path, &lost), ==, 0);
    g_assert_false(file_sync_all(paths, n, "look elsewhere", &error));
    g_assert_cmpstr(error->message, ==, wanted);
    lost.st_ino = 0;
}

static void test_lost(void) {
    expect_lost("files/02", 3);
    expect_lost("files", 3);
    expect_lost("files", MANY);
    syncfs_fails = EIO;
    expect_lost("files/39", MANY);
    expect_lost("files", MANY);
    syncfs_fails = 0;
}

/* What somebody has moved on or removed meanwhile is no error. */
static void test_removed(void) {
    g_auto(GStrv) paths = write_files(3);
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(g_unlink("files/01"), ==, 0);
    g_assert_true(file_sync_all(paths, 3, "look elsewhere", &error));
    g_assert_no_error(error);
    g_assert_cmpint(fsyncs, ==, 3);
}

/* A file takes the place of another at once, without waiting for the disk; one that waits for it does so for
 * itself and its folder. */
static void test_replace(void) {
    g_autofree char *text = NULL;
    fsyncs = 0;
    g_assert_true(file_replace("replaced", "old", 3));
    g_assert_cmpint(fsyncs, ==, 2);
    g_assert_true(file_replace_unsynced("replaced", "new one", 7));
    g_assert_cmpint(fsyncs, ==, 2);
    g_assert_true(g_file_get_contents("replaced", &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "new one");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file/waits", test_waits);
    g_test_add_func("/file/lost", test_lost);
    g_test_add_func("/file/removed", test_removed);
    g_test_add_func("/file/replace", test_replace);
    return g_test_run();
}
