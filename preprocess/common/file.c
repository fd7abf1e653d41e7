/* file: owns temporary names, which tell hosts and processes apart, and how one of many processes gives a
 * file its name. */
#include "preprocess/common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preprocess/common/program.h"

char *file_host_name(void) {
    char name[256] = "";
    const gboolean known = gethostname(name, sizeof name - 1) == 0 && name[0];
    /* g_get_host_name() keeps what it found at its first call. */
    return g_strcanon(g_strdup(known ? name : g_get_host_name()),
                      G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS ".-", '_');
}

char *file_temporary_of(const char *path, pid_t pid) {
    g_autofree char *host = file_host_name();
    return g_strdup_printf("%s.%.32s-%d.tmp", path, host, (int)pid);
}

char *file_temporary(const char *path) { return file_temporary_of(path, getpid()); }

void file_sweep(const char *folder, const char *prefix,
                gboolean (*goes)(const char *path, gconstpointer data), gconstpointer data) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_strdup_printf("%s/%s", folder, name);
        if (g_str_has_prefix(name, prefix) && g_str_has_suffix(name, ".tmp") && (!goes || goes(path, data)))
            unlink(path);
    }
}

gboolean file_fail(GError **error, const char *path, const char *doing, const char *way_out) {
    const int cause = errno;
    g_autofree char *shown = g_filename_display_name(path);
    return program_fail(error, "%s: cannot %s: %s; %s", shown, doing, g_strerror(cause), way_out);
}

gboolean file_write_at(int fd, int64_t offset, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, offset + (int64_t)done);
        if (n < 0 && errno != EINTR) return FALSE;
        done += (size_t)MAX(n, 0);
    }
    return TRUE;
}

/* A folder that may not be opened (EACCES), or whose file system cannot sync folders (EINVAL), passes. */
gboolean file_sync_folder_of(const char *path) {
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES;
    gboolean synced = fsync(fd) == 0 || errno == EINVAL;
    int cause = errno;
    close(fd);
    errno = cause;
    return synced;
}

gboolean file_replace(const char *path, const void *bytes, size_t size) {
    g_autofree char *temporary = file_temporary(path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0 && file_write_at(fd, 0, bytes, size) && fsync(fd) == 0 && close(g_steal_fd(&fd)) == 0 &&
        rename(temporary, path) == 0)
        return file_sync_folder_of(path);
    const int cause = errno;
    if (fd >= 0) close(fd);
    unlink(temporary);
    errno = cause;
    return FALSE;
}

int file_write_text(const char *path, int flags, const char *text) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0) return -1;
    const ssize_t n = write(fd, text, strlen(text));
    if (n == (ssize_t)strlen(text)) return fd;
    const int cause = n < 0 ? errno : ENOSPC;
    close(fd);
    unlink(path);
    errno = cause;
    return -1;
}

int file_place(const char *temporary, int fd, const char *path, const char *text) {
    struct stat status;
    const int linked = link(temporary, path), cause = errno;
    if (linked == 0 || (fstat(fd, &status) == 0 && status.st_nlink == 2)) return dup(fd);
    if (cause == EEXIST) return errno = cause, -1;
    return file_write_text(path, O_EXCL, text);
}
