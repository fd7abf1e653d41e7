/* memory: owns the memory's parameters, and how it reads frames. A frame is sparse, so its input is a sum of
 * few rows: a note adds a row of W to each of the pitches around it, and pitch classes are added up once for
 * all pitches of a class. The backward pass goes the same ways. */
#include "trainer/model/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/model/gru_rows.h"
#include "trainer/model/head_kernels.h"
#include "trainer/model/pitch_set.h"

enum { REACH = 13, WINDOW = 2 * REACH + 1, PHASES = MODEL_MEMORY_PHASES };

/* A part of a frame that a track reads, and where its rows of W begin. */
typedef struct {
    size_t byte, row;
} source_t;

typedef struct {
    linear_t input;
    gru_t gru;
    const real_t *pitch, *phase, *start;
    real_t *dpitch, *dphase, *dstart;
    gboolean drums;
    source_t *sources;
    size_t n_sources;
    size_t classes; /* first of the rows of pitch classes */
} track_t;

struct memory {
    model_config_t config;
    size_t M, K, P, first, pitches, frame_bytes;
    size_t *pitched, n_pitched; /* where the sound of the pitched tracks lies in a frame */
    track_t *tracks;            /* [K], in drawing order */
    real_t **panels;            /* [K]: of their GRUs */
    /* Of the current row: */
    patch_t *patches;              /* elements of W, and of x */
    size_t n_patches, *any, n_any; /* drums: rows of keys that all cells hear */
    real_t *counts;                /* [PITCH_CLASSES] */
    real_t *levels;          /* gradients of grains that wait for their siblings; NULL: none are allowed */
    real_t *base, *by_class; /* [3 M], [PITCH_CLASSES, 3 M]; or their gradient */
};

static gboolean is_drums(const model_config_t *config, size_t k) { return k < config->sequence.drums; }

static size_t count_inputs(const model_config_t *config, size_t k) {
    const size_t pitched = config->tracks - config->sequence.drums;
    return is_drums(config, k) ? 2 * config->planes * config->sequence.tied_pitches
                               : (config->planes + pitched - 1) * WINDOW + PITCH_CLASSES;
}

void memory_lay_out(const model_config_t *config, GArray *table) {
    const size_t M = config->sequence.memory;
    char name[32], input[32];
    for (size_t k = 0; M > 0 && k < config->tracks; k++) {
        g_snprintf(name, sizeof name, "memory.%zu", k);
        g_snprintf(input, sizeof input, "memory.%zu.input", k);
        model_add_gru(table, input, name, count_inputs(config, k), M);
        model_add_param(table, name, "pitch", config->sequence.tied_pitches, GATES * M, (param_init_t){0});
        model_add_param(table, name, "phase", PHASES, GATES * M, (param_init_t){0});
        model_add_param(table, name, "start", 1, M, (param_init_t){0});
    }
}

void memory_find(memory_t *memory, const model_blocks_t *blocks) {
    char name[32], input[32];
    for (size_t k = 0; k < memory->K; k++) {
        track_t *track = &memory->tracks[k];
        g_snprintf(name, sizeof name, "memory.%zu", k);
        g_snprintf(input, sizeof input, "memory.%zu.input", k);
        track->input = model_find_linear(blocks, input);
        track->gru = model_find_gru(blocks, name);
        track->pitch = model_find_param(blocks, name, "pitch", &track->dpitch);
        track->phase = model_find_param(blocks, name, "phase", &track->dphase);
        track->start = model_find_param(blocks, name, "start", &track->dstart);
    }
}

static size_t sound_byte(const model_config_t *config, size_t k) {
    return config->sequence.order[k] * config->planes * roll_stride(config->pitches);
}

