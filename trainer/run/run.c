/* run: owns the run folder and the agreement of replicas. Refuses to mix two runs in one folder, to resume
 * with options that would make another run, and to write weights that are broken or differ between ranks. */
#include "trainer/run/run.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"

G_DEFINE_QUARK(mpianist_run_error, run_error)

/* Options that make a run what it is: another value is another run. */
static const char *const identity[] = {
    "model",         "window",  "hidden", "latent", "loss",      "planes",           "segment",
    "state",         "encoder", "sketch", "nade",   "tied",      "posterior-hidden", "prior-hidden",
    "sketch-hidden", "seed",    "batch",  "chunk",  "transpose", "offsets",          "shuffle-kib"};

/* The name of a checkpoint that stands in the folder, or NULL. Owner: caller. */
static char *find_any_checkpoint(const char *run) {
    g_autoptr(GDir) folder = g_dir_open(run, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));)
        if (g_str_has_prefix(name, "checkpoint-") && g_str_has_suffix(name, ".h5")) return g_strdup(name);
    return NULL;
}

static gboolean make_folder(const char *run, GError **error) {
    if (g_mkdir_with_parents(run, 0777) == 0 && g_access(run, W_OK | X_OK) == 0) return TRUE;
    g_set_error(error, RUN_ERROR, RUN_ERROR_FOLDER,
                "%s: cannot write checkpoints there: %s; name another --output", run, g_strerror(errno));
    return FALSE;
}

/* Rank 0's part of run_open(). */
static char *find_resumed(const options_t *options, GError **error) {
    const char *run = options->output;
    if (!make_folder(run, error)) return NULL;
    gboolean automatic = strcmp(options->resume, "auto") == 0,
             named = !automatic && strcmp(options->resume, "no") != 0;
    g_autofree char *standing = find_any_checkpoint(run);
    if (automatic) {
        char *latest = checkpoint_find_latest(run, error);
        if (!latest && standing && !*error)
            g_set_error(error, RUN_ERROR, RUN_ERROR_OCCUPIED,
                        "%s: holds %s but no checkpoint that can be read; name another --output", run,
                        standing);
        return latest;
    }
    g_autofree char *home = named ? g_path_get_dirname(options->resume) : NULL;
    g_autofree char *home_path = home ? g_canonicalize_filename(home, NULL) : NULL;
    g_autofree char *run_path = g_canonicalize_filename(run, NULL);
    if (standing && g_strcmp0(home_path, run_path) != 0) {
        g_set_error(
            error, RUN_ERROR, RUN_ERROR_OCCUPIED,
            "%s: holds checkpoints of a run already (%s); go on with --resume auto, or name another --output",
            run, standing);
        return NULL;
    }
    return named ? g_strdup(options->resume) : NULL;
}

gboolean run_open(const options_t *options, char **checkpoint, GError **error) {
    GError *local = NULL;
    char *found = comm_rank() == 0 ? find_resumed(options, &local) : NULL;
    *checkpoint = NULL;
    if (!comm_agree(local, error)) {
        g_free(found);
        return FALSE;
    }
    uint64_t length = found ? strlen(found) + 1 : 0;
    comm_broadcast(&length, sizeof length);
    if (length == 0) return TRUE;
    if (!found) found = g_malloc(length);
    comm_broadcast(found, length);
    *checkpoint = found;
    return TRUE;
}

gboolean run_read_checkpoint(const char *path, checkpoint_t *checkpoint, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) checkpoint_read(path, checkpoint, &local);
    if (!comm_agree(local, error)) return FALSE;
    char *options = checkpoint->options;
    comm_broadcast(checkpoint, sizeof *checkpoint);
    checkpoint->options = comm_rank() == 0 ? options : NULL;
    return TRUE;
}

/* Appends "--name X there, Y here" for each option of the key file `here` that differs to refused or changed.
 */
static void compare_options(GKeyFile *there, GKeyFile *here, GString *refused, GString *changed) {
    g_auto(GStrv) groups = g_key_file_get_groups(here, NULL);
    for (char **group = groups; *group; group++) {
        g_auto(GStrv) keys = g_key_file_get_keys(here, *group, NULL, NULL);
        for (char **key = keys; key && *key; key++) {
            g_autofree char *new = g_key_file_get_value(here, *group, *key, NULL);
            g_autofree char *old = g_key_file_get_value(there, *group, *key, NULL);
            if (g_strcmp0(old, new) == 0) continue;
            gboolean identical = FALSE;
            for (size_t i = 0; i < G_N_ELEMENTS(identity); i++) identical |= strcmp(*key, identity[i]) == 0;
            GString *list = identical ? refused : changed;
            g_string_append_printf(list, "%s--%s %s there, %s here", list->len ? "; " : "", *key, old, new);
        }
    }
}

static gboolean compare_with_checkpoint(const char *path, const char *old_text, const options_t *options,
                                        GError **error) {
    g_autoptr(GKeyFile) there = g_key_file_new();
    g_autoptr(GKeyFile) here = g_key_file_new();
    g_autoptr(options_t) old_options =
        options_from_text(old_text, path, error); /* those that it does not know yet: as by default */
    if (!old_options) return FALSE;
    g_autofree char *all_old = options_to_text(old_options), *all_new = options_to_text(options);
    if (!g_key_file_load_from_data(there, all_old, strlen(all_old), G_KEY_FILE_NONE, error) ||
        !g_key_file_load_from_data(here, all_new, strlen(all_new), G_KEY_FILE_NONE, error))
        return FALSE;
    g_autoptr(GString) refused = g_string_new(NULL);
    g_autoptr(GString) changed = g_string_new(NULL);
    compare_options(there, here, refused, changed);
    if (refused->len > 0) {
        g_set_error(error, RUN_ERROR, RUN_ERROR_DIFFERS,
                    "%s: cannot go on from it, this would be another run: %s; leave these options out, or "
                    "name another --output",
                    path, refused->str);
        return FALSE;
    }
    if (changed->len > 0 && !options->quiet) g_printerr("%s: options that changed: %s\n", path, changed->str);
    return TRUE;
}

