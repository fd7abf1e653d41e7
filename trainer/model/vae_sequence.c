/* vae_sequence: owns the order of forward and backward passes through the layers of the sequence model, and
 * its objective. Only the recurrences go step by step. */
#include "trainer/model/vae_sequence.h"

#include <math.h>
#include <string.h>

#include "trainer/model/sequence_pass.h"

static void init(void *state) { sequence_net_start(&((sequence_pass_t *)state)->net); }

static void find(void *state, const model_blocks_t *blocks) {
    sequence_net_find(&((sequence_pass_t *)state)->net, blocks);
}

static void init_log_odds(void *state, const double *log_odds) {
    sequence_net_start_log_odds(&((sequence_pass_t *)state)->net, log_odds);
}

const sequence_net_t *model_sequence_net(const model_t *model) {
    return &((const sequence_pass_t *)model->state)->net;
}

/* ---- encoder ---- */

/* Reverses the order of n blocks of `size` elements each. */
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

/* The rows of a direction in reverse: segments stay where they are. */
static void reverse_segments(const sequence_pass_t *s, real_t *x, size_t size) {
    for (const packing_t *within = s->within.groups; within < s->within.groups + s->n_groups; within++)
        reverse_blocks(x + within->offset[0] * size, within->T, within->B * size);
}

/* The last states of all segments to half `direction` of e or, if back, the gradient de to theirs. */
static void join_last(sequence_pass_t *s, size_t direction, gboolean back) {
    const size_t E = s->net.E;
    real_t *e = (back ? s->de : s->e) + direction * E;
    for (const packing_t *within = s->within.groups; within < s->within.groups + s->n_groups; within++) {
        real_t *last = s->encoder_h[direction] + within->offset[within->T - 1] * E;
        for (size_t b = 0; b < within->B; b++, e += 2 * E, last += E)
            memcpy(back ? last : e, back ? e : last, E * sizeof *e);
    }
}

static void encode(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    for (size_t i = 0; i < DIRECTIONS; i++) {
        const linear_t *input = &net->encoder_input[i];
        layers_linear_bits(s->clean_start, s->clean_active, input->W, input->bias, s->encoder_x[i],
                           s->within.rows.n, net->D, GATES * net->E);
        if (i == 1) reverse_segments(s, s->encoder_x[i], GATES * net->E);
        gru_forward(&net->encoder[i], s->within.groups, s->n_groups, s->encoder_zero, s->encoder_x[i],
                    s->encoder_h[i], &s->encoder_tape[i]);
        join_last(s, i, FALSE);
    }
    sequence_mlp_forward(net->posterior, s->e, s->hidden_q, s->moments_q, &s->segments.rows);
    sequence_split_moments(s->moments_q, s->mu_q, s->lv_q, s->segments.rows.n, net->Z);
}

static void encode_backward(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    sequence_mlp_backward(net->posterior, s->e, s->hidden_q, s->dhidden, s->dmoments_q, s->de,
                          &s->segments.rows, net->report);
    for (size_t i = 0; i < DIRECTIONS; i++) {
        const linear_t *input = &net->encoder_input[i];
        real_t *dh = s->encoder_h[i], *dx = s->encoder_x[i];
        memset(dh, 0, s->within.rows.n * net->E * sizeof *dh);
        join_last(s, i, TRUE);
        gru_backward(&net->encoder[i], s->within.groups, s->n_groups, &s->within.rows, dh, dx,
                     s->encoder_dzero, &s->encoder_tape[i]);
        if (i == 1) reverse_segments(s, dx, GATES * net->E);
        rows_bits_gradient(&s->within.rows, s->clean_start, s->clean_active, dx, input->dW, input->dbias,
                           net->D, GATES * net->E);
        linear_report(net->report, input);
        gru_report(net->report, &net->encoder[i]);
    }
}

/* ---- decoder ---- */

/* Copies u [S, U] of segments to their frames' rows or, if back, the rows' gradient to the segments. */
static void spread_sketch(sequence_pass_t *s, gboolean back) {
    const size_t S = s->net.S, U = s->net.U;
    for (size_t row = 0; row < s->frames.rows.n; row++) {
        const frame_place_t place = s->frame_place[row];
        const size_t at = (place.segment * S + place.t % S) * U;
        if (back)
            memcpy(s->du + at, s->du_rows + row * U, U * sizeof *s->du);
        else
            memcpy(s->u_rows + row * U, s->u + at, U * sizeof *s->u);
    }
}

