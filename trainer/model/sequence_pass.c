/* sequence_pass: owns the activations of a batch, and where its frames and segments are in the rows. */
#include "trainer/model/sequence_pass.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/vae_sequence.h"

/* A list of members that are allocated as zeros [rows, cols] each. */
typedef struct {
    size_t rows, cols;
    real_t **members[8];
} blocks_t;

static void add_blocks(sequence_pass_t *s, const blocks_t *wanted, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (real_t **const *member = wanted[i].members; *member; member++)
            **member = model_add_block(s->blocks, wanted[i].rows, wanted[i].cols);
}

static void init_packed(packed_t *packed, size_t max_groups, size_t room) {
    packed->groups = g_new0(packing_t, max_groups);
    packed->offsets = g_new0(uint32_t, room);
    packed->room = room;
}

/* Allocates what segments need. FALSE if memory runs out, as add_frames(). */
static gboolean add_segments(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t N = s->max_segments, clean = N * net->S, E = net->E, Z = net->Z, R = s->max_rows,
                 posterior = net->posterior[0].outputs, prior = net->prior[0].outputs,
                 sketch = net->sketch[0].outputs;
    gboolean tapes = TRUE;
    for (size_t i = 0; i < DIRECTIONS; i++) tapes &= gru_tape_init(&s->encoder_tape[i], clean, N, E);
    const blocks_t wanted[] = {
        {clean, GATES * E, {&s->encoder_x[0], &s->encoder_x[1]}},
        {clean, E, {&s->encoder_h[0], &s->encoder_h[1]}},
        {N, E, {&s->encoder_zero, &s->encoder_dzero}},
        {N, 2 * E, {&s->e, &s->de}},
        {N, net->H, {&s->starts, &s->dstarts}},
        {N, posterior, {&s->hidden_q}},
        {N, prior, {&s->hidden_p}},
        {N, sketch, {&s->hidden_u}},
        {N, MAX(posterior, MAX(prior, sketch)), {&s->dhidden}},
        {N, 2 * Z, {&s->moments_q, &s->moments_p, &s->dmoments_q, &s->dmoments_p}},
        {N, Z, {&s->mu_q, &s->lv_q, &s->mu_p, &s->lv_p, &s->z, &s->dz, &s->eps}},
        {N, net->S * net->U, {&s->u, &s->du}},
        {R, net->U, {&s->u_rows, &s->du_rows}},
        {R, net->D, {&s->auxiliary}},
    };
    add_blocks(s, wanted, G_N_ELEMENTS(wanted));
    s->clean = g_malloc0(clean * s->frame_bytes);
    s->clean_start = g_new0(uint32_t, net->D + 1);
    s->clean_active = g_new0(uint32_t, clean * net->D);
    s->segment_place = g_new0(segment_place_t, N);
    init_packed(&s->segments, s->max_B, N + s->max_B);
    init_packed(&s->within, s->max_B, s->max_B * (net->S + 1));
    return tapes;
}

static gboolean add_frames(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->max_rows, H = net->H;
    const blocks_t wanted[] = {
        {R, GATES * H, {&s->x}},
        {R, H, {&s->h, &s->dh}},
        {s->max_B, H, {&s->h0, &s->dh0}},
        {R, H + net->U, {&s->o, &s->dout}},
        {R, head_columns(&net->config), {&s->pre}},
    };
    add_blocks(s, wanted, G_N_ELEMENTS(wanted));
    s->before = g_malloc0(R * s->frame_bytes);
    s->targets = g_malloc0(R * s->frame_bytes);
    s->frame = g_new0(const uint8_t *, R);
    s->past = g_malloc0(R);
    s->heard = g_malloc0(R);
    s->keep = g_new0(const uint8_t *, R);
    s->start = g_new0(uint32_t, net->D + 1);
    s->active = g_new0(uint32_t, R * net->D);
    s->nll = g_new0(double, R);
    s->auxiliary_nll = g_new0(double, R);
    s->frame_place = g_new0(frame_place_t, R);
    s->phase_start = g_new0(uint32_t, net->S + 1);
    s->phase_row = g_new0(uint32_t, R);
    s->bar_start = g_new0(uint32_t, place_table_rows(&net->config) + 1);
    s->bar_row = g_new0(uint32_t, net->config.sequence.bar > 0 ? PLACE_ROWS * R : 0);
    s->places = g_new0(const place_t *, R);
    init_packed(&s->frames, s->max_B, R + s->max_B);
    return gru_tape_init(&s->tape, R, s->max_B, H);
}

