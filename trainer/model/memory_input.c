/* memory_input: owns how frames are read. A frame is sparse, so its input is a sum of few rows: a note adds a
 * row of W to each of the pitches around it, and pitch classes are added up once for all pitches of a class.
 * The backward pass goes the same ways. */
#include "trainer/model/memory_input.h"

#include <string.h>

#include "trainer/model/pitch_set.h"

enum { REACH = 13, WINDOW = 2 * REACH + 1, PHASES = MODEL_MEMORY_PHASES };

static gboolean is_drums(const model_config_t *config, size_t k) { return k < config->sequence.drums; }

size_t memory_input_rows(const model_config_t *config, size_t k) {
    const size_t pitched = config->tracks - config->sequence.drums;
    return is_drums(config, k) ? 2 * config->planes * config->sequence.tied_pitches
                               : (config->planes + pitched - 1) * WINDOW + PITCH_CLASSES;
}

static size_t sound_byte(const model_config_t *config, size_t k) {
    return config->sequence.order[k] * config->planes * roll_stride(config->pitches);
}

static void place_sources(memory_input_t *input, const model_config_t *config, size_t k) {
    const size_t rows = input->drums ? 2 * input->pitches : WINDOW;
    for (size_t l = 0; l < config->planes; l++, input->n_sources++)
        input->sources[l] =
            (memory_source_t){sound_byte(config, k) + l * roll_stride(config->pitches), l * rows};
    for (size_t j = config->sequence.drums; !input->drums && j < config->tracks; j++)
        if (j != k) {
            input->sources[input->n_sources] =
                (memory_source_t){sound_byte(config, j), input->n_sources * WINDOW};
            input->n_sources++;
        }
    input->classes = input->n_sources * WINDOW;
}

void memory_input_init(memory_input_t *input, const model_config_t *config, size_t k) {
    const size_t sources = config->planes + config->tracks, P = config->pitches;
    *input = (memory_input_t){.width = GATES * config->sequence.memory,
                              .P = P,
                              .first = config->sequence.tied_first,
                              .pitches = config->sequence.tied_pitches,
                              .drums = is_drums(config, k)};
    input->sources = g_new0(memory_source_t, sources);
    input->pitched = g_new0(size_t, config->tracks);
    for (size_t j = config->sequence.drums; j < config->tracks; j++)
        input->pitched[input->n_pitched++] = sound_byte(config, j);
    place_sources(input, config, k);
    input->patches = g_new(patch_t, sources * P);
    input->any = g_new(size_t, config->planes * P);
    input->counts = g_new(real_t, PITCH_CLASSES);
    input->base = g_new(real_t, input->width);
    input->by_class = g_new(real_t, PITCH_CLASSES * input->width);
}

void memory_input_clear(memory_input_t *input) {
    void *const arrays[] = {input->sources, input->pitched, input->patches, input->any,
                            input->counts,  input->base,    input->by_class};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
}

/* A pitched track's patches: a note's rows of W for the pitches around it, lowest first. */
static void hear_window(memory_input_t *input, const memory_source_t *source, pitch_set_t notes) {
    const ptrdiff_t low = (ptrdiff_t)input->first, high = low + (ptrdiff_t)input->pitches;
    const size_t width = input->width;
    while (notes) {
        const ptrdiff_t lowest = (ptrdiff_t)pitch_set_take(&notes) - REACH, first = MAX(lowest, low),
                        end = MIN(lowest + WINDOW, high);
        if (first < end)
            input->patches[input->n_patches++] =
                (patch_t){(source->row + (size_t)(first - lowest)) * width, (size_t)(first - low) * width,
                          (size_t)(end - first) * width};
    }
}

static void hear_keys(memory_input_t *input, const memory_source_t *source, pitch_set_t keys) {
    const size_t width = input->width;
    while (keys) {
        const size_t key = pitch_set_take(&keys) - input->first;
        if (key >= input->pitches) continue; /* below the first wraps around */
        input->patches[input->n_patches++] = (patch_t){(source->row + key) * width, key * width, width};
        input->any[input->n_any++] = source->row + input->pitches + key;
    }
}