static void place_track(memory_t *memory, size_t k) {
    const model_config_t *config = &memory->config;
    track_t *track = &memory->tracks[k];
    const size_t rows = is_drums(config, k) ? 2 * memory->pitches : WINDOW;
    track->drums = is_drums(config, k);
    track->sources = g_new0(source_t, config->planes + config->tracks);
    for (size_t l = 0; l < config->planes; l++, track->n_sources++)
        track->sources[l] = (source_t){sound_byte(config, k) + l * roll_stride(config->pitches), l * rows};
    for (size_t j = config->sequence.drums; !track->drums && j < config->tracks; j++)
        if (j != k) {
            track->sources[track->n_sources] = (source_t){sound_byte(config, j), track->n_sources * WINDOW};
            track->n_sources++;
        }
    track->classes = track->n_sources * WINDOW;
}

memory_t *memory_new(const model_config_t *config, const model_blocks_t *blocks, GError **error) {
    memory_t *memory = g_new0(memory_t, 1);
    memory->config = *config;
    memory->M = config->sequence.memory;
    memory->K = config->tracks;
    memory->P = config->pitches;
    memory->first = config->sequence.tied_first;
    memory->pitches = config->sequence.tied_pitches;
    memory->frame_bytes = model_frame_bytes(config);
    memory->tracks = g_new0(track_t, memory->K);
    memory->pitched = g_new0(size_t, memory->K);
    for (size_t k = config->sequence.drums; k < memory->K; k++)
        memory->pitched[memory->n_pitched++] = sound_byte(config, k);
    memory->panels = g_new0(real_t *, memory->K);
    for (size_t k = 0; k < memory->K; k++) place_track(memory, k);
    memory->patches = g_new(patch_t, (memory->K + config->planes) * memory->P);
    memory->any = g_new(size_t, config->planes * memory->P);
    memory->counts = g_new(real_t, PITCH_CLASSES);
    memory->base = g_new(real_t, GATES * memory->M);
    memory->by_class = g_new(real_t, PITCH_CLASSES * GATES * memory->M);
    memory_find(memory, blocks);
    for (size_t k = 0; k < memory->K; k++) {
        memory->panels[k] = model_new_block(gru_rows_panels(memory->M), "the memory's weights", error);
        if (memory->panels[k]) continue;
        memory_free(memory);
        return NULL;
    }
    return memory;
}

void memory_free(memory_t *memory) {
    if (!memory) return;
    void *const arrays[] = {memory->tracks, memory->pitched, memory->patches,  memory->any,
                            memory->counts, memory->base,    memory->by_class, memory};
    for (size_t k = 0; k < memory->K; k++) {
        g_free(memory->tracks[k].sources);
        free(memory->panels[k]);
    }
    g_free(memory->panels);
    free(memory->levels);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
}

void memory_start(const memory_t *memory) {
    for (size_t k = 0; memory && k < memory->K; k++) model_open_gru(&memory->tracks[k].input);
}

/* ---- what a row hears ---- */

/* A pitched track's patches: a note's rows of W for the pitches around it, lowest first. */
static void hear_window(memory_t *memory, const source_t *source, pitch_set_t notes) {
    const ptrdiff_t low = (ptrdiff_t)memory->first, high = low + (ptrdiff_t)memory->pitches;
    const size_t width = GATES * memory->M;
    while (notes) {
        const ptrdiff_t lowest = (ptrdiff_t)pitch_set_take(&notes) - REACH, first = MAX(lowest, low),
                        end = MIN(lowest + WINDOW, high);
        if (first < end)
            memory->patches[memory->n_patches++] =
                (patch_t){(source->row + (size_t)(first - lowest)) * width, (size_t)(first - low) * width,
                          (size_t)(end - first) * width};
    }
}

static void hear_keys(memory_t *memory, const source_t *source, pitch_set_t keys) {
    const size_t width = GATES * memory->M;
    while (keys) {
        const size_t key = pitch_set_take(&keys) - memory->first;
        if (key >= memory->pitches) continue; /* below the first wraps around */
        memory->patches[memory->n_patches++] = (patch_t){(source->row + key) * width, key * width, width};
        memory->any[memory->n_any++] = source->row + memory->pitches + key;
    }
}