void *sequence_pass_new(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                        size_t max_frames, GError **error) {
    sequence_pass_t *s = g_new0(sequence_pass_t, 1);
    s->max_B = max_B;
    s->max_rows = max_frames;
    s->max_segments = config->latent ? max_frames / config->sequence.segment + max_B : 0;
    s->frame_bytes = model_frame_bytes(config);
    s->context = model_context(config);
    s->blocks = g_ptr_array_new_with_free_func(free);
    if (!sequence_net_init(&s->net, config, blocks, error)) {
        sequence_pass_free(s);
        return NULL;
    }
    s->valid = g_new(uint32_t, MAX(s->max_rows, s->max_segments * s->net.S));
    s->kl = g_new0(double, s->max_segments);
    s->kl_weight = g_new0(double, s->max_segments);
    s->sequence_kl = g_new0(double, max_B);
    const gboolean tapes = add_frames(s) && (!config->latent || add_segments(s));
    const gboolean memory = !s->net.memory || memory_pass_init(&s->memory, s->net.memory, max_frames, error);
    if (s->net.performance) performance_pass_init(&s->performance, s->net.performance, max_frames, max_B);
    if (!tapes) g_ptr_array_add(s->blocks, NULL);
    if (memory && model_check_blocks(s->blocks, "the activations of a batch", error)) return s;
    sequence_pass_free(s);
    return NULL;
}

void sequence_pass_free(void *pass) {
    sequence_pass_t *s = pass;
    void *const arrays[] = {s->valid,
                            s->frame,
                            s->past,
                            s->heard,
                            s->keep,
                            s->before,
                            s->targets,
                            s->clean,
                            s->start,
                            s->active,
                            s->clean_start,
                            s->clean_active,
                            s->kl,
                            s->kl_weight,
                            s->sequence_kl,
                            s->nll,
                            s->auxiliary_nll,
                            s->frame_place,
                            s->phase_start,
                            s->phase_row,
                            s->bar_start,
                            s->bar_row,
                            s->places,
                            s->segment_place,
                            s->frames.groups,
                            s->frames.offsets,
                            s->segments.groups,
                            s->segments.offsets,
                            s->within.groups,
                            s->within.offsets};
    g_ptr_array_unref(s->blocks);
    gru_tape_clear(&s->tape);
    memory_pass_clear(&s->memory);
    performance_pass_clear(&s->performance);
    for (size_t i = 0; i < DIRECTIONS; i++) gru_tape_clear(&s->encoder_tape[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    sequence_net_clear(&s->net);
    g_free(s);
}

gboolean sequence_pass_allow_grains(void *pass, size_t n, GError **error) {
    sequence_pass_t *s = pass;
    s->scratch = model_add_block(s->blocks, 1, grains_scratch(MAX(s->max_rows, s->max_segments * s->net.S)));
    s->performance.grains = TRUE;
    return model_check_blocks(s->blocks, "the products of grains", error) &&
           head_allow_grains(s->net.head, n, error) &&
           (!s->net.memory || memory_allow_grains(s->net.memory, n, error));
}

layers_bits_t sequence_pass_rows(const sequence_pass_t *s, const uint8_t *bits, size_t rows) {
    const model_config_t *config = &s->net.config;
    return (layers_bits_t){.B = rows,
                           .T = 1,
                           .planes = config->tracks * config->planes,
                           .P = config->pitches,
                           .bits = bits,
                           .valid = s->valid};
}

static const uint8_t *frame_of(const sequence_pass_t *s, const batch_t *batch, size_t b, size_t t) {
    return batch->bits + (b * (s->context + batch->T) + s->context + t) * s->frame_bytes;
}

/* Begins the next group, whose rows come after those that are there. */
static packing_t *begin_group(packed_t *packed, size_t i) {
    packed->groups[i] =
        (packing_t){.max_T = packed->room - packed->used - 1, .offset = packed->offsets + packed->used};
    return &packed->groups[i];
}

static void end_group(packed_t *packed, packing_t *group) {
    packing_shift(group, packed->rows.n);
    packed->rows.n += group->rows;
    packed->used += group->T + 1;
}

/* Frames within the segments of a group. */
static void lay_within(packing_t *within, size_t S, size_t segments) {
    for (size_t i = 0; i <= S; i++) within->offset[i] = (uint32_t)(i * segments);
    within->B = segments;
    within->T = S;
    within->rows = S * segments;
}

static void lay_groups(sequence_pass_t *s, const batch_t *batch) {
    const uint32_t whole[] = {0, (uint32_t)batch->B};
    const grains_t grains = batch->grains.n > 0 ? batch->grains : (grains_t){.begin = whole, .n = 1};
    packed_t *const kinds[] = {&s->frames, &s->segments, &s->within};
    for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) kinds[k]->rows.n = kinds[k]->used = 0;
    s->n_groups = 0;
    for (size_t i = 0; i < grains.n; i++) {
        const size_t B = grains.begin[i + 1] - grains.begin[i], group = s->n_groups;
        const uint32_t *lengths = batch->valid + grains.begin[i];
        s->n_groups += B > 0;
        if (B > 0) {
            packing_t *frames = begin_group(&s->frames, group);
            packing_make(frames, lengths, B, 1);
            end_group(&s->frames, frames);
        }
        if (B > 0 && s->net.Z) {
            packing_t *segments = begin_group(&s->segments, group), *within = begin_group(&s->within, group);
            packing_make(segments, lengths, B, s->net.S);
            lay_within(within, s->net.S, segments->rows);
            end_group(&s->segments, segments);
            end_group(&s->within, within);
        }
        for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) kinds[k]->begin[i + 1] = (uint32_t)kinds[k]->rows.n;
    }
    for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) {
        kinds[k]->rows.grains = (grains_t){.begin = kinds[k]->begin, .n = batch->grains.n};
        kinds[k]->rows.scratch = s->scratch;
    }
    s->sequences = (rows_t){.n = batch->B, .grains = batch->grains, .scratch = s->scratch};
    g_assert(batch->B <= s->max_B && s->frames.rows.n <= s->max_rows);
}

