/* vae_sequence: owns the activations of a batch and the order of the passes. Rows are packed
 * (trainer/model/packing.h): a row a frame, and a row a segment, sequence by sequence within each time;
 * nothing is padded but the last segment of a sequence, with silence, for the encoder. Only the recurrences
 * go step by step. */
#include "trainer/model/vae_sequence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GATES = 3, DIRECTIONS = 2, MAX_BLOCKS = 48 };

typedef struct {
    sequence_net_t net;
    size_t max_B, max_rows, max_segments, columns, frame_bytes, context;
    packing_t frames, segments, within; /* within: a segment's frames, all segments side by side */
    uint32_t *valid;                    /* [max(rows, S segments)] ones */
    const uint8_t **frame;              /* [rows] where each row's frame lies in the batch */
    uint8_t *past;                      /* [rows] whether the head sees the frames at its lags */
    uint8_t *before, *targets;          /* [rows, frame bytes]: x_(t-1) as the decoder's GRU sees it; x_t */
    uint8_t *clean; /* [S segments, frame bytes]: the encoder's frames, by time within the segment */
    uint32_t *start, *active; /* layers_list_active() of before */
    uint32_t *clean_start, *clean_active;

    real_t *x, *h, *h0, *dh, *dh0; /* [rows, 3 H], [rows, H], [B, H], ... */
    real_t *o, *dout, *pre;        /* [rows, H + U], [rows, H + U], [rows, columns] */
    gru_tape_t tape;

    real_t *encoder_x[DIRECTIONS], *encoder_h[DIRECTIONS]; /* [S segments, 3 E], [S segments, E] */
    real_t *encoder_zero, *encoder_dzero;                  /* [segments, E] */
    gru_tape_t encoder_tape[DIRECTIONS];
    real_t *e, *de;                                          /* [segments, 2 E] */
    real_t *starts, *dstarts;                                /* [segments, H] states before each segment */
    real_t *hidden_q, *hidden_p, *hidden_u, *dhidden;        /* of the three networks with one hidden layer */
    real_t *moments_q, *moments_p, *dmoments_q, *dmoments_p; /* [segments, 2 Z] */
    real_t *mu_q, *lv_q, *mu_p, *lv_p, *z, *dz, *eps;        /* [segments, Z] */
    real_t *u, *du;                                          /* [segments, S U] */
    real_t *u_rows, *du_rows, *auxiliary;                    /* [rows, U], [rows, D] */
    double *kl, *kl_weight;                                  /* [segments], [segments] */
    double *nll, *auxiliary_nll, *sequence_kl;               /* [rows], [rows], [B] */

    real_t *blocks[MAX_BLOCKS]; /* all of the above that layers_new_block() made */
    size_t n_blocks;
} sequence_train_t;

static real_t *new_block(sequence_train_t *s, size_t rows, size_t cols) {
    real_t *block = layers_new_block(MAX(rows * cols, 1));
    g_assert(s->n_blocks < MAX_BLOCKS);
    return s->blocks[s->n_blocks++] = block;
}

static gboolean new_latent_blocks(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t N = s->max_segments, clean = N * net->S, E = net->E, Z = net->Z, SU = net->S * net->U,
                 R = s->max_rows;
    gboolean ok = TRUE;
    for (size_t i = 0; i < DIRECTIONS; i++) {
        s->encoder_x[i] = new_block(s, clean, GATES * E);
        s->encoder_h[i] = new_block(s, clean, E);
        ok &= gru_tape_init(&s->encoder_tape[i], clean, N, E);
    }
    const size_t widest = MAX(net->posterior[0].outputs, MAX(net->prior[0].outputs, net->sketch[0].outputs));
    struct {
        real_t **block;
        size_t cols;
    } const by_segment[] = {{&s->encoder_zero, E},
                            {&s->encoder_dzero, E},
                            {&s->e, 2 * E},
                            {&s->de, 2 * E},
                            {&s->starts, net->H},
                            {&s->dstarts, net->H},
                            {&s->hidden_q, net->posterior[0].outputs},
                            {&s->hidden_p, net->prior[0].outputs},
                            {&s->hidden_u, net->sketch[0].outputs},
                            {&s->dhidden, widest},
                            {&s->moments_q, 2 * Z},
                            {&s->moments_p, 2 * Z},
                            {&s->dmoments_q, 2 * Z},
                            {&s->dmoments_p, 2 * Z},
                            {&s->mu_q, Z},
                            {&s->lv_q, Z},
                            {&s->mu_p, Z},
                            {&s->lv_p, Z},
                            {&s->z, Z},
                            {&s->dz, Z},
                            {&s->eps, Z},
                            {&s->u, SU},
                            {&s->du, SU}};
    for (size_t i = 0; i < G_N_ELEMENTS(by_segment); i++)
        *by_segment[i].block = new_block(s, N, by_segment[i].cols);
    s->u_rows = new_block(s, R, net->U);
    s->du_rows = new_block(s, R, net->U);
    s->auxiliary = new_block(s, R, net->D);
    s->clean = g_malloc0(clean * s->frame_bytes);
    s->clean_start = g_new0(uint32_t, net->D + 1);
    s->clean_active = g_new0(uint32_t, clean * net->D);
    packing_init(&s->segments, s->max_rows);
    packing_init(&s->within, net->S);
    return ok;
}

