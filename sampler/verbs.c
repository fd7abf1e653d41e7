/* Owns the verbs: which latent vectors, which roll, which names. Refuses features and bars that the model or the song does not have. */
#include "sampler/verbs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/entry.h"
#include "sampler/audio.h"
#include "sampler/curves.h"
#include "sampler/latent.h"
#include "sampler/result.h"
#include "sampler/score_report.h"

G_DEFINE_QUARK(verbs_error, verbs_error)

static const double TRAVERSE_END = 3; /* standard deviations of the prior */

static sample_rule_t rule_of(const cli_t *cli, size_t index) {
    return (sample_rule_t){.threshold = cli->threshold, .density = cli->density, .draw = cli->draw, .seed = (uint64_t)cli->seed, .index = index};
}

static result_time_t own_time(const result_writer_t *writer) {
    const checkpoint_t *head = &writer->model->head;
    return (result_time_t){.tempo_bpm = writer->cli->tempo_bpm > 0 ? writer->cli->tempo_bpm : head->tempo_bpm, .meter = head->meter};
}

/* A song on the model's grid, with its tempo (or --tempo) and meter. */
static roll_t *read_song(const result_writer_t *writer, const char *path, result_time_t *time, GError **error) {
    roll_t *roll = entry_read_roll(path, &writer->model->head.grid, &time->tempo_bpm, &time->meter, error);
    if (writer->cli->tempo_bpm > 0) time->tempo_bpm = writer->cli->tempo_bpm;
    return roll;
}

/* mu [Z] of the window that begins at --bar of a song. */
static real_t *read_window(const result_writer_t *writer, const char *path, result_time_t *time, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t T = writer->model->head.model.window;
    g_autoptr(roll_t) roll = read_song(writer, path, time, error);
    if (roll == NULL) return NULL;
    const double bar = sample_bar_frames(&writer->model->head.grid, time->meter);
    const size_t first = (size_t)floor((cli->bar - 1) * bar);
    if (first >= roll->frames) {
        g_set_error(error, VERBS_ERROR, VERBS_ERROR_RANGE, "%s: cannot begin at bar %d: the song has %.0f bars; give a smaller --bar", path, cli->bar,
                    ceil((double)roll->frames / bar));
        return NULL;
    }
    if (first + T > roll->frames && !cli->quiet)
        fprintf(stderr, "sampler: %s: the song ends %zu frames before the window of %zu; filled up with silence\n", path, first + T - roll->frames,
                T);
    return sample_encode(writer->model, roll, first, 1);
}

/* File name without folder and ending. */
static char *stem_of(const char *path) {
    char *name = g_path_get_basename(path), *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) *dot = '\0';
    return name;
}

