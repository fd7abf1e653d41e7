/* Owns every call of cairo: a canvas (PNG or SVG in memory), the panel (one stretch of a roll with its grid), and the three pictures laid out of them.
 * Sizes are in pixels of the SVG; a PNG has PNG_SCALE dots a pixel. Refuses nothing but cairo's own failures: callers hand in rolls that are
 * canonical and of the grid's shape. */
#include "sampler/picture.h"

#include <cairo-svg.h>
#include <math.h>
#include <stdlib.h>

G_DEFINE_QUARK(picture_error, picture_error)

enum { PAGE_WIDTH = 1200, MARGIN = 16, HEAD = 44, KEYBOARD = 14, DRUM_ROW = 9, STRIP_GAP = 6, SYSTEM_BARS = 8 };
static const double PNG_SCALE = 1.5, PNG_LIMIT = 32000; /* cairo's images end at 32767 dots */

typedef struct {
    double r, g, b;
} colour_t;

/* Okabe & Ito 2008: told apart by colour-blind readers too. */
static const colour_t palette[ROLL_MAX_TRACKS] = {{0.00, 0.45, 0.70}, {0.90, 0.62, 0.00}, {0.00, 0.62, 0.45}, {0.80, 0.47, 0.65},
                                                  {0.84, 0.37, 0.00}, {0.34, 0.71, 0.91}, {0.60, 0.56, 0.10}, {0.30, 0.30, 0.30}};
static const colour_t ink = {0.13, 0.13, 0.13}, grey = {0.45, 0.45, 0.45}, bar_line = {0.55, 0.55, 0.55}, beat_line = {0.85, 0.85, 0.85},
                      black_key = {0.945, 0.945, 0.955};

/* General MIDI level 1 percussion, keys 35 to 81. */
static const char *const percussion[] = {
    "Bass drum 2", "Bass drum 1",  "Side stick", "Snare 1",     "Hand clap",     "Snare 2",       "Low tom 2",    "Closed hi-hat",
    "Low tom 1",   "Pedal hi-hat", "Mid tom 2",  "Open hi-hat", "Mid tom 1",     "High tom 2",    "Crash 1",      "High tom 1",
    "Ride 1",      "China",        "Ride bell",  "Tambourine",  "Splash",        "Cowbell",       "Crash 2",      "Vibraslap",
    "Ride 2",      "High bongo",   "Low bongo",  "Mute conga",  "Open conga",    "Low conga",     "High timbale", "Low timbale",
    "High agogo",  "Low agogo",    "Cabasa",     "Maracas",     "Short whistle", "Long whistle",  "Short guiro",  "Long guiro",
    "Claves",      "High block",   "Low block",  "Mute cuica",  "Open cuica",    "Mute triangle", "Open triangle"};

/* ---- canvas ---- */

typedef struct {
    cairo_t *cr;
    GByteArray *bytes;
    picture_format_t format;
} canvas_t;

static cairo_status_t append_bytes(void *closure, const unsigned char *data, unsigned int length) {
    g_byte_array_append(closure, data, length);
    return CAIRO_STATUS_SUCCESS;
}

static canvas_t canvas_start(double width, double height, picture_format_t format) {
    canvas_t canvas = {.bytes = g_byte_array_new(), .format = format};
    cairo_surface_t *surface;
    if (format == PICTURE_SVG) {
        surface = cairo_svg_surface_create_for_stream(append_bytes, canvas.bytes, width, height);
    } else {
        const double scale = fmin(PNG_SCALE, PNG_LIMIT / fmax(width, height));
        surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * scale), (int)ceil(height * scale));
        cairo_surface_set_device_scale(surface, scale, scale);
    }
    canvas.cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context holds it */
    cairo_set_source_rgb(canvas.cr, 1, 1, 1);
    cairo_paint(canvas.cr);
    return canvas;
}

/* The picture's bytes; frees the canvas. */
static GBytes *canvas_finish(canvas_t *canvas, GError **error) {
    cairo_surface_t *surface = cairo_surface_reference(cairo_get_target(canvas->cr));
    cairo_status_t status = cairo_status(canvas->cr);
    cairo_destroy(canvas->cr);
    if (status == CAIRO_STATUS_SUCCESS && canvas->format == PICTURE_PNG)
        status = cairo_surface_write_to_png_stream(surface, append_bytes, canvas->bytes);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_SUCCESS) return g_byte_array_free_to_bytes(canvas->bytes);
    g_byte_array_unref(canvas->bytes);
    g_set_error(error, PICTURE_ERROR, PICTURE_ERROR_DRAW, "cannot draw the picture: %s", cairo_status_to_string(status));
    return NULL;
}

