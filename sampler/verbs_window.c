/* Owns the verbs of the dense model: which latent vectors, which windows, which names. Refuses features and bars that the model or the song does not have. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/program.h"
#include "sampler/latent.h"
#include "sampler/verb.h"

static sample_rule_t rule_of(const cli_t *cli, size_t index) {
    return (sample_rule_t){.threshold = cli->threshold, .density = cli->density, .draw = cli->draw, .seed = (uint64_t)cli->seed, .index = index};
}

/* Moves z [n, Z] by --more and --less. */
static void shift_latents(const result_writer_t *writer, real_t *z, size_t n) {
    const size_t Z = writer->model->head.model.latent;
    for (size_t i = 0; i < n * Z && writer->shift != NULL; i++) z[i] += writer->shift[i % Z];
}

/* mu [Z] of the window that begins at --bar of a song. */
static real_t *read_window(const result_writer_t *writer, const char *path, result_time_t *time, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t T = writer->model->head.model.window;
    g_autoptr(roll_t) roll = verb_read_song(writer, path, time, error);
    size_t first;
    if (roll == NULL || !verb_first_frame(writer, path, roll, *time, &first, error)) return NULL;
    if (first + T > roll->frames && !cli->quiet)
        program_say("%s: the song ends %zu frame%s before the window of %zu; filled up with silence\n", path, first + T - roll->frames,
                    first + T - roll->frames == 1 ? "" : "s", T);
    return sample_encode(writer->model, roll, first, 1);
}

static gboolean write_prior(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, T = writer->model->head.model.window;
    const size_t count = cli->latents != NULL ? g_strv_length(cli->latents) : (size_t)cli->count;
    const result_time_t time = verb_own_time(writer);
    g_autofree real_t *z = writer->latents != NULL ? g_memdup2(writer->latents, count * Z * sizeof(real_t)) : g_new(real_t, count * Z);
    for (size_t i = 0; i < count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        if (cli->latents == NULL) latent_prior(rule.seed, index, cli->temperature, z + i * Z, Z);
        shift_latents(writer, z + i * Z, 1);
        g_autoptr(roll_t) roll = sample_windows(writer->model, z + i * Z, 1, T, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        if (cli->latents != NULL && writer->shift != NULL) result_add_given(texts, writer->latents + i * Z, Z);
        result_add_latents(texts, z + i * Z, 1, Z);
        g_autofree char *name = g_strdup_printf("prior-%03zu", index);
        g_autofree char *title = cli->latents != NULL
                                     ? g_strdup_printf("prior %zu · given latent vector", index)
                                     : g_strdup_printf("prior %zu · seed %" G_GINT64_FORMAT " · temperature %g", index, cli->seed, cli->temperature);
        verb_set_key(writer, name, roll, texts);
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
        g_autoptr(roll_t) song = verb_read_song(writer, cli->files[i], &time, error);
        if (song == NULL) return FALSE;
        const size_t n = (song->frames + T - 1) / T;
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        g_autofree real_t *mu = sample_encode(writer->model, song, 0, n);
        shift_latents(writer, mu, n);
        g_autoptr(roll_t) roll = sample_windows(writer->model, mu, n, song->frames, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_autofree char *stem = verb_stem(cli->files[i]), *name = verb_song_name(writer, i, names);
        g_autofree char *title = g_strdup_printf("reconstruct · %s", stem);
        result_add_text(texts, "song: %s", stem);
        result_add_latents(texts, mu, n, Z);
        if (!result_write(writer, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_song(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const sample_model_t *model = writer->model;
    const size_t Z = model->head.model.latent;
    const result_time_t time = verb_own_time(writer);
    const size_t frames = verb_bars_frames(writer, time, cli->bars), hop = sample_hop(model, time.meter),
                 n = sample_overlapped_count(model, hop, frames);
    g_autofree real_t *z = g_new(real_t, n * Z);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        latent_path(rule.seed, index, cli->temperature, cli->correlation, z, n, Z);
        shift_latents(writer, z, n);
        g_autoptr(roll_t) roll = sample_overlapped(model, z, n, hop, frames, &rule, error);
        if (roll == NULL) return FALSE;
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_latents(texts, z, n, Z);
        g_autofree char *name = g_strdup_printf("song-%03zu", index);
        g_autofree char *title = g_strdup_printf("song %zu · seed %" G_GINT64_FORMAT " · temperature %g · %d bar%s", index, cli->seed,
                                                 cli->temperature, cli->bars, cli->bars == 1 ? "" : "s");
        verb_set_key(writer, name, roll, texts);
        if (!result_write(writer, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* The mean goes towards 0 as noise comes in, so that the length of z stays about what the prior's is. */
static gboolean write_vary(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, T = writer->model->head.model.window;
    const double keep = sqrt(1 - cli->amount * cli->amount);
    result_time_t time;
    g_autofree real_t *mu = read_window(writer, cli->files[0], &time, error), *z = g_new(real_t, Z);
    if (mu == NULL) return FALSE;
    g_autofree char *stem = verb_stem(cli->files[0]);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        latent_prior(rule.seed, index, cli->amount, z, Z);
        for (size_t j = 0; j < Z; j++) z[j] = (real_t)(keep * mu[j] + z[j]);
        shift_latents(writer, z, 1);
        g_autoptr(roll_t) roll = sample_windows(writer->model, z, 1, T, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_text(texts, "song: %s", stem);
        result_add_latents(texts, z, 1, Z);
        g_autofree char *name = g_strdup_printf("vary-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf("vary %zu · %s · amount %g · seed %" G_GINT64_FORMAT, index, stem, cli->amount, cli->seed);
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
    g_autofree char *from = verb_stem(cli->files[0]), *to = verb_stem(cli->files[1]);
    g_autofree char *title = g_strdup_printf("interpolate · %s to %s", from, to), *about = g_strdup_printf("songs: %s to %s", from, to);
    return write_steps(writer, "interpolate", title, about, z, labels, n, &time, error);
}

static gboolean write_traverse(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, n = (size_t)cli->steps, dim = (size_t)cli->dim;
    result_time_t time;
    g_autofree real_t *mu = read_window(writer, cli->files[0], &time, error);
    if (mu == NULL) return FALSE;
    if (!cli->quiet) program_say("%s: latent feature %zu is %.3g in this song\n", cli->files[0], dim, (double)mu[dim]);
    g_autofree real_t *z = g_new(real_t, n * Z);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        memcpy(z + i * Z, mu, Z * sizeof(real_t));
        z[i * Z + dim] = (real_t)(VERB_TRAVERSE_END * (2.0 * (double)i / (double)(n - 1) - 1));
        labels[i] = g_strdup_printf("z%zu = %+.2f", dim, (double)z[i * Z + dim]);
    }
    g_autofree char *stem = verb_stem(cli->files[0]), *name = g_strdup_printf("traverse-%zu", dim);
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim), *about = g_strdup_printf("song: %s", stem);
    return write_steps(writer, name, title, about, z, labels, n, &time, error);
}

const verb_write_t verbs_window[VERB_COUNT] = {
    [VERB_PRIOR] = write_prior,
    [VERB_SONG] = write_song,
    [VERB_RECONSTRUCT] = write_reconstruct,
    [VERB_VARY] = write_vary,
    [VERB_INTERPOLATE] = write_interpolate,
    [VERB_TRAVERSE] = write_traverse,
};
