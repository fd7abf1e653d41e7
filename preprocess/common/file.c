/* file: owns temporary names, which tell hosts and processes apart, and how one of many processes gives a
 * file its name. */
#include "preprocess/common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
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

/* Opens a file or folder for fsync() or syncfs(). */
static gboolean sync_by(int (*sync)(int fd), const char *path, int flags) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    const gboolean synced = fd >= 0 && sync(fd) == 0;
    const int cause = errno;
    if (fd >= 0) close(fd);
    errno = cause;
    return synced;
}

/* A folder that may not be opened (EACCES), or whose file system cannot sync folders (EINVAL), passes. */
gboolean file_sync_folder_of(const char *path) {
    g_autofree char *folder = g_path_get_dirname(path);
    return sync_by(fsync, folder, O_DIRECTORY) || errno == EACCES || errno == EINVAL;
}

static gboolean replace(const char *path, const void *bytes, size_t size, gboolean synced) {
    g_autofree char *temporary = file_temporary(path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0 && file_write_at(fd, 0, bytes, size) && (!synced || fsync(fd) == 0) &&
        close(g_steal_fd(&fd)) == 0 && rename(temporary, path) == 0)
        return TRUE;
    const int cause = errno;
    if (fd >= 0) close(fd);
    unlink(temporary);
    errno = cause;
    return FALSE;
}

gboolean file_replace(const char *path, const void *bytes, size_t size) {
    return replace(path, bytes, size, TRUE) && file_sync_folder_of(path);
}

gboolean file_replace_unsynced(const char *path, const void *bytes, size_t size) {
    return replace(path, bytes, size, FALSE);
}

/* Syncs all of the disk that a file is on. That also waits for what other programs have written there, but
 * only once: fsync() waits for the disk once a file, even where everything is there already. FALSE where the
 * system cannot, or is a Linux before 5.8, which keeps failed writes to itself here. */
static gboolean sync_disk_of(const char *path) {
#ifdef __linux__
    struct utsname system;
    int version = 0, patch = 0;
    return uname(&system) == 0 && sscanf(system.release, "%d.%d", &version, &patch) == 2 &&
           version * 1000 + patch >= 5008 && sync_by(syncfs, path, 0);
#else
    (void)path;
    return FALSE;
#endif
}

/* Where the disk tells of a failed write, which may be another program's, each file is asked for its own. */
gboolean file_sync_all(char *const *paths, size_t n, const char *way_out, GError **error) {
    enum { FEW = 16 }; /* are faster one by one where another program writes much */
    if (n == 0) return TRUE;
    if (n <= FEW || !sync_disk_of(paths[0]))
        for (size_t i = 0; i < n; i++)
            if (!sync_by(fsync, paths[i], 0) && errno != ENOENT)
                return file_fail(error, paths[i], "bring to disk", way_out);
    g_autofree char *folder = g_path_get_dirname(paths[0]);
    return file_sync_folder_of(paths[0]) || file_fail(error, folder, "bring to disk", way_out);
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