static void set_colour(cairo_t *cr, colour_t colour, double alpha) { cairo_set_source_rgba(cr, colour.r, colour.g, colour.b, alpha); }

static void draw_line(cairo_t *cr, double x0, double y0, double x1, double y1, double width, colour_t colour) {
    set_colour(cr, colour, 1);
    cairo_set_line_width(cr, width);
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

static void fill_rectangle(cairo_t *cr, double x, double y, double width, double height, colour_t colour, double alpha) {
    set_colour(cr, colour, alpha);
    cairo_rectangle(cr, x, y, width, height);
    cairo_fill(cr);
}

typedef enum { LEFT, CENTRE, RIGHT } align_t;

/* Text on baseline y, shortened with an ellipsis where wider than room. Returns its width. */
static double draw_text(cairo_t *cr, double x, double y, align_t align, double size, gboolean bold, colour_t colour, double room, const char *text) {
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
    g_autofree char *shown = g_utf8_make_valid(text, -1); /* cairo refuses the whole picture on bad UTF-8, and file names may be any bytes */
    cairo_text_extents_t extents;
    cairo_text_extents(cr, shown, &extents);
    for (glong length = g_utf8_strlen(shown, -1); extents.x_advance > room && length > 1; length--) {
        g_autofree char *start = g_utf8_substring(shown, 0, length - (g_str_has_suffix(shown, "…") ? 2 : 1));
        g_free(shown);
        shown = g_strconcat(start, "…", NULL);
        cairo_text_extents(cr, shown, &extents);
    }
    set_colour(cr, colour, 1);
    cairo_move_to(cr, x - extents.x_advance * (align == LEFT ? 0 : align == CENTRE ? 0.5 : 1), y);
    cairo_show_text(cr, shown);
    return extents.x_advance;
}

/* ---- what the axes show ---- */

typedef struct {
    int low, high;  /* pitches, both shown, from a C to a C where MIDI's range allows; high < low: no pitched track */
    double row;     /* height of a pitch */
    int drums[128]; /* keys in use, ascending */
    size_t n_drums;
    double left; /* width of the labels */
} rows_t;

typedef struct {
    double x, y, width; /* of the grid, labels outside */
    size_t first, span; /* frames at the left edge and over the width */
    gboolean labels;
} panel_t;

static gboolean is_drums(const grid_t *grid, size_t track) { return grid->roles[track] == ROLE_DRUMS; }

/* Pitches in use, whole octaves, two at least. */
static rows_t rows_measure(roll_t *const *rolls, size_t n, const grid_t *grid) {
    gboolean used[2][128] = {{FALSE}};
    gboolean pitched = FALSE;
    for (size_t k = 0; k < (size_t)grid->n_tracks; k++) pitched = pitched || !is_drums(grid, k);
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < rolls[i]->frames; t++)
            for (size_t k = 0; k < rolls[i]->tracks; k++)
                for (size_t p = 0; p < rolls[i]->pitches; p++)
                    if (roll_get(rolls[i], t, k, PLANE_SOUNDING, p)) used[is_drums(grid, k)][(size_t)grid->pitch_low + p] = TRUE;
    rows_t rows = {.low = 0, .high = -1, .left = MARGIN + 28 + KEYBOARD};
    if (pitched) {
        int lowest = 128, highest = -1;
        for (int p = 0; p < 128; p++)
            if (used[0][p]) {
                lowest = MIN(lowest, p);
                highest = p;
            }
        if (highest < 0) lowest = highest = 60;
        rows.low = lowest / 12 * 12;
        rows.high = MIN(127, MAX((highest + 11) / 12 * 12, rows.low + 24));
    }
    for (int p = 0; p < 128; p++)
        if (used[1][p]) rows.drums[rows.n_drums++] = p;
    if (rows.n_drums > 0) rows.left += 32;
    return rows;
}

static double rows_pitched_height(const rows_t *rows) { return rows->row * (rows->high - rows->low + 1); }