static void place_frames(sequence_pass_t *s) {
    uint32_t first = 0;
    for (size_t i = 0; i < s->n_groups; first += (uint32_t)s->frames.groups[i++].B) {
        const packing_t *frames = &s->frames.groups[i];
        for (uint32_t t = 0; t < frames->T; t++) {
            const uint32_t segment = s->net.Z ? s->segments.groups[i].offset[t / s->net.S] : 0;
            for (uint32_t b = 0; b < packing_count(frames, t); b++)
                s->frame_place[frames->offset[t] + b] = (frame_place_t){first + b, t, segment + b};
        }
    }
}

static size_t phase_of(const sequence_pass_t *s, size_t row, size_t i) {
    (void)i;
    return s->frame_place[row].t % s->net.S;
}

static size_t bar_row_of(const sequence_pass_t *s, size_t row, size_t i) { return s->places[row]->rows[i]; }

/* Lists the rows that have each of so many cells, those of a cell from listed[start[cell]] on; a row has
 * `each` cells. A counting sort. */
static void list_by_cell(const sequence_pass_t *s, size_t cells, size_t each,
                         size_t (*cell_of)(const sequence_pass_t *s, size_t row, size_t i), uint32_t *start,
                         uint32_t *listed) {
    const size_t n = each * s->frames.rows.n;
    memset(start, 0, (cells + 1) * sizeof *start);
    for (size_t i = 0; i < n; i++) start[cell_of(s, i / each, i % each)]++;
    for (size_t cell = 1; cell <= cells; cell++) start[cell] += start[cell - 1];
    for (size_t i = n; i-- > 0;) listed[--start[cell_of(s, i / each, i % each)]] = (uint32_t)(i / each);
}

static void lay_rows(sequence_pass_t *s, const batch_t *batch) {
    const size_t R = s->frames.rows.n, bytes = s->frame_bytes, W = (batch->T + s->net.S - 1) / s->net.S,
                 units = model_memory_units(&s->net.config);
    for (size_t row = 0; row < R; row++) {
        const size_t b = s->frame_place[row].sequence, t = s->frame_place[row].t;
        s->frame[row] = frame_of(s, batch, b, t);
        s->places[row] = batch->places ? batch->places + b * batch->T + t : NULL;
        s->past[row] = !batch->keep_past || batch->keep_past[b * W + t / s->net.S];
        s->valid[row] = s->heard[row] = !batch->keep_input || batch->keep_input[b * batch->T + t];
        s->keep[row] = batch->keep_memory ? batch->keep_memory + (b * batch->T + t) * units : NULL;
        memcpy(s->before + row * bytes, s->frame[row] - bytes, bytes);
        memcpy(s->targets + row * bytes, s->frame[row], bytes);
    }
    const layers_bits_t before = sequence_pass_rows(s, s->before, R);
    layers_list_active(&before, s->start, s->active);
    for (size_t i = 0; i < R; i++) s->valid[i] = 1;
    if (s->net.config.sequence.bar > 0)
        list_by_cell(s, place_table_rows(&s->net.config), PLACE_ROWS, bar_row_of, s->bar_start, s->bar_row);
    s->memories = (head_memory_t){.places = s->places,
                                  .s = s->memory.s,
                                  .ds = s->memory.ds,
                                  .keep = batch->keep_memory ? s->keep : NULL,
                                  .kept = batch->keep_memory ? (real_t)(1 / batch->memory_rate) : 1};
}

