/* h5_values: owns scalar attributes and float matrices, and their checks; refuses to know what any of them
 * mean. Declared in h5.h. */
#include <string.h>

#include "preprocess/shard/deflate.h"
#include "preprocess/shard/h5.h"

enum { CHUNK_BYTES = 1 << 20, MAX_TEXT = 1 << 24 };

#define CHECKSUM "crc32"                          /* of a matrix's bytes in the file */
G_STATIC_ASSERT(G_BYTE_ORDER == G_LITTLE_ENDIAN); /* which are those in memory */

static gboolean fail_attribute(GError **error, const h5_file_t *file, const char *name, const char *cause) {
    g_autofree char *what = g_strconcat("attribute ", name, NULL);
    return h5_refuse(error, file, what, cause);
}

static gboolean write_attribute(h5_file_t *file, const char *object, const char *name, hid_t stored,
                                hid_t memory, const void *value, GError **error) {
    g_auto(h5_id_t) space = H5Screate(H5S_SCALAR);
    g_auto(h5_id_t) attribute = H5I_INVALID_HID;
    if (H5Aexists_by_name(h5_file_id(file), object, name, H5P_DEFAULT) <= 0 ||
        H5Adelete_by_name(h5_file_id(file), object, name, H5P_DEFAULT) >= 0)
        attribute = H5Acreate_by_name(h5_file_id(file), object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT,
                                      H5P_DEFAULT);
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
    if (H5Aexists_by_name(h5_file_id(file), object, name, H5P_DEFAULT) == 0)
        return fail_attribute(error, file, name, "there is none"), H5I_INVALID_HID;
    g_auto(h5_id_t) attribute = H5Aopen_by_name(h5_file_id(file), object, name, H5P_DEFAULT, H5P_DEFAULT);
    g_auto(h5_id_t) type = attribute < 0 ? attribute : H5Aget_type(attribute);
    g_auto(h5_id_t) space = attribute < 0 ? attribute : H5Aget_space(attribute);
    if (type < 0 || space < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read attribute %s", name), H5I_INVALID_HID;
    if (H5Tget_class(type) != wanted || H5Sget_simple_extent_npoints(space) != 1 ||
        (wanted == H5T_INTEGER && H5Tget_size(type) > sizeof(int64_t)))
        return fail_attribute(error, file, name, "it has another type"), H5I_INVALID_HID;
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
    const size_t length = H5Tget_size(stored); /* 0 where there is no type: reading fails then */
    if (length > MAX_TEXT) return fail_attribute(error, file, name, "it is impossibly long"), NULL;
    if (H5Tis_variable_str(stored) > 0)
        return fail_attribute(error, file, name, "it is a string of variable length"), NULL;
    g_autofree char *value = g_malloc0(length + 1);
    if (H5Aread(attribute, stored, value) < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read attribute %s", name), NULL;
    if (!g_utf8_validate(value, -1, NULL)) return fail_attribute(error, file, name, "it is not UTF-8"), NULL;
    return g_steal_pointer(&value);
}

/* Makes the groups above `name`, without times: groups that HDF5 makes by itself carry the time. */
static gboolean make_parents(h5_file_t *file, const char *name) {
    g_auto(h5_id_t) creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, FALSE);
    for (const char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        g_autofree char *parent = g_strndup(name, (gsize)(slash - name));
        if (H5Lexists(h5_file_id(file), parent, H5P_DEFAULT) > 0) continue;
        g_auto(h5_id_t) group = H5Gcreate2(h5_file_id(file), parent, H5P_DEFAULT, creation, H5P_DEFAULT);
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
        dataset =
            H5Dcreate2(h5_file_id(file), name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0 ||
        H5Dflush(dataset) < 0)
        return h5_fail(error, H5_ERROR_WRITE, file, "write %s", name);
    return h5_write_int(file, name, CHECKSUM, deflate_crc32(0, values, rows * cols * sizeof *values), error);
}

/* Whether a matrix is the one that was written; those of older files have no checksum of their own. */
static gboolean verify_floats(h5_file_t *file, const char *name, const float *values, size_t n,
                              GError **error) {
    int64_t written = 0;
    if (H5Aexists_by_name(h5_file_id(file), name, CHECKSUM, H5P_DEFAULT) == 0) return TRUE;
    if (!h5_read_int(file, name, CHECKSUM, &written, error)) return FALSE;
    return written == deflate_crc32(0, values, n * sizeof *values) ||
           h5_refuse(error, file, name, "its values do not match their checksum");
}

gboolean h5_read_floats(h5_file_t *file, const char *name, float *values, size_t rows, size_t cols,
                        GError **error) {
    g_auto(h5_id_t) dataset = H5Dopen2(h5_file_id(file), name, H5P_DEFAULT);
    g_auto(h5_id_t) space = dataset < 0 ? dataset : H5Dget_space(dataset);
    g_auto(h5_id_t) type = dataset < 0 ? dataset : H5Dget_type(dataset);
    if (space < 0 || type < 0) return h5_fail(error, H5_ERROR_READ, file, "read %s", name);
    hsize_t size[2] = {0, 0};
    if (H5Tget_class(type) != H5T_FLOAT || H5Sget_simple_extent_ndims(space) != 2)
        return h5_refuse(error, file, name, "not a matrix of floats");
    H5Sget_simple_extent_dims(space, size, NULL);
    if (size[0] != rows || size[1] != cols) {
        g_autofree char *cause = g_strdup_printf("it is %zu x %zu, wanted %zu x %zu", (size_t)size[0],
                                                 (size_t)size[1], rows, cols);
        return h5_refuse(error, file, name, cause);
    }
    if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read %s", name);
    return verify_floats(file, name, values, rows * cols, error);
}
