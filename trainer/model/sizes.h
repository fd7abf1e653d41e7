/* sizes: the kind and the sizes of a model, and one table of the sizes, which options, checkpoints, checks
 * and messages read. A new size needs one row there and one member of model_config_t.
 *
 * Letters: T frames of a window, K tracks, L planes the model learns (1: sounding, 2: sounding and onset), P
 * pitches, D cells (of a window: T K L P; of the sequence model a frame: K L P; in that order), Z latent, S
 * frames a segment, M units of the memory, N of the GRU along pitches. */
#pragma once

#include "preprocess/roll/roll.h"

#define MODEL_MAX_HIDDEN    8
#define MODEL_MAX_TRACKS    64
#define MODEL_MAX_LAGS      12
#define MODEL_MAX_LAG       1024
#define MODEL_MAX_PROFILES  4
#define MODEL_MAX_BAR_LAGS  6
#define MODEL_MEMORY_PHASES 16 /* frames after which the memory's count of frames begins anew */
#define MODEL_TIED_MARGIN   2

typedef enum { MODEL_DENSE, MODEL_SEQUENCE, MODEL_KINDS } model_kind_t;
typedef enum { LOSS_BCE, LOSS_MSE } loss_t;

/* Names of the kinds and of the losses, in the order of their enums, NULL at the end. */
extern const char *const MODEL_KIND_NAMES[], *const LOSS_NAMES[];

/* Sizes of the sequence model (trainer/model/sequence_net.h). */
typedef struct {
    size_t segment;          /* S, frames that share a latent */
    size_t state;            /* H, of the decoder's GRU */
    size_t encoder;          /* E, of the encoder's GRU, a direction */
    size_t sketch;           /* U, features of a frame that come from its latent */
    size_t nade;             /* A, hidden units of the head */
    size_t tied;             /* Q, units of the network that all pitches share */
    size_t posterior_hidden; /* units of the layer between encoder and mu, logvar */
    size_t prior_hidden;     /* units of the layer between state and prior */
    size_t sketch_hidden;    /* units of the layer between latent and sketch */
    /* How many frames back the head looks: at each of these. */
    size_t lags[MODEL_MAX_LAGS], n_lags;
    /* Frames of a bar that are told apart (trainer/model/place.h), 0: none; and how many bars back the head
     * looks, after its lags. */
    size_t bar, bar_lags[MODEL_MAX_BAR_LAGS], n_bar_lags;
    /* The order in which the tracks of a frame are drawn. The first `drums` of them are drums, whose keys are
     * no pitches. */
    uint8_t order[MODEL_MAX_TRACKS];
    size_t drums;
    /* For the head, pitch classes are counted over so many frames before; there may be none. */
    size_t profiles[MODEL_MAX_PROFILES], n_profiles;
    size_t memory; /* M, units of the GRU over time that each pitch has (trainer/model/memory.h); 0: none */
    size_t note;   /* N, units of the GRU along the pitches of a frame (trainer/model/head.h); 0: none */
    size_t performance; /* units of the networks that play (trainer/model/performance.h); 0: none */
    /* The pitches that have these two: so many, from the first. */
    size_t tied_first, tied_pitches;
} sequence_sizes_t;

typedef struct {
    model_kind_t kind;
    size_t window;                             /* T; dense only */
    size_t tracks, planes, pitches;            /* K, L, P */
    size_t latent;                             /* Z; sequence: 0 for the plain autoregressive model */
    size_t hidden[MODEL_MAX_HIDDEN], n_hidden; /* dense only */
    loss_t loss;                               /* sequence: LOSS_BCE */
    sequence_sizes_t sequence;                 /* sequence only */
} model_config_t;

#define MODEL_ERROR model_error_quark()
GQuark model_error_quark(void);
typedef enum { MODEL_ERROR_SIZE, MODEL_ERROR_MEMORY } model_error_t;

/* A size: a number or a list of numbers. */
typedef struct {
    const char *name;       /* of its option; in checkpoints _ stands for - */
    unsigned kinds;         /* 1 << kind of each model that has it */
    size_t offset;          /* in model_config_t: of the number, or of the first of a list */
    size_t lowest, highest; /* range of each number */
    unsigned none;          /* 1 << kind of each model that allows 0 or an empty list */
    size_t count, most;     /* of a list: offset of its length; its greatest length */
    gboolean rising;        /* of a list: each number is above the one before */
    gboolean of_data;       /* comes from the shards: there is no option */
    const char *words[3];   /* names of the values 1 and 2, where they have some */
    int since;              /* the first version of checkpoints that has it */
    const char *before;     /* its value in earlier versions; NULL: their models do not have it */
} size_row_t;

/* The table, in the order of checkpoints, ended by a row without a name. */
extern const size_row_t MODEL_SIZES[];

/* Whether models of the config's kind have the size. */
gboolean size_applies(const size_row_t *size, const model_config_t *config);
/* The size as text: "256", "both", "1,2,4"; "0" for an empty list; "" for a list that the config's kind does
 * not have. Owner: caller. */
char *size_text(const size_row_t *size, const model_config_t *config);
/* Sets the size from such a text. FALSE if the text is invalid or out of range; the size may have changed. */
gboolean size_parse(const size_row_t *size, const char *text, model_config_t *config);
/* Clears the sizes that the config's kind does not have. */
void sizes_clear_others(model_config_t *config);
/* The first size of the config's kind that is out of range, or NULL. */
const size_row_t *sizes_find_wrong(const model_config_t *config);
/* FALSE with MODEL_ERROR_SIZE set, naming `what`, unless lowest <= value <= highest. */
gboolean sizes_check_range(const char *what, size_t value, size_t lowest, size_t highest, GError **error);
/* FALSE with MODEL_ERROR_SIZE set if the kind, the loss or a size is out of range. */
gboolean sizes_check(const model_config_t *config, GError **error);

/* Sets the order in which the sequence model draws the tracks of a grid: drums, bass, chords, counter,
 * melody, merged; and the number of drums. */
void model_order_tracks(model_config_t *config, const grid_t *grid);
/* Cells a window (sequence: a frame), D. */
size_t model_cells(const model_config_t *config);
/* Bytes of a packed frame (all its tracks and planes), and of a packed window. */
size_t model_frame_bytes(const model_config_t *config);
size_t model_window_bytes(const model_config_t *config);
/* Units that dropout may silence. Sequence: of the state, a frame; dense: of all hidden layers, a window. */
size_t model_dropout_units(const model_config_t *config);
/* Units of memories and of GRUs along pitches that dropout may silence, a frame: K (M + N). */
size_t model_memory_units(const model_config_t *config);
/* Frames before a sequence that the model looks at: its largest lag, in frames or
 * in bars of so many frames as are told apart, or profile; dense: 0. */
size_t model_context(const model_config_t *config);
/* Sequence: chunks of pieces begin at multiples of so many frames. */
size_t model_alignment(const model_config_t *config);
/* Gives all pitches a memory where the sizes ask for one; or, if pitches sound in a part of them only, from
 * the lowest to the highest, those and MODEL_TIED_MARGIN on both sides. */
void model_tie_all(model_config_t *config);
void model_tie_range(model_config_t *config, size_t lowest, size_t highest);