static void decode(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t R = s->frames.rows.n, H = net->H, X = GATES * H;
    layers_linear_bits(s->start, s->active, net->input.W, net->input.bias, s->x, R, net->D, X);
    for (size_t row = 0; row < R; row++) {
        const real_t *phase = net->phase.W + s->frame_place[row].t % net->S * X;
        for (size_t i = 0; i < X; i++) s->x[row * X + i] += phase[i];
        sequence_add_place(net, s->places[row], s->x + row * X);
    }
    if (net->U) rows_add_product(&s->frames.rows, s->u_rows, net->from_sketch.W, s->x, net->U, X);
    for (size_t b = 0; b < s->sequences.n; b++) memcpy(s->h0 + b * H, net->h0, H * sizeof *s->h0);
    gru_forward(&net->decoder, s->frames.groups, s->n_groups, s->h0, s->x, s->h, &s->tape);
}

/* h with dropout to the left part of o, or (back) the left part of dout to dh; u to the right part. */
static void join_output(sequence_pass_t *s, const batch_t *batch, gboolean back) {
    const size_t H = s->net.H, U = s->net.U, O = H + U;
    const real_t kept = batch->keep_state ? (real_t)(1 / batch->keep_rate) : 1;
    for (size_t row = 0; row < s->frames.rows.n; row++) {
        const frame_place_t place = s->frame_place[row];
        const uint8_t *keep =
            batch->keep_state ? batch->keep_state + (place.sequence * batch->T + place.t) * H : NULL;
        const real_t *from = back ? s->dout + row * O : s->h + row * H;
        real_t *to = back ? s->dh + row * H : s->o + row * O;
        for (size_t i = 0; i < H; i++) to[i] = !keep ? from[i] : keep[i] ? from[i] * kept : 0;
        if (U && back)
            memcpy(s->du_rows + row * U, from + H, U * sizeof *to);
        else if (U)
            memcpy(to + H, s->u_rows + row * U, U * sizeof *to);
    }
}

/* Adds dstarts, the gradient of the states before segments, where these come from: from the frame before, or,
 * if at_start, from the learned state that sequences start from. */
static void add_starts(sequence_pass_t *s, gboolean at_start) {
    const size_t H = s->net.H;
    for (size_t n = 0; s->net.Z && n < s->segments.rows.n; n++) {
        const segment_place_t place = s->segment_place[n];
        if ((place.w == 0) != at_start) continue;
        real_t *to = at_start ? s->dh0 + place.sequence * H : s->dh + place.before * H;
        for (size_t i = 0; i < H; i++) to[i] += s->dstarts[n * H + i];
    }
}

/* dh and du_rows come with the gradient from the head (and auxiliary loss), dstarts with the prior's. */
static void decode_backward(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const rows_t *rows = &s->frames.rows;
    const size_t H = net->H, X = GATES * H;
    add_starts(s, FALSE);
    gru_backward(&net->decoder, s->frames.groups, s->n_groups, rows, s->dh, s->x, s->dh0, &s->tape);
    gru_report(net->report, &net->decoder);
    add_starts(s, TRUE);
    rows_sum(&s->sequences, s->dh0, H, net->dh0, H);
    model_report(net->report, net->dh0, H);
    rows_bits_gradient(rows, s->start, s->active, s->x, net->input.dW, net->input.dbias, net->D, X);
    linear_report(net->report, &net->input);
    sequence_pass_phases_backward(s);
    if (net->U) linear_backward(&net->from_sketch, s->u_rows, s->x, s->du_rows, 1, rows, net->report);
}

/* ---- prior and divergence ---- */

static void predict_prior(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t H = net->H, N = s->segments.rows.n;
    for (size_t n = 0; n < N; n++)
        memcpy(s->starts + n * H, s->tape.before + s->segment_place[n].first * H, H * sizeof *s->starts);
    sequence_mlp_forward(net->prior, s->starts, s->hidden_p, s->moments_p, &s->segments.rows);
    sequence_split_moments(s->moments_p, s->mu_p, s->lv_p, N, net->Z);
}

/* The KL divergence of each segment, and its sum over each sequence. */
static void measure_kl(sequence_pass_t *s) {
    const size_t N = s->segments.rows.n;
    sequence_kl(s->mu_q, s->lv_q, s->mu_p, s->lv_p, s->kl, N, s->net.Z);
    for (size_t b = 0; b < s->sequences.n; b++) s->sequence_kl[b] = 0;
    for (size_t n = 0; n < N; n++) s->sequence_kl[s->segment_place[n].sequence] += s->kl[n];
}

/* Weight of each segment's KL: 0 in sequences whose mean KL is below the free bits. */
static void weigh_kl(sequence_pass_t *s, const batch_t *batch, const model_objective_t *objective) {
    for (size_t n = 0; n < s->segments.rows.n; n++) {
        const size_t b = s->segment_place[n].sequence;
        const double segments = (double)((batch->valid[b] + s->net.S - 1) / s->net.S);
        const gboolean pushed = s->sequence_kl[b] >= objective->free_bits * segments;
        s->kl_weight[n] = pushed ? objective->scale * objective->beta : 0;
    }
}

