/* run: owns the run folder, and which checkpoint may go on in it. Refuses to mix two runs in one folder, and
 * to resume with options or data that would make another run. */
#include "trainer/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"
#include "trainer/parallel/comm.h"
#include "trainer/run/option_table.h"

#define MARK "run" /* whose owner writes: RUN/run.owner */

/* Options that identify a run, beside those of the model: another value makes another run. */
static const char *const identity[] = {"seed",    "batch",       "chunk",        "transpose",
                                       "offsets", "shuffle-kib", "reproducible", NULL};

size_t run_state_bytes(const run_state_t *state) {
    const optimizer_t *optimizer = state->optimizer;
    return (3 + (size_t)(optimizer->average != NULL) + (size_t)(optimizer->momentum != NULL)) * optimizer->n *
           sizeof(real_t);
}

/* The name of any checkpoint in the folder, or NULL. Owner: caller. */
static char *find_any_checkpoint(const char *run) {
    g_autoptr(GDir) folder = g_dir_open(run, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));)
        if (g_str_has_prefix(name, "checkpoint-") && g_str_has_suffix(name, ".h5")) return g_strdup(name);
    return NULL;
}

/* Says which hosts have no sight of the folder: a run that is requeued there would not find it. */
static void warn_of_blind_hosts(const char *folder, const owner_t *owner) {
    g_autofree char *text = comm_broadcast_string(owner ? owner_text(owner) : NULL, 0);
    g_autofree char *hosts = comm_hosts_where(!owner_sees(folder, MARK, text));
    if (hosts && comm_rank() == 0)
        g_printerr(
            "warning: %s is another folder on %s than on the host that writes the checkpoints: a run "
            "that is started there finds none of them; name an --output on a disk that all hosts share\n",
            folder, hosts);
}

gboolean run_own(const char *folder, owner_t **owner, GError **error) {
    GError *local = NULL;
    *owner = comm_rank() == 0 ? owner_take(folder, MARK, &local) : NULL;
    if (*owner) checkpoint_sweep(folder);
    if (!comm_agree(local, error)) return FALSE;
    warn_of_blind_hosts(folder, *owner);
    return TRUE;
}

/* Rank 0's parts of run_open(). */
static gboolean make_folder(const char *run, GError **error) {
    if (g_mkdir_with_parents(run, 0777) == 0 && g_access(run, W_OK | X_OK) == 0) return TRUE;
    return program_fail(error, "%s: cannot write checkpoints there: %s; name another --output", run,
                        g_strerror(errno));
}

static gboolean is_in_folder(const char *path, const char *folder) {
    g_autofree char *home = g_path_get_dirname(path), *there = g_canonicalize_filename(home, NULL),
                    *here = g_canonicalize_filename(folder, NULL);
    return g_str_equal(there, here);
}

static char *find_resumed(const options_t *options, GError **error) {
    const char *run = options->output;
    const gboolean automatic = g_str_equal(options->resume, "auto"),
                   named = !automatic && !g_str_equal(options->resume, "no");
    g_autofree char *standing = find_any_checkpoint(run);
    if (automatic) {
        char *latest = checkpoint_find_latest(run, error);
        if (!latest && standing && !*error)
            program_fail(error, "%s: holds %s but no checkpoint that can be read; name another --output", run,
                         standing);
        return latest;
    }
    if (standing && (!named || !is_in_folder(options->resume, run))) {
        program_fail(
            error,
            "%s: holds checkpoints of a run already (%s); go on with --resume auto, or name another --output",
            run, standing);
        return NULL;
    }
    return named ? g_strdup(options->resume) : NULL;
}

gboolean run_open(const options_t *options, owner_t **owner, char **checkpoint, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) make_folder(options->output, &local);
    if (!comm_agree(local, error) || !run_own(options->output, owner, error)) return FALSE;
    g_autofree char *found = comm_rank() == 0 ? find_resumed(options, &local) : NULL;
    if (!comm_agree(local, error)) return FALSE;
    *checkpoint = comm_broadcast_string(found, 0);
    return TRUE;
}

/* Rank 0's part of run_write_options(). */
static gboolean replace_options(const options_t *options, owner_t *owner, GError **error) {
    g_autofree char *path = g_build_filename(options->output, "run.ini", NULL),
                    *temporary = file_temporary(path), *text = options_to_text(options);
    int fd = file_write_text(temporary, O_TRUNC, text);
    const gboolean written = fd >= 0 && fsync(fd) == 0 && close(g_steal_fd(&fd)) == 0,
                   own = written && owner_check(owner, error);
    if (own && rename(temporary, path) == 0) return TRUE;
    if (own || !written) file_fail(error, path, "write", "make room or name another --output");
    if (fd >= 0) close(fd);
    unlink(temporary);
    return FALSE;
}

gboolean run_write_options(const options_t *options, owner_t *owner, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) replace_options(options, owner, &local);
    return comm_agree(local, error);
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

