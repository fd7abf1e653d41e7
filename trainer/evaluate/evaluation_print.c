/* evaluation_print: owns how the figures of --evaluate look. Numbers in JSON by name, null where there is
 * none. */
#include "trainer/evaluate/evaluation_print.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>

typedef struct {
    const char *name;
    double value; /* NAN: null */
} number_t;

static void add_numbers(JsonBuilder *builder, const number_t *numbers, size_t n) {
    for (size_t i = 0; i < n; i++) {
        json_builder_set_member_name(builder, numbers[i].name);
        if (isfinite(numbers[i].value))
            json_builder_add_double_value(builder, numbers[i].value);
        else
            json_builder_add_null_value(builder);
    }
}

typedef struct {
    const char *name;
    int64_t value;
} count_t;

static void add_counts(JsonBuilder *builder, const count_t *counts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        json_builder_set_member_name(builder, counts[i].name);
        json_builder_add_int_value(builder, counts[i].value);
    }
}

static JsonBuilder *begin(const options_t *options, const checkpoint_t *checkpoint, split_t split) {
    JsonBuilder *builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "checkpoint");
    json_builder_add_string_value(builder, options->evaluate);
    json_builder_set_member_name(builder, "split");
    json_builder_add_string_value(builder, split_name(split));
    add_counts(builder, &(count_t){"step", checkpoint->step}, 1);
    return builder;
}

gboolean evaluation_print_line(const char *text, GError **error) {
    if (puts(text) >= 0 && fflush(stdout) == 0) return TRUE;
    g_set_error(error, OPTIONS_ERROR, OPTIONS_ERROR_FILE, "standard output: cannot write: %s",
                g_strerror(errno));
    return FALSE;
}

static gboolean end(JsonBuilder *builder, GError **error) {
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, FALSE);
    return evaluation_print_line(text, error);
}

static gboolean print_json(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                           const evaluation_t *e, GError **error) {
    const double per_frame = (double)e->windows / (double)e->frames;
    g_autoptr(JsonBuilder) builder = begin(options, checkpoint, split);
    const count_t counts[] = {{"windows", e->windows},
                              {"frames", e->frames},
                              {"active_units", e->active_units},
                              {"draws", e->draws}};
    const number_t losses[] = {{"nll", e->nll},
                               {"kl", e->kl},
                               {"loss", e->nll + e->kl},
                               {"nll_per_frame", e->nll * per_frame},
                               {"kl_per_frame", e->kl * per_frame},
                               {"loss_per_frame", (e->nll + e->kl) * per_frame}};
    const number_t bound[] = {{"iwae", e->iwae}, {"iwae_per_frame", e->iwae * per_frame}};
    const number_t notes[] = {{"precision", e->precision}, {"recall", e->recall}, {"f1", e->f1}};
    add_counts(builder, counts, G_N_ELEMENTS(counts));
    add_numbers(builder, losses, G_N_ELEMENTS(losses));
    if (e->draws > 0) add_numbers(builder, bound, G_N_ELEMENTS(bound));
    add_numbers(builder, notes, G_N_ELEMENTS(notes));
    return end(builder, error);
}

static void print_table(const options_t *options, const model_config_t *config, split_t split,
                        const evaluation_t *e) {
    const double per_frame = (double)e->windows / (double)e->frames;
    const char *kind = config->loss == LOSS_MSE ? "squared error" : "reconstruction, nats";
    g_printerr("%s on %s: %" G_GINT64_FORMAT " %s, %" G_GINT64_FORMAT " %s\n", options->evaluate,
               split_name(split), e->windows, g_dngettext(NULL, "window", "windows", (gulong)e->windows),
               e->frames, g_dngettext(NULL, "frame", "frames", (gulong)e->frames));
    g_printerr("%-28s %12s %12s\n", "", "a window", "a frame");
    g_printerr("%-28s %12.4f %12.4f\n", kind, e->nll, e->nll * per_frame);
    g_printerr("%-28s %12.4f %12.4f\n", "KL divergence, nats", e->kl, e->kl * per_frame);
    g_printerr("%-28s %12.4f %12.4f\n", "sum (-ELBO)", e->nll + e->kl, (e->nll + e->kl) * per_frame);
    if (e->draws > 0) {
        g_autofree char *name = g_strdup_printf("bound of %d %s (IWAE)", e->draws,
                                                g_dngettext(NULL, "draw", "draws", (gulong)e->draws));
        g_printerr("%-28s %12.4f %12.4f\n", name, e->iwae, e->iwae * per_frame);
    }
    g_printerr("%-28s %12d of %zu\n", "active latent units", e->active_units, config->latent);
    g_printerr("notes at 0.5: precision %.4f, recall %.4f, F1 %.4f\n", e->precision, e->recall, e->f1);
}

