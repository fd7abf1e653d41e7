/* sample: owns the way from a roll to latent vectors and back: packing windows, decoding in batches,
 * cross-fading, bits from logits. Refuses checkpoints that do not open as one whole model.
 *
 * All batches have SAMPLE_BATCH windows, the last filled up: some BLAS kernels round a row otherwise by
 * itself than among others, and a window must not depend on what is made beside it. Some also round one row
 * otherwise than another: pieces that are decoded together are in rows that were found to be equal. */
#include "sampler/make/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/model/vae_dense.h"

sample_model_t *sample_model_open(const char *path, GError **error) {
    g_autoptr(sample_model_t) model = g_new0(sample_model_t, 1);
    model->path = g_strdup(path);
    if (!checkpoint_read(path, &model->checkpoint, error)) return NULL;
    const model_config_t *config = &model->checkpoint.model;
    if (config->tracks != (size_t)model->checkpoint.grid.n_tracks ||
        config->pitches != (size_t)model->checkpoint.grid.pitches) {
        program_fail(
            error,
            "%s: cannot use this checkpoint: its model has %zu tracks of %zu pitches, its grid %d of "
            "%d; train again",
            path, config->tracks, config->pitches, model->checkpoint.grid.n_tracks,
            model->checkpoint.grid.pitches);
        return NULL;
    }
    model->model = model_new(config, SAMPLE_BATCH, 1, error); /* sequence: nothing is trained here */
    if (!model->model) {
        g_prefix_error(error, "%s: cannot set up the model: ", path);
        return NULL;
    }
    if (!checkpoint_read_weights(path, model->model, error)) return NULL;
    model->hash = checkpoint_hash(path, error);
    return !model->hash ? NULL : g_steal_pointer(&model);
}

