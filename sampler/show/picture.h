/* picture: piano rolls, sheets of them, and curves as PNG or SVG. It sees rolls, not files: pictures come
 * back as bytes. The same input gives the same bytes (no time stamps; cairo numbers an SVG's inner ids from
 * the process's start) with the same fonts. */
#pragma once

#include "preprocess/roll/roll.h"

typedef enum { PICTURE_NONE, PICTURE_PNG, PICTURE_SVG } picture_format_t;

/* A piano roll: pitch names on the vertical axis (C4 is MIDI pitch 60), the bars and beats of timeline on the
 * horizontal one, its meters named where they change, a colour a track of grid with a legend, a darker edge
 * at each onset. The pitch axis is cropped to the octaves in use; drums have a strip of their own with
 * General MIDI's percussion names. A piece longer than eight bars wraps into systems, one below the other.
 * roll: canonical, of grid's shape, frames >= 1. given: of the same shape, or NULL. Cells that sound in it,
 * too, were given and are paler than those that were written; the legend says so, and a note that goes on
 * from the ones to the others is drawn as two. NULL with error set where cairo fails (out of memory). Owner:
 * caller. */
GBytes *picture_roll(const roll_t *roll, const roll_t *given, const grid_t *grid, const timeline_t *timeline,
                     const char *title, picture_format_t format, GError **error);

/* n >= 1 rolls of one grid as one sheet, each under its label, on a shared pitch axis and time scale.
 * Otherwise as picture_roll(). */
GBytes *picture_sheet(roll_t *const *rolls, char *const *labels, size_t n, const grid_t *grid,
                      const timeline_t *timeline, const char *title, picture_format_t format, GError **error);

/* CURVE_FAINT: every point, pale and thin, behind the curve that sums it up. CURVE_LINE: a line. CURVE_MARKS:
 * a darker one with a dot at each point: few points that matter (validation). */
typedef enum { CURVE_FAINT, CURVE_LINE, CURVE_MARKS } curve_style_t;

typedef struct {
    const char *name;    /* for the legend; NULL: not in it */
    const double *x, *y; /* [n], x ascending; points whose y is not finite are left out */
    size_t n;
    curve_style_t style;
    size_t colour; /* curves of one quantity share one: 0 to 3 */
} picture_curve_t;

/* n curves over one pair of axes with ticks at round numbers, the later ones on top; the highest twentieth of
 * a line without marks may leave the picture at the top, which the label says. At least one finite point over
 * all curves. Otherwise as picture_roll(). */
GBytes *picture_curves(const picture_curve_t *curves, size_t n, const char *title, const char *x_label,
                       const char *y_label, picture_format_t format, GError **error);