static double rows_height(const rows_t *rows) {
    const double strip = (double)rows->n_drums * DRUM_ROW;
    return rows_pitched_height(rows) + strip + (strip > 0 && rows->high >= rows->low ? STRIP_GAP : 0);
}

/* Top of a pitch's row, from the panel's top; height to *height. */
static double rows_top(const rows_t *rows, gboolean drums, int pitch, double *height) {
    *height = drums ? DRUM_ROW : rows->row;
    if (!drums) return (rows->high - pitch) * rows->row;
    size_t i = 0;
    while (i < rows->n_drums && rows->drums[i] != pitch) i++;
    return rows_height(rows) - (double)(i + 1) * DRUM_ROW;
}

static gboolean is_black_key(int pitch) { return (1 << pitch % 12 & (1 << 1 | 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10)) != 0; }

static double frames_per_bar(const grid_t *grid, meter_t meter) { return 4.0 * grid->steps_per_beat * meter.numerator / meter.denominator; }

/* ---- the panel ---- */

static void draw_box(cairo_t *cr, double x, double y, double width, double height) {
    set_colour(cr, bar_line, 1);
    cairo_set_line_width(cr, 0.75);
    cairo_rectangle(cr, x, y, width, height);
    cairo_stroke(cr);
}

static void draw_rows(cairo_t *cr, const panel_t *panel, const rows_t *rows) {
    double height;
    for (int p = rows->low; p <= rows->high; p++) {
        const double y = panel->y + rows_top(rows, FALSE, p, &height);
        if (is_black_key(p)) fill_rectangle(cr, panel->x, y, panel->width, height, black_key, 1);
        if (panel->labels) fill_rectangle(cr, panel->x - KEYBOARD, y, is_black_key(p) ? KEYBOARD * 0.65 : 0, height, ink, 1);
        if (p % 12 == 0 || p % 12 == 5) /* between B and C, and between E and F */
            draw_line(cr, panel->x - (panel->labels ? KEYBOARD : 0), y + height, panel->x + panel->width, y + height, 0.5,
                      p % 12 == 0 ? bar_line : beat_line);
        if (panel->labels && p % 12 == 0) {
            g_autofree char *name = g_strdup_printf("C%d", p / 12 - 1);
            draw_text(cr, panel->x - KEYBOARD - 4, y + height / 2 + 3.5, RIGHT, 10, FALSE, ink, 60, name);
        }
    }
    if (panel->labels && rows->high >= rows->low) draw_box(cr, panel->x - KEYBOARD, panel->y, KEYBOARD, rows_pitched_height(rows));
    for (size_t i = 0; i < rows->n_drums; i++) {
        const int key = rows->drums[i];
        const double y = panel->y + rows_top(rows, TRUE, key, &height);
        if (i % 2 == 0) fill_rectangle(cr, panel->x, y, panel->width, height, black_key, 1);
        if (!panel->labels) continue;
        const gboolean named = key >= 35 && key < 35 + (int)G_N_ELEMENTS(percussion);
        g_autofree char *number = g_strdup_printf("Key %d", key);
        draw_text(cr, panel->x - 4, y + height - 2, RIGHT, 8, FALSE, grey, rows->left - 6, named ? percussion[key - 35] : number);
    }
}

static void draw_time(cairo_t *cr, const panel_t *panel, const rows_t *rows, const grid_t *grid, meter_t meter) {
    const double bar = frames_per_bar(grid, meter), beat = bar / meter.numerator, dx = panel->width / (double)panel->span;
    const double end = (double)(panel->first + panel->span), height = rows_height(rows);
    for (double b = ceil((double)panel->first / beat); b * beat < end && beat * dx >= 5; b++) {
        const double x = panel->x + (b * beat - (double)panel->first) * dx;
        draw_line(cr, x, panel->y, x, panel->y + height, 0.5, beat_line);
    }
    const int every = bar * dx >= 22 ? 1 : bar * dx * 4 >= 22 ? 4 : 16; /* bars a number */
    for (double b = ceil((double)panel->first / bar); b * bar < end; b++) {
        const double x = panel->x + (b * bar - (double)panel->first) * dx;
        draw_line(cr, x, panel->y - 3, x, panel->y + height, 0.75, bar_line);
        g_autofree char *number = g_strdup_printf("%d", (int)b + 1);
        if ((int)b % every == 0) draw_text(cr, x + 2, panel->y - 2, LEFT, 9, FALSE, grey, bar * dx * every, number);
    }
    draw_box(cr, panel->x, panel->y, panel->width, rows_pitched_height(rows));
    if (rows->n_drums > 0)
        draw_box(cr, panel->x, panel->y + height - (double)rows->n_drums * DRUM_ROW, panel->width, (double)rows->n_drums * DRUM_ROW);
}

