/* h5: HDF5 behind checked calls. Owns file handles, the way a file gets its final name, and what is said of a
 * failure; what lies in a file is h5_values.c's. Files are written in memory (the core driver) and
 * copied to disk by write(2): after a failed write HDF5 keeps its caches dirty and cannot even close, while a
 * short write(2) is an errno and an unlink(). The price is the file's size in memory once. */
#include "preprocess/shard/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preprocess/common/file.h"

/* END_OF_FILE_OFFSET: where a superblock of version 2 or 3 with 8-byte addresses has the file's size (HDF5
 * File Format Specification, II.A). */
enum { CORE_INCREMENT = 4 << 20, END_OF_FILE_OFFSET = 28 };
enum { SIGNATURE = 8 /* bytes, before the superblock's version */ };

struct h5_file {
    hid_t id;
    char *path;
    char *temporary; /* NULL where reading */
    int fd;          /* of the temporary, or -1 */
    uint8_t *image;  /* the bytes of a written file once HDF5 has closed it */
};

G_DEFINE_QUARK(mpianist_h5_error, h5_error)

static GRecMutex lock; /* held while a file is open: HDF5 is not made for several threads */

void h5_release(hid_t id) {
    if (id >= 0) H5Idec_ref(id);
}

hid_t h5_keep(h5_id_t *id) {
    const hid_t kept = *id;
    *id = H5I_INVALID_HID;
    return kept;
}

static herr_t keep_innermost(unsigned n, const H5E_error2_t *entry, void *data) {
    char **cause = data;
    if (n == 0 && entry->desc) *cause = g_strdup(entry->desc);
    return 0;
}

/* "unable to open file: ..., error message = 'No such file or directory', ..." -> the message between the
 * quotes; NULL where there is none. */
static char *system_cause(const char *reason) {
    static const char key[] = "error message = '";
    const char *message = strstr(reason, key);
    return message ? g_strndup(message + sizeof key - 1, strcspn(message + sizeof key - 1, "'")) : NULL;
}

/* HDF5's reason in plain words, with the way out. Owner: caller. */
static char *plain_cause(h5_error_t code, const char *reason) {
    char *cause = system_cause(reason);
    if (cause) return cause;
    if (strstr(reason, "memory allocation failed"))
        return g_strdup_printf("not enough memory (HDF5: %s)", reason);
    if (code == H5_ERROR_WRITE)
        return g_strdup_printf("HDF5 failed (%s), perhaps for want of memory", reason);
    return g_strdup_printf("the file is %s (HDF5: %s); copy it anew, or make it again",
                           g_str_has_prefix(reason, "truncated file") ? "cut short" : "damaged", reason);
}

static const char *way_out(int cause) {
    switch (cause) {
    case ENOSPC:
    case EDQUOT: return "; free some space or choose another folder";
    case EFBIG: return "; raise the file size limit (ulimit -f) or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS: return "; choose a folder that you may write to";
    default: return "";
    }
}

gboolean h5_fail(GError **error, h5_error_t code, const h5_file_t *file, const char *doing, ...) {
    int cause = errno;
    va_list arguments;
    g_autofree char *reason = NULL;
    if (H5Eget_num(H5E_DEFAULT) > 0) H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &reason);
    g_autofree char *text =
        reason ? plain_cause(code, reason)
               : g_strconcat(g_strerror(cause), code == H5_ERROR_WRITE ? way_out(cause) : "", NULL);
    va_start(arguments, doing);
    g_autofree char *what = g_strdup_vprintf(doing, arguments);
    va_end(arguments);
    g_autofree char *shown = g_filename_display_name(file->path);
    g_set_error(error, H5_ERROR, (gint)code, "%s: cannot %s: %s", shown, what, text);
    return FALSE;
}

gboolean h5_refuse(GError **error, const h5_file_t *file, const char *what, const char *cause) {
    g_autofree char *shown = g_filename_display_name(file->path);
    g_set_error(error, H5_ERROR, H5_ERROR_FORMAT,
                "%s: cannot read %s: %s; the file is damaged or written by another program; give another, "
                "or make it again",
                shown, what, cause);
    return FALSE;
}

