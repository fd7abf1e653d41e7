/* stream: owns what the sequence model carries from frame to frame outside training: states, sketches of the
 * current segment, the last frames; and the encoder's buffers, for ENCODE_SEGMENTS segments at a time, so
 * that a piece may have any length. The layers are the model's. Refuses nothing: calls out of order are the
 * caller's mistake. */
#include "trainer/model/stream.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/model/layers.h"
#include "trainer/model/vae_sequence.h"

enum { ENCODE_SEGMENTS = 64, STEP_SCRATCH = 7 };

/* What pieces carry. There are two, so that stream_select() can copy from one to the other. */
typedef struct {
    real_t *h;        /* [max_N, H] */
    real_t *u;        /* [max_N, S, U] */
    uint8_t *frames;  /* [max_N, slots, frame bytes]: the frames before, then room for the current one */
    meters_t *meters; /* [max_N] */
    real_t **s;       /* [K][max_N, pitches, M]: memories; K is 0 without one */
} carried_t;

struct stream {
    const sequence_net_t *net;
    size_t max_N, N, t, frame_bytes, columns, slots;
    size_t K, memory;    /* memories, elements of a piece's in each of them */
    gboolean has_latent; /* the current segment has one */
    carried_t now, other;
    real_t *base;           /* [3 H]: input's bias and the phase's row */
    real_t *x, *scratch;    /* [max_N, 3 H], [max_N, 7 H] */
    real_t *o, *pre;        /* [max_N, H + U], [max_N, columns] */
    real_t *hidden;         /* [max_N, units of the wider of the prior's and sketch's hidden layers] */
    real_t *moments;        /* [max_N, 2 Z] */
    real_t *memory_scratch; /* [memory_scratch()] */
    place_t *place;         /* [max_N]: of the current frame */
    const place_t **places; /* [max_N]: where each row's is */
    const uint8_t **frames; /* [max_N]: where the head finds each row's frame */
    GPtrArray *blocks;      /* all real_t but base */

    packing_t packing;
    gru_tape_t tape;
    uint32_t *lengths;                    /* [ENCODE_SEGMENTS], all S */
    real_t *encoder_x, *encoder_h;        /* [ENCODE_SEGMENTS S, 3 E], [.., E] */
    real_t *encoder_start;                /* [ENCODE_SEGMENTS, E], zeros */
    real_t *e, *encoder_hidden, *encoded; /* [ENCODE_SEGMENTS, 2 E], [.., hidden], [.., 2 Z] */
};

static real_t *add_block(stream_t *stream, size_t rows, size_t cols) {
    return model_add_block(stream->blocks, rows, cols);
}

/* Allocates what a latent needs. FALSE if memory runs out. */
static gboolean add_encoder(stream_t *stream) {
    const sequence_net_t *net = stream->net;
    const size_t W = ENCODE_SEGMENTS, rows = W * net->S, E = net->E;
    packing_init(&stream->packing, net->S);
    stream->lengths = g_new(uint32_t, W);
    for (size_t w = 0; w < W; w++) stream->lengths[w] = (uint32_t)net->S;
    stream->encoder_x = add_block(stream, rows, GATES * E);
    stream->encoder_h = add_block(stream, rows, E);
    stream->encoder_start = add_block(stream, W, E);
    stream->e = add_block(stream, W, 2 * E);
    stream->encoder_hidden = add_block(stream, W, net->posterior[0].outputs);
    stream->encoded = add_block(stream, W, 2 * net->Z);
    stream->hidden = add_block(stream, stream->max_N, MAX(net->prior[0].outputs, net->sketch[0].outputs));
    stream->moments = add_block(stream, stream->max_N, 2 * net->Z);
    return gru_tape_init(&stream->tape, rows, W, E);
}

