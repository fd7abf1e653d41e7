/* metrics: owns metrics.jsonl and what a run shows on standard error. Lines are numbers under fixed names,
 * made without allocating and written as many at once as a second brings; json-glib reads them back when a
 * resumed run cuts what came after its checkpoint. */
#include "trainer/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/json.h"
#include "preprocess/common/program.h"
#include "preprocess/common/progress.h"

#define FLUSH_EVERY_S 1.0
#define MAKE_ROOM     "make room, then go on with --resume auto"
#define BAR_CELLS     20

struct metrics {
    int fd;
    char *path;
    owner_t *owner;   /* of the folder, not owned */
    GMutex lock;      /* guards waiting */
    GString *waiting; /* whole lines that are not written yet */
    GString *text;    /* the line being made */
    json_t json;      /* writes to text */
    progress_t progress;
    const options_t *options;
    const checkpoint_t *checkpoint;
    int64_t first_step, total_steps;
    gint64 start, last_flushed; /* monotonic microseconds */
    double items;               /* since start: windows (sequence: frames) */
};

/* Whether a line was written at or before the checkpoint. */
static gboolean line_stays(JsonParser *parser, const char *line, size_t length,
                           const checkpoint_t *checkpoint) {
    if (!json_parser_load_from_data(parser, line, (gssize)length, NULL)) return FALSE;
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) return FALSE;
    JsonObject *object = json_node_get_object(root);
    if (json_object_get_int_member_with_default(object, "step", G_MAXINT64) > checkpoint->step) return FALSE;
    return strcmp(json_object_get_string_member_with_default(object, "kind", ""), "epoch") != 0 ||
           json_object_get_int_member_with_default(object, "epoch", G_MAXINT64) <= checkpoint->epoch;
}

/* Bytes of the file to keep. Lines are in the order of steps, so the search starts at the end. */
static size_t length_to_keep(const char *text, size_t length, const checkpoint_t *checkpoint) {
    g_autoptr(JsonParser) parser = json_parser_new();
    while (length > 0 && text[length - 1] != '\n') length--; /* incomplete */
    while (length > 0) {
        const char *before = memrchr(text, '\n', length - 1);
        size_t begin = before ? (size_t)(before - text) + 1 : 0;
        if (line_stays(parser, text + begin, length - begin - 1, checkpoint)) break;
        length = begin;
    }
    return length;
}

static gboolean cut_lines(const char *path, const checkpoint_t *checkpoint, GError **error) {
    size_t keep = 0;
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) return TRUE;
    if (checkpoint->step > 0) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(GMappedFile) mapped = g_mapped_file_new(path, FALSE, &cause);
        if (!mapped)
            return program_fail(error, "%s: cannot read: %s; make it readable", path, program_cause(cause));
        keep =
            length_to_keep(g_mapped_file_get_contents(mapped), g_mapped_file_get_length(mapped), checkpoint);
    }
    if (truncate(path, (off_t)keep) == 0) return TRUE;
    return program_fail(error, "%s: cannot cut lines past step %" G_GINT64_FORMAT ": %s; make it writable",
                        path, checkpoint->step, g_strerror(errno));
}

metrics_t *metrics_open(const options_t *options, owner_t *owner, const checkpoint_t *checkpoint,
                        int64_t total_steps, GError **error) {
    g_autofree char *path = g_build_filename(options->output, "metrics.jsonl", NULL);
    if (!owner_check(owner, error) || !cut_lines(path, checkpoint, error)) return NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        file_fail(error, path, "open for writing", "name another --output");
        return NULL;
    }
    metrics_t *metrics = g_new0(metrics_t, 1);
    metrics->fd = fd;
    metrics->owner = owner;
    metrics->waiting = g_string_new(NULL);
    g_mutex_init(&metrics->lock);
    metrics->path = g_steal_pointer(&path);
    metrics->options = options;
    metrics->checkpoint = checkpoint;
    metrics->first_step = checkpoint->step;
    metrics->total_steps = total_steps;
    metrics->text = g_string_new(NULL);
    metrics->json = (json_t){metrics->text, JSON_SPACED};
    metrics->progress = progress_start(NULL, options->quiet);
    metrics->start = g_get_monotonic_time();
    return metrics;
}

void metrics_close(metrics_t *metrics) {
    if (!metrics) return;
    progress_end(&metrics->progress);
    metrics_flush(metrics, NULL);
    close(metrics->fd);
    g_free(metrics->path);
    g_string_free(metrics->waiting, TRUE);
    g_mutex_clear(&metrics->lock);
    g_string_free(metrics->text, TRUE);
    g_free(metrics);
}