static void count_notes(memory_t *memory, const uint8_t *before) {
    memset(memory->counts, 0, PITCH_CLASSES * sizeof *memory->counts);
    for (size_t j = 0; j < memory->n_pitched; j++)
        for (pitch_set_t notes = pitch_set_read(before + memory->pitched[j], memory->P); notes;)
            memory->counts[pitch_set_take(&notes) % PITCH_CLASSES] += 1;
}

static void hear(memory_t *memory, const track_t *track, const uint8_t *before, gboolean heard) {
    memory->n_patches = memory->n_any = 0;
    memset(memory->counts, 0, PITCH_CLASSES * sizeof *memory->counts);
    if (!heard) return;
    if (!track->drums) count_notes(memory, before);
    for (size_t i = 0; i < track->n_sources; i++) {
        const pitch_set_t notes = pitch_set_read(before + track->sources[i].byte, memory->P);
        if (track->drums)
            hear_keys(memory, &track->sources[i], notes);
        else
            hear_window(memory, &track->sources[i], notes);
    }
}

/* x [pitches, 3 M] of one row. */
static void read_row(memory_t *memory, const track_t *track, const uint8_t *before, gboolean heard, size_t t,
                     real_t *x) {
    const size_t width = GATES * memory->M;
    hear(memory, track, before, heard);
    memcpy(memory->base, track->input.bias, width * sizeof *x);
    head_add(track->phase + t % PHASES * width, memory->base, width);
    for (size_t i = 0; i < memory->n_any; i++)
        head_add(track->input.W + memory->any[i] * width, memory->base, width);
    for (size_t c = 0; c < PITCH_CLASSES; c++)
        memcpy(memory->by_class + c * width, memory->base, width * sizeof *x);
    if (!track->drums && heard)
        head_profile(memory->counts, track->input.W + track->classes * width, memory->by_class, 1, width);
    for (size_t i = 0; i < memory->pitches; i++)
        head_begin_tied(track->pitch + i * width,
                        memory->by_class + (memory->first + i) % PITCH_CLASSES * width, x + i * width, 1,
                        width);
    head_scatter(memory->patches, memory->n_patches, track->input.W, x);
}

/* Takes the gradient dx of one row to the parameters'. */
static void read_row_backward(memory_t *memory, track_t *track, const uint8_t *before, gboolean heard,
                              size_t t, const real_t *dx) {
    const size_t width = GATES * memory->M;
    hear(memory, track, before, heard);
    head_gather(memory->patches, memory->n_patches, dx, track->input.dW);
    head_add(dx, track->dpitch, memory->pitches * width);
    memset(memory->by_class, 0, PITCH_CLASSES * width * sizeof *dx);
    memset(memory->base, 0, width * sizeof *dx);
    for (size_t i = 0; i < memory->pitches; i++)
        head_add(dx + i * width, memory->by_class + (memory->first + i) % PITCH_CLASSES * width, width);
    for (size_t c = 0; c < PITCH_CLASSES; c++) head_add(memory->by_class + c * width, memory->base, width);
    if (!track->drums && heard)
        head_profile_backward(memory->counts, memory->by_class, track->input.dW + track->classes * width, 1,
                              width);
    for (size_t i = 0; i < memory->n_any; i++)
        head_add(memory->base, track->input.dW + memory->any[i] * width, width);
    head_add(memory->base, track->dphase + t % PHASES * width, width);
    head_add(memory->base, track->input.dbias, width);
}

/* ---- over a batch ---- */

gboolean memory_pass_init(memory_pass_t *pass, const memory_t *memory, size_t max_rows, size_t max_B,
                          GError **error) {
    const size_t K = memory->K, M = memory->M, rows = max_rows * memory->pitches, B = max_B * memory->pitches;
    *pass = (memory_pass_t){.K = K};
    pass->blocks = g_ptr_array_new_with_free_func(free);
    pass->s = g_new0(real_t *, K);
    pass->ds = g_new0(real_t *, K);
    pass->gates = g_new0(real_t *, K);
    for (size_t k = 0; k < K; k++) {
        pass->s[k] = model_add_block(pass->blocks, rows, M);
        pass->ds[k] = model_add_block(pass->blocks, rows, M);
        pass->gates[k] = model_add_block(pass->blocks, rows, 4 * M);
    }
    pass->x = model_add_block(pass->blocks, B, GATES * M);
    pass->dhU = model_add_block(pass->blocks, B, GATES * M);
    pass->start = model_add_block(pass->blocks, B, M);
    pass->dbefore = model_add_block(pass->blocks, B, M);
    return model_check_blocks(pass->blocks, "the memories of a batch", error);
}

