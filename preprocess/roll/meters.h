/* meters: a song's meters in frames of the grid, and the bars that follow from them (as timeline.h has
 * them), with nothing allocated. */
#pragma once

#include <glib.h>
#include <stdint.h>

/* A meter, in force from this frame on. */
typedef struct {
    int64_t frame;
    uint8_t numerator, denominator; /* as in meter_t */
} meter_change_t;

/* The meters of a song: ascending frames, the first 0. Nothing owned. */
typedef struct {
    int steps_per_beat;
    const meter_change_t *rows;
    size_t n;
    int64_t frames; /* that the song has; 0: not known */
} meters_t;

/* The bars of one meter, from its change to the next. */
typedef struct {
    double first, frames; /* where the first bar begins; of a whole bar */
    double next;          /* frame at which the next meter begins; INFINITY after the last */
    double bars;          /* how many begin before that */
} meter_stretch_t;
/* Those of the i-th meter. */
meter_stretch_t meters_stretch(meters_t meters, size_t i);

/* A bar in whole frames, first .. end - 1; a bar that begins between frames has the frame before. */
typedef struct {
    int64_t first, end;
    size_t row, number; /* its meter, and how many bars of that come before it */
} bar_span_t;
/* The bar that a frame is in; the last meter goes on. */
bar_span_t meters_bar(meters_t meters, int64_t frame);
/* The bar before; FALSE where there is none. */
gboolean meters_bar_before(meters_t meters, bar_span_t *bar);
