/* Owns the verbs of the sequence model: which latents, how many frames, which names. Refuses features and bars that the model or the song does not have. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/program.h"
#include "preprocess/progress.h"
#include "sampler/compose.h"
#include "sampler/latent.h"
#include "sampler/verb.h"

/* One command's work. */
typedef struct {
    const result_writer_t *writer;
    compose_t *compose;
    progress_t progress;
    size_t done, total; /* frames */
} studio_t;

static void studio_close(studio_t *studio) { g_clear_pointer(&studio->compose, compose_free); }
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(studio_t, studio_close)

static gboolean studio_open(studio_t *studio, const result_writer_t *writer, GError **error) {
    *studio = (studio_t){.writer = writer, .compose = compose_new(writer->model->model, error)};
    studio->progress = progress_start("frames", writer->cli->quiet);
    return studio->compose != NULL;
}

static void show_frame(void *data) {
    studio_t *studio = data;
    progress_show(&studio->progress, ++studio->done, studio->total);
}

/* As the command line has it; latents: posterior or prior means. */
static compose_piece_t plan_piece(studio_t *studio, size_t index, size_t frames) {
    const cli_t *cli = studio->writer->cli;
    return (compose_piece_t){.frames = frames,
                             .seed = (uint64_t)cli->seed,
                             .index = index,
                             .draw = cli->draw,
                             .temperature = cli->temperature,
                             .latents = {.keep = 1, .shift = studio->writer->shift},
                             .tick = show_frame,
                             .tick_data = studio};
}

static roll_t *make_piece(studio_t *studio, const compose_piece_t *piece) {
    roll_t *roll = compose_piece(studio->compose, piece);
    progress_end(&studio->progress);
    return roll;
}

static gboolean write_piece(const studio_t *studio, const char *name, const char *title, roll_t *roll, const result_time_t *time, GPtrArray *texts,
                            GError **error) {
    verb_set_key(studio->writer, name, roll, texts);
    return result_write(studio->writer, name, title, roll, time, texts, error);
}

/* ---- new pieces ---- */