static h5_file_t *file_new(const char *path) {
    g_rec_mutex_lock(&lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5Eclear2(H5E_DEFAULT); /* so that h5_fail() knows a system call's failure from HDF5's */
    h5_file_t *file = g_new0(h5_file_t, 1);
    file->id = H5I_INVALID_HID;
    file->path = g_strdup(path);
    file->fd = -1;
    return file;
}

/* Whether the file can be read, with its stat(2) in status and its first bytes in head; otherwise error says
 * why not. A pipe is not waited for. */
static gboolean is_readable(const char *path, const char *resolved, struct stat *status, uint8_t *head,
                            GError **error) {
    int fd = open(resolved, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gboolean readable = fd >= 0 && fstat(fd, status) == 0;
    if (readable && S_ISREG(status->st_mode)) readable = pread(fd, head, SIGNATURE + 1, 0) >= 0;
    if (!readable) {
        int cause = errno;
        g_autofree char *shown = g_filename_display_name(path);
        g_set_error(error, H5_ERROR, H5_ERROR_OPEN, "%s: cannot open: %s%s", shown, g_strerror(cause),
                    cause == ENOENT || cause == ENOTDIR ? "; check its name"
                    : cause == EACCES || cause == EPERM ? "; make it readable"
                                                        : "");
    }
    if (fd >= 0) close(fd);
    return readable;
}

/* Whether a file of HDF5 1.10 or newer begins here, as all of ours are. HDF5 itself also looks further on for
 * its signature, and reads superblocks of versions before 2 and what they point at, which have no checksums:
 * damage could lead it there. */
static gboolean is_checksummed(const uint8_t *head) {
    return memcmp(head, "\x89HDF\r\n\x1a\n", SIGNATURE) == 0 && head[SIGNATURE] >= 2;
}

/* Opens the file that is at `resolved`, a path without links, since HDF5 follows links a second time and
 * takes one that was moved between for damage. */
static gboolean open_resolved(h5_file_t *file, const char *resolved, GError **error) {
    struct stat status;
    uint8_t head[SIGNATURE + 1] = {0};
    if (!is_readable(file->path, resolved, &status, head, error)) return FALSE;
    if (S_ISDIR(status.st_mode)) {
        g_set_error(error, H5_ERROR, H5_ERROR_OPEN, "%s: cannot open: it is a folder; name a file in it",
                    file->path);
        return FALSE;
    }
    if (!S_ISREG(status.st_mode)) return h5_refuse(error, file, "it", "not a file");
    g_auto(h5_id_t) access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, FALSE, TRUE);
#else
    g_setenv("HDF5_USE_FILE_LOCKING", "FALSE", FALSE);
#endif
    if (status.st_size == 0) {
        g_set_error(error, H5_ERROR, H5_ERROR_FORMAT,
                    "%s: cannot read it: the file is empty; give another, or make it again", file->path);
        return FALSE;
    }
    if (!is_checksummed(head))
        return h5_refuse(error, file, "it", "not an HDF5 file of version 1.10 or newer");
    file->id = H5Fopen(resolved, H5F_ACC_RDONLY, access);
    if (file->id >= 0) return TRUE;
    /* Where it has gone meanwhile, it is not damaged. */
    return is_readable(file->path, resolved, &status, head, error) &&
           h5_fail(error, H5_ERROR_OPEN, file, "open");
}

/* The path without links, or, where it cannot be followed, as it is. Owner: caller. */
static char *resolve(const char *path) {
    char *resolved = realpath(path, NULL), *copy = g_strdup(resolved ? resolved : path);
    free(resolved);
    return copy;
}

h5_file_t *h5_file_open(const char *path, GError **error) {
    g_autofree char *resolved = resolve(path);
    for (;;) {
        g_autoptr(h5_file_t) file = file_new(path);
        g_autoptr(GError) local = NULL;
        if (open_resolved(file, resolved, &local)) return g_steal_pointer(&file);
        /* A run that goes on moves its latest.h5, and removes what it was: then the new one is meant. */
        g_autofree char *now = resolve(path);
        if (g_str_equal(now, resolved)) return g_propagate_error(error, g_steal_pointer(&local)), NULL;
        g_free(g_steal_pointer(&resolved));
        resolved = g_steal_pointer(&now);
    }
}

/* Memory for HDF5's core driver, as its own, but closing hands it over instead of freeing it. */
static void *image_malloc(size_t size, G_GNUC_UNUSED H5FD_file_image_op_t op, G_GNUC_UNUSED void *file) {
    return malloc(size);
}

static void *image_realloc(void *image, size_t size, G_GNUC_UNUSED H5FD_file_image_op_t op,
                           G_GNUC_UNUSED void *file) {
    return realloc(image, size);
}

static herr_t keep_image(void *image, H5FD_file_image_op_t op, void *file) {
    if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
        ((h5_file_t *)file)->image = image;
    else
        free(image);
    return 0;
}

static void *image_memcpy(void *to, const void *from, size_t size, G_GNUC_UNUSED H5FD_file_image_op_t op,
                          G_GNUC_UNUSED void *file) {
    return memcpy(to, from, size);
}

static void *same_file(void *file) { return file; }
static herr_t forget_file(G_GNUC_UNUSED void *file) { return 0; }

h5_file_t *h5_file_create(const char *path, GError **error) {
    g_autoptr(h5_file_t) file = file_new(path);
    file->temporary = file_temporary(path);
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->fd < 0) return h5_fail(error, H5_ERROR_WRITE, file, "create"), NULL;
    g_auto(h5_id_t) access = H5Pcreate(H5P_FILE_ACCESS);
    g_auto(h5_id_t) creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5FD_file_image_callbacks_t callbacks = {image_malloc, image_memcpy, image_realloc, keep_image,
                                             same_file,    forget_file,  file};
    H5Pset_file_image_callbacks(access, &callbacks);
    H5Pset_fapl_core(access, CORE_INCREMENT, FALSE);
    /* From 1.10 on all metadata is under checksums: older chunk tables are not, and a bit flipped there reads
     * as silence. */
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_obj_track_times(creation, FALSE);
    file->id = H5Fcreate(file->temporary, H5F_ACC_TRUNC, creation, access);
    if (file->id < 0) return h5_fail(error, H5_ERROR_WRITE, file, "create"), NULL;
    return g_steal_pointer(&file);
}