void memory_pass_clear(memory_pass_t *pass) {
    if (!pass->blocks) return;
    g_ptr_array_unref(pass->blocks);
    g_free(pass->s);
    g_free(pass->ds);
    g_free(pass->gates);
    *pass = (memory_pass_t){0};
}

static void fill(const real_t *row, real_t *rows, size_t n, size_t M) {
    for (size_t i = 0; i < n; i++) memcpy(rows + i * M, row, M * sizeof *rows);
}

static void forward_group(memory_t *memory, memory_pass_t *pass, size_t k, const packing_t *packing,
                          const uint8_t *const *frames, const uint8_t *heard) {
    const size_t P = memory->pitches, M = memory->M;
    const track_t *track = &memory->tracks[k];
    const real_t *before = pass->start;
    fill(track->start, pass->start, packing->B * P, M);
    for (size_t t = 0; t < packing->T; t++) {
        const size_t first = packing->offset[t], n = packing_count(packing, t);
        for (size_t b = 0; b < n; b++)
            read_row(memory, track, frames[first + b] - memory->frame_bytes, heard[first + b], t,
                     pass->x + b * P * GATES * M);
        gru_rows_forward(&track->gru, memory->panels[k], n * P, pass->x, before, pass->s[k] + first * P * M,
                         pass->gates[k] + first * P * 4 * M);
        before = pass->s[k] + first * P * M;
    }
}

void memory_forward(memory_t *memory, memory_pass_t *pass, const packing_t *groups, size_t n,
                    const uint8_t *const *frames, const uint8_t *heard) {
    for (size_t k = 0; k < memory->K; k++) {
        gru_rows_prepare(&memory->tracks[k].gru, memory->panels[k]);
        for (size_t i = 0; i < n; i++) forward_group(memory, pass, k, &groups[i], frames, heard);
    }
}

/* One frame's step of the backward pass. */
static void go_back(memory_t *memory, memory_pass_t *pass, const packing_t *packing, size_t k, size_t t) {
    const size_t P = memory->pitches, M = memory->M, first = packing->offset[t] * P,
                 n = packing_count(packing, t) * P;
    const gru_t *gru = &memory->tracks[k].gru;
    const real_t *before = t ? pass->s[k] + packing->offset[t - 1] * P * M : pass->start;
    real_t *dh = pass->ds[k] + first * M;
    if (t + 1 < packing->T) head_add(pass->dbefore, dh, packing_count(packing, t + 1) * P * M);
    gru_rows_backward(gru, memory->panels[k], n, dh, pass->gates[k] + first * 4 * M, before, pass->x,
                      pass->dhU, pass->dbefore);
    gru_rows_gradient(gru, n, before, pass->dhU);
}

static void backward_group(memory_t *memory, memory_pass_t *pass, size_t k, const packing_t *packing,
                           const uint8_t *const *frames, const uint8_t *heard) {
    const size_t P = memory->pitches, M = memory->M;
    track_t *track = &memory->tracks[k];
    fill(track->start, pass->start, packing->B * P, M);
    for (size_t t = packing->T; t-- > 0;) {
        const size_t first = packing->offset[t];
        go_back(memory, pass, packing, k, t);
        for (size_t b = 0; b < packing_count(packing, t); b++)
            read_row_backward(memory, track, frames[first + b] - memory->frame_bytes, heard[first + b], t,
                              pass->x + b * P * GATES * M);
    }
    for (size_t i = 0; i < packing->B * P; i++) head_add(pass->dbefore + i * M, track->dstart, M);
}

