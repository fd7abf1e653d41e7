/* checkpoint_extras: owns how a checkpoint is rewritten with what may stand beside its state: vectors of
 * attributes, a guide. One is replaced, the other kept. Refuses a checkpoint that is damaged anywhere but in
 * what is replaced: writing the rest anew would give the damage a valid checksum. */
#include <errno.h>
#include <stdlib.h>

#include "trainer/checkpoint/checkpoint_file.h"

/* All that a checkpoint holds. */
typedef struct {
    char *path; /* without links */
    checkpoint_t checkpoint;
    model_t *model;
    optimizer_t *optimizer;
    attributes_t attributes;  /* n is 0: none, or not kept */
    checkpoint_guide_t guide; /* weights are NULL: none, or not kept */
} state_t;

static void state_clear(state_t *state) {
    g_free(state->path);
    checkpoint_clear(&state->checkpoint);
    model_free(state->model);
    optimizer_free(state->optimizer);
    attributes_clear(&state->attributes);
    checkpoint_guide_clear(&state->guide);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(state_t, state_clear)

/* Reads everything but the extras. */
static gboolean state_read(const char *path, state_t *state, GError **error) {
    char *resolved = realpath(path, NULL);
    if (!resolved) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ, "%s: cannot read checkpoint: %s", path,
                    g_strerror(errno));
        return FALSE;
    }
    state->path = g_strdup(resolved);
    free(resolved);
    if (!checkpoint_read(state->path, &state->checkpoint, error) ||
        !(state->model = model_new(&state->checkpoint.model, 1, 1, error)))
        return FALSE;
    const optimizer_config_t config = {.average = 0.5, .outer = TRUE}; /* room for all that there may be */
    state->optimizer = optimizer_new(&config, model_size(state->model));
    return checkpoint_read_state(state->path, state->model, state->optimizer, error);
}

/* TRUE if an extra was not read because there is none. Otherwise error is set. Takes the cause. */
static gboolean is_none(GError *cause, GError **error) {
    if (g_error_matches(cause, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE)) return g_error_free(cause), TRUE;
    return g_propagate_error(error, cause), FALSE;
}

static gboolean state_keep_attributes(state_t *state, GError **error) {
    GError *cause = NULL;
    return checkpoint_read_attributes(state->path, &state->attributes, &cause) || is_none(cause, error);
}

static gboolean state_keep_guide(state_t *state, GError **error) {
    GError *cause = NULL;
    return checkpoint_read_guide(state->path, &state->guide, &cause) || is_none(cause, error);
}

/* Replaces the file. */
static gboolean state_write(state_t *state, const attributes_t *attributes, const checkpoint_guide_t *guide,
                            owner_t *owner, GError **error) {
    g_autoptr(h5_file_t) file =
        checkpoint_file_create(state->path, &state->checkpoint, state->model, state->optimizer, error);
    return file && (attributes->n == 0 || checkpoint_put_attributes(file, attributes, error)) &&
           (!guide->weights || checkpoint_put_guide(file, &state->checkpoint.model, guide, error)) &&
           h5_file_commit(g_steal_pointer(&file), owner, error);
}

gboolean checkpoint_write_attributes(const char *path, const attributes_t *attributes, owner_t *owner,
                                     GError **error) {
    g_auto(state_t) state = {0};
    if (!state_read(path, &state, error) || !state_keep_guide(&state, error)) return FALSE;
    g_assert(attributes->n > 0 && attributes->Z == state.checkpoint.model.latent);
    return state_write(&state, attributes, &state.guide, owner, error);
}

gboolean checkpoint_write_guide(const char *path, const checkpoint_guide_t *guide, owner_t *owner,
                                GError **error) {
    g_auto(state_t) state = {0};
    if (!state_read(path, &state, error)) return FALSE;
    if (state.checkpoint.model.kind != MODEL_SEQUENCE) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE,
                    "%s: cannot write the guide: only sequence models have one; give a checkpoint of such a "
                    "model",
                    path);
        return FALSE;
    }
    g_assert(guide->weights);
    return state_keep_attributes(&state, error) &&
           state_write(&state, &state.attributes, guide, owner, error);
}