gboolean run_check_options(const char *path, const checkpoint_t *checkpoint, const options_t *options,
                           GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0 && checkpoint->options)
        compare_with_checkpoint(path, checkpoint->options, options, &local);
    return comm_agree(local, error);
}

gboolean run_check_grid(const char *path, const checkpoint_t *checkpoint, const grid_t *grid,
                        GError **error) {
    const grid_t *other = &checkpoint->grid;
    g_autofree char *there = grid_tracks_string(other);
    g_autofree char *here = grid_tracks_string(grid);
    if (grid_equal(other, grid)) return TRUE;
    g_set_error(error, RUN_ERROR, RUN_ERROR_DIFFERS,
                "%s: was trained on another grid: %d steps a beat, %d pitches from %d, tracks %s; the data "
                "have %d, %d from %d, %s; preprocess the corpus "
                "with the checkpoint's grid",
                path, other->steps_per_beat, other->pitches, other->pitch_low, there, grid->steps_per_beat,
                grid->pitches, grid->pitch_low, here);
    return FALSE;
}

gboolean run_has_best(const char *run) {
    g_autofree char *path = g_build_filename(run, "best.h5", NULL);
    return comm_any(comm_rank() == 0 && g_file_test(path, G_FILE_TEST_EXISTS));
}

gboolean run_read_state(const char *path, model_t *model, optimizer_t *optimizer, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) checkpoint_read_state(path, model, optimizer, &local);
    if (!comm_agree(local, error)) return FALSE;
    comm_broadcast(model_params(model), model_size(model) * sizeof(real_t));
    comm_broadcast(optimizer->m, optimizer->n * sizeof(real_t));
    comm_broadcast(optimizer->v, optimizer->n * sizeof(real_t));
    comm_broadcast(&optimizer->step, sizeof optimizer->step);
    comm_broadcast(&optimizer->averaged, sizeof optimizer->averaged);
    if (optimizer->averaged > 0) comm_broadcast(optimizer->average, optimizer->n * sizeof(real_t));
    return TRUE;
}

gboolean run_read_weights(const char *path, model_t *model, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) checkpoint_read_weights(path, model, &local);
    if (!comm_agree(local, error)) return FALSE;
    comm_broadcast(model_params(model), model_size(model) * sizeof(real_t));
    return TRUE;
}

gboolean run_write_options(const options_t *options, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) {
        g_autofree char *path = g_build_filename(options->output, "run.ini", NULL);
        g_autofree char *text = options_to_text(options);
        g_autoptr(GError) cause = NULL;
        if (!g_file_set_contents(path, text, -1, &cause))
            g_set_error(&local, RUN_ERROR, RUN_ERROR_FOLDER,
                        "%s: cannot write: %s; make room or name another --output", path,
                        program_cause(cause));
    }
    return comm_agree(local, error);
}

/* FNV-1a (Fowler, Noll & Vo 1991) over the weights' 32-bit words: not against malice, and a hundred times
 * faster than SHA-256. */
static uint64_t hash_weights(model_t *model) {
    const real_t *params = model_params(model);
    const size_t size = model_size(model);
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++) {
        uint32_t word;
        G_STATIC_ASSERT(sizeof word == sizeof *params);
        memcpy(&word, &params[i], sizeof word);
        hash = (hash ^ word) * 0x100000001b3;
    }
    return hash;
}

gboolean run_check_weights(const char *run, const checkpoint_t *checkpoint, model_t *model, GError **error) {
    const real_t *params = model_params(model);
    gboolean finite = TRUE;
    const size_t size = model_size(model);
    for (size_t i = 0; i < size; i++) finite &= isfinite(params[i]) != 0;
    if (comm_any(!finite)) {
        g_set_error(error, RUN_ERROR, RUN_ERROR_DIVERGED,
                    "step %" G_GINT64_FORMAT ": the weights are not finite; lower --learning-rate or set "
                    "--clip; the checkpoints in %s are from before",
                    checkpoint->step, run);
        return FALSE;
    }
    if (!comm_same(hash_weights(model))) {
        g_set_error(error, RUN_ERROR, RUN_ERROR_DIVERGED,
                    "step %" G_GINT64_FORMAT ": the ranks' weights differ, though they should be replicas: "
                    "memory, BLAS or MPI computes wrongly on some "
                    "host; the checkpoints in %s are from before: go on with --resume auto on other hosts",
                    checkpoint->step, run);
        return FALSE;
    }
    return TRUE;
}

gboolean run_write_checkpoint(const char *run, const checkpoint_t *checkpoint, model_t *model,
                              const optimizer_t *optimizer, int keep, gboolean best, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) {
        g_autofree char *path = checkpoint_path(run, checkpoint->step);
        g_autofree char *name = g_path_get_basename(path);
        /* latest.h5 last: a run killed between the two links goes on from the checkpoint before, and finds
         * this best again */
        if (checkpoint_write(path, checkpoint, model, optimizer, &local) &&
            (!best || checkpoint_link(run, "best.h5", name, &local)) &&
            checkpoint_link(run, "latest.h5", name, &local))
            checkpoint_prune(run, keep, &local);
    }
    return comm_agree(local, error);
}