/* Closes the HDF5 file and returns the size of its bytes, which keep_image() saved: only a closed file is
 * complete. 0 on failure. */
static size_t finish_image(h5_file_t *file) {
    uint64_t size = 0;
    gboolean closed = H5Fclose(file->id) >= 0;
    file->id = H5I_INVALID_HID;
    if (!closed || !file->image) return 0;
    H5Eclear2(H5E_DEFAULT);
    memcpy(&size, file->image + END_OF_FILE_OFFSET, sizeof size);
    return (size_t)GUINT64_FROM_LE(size);
}

/* Puts all bytes on disk, and meanwhile lets other threads have HDF5. FALSE with errno set. */
static gboolean write_image(h5_file_t *file, size_t size) {
    g_rec_mutex_unlock(&lock);
    gboolean written = file_write_at(file->fd, 0, file->image, size) && fsync(file->fd) == 0;
    if (written) written = close(g_steal_fd(&file->fd)) == 0;
    const int cause = errno;
    g_rec_mutex_lock(&lock);
    H5Eclear2(H5E_DEFAULT); /* of what others did */
    errno = cause;
    return written;
}

gboolean h5_file_commit(h5_file_t *file, owner_t *owner, GError **error) {
    g_autoptr(h5_file_t) owned = file;
    size_t size = finish_image(file);
    if (size == 0) return h5_fail(error, H5_ERROR_WRITE, file, "finish");
    const gboolean written = write_image(file, size);
    if (written && !owner_check(owner, error)) return FALSE;
    if (!written || rename(file->temporary, file->path) != 0)
        return h5_fail(error, H5_ERROR_WRITE, file, "write");
    g_clear_pointer(&file->temporary, g_free);
    return file_sync_folder_of(file->path) || h5_fail(error, H5_ERROR_WRITE, file, "sync the folder of");
}

void h5_file_close(h5_file_t *file) {
    if (!file) return;
    h5_release(file->id);
    if (file->fd >= 0) close(file->fd);
    if (file->temporary) unlink(file->temporary);
    free(file->image);
    g_free(file->temporary);
    g_free(file->path);
    g_free(file);
    g_rec_mutex_unlock(&lock);
}

hid_t h5_file_id(const h5_file_t *file) { return file->id; }
const char *h5_file_path(const h5_file_t *file) { return file->path; }