/* One note, inset so that neighbours stay apart. A track drawn later is drawn flatter, so that a unison shows both colours. */
static void draw_note(cairo_t *cr, double x, double y, double width, double height, size_t track, gboolean onset) {
    const colour_t colour = palette[track], dark = {colour.r * 0.55, colour.g * 0.55, colour.b * 0.55};
    const double inset = fmin(height * (0.06 + 0.09 * (double)track), height * 0.3), gap = fmin(0.8, width * 0.15);
    fill_rectangle(cr, x, y + inset, width - gap, height - 2 * inset, colour, 0.92);
    if (onset) fill_rectangle(cr, x, y + inset, fmin(2, width * 0.35), height - 2 * inset, dark, 1);
}

static void draw_notes(cairo_t *cr, const panel_t *panel, const rows_t *rows, const roll_t *roll, const grid_t *grid) {
    const double dx = panel->width / (double)panel->span;
    const size_t end = MIN(panel->first + panel->span, roll->frames);
    for (size_t k = 0; k < roll->tracks; k++)
        for (size_t p = 0; p < roll->pitches; p++)
            for (size_t t = panel->first; t < end;) {
                if (!roll_get(roll, t, k, PLANE_SOUNDING, p)) {
                    t++;
                    continue;
                }
                const size_t start = t++;
                while (t < end && roll_get(roll, t, k, PLANE_SOUNDING, p) && !roll_get(roll, t, k, PLANE_ONSET, p)) t++;
                double height;
                const double y = panel->y + rows_top(rows, is_drums(grid, k), grid->pitch_low + (int)p, &height);
                draw_note(cr, panel->x + (double)(start - panel->first) * dx, y, (double)(t - start) * dx, height, k,
                          roll_get(roll, start, k, PLANE_ONSET, p));
            }
}

static void draw_panel(cairo_t *cr, const panel_t *panel, const rows_t *rows, const roll_t *roll, const grid_t *grid, meter_t meter) {
    draw_rows(cr, panel, rows);
    draw_time(cr, panel, rows, grid, meter);
    draw_notes(cr, panel, rows, roll, grid);
}

/* Title at the left, a swatch and name a colour at the right. */
static void draw_head(cairo_t *cr, const char *title, const char *const *names, size_t n) {
    double x = PAGE_WIDTH - MARGIN;
    for (size_t i = n; i-- > 0;) {
        x -= draw_text(cr, x, 26, RIGHT, 11, FALSE, ink, 200, names[i]) + 16;
        fill_rectangle(cr, x, 17, 11, 10, palette[i % ROLL_MAX_TRACKS], 1);
        x -= 14;
    }
    draw_text(cr, MARGIN, 27, LEFT, 14, TRUE, ink, x - MARGIN - 8, title);
}

static void draw_roll_head(cairo_t *cr, const char *title, const grid_t *grid) {
    const char *names[ROLL_MAX_TRACKS];
    for (size_t k = 0; k < (size_t)grid->n_tracks; k++) names[k] = role_name(grid->roles[k]);
    draw_head(cr, title, names, (size_t)grid->n_tracks);
}

/* ---- the pictures ---- */