/* The gradient that passes a clamp to the logvar range: 0 outside it. */
static real_t through_clamp(real_t raw, double gradient) {
    return raw < SEQUENCE_LOGVAR_MIN || raw > SEQUENCE_LOGVAR_MAX ? 0 : (real_t)gradient;
}

/* The distance between posterior and prior of latent unit `at`. */
typedef struct {
    double distance, precision, ratio; /* of the means; of the prior, 1 / variance; of the variances */
} gap_t;

static gap_t measure_gap(const sequence_pass_t *s, size_t at) {
    const double precision = exp(-(double)s->lv_p[at]);
    return (gap_t){.distance = (double)s->mu_q[at] - (double)s->mu_p[at],
                   .precision = precision,
                   .ratio = exp((double)s->lv_q[at]) * precision};
}

/* Gradient of the KL divergence with respect to the prior, on to the states before the segments. */
static void prior_backward(sequence_pass_t *s) {
    const size_t Z = s->net.Z;
    for (size_t n = 0; n < s->segments.rows.n; n++) {
        for (size_t i = 0; i < Z; i++) {
            const size_t mean = 2 * n * Z + i, spread = mean + Z;
            const gap_t gap = measure_gap(s, n * Z + i);
            const double weight = s->kl_weight[n];
            s->dmoments_p[mean] = (real_t)(-weight * gap.distance * gap.precision);
            s->dmoments_p[spread] =
                through_clamp(s->moments_p[spread],
                              weight * 0.5 * (1 - gap.distance * gap.distance * gap.precision - gap.ratio));
        }
    }
    sequence_mlp_backward(s->net.prior, s->starts, s->hidden_p, s->dhidden, s->dmoments_p, s->dstarts,
                          &s->segments.rows, s->net.report);
}

/* Gradient with respect to the posterior's moments, from dz and the KL divergence. */
static void posterior_backward(sequence_pass_t *s, const batch_t *batch) {
    const size_t Z = s->net.Z;
    for (size_t n = 0; n < s->segments.rows.n; n++) {
        for (size_t i = 0; i < Z; i++) {
            const size_t at = n * Z + i, mean = 2 * n * Z + i, spread = mean + Z;
            const gap_t gap = measure_gap(s, at);
            const double weight = s->kl_weight[n], dz = (double)s->dz[at];
            const double noise =
                batch->eps ? 0.5 * exp(0.5 * (double)s->lv_q[at]) * (double)s->eps[at] * dz : 0;
            s->dmoments_q[mean] = (real_t)(dz + weight * gap.distance * gap.precision);
            s->dmoments_q[spread] =
                through_clamp(s->moments_q[spread], noise + weight * 0.5 * (gap.ratio - 1));
        }
    }
}

/* Takes the gradient from du_rows to dz. */
static void sketch_backward(sequence_pass_t *s) {
    const sequence_net_t *net = &s->net;
    const size_t n = s->segments.rows.n * net->S * net->U;
    memset(s->du, 0, n * sizeof *s->du); /* stays 0 past a sequence's end: no row there */
    spread_sketch(s, TRUE);
    for (size_t i = 0; i < n; i++) s->du[i] *= 1 - s->u[i] * s->u[i];
    sequence_mlp_backward(net->sketch, s->z, s->hidden_u, s->dhidden, s->du, s->dz, &s->segments.rows,
                          net->report);
}

/* ---- the whole ---- */

static double sum(const double *values, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += values[i];
    return total;
}

static memory_rows_t memory_rows(const sequence_pass_t *s) {
    return (memory_rows_t){s->frames.groups, s->n_groups, s->frame, s->heard, s->places};
}

/* The forward pass, up to the columns that the head reads. */
static void forward_to_head(sequence_pass_t *s, const batch_t *batch) {
    const sequence_net_t *net = &s->net;
    sequence_pass_lay(s, batch);
    if (net->Z) {
        encode(s);
        layers_sample_latent(s->mu_q, s->lv_q, batch->eps ? s->eps : NULL, s->z, s->segments.rows.n * net->Z);
        sequence_sketch_forward(net, s->z, s->hidden_u, s->u, &s->segments.rows);
        spread_sketch(s, FALSE);
    }
    decode(s);
    if (net->memory) {
        const memory_rows_t rows = memory_rows(s);
        memory_forward(net->memory, &s->memory, &rows);
    }
    if (net->Z) {
        predict_prior(s);
        measure_kl(s);
    }
    join_output(s, batch, FALSE);
    linear_forward(&net->output, s->o, s->pre, &s->frames.rows);
}