static gboolean new_frame_blocks(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->max_rows, H = net->H, O = H + net->U;
    s->x = new_block(s, R, GATES * H);
    s->h = new_block(s, R, H);
    s->dh = new_block(s, R, H);
    s->h0 = new_block(s, s->max_B, H);
    s->dh0 = new_block(s, s->max_B, H);
    s->o = new_block(s, R, O);
    s->dout = new_block(s, R, O);
    s->pre = new_block(s, R, s->columns);
    s->before = g_malloc0(R * s->frame_bytes);
    s->targets = g_malloc0(R * s->frame_bytes);
    s->frame = g_new0(const uint8_t *, R);
    s->past = g_malloc0(R);
    s->start = g_new0(uint32_t, net->D + 1);
    s->active = g_new0(uint32_t, R * net->D);
    packing_init(&s->frames, R);
    return gru_tape_init(&s->tape, R, s->max_B, H);
}

static void destroy(void *state) {
    sequence_train_t *s = state;
    for (size_t i = 0; i < s->n_blocks; i++) free(s->blocks[i]);
    gru_tape_clear(&s->tape);
    for (size_t i = 0; i < DIRECTIONS; i++) gru_tape_clear(&s->encoder_tape[i]);
    packing_t *const packings[] = {&s->frames, &s->segments, &s->within};
    for (size_t i = 0; i < G_N_ELEMENTS(packings); i++) packing_clear(packings[i]);
    void *const arrays[] = {s->valid, s->frame,     s->past,        s->before,      s->targets,
                            s->clean, s->start,     s->active,      s->clean_start, s->clean_active,
                            s->kl,    s->kl_weight, s->sequence_kl, s->nll,         s->auxiliary_nll};
    for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++) g_free(arrays[i]);
    sequence_net_clear(&s->net);
    g_free(s);
}

static void *create(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                    size_t max_frames, GError **error) {
    sequence_train_t *s = g_new0(sequence_train_t, 1);
    s->max_B = max_B;
    s->max_rows = max_frames;
    s->max_segments = config->latent ? max_frames / config->sequence.segment + max_B : 0;
    s->columns = head_columns(config);
    s->frame_bytes = model_frame_bytes(config);
    s->context = model_context(config);
    if (!sequence_net_init(&s->net, config, blocks, error)) {
        destroy(s);
        return NULL;
    }
    const size_t rows = MAX(s->max_rows, s->max_segments * s->net.S);
    s->valid = g_new(uint32_t, rows);
    s->kl = g_new0(double, s->max_segments);
    s->kl_weight = g_new0(double, s->max_segments);
    s->sequence_kl = g_new0(double, max_B);
    s->nll = g_new0(double, s->max_rows);
    s->auxiliary_nll = g_new0(double, s->max_rows);
    gboolean ok = new_frame_blocks(s);
    if (config->latent) ok &= new_latent_blocks(s);
    for (size_t i = 0; i < s->n_blocks; i++) ok &= s->blocks[i] != NULL;
    if (ok) return s;
    g_set_error(error, MODEL_ERROR, MODEL_ERROR_MEMORY,
                "model: cannot allocate the activations of %zu frames a pass; choose smaller layers, a "
                "smaller batch, shorter --chunk or more accumulation",
                max_frames);
    destroy(s);
    return NULL;
}

