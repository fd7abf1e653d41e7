/* picture_distributions: owns the rows and panels. Refuses nothing but the canvas' failures. */
#include "sampler/show/picture_distributions.h"

#include <math.h>

#include "sampler/show/canvas.h"
#include "sampler/show/scale.h"

enum { NAME_WIDTH = 220, GAP = 24, HEADS = 44, ROW_HEIGHT = 92, PANEL_HEIGHT = 64 };

static const colour_t colour_real = {0.45, 0.45, 0.45}, colour_pieces = {0.00, 0.45, 0.70};
static const double FAINT = 0.002; /* of the peak: densities below it are not shown */

typedef struct {
    double left, top, right, bottom;
} box_t;

static gboolean has_density(const distribution_t *d) { return d->step > 0; }

static double density_at(const distribution_t *d, size_t i) { return fmax(d->real[i], d->other[i]); }

/* The points that are shown, first .. end - 1, and the peak. */
static double crop(const distribution_t *d, size_t *first, size_t *end) {
    double peak = 0;
    for (size_t i = 0; i < DISTRIBUTION_POINTS; i++) peak = fmax(peak, density_at(d, i));
    for (*first = 0; *first + 2 < DISTRIBUTION_POINTS && density_at(d, *first) < FAINT * peak;) ++*first;
    for (*end = DISTRIBUTION_POINTS; *end > *first + 2 && density_at(d, *end - 1) < FAINT * peak;) --*end;
    return peak;
}

static void draw_ticks(canvas_t *canvas, double low, double high, const scale_t *axis, const box_t *box) {
    const scale_t round = scale_round(low, high, 6);
    for (double i = 0; round.low + i * round.tick <= high; i++) {
        const double value = round.low + i * round.tick, x = scale_place(axis, value, box->left, box->right);
        if (value < low) continue;
        g_autofree char *label = g_strdup_printf("%.4g", fabs(value) < round.tick * 1e-6 ? 0 : value);
        canvas_line(canvas, x, box->top, x, box->bottom, 0.5, canvas_faint);
        canvas_text(canvas, x, box->bottom + 13, CENTRE, 10, FALSE, canvas_grey, 60, label);
    }
}

/* Points of one density, closed along the bottom. */
static size_t outline(const distribution_t *d, const double *density, size_t first, size_t end, double peak,
                      const scale_t *axis, const box_t *box, double (*points)[2]) {
    size_t n = 0;
    for (size_t i = first; i < end; i++, n++) {
        points[n][0] = scale_place(axis, d->low + (double)i * d->step, box->left, box->right);
        points[n][1] = box->bottom - density[i] / peak * 0.92 * (box->bottom - box->top);
    }
    points[n][0] = points[n - 1][0];
    points[n][1] = points[n + 1][1] = box->bottom;
    points[n + 1][0] = points[0][0];
    return n;
}

static void draw_panel(canvas_t *canvas, const distribution_t *d, const box_t *box) {
    if (!has_density(d)) {
        const char *why = d->overlap == 1 ? "all the same number" : "too few numbers";
        canvas_text(canvas, box->left + 8, box->bottom - 24, LEFT, 11, FALSE, canvas_grey, 200, why);
        canvas_box(canvas, box->left, box->top, box->right - box->left, box->bottom - box->top);
        return;
    }
    size_t first, end;
    const double peak = crop(d, &first, &end), low = d->low + (double)first * d->step,
                 high = d->low + (double)(end - 1) * d->step;
    const scale_t axis = {low, high, 1};
    double points[DISTRIBUTION_POINTS + 2][2];
    draw_ticks(canvas, low, high, &axis, box);
    size_t n = outline(d, d->real, first, end, peak, &axis, box, points);
    canvas_area(canvas, (const double(*)[2])points, n + 2, colour_real, 0.4);
    n = outline(d, d->other, first, end, peak, &axis, box, points);
    canvas_area(canvas, (const double(*)[2])points, n + 2, colour_pieces, 0.15);
    canvas_path(canvas, (const double(*)[2])points, n, 2, colour_pieces, 1);
    canvas_box(canvas, box->left, box->top, box->right - box->left, box->bottom - box->top);
    g_autofree char *text = g_strdup_printf("overlap %.2f, KL %.2f", d->overlap, d->kl);
    canvas_text(canvas, box->right, box->top - 4, RIGHT, 10, FALSE, canvas_ink, 200, text);
}