/* A segment's frames, its noise and where it is. */
static void lay_segment(sequence_pass_t *s, const batch_t *batch, size_t n, size_t group) {
    const size_t S = s->net.S, Z = s->net.Z, bytes = s->frame_bytes, W = (batch->T + S - 1) / S;
    const size_t b = s->segment_place[n].sequence, w = s->segment_place[n].w;
    for (size_t i = 0; i < S; i++) {
        const size_t row = s->within.groups[group].offset[i] + n - s->segments.groups[group].offset[0];
        if (w * S + i < batch->valid[b])
            memcpy(s->clean + row * bytes, frame_of(s, batch, b, w * S + i), bytes);
        else
            memset(s->clean + row * bytes, 0, bytes);
    }
    if (batch->eps) memcpy(s->eps + n * Z, batch->eps + (b * W + w) * Z, Z * sizeof *s->eps);
}

static void lay_segments(sequence_pass_t *s, const batch_t *batch) {
    const size_t S = s->net.S;
    uint32_t first = 0;
    for (size_t i = 0; i < s->n_groups; first += (uint32_t)s->frames.groups[i++].B) {
        const packing_t *frames = &s->frames.groups[i], *segments = &s->segments.groups[i];
        for (uint32_t w = 0; w < segments->T; w++)
            for (uint32_t b = 0; b < packing_count(segments, w); b++) {
                const size_t n = segments->offset[w] + b;
                s->segment_place[n] = (segment_place_t){first + b, w, frames->offset[w * S] + b,
                                                        w ? frames->offset[w * S - 1] + b : 0};
                lay_segment(s, batch, n, i);
            }
    }
    for (size_t i = 0; i < s->within.rows.n; i++) s->valid[i] = 1;
    const layers_bits_t clean = sequence_pass_rows(s, s->clean, s->within.rows.n);
    layers_list_active(&clean, s->clean_start, s->clean_active);
}

static void lay_onsets(sequence_pass_t *s, const batch_t *batch) {
    const performance_t *performance = s->net.performance;
    head_record_t record = {0};
    s->plays = performance && batch->songs;
    if (s->plays) {
        performance_pass_begin(&s->performance, performance, batch, s->frame, s->frames.begin);
        for (size_t row = 0; row < s->frames.rows.n; row++)
            performance_pass_read(&s->performance, performance, row, s->frame_place[row].sequence,
                                  s->frame_place[row].t);
        record = performance_pass_record(&s->performance, performance);
    }
    head_record(s->net.head, &record);
}

void sequence_pass_lay(sequence_pass_t *s, const batch_t *batch) {
    lay_groups(s, batch);
    place_frames(s);
    list_by_cell(s, s->net.S, 1, phase_of, s->phase_start, s->phase_row);
    lay_rows(s, batch);
    lay_onsets(s, batch);
    if (s->net.Z) lay_segments(s, batch);
}

void sequence_pass_phases_backward(const sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const rows_t *rows = &s->frames.rows;
    const size_t X = GATES * net->H;
    rows_bits_gradient(rows, s->phase_start, s->phase_row, s->x, net->phase.dW, NULL, net->S, X);
    linear_report(net->report, &net->phase);
    if (net->config.sequence.bar == 0) return;
    rows_bits_gradient(rows, s->bar_start, s->bar_row, s->x, net->bar.dW, NULL, net->bar.inputs, X);
    linear_report(net->report, &net->bar);
}

/* ---- what the last batch left (trainer/model/vae_sequence.h) ---- */

double model_performance_loss(const model_t *model) {
    const sequence_pass_t *s = model->state;
    return s->plays ? performance_pass_loss(&s->performance, s->net.config.tracks, 0) : 0;
}

const real_t *model_segment_means(const model_t *model, size_t *n) {
    const sequence_pass_t *s = model->state;
    *n = s->net.Z ? s->segments.rows.n : 0;
    return s->mu_q;
}