static void begin_line(metrics_t *metrics, const char *kind) {
    g_string_truncate(metrics->text, 0);
    json_open(&metrics->json, NULL, '{');
    json_text(&metrics->json, "kind", kind);
}

static void end_line(metrics_t *metrics) {
    json_close(&metrics->json, '{');
    g_string_append_c(metrics->text, '\n');
    g_mutex_lock(&metrics->lock);
    g_string_append_len(metrics->waiting, metrics->text->str, (gssize)metrics->text->len);
    g_mutex_unlock(&metrics->lock);
}

gboolean metrics_flush(metrics_t *metrics, GError **error) {
    GString *waiting = metrics->waiting;
    ssize_t n = 0;
    if (!owner_check(metrics->owner, error)) return FALSE;
    g_mutex_lock(&metrics->lock);
    while (waiting->len > 0 && ((n = write(metrics->fd, waiting->str, waiting->len)) >= 0 || errno == EINTR))
        g_string_erase(waiting, 0, MAX(n, 0));
    g_mutex_unlock(&metrics->lock);
    return n >= 0 || file_fail(error, metrics->path, "write", MAKE_ROOM);
}

gboolean metrics_sync(metrics_t *metrics, GError **error) {
    return metrics_flush(metrics, error) &&
           (fdatasync(metrics->fd) == 0 || file_fail(error, metrics->path, "write", MAKE_ROOM));
}

static gboolean is_dense(const metrics_t *metrics) { return metrics->checkpoint->model.kind == MODEL_DENSE; }

/* What losses are means over. */
static const char *item(const metrics_t *metrics) { return is_dense(metrics) ? "window" : "frame"; }
static double items_of(const metrics_t *metrics, const training_sums_t *sums) {
    return is_dense(metrics) ? sums->windows : sums->frames;
}

/* Windows (frames) a second, in this session. */
static double items_per_second(const metrics_t *metrics, gint64 now) {
    return metrics->items * G_USEC_PER_SEC / (double)MAX(1, now - metrics->start);
}

/* The rate of the latent and its weight where --latent-rate holds it, else "". */
static void describe_rate(const metrics_t *metrics, const training_sums_t *sums, char *text, size_t bytes) {
    *text = '\0';
    if (options_hold_rate(metrics->options) && sums->segments > 0)
        g_snprintf(text, bytes, ", KL %.2f a segment at weight %.3g", sums->kl / sums->segments,
                   metrics->checkpoint->multiplier);
}

static void show_progress(metrics_t *metrics, const training_sums_t *sums, double loss, gint64 now) {
    const int64_t step = metrics->checkpoint->step, total = metrics->total_steps;
    if (!progress_due(&metrics->progress)) return;
    char bar[BAR_CELLS + 1], rate[128];
    describe_rate(metrics, sums, rate, sizeof rate);
    progress_bar(bar, BAR_CELLS, total > 0 ? MIN(1.0, (double)step / (double)total) : 0);
    const double elapsed = (double)(now - metrics->start) / G_USEC_PER_SEC;
    const int64_t left = (int64_t)(elapsed / (double)(step - metrics->first_step) * (double)(total - step));
    progress_line(&metrics->progress,
                  "epoch %" G_GINT64_FORMAT "/%d [%s] step %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT
                  ", loss %.4g nats a %s%s, %.0f %ss/s, ETA %" G_GINT64_FORMAT ":%02d:%02d",
                  metrics->checkpoint->epoch + 1, metrics->options->epochs, bar, step, total, loss,
                  item(metrics), rate, items_per_second(metrics, now), item(metrics), left / 3600,
                  (int)(left / 60 % 60), (int)(left % 60));
}

static void write_counts(metrics_t *metrics, const training_sums_t *sums) {
    json_number(&metrics->json, "epoch", (double)(metrics->checkpoint->epoch + 1));
    json_number(&metrics->json, "step", (double)metrics->checkpoint->step);
    json_number(&metrics->json, is_dense(metrics) ? "windows" : "sequences", sums->windows);
    if (!is_dense(metrics)) json_number(&metrics->json, "frames", sums->frames);
}

static void write_sequence(metrics_t *metrics, const training_sums_t *sums) {
    if (is_dense(metrics)) return;
    json_number(&metrics->json, "kl_per_segment", sums->kl / sums->segments);
    json_number(&metrics->json, "auxiliary_per_frame", sums->auxiliary / sums->frames);
    if (options_hold_rate(metrics->options))
        json_number(&metrics->json, "multiplier", metrics->checkpoint->multiplier);
}

