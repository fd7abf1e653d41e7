/* head: the probability of a frame's cells, given the network's output (its columns of `pre`) and the frames
 * before: one cell after the other, each given those before it. NADE (Larochelle & Murray 2011;
 * Boulanger-Lewandowski et al. 2012) plus a small network whose weights all pitches share:
 *
 *     logit_i = b_i + V_i . logistic(a_i) + v . relu(sum of Q rows of the set features of i + C o + p_i + q)
 *     a_first = c, a_next = a_i + x_i W_i
 *
 * Cells i = (track, plane, pitch); a group is a (track, plane). Groups go in the order config.sequence.order
 * of tracks, sounding before onset; within a group from the lowest pitch. Each cell has rows of W, V [D, A]
 * and p [D, Q units]; each group has Q, q, v. Features of cell (k, l, p), in this order of rows of Q; silence
 * past the edges:
 *     own group:   pitches p - 13 .. p + 13 of the frame at each lag before, config.sequence.lags in turn;
 *                  the same of the frames at lags in bars (trainer/model/place.h);
 *                  pitches p - 24 .. p - 1 of this frame
 *     each group before it in the order, in turn: pitches p - 13 .. p + 13 of this frame
 * The sounding groups of pitched tracks also have profiles, which tell the key of a piece, with rows of their
 * own: for each length in config.sequence.profiles, the shares of the pitch classes of p, p + 1, .. p + 11 in
 * the notes that sounded in the last so many frames (a key that two tracks play counts once), less 1 / 12,
 * times 3; 0 after silence.
 *
 * In a roll an onset needs its sound, and sound after silence begins with an onset (preprocess/roll/roll.h).
 * Cells of the onset plane that follow from this are certain: they have no loss and no gradient.
 *
 * With a memory (trainer/model/memory.h) the cells of the pitches that have one add R s_(k,p) to the sum in
 * relu(), s being the state of the memory of track k at the pitch and R of the group. With GRUs along pitches
 * (config.sequence.note) each sounding group has one, which goes from the lowest pitch that has a memory
 * upwards: m_p = GRU(y_p N + e_p + b, m_(p-1)), y the units of relu(), m before the lowest learned; it sees
 * the notes below p, and logit_p gets + u . m_p. Dropout silences units of s and m, the same at all pitches.
 *
 * A row is one frame. Each row of pre [rows, head_columns()] holds b + bias [D, in cell order], c [A], C o +
 * q [groups in drawing order, Q units], which the caller computes as one matrix product, by its layer
 * "head.output". NaN in a row of pre makes the row's loss NaN. */
#pragma once

#include "trainer/model/model_kind.h"
#include "trainer/model/place.h"
#include "trainer/model/rng.h"

typedef struct head head_t;

/* Columns of pre: D + A + groups * Q. */
size_t head_columns(const model_config_t *config);
/* Appends the head's own parameters: "head.nade.weight" W and "head.nade.output" V [D, A], normal with
 * deviation 0.05; "head.tied.pitch" p [D, Q], the same; for each group G in drawing order "head.tied.G" with
 * parts "weight" Q [features, Q] (uniform, 1 / sqrt(features)), where it has profiles "profile" [12 profiles,
 * Q] (uniform, 1 / sqrt(features + 12 profiles)), with a memory "memory" R [M, Q] (uniform, 1 / sqrt(M)), and
 * "output" v [1, Q] (uniform, 1 / sqrt(Q); half of it where the group has a GRU). That is "head.note.G" with
 * the layer "head.note.G.input" (N, b) and "head.note.G.pitch" e [pitches, 3 N], "head.note.G.start" [1, N],
 * both zero, and "head.note.G.output" u [1, N] (uniform, half of 1 / sqrt(N)). */
void head_lay_out(const model_config_t *config, GArray *table);
/* Makes a head on these blocks, for one thread. NULL with MODEL_ERROR_MEMORY set. Owner: caller. */
head_t *head_new(const model_config_t *config, const model_blocks_t *blocks, GError **error);
/* Finds the parameters in other blocks of the same model. */
void head_find(head_t *head, const model_config_t *config, const model_blocks_t *blocks);
/* Reports the gradients of the head's own parameters, after head_train(). */
void head_report(const head_t *head, const model_report_t *report);
/* Initial values that the table cannot express. */
void head_start(const head_t *head);
void head_free(head_t *head);

/* Builds the tables that head_score() and head_draw() read from the parameters: call it after these have
 * changed. head_train() does so itself. */
void head_prepare(head_t *head);
/* What rows see besides frames; NULL for all of it where the model has neither memories nor GRUs along
 * pitches nor lags in bars. */
typedef struct {
    const place_t *const *places; /* [rows]: where each is in its bar; NULL where there are no lags in bars */
    real_t *const *s;             /* [K, in drawing order][rows, pitches, M] */
    real_t *const *ds;            /* head_train() writes d loss / d s */
    const uint8_t *const *keep;   /* [rows]: units that dropout keeps, as batch_t.keep_memory; NULL: all */
    real_t kept;                  /* what kept units are multiplied by, where there is keep */
} head_memory_t;

