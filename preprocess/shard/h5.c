/* h5: HDF5 behind checked calls. Owns file handles, the way a file gets its final name, scalar attributes and
 * float matrices; refuses to know what any of them mean. Files are written in memory (the core driver) and
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
enum { CORE_INCREMENT = 4 << 20, CHUNK_BYTES = 1 << 20, END_OF_FILE_OFFSET = 28 };

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

/* kind: "attribute " or "". */
static gboolean fail_format(GError **error, const h5_file_t *file, const char *kind, const char *name,
                            const char *cause) {
    g_autofree char *shown = g_filename_display_name(file->path);
    g_set_error(error, H5_ERROR, H5_ERROR_FORMAT,
                "%s: cannot read %s%s: %s; the file is damaged or written by another program; give another, "
                "or make it again",
                shown, kind, name, cause);
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

/* Whether the file can be read, with its stat(2) in status; otherwise error says why not. */
static gboolean is_readable(const char *path, struct stat *status, GError **error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gboolean readable = fd >= 0 && fstat(fd, status) == 0;
    if (!readable) {
        int cause = errno;
        g_autofree char *shown = g_filename_display_name(path);
        g_set_error(error, H5_ERROR, H5_ERROR_OPEN, "%s: cannot open: %s%s", shown, g_strerror(cause),
                    cause == ENOENT || cause == ENOTDIR ? "; look for its name"
                    : cause == EACCES || cause == EPERM ? "; make it readable"
                                                        : "");
    }
    if (fd >= 0) close(fd);
    return readable;
}

h5_file_t *h5_file_open(const char *path, GError **error) {
    g_autoptr(h5_file_t) file = file_new(path);
    struct stat status;
    if (!is_readable(path, &status, error)) return NULL;
    if (S_ISDIR(status.st_mode)) {
        g_set_error(error, H5_ERROR, H5_ERROR_OPEN, "%s: cannot open: it is a folder; name a file in it",
                    path);
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) return fail_format(error, file, "", "it", "not a file"), NULL;
    g_auto(h5_id_t) access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, FALSE, TRUE);
#else
    g_setenv("HDF5_USE_FILE_LOCKING", "FALSE", FALSE);
#endif
    if (status.st_size == 0) {
        g_set_error(error, H5_ERROR, H5_ERROR_FORMAT,
                    "%s: cannot read it: the file is empty; give another, or make it again", path);
        return NULL;
    }
    if (H5Fis_hdf5(path) == 0) return fail_format(error, file, "", "it", "not an HDF5 file"), NULL;
    file->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file->id < 0) { /* where it has gone meanwhile, it is not damaged */
        if (is_readable(path, &status, error)) h5_fail(error, H5_ERROR_OPEN, file, "open");
        return NULL;
    }
    return g_steal_pointer(&file);
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

gboolean h5_file_commit(h5_file_t *file, owner_t *owner, GError **error) {
    g_autoptr(h5_file_t) owned = file;
    size_t size = finish_image(file);
    if (size == 0) return h5_fail(error, H5_ERROR_WRITE, file, "finish");
    gboolean written = file_write_at(file->fd, 0, file->image, size) && fsync(file->fd) == 0;
    if (written) written = close(g_steal_fd(&file->fd)) == 0;
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

static gboolean write_attribute(h5_file_t *file, const char *object, const char *name, hid_t stored,
                                hid_t memory, const void *value, GError **error) {
    g_auto(h5_id_t) space = H5Screate(H5S_SCALAR);
    g_auto(h5_id_t) attribute = H5I_INVALID_HID;
    if (H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) <= 0 ||
        H5Adelete_by_name(file->id, object, name, H5P_DEFAULT) >= 0)
        attribute =
            H5Acreate_by_name(file->id, object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    return (attribute >= 0 && H5Awrite(attribute, memory, value) >= 0) ||
           h5_fail(error, H5_ERROR_WRITE, file, "write attribute %s", name);
}

hid_t h5_string_type(size_t length) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, MAX(length, 1));
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

gboolean h5_write_int(h5_file_t *file, const char *object, const char *name, int64_t value, GError **error) {
    return write_attribute(file, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, error);
}

gboolean h5_write_double(h5_file_t *file, const char *object, const char *name, double value,
                         GError **error) {
    return write_attribute(file, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, error);
}

gboolean h5_write_string(h5_file_t *file, const char *object, const char *name, const char *value,
                         GError **error) {
    g_auto(h5_id_t) type = h5_string_type(strlen(value));
    return write_attribute(file, object, name, type, type, value[0] ? value : "\0", error);
}