static gboolean write_prior(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, T = writer->model->head.model.window;
    const size_t count = cli->latents != NULL ? g_strv_length(cli->latents) : (size_t)cli->count;
    const result_time_t time = own_time(writer);
    g_autofree real_t *z = g_new(real_t, count * Z);
    for (size_t i = 0; i < count && cli->latents != NULL; i++)
        if (!latent_from_text(cli->latents[i], z + i * Z, Z, error)) return FALSE;
    for (size_t i = 0; i < count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        if (cli->latents == NULL) latent_prior(rule.seed, index, cli->temperature, z + i * Z, Z);
        g_autoptr(roll_t) roll = sample_windows(writer->model, z + i * Z, 1, T, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        if (cli->latents == NULL) g_ptr_array_add(texts, g_strdup_printf("temperature: %.10g", cli->temperature));
        result_add_latents(texts, z + i * Z, 1, Z);
        g_autofree char *name = g_strdup_printf("prior-%03zu", index);
        g_autofree char *title = cli->latents != NULL
                                     ? g_strdup_printf("prior %zu · given latent vector", index)
                                     : g_strdup_printf("prior %zu · seed %" G_GINT64_FORMAT " · temperature %g", index, cli->seed, cli->temperature);
        if (!result_write(writer, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_reconstruct(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, T = writer->model->head.model.window;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < cli->n_files; i++) {
        result_time_t time;
        g_autoptr(roll_t) song = read_song(writer, cli->files[i], &time, error);
        if (song == NULL) return FALSE;
        const size_t n = (song->frames + T - 1) / T;
        const sample_rule_t rule = rule_of(cli, i + 1);
        g_autofree real_t *mu = sample_encode(writer->model, song, 0, n);
        g_autoptr(roll_t) roll = sample_windows(writer->model, mu, n, song->frames, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, i + 1);
        g_autofree char *stem = stem_of(cli->files[i]), *name = g_strdup_printf("reconstruct-%s", stem);
        g_autofree char *title = g_strdup_printf("reconstruct · %s", stem);
        g_ptr_array_add(texts, g_strdup_printf("song: %s", stem));
        result_add_latents(texts, mu, n, Z);
        if (g_hash_table_contains(names, name)) { /* two songs of one name from two folders */
            g_free(name);
            name = g_strdup_printf("reconstruct-%s-%u", stem, i + 1);
        }
        g_hash_table_add(names, g_strdup(name));
        if (!result_write(writer, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Windows that belong together: z [n, Z] decoded, written one by one as NAME-001 ..., and as one sheet NAME. */
static gboolean write_steps(const result_writer_t *writer, const char *name, const char *title, const char *about, const real_t *z,
                            char *const *labels, size_t n, const result_time_t *time, GError **error) {
    const size_t Z = writer->model->head.model.latent, T = writer->model->head.model.window;
    g_autoptr(GPtrArray) rolls = g_ptr_array_new_with_free_func((GDestroyNotify)roll_free);
    for (size_t i = 0; i < n; i++) {
        const sample_rule_t rule = rule_of(writer->cli, i + 1);
        roll_t *roll = sample_windows(writer->model, z + i * Z, 1, T, &rule);
        g_ptr_array_add(rolls, roll);
        g_autofree char *step = g_strdup_printf("%s-%03zu", name, i + 1), *heading = g_strdup_printf("%s · %s", title, labels[i]);
        g_autoptr(GPtrArray) texts = result_texts(writer, i + 1);
        g_ptr_array_add(texts, g_strdup(about));
        result_add_latents(texts, z + i * Z, 1, Z);
        if (!result_write(writer, step, heading, roll, time, texts, error)) return FALSE;
    }
    g_autoptr(GPtrArray) texts = result_texts(writer, 0);
    g_ptr_array_add(texts, g_strdup(about));
    result_add_latents(texts, z, n, Z);
    return result_write_sheet(writer, name, title, (roll_t *const *)rolls->pdata, labels, n, time, texts, error);
}

static gboolean write_interpolate(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, n = (size_t)cli->steps;
    result_time_t time, other;
    g_autofree real_t *a = read_window(writer, cli->files[0], &time, error), *b = NULL;
    if (a == NULL) return FALSE;
    b = read_window(writer, cli->files[1], &other, error);
    if (b == NULL) return FALSE;
    g_autofree real_t *z = g_new(real_t, n * Z);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / (double)(n - 1);
        latent_slerp(a, b, t, z + i * Z, Z);
        labels[i] = g_strdup_printf("%zu: %.0f %%", i + 1, t * 100);
    }
    g_autofree char *from = stem_of(cli->files[0]), *to = stem_of(cli->files[1]);
    g_autofree char *title = g_strdup_printf("interpolate · %s to %s", from, to), *about = g_strdup_printf("songs: %s to %s", from, to);
    return write_steps(writer, "interpolate", title, about, z, labels, n, &time, error);
}

static gboolean write_traverse(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, n = (size_t)cli->steps, dim = (size_t)cli->dim;
    if (dim >= Z) {
        g_set_error(error, VERBS_ERROR, VERBS_ERROR_RANGE, "%s: has no latent feature %zu: it has %zu; give --dim 0 to %zu", writer->model->path, dim,
                    Z, Z - 1);
        return FALSE;
    }
    result_time_t time;
    g_autofree real_t *mu = read_window(writer, cli->files[0], &time, error);
    if (mu == NULL) return FALSE;
    if (!cli->quiet) fprintf(stderr, "sampler: %s: latent feature %zu is %.3g in this song\n", cli->files[0], dim, (double)mu[dim]);
    g_autofree real_t *z = g_new(real_t, n * Z);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        memcpy(z + i * Z, mu, Z * sizeof(real_t));
        z[i * Z + dim] = (real_t)(TRAVERSE_END * (2.0 * (double)i / (double)(n - 1) - 1));
        labels[i] = g_strdup_printf("z%zu = %+.2f", dim, (double)z[i * Z + dim]);
    }
    g_autofree char *stem = stem_of(cli->files[0]), *name = g_strdup_printf("traverse-%zu", dim);
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim), *about = g_strdup_printf("song: %s", stem);
    return write_steps(writer, name, title, about, z, labels, n, &time, error);
}

static gboolean write_song(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const sample_model_t *model = writer->model;
    const size_t Z = model->head.model.latent;
    const result_time_t time = own_time(writer);
    const size_t frames = (size_t)ceil(cli->bars * sample_bar_frames(&model->head.grid, time.meter) - 1e-9);
    const size_t hop = sample_hop(model, time.meter), n = sample_overlapped_count(model, hop, frames);
    g_autofree real_t *z = g_new(real_t, n * Z);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        latent_path(rule.seed, index, cli->temperature, cli->correlation, z, n, Z);
        g_autoptr(roll_t) roll = sample_overlapped(model, z, n, hop, frames, &rule, error);
        if (roll == NULL) return FALSE;
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_ptr_array_add(texts, g_strdup_printf("temperature: %.10g", cli->temperature));
        g_ptr_array_add(texts, g_strdup_printf("bars: %d", cli->bars));
        g_ptr_array_add(texts, g_strdup_printf("correlation: %.10g", cli->correlation));
        result_add_latents(texts, z, n, Z);
        g_autofree char *name = g_strdup_printf("song-%03zu", index);
        g_autofree char *title =
            g_strdup_printf("song %zu · seed %" G_GINT64_FORMAT " · temperature %g · %d bars", index, cli->seed, cli->temperature, cli->bars);
        if (!result_write(writer, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_curves(const cli_t *cli, GError **error) {
    for (guint i = 0; i < cli->n_files; i++) {
        g_autofree char *name = cli->n_files == 1 ? g_strdup("curves") : g_strdup_printf("curves-%03u", i + 1);
        if (!result_write_picture(cli, name, curves_picture(cli->files[i], cli->format, error), error)) return FALSE;
    }
    return TRUE;
}

gboolean verbs_run(const cli_t *cli, GError **error) {
    static gboolean (*const write[VERB_COUNT])(const result_writer_t *, GError **) = {
        [VERB_PRIOR] = write_prior, [VERB_RECONSTRUCT] = write_reconstruct, [VERB_INTERPOLATE] = write_interpolate, [VERB_TRAVERSE] = write_traverse,
        [VERB_SONG] = write_song,
    };
    if (cli->verb == VERB_SCORE) return score_report(cli, error);
    if (cli->verb == VERB_CURVES) return result_make_folder(cli, error) && write_curves(cli, error);
    g_autofree char *soundfont = cli->audio ? audio_soundfont(cli->soundfont, error) : NULL;
    if (cli->audio && soundfont == NULL) return FALSE;
    g_autoptr(sample_model_t) model = sample_model_open(cli->checkpoint, error);
    if (model == NULL || !result_make_folder(cli, error)) return FALSE;
    const result_writer_t writer = {.cli = cli, .model = model, .soundfont = soundfont};
    return write[cli->verb](&writer, error);
}