/* prior and song: they differ in length. */
static gboolean write_new(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const result_time_t time = verb_own_time(writer);
    const size_t frames = verb_bars_frames(writer, time, cli->bars);
    g_auto(studio_t) studio = {0};
    if (!studio_open(&studio, writer, error)) return FALSE;
    studio.total = (size_t)cli->count * frames;
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, frames);
        piece.latents.noise = cli->temperature;
        g_autoptr(roll_t) roll = make_piece(&studio, &piece);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_autofree char *name = g_strdup_printf("%s-%03zu", verb_name(cli->verb), index);
        g_autofree char *title = g_strdup_printf("%s %zu · seed %" G_GINT64_FORMAT " · temperature %g · %d bar%s", verb_name(cli->verb), index,
                                                 cli->seed, cli->temperature, cli->bars, cli->bars == 1 ? "" : "s");
        if (!write_piece(&studio, name, title, roll, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Frames of the song that are kept: without the silence after the bar in which it ends, which would only ask for more silence. */
static size_t count_kept(const result_writer_t *writer, const roll_t *song, result_time_t time) {
    const cli_t *cli = writer->cli;
    const double bar = sample_bar_frames(&writer->model->head.grid, time.meter);
    const size_t frame_bytes = song->tracks * ROLL_PLANES * song->stride;
    size_t bytes = song->frames * frame_bytes;
    while (bytes > 0 && song->bits[bytes - 1] == 0) bytes--;
    const double end = ceil((double)bytes / (double)frame_bytes), bars = ceil(end / bar - 1e-9);
    if (cli->keep > bars)
        program_say("warning: %s: has %.0f bar%s, not the %d of --keep: all is kept\n", cli->files[0], bars, bars == 1 ? "" : "s", cli->keep);
    return MIN(song->frames, verb_bars_frames(writer, time, cli->keep > 0 ? fmin(cli->keep, bars) : bars));
}

/* What follows the first `kept` frames, as a piece of its own, from the bar line before it on: in the song's part of that bar is silence. */
static roll_t *cut_roll(const roll_t *roll, size_t kept, double bar) {
    const size_t frame_bytes = roll->tracks * ROLL_PLANES * roll->stride, first = (size_t)floor(floor((double)kept / bar + 1e-9) * bar);
    roll_t *part = roll_new(roll->frames - first, roll->tracks, roll->pitches);
    memcpy(part->bits + (kept - first) * frame_bytes, roll->bits + kept * frame_bytes, (roll->frames - kept) * frame_bytes);
    roll_make_canonical(part);
    return part;
}

static gboolean write_continue(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    result_time_t time;
    g_autoptr(roll_t) song = verb_read_song(writer, cli->files[0], &time, error);
    g_auto(studio_t) studio = {0};
    if (song == NULL || !studio_open(&studio, writer, error)) return FALSE;
    const size_t kept = count_kept(writer, song, time);
    const double bar = sample_bar_frames(&writer->model->head.grid, time.meter);
    const size_t frames = verb_bars_frames(writer, time, ceil((double)kept / bar - 1e-9) + cli->bars);
    studio.total = (size_t)cli->count * frames;
    g_autofree char *stem = verb_stem(cli->files[0]);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, frames);
        piece.latents.noise = cli->temperature;
        piece.given = song;
        piece.given_frames = kept;
        g_autoptr(roll_t) whole = make_piece(&studio, &piece), part = cli->only_new ? cut_roll(whole, kept, bar) : NULL;
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_text(texts, "song: %s", stem);
        result_add_text(texts, "kept: %zu frames", kept);
        g_autofree char *name = g_strdup_printf("continue-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf("continue %zu · %s, from bar %.4g on · seed %" G_GINT64_FORMAT " · temperature %g", index, stem,
                                                 (double)kept / bar + 1, cli->seed, cli->temperature);
        if (!write_piece(&studio, name, title, cli->only_new ? part : whole, &time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* ---- from a song's latents ---- */

/* Part of a song: from --bar on, --bars long or to its end. */
typedef struct {
    result_time_t time;
    size_t frames;
    real_t *mu; /* [compose_segments(frames), Z], owned */
} part_t;

static void part_clear(part_t *part) { g_clear_pointer(&part->mu, g_free); }
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(part_t, part_clear)

/* The roll with silence up to so many frames, where it has fewer. Takes roll. */
static roll_t *pad_roll(roll_t *roll, size_t frames) {
    g_autoptr(roll_t) given = roll;
    if (frames <= roll->frames) return g_steal_pointer(&given);
    roll_t *padded = roll_new(frames, roll->tracks, roll->pitches);
    memcpy(padded->bits, roll->bits, roll->frames * roll->tracks * ROLL_PLANES * roll->stride);
    return padded;
}

/* main: the song whose bars are counted, NULL: this one. Whole bars, the last filled up with silence, where bars are asked for, and where two songs meet, whose bars
 * may differ. */
static gboolean read_part(const studio_t *studio, const char *path, const part_t *main, part_t *part, GError **error) {
    const result_writer_t *writer = studio->writer;
    const int bars = writer->cli->bars;
    size_t first;
    roll_t *roll = verb_read_song(writer, path, &part->time, error);
    if (roll == NULL) return FALSE;
    const result_time_t time = main != NULL ? main->time : part->time;
    const double bar = sample_bar_frames(&writer->model->head.grid, time.meter);
    if (!verb_first_frame(writer, path, roll, part->time, &first, error)) {
        roll_free(roll);
        return FALSE;
    }
    const double there = (double)(roll->frames - first) / bar;
    part->frames = bars > 0 || writer->cli->verb == VERB_INTERPOLATE ? verb_bars_frames(writer, time, ceil(there - 1e-9)) : roll->frames - first;
    if (bars > 0) part->frames = MIN(part->frames, verb_bars_frames(writer, time, bars));
    if (bars > there + 1e-9)
        program_say("warning: %s: has %.4g bar%s of %d/%d from bar %d on, not the %d of --bars: all is taken\n", path, there, there == 1 ? "" : "s",
                    time.meter.numerator, time.meter.denominator, writer->cli->bar, bars);
    g_autoptr(roll_t) filled = pad_roll(roll, first + part->frames);
    part->mu = compose_encode(studio->compose, filled, first, part->frames);
    return TRUE;
}

static gboolean write_reconstruct(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(studio_t) studio = {0};
    if (!studio_open(&studio, writer, error)) return FALSE;
    for (guint i = 0; i < cli->n_files; i++) {
        g_auto(part_t) part = {0};
        if (!read_part(&studio, cli->files[i], NULL, &part, error)) return FALSE;
        studio.total = studio.done + part.frames * (cli->n_files - i); /* the others: as if they were as long */
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, part.frames);
        piece.latents.centres = part.mu;
        piece.latents.segments = compose_segments(studio.compose, part.frames);
        g_autoptr(roll_t) roll = make_piece(&studio, &piece);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_autofree char *stem = verb_stem(cli->files[i]), *name = verb_song_name(writer, i, names);
        g_autofree char *title = g_strdup_printf("reconstruct · %s", stem);
        result_add_text(texts, "song: %s", stem);
        if (!write_piece(&studio, name, title, roll, &part.time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Mean and deviation between posterior and prior: variance keep^2 + noise^2 = 1 in units of the prior's. */
static gboolean write_vary(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) part = {0};
    if (!studio_open(&studio, writer, error) || !read_part(&studio, cli->files[0], NULL, &part, error)) return FALSE;
    studio.total = (size_t)cli->count * part.frames;
    g_autofree char *stem = verb_stem(cli->files[0]);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, part.frames);
        piece.latents.centres = part.mu;
        piece.latents.segments = compose_segments(studio.compose, part.frames);
        piece.latents.keep = sqrt(1 - cli->amount * cli->amount);
        piece.latents.noise = cli->amount;
        g_autoptr(roll_t) roll = make_piece(&studio, &piece);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_text(texts, "song: %s", stem);
        g_autofree char *name = g_strdup_printf("vary-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf("vary %zu · %s · amount %g · seed %" G_GINT64_FORMAT, index, stem, cli->amount, cli->seed);
        if (!write_piece(&studio, name, title, roll, &part.time, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Pieces that belong together: written one by one as NAME-001 ..., and as one sheet NAME. */
static gboolean write_steps(studio_t *studio, const char *name, const char *title, const char *about, const compose_piece_t *pieces,
                            char *const *labels, size_t n, const result_time_t *time, GError **error) {
    g_autoptr(GPtrArray) rolls = g_ptr_array_new_with_free_func((GDestroyNotify)roll_free);
    studio->total = n * pieces[0].frames;
    for (size_t i = 0; i < n; i++) {
        roll_t *roll = make_piece(studio, &pieces[i]);
        g_ptr_array_add(rolls, roll);
        g_autofree char *step = g_strdup_printf("%s-%03zu", name, i + 1), *heading = g_strdup_printf("%s · %s", title, labels[i]);
        g_autoptr(GPtrArray) texts = result_texts(studio->writer, i + 1);
        result_add_text(texts, "%s", about);
        result_add_text(texts, "step: %s", labels[i]);
        if (!write_piece(studio, step, heading, roll, time, texts, error)) return FALSE;
    }
    g_autoptr(GPtrArray) texts = result_texts(studio->writer, 0);
    result_add_text(texts, "%s", about);
    return result_write_sheet(studio->writer, name, title, (roll_t *const *)rolls->pdata, labels, n, time, texts, error);
}

/* One piece that is A at its first segment and B at its last. */
static gboolean write_morph(studio_t *studio, const part_t *a, const part_t *b, size_t frames, const char *title, const char *about, GError **error) {
    const size_t Z = studio->writer->model->head.model.latent, W = compose_segments(studio->compose, frames);
    g_autofree real_t *z = g_new(real_t, W * Z);
    for (size_t w = 0; w < W; w++) latent_slerp(a->mu + w * Z, b->mu + w * Z, W > 1 ? (double)w / (double)(W - 1) : 0, z + w * Z, Z);
    compose_piece_t piece = plan_piece(studio, 1, frames);
    piece.latents.centres = z;
    piece.latents.segments = W;
    studio->total = frames;
    g_autoptr(roll_t) roll = make_piece(studio, &piece);
    g_autoptr(GPtrArray) texts = result_texts(studio->writer, 1);
    result_add_text(texts, "%s", about);
    return write_piece(studio, "morph", title, roll, &a->time, texts, error);
}

static gboolean write_interpolate(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->head.model.latent, n = (size_t)cli->steps;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) a = {0}, b = {0};
    if (!studio_open(&studio, writer, error) || !read_part(&studio, cli->files[0], NULL, &a, error) ||
        !read_part(&studio, cli->files[1], &a, &b, error))
        return FALSE;
    const size_t frames = MIN(a.frames, b.frames), W = compose_segments(studio.compose, frames);
    g_autofree char *from = verb_stem(cli->files[0]), *to = verb_stem(cli->files[1]);
    g_autofree char *title = g_strdup_printf("%s · %s to %s", cli->morph ? "morph" : "interpolate", from, to);
    g_autofree char *about = g_strdup_printf("songs: %s to %s", from, to);
    if (cli->morph) return write_morph(&studio, &a, &b, frames, title, about, error);
    g_autofree real_t *z = g_new(real_t, n * W * Z);
    g_autofree compose_piece_t *pieces = g_new(compose_piece_t, n);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i / (double)(n - 1);
        for (size_t w = 0; w < W; w++) latent_slerp(a.mu + w * Z, b.mu + w * Z, t, z + (i * W + w) * Z, Z);
        pieces[i] = plan_piece(&studio, i + 1, frames);
        pieces[i].latents.centres = z + i * W * Z;
        pieces[i].latents.segments = W;
        labels[i] = g_strdup_printf("%zu: %.0f %%", i + 1, t * 100);
    }
    return write_steps(&studio, "interpolate", title, about, pieces, labels, n, &a.time, error);
}

typedef struct {
    size_t feature;
    double sd;
} activity_t;

static int compare_activity(const void *a, const void *b) {
    const double x = ((const activity_t *)a)->sd, y = ((const activity_t *)b)->sd;
    return (x < y) - (x > y);
}

/* Which features the song moves, by the standard deviation of their posterior means over its segments: the others are likely to do nothing. */
static void say_activity(const char *path, const real_t *mu, size_t W, size_t Z, size_t feature) {
    enum { SHOWN = 5 };
    g_autofree activity_t *all = g_new(activity_t, Z);
    double own = 0;
    for (size_t i = 0; i < Z; i++) {
        double sum = 0, squares = 0;
        for (size_t w = 0; w < W; w++) {
            sum += mu[w * Z + i];
            squares += (double)mu[w * Z + i] * mu[w * Z + i];
        }
        const double mean = sum / (double)W, variance = squares / (double)W - mean * mean;
        all[i] = (activity_t){.feature = i, .sd = sqrt(fmax(0, variance))};
        if (i == feature) own = all[i].sd;
    }
    qsort(all, Z, sizeof *all, compare_activity);
    program_say("%s: latent feature %zu varies by %.2g over the song; those that vary most:", path, feature, own);
    for (size_t i = 0; i < MIN(SHOWN, Z); i++) fprintf(stderr, "%s %zu (%.2g)", i > 0 ? "," : "", all[i].feature, all[i].sd);
    fputc('\n', stderr);
}

static gboolean write_traverse(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t n = (size_t)cli->steps, dim = (size_t)cli->dim;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) part = {0};
    if (!studio_open(&studio, writer, error) || !read_part(&studio, cli->files[0], NULL, &part, error)) return FALSE;
    const size_t W = compose_segments(studio.compose, part.frames);
    if (!cli->quiet) say_activity(cli->files[0], part.mu, W, writer->model->head.model.latent, dim);
    g_autofree compose_piece_t *pieces = g_new(compose_piece_t, n);
    g_auto(GStrv) labels = g_new0(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const double by = VERB_TRAVERSE_END * (2.0 * (double)i / (double)(n - 1) - 1);
        pieces[i] = plan_piece(&studio, i + 1, part.frames);
        pieces[i].latents.centres = part.mu;
        pieces[i].latents.segments = W;
        pieces[i].latents.feature = dim;
        pieces[i].latents.by = by;
        labels[i] = g_strdup_printf("z%zu %+.2f", dim, by);
    }
    g_autofree char *stem = verb_stem(cli->files[0]), *name = g_strdup_printf("traverse-%zu", dim);
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim), *about = g_strdup_printf("song: %s", stem);
    return write_steps(&studio, name, title, about, pieces, labels, n, &part.time, error);
}

const verb_write_t verbs_piece[VERB_COUNT] = {
    [VERB_PRIOR] = write_new,         [VERB_SONG] = write_new,
    [VERB_CONTINUE] = write_continue, [VERB_RECONSTRUCT] = write_reconstruct,
    [VERB_VARY] = write_vary,         [VERB_INTERPOLATE] = write_interpolate,
    [VERB_TRAVERSE] = write_traverse,
};
