/* performance: how onsets are played, given the notes: a class of velocity and one of offset for each, in
 * turn, given how those before it were played. Each track k has a network of its own,
 *
 *     hidden = tanh([y; f] A + a),  velocity ~ softmax(hidden V + v),  offset ~ softmax(hidden O + o),
 *
 * y being the units of the head's tied network at the onset's sounding cell (trainer/model/head.h), which see
 * the notes below in the frame and all before it, and f what trainer/model/performance_past.h says. It is no
 * part of the notes' likelihood, and no gradient goes from it to y: the notes are learned as without it.
 *
 * A class holds some distances from the onset's reference (trainer/model/performance_past.h), the nearer the
 * finer: -1 to 1, then 4 each as far as 41, 8 each as far as 81, and 16 each. So music that was typed, whose
 * velocities and offsets do not differ, is played as it was. */
#pragma once

#include "trainer/model/head.h"
#include "trainer/model/performance_past.h"

enum { PERFORMANCE_CLASSES = 37 };

typedef struct performance performance_t;

size_t performance_velocity_class(played_t played, played_t reference);
size_t performance_offset_class(played_t played, played_t reference);

/* Appends, for each track in drawing order, the layers "performance.K.hidden" [tied + features, units],
 * "performance.K.velocity" and "performance.K.offset"; nothing where the config has no performance. */
void performance_lay_out(const model_config_t *config, GArray *table);
/* Only for a config that has it. Owner: caller. */
performance_t *performance_new(const model_config_t *config, const model_blocks_t *blocks);
void performance_free(performance_t *performance);
/* Finds the parameters in other blocks. */
void performance_find(performance_t *performance, const model_blocks_t *blocks);

/* A batch's onsets, track after track, in each row after row. How many there may be is not known beforehand:
 * the room grows to that of the largest batch so far. */
typedef struct {
    size_t max_B, inputs, units, room;
    gboolean grains; /* there may be some */
    uint32_t *first; /* [rows, K in drawing order]: each row's first onset in a track */
    uint32_t *begin; /* [K, GRAINS_MAX + 1]: where the onsets of each grain begin, in those of the track */
    size_t *n;       /* [K] */
    performance_past_t **past;             /* [max_B] of each sequence */
    played_song_t *songs;                  /* [max_B]: its song; `played` goes on to its next onsets */
    real_t *x, *hidden, *dhidden, *logits; /* [room, inputs], [room, units], .., [room, classes] */
    uint8_t *velocity, *offset;            /* [room]: classes */
    real_t *scratch;                       /* of grains.h, where there may be grains */
    double *nll;                           /* [room] */
    GPtrArray *blocks;                     /* all real_t of the above */
} performance_pass_t;

/* For batches of at most max_rows frames and max_B sequences. This and what follows end the program if memory
 * runs out, as GLib does. */
void performance_pass_init(performance_pass_t *pass, const performance_t *performance, size_t max_rows,
                           size_t max_B);
void performance_pass_clear(performance_pass_t *pass);
/* Begins a batch whose rows are frames; of each grain, or of all, begin at row_begin [grains + 1]. What was
 * played of a song before its part is heard. The head then writes y where performance_pass_record() says. */
void performance_pass_begin(performance_pass_t *pass, const performance_t *performance, const batch_t *batch,
                            const uint8_t *const *frames, const uint32_t *row_begin);
/* Reads how the onsets of a row were played, which is frame t of a sequence; frame by frame. */
void performance_pass_read(performance_pass_t *pass, const performance_t *performance, size_t row,
                           size_t sequence, size_t t);
head_record_t performance_pass_record(const performance_pass_t *pass, const performance_t *performance);
/* Adds the gradient of scale times the loss, in nats, to the parameters', and reports it; with grains, n of
 * them, it is written. pass NULL: nothing is known of the batch, and the gradient is 0. */
void performance_train(performance_t *performance, performance_pass_t *pass, size_t grains, double scale,
                       const model_report_t *report);
/* The loss alone; without grains. */
void performance_score(performance_t *performance, performance_pass_t *pass);
/* The loss of a grain, or of all, after that. */
double performance_pass_loss(const performance_pass_t *pass, size_t K, size_t grain);
/* Outside training: the probabilities of an onset's classes, from its input [tied + features]. */
typedef struct {
    double velocity[PERFORMANCE_CLASSES], offset[PERFORMANCE_CLASSES];
} performance_odds_t;
size_t performance_inputs(const performance_t *performance);
void performance_odds(performance_t *performance, size_t track, const real_t *input,
                      performance_odds_t *odds);
/* For draws that are heard again, on which chance builds: offsets at a temperature of 0.9. */
void performance_calm(performance_odds_t *odds);
/* The onset at which uniform numbers find them; 0.5: the medians. Distances within a class are equally
 * likely, but in the middle one 0 is certain. */
played_t performance_at(const performance_odds_t *odds, played_t reference, double velocity, double offset);