void metrics_step(metrics_t *metrics, const metrics_step_t *step) {
    const gint64 now = g_get_monotonic_time();
    const training_sums_t *sums = &step->done;
    const double items = items_of(metrics, sums),
                 loss = (sums->nll + step->objective.beta * sums->kl) / items;
    metrics->items += items;
    begin_line(metrics, "step");
    write_counts(metrics, sums);
    json_number(&metrics->json, "loss", loss);
    json_number(&metrics->json, "nll", sums->nll / items);
    json_number(&metrics->json, "kl", sums->kl / items);
    json_number(&metrics->json, "nll_per_frame", sums->nll / sums->frames);
    json_number(&metrics->json, "kl_per_frame", sums->kl / sums->frames);
    write_sequence(metrics, sums);
    json_number(&metrics->json, "beta", step->objective.beta);
    json_number(&metrics->json, "free_bits", step->objective.free_bits);
    json_number(&metrics->json, "learning_rate", step->learning_rate);
    json_number(&metrics->json, "gradient_norm", step->gradient_norm);
    json_number(&metrics->json, "step_ms", step->step_ms);
    json_number(&metrics->json, "sum_ms", step->sum_ms);
    json_number(&metrics->json, is_dense(metrics) ? "windows_per_second" : "frames_per_second",
                items_per_second(metrics, now));
    end_line(metrics);
    if ((double)(now - metrics->last_flushed) > FLUSH_EVERY_S * G_USEC_PER_SEC) {
        metrics->last_flushed = now;
        metrics_flush(metrics, NULL);
    }
    show_progress(metrics, sums, loss, now);
}

/* A model without a latent shows the reconstruction alone. */
static void show_losses(const metrics_t *metrics, const training_sums_t *sums) {
    if (is_dense(metrics)) {
        fprintf(stderr, "train %.2f + %.2f nats a window", sums->nll / sums->windows,
                sums->kl / sums->windows);
        return;
    }
    const gboolean latent = sums->segments > 0;
    fprintf(stderr, "train %.3f", sums->nll / sums->frames);
    if (latent) fprintf(stderr, " + %.3f", sums->kl / sums->frames);
    fputs(" nats a frame", stderr);
    if (!latent) return;
    fprintf(stderr, " (KL %.2f a segment", sums->kl / sums->segments);
    if (options_hold_rate(metrics->options))
        fprintf(stderr, " at weight %.3g", metrics->checkpoint->multiplier);
    fputs(")", stderr);
}

static void write_shares(metrics_t *metrics, const time_shares_t *shares) {
    json_number(&metrics->json, "compute_share", shares->compute);
    json_number(&metrics->json, "exchange_share", shares->exchange);
    json_number(&metrics->json, "waiting_share", shares->waiting);
    json_number(&metrics->json, "data_share", shares->data);
    json_number(&metrics->json, "validation_share", shares->validation);
    json_number(&metrics->json, "checkpoint_share", shares->checkpoint);
    if (shares->ranks == 1) return;
    json_number(&metrics->json, "exchange_hidden", shares->hidden);
    json_number(&metrics->json, "efficiency", shares->efficiency);
    json_number(&metrics->json, "waited_for", shares->late);
}

void metrics_epoch(metrics_t *metrics, gboolean whole, const evaluation_t *valid, gboolean best,
                   const time_shares_t *shares) {
    const checkpoint_t *checkpoint = metrics->checkpoint;
    const training_sums_t *sums = &checkpoint->so_far;
    const double items = items_of(metrics, sums);
    begin_line(metrics, whole ? "epoch" : "validation");
    write_counts(metrics, sums);
    json_number(&metrics->json, "nll", sums->nll / items);
    json_number(&metrics->json, "kl", sums->kl / items);
    write_sequence(metrics, sums);
    json_number(&metrics->json, "seconds", checkpoint->seconds);
    if (valid) g_string_append_printf(metrics->text, ", %s", valid->members->str);
    json_boolean(&metrics->json, "best", best);
    write_shares(metrics, shares);
    end_line(metrics);
    metrics_flush(metrics, NULL);
    if (metrics->options->quiet) return;
    progress_end(&metrics->progress);
    fprintf(stderr, "epoch %" G_GINT64_FORMAT "/%d%s: ", checkpoint->epoch + 1, metrics->options->epochs,
            whole ? "" : " (part)");
    show_losses(metrics, sums);
    if (valid) fprintf(stderr, "; valid %s", valid->text->str);
    fprintf(stderr, "%s; %.0f %ss/s, %.1f s\n", best ? ", best" : "",
            items_per_second(metrics, g_get_monotonic_time()), item(metrics), checkpoint->seconds);
    g_autofree char *text = time_shares_text(shares);
    fprintf(stderr, "  time: %s\n", text);
}

void metrics_say(metrics_t *metrics, const char *format, ...) {
    if (metrics->options->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    progress_end(&metrics->progress);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    fprintf(stderr, "%s\n", text);
    va_end(arguments);
}