/* Opens a scalar attribute of the given class. */
static hid_t open_attribute(h5_file_t *file, const char *object, const char *name, H5T_class_t wanted,
                            GError **error) {
    if (H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) <= 0)
        return fail_format(error, file, "attribute ", name, "there is none"), H5I_INVALID_HID;
    g_auto(h5_id_t) attribute = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    g_auto(h5_id_t) type = attribute < 0 ? attribute : H5Aget_type(attribute);
    g_auto(h5_id_t) space = attribute < 0 ? attribute : H5Aget_space(attribute);
    if (type < 0 || space < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read attribute %s", name), H5I_INVALID_HID;
    if (H5Tget_class(type) != wanted || H5Sget_simple_extent_npoints(space) != 1 ||
        (wanted == H5T_INTEGER && H5Tget_size(type) > sizeof(int64_t)))
        return fail_format(error, file, "attribute ", name, "it has another type"), H5I_INVALID_HID;
    return h5_keep(&attribute);
}

static gboolean read_number(h5_file_t *file, const char *object, const char *name, H5T_class_t wanted,
                            hid_t memory, void *value, GError **error) {
    g_auto(h5_id_t) attribute = open_attribute(file, object, name, wanted, error);
    if (attribute < 0) return FALSE;
    return H5Aread(attribute, memory, value) >= 0 ||
           h5_fail(error, H5_ERROR_READ, file, "read attribute %s", name);
}

gboolean h5_read_int(h5_file_t *file, const char *object, const char *name, int64_t *value, GError **error) {
    return read_number(file, object, name, H5T_INTEGER, H5T_NATIVE_INT64, value, error);
}

gboolean h5_read_double(h5_file_t *file, const char *object, const char *name, double *value,
                        GError **error) {
    return read_number(file, object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, value, error);
}

char *h5_read_string(h5_file_t *file, const char *object, const char *name, GError **error) {
    g_auto(h5_id_t) attribute = open_attribute(file, object, name, H5T_STRING, error);
    if (attribute < 0) return NULL;
    g_auto(h5_id_t) stored = H5Aget_type(attribute);
    if (H5Tis_variable_str(stored) != 0)
        return fail_format(error, file, "attribute ", name, "it is a string of variable length"), NULL;
    g_autofree char *value = g_malloc0(H5Tget_size(stored) + 1);
    if (H5Aread(attribute, stored, value) < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read attribute %s", name), NULL;
    if (!g_utf8_validate(value, -1, NULL))
        return fail_format(error, file, "attribute ", name, "it is not UTF-8"), NULL;
    return g_steal_pointer(&value);
}

/* Makes the groups above `name`, without times: groups that HDF5 makes by itself carry the time. */
static gboolean make_parents(h5_file_t *file, const char *name) {
    g_auto(h5_id_t) creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, FALSE);
    for (const char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        g_autofree char *parent = g_strndup(name, (gsize)(slash - name));
        if (H5Lexists(file->id, parent, H5P_DEFAULT) > 0) continue;
        g_auto(h5_id_t) group = H5Gcreate2(file->id, parent, H5P_DEFAULT, creation, H5P_DEFAULT);
        if (group < 0) return FALSE;
    }
    return TRUE;
}

gboolean h5_write_floats(h5_file_t *file, const char *name, const float *values, size_t rows, size_t cols,
                         GError **error) {
    hsize_t size[2] = {rows, cols};
    hsize_t chunk[2] = {CLAMP(CHUNK_BYTES / sizeof *values / MAX(cols, 1), 1, rows),
                        MIN(cols, CHUNK_BYTES / sizeof *values)};
    g_auto(h5_id_t) space = H5Screate_simple(2, size, NULL);
    g_auto(h5_id_t) creation = H5Pcreate(H5P_DATASET_CREATE);
    g_auto(h5_id_t) dataset = H5I_INVALID_HID;
    if (make_parents(file, name) && H5Pset_chunk(creation, 2, chunk) >= 0 &&
        H5Pset_fletcher32(creation) >= 0 && H5Pset_obj_track_times(creation, FALSE) >= 0)
        dataset = H5Dcreate2(file->id, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    return (dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0 &&
            H5Dflush(dataset) >= 0) ||
           h5_fail(error, H5_ERROR_WRITE, file, "write %s", name);
}

gboolean h5_read_floats(h5_file_t *file, const char *name, float *values, size_t rows, size_t cols,
                        GError **error) {
    g_auto(h5_id_t) dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    g_auto(h5_id_t) space = dataset < 0 ? dataset : H5Dget_space(dataset);
    g_auto(h5_id_t) type = dataset < 0 ? dataset : H5Dget_type(dataset);
    if (space < 0 || type < 0) return h5_fail(error, H5_ERROR_READ, file, "read %s", name);
    hsize_t size[2] = {0, 0};
    if (H5Tget_class(type) != H5T_FLOAT || H5Sget_simple_extent_ndims(space) != 2)
        return fail_format(error, file, "", name, "not a matrix of floats");
    H5Sget_simple_extent_dims(space, size, NULL);
    if (size[0] != rows || size[1] != cols) {
        g_autofree char *cause = g_strdup_printf("it is %zu x %zu, wanted %zu x %zu", (size_t)size[0],
                                                 (size_t)size[1], rows, cols);
        return fail_format(error, file, "", name, cause);
    }
    return H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0 ||
           h5_fail(error, H5_ERROR_READ, file, "read %s", name);
}
