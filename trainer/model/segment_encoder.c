/* segment_encoder: owns the encoder's buffers, for SEGMENTS segments at a time, so that a piece may have any
 * length. */
#include "trainer/model/segment_encoder.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 64 };

struct segment_encoder {
    const sequence_net_t *net;
    size_t frame_bytes;
    packing_t packing;
    gru_tape_t tape;
    uint32_t lengths[SEGMENTS];   /* all S */
    real_t *x, *h, *start;        /* [SEGMENTS S, 3 E], [.., E], [SEGMENTS, E]: zeros */
    real_t *e, *hidden, *moments; /* [SEGMENTS, 2 E], [.., hidden], [.., 2 Z] */
    real_t *grains;               /* [grains_scratch()] */
    GPtrArray *blocks;            /* all real_t */
};

segment_encoder_t *segment_encoder_new(const sequence_net_t *net, GError **error) {
    g_autoptr(segment_encoder_t) encoder = g_new0(segment_encoder_t, 1);
    const size_t rows = SEGMENTS * net->S, E = net->E;
    encoder->net = net;
    encoder->frame_bytes = model_frame_bytes(&net->config);
    packing_init(&encoder->packing, net->S);
    for (size_t w = 0; w < SEGMENTS; w++) encoder->lengths[w] = (uint32_t)net->S;
    GPtrArray *blocks = encoder->blocks = g_ptr_array_new_with_free_func(free);
    encoder->x = model_add_block(blocks, rows, GATES * E);
    encoder->h = model_add_block(blocks, rows, E);
    encoder->start = model_add_block(blocks, SEGMENTS, E);
    encoder->e = model_add_block(blocks, SEGMENTS, 2 * E);
    encoder->hidden = model_add_block(blocks, SEGMENTS, net->posterior[0].outputs);
    encoder->moments = model_add_block(blocks, SEGMENTS, 2 * net->Z);
    encoder->grains = model_add_block(blocks, grains_scratch(SEGMENTS), 1);
    if (!gru_tape_init(&encoder->tape, rows, SEGMENTS, E)) g_ptr_array_add(blocks, NULL);
    return model_check_blocks(blocks, "the encoder of segments", error) ? g_steal_pointer(&encoder) : NULL;
}

void segment_encoder_free(segment_encoder_t *encoder) {
    if (!encoder) return;
    g_ptr_array_unref(encoder->blocks);
    packing_clear(&encoder->packing);
    gru_tape_clear(&encoder->tape);
    g_free(encoder);
}

/* Runs one direction over W segments, whose T frames begin at bits; its last state goes to its half of e. */
static void run_direction(segment_encoder_t *encoder, int direction, const uint8_t *bits, size_t T,
                          size_t W) {
    const sequence_net_t *net = encoder->net;
    const size_t S = net->S, E = net->E, wide = GATES * E;
    const linear_t *input = &net->encoder_input[direction];
    for (size_t t = 0; t < S; t++) {
        for (size_t w = 0; w < W; w++) {
            const size_t frame = w * S + (direction ? S - 1 - t : t);
            real_t *x = encoder->x + (t * W + w) * wide;
            memcpy(x, input->bias, wide * sizeof *x);
            if (frame < T)
                sequence_add_cells(&net->config, bits + frame * encoder->frame_bytes, input->W, x, wide);
        }
    }
    gru_forward(&net->encoder[direction], &encoder->packing, 1, encoder->start, encoder->x, encoder->h,
                &encoder->tape);
    for (size_t w = 0; w < W; w++)
        memcpy(encoder->e + (2 * w + (size_t)direction) * E, encoder->h + ((S - 1) * W + w) * E,
               E * sizeof *encoder->e);
}

void segment_encoder_run(segment_encoder_t *encoder, const uint8_t *bits, size_t T, real_t *mu,
                         real_t *logvar) {
    const sequence_net_t *net = encoder->net;
    const size_t S = net->S, segments = (T + S - 1) / S;
    for (size_t first = 0; first < segments; first += SEGMENTS) {
        const size_t W = MIN(SEGMENTS, segments - first);
        const uint32_t begin[2] = {0, (uint32_t)W};
        const rows_t rows = {.n = W, .grains = {.begin = begin, .n = 1}, .scratch = encoder->grains};
        packing_make(&encoder->packing, encoder->lengths, W, 1);
        for (int direction = 0; direction < 2; direction++)
            run_direction(encoder, direction, bits + first * S * encoder->frame_bytes, T - first * S, W);
        sequence_mlp_forward(net->posterior, encoder->e, encoder->hidden, encoder->moments, &rows);
        sequence_split_moments(encoder->moments, mu + first * net->Z, logvar + first * net->Z, W, net->Z);
    }
}
