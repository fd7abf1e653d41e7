/* metrics: owns metrics.jsonl and what a run shows on standard error. Lines are numbers under fixed names, written without allocating; json-glib reads them
 * back when a resumed run cuts what came after its checkpoint. */
#include "trainer/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOW_EVERY_S  0.1
#define FLUSH_EVERY_S 1.0
#define BAR_CELLS     20

G_DEFINE_QUARK(mpianist_metrics_error, metrics_error)

struct metrics {
    FILE *file;
    char *path;
    int failed;                      /* errno of the first failed write */
    gboolean quiet, terminal, shown; /* shown: a progress line stands on the terminal */
    int64_t total_steps, epochs, first_step;
    gint64 start, last_shown, last_flushed; /* monotonic microseconds */
    int64_t windows;                        /* since start */
};

/* TRUE where a line belongs to a run that has done `step` steps and `epoch` epochs. */
static gboolean line_stays(JsonParser *parser, const char *line, size_t length, int64_t step, int64_t epoch) {
    if (!json_parser_load_from_data(parser, line, (gssize)length, NULL)) return FALSE;
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) return FALSE;
    JsonObject *object = json_node_get_object(root);
    if (json_object_get_int_member_with_default(object, "step", G_MAXINT64) > step) return FALSE;
    return strcmp(json_object_get_string_member_with_default(object, "kind", ""), "epoch") != 0 ||
           json_object_get_int_member_with_default(object, "epoch", G_MAXINT64) <= epoch;
}

/* Bytes of the file that stay. Lines are in the order of steps: looks from the end. */
static size_t length_to_keep(const char *text, size_t length, int64_t step, int64_t epoch) {
    g_autoptr(JsonParser) parser = json_parser_new();
    while (length > 0 && text[length - 1] != '\n') length--; /* torn */
    while (length > 0) {
        const char *before = memrchr(text, '\n', length - 1);
        size_t begin = before ? (size_t)(before - text) + 1 : 0;
        if (line_stays(parser, text + begin, length - begin - 1, step, epoch)) break;
        length = begin;
    }
    return length;
}

static gboolean cut_lines(const char *path, int64_t step, int64_t epoch, GError **error) {
    size_t keep = 0;
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) return TRUE;
    if (step > 0) {
        g_autoptr(GMappedFile) mapped = g_mapped_file_new(path, FALSE, error);
        if (!mapped) return FALSE;
        keep = length_to_keep(g_mapped_file_get_contents(mapped), g_mapped_file_get_length(mapped), step, epoch);
    }
    if (truncate(path, (off_t)keep) == 0) return TRUE;
    g_set_error(error, METRICS_ERROR, METRICS_ERROR_WRITE, "%s: cannot cut lines past step %" G_GINT64_FORMAT ": %s; make it writable", path, step,
                g_strerror(errno));
    return FALSE;
}

metrics_t *metrics_open(const char *run, int64_t step, int64_t epoch, int64_t total_steps, int64_t epochs, gboolean quiet, GError **error) {
    g_autofree char *path = g_build_filename(run, "metrics.jsonl", NULL);
    if (!cut_lines(path, step, epoch, error)) return NULL;
    FILE *file = fopen(path, "ae");
    if (!file) {
        g_set_error(error, METRICS_ERROR, METRICS_ERROR_WRITE, "%s: cannot open for writing: %s; name another --output", path, g_strerror(errno));
        return NULL;
    }
    metrics_t *metrics = g_new0(metrics_t, 1);
    metrics->file = file;
    metrics->path = g_steal_pointer(&path);
    metrics->quiet = quiet;
    metrics->terminal = !quiet && isatty(STDERR_FILENO);
    metrics->total_steps = total_steps;
    metrics->epochs = epochs;
    metrics->first_step = step;
    metrics->start = g_get_monotonic_time();
    return metrics;
}

static void clear_line(metrics_t *metrics) {
    if (metrics->shown) fputs("\r\033[K", stderr);
    metrics->shown = FALSE;
}

void metrics_close(metrics_t *metrics) {
    if (!metrics) return;
    clear_line(metrics);
    fclose(metrics->file);
    g_free(metrics->path);
    g_free(metrics);
}

static void write_text(metrics_t *metrics, const char *text) {
    if (fputs(text, metrics->file) < 0 && !metrics->failed) metrics->failed = errno;
}

/* One member; JSON knows no NaN. g_ascii_dtostr() because printf follows the locale. */
static void write_number(metrics_t *metrics, const char *name, double value) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    write_text(metrics, ", \"");
    write_text(metrics, name);
    write_text(metrics, "\": ");
    write_text(metrics, isfinite(value) ? g_ascii_dtostr(number, sizeof number, value) : "null");
}

gboolean metrics_flush(metrics_t *metrics, GError **error) {
    if (fflush(metrics->file) != 0 && !metrics->failed) metrics->failed = errno;
    metrics->last_flushed = g_get_monotonic_time();
    if (!metrics->failed) return TRUE;
    g_set_error(error, METRICS_ERROR, METRICS_ERROR_WRITE, "%s: cannot write: %s; make room, then go on with --resume auto", metrics->path,
                g_strerror(metrics->failed));
    return FALSE;
}

