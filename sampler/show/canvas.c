/* canvas: owns every call of cairo. Refuses nothing; canvas_finish() tells of cairo's own failures. */
#include "sampler/show/canvas.h"

#include <cairo-svg.h>
#include <math.h>

#include "preprocess/common/program.h"

static const double PNG_SCALE = 1.5;
static const double PNG_DOTS = 32000; /* cairo's images end at 32767 dots */

const colour_t canvas_ink = {0.13, 0.13, 0.13}, canvas_grey = {0.45, 0.45, 0.45},
               canvas_rule = {0.55, 0.55, 0.55}, canvas_faint = {0.85, 0.85, 0.85};

struct canvas {
    cairo_t *cr;
    GByteArray *bytes;
    picture_format_t format;
};

static cairo_status_t append_bytes(void *closure, const unsigned char *data, unsigned int length) {
    g_byte_array_append(closure, data, length);
    return CAIRO_STATUS_SUCCESS;
}

canvas_t *canvas_new(double width, double height, picture_format_t format) {
    canvas_t *canvas = g_new0(canvas_t, 1);
    *canvas = (canvas_t){.bytes = g_byte_array_new(), .format = format};
    cairo_surface_t *surface;
    if (format == PICTURE_SVG) {
        surface = cairo_svg_surface_create_for_stream(append_bytes, canvas->bytes, width, height);
    } else {
        const double scale = fmin(PNG_SCALE, PNG_DOTS / fmax(width, height));
        surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * scale),
                                             (int)ceil(height * scale));
        cairo_surface_set_device_scale(surface, scale, scale);
    }
    canvas->cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context holds it */
    cairo_set_source_rgb(canvas->cr, 1, 1, 1);
    cairo_paint(canvas->cr);
    return canvas;
}

GBytes *canvas_finish(canvas_t *canvas, GError **error) {
    cairo_surface_t *surface = cairo_surface_reference(cairo_get_target(canvas->cr));
    cairo_status_t status = cairo_status(canvas->cr);
    cairo_destroy(canvas->cr);
    if (status == CAIRO_STATUS_SUCCESS && canvas->format == PICTURE_PNG)
        status = cairo_surface_write_to_png_stream(surface, append_bytes, canvas->bytes);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    g_autoptr(GByteArray) bytes = canvas->bytes;
    g_free(canvas);
    if (status == CAIRO_STATUS_SUCCESS) return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
    program_fail(error, "cannot draw the picture: %s", cairo_status_to_string(status));
    return NULL;
}

static void set_colour(cairo_t *cr, colour_t colour, double alpha) {
    cairo_set_source_rgba(cr, colour.r, colour.g, colour.b, alpha);
}

void canvas_line(canvas_t *canvas, double x0, double y0, double x1, double y1, double width,
                 colour_t colour) {
    cairo_t *cr = canvas->cr;
    set_colour(cr, colour, 1);
    cairo_set_line_width(cr, width);
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}

void canvas_rectangle(canvas_t *canvas, double x, double y, double width, double height, colour_t colour,
                      double alpha) {
    cairo_t *cr = canvas->cr;
    set_colour(cr, colour, alpha);
    cairo_rectangle(cr, x, y, width, height);
    cairo_fill(cr);
}

double canvas_text(canvas_t *canvas, double x, double y, align_t align, double size, gboolean bold,
                   colour_t colour, double room, const char *text) {
    cairo_t *cr = canvas->cr;
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
    /* Cairo refuses the whole picture on bad UTF-8, and file names may be any bytes. */
    g_autofree char *shown = g_utf8_make_valid(text, -1);
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

void canvas_box(canvas_t *canvas, double x, double y, double width, double height) {
    cairo_t *cr = canvas->cr;
    set_colour(cr, canvas_rule, 1);
    cairo_set_line_width(cr, 0.75);
    cairo_rectangle(cr, x, y, width, height);
    cairo_stroke(cr);
}

void canvas_path(canvas_t *canvas, const double (*points)[2], size_t n, double width, colour_t colour,
                 double alpha) {
    cairo_t *cr = canvas->cr;
    set_colour(cr, colour, alpha);
    cairo_set_line_width(cr, width);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_new_path(cr); /* else it would begin where the last text ended */
    for (size_t i = 0; i < n; i++) cairo_line_to(cr, points[i][0], points[i][1]);
    cairo_stroke(cr);
}

void canvas_area(canvas_t *canvas, const double (*points)[2], size_t n, colour_t colour, double alpha) {
    cairo_t *cr = canvas->cr;
    set_colour(cr, colour, alpha);
    cairo_new_path(cr);
    for (size_t i = 0; i < n; i++) cairo_line_to(cr, points[i][0], points[i][1]);
    cairo_fill(cr);
}

void canvas_disc(canvas_t *canvas, double x, double y, double radius, colour_t colour) {
    set_colour(canvas->cr, colour, 1);
    cairo_new_path(canvas->cr);
    cairo_arc(canvas->cr, x, y, radius, 0, 2 * G_PI);
    cairo_fill(canvas->cr);
}

void canvas_clip(canvas_t *canvas, double x, double y, double width, double height) {
    cairo_save(canvas->cr);
    cairo_rectangle(canvas->cr, x, y, width, height);
    cairo_clip(canvas->cr);
}

void canvas_unclip(canvas_t *canvas) { cairo_restore(canvas->cr); }
