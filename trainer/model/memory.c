/* memory: owns the memory's parameters, and the order of its passes: both go sequence by sequence, so that
 * all that a frame's step takes stays in second-level cache. */
#include "trainer/model/memory.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/memory_input.h"

enum { PHASES = MODEL_MEMORY_PHASES };

typedef struct {
    memory_input_t input;
    gru_t gru;
    const real_t *start;
    real_t *dstart;
    real_t *panels; /* of the GRU */
} track_t;

struct memory {
    size_t M, K, pitches, frame_bytes, bar;
    track_t *tracks; /* [K], in drawing order */
    real_t *levels;  /* gradients of grains that wait for their siblings; NULL: none are allowed */
};

void memory_lay_out(const model_config_t *config, GArray *table) {
    const size_t M = config->sequence.memory;
    char name[32], input[32];
    for (size_t k = 0; M > 0 && k < config->tracks; k++) {
        g_snprintf(name, sizeof name, "memory.%zu", k);
        g_snprintf(input, sizeof input, "memory.%zu.input", k);
        model_add_gru(table, input, name, memory_input_rows(config, k), M);
        model_add_param(table, name, "pitch", config->sequence.tied_pitches, GATES * M, (param_init_t){0});
        model_add_param(table, name, "phase", PHASES, GATES * M, (param_init_t){0});
        if (config->sequence.bar > 0)
            model_add_param(table, name, "bar", place_table_rows(config), GATES * M, (param_init_t){0});
        model_add_param(table, name, "start", 1, M, (param_init_t){0});
    }
}

void memory_find(memory_t *memory, const model_blocks_t *blocks) {
    char name[32], input[32];
    for (size_t k = 0; k < memory->K; k++) {
        track_t *track = &memory->tracks[k];
        g_snprintf(name, sizeof name, "memory.%zu", k);
        g_snprintf(input, sizeof input, "memory.%zu.input", k);
        track->input.linear = model_find_linear(blocks, input);
        track->gru = model_find_gru(blocks, name);
        track->input.pitch = model_find_param(blocks, name, "pitch", &track->input.dpitch);
        track->input.phase = model_find_param(blocks, name, "phase", &track->input.dphase);
        if (memory->bar > 0) track->input.bar = model_find_param(blocks, name, "bar", &track->input.dbar);
        track->start = model_find_param(blocks, name, "start", &track->dstart);
    }
}

memory_t *memory_new(const model_config_t *config, const model_blocks_t *blocks, GError **error) {
    memory_t *memory = g_new0(memory_t, 1);
    memory->M = config->sequence.memory;
    memory->K = config->tracks;
    memory->pitches = config->sequence.tied_pitches;
    memory->frame_bytes = model_frame_bytes(config);
    memory->bar = config->sequence.bar;
    memory->tracks = g_new0(track_t, memory->K);
    for (size_t k = 0; k < memory->K; k++) memory_input_init(&memory->tracks[k].input, config, k);
    memory_find(memory, blocks);
    for (size_t k = 0; k < memory->K; k++) {
        real_t *panels = model_new_block(gru_rows_panels(memory->M), "the memory's weights", error);
        memory->tracks[k].panels = panels;
        if (panels) continue;
        memory_free(memory);
        return NULL;
    }
    return memory;
}

void memory_free(memory_t *memory) {
    if (!memory) return;
    for (size_t k = 0; k < memory->K; k++) {
        memory_input_clear(&memory->tracks[k].input);
        free(memory->tracks[k].panels);
    }
    free(memory->levels);
    g_free(memory->tracks);
    g_free(memory);
}

void memory_start(const memory_t *memory) {
    for (size_t k = 0; memory && k < memory->K; k++) model_open_gru(&memory->tracks[k].input.linear);
}

/* ---- over a batch ---- */