static void show_progress(metrics_t *metrics, const metrics_step_t *step, double windows_per_second, gint64 now) {
    if (!metrics->terminal || (double)(now - metrics->last_shown) < SHOW_EVERY_S * G_USEC_PER_SEC) return;
    char bar[BAR_CELLS + 1] = "", eta[32] = "";
    double done = metrics->total_steps > 0 ? MIN(1.0, (double)step->step / (double)metrics->total_steps) : 0;
    for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < (int)(done * BAR_CELLS) ? '#' : '.';
    double elapsed = (double)(now - metrics->start) / G_USEC_PER_SEC;
    int64_t left = (int64_t)(elapsed / (double)(step->step - metrics->first_step) * (double)(metrics->total_steps - step->step));
    snprintf(eta, sizeof eta, "%" G_GINT64_FORMAT ":%02d:%02d", left / 3600, (int)(left / 60 % 60), (int)(left % 60));
    fprintf(stderr,
            "\r\033[Kepoch %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT " [%s] step %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT
            ", loss %.4g nats a window, %.0f windows/s, ETA %s",
            step->epoch, metrics->epochs, bar, step->step, metrics->total_steps, step->nll + step->beta * step->kl, windows_per_second, eta);
    fflush(stderr);
    metrics->shown = TRUE;
    metrics->last_shown = now;
}

void metrics_step(metrics_t *metrics, const metrics_step_t *step) {
    gint64 now = g_get_monotonic_time();
    metrics->windows += step->windows;
    double windows_per_second = (double)metrics->windows * G_USEC_PER_SEC / (double)MAX(1, now - metrics->start);
    double per_frame = (double)step->windows / (double)step->frames;
    const struct {
        const char *name;
        double value;
    } members[] = {
        {"epoch", (double)step->epoch},
        {"step", (double)step->step},
        {"windows", (double)step->windows},
        {"loss", step->nll + step->beta * step->kl},
        {"nll", step->nll},
        {"kl", step->kl},
        {"nll_per_frame", step->nll * per_frame},
        {"kl_per_frame", step->kl * per_frame},
        {"beta", step->beta},
        {"learning_rate", step->learning_rate},
        {"gradient_norm", step->gradient_norm},
        {"step_ms", step->step_ms},
        {"sum_ms", step->sum_ms},
        {"windows_per_second", windows_per_second},
    };
    write_text(metrics, "{\"kind\": \"step\"");
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) write_number(metrics, members[i].name, members[i].value);
    write_text(metrics, "}\n");
    if ((double)(now - metrics->last_flushed) > FLUSH_EVERY_S * G_USEC_PER_SEC) metrics_flush(metrics, NULL);
    show_progress(metrics, step, windows_per_second, now);
}

static void write_validation(metrics_t *metrics, const evaluation_t *valid) {
    double per_frame = (double)valid->windows / (double)valid->frames;
    write_number(metrics, "valid_windows", (double)valid->windows);
    write_number(metrics, "valid_loss", valid->objective);
    write_number(metrics, "valid_nll", valid->nll);
    write_number(metrics, "valid_kl", valid->kl);
    write_number(metrics, "valid_nll_per_frame", valid->nll * per_frame);
    write_number(metrics, "valid_kl_per_frame", valid->kl * per_frame);
    write_number(metrics, "active_units", valid->active_units);
    write_number(metrics, "precision", valid->precision);
    write_number(metrics, "recall", valid->recall);
    write_number(metrics, "f1", valid->f1);
}

void metrics_epoch(metrics_t *metrics, const metrics_epoch_t *epoch) {
    const evaluation_t *valid = epoch->valid;
    write_text(metrics, epoch->whole ? "{\"kind\": \"epoch\"" : "{\"kind\": \"validation\"");
    write_number(metrics, "epoch", (double)epoch->epoch);
    write_number(metrics, "step", (double)epoch->step);
    write_number(metrics, "windows", (double)epoch->windows);
    write_number(metrics, "nll", epoch->nll);
    write_number(metrics, "kl", epoch->kl);
    write_number(metrics, "seconds", epoch->seconds);
    if (valid) write_validation(metrics, valid);
    write_text(metrics, epoch->best ? ", \"best\": true}\n" : ", \"best\": false}\n");
    metrics_flush(metrics, NULL);
    if (metrics->quiet) return;
    clear_line(metrics);
    fprintf(stderr, "epoch %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT "%s: train %.2f + %.2f nats a window", epoch->epoch, metrics->epochs,
            epoch->whole ? "" : " (part)", epoch->nll, epoch->kl);
    if (valid) {
        double per_frame = (double)valid->windows / (double)valid->frames;
        fprintf(stderr, "; valid %.2f + %.2f (%.3f + %.3f a frame), %d active units, F1 %.3f", valid->nll, valid->kl, valid->nll * per_frame,
                valid->kl * per_frame, valid->active_units, valid->f1);
    }
    double session = (double)(g_get_monotonic_time() - metrics->start) / G_USEC_PER_SEC;
    fprintf(stderr, "%s; %.0f windows/s, %.1f s\n", epoch->best ? ", best" : "", (double)metrics->windows / session, epoch->seconds);
}

void metrics_say(metrics_t *metrics, const char *format, ...) {
    if (metrics->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    clear_line(metrics);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    fprintf(stderr, "%s\n", text);
    va_end(arguments);
}
