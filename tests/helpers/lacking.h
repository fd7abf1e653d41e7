/* lacking: copies of an HDF5 file without one of its parts, or with something else in its place; made by way
 * of the HDF5 library, so that all checksums are right. */
#pragma once

#include <string.h>

#include "preprocess/shard/h5.h"

/* What becomes of an attribute. */
typedef enum { LACKING, TWO_NUMBERS, VARIABLE_TEXT, BAD_TEXT, WIDE_NUMBER, LACKING_WAYS } lacking_t;

/* Reads the file at path; NULL with error set where it is refused. */
typedef char *(*lacking_read_fn)(const char *path, GError **error);

static inline void lacking_replace(hid_t object, const char *name, lacking_t way) {
    static const char bad_text[] = "\xFF\xFE", *const text = "text";
    static const int64_t two[4] = {1, 1};
    const hsize_t n = 2;
    g_auto(h5_id_t) type = way == VARIABLE_TEXT ? H5Tcopy(H5T_C_S1)
                           : way == BAD_TEXT    ? h5_string_type(2)
                                                : H5Tcopy(H5T_NATIVE_INT64);
    g_auto(h5_id_t) space = way == TWO_NUMBERS ? H5Screate_simple(1, &n, NULL) : H5Screate(H5S_SCALAR);
    g_assert_cmpint(H5Adelete(object, name), >=, 0);
    if (way == LACKING) return;
    if (way == VARIABLE_TEXT) H5Tset_size(type, H5T_VARIABLE);
    if (way == WIDE_NUMBER) H5Tset_size(type, 2 * sizeof two[0]);
    g_auto(h5_id_t) attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    g_assert_cmpint(H5Awrite(attribute, type,
                             way == VARIABLE_TEXT ? (const void *)&text
                             : way == BAD_TEXT    ? (const void *)bad_text
                                                  : two),
                    >=, 0);
}

/* The name of attribute i of an object; NULL behind the last. Owner: caller. */
static inline char *lacking_name(hid_t object, hsize_t i) {
    char name[64];
    return H5Aget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT) > 0
               ? g_strdup(name)
               : NULL;
}

static inline void lacking_assert(const char *path, lacking_read_fn read, gboolean read_anyway,
                                  const char *what) {
    g_autoptr(GError) error = NULL;
    g_autofree char *digest = read(path, &error);
    if ((digest != NULL) != read_anyway) g_error("%s is %s", what, digest ? "not missed" : error->message);
    g_assert_true(digest || strstr(error->message, path));
}

/* The file at path is refused without any attribute of an object and with each replaced, except those in the
 * list `free` ("tool crc32"), without which it is read; the file stays as it was. Returns how many there
 * are. */
static inline guint lacking_attributes(const char *path, const char *object, const char *free,
                                       lacking_read_fn read) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    guint i = 0;
    g_auto(GStrv) unread = g_strsplit(free, " ", -1);
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    for (gboolean more = TRUE; more; i++) {
        for (lacking_t way = LACKING; way < LACKING_WAYS && more; way++) {
            hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), of = H5Oopen(file, object, H5P_DEFAULT);
            g_autofree char *name = lacking_name(of, i), *what = g_strdup_printf("%s %d", name, way);
            more = name != NULL;
            if (more) lacking_replace(of, name, way);
            H5Oclose(of);
            g_assert_cmpint(H5Fclose(file), >=, 0);
            if (more)
                lacking_assert(path, read,
                               g_strv_contains((const char *const *)unread, name) &&
                                   (way == LACKING || g_str_equal(name, "tool")),
                               what);
            g_assert_true(
                g_file_set_contents_full(path, bytes, (gssize)n, G_FILE_SET_CONTENTS_CONSISTENT, 0666, NULL));
        }
    }
    return i - 1;
}

/* The file is refused without the dataset, and with numbers in a row in its place. */
static inline void lacking_dataset(const char *path, const char *name, lacking_read_fn read) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    for (int replace = 0; replace < 3; replace++) {
        const hsize_t size[3] = {2, 3, 1};
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        hid_t space = H5Screate_simple(replace == 1 ? 3 : 2, size, NULL);
        g_assert_cmpint(H5Ldelete(file, name, H5P_DEFAULT), >=, 0);
        if (replace)
            H5Dclose(H5Dcreate2(file, name, replace == 1 ? H5T_IEEE_F32LE : H5T_STD_I32LE, space, H5P_DEFAULT,
                                H5P_DEFAULT, H5P_DEFAULT));
        H5Sclose(space);
        g_assert_cmpint(H5Fclose(file), >=, 0);
        lacking_assert(path, read, FALSE, name);
        g_assert_true(
            g_file_set_contents_full(path, bytes, (gssize)n, G_FILE_SET_CONTENTS_CONSISTENT, 0666, NULL));
    }
}