gboolean run_read_weights(const char *path, model_t *model, GError **error) {
    GError *local = NULL;
    if (comm_rank() == 0) checkpoint_read_weights(path, model, &local);
    if (!comm_agree(local, error)) return FALSE;
    comm_broadcast(model_params(model), model_size(model) * sizeof(real_t));
    return TRUE;
}

gboolean run_check_grid(const char *path, const checkpoint_t *checkpoint, const grid_t *grid,
                        GError **error) {
    const grid_t *other = &checkpoint->grid;
    if (grid_equal(other, grid)) return TRUE;
    g_autofree char *there = grid_tracks_string(other), *here = grid_tracks_string(grid);
    return program_fail(
        error,
        "%s: was trained on another grid: %d steps a beat, %d pitches from %d, tracks %s; the data "
        "have %d, %d from %d, %s; preprocess the corpus with the checkpoint's grid",
        path, other->steps_per_beat, other->pitches, other->pitch_low, there, grid->steps_per_beat,
        grid->pitches, grid->pitch_low, here);
}

/* Refuses options that would make another run than begun_with, the options in the checkpoint; reports others
 * that changed. */
static gboolean compare_options(const char *path, const char *begun_with, const options_t *options,
                                GError **error) {
    g_autoptr(options_t) there = options_from_text(begun_with, path, error);
    g_autoptr(GString) refused = g_string_new(NULL), changed = g_string_new(NULL);
    if (!there) return FALSE;
    for (const option_t *option = option_rows(); option->name; option++) {
        if (option->group < GROUP_MODEL) continue;
        g_autofree char *old = option_get(there, option), *new = option_get(options, option);
        if (g_strcmp0(old, new) == 0) continue;
        GString *list =
            option->group == GROUP_MODEL || g_strv_contains(identity, option->name) ? refused : changed;
        g_string_append_printf(list, "%s--%s %s there, %s here", list->len ? "; " : "", option->name, old,
                               new);
    }
    if (refused->len > 0)
        return program_fail(
            error,
            "%s: cannot go on from it, this would be another run: %s; leave these options out, or "
            "name another --output",
            path, refused->str);
    if (changed->len > 0 && !options->quiet) g_printerr("%s: options that changed: %s\n", path, changed->str);
    return TRUE;
}

/* checkpoint_read_state() for every rank. */
static gboolean read_state(const char *path, run_state_t *state, GError **error) {
    optimizer_t *optimizer = state->optimizer;
    const size_t bytes = optimizer->n * sizeof(real_t);
    GError *local = NULL;
    if (comm_rank() == 0) checkpoint_read_state(path, state->model, optimizer, &local);
    if (!comm_agree(local, error)) return FALSE;
    comm_broadcast(&optimizer->step, sizeof optimizer->step);
    comm_broadcast(&optimizer->averaged, sizeof optimizer->averaged);
    comm_broadcast(&optimizer->outer_steps, sizeof optimizer->outer_steps);
    real_t *const blocks[] = {model_params(state->model), optimizer->m, optimizer->v,
                              optimizer->averaged > 0 ? optimizer->average : NULL,
                              optimizer->outer_steps > 0 ? optimizer->momentum : NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(blocks); i++)
        if (blocks[i]) comm_broadcast_to(blocks[i], bytes, state->fills);
    comm_node_barrier();
    return TRUE;
}

gboolean run_resume(const options_t *options, const char *path, run_state_t *state, GError **error) {
    const char *run = options->output;
    checkpoint_t *here = &state->checkpoint;
    g_auto(checkpoint_t) there = {0};
    GError *local = NULL;
    if (!run_read_checkpoint(path, &there, error)) return FALSE;
    if (comm_rank() == 0) compare_options(path, there.options, options, &local);
    if (!comm_agree(local, error)) return FALSE;
    if (!g_str_equal(there.corpus_id, here->corpus_id))
        return program_fail(
            error,
            "%s: was trained on corpus %.12s, %s holds corpus %.12s; give the same --data, or name "
            "another --output",
            path, there.corpus_id, options->data, here->corpus_id);
    if (!run_check_grid(path, &there, &here->grid, error) || !read_state(path, state, error)) return FALSE;
    g_autofree char *name = g_path_get_basename(path), *best = g_build_filename(run, "best.h5", NULL);
    const gboolean is_best = there.epoch_step == 0 && there.best_epoch == there.epoch;
    if (comm_rank() == 0 && is_in_folder(path, run))
        checkpoint_complete(run, name, is_best, options->keep, &local);
    if (!comm_agree(local, error)) return FALSE;
    if (comm_any(comm_rank() == 0 && g_file_test(best, G_FILE_TEST_EXISTS))) {
        here->best = there.best; /* otherwise the best state is in another folder, or lost */
        here->best_epoch = there.best_epoch;
    }
    here->epoch = there.epoch;
    here->step = there.step;
    here->epoch_step = there.epoch_step;
    here->so_far = there.so_far;
    here->seconds = there.seconds;
    if (here->multiplier > 0 && there.multiplier > 0) here->multiplier = there.multiplier;
    return TRUE;
}