static void count_notes(memory_input_t *input, const uint8_t *before) {
    for (size_t j = 0; j < input->n_pitched; j++)
        for (pitch_set_t notes = pitch_set_read(before + input->pitched[j], input->P); notes;)
            input->counts[pitch_set_take(&notes) % PITCH_CLASSES] += 1;
}

static void hear(memory_input_t *input, const uint8_t *before, gboolean heard) {
    input->n_patches = input->n_any = 0;
    memset(input->counts, 0, PITCH_CLASSES * sizeof *input->counts);
    if (!heard) return;
    if (!input->drums) count_notes(input, before);
    for (size_t i = 0; i < input->n_sources; i++) {
        const pitch_set_t notes = pitch_set_read(before + input->sources[i].byte, input->P);
        if (input->drums)
            hear_keys(input, &input->sources[i], notes);
        else
            hear_window(input, &input->sources[i], notes);
    }
}

/* x [n, width] = what each pitch has for its own and what its pitch class has, the first being `first`. */
LAYERS_WIDE static void begin_pitches(const real_t *restrict pitch, const real_t *restrict by_class,
                                      size_t first, real_t *restrict x, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) {
        const real_t *shared = by_class + (first + i) % PITCH_CLASSES * width;
        for (size_t j = 0; j < width; j++) x[i * width + j] = pitch[i * width + j] + shared[j];
    }
}

LAYERS_WIDE static void begin_backward(const real_t *restrict dx, real_t *restrict dpitch, size_t first,
                                       real_t *restrict by_class, size_t n, size_t width) {
    for (size_t i = 0; i < n; i++) {
        real_t *shared = by_class + (first + i) % PITCH_CLASSES * width;
        for (size_t j = 0; j < width; j++) {
            dpitch[i * width + j] += dx[i * width + j];
            shared[j] += dx[i * width + j];
        }
    }
}

void memory_input_read(memory_input_t *input, const uint8_t *before, gboolean heard, size_t t,
                       const place_t *place, real_t *x) {
    const size_t width = input->width;
    hear(input, before, heard);
    memcpy(input->base, input->linear.bias, width * sizeof *x);
    head_add(input->phase + t % PHASES * width, input->base, width);
    for (size_t i = 0; input->bar && i < PLACE_ROWS; i++)
        head_add(input->bar + place->rows[i] * width, input->base, width);
    for (size_t i = 0; i < input->n_any; i++)
        head_add(input->linear.W + input->any[i] * width, input->base, width);
    for (size_t c = 0; c < PITCH_CLASSES; c++)
        memcpy(input->by_class + c * width, input->base, width * sizeof *x);
    if (!input->drums && heard)
        head_profile(input->counts, input->linear.W + input->classes * width, input->by_class, 1, width);
    begin_pitches(input->pitch, input->by_class, input->first, x, input->pitches, width);
    head_scatter(input->patches, input->n_patches, input->linear.W, x);
}

void memory_input_backward(memory_input_t *input, const uint8_t *before, gboolean heard, size_t t,
                           const place_t *place, const real_t *dx) {
    const size_t width = input->width;
    hear(input, before, heard);
    head_gather(input->patches, input->n_patches, dx, input->linear.dW);
    memset(input->by_class, 0, PITCH_CLASSES * width * sizeof *dx);
    memset(input->base, 0, width * sizeof *dx);
    begin_backward(dx, input->dpitch, input->first, input->by_class, input->pitches, width);
    for (size_t c = 0; c < PITCH_CLASSES; c++) head_add(input->by_class + c * width, input->base, width);
    if (!input->drums && heard)
        head_profile_backward(input->counts, input->by_class, input->linear.dW + input->classes * width, 1,
                              width);
    for (size_t i = 0; i < input->n_any; i++)
        head_add(input->base, input->linear.dW + input->any[i] * width, width);
    head_add(input->base, input->dphase + t % PHASES * width, width);
    for (size_t i = 0; input->bar && i < PLACE_ROWS; i++)
        head_add(input->base, input->dbar + place->rows[i] * width, width);
    head_add(input->base, input->linear.dbias, width);
}