stream_t *stream_new(model_t *model, size_t max_N, GError **error) {
    g_autoptr(stream_t) stream = g_new0(stream_t, 1);
    const sequence_net_t *net = stream->net = model_sequence_net(model);
    stream->max_N = max_N;
    stream->frame_bytes = model_frame_bytes(&net->config);
    stream->columns = head_columns(&net->config);
    stream->slots = model_context(&net->config) + 1;
    stream->K = net->memory ? net->config.tracks : 0;
    stream->memory = net->config.sequence.tied_pitches * net->config.sequence.memory;
    stream->frames = g_new(const uint8_t *, max_N);
    stream->place = g_new0(place_t, max_N);
    stream->places = g_new(const place_t *, max_N);
    for (size_t n = 0; n < max_N; n++) stream->places[n] = &stream->place[n];
    stream->base = g_new(real_t, GATES * net->H);
    stream->blocks = g_ptr_array_new_with_free_func(free);
    for (int i = 0; i < 2; i++) {
        carried_t *carried = i ? &stream->other : &stream->now;
        carried->frames = g_malloc0(max_N * stream->slots * stream->frame_bytes);
        carried->meters = g_new0(meters_t, max_N);
        carried->h = add_block(stream, max_N, net->H);
        carried->u = add_block(stream, max_N, net->S * net->U);
        carried->s = g_new0(real_t *, stream->K);
        for (size_t k = 0; k < stream->K; k++) carried->s[k] = add_block(stream, max_N, stream->memory);
    }
    stream->x = add_block(stream, max_N, GATES * net->H);
    stream->scratch = add_block(stream, max_N, STEP_SCRATCH * net->H);
    stream->memory_scratch = add_block(stream, memory_scratch(net->memory), 1);
    stream->o = add_block(stream, max_N, net->H + net->U);
    stream->pre = add_block(stream, max_N, stream->columns);
    if (net->Z && !add_encoder(stream)) g_ptr_array_add(stream->blocks, NULL);
    return model_check_blocks(stream->blocks, "the states of pieces side by side", error)
               ? g_steal_pointer(&stream)
               : NULL;
}

void stream_free(stream_t *stream) {
    if (!stream) return;
    g_ptr_array_unref(stream->blocks);
    g_free(stream->now.frames);
    g_free(stream->other.frames);
    g_free(stream->now.s);
    g_free(stream->other.s);
    g_free(stream->now.meters);
    g_free(stream->other.meters);
    g_free(stream->place);
    g_free(stream->places);
    g_free(stream->base);
    g_free(stream->frames);
    g_free(stream->lengths);
    packing_clear(&stream->packing);
    gru_tape_clear(&stream->tape);
    g_free(stream);
}

void stream_start(stream_t *stream, size_t N) {
    const size_t H = stream->net->H;
    g_assert(N >= 1 && N <= stream->max_N);
    head_prepare(stream->net->head);
    stream->N = N;
    stream->t = 0;
    stream->has_latent = FALSE;
    for (size_t n = 0; n < N; n++) memcpy(stream->now.h + n * H, stream->net->h0, H * sizeof *stream->now.h);
    memory_begin(stream->net->memory, stream->now.s, N);
    memset(stream->now.frames, 0, N * stream->slots * stream->frame_bytes);
}

void stream_set_meters(stream_t *stream, size_t n, meters_t meters) { stream->now.meters[n] = meters; }

size_t stream_frames(const stream_t *stream) { return stream->t; }

void stream_select(stream_t *stream, const uint32_t *parents, size_t N) {
    const size_t H = stream->net->H, sketch = stream->net->S * stream->net->U,
                 piece = stream->slots * stream->frame_bytes;
    const carried_t from = stream->now, to = stream->other;
    gboolean stays = N <= stream->N;
    g_assert(N >= 1 && N <= stream->max_N);
    for (size_t n = 0; n < N; n++) stays &= parents[n] == n;
    stream->N = N;
    if (stays) return;
    for (size_t n = 0; n < N; n++) {
        memcpy(to.h + n * H, from.h + parents[n] * H, H * sizeof *to.h);
        if (sketch) memcpy(to.u + n * sketch, from.u + parents[n] * sketch, sketch * sizeof *to.u);
        to.meters[n] = from.meters[parents[n]];
        memcpy(to.frames + n * piece, from.frames + parents[n] * piece, piece);
        for (size_t k = 0; k < stream->K; k++)
            memcpy(to.s[k] + n * stream->memory, from.s[k] + parents[n] * stream->memory,
                   stream->memory * sizeof *to.s[k]);
    }
    stream->now = to;
    stream->other = from;
}