GBytes *picture_roll(const roll_t *roll, const grid_t *grid, meter_t meter, const char *title, picture_format_t format, GError **error) {
    rows_t rows = rows_measure((roll_t *const[]){(roll_t *)roll}, 1, grid);
    const double bar = frames_per_bar(grid, meter), bars = (double)roll->frames / bar;
    const double pitches = fmax(1, rows.high - rows.low + 1);
    double system_bars = fmin(bars, SYSTEM_BARS);
    rows.row = bars > SYSTEM_BARS ? CLAMP(220 / pitches, 4, 7) : CLAMP(380 / pitches, 5, 11);
    while (ceil(bars / system_bars) * (rows_height(&rows) + 30) > PNG_LIMIT / 2) system_bars *= 2; /* an hour of music still fits one image */
    const size_t systems = (size_t)fmax(1, ceil(bars / system_bars - 1e-9)), span = (size_t)ceil(system_bars * bar);
    const double pitch = rows_height(&rows) + 30;

    canvas_t canvas = canvas_start(PAGE_WIDTH, HEAD + 12 + (double)systems * pitch, format);
    draw_roll_head(canvas.cr, title, grid);
    for (size_t s = 0; s < systems; s++) {
        panel_t panel = {.x = rows.left, .y = HEAD + 12 + (double)s * pitch, .width = PAGE_WIDTH - MARGIN - rows.left, .labels = TRUE};
        panel.first = (size_t)((double)s * system_bars * bar);
        panel.span = MIN(span, roll->frames - panel.first); /* the last system ends with the piece */
        panel.width *= (double)panel.span / (double)span;
        draw_panel(canvas.cr, &panel, &rows, roll, grid, meter);
    }
    return canvas_finish(&canvas, error);
}

/* Columns of a sheet: two to four, the fewest empty places. */
static size_t sheet_columns(size_t n) {
    size_t best = MIN(n, 4);
    for (size_t columns = 4; columns >= 2 && n > 3; columns--)
        if ((columns - n % columns) % columns < (best - n % best) % best) best = columns;
    return best;
}

GBytes *picture_sheet(roll_t *const *rolls, char *const *labels, size_t n, const grid_t *grid, meter_t meter, const char *title,
                      picture_format_t format, GError **error) {
    rows_t rows = rows_measure(rolls, n, grid);
    rows.row = CLAMP(170 / fmax(1, rows.high - rows.low + 1), 2.5, 6);
    size_t span = 1;
    for (size_t i = 0; i < n; i++) span = MAX(span, rolls[i]->frames);
    const size_t columns = sheet_columns(n), lines = (n + columns - 1) / columns;
    const double pitch = rows_height(&rows) + 46, gap = 14;
    const double width = (PAGE_WIDTH - MARGIN - rows.left - gap * (double)(columns - 1)) / (double)columns;

    canvas_t canvas = canvas_start(PAGE_WIDTH, HEAD + (double)lines * pitch + 8, format);
    draw_roll_head(canvas.cr, title, grid);
    for (size_t i = 0; i < n; i++) {
        const size_t column = i % columns, line = i / columns;
        const panel_t panel = {.x = rows.left + (double)column * (width + gap),
                               .y = HEAD + 32 + (double)line * pitch,
                               .width = width,
                               .span = span,
                               .labels = column == 0};
        draw_text(canvas.cr, panel.x, panel.y - 15, LEFT, 11, TRUE, ink, width, labels[i]);
        draw_panel(canvas.cr, &panel, &rows, rolls[i], grid, meter);
    }
    return canvas_finish(&canvas, error);
}

/* ---- curves ---- */

typedef struct {
    double low, high, tick; /* both ends are ticks */
} scale_t;

/* Round ends and ticks of 1, 2 or 5 times a power of ten, about `ticks` of them. */
static scale_t scale_round(double low, double high, double ticks) {
    if (high - low < 1e-9 * fmax(1, fabs(high))) {
        low -= 0.5;
        high += 0.5;
    }
    const double raw = (high - low) / ticks, power = pow(10, floor(log10(raw))), part = raw / power;
    const double tick = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
    return (scale_t){.low = floor(low / tick) * tick, .high = ceil(high / tick) * tick, .tick = tick};
}

static double scale_place(const scale_t *scale, double value, double from, double to) {
    return from + (value - scale->low) / (scale->high - scale->low) * (to - from);
}

static int compare_ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where the vertical axis ends for a curve: above all marks, but above 95 of 100 points of a line only: the first steps of training stand so high that the
 * rest would be flat. */
static double curve_top(const picture_curve_t *curve) {
    g_autofree double *sorted = g_new(double, curve->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < curve->n; i++)
        if (isfinite(curve->y[i])) sorted[n++] = curve->y[i];
    qsort(sorted, n, sizeof *sorted, compare_ascending);
    return n == 0 ? -INFINITY : sorted[curve->marks ? n - 1 : (n - 1) * 95 / 100];
}

