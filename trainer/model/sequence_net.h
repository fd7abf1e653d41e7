/* sequence_net: the layers of a VAE that writes music frame by frame. Frames x_1 .. x_T of a piece, S to a
 * segment, one latent z a segment:
 *
 *     encoder    e = a GRU's last state in each direction over the segment's frames;
 *                mu, logvar = W2 tanh(W1 e + b1) + b2, logvar in [-8, 4]; z = mu + exp(logvar / 2) eps
 *     prior      the same network from the decoder's state h before the segment's first frame, so that the
 *                decoder can continue a piece by itself
 *     sketch     u_1 .. u_S = tanh(tanh(z A + a) B + b), features of the segment's frames
 *     decoder    a GRU over the whole piece from a learned state: input x_(t-1) (hidden whole by input
 *                dropout), t mod S, if the sizes ask for it the place in the bar (trainer/model/place.h), u_t
 *     memory     if the sizes ask for it, GRUs over the whole piece at each pitch (trainer/model/memory.h)
 *     head       o = dropout(h_t), u_t; the frame's cells given o, each other, the frames before and the
 *                memories (trainer/model/head.h), both hidden in whole segments by lag dropout
 *     performance  if the sizes ask for it, how onsets are played (trainer/model/performance.h)
 *     auxiliary  binary cross-entropy of u_t W + b against x_t, in training only: it keeps the latent useful
 *
 * GRU as in trainer/model/gru.h; z ~ N(prior); KL between two diagonal normals (Kingma & Welling 2014,
 * appendix B). latent 0: no encoder, prior, sketch and auxiliary: an autoregressive model, RNN-NADE
 * (Boulanger-Lewandowski et al. 2012). */
#pragma once

#include "trainer/model/gru.h"
#include "trainer/model/head.h"
#include "trainer/model/memory.h"
#include "trainer/model/performance.h"

#define SEQUENCE_LOGVAR_MIN (-8)
#define SEQUENCE_LOGVAR_MAX 4

/* All layers, pointing into the model's blocks. Latent 0: only input, phase, decoder, h0, output, head. */
typedef struct {
    model_config_t config;
    const model_report_t *report;
    size_t Z, S, H, E, U, D;   /* U = 0 where latent is 0 */
    linear_t encoder_input[2]; /* [D, 3 E] forward, backward */
    gru_t encoder[2];
    linear_t posterior[2]; /* [2 E, hidden], [hidden, 2 Z]: mu, logvar */
    linear_t prior[2];     /* [H, hidden], [hidden, 2 Z] */
    linear_t sketch[2];    /* [Z, hidden], [hidden, S U] */
    linear_t auxiliary;    /* [U, D] */
    linear_t input;        /* [D, 3 H], with the decoder's bias */
    linear_t phase;        /* [S, 3 H], no bias: a row for each t mod S */
    linear_t bar;          /* [place_table_rows(), 3 H], no bias: the rows of a place; may have none */
    linear_t from_sketch;  /* [U, 3 H], no bias */
    gru_t decoder;
    real_t *h0, *dh0;           /* [H] */
    linear_t output;            /* [H + U, head_columns()] */
    head_t *head;               /* owned */
    memory_t *memory;           /* owned; NULL: none */
    performance_t *performance; /* likewise */
} sequence_net_t;

/* As model_kind_ops_t's check() and lay_out(). */
gboolean sequence_net_check(const model_config_t *config, size_t max_B, size_t max_frames, GError **error);
void sequence_net_lay_out(const model_config_t *config, GArray *table);

/* Finds the layers in blocks and makes the head. FALSE with MODEL_ERROR_MEMORY set. */
gboolean sequence_net_init(sequence_net_t *net, const model_config_t *config, const model_blocks_t *blocks,
                           GError **error);
/* Finds the layers in other blocks. */
void sequence_net_find(sequence_net_t *net, const model_blocks_t *blocks);
void sequence_net_clear(sequence_net_t *net);

/* Two layers with tanh between them: y [B, outputs of the second]; hidden [B, outputs of the first] is kept
 * for the gradient. */
void sequence_mlp_forward(const linear_t layers[2], const real_t *x, real_t *hidden, real_t *y,
                          const rows_t *rows);
/* Its gradient: dy [B, ...] to dx [B, inputs]; dhidden: scratch of hidden's shape. */
void sequence_mlp_backward(const linear_t layers[2], const real_t *x, real_t *hidden, real_t *dhidden,
                           const real_t *dy, real_t *dx, const rows_t *rows, const model_report_t *report);

/* Initial values that the table cannot express: a narrow posterior, logvar at -3; a prior near N(0, 1);
 * biases at the log-odds [D]. */
void sequence_net_start(const sequence_net_t *net);
void sequence_net_start_log_odds(const sequence_net_t *net, const double *log_odds);

/* Adds what the decoder reads of a frame's place, if it does, to x [3 H]. */
void sequence_add_place(const sequence_net_t *net, const place_t *place, real_t *x);

/* Adds to y [N] the rows of W [cells, N] that a packed frame sets; bits past the last pitch do not count. */
void sequence_add_cells(const model_config_t *config, const uint8_t *frame, const real_t *W, real_t *y,
                        size_t N);

/* Sketches: z [B, Z] to u [B, S, U]. */
void sequence_sketch_forward(const sequence_net_t *net, const real_t *z, real_t *hidden, real_t *u,
                             const rows_t *rows);

/* Splits moments [B, 2 Z] into mu and logvar [B, Z]; clamps logvar. */
void sequence_split_moments(const real_t *moments, real_t *mu, real_t *logvar, size_t B, size_t Z);
/* KL( N(mu_q, e^lv_q) || N(mu_p, e^lv_p) ) of each row, nats. */
void sequence_kl(const real_t *mu_q, const real_t *lv_q, const real_t *mu_p, const real_t *lv_p, double *kl,
                 size_t B, size_t Z);