/* What head_score() and head_train() write besides: units of the tied network, relu() of the sounding cells
 * of pitches that are struck, from the lowest, only of a model that learns onsets; those of track k, in
 * drawing order, of row r begin at units + first[r K + k] step. And logits [rows, D]; those of certain cells
 * are infinite. */
typedef struct {
    real_t *units; /* NULL: nowhere */
    size_t step;
    const uint32_t *first;
    real_t *logits; /* NULL: nowhere */
} head_record_t;
/* From now on. */
void head_record(head_t *head, const head_record_t *record);

/* Scores rows. frames [rows] points to each row's packed frame [K, L, ceil(P / 8)], which the model_context()
 * frames before it precede in memory. past [rows]: 0 if a row does not see those at its lags (their features
 * are silent, and so is s; profiles stay); NULL: all do. nll [rows]: nats. */
void head_score(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, const real_t *pre, double *nll);
/* Writes units where head_record() says, the same bits as head_score(), but neither losses nor logits. */
void head_units(head_t *head, size_t rows, const uint8_t *const *frames, const head_memory_t *memory,
                const real_t *pre);
/* As head_score(), with the gradient of scale * sum of nll: turns pre into d loss / d pre and adds to the
 * gradients of the head's own parameters. */
void head_train(head_t *head, size_t rows, const uint8_t *const *frames, const uint8_t *past,
                const head_memory_t *memory, real_t *pre, double scale, double *nll);
/* The same for rows in grains (trainer/model/grains.h): the gradients of the head's own parameters are summed
 * by their tree, and written. Needs head_allow_grains(). */
void head_train_grains(head_t *head, const grains_t *grains, const uint8_t *const *frames,
                       const uint8_t *past, const head_memory_t *memory, real_t *pre, double scale,
                       double *nll);
/* Makes room for n grains, once. FALSE with MODEL_ERROR_MEMORY set. */
gboolean head_allow_grains(head_t *head, size_t n, GError **error);
/* How head_draw() decides cells. At temperature 1 a cell is set if its uniform is below logistic(logit).
 * Other temperatures change which notes begin, not how many, nor how long they last. The next cell that a
 * group sets, from the lowest, is none, one that sounded in the frame before, or another one. Which other
 * one it is goes by the model's probabilities to the power of 1 / temperature; which of those that sounded
 * before, by the model's own: made surer they would last, for the lowest is nearly always the likeliest. The
 * probability of another one is the model's times (1 + m) / (1 + n), 1 at most, where m and n are the sums
 * of probabilities of the cells above it, on average over it by the model and by the temperature; the other
 * two cases share the rest as the model has them. So as many notes are expected as the model expects:
 * otherwise many notes at once would become more, for of many cells of equal probability the nearest would
 * mostly come next. Dividing logits by a temperature below 1 would silence the music: often some note is
 * likely to begin although no single one is.
 *
 * A wish changes the probabilities of the three cases, and which cell it is within its case; see head_wish_t.
 * Let q be the probability of a frame by all of that. Cells that are known have the values that the frame
 * holds when it comes to be drawn: each next cell is drawn by q among those that what is known allows, so
 * that frames x that agree with it are drawn with the probability q(x) / exp(returned), and what head_draw()
 * returns is the particle's weight in importance sampling (Doucet & Johansen 2009). With a guide they are
 * drawn by another r(x), and what is returned is log(q(x) / r(x)). */
typedef struct {
    const real_t *which;  /* [D] nats: multiplies what cells weigh within the case of another one by exp(); of
                            one that sounded before, where below 0, its probability; known cells count as 0 */
    double begins, stays; /* nats: multiply the probabilities of another one, of one that sounded before */
} head_wish_t;

typedef struct {
    const rng_t *rng;        /* NULL: greedy, set where logit > 0; then all that follows is not used */
    uint64_t element;        /* cell i has the uniform number of element + i */
    double temperature;      /* > 0 */
    const uint8_t *known;    /* [frame bytes]: a set bit for each known cell; NULL: none */
    const head_wish_t *wish; /* NULL: none */
    /* [frame bytes]: a frame to take in place of draws, which agrees with what is known; its weight is what
     * it would be if it had been drawn. NULL: draw. */
    const uint8_t *told;
    /* [D]: added to the logits that cells are drawn by (trainer/model/guide.h); the weight makes up for it.
     * NULL: none. */
    const real_t *guide;
    /* Gets what a guide takes from the logarithm of the weight: without a guide the same frame's would be
     * what is returned and this. NULL: not wanted. */
    double *guided;
} head_rule_t;

/* Draws a frame, cell by cell, from its row of pre, its `row` of the memory, and the model_context() frames
 * before it in memory. Returns the logarithm of its weight: 0 where nothing is known, wished or guided,
 * -INFINITY where what is known breaks the rules of a roll beside what was drawn. */
double head_draw(head_t *head, uint8_t *frame, const head_memory_t *memory, size_t row, const real_t *pre,
                 const head_rule_t *rule);