void stream_prior(stream_t *stream, real_t *mu, real_t *logvar) {
    const sequence_net_t *net = stream->net;
    g_assert(net->Z > 0 && stream->t % net->S == 0);
    sequence_mlp_forward(net->prior, stream->now.h, stream->hidden, stream->moments,
                         &(rows_t){.n = stream->N});
    sequence_split_moments(stream->moments, mu, logvar, stream->N, net->Z);
}

void stream_set_latent(stream_t *stream, const real_t *z) {
    g_assert(stream->net->Z > 0 && stream->t % stream->net->S == 0);
    sequence_sketch_forward(stream->net, z, stream->hidden, stream->now.u, &(rows_t){.n = stream->N});
    stream->has_latent = TRUE;
}

/* Adds to y [N] the rows of W [cells, N] that the frame sets; bits past the last pitch do not count. */
LAYERS_WIDE static void add_cells(const model_config_t *config, const uint8_t *frame,
                                  const real_t *restrict W, real_t *restrict y, size_t N) {
    const size_t P = config->pitches, stride = roll_stride(P), rows = config->tracks * config->planes;
    for (size_t r = 0; r < rows; r++, frame += stride) {
        for (size_t i = 0; i < stride; i++) {
            for (unsigned byte = frame[i]; byte; byte &= byte - 1) {
                const size_t p = 8 * i + (size_t)__builtin_ctz(byte);
                if (p >= P) break;
                const real_t *row = W + (r * P + p) * N;
                for (size_t n = 0; n < N; n++) y[n] += row[n];
            }
        }
    }
}

/* Frame i of those that a piece keeps, the oldest first; the last is the current one. */
static uint8_t *slot(const stream_t *stream, size_t n, size_t i) {
    return stream->now.frames + (n * stream->slots + i) * stream->frame_bytes;
}

static uint8_t *current(const stream_t *stream, size_t n) { return slot(stream, n, stream->slots - 1); }

/* Finds where the current frame of each piece is in its bar. */
static void find_places(stream_t *stream) {
    for (size_t n = 0; stream->net->config.sequence.bar > 0 && n < stream->N; n++) {
        g_assert(stream->now.meters[n].n > 0);
        place_find(stream->now.meters[n], stream->t, &stream->net->config, &stream->place[n]);
    }
}

/* Computes the states h_t and, if output, o_t and the head's columns. */
static void advance(stream_t *stream, gboolean output) {
    const sequence_net_t *net = stream->net;
    const size_t N = stream->N, H = net->H, U = net->U, phase = stream->t % net->S, wide = GATES * H;
    g_assert(net->Z == 0 || stream->has_latent);
    find_places(stream);
    for (size_t i = 0; i < wide; i++) stream->base[i] = net->input.bias[i] + net->phase.W[phase * wide + i];
    for (size_t n = 0; n < N; n++) {
        memcpy(stream->x + n * wide, stream->base, wide * sizeof *stream->x);
        sequence_add_place(net, stream->places[n], stream->x + n * wide);
        stream->frames[n] = current(stream, n);
        add_cells(&net->config, current(stream, n) - stream->frame_bytes, net->input.W, stream->x + n * wide,
                  wide);
        if (U)
            memcpy(stream->o + n * (H + U) + H, stream->now.u + (n * net->S + phase) * U,
                   U * sizeof *stream->o);
    }
    if (U) layers_add_product(stream->o + H, H + U, net->from_sketch.W, stream->x, N, U, wide);
    gru_step(&net->decoder, N, stream->x, stream->now.h, stream->scratch);
    if (net->memory)
        memory_step(net->memory, N, stream->frames, stream->places, stream->t, stream->now.s,
                    stream->memory_scratch);
    if (!output) return;
    for (size_t n = 0; n < N; n++)
        memcpy(stream->o + n * (H + U), stream->now.h + n * H, H * sizeof *stream->o);
    linear_forward(&net->output, stream->o, stream->pre, &(rows_t){.n = N});
}