gboolean memory_pass_init(memory_pass_t *pass, const memory_t *memory, size_t max_rows, GError **error) {
    const size_t K = memory->K, M = memory->M, P = memory->pitches, rows = max_rows * P;
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
    pass->x = model_add_block(pass->blocks, P, GATES * M);
    pass->dhU = model_add_block(pass->blocks, P, GATES * M);
    pass->start = model_add_block(pass->blocks, P, M);
    pass->dbefore = model_add_block(pass->blocks, P, M);
    pass->scratch = model_add_block(pass->blocks, gru_rows_scratch(M), 1);
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

/* The place of a row, or NULL. */
static const place_t *place_of(const place_t *const *places, size_t row) {
    return places ? places[row] : NULL;
}

/* A pass through one track. */
typedef struct {
    memory_t *memory;
    memory_pass_t *pass;
    size_t k;
    const memory_rows_t *rows;
    const packing_t *group; /* of a backward pass by grains: the next one */
} walk_t;

static void forward_sequence(const walk_t *walk, const packing_t *group, size_t b) {
    memory_t *memory = walk->memory;
    const size_t k = walk->k, P = memory->pitches, M = memory->M;
    track_t *track = &memory->tracks[k];
    const real_t *before = walk->pass->start;
    for (size_t t = 0; b < packing_count(group, t); t++) {
        const size_t row = group->offset[t] + b;
        real_t *s = walk->pass->s[k] + row * P * M, *gates = walk->pass->gates[k] + row * P * 4 * M;
        memory_input_read(&track->input, walk->rows->frames[row] - memory->frame_bytes,
                          walk->rows->heard[row], t, place_of(walk->rows->places, row), walk->pass->x);
        gru_rows_forward(&track->gru, track->panels, P, walk->pass->x, before, s, gates, walk->pass->scratch);
        before = s;
    }
}

void memory_forward(memory_t *memory, memory_pass_t *pass, const memory_rows_t *rows) {
    for (size_t k = 0; k < memory->K; k++) {
        const walk_t walk = {memory, pass, k, rows, NULL};
        gru_rows_prepare(&memory->tracks[k].gru, memory->tracks[k].panels);
        fill(memory->tracks[k].start, pass->start, memory->pitches, memory->M);
        for (size_t i = 0; i < rows->n_groups; i++)
            for (size_t b = 0; b < rows->groups[i].B; b++) forward_sequence(&walk, &rows->groups[i], b);
    }
}

static void backward_sequence(const walk_t *walk, const packing_t *group, size_t b) {
    memory_t *memory = walk->memory;
    memory_pass_t *pass = walk->pass;
    const size_t k = walk->k, P = memory->pitches, M = memory->M;
    track_t *track = &memory->tracks[k];
    size_t t = 0;
    while (b < packing_count(group, t)) t++;
    memset(pass->dbefore, 0, P * M * sizeof *pass->dbefore);
    while (t-- > 0) {
        const size_t row = group->offset[t] + b;
        const real_t *before = t ? pass->s[k] + (group->offset[t - 1] + b) * P * M : pass->start;
        real_t *ds = pass->ds[k] + row * P * M;
        head_add(pass->dbefore, ds, P * M);
        gru_rows_backward(&track->gru, track->panels, P, ds, pass->gates[k] + row * P * 4 * M, before,
                          pass->x, pass->dhU, pass->dbefore);
        gru_rows_gradient(&track->gru, P, before, pass->dhU);
        memory_input_backward(&track->input, walk->rows->frames[row] - memory->frame_bytes,
                              walk->rows->heard[row], t, place_of(walk->rows->places, row), pass->x);
    }
    for (size_t i = 0; i < P; i++) head_add(pass->dbefore + i * M, track->dstart, M);
}

static void backward_group(const walk_t *walk, const packing_t *group) {
    for (size_t b = 0; b < group->B; b++) backward_sequence(walk, group, b);
}

/* Elements of a track's gradient, which begins at that of W, as memory_lay_out() has them. */
static size_t gradient_size(const memory_t *memory, const track_t *track) {
    return (size_t)(track->dstart + memory->M - track->input.linear.dW);
}

gboolean memory_allow_grains(memory_t *memory, size_t n, GError **error) {
    size_t most = 0;
    for (size_t k = 0; k < memory->K; k++) most = MAX(most, gradient_size(memory, &memory->tracks[k]));
    memory->levels = model_new_block(grains_levels(n) * most, "the memory's gradients of grains", error);
    return memory->levels != NULL;
}

/* The track's gradient goes to another block from now on. */
static void move_gradient(track_t *track, real_t *to) {
    memory_input_t *input = &track->input;
    const real_t *from = input->linear.dW;
    real_t **const own[] = {&input->linear.dW, &input->linear.dbias, &track->gru.dU, &track->gru.dc,
                            &input->dpitch,    &input->dphase,       &input->dbar,   &track->dstart};
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++)
        if (*own[i]) *own[i] = to + (*own[i] - from);
}

static void backward_grain(void *data, size_t grain, real_t *to) {
    walk_t *walk = data;
    (void)grain; /* groups are those of the grains that have rows, in turn */
    move_gradient(&walk->memory->tracks[walk->k], to);
    backward_group(walk, walk->group++);
}

void memory_backward(memory_t *memory, memory_pass_t *pass, const memory_rows_t *rows, const grains_t *grains,
                     const model_report_t *report) {
    for (size_t k = 0; k < memory->K; k++) {
        track_t *track = &memory->tracks[k];
        real_t *const block = track->input.linear.dW;
        const size_t n = gradient_size(memory, track);
        walk_t walk = {memory, pass, k, rows, rows->groups};
        fill(track->start, pass->start, memory->pitches, memory->M);
        if (grains->n > 0)
            grains_sum_blocks(grains, block, memory->levels, n, backward_grain, &walk);
        else
            backward_group(&walk, rows->groups);
        move_gradient(track, block);
        model_report(report, block, n);
    }
}

/* ---- outside training ---- */

size_t memory_scratch(const memory_t *memory) {
    return memory ? memory->pitches * (GATES + 4) * memory->M + gru_rows_scratch(memory->M) : 0;
}

void memory_prepare(memory_t *memory) {
    for (size_t k = 0; memory && k < memory->K; k++)
        gru_rows_prepare(&memory->tracks[k].gru, memory->tracks[k].panels);
}

void memory_begin(const memory_t *memory, real_t *const *s, size_t N) {
    for (size_t k = 0; memory && k < memory->K; k++)
        fill(memory->tracks[k].start, s[k], N * memory->pitches, memory->M);
}

void memory_step(memory_t *memory, size_t first, size_t end, const uint8_t *const *frames,
                 const place_t *const *places, size_t t, real_t *const *s, real_t *scratch) {
    const size_t P = memory->pitches, M = memory->M;
    real_t *const gates = scratch + P * GATES * M, *const rest = gates + P * 4 * M;
    for (size_t k = 0; k < memory->K; k++) {
        track_t *track = &memory->tracks[k];
        for (size_t n = first; n < end; n++) {
            real_t *of_piece = s[k] + n * P * M;
            memory_input_read(&track->input, frames[n] - memory->frame_bytes, TRUE, t, place_of(places, n),
                              scratch);
            gru_rows_forward(&track->gru, track->panels, P, scratch, of_piece, of_piece, gates, rest);
        }
    }
}