static void init(void *state) { sequence_net_start(&((sequence_train_t *)state)->net); }

static void init_log_odds(void *state, const double *log_odds) {
    sequence_net_start_log_odds(&((sequence_train_t *)state)->net, log_odds);
}

const sequence_net_t *model_sequence_net(const model_t *model) {
    return &((const sequence_train_t *)model->state)->net;
}

const real_t *model_segment_means(const model_t *model, size_t *n) {
    const sequence_train_t *s = model->state;
    *n = s->net.Z ? s->segments.rows : 0;
    return s->mu_q;
}

/* Frames packed, of one cell row each, for ops. */
static layers_bits_t as_rows(const sequence_train_t *s, const uint8_t *bits, size_t rows) {
    const model_config_t *config = &s->net.config;
    return (layers_bits_t){.B = rows,
                           .T = 1,
                           .planes = config->tracks * config->planes,
                           .P = config->pitches,
                           .bits = bits,
                           .valid = s->valid};
}

/* ---- what a batch looks like as rows ---- */

static const uint8_t *frame_of(const sequence_train_t *s, const batch_t *batch, size_t b, size_t t) {
    return batch->bits + (b * (s->context + batch->T) + s->context + t) * s->frame_bytes;
}

static void lay_rows(sequence_train_t *s, const batch_t *batch) {
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
    const layers_bits_t before = as_rows(s, s->before, s->frames.rows);
    layers_list_active(&before, s->start, s->active);
    for (size_t i = 0; i < s->frames.rows; i++) s->valid[i] = 1;
}

/* The encoder's frames: row (i, n) is frame i of segment n. */
static void lay_segments(sequence_train_t *s, const batch_t *batch) {
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
    const layers_bits_t clean = as_rows(s, s->clean, S * N);
    layers_list_active(&clean, s->clean_start, s->clean_active);
}

/* ---- encoder ---- */

/* Blocks 0 .. n-1 of `size` elements each, turned round. */
static void reverse_blocks(real_t *x, size_t n, size_t size) {
    for (size_t i = 0; i < n / 2; i++) {
        real_t *a = x + i * size, *b = x + (n - 1 - i) * size;
        for (size_t j = 0; j < size; j++) {
            const real_t swap = a[j];
            a[j] = b[j];
            b[j] = swap;
        }
    }
}

static void encode(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t S = net->S, E = net->E, N = s->segments.rows;
    for (size_t i = 0; i < DIRECTIONS; i++) {
        const linear_t *input = &net->encoder_input[i];
        layers_linear_bits(s->clean_start, s->clean_active, input->W, input->bias, s->encoder_x[i], S * N,
                           net->D, GATES * E);
        if (i == 1) reverse_blocks(s->encoder_x[i], S, N * GATES * E);
        gru_forward(&net->encoder[i], &s->within, s->encoder_zero, s->encoder_x[i], s->encoder_h[i],
                    &s->encoder_tape[i]);
        const real_t *last = s->encoder_h[i] + (S - 1) * N * E;
        for (size_t n = 0; n < N; n++) memcpy(s->e + (2 * n + i) * E, last + n * E, E * sizeof *s->e);
    }
    sequence_mlp_forward(net->posterior, s->e, s->hidden_q, s->moments_q, N);
    sequence_split_moments(s->moments_q, s->mu_q, s->lv_q, N, net->Z);
}

static void encode_backward(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t S = net->S, E = net->E, N = s->segments.rows;
    sequence_mlp_backward(net->posterior, s->e, s->hidden_q, s->dhidden, s->dmoments_q, s->de, 0, N);
    for (size_t i = 0; i < DIRECTIONS; i++) {
        const linear_t *input = &net->encoder_input[i];
        real_t *dh = s->encoder_h[i], *dx = s->encoder_x[i];
        memset(dh, 0, (S - 1) * N * E * sizeof *dh);
        for (size_t n = 0; n < N; n++)
            memcpy(dh + ((S - 1) * N + n) * E, s->de + (2 * n + i) * E, E * sizeof *dh);
        gru_backward(&net->encoder[i], &s->within, dh, dx, s->encoder_dzero, &s->encoder_tape[i]);
        if (i == 1) reverse_blocks(dx, S, N * GATES * E);
        layers_linear_bits_backward(s->clean_start, s->clean_active, dx, input->dW, input->dbias, S * N,
                                    net->D, GATES * E);
    }
}