/* Adds the gradient to du_rows; auxiliary_nll gets the unweighted loss of each frame. */
static void auxiliary_loss(sequence_pass_t *s, double scale) {
    const sequence_net_t *net = &s->net;
    const rows_t *rows = &s->frames.rows;
    const layers_bits_t targets = sequence_pass_rows(s, s->targets, rows->n);
    linear_forward(&net->auxiliary, s->u_rows, s->auxiliary, rows);
    layers_bce_logits(&targets, s->auxiliary, s->auxiliary, scale, s->auxiliary_nll);
    linear_backward(&net->auxiliary, s->u_rows, s->auxiliary, s->du_rows, 1, rows, net->report);
}

/* Its gradient where it is not part of the loss: 0, which is there already unless gradients are written. */
static void no_auxiliary_loss(sequence_pass_t *s) {
    const linear_t *layer = &s->net.auxiliary;
    memset(s->auxiliary_nll, 0, s->frames.rows.n * sizeof *s->auxiliary_nll);
    if (s->frames.rows.grains.n > 0) {
        memset(layer->dW, 0, layer->inputs * layer->outputs * sizeof *layer->dW);
        memset(layer->dbias, 0, layer->outputs * sizeof *layer->dbias);
    }
    linear_report(s->net.report, layer);
}

static void head_backward(sequence_pass_t *s, double scale) {
    const sequence_net_t *net = &s->net;
    const rows_t *rows = &s->frames.rows;
    if (rows->grains.n > 0)
        head_train_grains(net->head, &rows->grains, s->frame, s->past, &s->memories, s->pre, scale, s->nll);
    else
        head_train(net->head, rows->n, s->frame, s->past, &s->memories, s->pre, scale, s->nll);
    head_report(net->head, net->report);
    if (net->performance)
        performance_train(net->performance, s->plays ? &s->performance : NULL, rows->grains.n, scale,
                          net->report);
    if (net->memory) {
        const memory_rows_t remembered = memory_rows(s);
        memory_backward(net->memory, &s->memory, &remembered, &rows->grains, net->report);
    }
    linear_backward(&net->output, s->o, s->pre, s->dout, 0, rows, net->report);
}

/* The losses of each grain. */
static void add_up(const sequence_pass_t *s, model_losses_t *losses) {
    const size_t n = MAX(s->frames.rows.grains.n, 1);
    const gboolean latent = s->net.Z > 0;
    for (size_t i = 0; i < n; i++) {
        const size_t row = s->frames.begin[i], rows = s->frames.begin[i + 1] - row,
                     segment = s->segments.begin[i], segments = s->segments.begin[i + 1] - segment;
        losses[i] = (model_losses_t){
            .nll = sum(s->nll + row, rows),
            .kl = latent ? sum(s->kl + segment, segments) : 0,
            .segments = (double)segments,
            .auxiliary = latent ? sum(s->auxiliary_nll + row, rows) : 0,
            .performance = s->plays ? performance_pass_loss(&s->performance, s->net.config.tracks, i) : 0};
    }
}

static void train(void *state, const batch_t *batch, const model_objective_t *objective,
                  model_losses_t *losses) {
    sequence_pass_t *s = state;
    const sequence_net_t *net = &s->net;
    forward_to_head(s, batch);
    head_backward(s, objective->scale);
    join_output(s, batch, TRUE);
    if (net->Z) {
        if (objective->auxiliary > 0)
            auxiliary_loss(s, objective->scale * objective->auxiliary);
        else
            no_auxiliary_loss(s);
        weigh_kl(s, batch, objective);
        prior_backward(s); /* first: decode_backward() reads its dstarts */
    }
    decode_backward(s);
    if (net->Z) {
        sketch_backward(s);
        posterior_backward(s, batch);
        encode_backward(s);
    }
    add_up(s, losses);
}

static void forward(void *state, const batch_t *batch, double *nll, double *kl) {
    sequence_pass_t *s = state;
    forward_to_head(s, batch);
    if (nll) {
        head_prepare(s->net.head);
        head_score(s->net.head, s->frames.rows.n, s->frame, s->past, &s->memories, s->pre, s->nll);
        for (size_t b = 0; b < batch->B; b++) nll[b] = 0;
        for (size_t row = 0; row < s->frames.rows.n; row++) nll[s->frame_place[row].sequence] += s->nll[row];
        if (s->plays) performance_score(s->net.performance, &s->performance);
    }
    for (size_t b = 0; kl && b < batch->B; b++) kl[b] = s->net.Z ? s->sequence_kl[b] : 0;
}

const model_kind_ops_t vae_sequence_kind = {
    .check = sequence_net_check,
    .lay_out = sequence_net_lay_out,
    .create = sequence_pass_new,
    .destroy = sequence_pass_free,
    .allow_grains = sequence_pass_allow_grains,
    .find = find,
    .init = init,
    .init_log_odds = init_log_odds,
    .train = train,
    .forward = forward,
};
