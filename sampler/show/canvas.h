/* canvas: what pictures are drawn with: lines, rectangles, text and discs on a page that becomes PNG or SVG.
 * The only module that knows cairo; private to the pictures. Sizes are in pixels of the
 * SVG; a PNG has half as many dots again, or fewer where it would be too large for cairo. */
#pragma once

#include "sampler/show/picture.h"

/* Of all pictures: the page's width, its margin, the title's height; the tallest page of which a PNG is not
 * made smaller. */
enum { PAGE_WIDTH = 1200, PAGE_MARGIN = 16, PAGE_HEAD = 44, PAGE_TALLEST = 16000 };

typedef struct {
    double r, g, b;
} colour_t;

extern const colour_t canvas_ink, canvas_grey, canvas_rule, canvas_faint;

typedef struct canvas canvas_t;
typedef enum { LEFT, CENTRE, RIGHT } align_t;

/* A white page. */
canvas_t *canvas_new(double width, double height, picture_format_t format);
/* The picture's bytes; frees the canvas. NULL with error set where cairo failed. */
GBytes *canvas_finish(canvas_t *canvas, GError **error);

void canvas_line(canvas_t *canvas, double x0, double y0, double x1, double y1, double width, colour_t colour);
void canvas_rectangle(canvas_t *canvas, double x, double y, double width, double height, colour_t colour,
                      double alpha);
/* An outline in canvas_rule. */
void canvas_box(canvas_t *canvas, double x, double y, double width, double height);
/* Text on baseline y, shortened with an ellipsis where wider than room. Returns its width. */
double canvas_text(canvas_t *canvas, double x, double y, align_t align, double size, gboolean bold,
                   colour_t colour, double room, const char *text);
/* A line through n points. */
void canvas_path(canvas_t *canvas, const double (*points)[2], size_t n, double width, colour_t colour,
                 double alpha);
/* The area within n points. */
void canvas_area(canvas_t *canvas, const double (*points)[2], size_t n, colour_t colour, double alpha);
void canvas_disc(canvas_t *canvas, double x, double y, double radius, colour_t colour);
/* Nothing is drawn outside until canvas_unclip(). */
void canvas_clip(canvas_t *canvas, double x, double y, double width, double height);
void canvas_unclip(canvas_t *canvas);