/* A sample of a colour and what it stands for; returns where the next one begins. */
static double draw_sample(canvas_t *canvas, double x, double y, colour_t colour, double alpha,
                          const char *text) {
    canvas_rectangle(canvas, x, y - 9, 18, 10, colour, alpha);
    return x + 24 + canvas_text(canvas, x + 24, y, LEFT, 11, FALSE, canvas_ink, 260, text) + 16;
}

static void draw_heads(canvas_t *canvas, const double *left, double y) {
    static const char *const heads[] = {"values", "distances"}, *const names[][2] = {
                                                                    {"of real songs", "of pieces"},
                                                                    {"within real songs",
                                                                     "from pieces to real songs"}};
    for (size_t i = 0; i < 2; i++) {
        const double x =
            left[i] + 16 + canvas_text(canvas, left[i], y, LEFT, 12, TRUE, canvas_ink, 200, heads[i]);
        const double next = draw_sample(canvas, x, y, colour_real, 0.4, names[i][0]);
        draw_sample(canvas, next, y, colour_pieces, 0.8, names[i][1]);
    }
}

static void draw_row(canvas_t *canvas, const picture_row_t *row, const double *panels, double width,
                     double top) {
    const distribution_t *const both[] = {row->values, row->distances};
    g_autofree char *name = g_strdelimit(g_strdup(row->name), "_", ' ');
    canvas_text(canvas, panels[0] - 12, top + PANEL_HEIGHT / 2.0 + 4, RIGHT, 12, FALSE, canvas_ink,
                NAME_WIDTH - 12, name);
    for (size_t p = 0; p < 2; p++)
        if (both[p])
            draw_panel(canvas, both[p], &(box_t){panels[p], top, panels[p] + width, top + PANEL_HEIGHT});
}

static gboolean is_shown(const picture_row_t *row) {
    return (row->values && has_density(row->values)) || has_density(row->distances);
}

GBytes *picture_distributions(const picture_row_t *rows, size_t n, const char *title, picture_format_t format,
                              GError **error) {
    const double left = PAGE_MARGIN + NAME_WIDTH, width = (PAGE_WIDTH - PAGE_MARGIN - left - GAP) / 2,
                 panels[] = {left, left + width + GAP};
    size_t shown = 0, drawn = 0;
    const char *group = NULL;
    for (size_t i = 0; i < n; i++)
        if (is_shown(&rows[i])) shown++;
    canvas_t *canvas = canvas_new(PAGE_WIDTH, PAGE_HEAD + HEADS + (double)MAX(shown, 1) * ROW_HEIGHT, format);
    canvas_text(canvas, PAGE_MARGIN, 27, LEFT, 14, TRUE, canvas_ink, PAGE_WIDTH - 2 * PAGE_MARGIN, title);
    draw_heads(canvas, panels, PAGE_HEAD + 16);
    if (shown == 0)
        canvas_text(canvas, left, PAGE_HEAD + HEADS + 20, LEFT, 12, FALSE, canvas_grey, 600,
                    "too few pieces or songs for densities: give two of each or more");
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(&rows[i])) continue;
        const double top = PAGE_HEAD + HEADS - 10 + (double)drawn++ * ROW_HEIGHT;
        if (group == NULL || !g_str_equal(group, rows[i].group))
            canvas_text(canvas, PAGE_MARGIN, top + 10, LEFT, 12, TRUE, canvas_ink, NAME_WIDTH, rows[i].group);
        group = rows[i].group;
        draw_row(canvas, &rows[i], panels, width, top);
    }
    return canvas_finish(canvas, error);
}
