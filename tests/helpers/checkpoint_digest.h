/* checkpoint_digest: all that a checkpoint says, as one hash. */
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/model/guide.h"
#include "trainer/model/sizes.h"

static inline void digest_reals(GChecksum *sum, const real_t *values, size_t n) {
    g_checksum_update(sum, (const guchar *)values, (gssize)(n * sizeof *values));
}

static inline void digest_text(GChecksum *sum, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_checksum_update(sum, (const guchar *)text, -1);
}

static inline gboolean digest_head(GChecksum *sum, const char *path, checkpoint_t *head, GError **error) {
    if (!checkpoint_read(path, head, error)) return FALSE;
    g_autofree char *tracks = grid_tracks_string(&head->grid);
    const training_sums_t *sums = &head->so_far;
    for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
        g_autofree char *text = size_text(size, &head->model);
        digest_text(sum, "%s=%s\n", size->name, text);
    }
    digest_text(sum, "%d %d %s %d %d %d %d %d\n", head->model.kind, head->model.loss, tracks,
                head->grid.steps_per_beat, head->grid.pitch_low, head->grid.pitches, head->grid.fold_octaves,
                head->grid.sustain_pedal);
    digest_text(sum, "%s\n%s\n%a %d/%d\n", head->options, head->corpus_id, head->tempo_bpm,
                head->meter.numerator, head->meter.denominator);
    digest_text(sum, "%zu %zd %zd %zd %zd %zd\n", head->seed, head->epoch, head->step, head->epoch_step,
                head->batch, head->best_epoch);
    digest_text(sum, "%a %a %a %a %a %a %a %a\n", sums->windows, sums->frames, sums->segments, sums->nll,
                sums->kl, sums->auxiliary, head->best, head->seconds);
    return TRUE;
}

static inline gboolean digest_vectors(GChecksum *sum, const char *path, GError **error) {
    g_auto(attributes_t) attributes = {0};
    GError *none = NULL;
    if (!checkpoint_read_attributes(path, &attributes, &none)) {
        if (g_error_matches(none, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE)) {
            g_error_free(none);
            return TRUE;
        }
        g_propagate_error(error, none);
        return FALSE;
    }
    digest_reals(sum, attributes.vectors, attributes.n * attributes.Z);
    for (size_t i = 0; i < attributes.n; i++) {
        const attribute_info_t *info = &attributes.info[i];
        digest_text(sum, "%s %s %a %a %a %a\n", info->name, info->unit, info->mean, info->sd, info->r2,
                    info->reach);
    }
    return TRUE;
}

static inline gboolean digest_guide(GChecksum *sum, const char *path, const model_config_t *config,
                                    GError **error) {
    g_auto(checkpoint_guide_t) guide = {0};
    GError *none = NULL;
    if (!checkpoint_read_guide(path, &guide, &none)) {
        if (g_error_matches(none, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE)) {
            g_error_free(none);
            return TRUE;
        }
        g_propagate_error(error, none);
        return FALSE;
    }
    digest_reals(sum, guide.weights, guide_groups(config) * guide_columns(config));
    digest_text(sum, "%zd %a %a\n", guide.epochs, guide.alone, guide.guided);
    return TRUE;
}

/* Everything that can be read of a checkpoint, as a SHA-256; NULL with error set. Owner: caller. */
static inline char *checkpoint_digest(const char *path, GError **error) {
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_auto(checkpoint_t) head = {0};
    if (!digest_head(sum, path, &head, error)) return NULL;
    g_autoptr(model_t) model = model_new(&head.model, 1, 1, error);
    if (!model) return NULL;
    const size_t n = model_size(model);
    g_autoptr(optimizer_t) optimizer = optimizer_new(&(optimizer_config_t){.average = 0.9, .outer = TRUE}, n);
    if (!checkpoint_read_state(path, model, optimizer, error)) return NULL;
    digest_reals(sum, model_params(model), n);
    digest_reals(sum, optimizer->m, n);
    digest_reals(sum, optimizer->v, n);
    digest_text(sum, "%zd %zd\n", optimizer->step, optimizer->averaged);
    if (optimizer->averaged > 0) digest_reals(sum, optimizer->average, n);
    if (optimizer->outer_steps > 0) {
        digest_text(sum, "%zd\n", optimizer->outer_steps);
        digest_reals(sum, optimizer->momentum, n);
    }
    if (!checkpoint_read_weights(path, model, error) || !digest_vectors(sum, path, error) ||
        !digest_guide(sum, path, &head.model, error))
        return NULL;
    digest_reals(sum, model_params(model), n);
    return g_strdup(g_checksum_get_string(sum));
}