/* Elements of a track's gradient, which begins at input.dW, as memory_lay_out() has them. */
static size_t gradient_size(const memory_t *memory, const track_t *track) {
    return (size_t)(track->dstart + memory->M - track->input.dW);
}

gboolean memory_allow_grains(memory_t *memory, size_t n, GError **error) {
    const size_t waiting = (size_t)g_bit_storage(MAX(n, 2) - 1); /* subtrees that wait for their siblings */
    size_t most = 0;
    for (size_t k = 0; k < memory->K; k++) most = MAX(most, gradient_size(memory, &memory->tracks[k]));
    memory->levels = model_new_block(waiting * most, "the memory's gradients of grains", error);
    return memory->levels != NULL;
}

/* The track's gradient goes to another block from now on. */
static void move_gradient(track_t *track, real_t *to) {
    const real_t *from = track->input.dW;
    real_t **const own[] = {&track->input.dW, &track->input.dbias, &track->gru.dU, &track->gru.dc,
                            &track->dpitch,   &track->dphase,      &track->dstart};
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) *own[i] = to + (*own[i] - from);
}

/* As in a binary counter: the ones of i are the subtrees that wait, those at its end are whole with grain
 * i. */
static void backward_grains(memory_t *memory, memory_pass_t *pass, size_t k, const packing_t *group,
                            const grains_t *grains, const uint8_t *const *frames, const uint8_t *heard) {
    track_t *track = &memory->tracks[k];
    real_t *const block = track->input.dW;
    const size_t n = gradient_size(memory, track);
    for (size_t i = 0; i < grains->n; i++) {
        const size_t level = (size_t)__builtin_popcountll(i);
        real_t *sum = level ? memory->levels + (level - 1) * n : block;
        memset(sum, 0, n * sizeof *sum);
        move_gradient(track, sum);
        if (grains->begin[i] < grains->begin[i + 1]) backward_group(memory, pass, k, group++, frames, heard);
        size_t at = level;
        for (int merges = __builtin_ctzll(~(unsigned long long)i); merges > 0; merges--, at--)
            head_add(memory->levels + (at - 1) * n, at > 1 ? memory->levels + (at - 2) * n : block, n);
    }
    move_gradient(track, block);
}

void memory_backward(memory_t *memory, memory_pass_t *pass, const packing_t *groups, const grains_t *grains,
                     const uint8_t *const *frames, const uint8_t *heard, const model_report_t *report) {
    for (size_t k = 0; k < memory->K; k++) {
        track_t *track = &memory->tracks[k];
        if (grains->n > 0)
            backward_grains(memory, pass, k, groups, grains, frames, heard);
        else
            backward_group(memory, pass, k, groups, frames, heard);
        model_report(report, track->input.dW, gradient_size(memory, track));
    }
}

/* ---- outside training ---- */

size_t memory_scratch(const memory_t *memory, size_t N) {
    return memory ? N * memory->pitches * (GATES + 4) * memory->M : 0;
}

void memory_begin(memory_t *memory, real_t *const *s, size_t N) {
    for (size_t k = 0; memory && k < memory->K; k++) {
        gru_rows_prepare(&memory->tracks[k].gru, memory->panels[k]);
        fill(memory->tracks[k].start, s[k], N * memory->pitches, memory->M);
    }
}

void memory_step(memory_t *memory, size_t N, const uint8_t *const *frames, size_t t, real_t *const *s,
                 real_t *scratch) {
    const size_t row = memory->pitches * GATES * memory->M;
    for (size_t k = 0; k < memory->K; k++) {
        const track_t *track = &memory->tracks[k];
        for (size_t n = 0; n < N; n++)
            read_row(memory, track, frames[n] - memory->frame_bytes, TRUE, t, scratch + n * row);
        gru_rows_forward(&track->gru, memory->panels[k], N * memory->pitches, scratch, s[k], s[k],
                         scratch + N * row);
    }
}
