/* memory_input: what the GRUs of one track's memory read of the frame before, at all pitches: the equations
 * of trainer/model/memory.h, whose letters it uses. Private to memory.c. */
#pragma once

#include "trainer/model/head_kernels.h"
#include "trainer/model/model_kind.h"
#include "trainer/model/place.h"

/* A part of a frame that a track reads, and where its rows of W begin. */
typedef struct {
    size_t byte, row;
} memory_source_t;

typedef struct {
    linear_t linear;             /* W, b */
    const real_t *pitch, *phase; /* e, d */
    const real_t *bar;           /* the rows of places; NULL where there are none */
    real_t *dpitch, *dphase, *dbar;
    size_t width, P, first, pitches; /* 3 M; pitches of a frame; those that have a memory */
    gboolean drums;
    memory_source_t *sources;
    size_t n_sources;
    size_t classes;             /* first of the rows of pitch classes */
    size_t *pitched, n_pitched; /* where the sound of the pitched tracks lies in a frame */
    /* Of the current row: */
    patch_t *patches;              /* elements of W, and of x */
    size_t n_patches, *any, n_any; /* drums: rows of keys that all cells hear */
    real_t *counts;                /* [PITCH_CLASSES] */
    real_t *base, *by_class;       /* [3 M], [PITCH_CLASSES, 3 M]; or their gradient */
} memory_input_t;

/* Rows of W of the k-th track drawn. */
size_t memory_input_rows(const model_config_t *config, size_t k);
/* Lays out what the k-th track drawn reads. Owner: caller, memory_input_clear(). */
void memory_input_init(memory_input_t *input, const model_config_t *config, size_t k);
void memory_input_clear(memory_input_t *input);
/* Writes x [pitches, 3 M] of frame t; the frame before it is heard or not. place: not read where there is no
 * bar. */
void memory_input_read(memory_input_t *input, const uint8_t *before, gboolean heard, size_t t,
                       const place_t *place, real_t *x);
/* Adds to the parameters' gradients, from dx. */
void memory_input_backward(memory_input_t *input, const uint8_t *before, gboolean heard, size_t t,
                           const place_t *place, const real_t *dx);
