/* checkpoint_folder: owns the file names in a run folder: numbered checkpoints, the links latest.h5 and
 * best.h5, and temporary files of killed writers. Skips unreadable checkpoints with a warning. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"
#include "trainer/checkpoint/checkpoint.h"

char *checkpoint_path(const char *run, int64_t step) {
    return g_strdup_printf("%s/checkpoint-%08" G_GINT64_FORMAT ".h5", run, step);
}

/* The step of "checkpoint-<digits>.h5", or -1. */
static int64_t step_of(const char *name) {
    char *end = NULL;
    if (!g_str_has_prefix(name, "checkpoint-")) return -1;
    const char *digits = name + strlen("checkpoint-");
    const int64_t step = g_ascii_strtoll(digits, &end, 10);
    return g_ascii_isdigit(*digits) && g_str_equal(end, ".h5") ? step : -1;
}

static int compare_steps(gconstpointer a, gconstpointer b) {
    int64_t first = step_of(*(char *const *)a), second = step_of(*(char *const *)b);
    return (first < second) - (first > second);
}

/* Names of the numbered checkpoints, newest first. NULL with error set. */
static GPtrArray *list_checkpoints(const char *run, GError **error) {
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(run, 0, &cause);
    if (!folder) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "%s: cannot list checkpoints: %s", run,
                    program_cause(cause));
        return NULL;
    }
    for (const char *name; (name = g_dir_read_name(folder));)
        if (step_of(name) >= 0) g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_steps);
    return g_steal_pointer(&names);
}

gboolean checkpoint_link(const char *run, const char *link, const char *target, GError **error) {
    g_autofree char *path = g_build_filename(run, link, NULL);
    g_autofree char *temporary = file_temporary(path);
    unlink(temporary);
    if (symlink(target, temporary) == 0 && rename(temporary, path) == 0) return TRUE;
    program_fail(error, "%s: cannot point it at a checkpoint: %s", path, g_strerror(errno));
    unlink(temporary);
    return FALSE;
}

void checkpoint_sweep(const char *run) {
    static const char *const prefixes[] = {"checkpoint-", "latest.h5.", "best.h5.", "run.ini."};
    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) file_sweep(run, prefixes[i], NULL, NULL);
}

/* What RUN/<link> points at, or NULL. Owner: caller. */
static char *link_target(const char *run, const char *link) {
    g_autofree char *path = g_build_filename(run, link, NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    return target ? g_path_get_basename(target) : NULL;
}

gboolean checkpoint_prune(const char *run, int keep, GError **error) {
    g_autoptr(GPtrArray) names = list_checkpoints(run, error);
    if (!names) return FALSE;
    g_autofree char *latest = link_target(run, "latest.h5"), *best = link_target(run, "best.h5");
    for (guint i = (guint)MAX(keep, 0); i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *path = g_build_filename(run, name, NULL);
        const gboolean stays = g_strcmp0(name, latest) == 0 || g_strcmp0(name, best) == 0;
        if (!stays && unlink(path) != 0 && errno != ENOENT)
            return program_fail(error, "%s: cannot remove it: %s", path, g_strerror(errno));
    }
    return TRUE;
}

gboolean checkpoint_complete(const char *run, const char *name, gboolean best, int keep, GError **error) {
    g_autofree char *latest = link_target(run, "latest.h5"), *path = g_build_filename(run, "best.h5", NULL);
    if (latest && !g_str_equal(latest, name)) return TRUE;
    return (!best || g_file_test(path, G_FILE_TEST_EXISTS) || checkpoint_link(run, "best.h5", name, error)) &&
           (latest || checkpoint_link(run, "latest.h5", name, error)) && checkpoint_prune(run, keep, error);
}

/* Whether all of a checkpoint can be read. FALSE with error set. */
static gboolean verify(const char *path, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    if (!checkpoint_read(path, &checkpoint, error)) return FALSE;
    g_autoptr(model_t) model = model_new(&checkpoint.model, 1, 1, error);
    if (!model) return FALSE;
    g_autoptr(optimizer_t) optimizer = optimizer_new(&(optimizer_config_t){.outer = TRUE}, model_size(model));
    return checkpoint_read_state(path, model, optimizer, error) &&
           checkpoint_read_weights(path, model, error);
}

/* RUN/name if all of it can be read, else NULL with a warning. Owner: caller. */
static char *verified(const char *run, const char *name) {
    g_autofree char *path = g_build_filename(run, name, NULL);
    g_autoptr(GError) error = NULL;
    if (verify(path, &error)) return g_steal_pointer(&path);
    g_warning("%s; looking for an older checkpoint", error->message);
    return NULL;
}

char *checkpoint_find_latest(const char *run, GError **error) {
    if (!g_file_test(run, G_FILE_TEST_EXISTS)) return NULL;
    g_autoptr(GPtrArray) names = list_checkpoints(run, error);
    if (!names) return NULL;
    g_autofree char *latest = link_target(run, "latest.h5");
    char *path = latest && step_of(latest) >= 0 ? verified(run, latest) : NULL;
    for (guint i = 0; i < names->len && !path; i++)
        if (g_strcmp0(names->pdata[i], latest) != 0) path = verified(run, names->pdata[i]);
    return path;
}

char *checkpoint_hash(const char *path, GError **error) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guchar buffer[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t n = 0;
    while (file && (n = fread(buffer, 1, sizeof buffer, file)) > 0)
        g_checksum_update(checksum, buffer, (gssize)n);
    gboolean failed = !file || ferror(file);
    int cause = errno;
    if (file) fclose(file);
    if (failed) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "%s: cannot read checkpoint: %s", path,
                    g_strerror(cause));
        return NULL;
    }
    return g_strndup(g_checksum_get_string(checksum), 16);
}
