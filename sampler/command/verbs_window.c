/* Owns the verbs of the dense model: which latent vectors, which windows, which names. Refuses features and
 * bars that the model or the song does not have. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/command/verb.h"
#include "sampler/make/latent.h"

static sample_rule_t rule_of(const cli_t *cli, size_t index) {
    return (sample_rule_t){.threshold = cli->threshold,
                           .density = cli->density,
                           .draw = cli->draw,
                           .seed = (uint64_t)cli->seed,
                           .index = index};
}

/* Moves z [n, Z] by --more and --less. */
static void shift_latents(const result_writer_t *writer, real_t *z, size_t n) {
    const size_t Z = writer->model->checkpoint.model.latent;
    for (size_t i = 0; i < n * Z && writer->shift != NULL; i++) z[i] += writer->shift[i % Z];
}

/* The window that begins at --bar of a song. */
typedef struct {
    verb_song_t song;
    size_t first;
    real_t *mu; /* [Z] */
} window_t;

static void window_clear(window_t *window) {
    verb_song_clear(&window->song);
    g_clear_pointer(&window->mu, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(window_t, window_clear)

static gboolean read_window(const result_writer_t *writer, const char *path, window_t *window,
                            GError **error) {
    const cli_t *cli = writer->cli;
    const size_t T = writer->model->checkpoint.model.window;
    if (!verb_read_song(writer, path, &window->song, error) ||
        !verb_first_frame(writer, path, &window->song, &window->first, error))
        return FALSE;
    const size_t end = window->first + T, frames = window->song.roll->frames;
    if (end > frames && !cli->quiet)
        program_say("%s: the song ends %zu frame%s before the window of %zu; filled up with silence\n", path,
                    end - frames, end - frames == 1 ? "" : "s", T);
    window->mu = sample_encode(writer->model, window->song.roll, window->first, 1);
    return TRUE;
}

/* What is in force in the window. Owner: caller. */
static timeline_t *window_timeline(const result_writer_t *writer, const window_t *window) {
    return timeline_slice(window->song.timeline, (int64_t)window->first,
                          (int64_t)writer->model->checkpoint.model.window);
}

static gboolean write_prior(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, T = writer->model->checkpoint.model.window;
    const size_t count = cli->latents != NULL ? g_strv_length(cli->latents) : (size_t)cli->count;
    g_autoptr(timeline_t) timeline = verb_own_timeline(writer);
    g_autofree real_t *z = writer->latents != NULL ? g_memdup2(writer->latents, count * Z * sizeof(real_t))
                                                   : g_new(real_t, count * Z);
    for (size_t i = 0; i < count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        if (cli->latents == NULL) latent_prior(rule.seed, index, cli->temperature, z + i * Z, Z);
        shift_latents(writer, z + i * Z, 1);
        g_autoptr(roll_t) roll = sample_windows(writer->model, z + i * Z, 1, T, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        if (cli->latents != NULL && writer->shift != NULL)
            result_add_given(texts, writer->latents + i * Z, Z);
        result_add_latents(texts, z + i * Z, 1, Z);
        g_autofree char *name = g_strdup_printf("prior-%03zu", index);
        g_autofree char *title =
            cli->latents != NULL ? g_strdup_printf("prior %zu · given latent vector", index)
                                 : g_strdup_printf("prior %zu · seed %" G_GINT64_FORMAT " · temperature %g",
                                                   index, cli->seed, cli->temperature);
        verb_set_key(writer, name, roll, texts);
        if (!result_write(writer, name, title, roll, timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_reconstruct(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, T = writer->model->checkpoint.model.window;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < cli->n_files; i++) {
        g_auto(verb_song_t) song = {0};
        if (!verb_read_song(writer, cli->files[i], &song, error)) return FALSE;
        const size_t n = (song.roll->frames + T - 1) / T;
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        g_autofree real_t *mu = sample_encode(writer->model, song.roll, 0, n);
        shift_latents(writer, mu, n);
        g_autoptr(roll_t) roll = sample_windows(writer->model, mu, n, song.roll->frames, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_autofree char *stem = verb_stem(cli->files[i]), *name = verb_song_name(writer, i, names);
        g_autofree char *title = g_strdup_printf("reconstruct · %s", stem);
        result_add_text(texts, "song: %s", stem);
        result_add_latents(texts, mu, n, Z);
        if (!result_write(writer, name, title, roll, song.timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_song(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const sample_model_t *model = writer->model;
    const size_t Z = model->checkpoint.model.latent;
    g_autoptr(timeline_t) timeline = verb_own_timeline(writer);
    const size_t frames = verb_bars_frames(timeline, (size_t)cli->bars),
                 hop = sample_hop(model, model->checkpoint.meter),
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
        g_autofree char *title =
            g_strdup_printf("song %zu · seed %" G_GINT64_FORMAT " · temperature %g · %d bar%s", index,
                            cli->seed, cli->temperature, cli->bars, cli->bars == 1 ? "" : "s");
        verb_set_key(writer, name, roll, texts);
        if (!result_write(writer, name, title, roll, timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

/* The mean goes towards 0 as noise comes in, so that the length of z stays about what the prior's is. */
static gboolean write_vary(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, T = writer->model->checkpoint.model.window;
    const double keep = sqrt(1 - cli->amount * cli->amount);
    g_auto(window_t) window = {0};
    g_autofree real_t *z = g_new(real_t, Z);
    if (!read_window(writer, cli->files[0], &window, error)) return FALSE;
    g_autoptr(timeline_t) timeline = window_timeline(writer, &window);
    g_autofree char *stem = verb_stem(cli->files[0]);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        const sample_rule_t rule = rule_of(cli, index);
        latent_prior(rule.seed, index, cli->amount, z, Z);
        for (size_t j = 0; j < Z; j++) z[j] = (real_t)(keep * window.mu[j] + z[j]);
        shift_latents(writer, z, 1);
        g_autoptr(roll_t) roll = sample_windows(writer->model, z, 1, T, &rule);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_text(texts, "song: %s", stem);
        result_add_latents(texts, z, 1, Z);
        g_autofree char *name = g_strdup_printf("vary-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf("vary %zu · %s · amount %g · seed %" G_GINT64_FORMAT, index,
                                                 stem, cli->amount, cli->seed);
        if (!result_write(writer, name, title, roll, timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Windows that belong together: z [n, Z] decoded, written one by one as NAME-001 ..., and as one sheet NAME.
 */
static gboolean write_steps(const result_writer_t *writer, const char *name, const char *title,
                            const char *about, const real_t *z, char *const *labels, size_t n,
                            const timeline_t *timeline, GError **error) {
    const size_t Z = writer->model->checkpoint.model.latent, T = writer->model->checkpoint.model.window;
    g_autoptr(GPtrArray) rolls = g_ptr_array_new_with_free_func((GDestroyNotify)roll_free);
    for (size_t i = 0; i < n; i++) {
        const sample_rule_t rule = rule_of(writer->cli, i + 1);
        roll_t *roll = sample_windows(writer->model, z + i * Z, 1, T, &rule);
        g_ptr_array_add(rolls, roll);
        g_autofree char *step = g_strdup_printf("%s-%03zu", name, i + 1),
                        *heading = g_strdup_printf("%s · %s", title, labels[i]);
        g_autoptr(GPtrArray) texts = result_texts(writer, i + 1);
        g_ptr_array_add(texts, g_strdup(about));
        result_add_latents(texts, z + i * Z, 1, Z);
        if (!result_write(writer, step, heading, roll, timeline, texts, error)) return FALSE;
    }
    g_autoptr(GPtrArray) texts = result_texts(writer, 0);
    g_ptr_array_add(texts, g_strdup(about));
    result_add_latents(texts, z, n, Z);
    return result_write_sheet(writer, name, title, (roll_t *const *)rolls->pdata, labels, n, timeline, texts,
                              error);
}

static gboolean write_interpolate(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, n = (size_t)cli->steps;
    g_auto(window_t) a = {0}, b = {0};
    if (!read_window(writer, cli->files[0], &a, error) || !read_window(writer, cli->files[1], &b, error))
        return FALSE;
    g_autoptr(timeline_t) timeline =
        verb_common_timeline(&a.song, a.first, &b.song, b.first, writer->model->checkpoint.model.window);
    g_autofree real_t *z = g_new(real_t, n * Z);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / (double)(n - 1);
        latent_slerp(a.mu, b.mu, t, z + i * Z, Z);
        labels[i] = g_strdup_printf("%zu: %.0f %%", i + 1, t * 100);
    }
    g_autofree char *from = verb_stem(cli->files[0]), *to = verb_stem(cli->files[1]);
    g_autofree char *title = g_strdup_printf("interpolate · %s to %s", from, to),
                    *about = g_strdup_printf("songs: %s to %s", from, to);
    return write_steps(writer, "interpolate", title, about, z, labels, n, timeline, error);
}

static gboolean write_traverse(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, n = (size_t)cli->steps, dim = (size_t)cli->dim;
    g_auto(window_t) window = {0};
    if (!read_window(writer, cli->files[0], &window, error)) return FALSE;
    g_autoptr(timeline_t) timeline = window_timeline(writer, &window);
    if (!cli->quiet)
        program_say("%s: latent feature %zu is %.3g in this song\n", cli->files[0], dim,
                    (double)window.mu[dim]);
    g_autofree real_t *z = g_new(real_t, n * Z);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        memcpy(z + i * Z, window.mu, Z * sizeof(real_t));
        z[i * Z + dim] = (real_t)(VERB_TRAVERSE_END * (2.0 * (double)i / (double)(n - 1) - 1));
        labels[i] = g_strdup_printf("z%zu = %+.2f", dim, (double)z[i * Z + dim]);
    }
    g_autofree char *stem = verb_stem(cli->files[0]), *name = g_strdup_printf("traverse-%zu", dim);
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim),
                    *about = g_strdup_printf("song: %s", stem);
    return write_steps(writer, name, title, about, z, labels, n, timeline, error);
}

const verb_write_t verbs_window[VERB_COUNT] = {
    [VERB_PRIOR] = write_prior,
    [VERB_SONG] = write_song,
    [VERB_RECONSTRUCT] = write_reconstruct,
    [VERB_VARY] = write_vary,
    [VERB_INTERPOLATE] = write_interpolate,
    [VERB_TRAVERSE] = write_traverse,
};
