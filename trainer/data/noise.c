/* noise: owns the arrays of random numbers that a batch points to. A window is treated as a sequence of one
 * frame. Past a sequence's end the arrays keep old values. Dropout takes 16 bits a unit, so that one call of
 * Philox decides eight. Refuses nothing: rates have been checked. */
#include "trainer/data/noise.h"

#include <math.h>

#include "trainer/model/rng.h"

enum { LANES = 4, BLOCK_WORDS = 128 };

struct noise {
    gboolean windows;
    size_t max_B, max_cells;
    size_t Z, S, H, M; /* H: model_dropout_units(); M: model_memory_units() */
    double input_dropout, lag_dropout;
    uint32_t threshold, memory_threshold; /* a unit is silenced if its 16 bits are below */
    real_t *eps;
    uint8_t *keep_input, *keep_past, *keep_units, *keep_memory;
};

static uint32_t threshold_of(double dropout) { return (uint32_t)CLAMP(lround(dropout * 65536), 0, 65535); }

noise_t *noise_new(const model_config_t *config, const noise_rates_t *rates, size_t max_B, size_t max_cells) {
    noise_t *noise = g_new0(noise_t, 1);
    noise->windows = config->kind == MODEL_DENSE;
    noise->max_B = max_B;
    noise->max_cells = max_cells;
    noise->Z = config->latent;
    noise->S = noise->windows ? 1 : config->sequence.segment;
    noise->H = model_dropout_units(config);
    noise->input_dropout = rates->input_dropout;
    noise->lag_dropout = rates->lag_dropout;
    noise->M = model_memory_units(config);
    noise->threshold = threshold_of(rates->dropout);
    noise->memory_threshold = noise->M ? threshold_of(rates->memory_dropout) : 0;
    if (noise->Z > 0) noise->eps = g_new0(real_t, (max_cells / noise->S + max_B) * noise->Z);
    if (noise->input_dropout > 0) noise->keep_input = g_malloc0(max_cells);
    if (noise->lag_dropout > 0) noise->keep_past = g_malloc0(max_cells / noise->S + max_B);
    if (noise->threshold > 0) noise->keep_units = g_malloc0(max_cells * noise->H);
    if (noise->memory_threshold > 0) noise->keep_memory = g_malloc0(max_cells * noise->M);
    return noise;
}

void noise_free(noise_t *noise) {
    if (!noise) return;
    g_free(noise->eps);
    g_free(noise->keep_input);
    g_free(noise->keep_past);
    g_free(noise->keep_units);
    g_free(noise->keep_memory);
    g_free(noise);
}

/* keep [n]: 0 where the unit's bits are below the threshold, else 1. */
static void draw_units(const rng_t *rng, uint32_t threshold, uint8_t *keep, size_t n) {
    uint64_t words[BLOCK_WORDS];
    for (size_t done = 0; done < n; done += BLOCK_WORDS * LANES) {
        const size_t units = MIN(n - done, (size_t)BLOCK_WORDS * LANES), whole = units / LANES;
        uint8_t *to = keep + done;
        rng_bits(rng, done / LANES, words, (units + LANES - 1) / LANES);
        for (size_t i = 0; i < whole; i++)
            for (size_t lane = 0; lane < LANES; lane++)
                to[i * LANES + lane] = (words[i] >> (16 * lane) & 0xFFFF) >= threshold;
        for (size_t i = whole * LANES; i < units; i++)
            to[i] = (words[whole] >> (16 * (i % LANES)) & 0xFFFF) >= threshold;
    }
}

void noise_draw(noise_t *noise, uint64_t seed, uint64_t epoch, const uint64_t *samples, batch_t *batch) {
    const size_t T = noise->windows ? 1 : batch->T, W = (T + noise->S - 1) / noise->S;
    g_assert(batch->B <= noise->max_B && batch->B * T <= noise->max_cells);
    for (size_t b = 0; b < batch->B; b++) {
        const size_t frames = noise->windows ? 1 : batch->valid[b],
                     segments = (frames + noise->S - 1) / noise->S;
        if (noise->eps) {
            const rng_t rng = rng_make(seed, RNG_NOISE, epoch, samples[b]);
            rng_normal(&rng, noise->eps + b * W * noise->Z, segments * noise->Z);
        }
        if (noise->keep_input) {
            const rng_t rng = rng_make(seed, RNG_INPUT_DROPOUT, epoch, samples[b]);
            for (size_t t = 0; t < frames; t++)
                noise->keep_input[b * T + t] = rng_uniform(&rng, t) >= noise->input_dropout;
        }
        if (noise->keep_past) {
            const rng_t rng = rng_make(seed, RNG_LAG_DROPOUT, epoch, samples[b]);
            for (size_t w = 0; w < segments; w++)
                noise->keep_past[b * W + w] = rng_uniform(&rng, w) >= noise->lag_dropout;
        }
        if (noise->keep_units) {
            const rng_t rng = rng_make(seed, RNG_DROPOUT, epoch, samples[b]);
            draw_units(&rng, noise->threshold, noise->keep_units + b * T * noise->H, frames * noise->H);
        }
        if (noise->keep_memory) {
            const rng_t rng = rng_make(seed, RNG_MEMORY_DROPOUT, epoch, samples[b]);
            draw_units(&rng, noise->memory_threshold, noise->keep_memory + b * T * noise->M,
                       frames * noise->M);
        }
    }
    batch->eps = noise->eps;
    batch->keep_input = noise->keep_input;
    batch->keep_past = noise->keep_past;
    batch->keep_state = noise->windows ? NULL : noise->keep_units;
    batch->keep_hidden = noise->windows ? noise->keep_units : NULL;
    batch->keep_memory = noise->keep_memory;
    batch->keep_rate = 1 - noise->threshold / 65536.0;
    batch->memory_rate = 1 - noise->memory_threshold / 65536.0;
}
