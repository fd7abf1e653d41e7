/* curves: owns reading metrics.jsonl, as in trainer/metrics.h, and choosing what of it is drawn. */
#include "sampler/show/curves.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"

/* A quantity in training, step by step, or in validation. */
typedef struct {
    const char *name, *member; /* in the legend; in the file */
    gboolean marks;
    size_t colour;
    GArray *x, *y, *smooth; /* double; smooth: running means of y, empty where y is short enough to be read */
} series_t;

enum { SHARE = 100, LEAST = 2 * SHARE }; /* means over a hundredth of the run, from so many steps on */

/* A number, or NaN where the member is missing or null. */
static double number_of(JsonObject *object, const char *member) {
    JsonNode *node = json_object_get_member(object, member);
    if (!node || !JSON_NODE_HOLDS_VALUE(node)) return NAN;
    return json_node_get_value_type(node) == G_TYPE_DOUBLE || json_node_get_value_type(node) == G_TYPE_INT64
               ? json_node_get_double(node)
               : NAN;
}

static void take_line(JsonParser *parser, const char *line, series_t *series, size_t n) {
    if (!json_parser_load_from_data(parser, line, -1, NULL)) return;
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) return;
    JsonObject *object = json_node_get_object(root);
    const double step = number_of(object, "step");
    for (size_t i = 0; i < n; i++) {
        const double value = number_of(object, series[i].member);
        if (!isfinite(step) || !isfinite(value)) continue;
        g_array_append_val(series[i].x, step);
        g_array_append_val(series[i].y, value);
    }
}

static GArray *new_numbers(void) { return g_array_new(FALSE, FALSE, sizeof(double)); }

static const double *numbers(const GArray *array) { return (const double *)(void *)array->data; }

/* Means over `width` steps. At the start, where the curve falls, over as few to the right as there are to the
 * left; at the end, where it is flat, over those that there are. */
static void smooth(series_t *series, guint width) {
    const guint n = series->y->len;
    const double *y = numbers(series->y);
    for (guint i = 0; i < n; i++) {
        const guint half = MIN(width / 2, i), last = MIN(i + half, n - 1);
        double sum = 0;
        for (guint k = i - half; k <= last; k++) sum += y[k];
        const double mean = sum / (last - (i - half) + 1);
        g_array_append_val(series->smooth, mean);
    }
}

/* What is drawn, from back to front: the steps, their means, the validations. */
static size_t list_curves(const series_t *series, size_t n, picture_curve_t *curves) {
    size_t count = 0;
    for (int layer = CURVE_FAINT; layer <= CURVE_MARKS; layer++)
        for (size_t i = 0; i < n; i++) {
            const gboolean means = series[i].smooth->len > 0;
            const GArray *y = layer == CURVE_LINE && means ? series[i].smooth : series[i].y;
            if (y->len == 0 || series[i].marks != (layer == CURVE_MARKS) || (layer == CURVE_FAINT && !means))
                continue;
            curves[count++] = (picture_curve_t){.name = layer == CURVE_FAINT ? NULL : series[i].name,
                                                .x = numbers(series[i].x),
                                                .y = numbers(y),
                                                .n = y->len,
                                                .style = (curve_style_t)layer,
                                                .colour = series[i].colour};
        }
    return count;
}

static void read_lines(char *text, series_t *series, size_t n) {
    g_autoptr(JsonParser) parser = json_parser_new();
    for (char *line = text, *end; line && *line != '\0'; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = '\0';
        take_line(parser, line, series, n);
    }
}

/* Draws the picture of the text of metrics.jsonl, which it changes. */
static GBytes *draw(const char *path, const char *run, char *text, picture_format_t format, GError **error) {
    series_t series[] = {
        {.name = "training: reconstruction", .member = "nll_per_frame", .colour = 0},
        {.name = "training: KL", .member = "kl_per_frame", .colour = 1},
        {.name = "validation: reconstruction", .member = "valid_nll_per_frame", .marks = TRUE, .colour = 0},
        {.name = "validation: KL", .member = "valid_kl_per_frame", .marks = TRUE, .colour = 1}};
    enum { SERIES = G_N_ELEMENTS(series) };
    for (size_t i = 0; i < SERIES; i++)
        series[i].x = new_numbers(), series[i].y = new_numbers(), series[i].smooth = new_numbers();
    read_lines(text, series, SERIES);
    const guint steps = series[0].y->len, width = steps >= LEAST ? steps / SHARE | 1 : 1;
    for (size_t i = 0; i < SERIES; i++)
        if (width > 1 && !series[i].marks) smooth(&series[i], width);
    picture_curve_t curves[2 * SERIES];
    const size_t n = list_curves(series, SERIES, curves);
    g_autofree char *title = g_filename_display_name(run);
    g_autofree char *label =
        width > 1 ? g_strdup_printf("step (training: pale each step, bold the mean of %u)", width)
                  : g_strdup("step");
    GBytes *picture = NULL;
    if (n > 0)
        picture = picture_curves(curves, n, title, label, "nats a frame", format, error);
    else
        program_fail(error, "%s: holds no finished step; let the run go on for a while", path);
    for (size_t i = 0; i < SERIES; i++)
        g_array_unref(series[i].x), g_array_unref(series[i].y), g_array_unref(series[i].smooth);
    return picture;
}

GBytes *curves_picture(const char *run, picture_format_t format, GError **error) {
    g_autofree char *path = g_build_filename(run, "metrics.jsonl", NULL), *text = NULL;
    g_autoptr(GError) cause = NULL;
    if (g_file_get_contents(path, &text, NULL, &cause)) return draw(path, run, text, format, error);
    program_fail(error, "%s: cannot read: %s; give a folder that %s --output wrote", path,
                 program_cause(cause), program_called("trainer"));
    return NULL;
}