/* ---- decoder ---- */

/* Segments' u [S, U] to frames' rows, or (back) the rows' gradient to the segments'. */
static void spread_sketch(sequence_train_t *s, gboolean back) {
    const size_t S = s->net.S, U = s->net.U;
    for (size_t t = 0; t < s->frames.T; t++) {
        for (size_t b = 0; b < packing_count(&s->frames, t); b++) {
            const size_t at = ((s->segments.offset[t / S] + b) * S + t % S) * U,
                         row = (s->frames.offset[t] + b) * U;
            if (back)
                memcpy(s->du + at, s->du_rows + row, U * sizeof *s->du);
            else
                memcpy(s->u_rows + row, s->u + at, U * sizeof *s->u);
        }
    }
}

static void decode(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->frames.rows, H = net->H, X = GATES * H;
    layers_linear_bits(s->start, s->active, net->input.W, net->input.bias, s->x, R, net->D, X);
    for (size_t t = 0; t < s->frames.T; t++) {
        const real_t *phase = net->phase.W + t % net->S * X;
        for (size_t row = s->frames.offset[t]; row < s->frames.offset[t + 1]; row++)
            for (size_t i = 0; i < X; i++) s->x[row * X + i] += phase[i];
    }
    if (net->U) layers_add_product(s->u_rows, net->U, net->from_sketch.W, s->x, R, net->U, X);
    for (size_t b = 0; b < s->frames.B; b++) memcpy(s->h0 + b * H, net->h0, H * sizeof *s->h0);
    gru_forward(&net->decoder, &s->frames, s->h0, s->x, s->h, &s->tape);
}

/* h with dropout to the left part of o, or (back) the left part of dout to dh; u to the right part. */
static void join_output(sequence_train_t *s, const batch_t *batch, gboolean back) {
    const size_t H = s->net.H, U = s->net.U, O = H + U;
    const real_t kept = batch->keep_state ? (real_t)(1 / batch->keep_rate) : 1;
    for (size_t t = 0; t < s->frames.T; t++) {
        for (size_t b = 0; b < packing_count(&s->frames, t); b++) {
            const size_t row = s->frames.offset[t] + b;
            const uint8_t *keep = batch->keep_state ? batch->keep_state + (b * batch->T + t) * H : NULL;
            const real_t *from = back ? s->dout + row * O : s->h + row * H;
            real_t *to = back ? s->dh + row * H : s->o + row * O;
            for (size_t i = 0; i < H; i++) to[i] = !keep ? from[i] : keep[i] ? from[i] * kept : 0;
            if (U && back)
                memcpy(s->du_rows + row * U, from + H, U * sizeof *to);
            else if (U)
                memcpy(to + H, s->u_rows + row * U, U * sizeof *to);
        }
    }
}

/* dh and du_rows hold what came from the head (and the auxiliary loss); dstarts what came from the prior. */
static void decode_backward(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->frames.rows, H = net->H, X = GATES * H, S = net->S;
    for (size_t w = 1; net->Z && w < s->segments.T; w++) {
        real_t *to = s->dh + s->frames.offset[w * S - 1] * H;
        const real_t *from = s->dstarts + s->segments.offset[w] * H;
        for (size_t i = 0; i < packing_count(&s->segments, w) * H; i++) to[i] += from[i];
    }
    gru_backward(&net->decoder, &s->frames, s->dh, s->x, s->dh0, &s->tape);
    for (size_t i = 0; i < s->frames.B * H; i++) net->dh0[i % H] += s->dh0[i] + (net->Z ? s->dstarts[i] : 0);
    layers_linear_bits_backward(s->start, s->active, s->x, net->input.dW, net->input.dbias, R, net->D, X);
    for (size_t t = 0; t < s->frames.T; t++) {
        real_t *dphase = net->phase.dW + t % S * X;
        for (size_t row = s->frames.offset[t]; row < s->frames.offset[t + 1]; row++)
            for (size_t i = 0; i < X; i++) dphase[i] += s->x[row * X + i];
    }
    if (net->U)
        layers_add_product_backward(s->u_rows, net->U, net->from_sketch.W, s->x, s->du_rows,
                                    net->from_sketch.dW, R, net->U, X);
}

