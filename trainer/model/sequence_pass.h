/* sequence_pass: the data of one pass of the sequence model over a batch: its frames and segments as rows,
 * and the activations of every layer. Rows are packed (trainer/model/packing.h), one a frame and one a
 * segment, those of each grain after those of the grain before. Only the last segment of a sequence is
 * padded, with silence, for the encoder. Private to vae_sequence.c. Letters as in
 * trainer/model/sequence_net.h. */
#pragma once

#include "trainer/model/sequence_net.h"

enum { DIRECTIONS = 2 };

/* Rows of one kind. Each grain that has any is packed as a group of its own; without grains there is one
 * group. */
typedef struct {
    rows_t rows;
    packing_t *groups; /* [max_B] */
    uint32_t *offsets; /* of all groups; the first `used` are taken */
    size_t used, room;
    uint32_t begin[GRAINS_MAX + 1]; /* where the rows of each grain begin */
} packed_t;

/* Where a frame's row, or a segment's, comes from. */
typedef struct {
    uint32_t sequence, t, segment; /* frame t of a sequence; the row of its segment, where there are any */
} frame_place_t;
typedef struct {
    uint32_t sequence, w, first,
        before; /* segment w; the rows of its first frame, and, w > 0, of that before */
} segment_place_t;

typedef struct {
    sequence_net_t net;
    size_t max_B, max_rows, max_segments, frame_bytes, context;
    size_t n_groups;
    packed_t frames, segments, within; /* within: frames of segments, all segments of a group side by side */
    rows_t sequences;                  /* of the batch */
    frame_place_t *frame_place;        /* [rows] */
    segment_place_t *segment_place;    /* [segments] */
    uint32_t *phase_start, *phase_row; /* [S + 1], [rows]: the rows of each t mod S */
    uint32_t *bar_start,
        *bar_row; /* [place_table_rows() + 1], [PLACE_ROWS rows]: the rows of each row of the bar's table */
    const place_t **places;    /* [rows] */
    uint32_t *valid;           /* [max(rows, S segments)] ones */
    const uint8_t **frame;     /* [rows] where each row's frame lies in the batch */
    uint8_t *past;             /* [rows] whether the head sees the frames at its lags */
    uint8_t *heard;            /* [rows] whether the decoder sees the frame before */
    const uint8_t **keep;      /* [rows] dropout of the memory, as batch_t.keep_memory */
    uint8_t *before, *targets; /* [rows, frame bytes]: x_(t-1) as the decoder's GRU sees it; x_t */
    uint8_t *clean; /* [S segments, frame bytes]: the encoder's frames, by time within the segment */
    uint32_t *start, *active;             /* layers_list_active() of before */
    uint32_t *clean_start, *clean_active; /* that of clean */

    real_t *x, *h, *h0, *dh, *dh0; /* [rows, 3 H], [rows, H], [B, H], ... */
    real_t *o, *dout, *pre;        /* [rows, H + U], [rows, H + U], [rows, head_columns()] */
    gru_tape_t tape;
    memory_pass_t memory;
    head_memory_t memories; /* as the head sees them */
    performance_pass_t performance;
    gboolean plays; /* the batch tells how it was played */

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

    real_t *scratch;   /* of grains.h, where there may be grains */
    GPtrArray *blocks; /* all real_t of the above */
} sequence_pass_t;

/* As model_kind_ops_t's create(), destroy() and allow_grains(). */
void *sequence_pass_new(const model_config_t *config, const model_blocks_t *blocks, size_t max_B,
                        size_t max_frames, GError **error);
void sequence_pass_free(void *pass);
gboolean sequence_pass_allow_grains(void *pass, size_t n, GError **error);
/* Lays out a batch: its frames as rows and, with a latent, its segments too. Allocates nothing. */
void sequence_pass_lay(sequence_pass_t *s, const batch_t *batch);
/* Describes packed frames, one a row, to the functions of layers.h. */
layers_bits_t sequence_pass_rows(const sequence_pass_t *s, const uint8_t *bits, size_t rows);
/* Takes x, which holds the gradient of what the decoder's GRU reads, to the rows of phases and of places
 * in the bar, and reports theirs. */
void sequence_pass_phases_backward(const sequence_pass_t *s);
