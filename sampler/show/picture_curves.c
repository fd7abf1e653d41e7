/* picture_curves: owns curves over one pair of axes: ticks, legend. Refuses nothing but the canvas'
 * failures. */
#include <math.h>
#include <stdlib.h>

#include "sampler/show/canvas.h"
#include "sampler/show/scale.h"

/* Okabe & Ito 2008: told apart by colour-blind readers too. */
static const colour_t colours[] = {
    {0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45}, {0.80, 0.47, 0.65}};
static const colour_t white = {1, 1, 1};

static int compare_ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where the vertical axis ends for a curve: above all marks, but above only 95 of 100 points of a line, since
 * the first steps of training stand so high that the rest would be flat. *highest is raised to its highest
 * point. */
static double curve_top(const picture_curve_t *curve, double *highest) {
    g_autofree double *sorted = g_new(double, curve->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < curve->n; i++)
        if (isfinite(curve->y[i])) sorted[n++] = curve->y[i];
    if (n == 0) return -INFINITY;
    qsort(sorted, n, sizeof *sorted, compare_ascending);
    *highest = fmax(*highest, sorted[n - 1]);
    return sorted[curve->style == CURVE_MARKS ? n - 1 : (n - 1) * 95 / 100];
}

/* The scales, and the highest point, which may be above. */
static double curves_measure(const picture_curve_t *curves, size_t n, scale_t *x, scale_t *y) {
    double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY, highest = -INFINITY;
    for (size_t c = 0; c < n; c++) {
        high_y = fmax(high_y, curve_top(&curves[c], &highest));
        for (size_t i = 0; i < curves[c].n; i++) {
            if (!isfinite(curves[c].y[i])) continue;
            low_x = fmin(low_x, curves[c].x[i]);
            high_x = fmax(high_x, curves[c].x[i]);
            low_y = fmin(low_y, curves[c].y[i]);
        }
    }
    *x = scale_round(fmin(low_x, 0), high_x, 10);
    *y = scale_round(low_y, high_y, 8);
    y->high = ceil(y->high / y->tick) * y->tick;
    return highest;
}

static void draw_axes(canvas_t *canvas, const scale_t *x, const scale_t *y, double left, double top,
                      double right, double bottom) {
    for (double i = 0; x->low + i * x->tick <= x->high + x->tick * 1e-6; i++) {
        const double value = x->low + i * x->tick, at = scale_place(x, value, left, right);
        g_autofree char *label = g_strdup_printf("%.6g", value);
        canvas_line(canvas, at, top, at, bottom, 0.5, canvas_faint);
        canvas_text(canvas, at, bottom + 16, CENTRE, 11, FALSE, canvas_ink, 100, label);
    }
    for (double i = 0; y->low + i * y->tick <= y->high + y->tick / 2; i++) {
        const double value = fabs(y->low + i * y->tick) < y->tick * 1e-6 ? 0 : y->low + i * y->tick,
                     at = scale_place(y, value, bottom, top);
        g_autofree char *label = g_strdup_printf("%.6g", value);
        canvas_line(canvas, left, at, right, at, 0.5, canvas_faint);
        canvas_text(canvas, left - 6, at + 4, RIGHT, 11, FALSE, canvas_ink, 60, label);
    }
    canvas_box(canvas, left, top, right - left, bottom - top);
}

/* Marks stand out from a line of their quantity's colour that runs behind them. */
static colour_t colour_of(const picture_curve_t *curve) {
    const colour_t colour = colours[curve->colour % G_N_ELEMENTS(colours)];
    return curve->style == CURVE_MARKS ? (colour_t){colour.r * 0.5, colour.g * 0.5, colour.b * 0.5} : colour;
}

static void draw_points(canvas_t *canvas, const picture_curve_t *curve, const double (*points)[2], size_t n) {
    const colour_t colour = colour_of(curve);
    canvas_path(canvas, points, n, curve->style == CURVE_FAINT ? 1 : 2, colour,
                curve->style == CURVE_FAINT ? 0.25 : 1);
    for (size_t i = 0; i < n && curve->style == CURVE_MARKS; i++) {
        canvas_disc(canvas, points[i][0], points[i][1], 5, white);
        canvas_disc(canvas, points[i][0], points[i][1], 3.5, colour);
    }
}

static void draw_curve(canvas_t *canvas, const picture_curve_t *curve, const scale_t *x, const scale_t *y,
                       const double box[4]) {
    const double room = curve->style == CURVE_MARKS ? 6 : 0; /* a mark on the edge stays whole */
    g_autofree double(*points)[2] = g_malloc_n(curve->n + 1, sizeof *points);
    size_t n = 0;
    for (size_t i = 0; i < curve->n; i++) {
        if (!isfinite(curve->y[i])) continue;
        points[n][0] = scale_place(x, curve->x[i], box[0], box[2]);
        points[n++][1] = scale_place(y, curve->y[i], box[3], box[1]);
    }
    canvas_clip(canvas, box[0], box[1] - room, box[2] - box[0] + room, box[3] - box[1] + 2 * room);
    draw_points(canvas, curve, (const double(*)[2])points, n);
    canvas_unclip(canvas);
}

/* Title at the left; at the right a sample and the name of each curve that has one. */
static void draw_head(canvas_t *canvas, const char *title, const picture_curve_t *curves, size_t n) {
    double x = PAGE_WIDTH - PAGE_MARGIN;
    for (size_t c = n; c-- > 0;) {
        if (!curves[c].name) continue;
        x -= canvas_text(canvas, x, 26, RIGHT, 11, FALSE, canvas_ink, 240, curves[c].name) + 34;
        const double from = x, middle[][2] = {{from + 14, 22}}, ends[][2] = {{from, 22}, {from + 28, 22}};
        canvas_path(canvas, ends, 2, 2, colour_of(&curves[c]), 1);
        if (curves[c].style == CURVE_MARKS) draw_points(canvas, &curves[c], middle, 1);
        x -= 14;
    }
    canvas_text(canvas, PAGE_MARGIN, 27, LEFT, 14, TRUE, canvas_ink, x - PAGE_MARGIN - 8, title);
}

GBytes *picture_curves(const picture_curve_t *curves, size_t n, const char *title, const char *x_label,
                       const char *y_label, picture_format_t format, GError **error) {
    const double height = 620,
                 box[4] = {PAGE_MARGIN + 60, PAGE_HEAD + 22, PAGE_WIDTH - PAGE_MARGIN - 14, height - 50};
    scale_t x, y;
    const double highest = curves_measure(curves, n, &x, &y);
    g_autofree char *label = highest > y.high
                                 ? g_strdup_printf("%s (up to %.3g: above the picture)", y_label, highest)
                                 : g_strdup(y_label);
    canvas_t *canvas = canvas_new(PAGE_WIDTH, height, format);
    draw_head(canvas, title, curves, n);
    draw_axes(canvas, &x, &y, box[0], box[1], box[2], box[3]);
    canvas_text(canvas, (box[0] + box[2]) / 2, height - 14, CENTRE, 12, FALSE, canvas_ink, 600, x_label);
    canvas_text(canvas, PAGE_MARGIN, PAGE_HEAD + 10, LEFT, 12, FALSE, canvas_ink, 600, label);
    for (size_t c = 0; c < n; c++) draw_curve(canvas, &curves[c], &x, &y, box);
    return canvas_finish(canvas, error);
}
