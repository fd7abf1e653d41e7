/* head_internal: the head's state, and the walk over the cells of a row, which scoring, training and drawing
 * share. Frames are sparse, so silent features cost nothing: each set bit adds one patch of a table, its rows
 * of Q for the cells around it, to the pre-activations of a group; logistic(a) is computed once after each
 * set bit. Private to the files of the head; letters as in trainer/model/head.h. */
#pragma once

#include "trainer/model/head.h"
#include "trainer/model/head_kernels.h"
#include "trainer/model/pitch_set.h"

enum { REACH = 13, WINDOW = 2 * REACH + 1, BELOW = 24 };
/* The shares of pitch classes sum to 1 and reach about 1/3. Scaled so, they are of the size of the other
 * features, which are bits. */
#define PROFILE_SCALE 3.0

/* The GRU of a group along pitches. */
typedef struct {
    linear_t input; /* N, b */
    gru_t gru;      /* gru.H 0: the group has none */
    const real_t *pitch, *start, *output;
    real_t *dpitch, *dstart, *doutput;
} note_gru_t;

/* What models with a memory or GRUs along pitches have besides (head_tied.c, head_notes.c). */
typedef struct tied tied_t;
typedef struct notes notes_t;

/* One (track, plane). */
typedef struct {
    size_t track;      /* in drawing order */
    size_t cell, byte; /* where it starts in cell order, and in a frame */
    gboolean onset;
    const real_t *Q, *v, *profile; /* profile: NULL where the group has none */
    real_t *dQ, *dv, *dprofile;
    const real_t *R; /* NULL without a memory */
    real_t *dR;
    note_gru_t note;
    real_t *table, *dtable; /* see walk_make_tables() */
} group_t;

/* Cells that share logistic(a): n from `first`, after `step` set bits. */
typedef struct {
    size_t first, n, step;
} stretch_t;

/* A group's part of one row. */
typedef struct {
    pitch_set_t now, unsure;       /* unsure: cells that are not certain */
    size_t first, end;             /* unsure cells are in first .. end - 1: no others are computed */
    size_t n_patches, n_stretches; /* used in head->patches, head->stretches */
} part_t;

struct head {
    size_t D, A, Q, P, n_groups, frame_bytes;
    size_t lags[MODEL_MAX_LAGS + MODEL_MAX_BAR_LAGS], n_lags; /* of the current row, 0: not there */
    size_t first_bar_lag;                                     /* the lags from this one on are in bars */
    size_t profiles[MODEL_MAX_PROFILES], n_profiles;
    const real_t *W, *V, *p;
    real_t *dW, *dV, *dp;
    group_t *groups; /* in drawing order */
    head_record_t record;
    tied_t *tied;   /* NULL where the model has neither */
    notes_t *notes; /* NULL where it has no GRUs along pitches */
    real_t *tables; /* [2, table_size]: of all groups, then their gradients */
    size_t table_size;
    real_t *levels; /* gradients of grains that wait for their siblings; NULL: none are allowed */
    /* Of the current row: */
    pitch_set_t *now;      /* [groups] */
    real_t *u;             /* [P, Q] pre-activations of the tied network */
    real_t *logits, *loss; /* [P] */
    real_t *profile;       /* [profiles, PITCH_CLASSES] */
    real_t *by_class;    /* [PITCH_CLASSES, Q] what a profile adds to cells of each class; or its gradient */
    real_t *a;           /* [A] */
    size_t step, *cells; /* set bits so far; [D] their cells */
    real_t *hidden, *dhidden; /* [D + 1, A]: logistic(a) after so many set bits */
    patch_t *patches;
    stretch_t *stretches;
};

/* Lags in frames and in bars. */
static inline size_t walk_lags(const model_config_t *config) {
    return config->sequence.n_lags + config->sequence.n_bar_lags;
}
/* The place of a row, or NULL. */
static inline const place_t *walk_place(const head_memory_t *memory, size_t row) {
    return memory && memory->places ? memory->places[row] : NULL;
}
/* Features of the g-th group drawn: its rows of Q. */
static inline size_t walk_features(size_t n_lags, size_t g) { return (n_lags + g) * WINDOW + BELOW; }
/* Cells of a part that are computed. */
static inline size_t walk_cells(const part_t *part) { return part->end - part->first; }
/* First column of pre that holds C o + q of a group. */
static inline size_t walk_tied_column(const head_t *head, size_t g) {
    return head->D + head->A + g * head->Q;
}
/* head_columns(). */
static inline size_t walk_columns(const head_t *head) { return walk_tied_column(head, head->n_groups); }
/* The pitches that a frame sets in a group. */
static inline pitch_set_t walk_read(const head_t *head, size_t g, const uint8_t *frame) {
    return pitch_set_read(frame + head->groups[g].byte, head->P);
}

/* Whether a group, the g-th drawn, has a profile: sound of a pitched track. */
static inline gboolean walk_has_profile(const model_config_t *config, size_t g) {
    return config->sequence.n_profiles > 0 && g / config->planes >= config->sequence.drums &&
           g % config->planes == PLANE_SOUNDING;
}

/* Rows of a group's table; patches that a part may have. */
size_t walk_table_rows(size_t n_lags, size_t g);
size_t walk_max_patches(const head_t *head);
/* Builds the tables; adds their gradients to the parameters'. */
void walk_make_tables(head_t *head);
void walk_add_table_gradients(head_t *head);

/* Begins a row: no bit is set yet; pitch classes are counted in the frames before, or not, if they have
 * been. */
void walk_begin_row(head_t *head, const uint8_t *frame, const real_t *pre);
void walk_begin_steps(head_t *head, const real_t *pre);
/* Sets the lags in bars of the rows that come next. */
void walk_set_place(head_t *head, const place_t *place);
/* Begins a group: adds up all that is known before its own cells. head->now holds the groups before it. past:
 * whether the frames at the lags are seen. */
part_t walk_begin_part(head_t *head, size_t g, const uint8_t *frame, gboolean past);
/* Computes the pre-activations u of a part's cells, without a memory, by its row of pre. */
void walk_begin_units(head_t *head, const part_t *part, size_t g, const real_t *pre);
/* If u holds their gradient, adds to the gradient of the profile's weights. */
void walk_profile_backward(head_t *head, const part_t *part, size_t g);
/* Takes in pitch p of the group, which is set. walk_patch() only adds its patch. */
void walk_take(head_t *head, part_t *part, size_t g, size_t p);
void walk_patch(head_t *head, part_t *part, size_t g, size_t p);
/* Visits the group's set bits in turn, and notes the stretches between them. */
void walk_part(head_t *head, part_t *part, size_t g);
/* Adds what NADE says to head->logits, those of a part's cells; backward, after its steps; and through the
 * steps of a whole row, to da [A]. */
void walk_nade(head_t *head, const part_t *part, size_t g);
void walk_nade_backward(head_t *head, const part_t *part, size_t g, const real_t *dlogits);
void walk_steps_backward(head_t *head, real_t *da);
/* Writes the units of a row's onsets where head->record says; pre-activations are up to date. */
void walk_record(const head_t *head, size_t row, size_t g, const uint8_t *frame);
/* Writes the logits of a part's row where head->record says. */
void walk_record_logits(const head_t *head, size_t row, size_t g, const part_t *part);
/* Returns a part's loss, in nats; turns its logits into their gradient. */
double walk_losses(head_t *head, const part_t *part, double scale);
