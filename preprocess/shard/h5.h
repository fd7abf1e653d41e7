/* h5: checked HDF5 handles, attributes, and atomic file replacement. Owns nothing of any format; the only
 * module, with its callers' .c files, that includes hdf5.h. HDF5's own error printing is off: causes reach
 * the caller as GError text. */
#pragma once

#include <glib.h>
#include <hdf5.h>
#include <stdint.h>

#include "preprocess/common/owner.h"

#define H5_ERROR h5_error_quark()
GQuark h5_error_quark(void);
typedef enum { H5_ERROR_OPEN, H5_ERROR_READ, H5_ERROR_WRITE, H5_ERROR_FORMAT } h5_error_t;

/* Any HDF5 identifier, closed at the end of its scope: g_auto(h5_id_t) space = H5Screate(...). */
typedef hid_t h5_id_t;
void h5_release(hid_t id);
G_DEFINE_AUTO_CLEANUP_FREE_FUNC(h5_id_t, h5_release, H5I_INVALID_HID)
/* Takes an identifier out of its variable, so that the end of the scope does not close it: to return it. */
hid_t h5_keep(h5_id_t *id);

/* An open file. Writing: the file grows in memory and h5_file_commit() puts it in its place by way of a
 * temporary (file_temporary()), so HDF5 itself never meets a full disk, which it does not survive. The same
 * calls always give the same bytes: no times are stored. While a thread has a file open, another thread that
 * opens one waits, for HDF5 is not made for several threads; but not for a disk that h5_file_commit() waits
 * for. A thread asks HDF5 anything else only with a file open. */
typedef struct h5_file h5_file_t;

/* Opens for reading, without HDF5 file locks (they fail on network disks). NULL with error set: path and
 * cause. */
h5_file_t *h5_file_open(const char *path, GError **error);
/* Creates path's temporary. NULL with error set. */
h5_file_t *h5_file_create(const char *path, GError **error);
/* Flush, close, fsync, rename to path, fsync of the folder. Frees file. FALSE with error set: the old file at
 * path is then untouched and the temporary removed. Disk full is reported by name and never leaves a
 * half-written file under path. owner: of the folder, asked last of all before the rename, since writing may
 * take long; NULL where nobody else can write there. */
gboolean h5_file_commit(h5_file_t *file, owner_t *owner, GError **error);
/* Closes; removes the temporary of an uncommitted write. NULL is allowed. */
void h5_file_close(h5_file_t *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(h5_file_t, h5_file_close)
hid_t h5_file_id(const h5_file_t *file);
const char *h5_file_path(const h5_file_t *file);

/* Attributes of the object at `object` ("/" for the root); writing replaces one of that name. Readers check
 * type class and size; strings are UTF-8 of fixed length (numpy bytes in h5py), owner: caller. */
gboolean h5_write_int(h5_file_t *file, const char *object, const char *name, int64_t value, GError **error);
gboolean h5_write_double(h5_file_t *file, const char *object, const char *name, double value, GError **error);
gboolean h5_write_string(h5_file_t *file, const char *object, const char *name, const char *value,
                         GError **error);
gboolean h5_read_int(h5_file_t *file, const char *object, const char *name, int64_t *value, GError **error);
gboolean h5_read_double(h5_file_t *file, const char *object, const char *name, double *value, GError **error);
char *h5_read_string(h5_file_t *file, const char *object, const char *name, GError **error);
/* The HDF5 type of such a string of `length` bytes, at least 1. Fixed lengths lie under the object header's
 * checksum; variable ones lie in a heap that has none, where one flipped bit makes HDF5 read outside its
 * memory. Owner: caller (H5Tclose()). */
hid_t h5_string_type(size_t length);

/* A whole float32 matrix [rows, cols], both >= 1, at `name` ("/weights/x"; parent groups are made). Chunks of
 * whole rows of about 1 MiB, each with a Fletcher-32 checksum, for which words of all zeros and of all ones
 * are the same; so the matrix has a CRC-32, too. The reader refuses another shape or type, and other
 * values. */
gboolean h5_write_floats(h5_file_t *file, const char *name, const float *values, size_t rows, size_t cols,
                         GError **error);
gboolean h5_read_floats(h5_file_t *file, const char *name, float *values, size_t rows, size_t cols,
                        GError **error);

/* Sets error from HDF5's error stack, or errno where that is empty: "PATH: cannot DOING: CAUSE", the cause in
 * plain words before HDF5's own; doing: as for printf(). Returns FALSE. */
gboolean h5_fail(GError **error, h5_error_t code, const h5_file_t *file, const char *doing, ...)
    G_GNUC_PRINTF(4, 5);
/* Sets error to what is no failure but a wrong file: "PATH: cannot read WHAT: CAUSE", and the way out.
 * Returns FALSE. */
gboolean h5_refuse(GError **error, const h5_file_t *file, const char *what, const char *cause);