/* ---- prior and divergence ---- */

static void predict_prior(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t H = net->H, N = s->segments.rows;
    for (size_t w = 0; w < s->segments.T; w++)
        memcpy(s->starts + s->segments.offset[w] * H, s->tape.before + s->frames.offset[w * net->S] * H,
               packing_count(&s->segments, w) * H * sizeof *s->starts);
    sequence_mlp_forward(net->prior, s->starts, s->hidden_p, s->moments_p, N);
    sequence_split_moments(s->moments_p, s->mu_p, s->lv_p, N, net->Z);
}

/* Of each segment, and summed over each sequence. */
static void measure_kl(sequence_train_t *s) {
    sequence_kl(s->mu_q, s->lv_q, s->mu_p, s->lv_p, s->kl, s->segments.rows, s->net.Z);
    for (size_t b = 0; b < s->frames.B; b++) s->sequence_kl[b] = 0;
    for (size_t w = 0; w < s->segments.T; w++)
        for (size_t b = 0; b < packing_count(&s->segments, w); b++)
            s->sequence_kl[b] += s->kl[s->segments.offset[w] + b];
}

/* Weight of each segment's KL: none where its sequence has fewer free bits than it may. */
static void weigh_kl(sequence_train_t *s, const batch_t *batch, const model_objective_t *objective) {
    for (size_t w = 0; w < s->segments.T; w++) {
        for (size_t b = 0; b < packing_count(&s->segments, w); b++) {
            const double segments = (double)((batch->valid[b] + s->net.S - 1) / s->net.S);
            const gboolean pushed = s->sequence_kl[b] >= objective->free_bits * segments;
            s->kl_weight[s->segments.offset[w] + b] = pushed ? objective->scale * objective->beta : 0;
        }
    }
}

/* d / d clamp(raw). */
static real_t through_clamp(real_t raw, double gradient) {
    return raw < SEQUENCE_LOGVAR_MIN || raw > SEQUENCE_LOGVAR_MAX ? 0 : (real_t)gradient;
}

/* d KL / d the prior's moments, on to the states before the segments. */
static void prior_backward(sequence_train_t *s) {
    const size_t Z = s->net.Z;
    for (size_t n = 0; n < s->segments.rows; n++) {
        for (size_t i = 0; i < Z; i++) {
            const size_t at = n * Z + i, mean = 2 * n * Z + i, spread = mean + Z;
            const double precision = exp(-(double)s->lv_p[at]),
                         distance = (double)s->mu_q[at] - (double)s->mu_p[at];
            const double ratio = exp((double)s->lv_q[at]) * precision, weight = s->kl_weight[n];
            s->dmoments_p[mean] = (real_t)(-weight * distance * precision);
            s->dmoments_p[spread] = through_clamp(
                s->moments_p[spread], weight * 0.5 * (1 - distance * distance * precision - ratio));
        }
    }
    sequence_mlp_backward(s->net.prior, s->starts, s->hidden_p, s->dhidden, s->dmoments_p, s->dstarts, 0,
                          s->segments.rows);
}

/* dz and d KL / d the posterior's moments. */
static void posterior_backward(sequence_train_t *s, const batch_t *batch) {
    const size_t Z = s->net.Z;
    for (size_t n = 0; n < s->segments.rows; n++) {
        for (size_t i = 0; i < Z; i++) {
            const size_t at = n * Z + i, mean = 2 * n * Z + i, spread = mean + Z;
            const double precision = exp(-(double)s->lv_p[at]),
                         distance = (double)s->mu_q[at] - (double)s->mu_p[at];
            const double ratio = exp((double)s->lv_q[at]) * precision, weight = s->kl_weight[n],
                         dz = (double)s->dz[at];
            const double noise =
                batch->eps ? 0.5 * exp(0.5 * (double)s->lv_q[at]) * (double)s->eps[at] * dz : 0;
            s->dmoments_q[mean] = (real_t)(dz + weight * distance * precision);
            s->dmoments_q[spread] = through_clamp(s->moments_q[spread], noise + weight * 0.5 * (ratio - 1));
        }
    }
}

