/* sequence_pass: the data of one pass of the sequence model over a batch: its frames and segments as rows,
 * and the activations of every layer. Rows are packed (trainer/model/packing.h), one a frame and one a
 * segment. Only the last segment of a sequence is padded, with silence, for the encoder. Private to
 * vae_sequence.c. Letters as in trainer/model/sequence_net.h. */
#pragma once

#include "trainer/model/sequence_net.h"

enum { DIRECTIONS = 2 };

typedef struct {
    sequence_net_t net;
    size_t max_B, max_rows, max_segments, frame_bytes, context;
    packing_t frames, segments, within; /* within: a segment's frames, all segments side by side */
    uint32_t *valid;                    /* [max(rows, S segments)] ones */
    const uint8_t **frame;              /* [rows] where each row's frame lies in the batch */
    uint8_t *past;                      /* [rows] whether the head sees the frames at its lags */
    uint8_t *before, *targets;          /* [rows, frame bytes]: x_(t-1) as the decoder's GRU sees it; x_t */
    uint8_t *clean; /* [S segments, frame bytes]: the encoder's frames, by time within the segment */
    uint32_t *start, *active;             /* layers_list_active() of before */
    uint32_t *clean_start, *clean_active; /* that of clean */

    real_t *x, *h, *h0, *dh, *dh0; /* [rows, 3 H], [rows, H], [B, H], ... */
    real_t *o, *dout, *pre;        /* [rows, H + U], [rows, H + U], [rows, head_columns()] */
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

    GPtrArray *blocks; /* all real_t of the above */
} sequence_pass_t;

/* As model_kind_ops_t's create() and destroy(). */
void *sequence_pass_new(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                        size_t max_frames, GError **error);
void sequence_pass_free(void *pass);
/* Lays out a batch: its frames as rows and, with a latent, its segments too. Allocates nothing. */
void sequence_pass_lay(sequence_pass_t *s, const batch_t *batch);
/* Describes packed frames, one a row, to the functions of layers.h. */
layers_bits_t sequence_pass_rows(const sequence_pass_t *s, const uint8_t *bits, size_t rows);
