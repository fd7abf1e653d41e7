/* Owns reading metrics.jsonl, as trainer/metrics.h describes it, and choosing what of it is drawn. */
#include "sampler/curves.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "preprocess/program.h"

G_DEFINE_QUARK(curves_error, curves_error)

typedef struct {
    const char *name, *member; /* in the legend; in the file */
    gboolean marks;
    GArray *x, *y; /* double */
} series_t;

/* A number, or NaN where the member is missing or null. */
static double number_of(JsonObject *object, const char *member) {
    JsonNode *node = json_object_get_member(object, member);
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node)) return NAN;
    return json_node_get_value_type(node) == G_TYPE_DOUBLE || json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_double(node) : NAN;
}

static void take_line(JsonParser *parser, const char *line, series_t *series, size_t n) {
    if (!json_parser_load_from_data(parser, line, -1, NULL)) return;
    JsonNode *root = json_parser_get_root(parser);
    if (root == NULL || !JSON_NODE_HOLDS_OBJECT(root)) return;
    JsonObject *object = json_node_get_object(root);
    const double step = number_of(object, "step");
    for (size_t i = 0; i < n; i++) {
        const double value = number_of(object, series[i].member);
        if (!isfinite(step) || !isfinite(value)) continue;
        g_array_append_val(series[i].x, step);
        g_array_append_val(series[i].y, value);
    }
}

GBytes *curves_picture(const char *run, picture_format_t format, GError **error) {
    series_t series[] = {{"training: reconstruction", "nll_per_frame", FALSE, NULL, NULL},
                         {"validation: reconstruction", "valid_nll_per_frame", TRUE, NULL, NULL},
                         {"training: KL", "kl_per_frame", FALSE, NULL, NULL},
                         {"validation: KL", "valid_kl_per_frame", TRUE, NULL, NULL}};
    enum { SERIES = G_N_ELEMENTS(series) };
    g_autofree char *path = g_build_filename(run, "metrics.jsonl", NULL), *text = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &text, NULL, &cause)) {
        const char *reason = g_strrstr(cause->message, ": "); /* before it stands the path once more */
        g_set_error(error, CURVES_ERROR, CURVES_ERROR_READ, "%s: cannot read: %s; give a folder that trainer --output wrote", path,
                    reason != NULL ? reason + 2 : cause->message);
        return NULL;
    }
    for (size_t i = 0; i < SERIES; i++) {
        series[i].x = g_array_new(FALSE, FALSE, sizeof(double));
        series[i].y = g_array_new(FALSE, FALSE, sizeof(double));
    }
    g_autoptr(JsonParser) parser = json_parser_new();
    for (char *line = text, *end; line != NULL && *line != '\0'; line = end) {
        end = strchr(line, '\n');
        if (end != NULL) *end++ = '\0';
        take_line(parser, line, series, SERIES);
    }
    picture_curve_t curves[SERIES];
    size_t n = 0;
    for (size_t i = 0; i < SERIES; i++)
        if (series[i].x->len > 0)
            curves[n++] = (picture_curve_t){series[i].name, (const double *)(void *)series[i].x->data, (const double *)(void *)series[i].y->data,
                                            series[i].x->len, series[i].marks};
    GBytes *picture = NULL;
    if (n > 0)
        picture = picture_curves(curves, n, path, "step", "nats a frame", format, error);
    else
        g_set_error(error, CURVES_ERROR, CURVES_ERROR_NONE, "%s: holds no finished step; let the run go on for a while", path);
    for (size_t i = 0; i < SERIES; i++) {
        g_array_unref(series[i].x);
        g_array_unref(series[i].y);
    }
    return picture;
}