/* du_rows to dz. */
static void sketch_backward(sequence_train_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t n = s->segments.rows * net->S * net->U;
    memset(s->du, 0, n * sizeof *s->du); /* frames past a sequence's end have no row */
    spread_sketch(s, TRUE);
    for (size_t i = 0; i < n; i++) s->du[i] *= 1 - s->u[i] * s->u[i];
    sequence_mlp_backward(net->sketch, s->z, s->hidden_u, s->dhidden, s->du, s->dz, 0, s->segments.rows);
}

/* ---- the whole ---- */

static double sum(const double *values, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += values[i];
    return total;
}

/* All that the loss needs, up to the columns that the head reads. */
static void forward_to_head(sequence_train_t *s, const batch_t *batch) {
    const sequence_net_t *net = &s->net;
    lay_rows(s, batch);
    if (net->Z) {
        lay_segments(s, batch);
        encode(s);
        layers_sample_latent(s->mu_q, s->lv_q, batch->eps ? s->eps : NULL, s->z, s->segments.rows * net->Z);
        sequence_sketch_forward(net, s->z, s->hidden_u, s->u, s->segments.rows);
        spread_sketch(s, FALSE);
    }
    decode(s);
    if (net->Z) {
        predict_prior(s);
        measure_kl(s);
    }
    join_output(s, batch, FALSE);
    linear_forward(&net->output, s->o, s->pre, s->frames.rows);
}

/* Adds to du_rows; returns the plain sum. */
static double auxiliary_loss(sequence_train_t *s, double scale) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->frames.rows;
    const layers_bits_t targets = as_rows(s, s->targets, R);
    linear_forward(&net->auxiliary, s->u_rows, s->auxiliary, R);
    layers_bce_logits(&targets, s->auxiliary, s->auxiliary, scale, s->auxiliary_nll);
    linear_backward(&net->auxiliary, s->u_rows, s->auxiliary, s->du_rows, 1, R);
    return sum(s->auxiliary_nll, R);
}

static void train(void *state, const batch_t *batch, const model_objective_t *objective,
                  model_losses_t *losses) {
    sequence_train_t *s = state;
    const sequence_net_t *net = &s->net;
    forward_to_head(s, batch);
    const size_t R = s->frames.rows;
    head_train(net->head, R, s->frame, s->past, s->pre, objective->scale, s->nll);
    *losses = (model_losses_t){.nll = sum(s->nll, R)};
    linear_backward(&net->output, s->o, s->pre, s->dout, 0, R);
    join_output(s, batch, TRUE);
    if (net->Z) {
        losses->kl = sum(s->kl, s->segments.rows);
        losses->segments = (double)s->segments.rows;
        if (objective->auxiliary > 0)
            losses->auxiliary = auxiliary_loss(s, objective->scale * objective->auxiliary);
        weigh_kl(s, batch, objective);
        prior_backward(s); /* before the decoder's, whose states it starts from */
    }
    decode_backward(s);
    if (net->Z) {
        sketch_backward(s);
        posterior_backward(s, batch);
        encode_backward(s);
    }
}

static void forward(void *state, const batch_t *batch, double *nll, double *kl) {
    sequence_train_t *s = state;
    forward_to_head(s, batch);
    if (nll) {
        head_prepare(s->net.head);
        head_score(s->net.head, s->frames.rows, s->frame, s->past, s->pre, s->nll);
        for (size_t b = 0; b < batch->B; b++) nll[b] = 0;
        for (size_t t = 0; t < s->frames.T; t++)
            for (size_t b = 0; b < packing_count(&s->frames, t); b++)
                nll[b] += s->nll[s->frames.offset[t] + b];
    }
    for (size_t b = 0; kl && b < batch->B; b++) kl[b] = s->net.Z ? s->sequence_kl[b] : 0;
}

const model_kind_ops_t vae_sequence_kind = {
    .check = sequence_net_check,
    .lay_out = sequence_net_lay_out,
    .create = create,
    .destroy = destroy,
    .init = init,
    .init_log_odds = init_log_odds,
    .train = train,
    .forward = forward,
};