static void curves_measure(const picture_curve_t *curves, size_t n, scale_t *x, scale_t *y) {
    double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
    for (size_t c = 0; c < n; c++) {
        high_y = fmax(high_y, curve_top(&curves[c]));
        for (size_t i = 0; i < curves[c].n; i++) {
            if (!isfinite(curves[c].y[i])) continue;
            low_x = fmin(low_x, curves[c].x[i]);
            high_x = fmax(high_x, curves[c].x[i]);
            low_y = fmin(low_y, curves[c].y[i]);
        }
    }
    *x = scale_round(fmin(low_x, 0), high_x, 10);
    *y = scale_round(low_y, high_y, 8);
}

static void draw_axes(cairo_t *cr, const scale_t *x, const scale_t *y, double left, double top, double right, double bottom) {
    for (double i = 0; x->low + i * x->tick <= x->high + x->tick / 2; i++) {
        const double value = x->low + i * x->tick, at = scale_place(x, value, left, right);
        g_autofree char *label = g_strdup_printf("%.6g", value);
        draw_line(cr, at, top, at, bottom, 0.5, beat_line);
        draw_text(cr, at, bottom + 16, CENTRE, 11, FALSE, ink, 100, label);
    }
    for (double i = 0; y->low + i * y->tick <= y->high + y->tick / 2; i++) {
        const double value = fabs(y->low + i * y->tick) < y->tick * 1e-6 ? 0 : y->low + i * y->tick, at = scale_place(y, value, bottom, top);
        g_autofree char *label = g_strdup_printf("%.6g", value);
        draw_line(cr, left, at, right, at, 0.5, beat_line);
        draw_text(cr, left - 6, at + 4, RIGHT, 11, FALSE, ink, 60, label);
    }
    draw_box(cr, left, top, right - left, bottom - top);
}

static void draw_curve(cairo_t *cr, const picture_curve_t *curve, colour_t colour, const scale_t *x, const scale_t *y, const double box[4]) {
    gboolean started = FALSE;
    cairo_save(cr);
    const double room = curve->marks ? 4 : 0; /* a mark on the edge stays whole */
    cairo_rectangle(cr, box[0], box[1] - room, box[2] - box[0] + room, box[3] - box[1] + 2 * room);
    cairo_clip(cr);
    set_colour(cr, colour, curve->marks ? 1 : 0.85);
    cairo_set_line_width(cr, curve->marks ? 2 : 1);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    for (int pass = 0; pass < (curve->marks ? 2 : 1); pass++) {
        for (size_t i = 0; i < curve->n; i++) {
            if (!isfinite(curve->y[i])) continue;
            const double px = scale_place(x, curve->x[i], box[0], box[2]), py = scale_place(y, curve->y[i], box[3], box[1]);
            if (pass == 1) {
                cairo_new_sub_path(cr);
                cairo_arc(cr, px, py, 3, 0, 2 * G_PI);
            } else if (started) {
                cairo_line_to(cr, px, py);
            } else {
                cairo_move_to(cr, px, py);
            }
            started = TRUE;
        }
        if (pass == 0)
            cairo_stroke(cr);
        else
            cairo_fill(cr);
    }
    cairo_restore(cr);
}

GBytes *picture_curves(const picture_curve_t *curves, size_t n, const char *title, const char *x_label, const char *y_label, picture_format_t format,
                       GError **error) {
    const double height = 620, box[4] = {MARGIN + 60, HEAD + 22, PAGE_WIDTH - MARGIN - 14, height - 50};
    scale_t x, y;
    curves_measure(curves, n, &x, &y);
    canvas_t canvas = canvas_start(PAGE_WIDTH, height, format);
    g_autofree const char **names = g_new0(const char *, n);
    for (size_t c = 0; c < n; c++) names[c] = curves[c].name;
    draw_head(canvas.cr, title, names, n);
    draw_axes(canvas.cr, &x, &y, box[0], box[1], box[2], box[3]);
    draw_text(canvas.cr, (box[0] + box[2]) / 2, height - 14, CENTRE, 12, FALSE, ink, 600, x_label);
    draw_text(canvas.cr, MARGIN, HEAD + 10, LEFT, 12, FALSE, ink, 600, y_label);
    for (size_t c = 0; c < n; c++) draw_curve(canvas.cr, &curves[c], palette[c % ROLL_MAX_TRACKS], &x, &y, box);
    return canvas_finish(&canvas, error);
}
