/* sequence_pass: owns the activations of a batch, and where its frames and segments are in the rows. */
#include "trainer/model/sequence_pass.h"

#include <stdlib.h>
#include <string.h>

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
    packing_init(&s->segments, s->max_rows);
    packing_init(&s->within, net->S);
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
    s->start = g_new0(uint32_t, net->D + 1);
    s->active = g_new0(uint32_t, R * net->D);
    s->nll = g_new0(double, R);
    s->auxiliary_nll = g_new0(double, R);
    packing_init(&s->frames, R);
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
    if (!tapes) g_ptr_array_add(s->blocks, NULL);
    if (model_check_blocks(s->blocks, "the activations of a batch", error)) return s;
    sequence_pass_free(s);
    return NULL;
}

void sequence_pass_free(void *pass) {
    sequence_pass_t *s = pass;
    void *const arrays[] = {s->valid, s->frame,     s->past,        s->before,      s->targets,
                            s->clean, s->start,     s->active,      s->clean_start, s->clean_active,
                            s->kl,    s->kl_weight, s->sequence_kl, s->nll,         s->auxiliary_nll};
    g_ptr_array_unref(s->blocks);
    gru_tape_clear(&s->tape);
    for (size_t i = 0; i < DIRECTIONS; i++) gru_tape_clear(&s->encoder_tape[i]);
    packing_clear(&s->frames);
    packing_clear(&s->segments);
    packing_clear(&s->within);
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    sequence_net_clear(&s->net);
    g_free(s);
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

static void lay_rows(sequence_pass_t *s, const batch_t *batch) {
    const size_t bytes = s->frame_bytes, W = (batch->T + s->net.S - 1) / s->net.S;
    packing_make(&s->frames, batch->valid, batch->B, 1);
    g_assert(batch->B <= s->max_B && s->frames.rows <= s->max_rows);
    for (size_t t = 0; t < s->frames.T; t++) {
        for (size_t b = 0; b < packing_count(&s->frames, t); b++) {
            const size_t row = s->frames.offset[t] + b;
            s->frame[row] = frame_of(s, batch, b, t);
            s->past[row] = !batch->keep_past || batch->keep_past[b * W + t / s->net.S];
            s->valid[row] = !batch->keep_input || batch->keep_input[b * batch->T + t];
            memcpy(s->before + row * bytes, s->frame[row] - bytes, bytes);
            memcpy(s->targets + row * bytes, s->frame[row], bytes);
        }
    }
    const layers_bits_t before = sequence_pass_rows(s, s->before, s->frames.rows);
    layers_list_active(&before, s->start, s->active);
    for (size_t i = 0; i < s->frames.rows; i++) s->valid[i] = 1;
}

/* Lays out the encoder's frames: row (i, n) is frame i of segment n. */
static void lay_segments(sequence_pass_t *s, const batch_t *batch) {
    const size_t S = s->net.S, Z = s->net.Z, bytes = s->frame_bytes, W = (batch->T + S - 1) / S;
    packing_make(&s->segments, batch->valid, batch->B, S);
    const size_t N = s->segments.rows;
    for (size_t i = 0; i <= S; i++) s->within.offset[i] = (uint32_t)(i * N);
    s->within.B = N;
    s->within.T = S;
    s->within.rows = S * N;
    for (size_t w = 0; w < s->segments.T; w++) {
        for (size_t b = 0; b < packing_count(&s->segments, w); b++) {
            const size_t n = s->segments.offset[w] + b;
            for (size_t i = 0; i < S; i++) {
                uint8_t *to = s->clean + (i * N + n) * bytes;
                if (w * S + i < batch->valid[b])
                    memcpy(to, frame_of(s, batch, b, w * S + i), bytes);
                else
                    memset(to, 0, bytes);
            }
            if (batch->eps) memcpy(s->eps + n * Z, batch->eps + (b * W + w) * Z, Z * sizeof *s->eps);
        }
    }
    for (size_t i = 0; i < S * N; i++) s->valid[i] = 1;
    const layers_bits_t clean = sequence_pass_rows(s, s->clean, S * N);
    layers_list_active(&clean, s->clean_start, s->clean_active);
}

void sequence_pass_lay(sequence_pass_t *s, const batch_t *batch) {
    lay_rows(s, batch);
    if (s->net.Z) lay_segments(s, batch);
}