gboolean evaluation_print(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                          const evaluation_t *evaluation, GError **error) {
    const gboolean written = print_json(options, checkpoint, split, evaluation, error);
    if (!options->quiet) print_table(options, &checkpoint->model, split, evaluation);
    return written;
}

static gboolean print_sequence_json(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                                    const sequence_evaluation_t *e, GError **error) {
    g_autoptr(JsonBuilder) builder = begin(options, checkpoint, split);
    const gboolean latent = checkpoint->model.latent > 0;
    const count_t counts[] = {{"pieces", e->pieces},
                              {"frames", e->frames},
                              {"segments", e->segments},
                              {"active_units", e->active_units},
                              {"particles", e->particles}};
    const number_t losses[] = {{"nll_per_frame", e->nll},
                               {"kl_per_frame", e->kl},
                               {"loss_per_frame", e->nll + e->kl},
                               {"kl_per_segment", e->kl * (double)e->frames / (double)e->segments}};
    const number_t bound[] = {{"bound_per_frame", e->bound}};
    const number_t notes[] = {{"precision", latent ? e->rebuilt.precision : NAN},
                              {"recall", latent ? e->rebuilt.recall : NAN},
                              {"f1", latent ? e->rebuilt.f1 : NAN},
                              {"floor_precision", latent ? e->floor.precision : NAN},
                              {"floor_recall", latent ? e->floor.recall : NAN},
                              {"floor_f1", latent ? e->floor.f1 : NAN}};
    add_counts(builder, counts, G_N_ELEMENTS(counts));
    add_numbers(builder, losses, G_N_ELEMENTS(losses));
    if (e->particles > 0) add_numbers(builder, bound, G_N_ELEMENTS(bound));
    add_numbers(builder, notes, G_N_ELEMENTS(notes));
    return end(builder, error);
}

static void print_sequence_table(const options_t *options, const model_config_t *config, split_t split,
                                 const sequence_evaluation_t *e) {
    const double per_segment = (double)e->frames / (double)e->segments;
    g_printerr("%s on %s: %" G_GINT64_FORMAT " %s, %" G_GINT64_FORMAT " %s, %" G_GINT64_FORMAT " %s\n",
               options->evaluate, split_name(split), e->pieces,
               g_dngettext(NULL, "piece", "pieces", (gulong)e->pieces), e->frames,
               g_dngettext(NULL, "frame", "frames", (gulong)e->frames), e->segments,
               g_dngettext(NULL, "segment", "segments", (gulong)e->segments));
    g_printerr("%-28s %12s %12s\n", "", "a segment", "a frame");
    g_printerr("%-28s %12.4f %12.4f\n", config->latent > 0 ? "reconstruction, nats" : "-log-likelihood, nats",
               e->nll * per_segment, e->nll);
    if (config->latent > 0) {
        g_printerr("%-28s %12.4f %12.4f\n", "KL divergence, nats", e->kl * per_segment, e->kl);
        g_printerr("%-28s %12.4f %12.4f\n", "sum (-ELBO)", (e->nll + e->kl) * per_segment, e->nll + e->kl);
    }
    if (e->particles > 0) {
        g_autofree char *name = g_strdup_printf(
            "bound of %d %s", e->particles, g_dngettext(NULL, "particle", "particles", (gulong)e->particles));
        g_printerr("%-28s %12.4f %12.4f\n", name, e->bound * per_segment, e->bound);
    }
    if (config->latent == 0) return;
    g_printerr("%-28s %12d of %zu\n", "active latent units", e->active_units, config->latent);
    g_printerr("%-28s %12s %12s %12s\n", "pieces from latents alone", "precision", "recall", "F1");
    g_printerr("%-28s %12.4f %12.4f %12.4f\n", "latents of the piece", e->rebuilt.precision,
               e->rebuilt.recall, e->rebuilt.f1);
    g_printerr("%-28s %12.4f %12.4f %12.4f\n", "latents of the prior (floor)", e->floor.precision,
               e->floor.recall, e->floor.f1);
}

gboolean evaluation_print_sequence(const options_t *options, const checkpoint_t *checkpoint, split_t split,
                                   const sequence_evaluation_t *evaluation, GError **error) {
    const gboolean written = print_sequence_json(options, checkpoint, split, evaluation, error);
    if (!options->quiet) print_sequence_table(options, &checkpoint->model, split, evaluation);
    return written;
}