gboolean sample_open_guide(const sample_model_t *model, guide_t **guide, GError **error) {
    const model_config_t *config = &model->checkpoint.model;
    g_auto(checkpoint_guide_t) learned = {0};
    g_autoptr(GError) cause = NULL;
    *guide = NULL;
    if (checkpoint_read_guide(model->path, &learned, &cause)) {
        *guide = guide_new(config);
        memcpy(guide_weights(*guide), learned.weights,
               guide_groups(config) * guide_columns(config) * sizeof *learned.weights);
        return TRUE;
    }
    if (g_error_matches(cause, CHECKPOINT_ERROR, CHECKPOINT_ERROR_NONE)) return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

void sample_model_free(sample_model_t *model) {
    if (!model) return;
    checkpoint_clear(&model->checkpoint);
    model_free(model->model);
    g_free(model->path);
    g_free(model->hash);
    g_free(model);
}

/* Packs one window of roll as the model sees it: [T, K, L, stride]. */
static void pack_window(const model_config_t *config, const roll_t *roll, size_t first, uint8_t *bits) {
    memset(bits, 0, model_window_bytes(config));
    for (size_t t = 0; t < config->window && first + t < roll->frames; t++)
        roll_read_frame(roll, first + t, config->planes, bits + t * model_frame_bytes(config));
}

real_t *sample_encode(const sample_model_t *model, const roll_t *roll, size_t first, size_t n) {
    const model_config_t *config = &model->checkpoint.model;
    const size_t Z = config->latent, T = config->window, bytes = model_window_bytes(config);
    real_t *mu = g_new(real_t, n * Z);
    g_autofree uint8_t *bits = g_malloc(SAMPLE_BATCH * bytes);
    uint32_t valid[SAMPLE_BATCH];
    for (size_t done = 0; done < n; done += SAMPLE_BATCH) {
        const size_t B = MIN(SAMPLE_BATCH, n - done);
        for (size_t b = 0; b < SAMPLE_BATCH; b++) { /* those past the n windows do not count */
            const size_t start = first + (done + b) * T;
            pack_window(config, roll, start, bits + b * bytes);
            valid[b] = (uint32_t)(start < roll->frames ? MIN(T, roll->frames - start) : 1);
        }
        const batch_t batch = {.B = SAMPLE_BATCH, .bits = bits, .valid = valid};
        model_encode(model->model, &batch);
        memcpy(mu + done * Z, model_mu(model->model), B * Z * sizeof(real_t));
    }
    return mu;
}

/* Logits of z [B, Z], B <= SAMPLE_BATCH; all: [SAMPLE_BATCH, Z] scratch. */
static const real_t *decode(const sample_model_t *model, const real_t *z, size_t B, real_t *all) {
    const size_t Z = model->checkpoint.model.latent;
    memset(all, 0, SAMPLE_BATCH * Z * sizeof *all);
    memcpy(all, z, B * Z * sizeof *all);
    model_decode(model->model, all, SAMPLE_BATCH);
    return model_logits(model->model);
}

static double probability(real_t logit) { return 1 / (1 + exp(-(double)logit)); }

static int compare_descending(const void *a, const void *b) {
    const real_t x = *(const real_t *)a, y = *(const real_t *)b;
    return (x < y) - (x > y);
}

/* Sets limits [K, L], the logits from which a cell of these frames [frames, K, L, P] is on. */
static void find_limits(const model_config_t *config, const real_t *logits, size_t frames,
                        const sample_rule_t *rule, real_t *limits) {
    const size_t KL = config->tracks * config->planes, P = config->pitches;
    g_autofree real_t *values = rule->density ? g_new(real_t, frames * P) : NULL;
    for (size_t i = 0; i < KL; i++) {
        limits[i] = (real_t)log(rule->threshold / (1 - rule->threshold));
        if (!rule->density) continue;
        double expected = 0;
        for (size_t t = 0; t < frames; t++)
            for (size_t p = 0; p < P; p++)
                expected += probability(values[t * P + p] = logits[(t * KL + i) * P + p]);
        qsort(values, frames * P, sizeof *values, compare_descending);
        const size_t n = (size_t)lround(expected);
        limits[i] = n == 0 ? (real_t)INFINITY : values[n - 1];
    }
}

/* Sets the bits of one frame, whose number counts in the roll, from its logits [K, L, P]. */
static void set_frame(const model_config_t *config, const real_t *logits, roll_t *roll, size_t frame,
                      const real_t *limits, const sample_rule_t *rule) {
    const size_t K = config->tracks, L = config->planes, P = config->pitches;
    const rng_t rng = rng_make(rule->seed, RNG_DECODE, 0, rule->index);
    for (size_t k = 0; k < K; k++)
        for (size_t p = 0; p < P; p++) {
            const double uniform = rule->draw ? rng_uniform(&rng, (frame * K + k) * P + p) : 0;
            for (size_t l = 0; l < L; l++) {
                const real_t logit = logits[(k * L + l) * P + p];
                const gboolean on = rule->draw ? uniform < probability(logit) : logit >= limits[k * L + l];
                if (on) roll_set(roll, frame, k, (int)l, p);
            }
        }
}

/* Sets the window that begins at a frame of the roll, as far as that goes, from a row of the last batch. */
static void set_window(const sample_model_t *model, size_t row, roll_t *roll, size_t first,
                       const sample_rule_t *rule) {
    const model_config_t *config = &model->checkpoint.model;
    const size_t T = config->window, frame_cells = model_cells(config) / T;
    const real_t *logits = model_logits(model->model) + row * T * frame_cells;
    real_t limits[ROLL_MAX_TRACKS * ROLL_PLANES];
    find_limits(config, logits, T, rule, limits);
    for (size_t t = 0; t < T && first + t < roll->frames; t++)
        set_frame(config, logits + t * frame_cells, roll, first + t, limits, rule);
}

roll_t *sample_windows(const sample_model_t *model, const real_t *z, size_t n, size_t frames,
                       const sample_rule_t *rule) {
    const model_config_t *config = &model->checkpoint.model;
    roll_t *roll = roll_new(frames, config->tracks, config->pitches);
    g_autofree real_t *all = g_new(real_t, SAMPLE_BATCH * config->latent);
    for (size_t done = 0; done < n; done += SAMPLE_BATCH) {
        const size_t B = MIN(SAMPLE_BATCH, n - done);
        decode(model, z + done * config->latent, B, all);
        for (size_t b = 0; b < B; b++) set_window(model, b, roll, (done + b) * config->window, rule);
    }
    roll_make_canonical(roll);
    return roll;
}

size_t sample_equal_rows(const sample_model_t *model, const real_t *z, size_t rows[SAMPLE_BATCH]) {
    const size_t Z = model->checkpoint.model.latent, D = model_cells(&model->checkpoint.model);
    g_autofree real_t *all = g_new(real_t, SAMPLE_BATCH * Z);
    for (size_t row = 0; row < SAMPLE_BATCH; row++) memcpy(all + row * Z, z, Z * sizeof *z);
    sample_decode(model, all);
    const real_t *logits = model_logits(model->model);
    size_t n = 0;
    for (size_t row = 0; row < SAMPLE_BATCH; row++)
        if (memcmp(logits, logits + row * D, D * sizeof *logits) == 0) rows[n++] = row;
    return n;
}

void sample_decode(const sample_model_t *model, const real_t *z) {
    model_decode(model->model, z, SAMPLE_BATCH);
}

roll_t *sample_decoded(const sample_model_t *model, size_t row, size_t frames, const sample_rule_t *rule) {
    const model_config_t *config = &model->checkpoint.model;
    roll_t *roll = roll_new(frames, config->tracks, config->pitches);
    set_window(model, row, roll, 0, rule);
    roll_make_canonical(roll);
    return roll;
}

size_t sample_hop(const sample_model_t *model, meter_t meter) {
    const size_t half = MAX(1, model->checkpoint.model.window / 2);
    const double beat = 4.0 * model->checkpoint.grid.steps_per_beat / meter.denominator,
                 bar = beat * meter.numerator;
    const double unit = half >= bar ? bar : half >= beat ? beat : 1;
    return (size_t)floor(floor((double)half / unit) * unit);
}

size_t sample_overlapped_count(const sample_model_t *model, size_t hop, size_t frames) {
    const size_t T = model->checkpoint.model.window;
    return frames <= T ? 1 : 1 + (frames - T + hop - 1) / hop;
}

roll_t *sample_overlapped(const sample_model_t *model, const real_t *z, size_t n, size_t hop, size_t frames,
                          const sample_rule_t *rule, GError **error) {
    const model_config_t *config = &model->checkpoint.model;
    const size_t T = config->window, frame_cells = model_cells(config) / T;
    g_autofree real_t *sum = g_try_new0(real_t, frames * frame_cells), *weights = g_try_new0(real_t, frames);
    if (!sum || !weights) {
        program_fail(error, "cannot keep %zu frames in memory; ask for fewer --bars", frames);
        return NULL;
    }
    g_autofree real_t *all = g_new(real_t, SAMPLE_BATCH * config->latent);
    for (size_t done = 0; done < n; done += SAMPLE_BATCH) {
        const size_t B = MIN(SAMPLE_BATCH, n - done);
        const real_t *first = decode(model, z + done * config->latent, B, all);
        for (size_t b = 0; b < B; b++)
            for (size_t t = 0, frame = (done + b) * hop; t < T && frame < frames; t++, frame++) {
                const real_t weight = (real_t)MIN(t + 1, T - t), *logits = first + (b * T + t) * frame_cells;
                for (size_t i = 0; i < frame_cells; i++) sum[frame * frame_cells + i] += weight * logits[i];
                weights[frame] += weight;
            }
    }
    roll_t *roll = roll_new(frames, config->tracks, config->pitches);
    real_t limits[ROLL_MAX_TRACKS * ROLL_PLANES];
    for (size_t t = 0; t < frames; t++)
        for (size_t i = 0; i < frame_cells; i++) sum[t * frame_cells + i] /= weights[t];
    for (size_t t = 0; t < frames; t++) {
        if (t % hop == 0) find_limits(config, sum + t * frame_cells, MIN(hop, frames - t), rule, limits);
        set_frame(config, sum + t * frame_cells, roll, t, limits, rule);
    }
    roll_make_canonical(roll);
    return roll;
}
