/* checkpoint_file: owns what is asked of a file before a checkpoint is read from it: whether it is one, of a
 * version that is known, with the group that is wanted, and large enough for what it claims. */
#include "trainer/checkpoint/checkpoint_file.h"

#include "preprocess/common/program.h"

G_DEFINE_QUARK(mpianist_checkpoint_error, checkpoint_error)

h5_file_t *checkpoint_file_open(const char *path, GError **error) {
    g_autoptr(h5_file_t) file = h5_file_open(path, error);
    g_autofree char *format = file ? h5_read_string(file, "/", "format", error) : NULL;
    int64_t version;
    if (!format) return NULL;
    if (!g_str_equal(format, CHECKPOINT_FORMAT)) {
        g_set_error(
            error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
            "%s: cannot read checkpoint: the file is a '%s'; give a file that %s wrote, such as best.h5",
            path, format, program_called("trainer"));
        return NULL;
    }
    if (!h5_read_int(file, "/", "version", &version, error)) return NULL;
    if (version < 1 || version > CHECKPOINT_VERSION) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                    "%s: cannot read checkpoint: its format has version %" G_GINT64_FORMAT
                    ", this program reads up to %d; use a later mpianist",
                    path, version, CHECKPOINT_VERSION);
        return NULL;
    }
    return g_steal_pointer(&file);
}

h5_file_t *checkpoint_file_open_group(const char *path, const char *group, const char *lack,
                                      const char *option, GError **error) {
    g_autoptr(h5_file_t) file = checkpoint_file_open(path, error);
    if (!file) return NULL;
    const htri_t there = H5Lexists(h5_file_id(file), group, H5P_DEFAULT);
    if (there > 0) return g_steal_pointer(&file);
    if (there < 0)
        h5_fail(error, H5_ERROR_READ, file, "read %s", group);
    else
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE, "%s: %s: %s %s %s --data SHARDS", path,
                    lack, program_called("trainer"), option, path);
    return NULL;
}

gboolean checkpoint_file_holds(h5_file_t *file, const char *what, size_t elements, GError **error) {
    hsize_t bytes = 0;
    if (H5Fget_filesize(h5_file_id(file), &bytes) < 0)
        return h5_fail(error, H5_ERROR_READ, file, "read its size");
    if (elements <= bytes / sizeof(float)) return TRUE;
    g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                "%s: cannot read checkpoint: a %s of its sizes has %zu weights, more than the file of %zu "
                "bytes holds; the file is damaged, use an older checkpoint",
                h5_file_path(file), what, elements, (size_t)bytes);
    return FALSE;
}