/* Shifts the kept frames: the current one becomes the last one. */
static void pass_on(stream_t *stream) {
    for (size_t n = 0; n < stream->N; n++)
        memmove(slot(stream, n, 0), slot(stream, n, 1), (stream->slots - 1) * stream->frame_bytes);
    stream->t++;
    if (stream->t % stream->net->S == 0) stream->has_latent = FALSE;
}

void stream_force(stream_t *stream, const uint8_t *frames, gboolean shared, double *nll) {
    const size_t bytes = stream->frame_bytes;
    advance(stream, nll != NULL);
    const head_memory_t memory = {.places = stream->places, .s = stream->now.s};
    for (size_t n = 0; n < stream->N; n++)
        memcpy(current(stream, n), shared ? frames : frames + n * bytes, bytes);
    if (nll) head_score(stream->net->head, stream->N, stream->frames, NULL, &memory, stream->pre, nll);
    pass_on(stream);
}

void stream_draw(stream_t *stream, const head_rule_t *rules, uint8_t *frames) {
    const size_t bytes = stream->frame_bytes;
    const head_memory_t memory = {.places = stream->places, .s = stream->now.s};
    advance(stream, TRUE);
    for (size_t n = 0; n < stream->N; n++) {
        head_draw(stream->net->head, current(stream, n), &memory, n, stream->pre + n * stream->columns,
                  &rules[n]);
        if (frames) memcpy(frames + n * bytes, current(stream, n), bytes);
    }
    pass_on(stream);
}

/* Runs one direction of the encoder over W segments, whose T frames begin at bits; its last state goes to its
 * half of e. */
static void encode_direction(stream_t *stream, int direction, const uint8_t *bits, size_t T, size_t W) {
    const sequence_net_t *net = stream->net;
    const size_t S = net->S, E = net->E, wide = GATES * E;
    const linear_t *input = &net->encoder_input[direction];
    for (size_t t = 0; t < S; t++) {
        for (size_t w = 0; w < W; w++) {
            const size_t frame = w * S + (direction ? S - 1 - t : t);
            real_t *x = stream->encoder_x + (t * W + w) * wide;
            memcpy(x, input->bias, wide * sizeof *x);
            if (frame < T) add_cells(&net->config, bits + frame * stream->frame_bytes, input->W, x, wide);
        }
    }
    gru_forward(&net->encoder[direction], &stream->packing, 1, stream->encoder_start, stream->encoder_x,
                stream->encoder_h, &stream->tape);
    for (size_t w = 0; w < W; w++)
        memcpy(stream->e + (2 * w + (size_t)direction) * E, stream->encoder_h + ((S - 1) * W + w) * E,
               E * sizeof *stream->e);
}

void stream_encode(stream_t *stream, const uint8_t *bits, size_t T, real_t *mu, real_t *logvar) {
    const sequence_net_t *net = stream->net;
    const size_t S = net->S, segments = (T + S - 1) / S;
    g_assert(net->Z > 0);
    for (size_t first = 0; first < segments; first += ENCODE_SEGMENTS) {
        const size_t W = MIN(ENCODE_SEGMENTS, segments - first);
        packing_make(&stream->packing, stream->lengths, W, 1);
        for (int direction = 0; direction < 2; direction++)
            encode_direction(stream, direction, bits + first * S * stream->frame_bytes, T - first * S, W);
        sequence_mlp_forward(net->posterior, stream->e, stream->encoder_hidden, stream->encoded,
                             &(rows_t){.n = W});
        sequence_split_moments(stream->encoded, mu + first * net->Z, logvar + first * net->Z, W, net->Z);
    }
}
