/* Owns the verbs of the sequence model: which latents, how many frames, which names. Refuses features and
 * bars that the model or the song does not have. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/common/progress.h"
#include "sampler/command/verb.h"
#include "sampler/make/compose.h"
#include "sampler/make/latent.h"

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

static gboolean write_piece(const studio_t *studio, const char *name, const char *title, roll_t *roll,
                            const timeline_t *timeline, GPtrArray *texts, GError **error) {
    verb_set_key(studio->writer, name, roll, texts);
    return result_write(studio->writer, name, title, roll, timeline, texts, error);
}

/* ---- new pieces ---- */

/* prior and song: they differ in length. */
static gboolean write_new(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_autoptr(timeline_t) timeline = verb_own_timeline(writer);
    const size_t frames = verb_bars_frames(timeline, (size_t)cli->bars);
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
        g_autofree char *title = g_strdup_printf(
            "%s %zu · seed %" G_GINT64_FORMAT " · temperature %g · %d bar%s", verb_name(cli->verb), index,
            cli->seed, cli->temperature, cli->bars, cli->bars == 1 ? "" : "s");
        if (!write_piece(&studio, name, title, roll, timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Frames of the song that are kept: without the silence after the bar in which it ends, which would only ask
 * for more silence. */
static size_t count_kept(const cli_t *cli, const verb_song_t *song) {
    const roll_t *roll = song->roll;
    const size_t frame_bytes = roll->tracks * ROLL_PLANES * roll->stride;
    size_t bytes = roll->frames * frame_bytes;
    while (bytes > 0 && roll->bits[bytes - 1] == 0) bytes--;
    const size_t bars = verb_bars_of(song->timeline, (bytes + frame_bytes - 1) / frame_bytes),
                 keep = (size_t)MAX(cli->keep, 0); /* 0: all */
    if (keep > bars)
        program_say("warning: %s: has %zu bar%s, not the %zu of --keep: all is kept\n", cli->files[0], bars,
                    bars == 1 ? "" : "s", keep);
    return MIN(roll->frames, verb_bars_frames(song->timeline, keep > 0 ? MIN(keep, bars) : bars));
}

/* What follows the first `kept` frames, as a piece of its own from frame `first` on, the bar line before: in
 * the song's part of that bar is silence. */
static roll_t *cut_roll(const roll_t *roll, size_t kept, size_t first) {
    const size_t frame_bytes = roll->tracks * ROLL_PLANES * roll->stride;
    roll_t *part = roll_new(roll->frames - first, roll->tracks, roll->pitches);
    memcpy(part->bits + (kept - first) * frame_bytes, roll->bits + kept * frame_bytes,
           (roll->frames - kept) * frame_bytes);
    roll_make_canonical(part);
    return part;
}

/* New music goes on in the last tempo and meter of what is kept. */
static gboolean write_continue(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_auto(verb_song_t) song = {0};
    g_auto(studio_t) studio = {0};
    if (!verb_read_song(writer, cli->files[0], &song, error) || !studio_open(&studio, writer, error))
        return FALSE;
    const size_t kept = count_kept(cli, &song);
    g_autoptr(timeline_t) timeline = timeline_slice(song.timeline, 0, (int64_t)kept);
    const double bar = timeline_bar_at(timeline, (double)kept);
    const size_t frames = verb_bars_frames(timeline, verb_bars_of(timeline, kept) + (size_t)cli->bars);
    const size_t first = (size_t)floor(timeline_bar_frame(timeline, (size_t)(bar + 1e-9)) + 1e-9);
    g_autoptr(timeline_t) after = timeline_slice(timeline, (int64_t)first, (int64_t)(frames - first));
    studio.total = (size_t)cli->count * frames;
    g_autofree char *stem = verb_stem(cli->files[0]);
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, frames);
        piece.latents.noise = cli->temperature;
        piece.given = song.roll;
        piece.given_frames = kept;
        g_autoptr(roll_t) whole = make_piece(&studio, &piece),
                          part = cli->only_new ? cut_roll(whole, kept, first) : NULL;
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        result_add_text(texts, "song: %s", stem);
        result_add_text(texts, "kept: %zu frames", kept);
        g_autofree char *name = g_strdup_printf("continue-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf(
            "continue %zu · %s, from bar %.4g on · seed %" G_GINT64_FORMAT " · temperature %g", index, stem,
            bar + 1, cli->seed, cli->temperature);
        if (!write_piece(&studio, name, title, cli->only_new ? part : whole, cli->only_new ? after : timeline,
                         texts, error))
            return FALSE;
    }
    return TRUE;
}

/* ---- from a song's latents ---- */

/* Part of a song: from --bar on, --bars long or to its end. */
typedef struct {
    verb_song_t song;
    size_t first, frames;
    timeline_t *timeline; /* by which its bars are counted, from `first` on */
    real_t *mu;           /* [compose_segments(frames), Z], owned */
} part_t;

static void part_clear(part_t *part) {
    verb_song_clear(&part->song);
    g_clear_pointer(&part->timeline, timeline_free);
    g_clear_pointer(&part->mu, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(part_t, part_clear)

/* The roll with silence up to so many frames, where it has fewer. Takes roll. */
static roll_t *pad_roll(roll_t *roll, size_t frames) {
    g_autoptr(roll_t) given = roll;
    if (frames <= roll->frames) return g_steal_pointer(&given);
    roll_t *padded = roll_new(frames, roll->tracks, roll->pitches);
    memcpy(padded->bits, roll->bits, roll->frames * roll->tracks * ROLL_PLANES * roll->stride);
    return padded;
}

static gboolean open_part(const studio_t *studio, const char *path, part_t *part, GError **error) {
    verb_song_t *song = &part->song;
    if (!verb_read_song(studio->writer, path, song, error) ||
        !verb_first_frame(studio->writer, path, song, &part->first, error))
        return FALSE;
    part->timeline =
        timeline_slice(song->timeline, (int64_t)part->first, (int64_t)(song->roll->frames - part->first));
    return TRUE;
}

/* How long the part is, and its latents. Whole bars, the last filled up with silence, where bars are asked
 * for, and where two songs meet, whose bars may differ. */
static void encode_part(const studio_t *studio, const char *path, part_t *part) {
    const cli_t *cli = studio->writer->cli;
    const timeline_t *timeline = part->timeline;
    const size_t left = part->song.roll->frames - part->first;
    const double there = timeline_bar_at(timeline, (double)left);
    part->frames = cli->bars > 0 || cli->verb == VERB_INTERPOLATE
                       ? verb_bars_frames(timeline, verb_bars_of(timeline, left))
                       : left;
    if (cli->bars > 0) part->frames = MIN(part->frames, verb_bars_frames(timeline, (size_t)cli->bars));
    if (cli->bars > there + 1e-9) {
        g_autofree char *meters = result_meters_text(timeline);
        program_say("warning: %s: has %.4g bar%s of %s from bar %d on, not the %d of --bars: all is taken\n",
                    path, there, there == 1 ? "" : "s", meters, cli->bar, cli->bars);
    }
    g_autoptr(roll_t) filled = pad_roll(g_steal_pointer(&part->song.roll), part->first + part->frames);
    part->mu = compose_encode(studio->compose, filled, part->first, part->frames);
}

static gboolean read_part(const studio_t *studio, const char *path, part_t *part, GError **error) {
    if (!open_part(studio, path, part, error)) return FALSE;
    encode_part(studio, path, part);
    return TRUE;
}

/* Two parts whose bars are counted alike: by the map that both songs share, or by a's main meter. */
static gboolean read_pair(const studio_t *studio, part_t *a, part_t *b, GError **error) {
    char *const *paths = studio->writer->cli->files;
    if (!open_part(studio, paths[0], a, error) || !open_part(studio, paths[1], b, error)) return FALSE;
    const size_t frames = MIN(a->song.roll->frames - a->first, b->song.roll->frames - b->first);
    timeline_t *timeline = verb_common_timeline(&a->song, a->first, &b->song, b->first, frames);
    timeline_free(a->timeline);
    timeline_free(b->timeline);
    a->timeline = timeline;
    b->timeline = timeline_slice(timeline, 0, (int64_t)frames);
    encode_part(studio, paths[0], a);
    encode_part(studio, paths[1], b);
    return TRUE;
}

static gboolean write_reconstruct(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(studio_t) studio = {0};
    if (!studio_open(&studio, writer, error)) return FALSE;
    for (guint i = 0; i < cli->n_files; i++) {
        g_auto(part_t) part = {0};
        if (!read_part(&studio, cli->files[i], &part, error)) return FALSE;
        studio.total =
            studio.done + part.frames * (cli->n_files - i); /* the others: as if they were as long */
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = plan_piece(&studio, index, part.frames);
        piece.latents.centres = part.mu;
        piece.latents.segments = compose_segments(studio.compose, part.frames);
        g_autoptr(roll_t) roll = make_piece(&studio, &piece);
        g_autoptr(GPtrArray) texts = result_texts(writer, index);
        g_autofree char *stem = verb_stem(cli->files[i]), *name = verb_song_name(writer, i, names);
        g_autofree char *title = g_strdup_printf("reconstruct · %s", stem);
        result_add_text(texts, "song: %s", stem);
        if (!write_piece(&studio, name, title, roll, part.timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Mean and deviation between posterior and prior: variance keep^2 + noise^2 = 1 in units of the prior's. */
static gboolean write_vary(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) part = {0};
    if (!studio_open(&studio, writer, error) || !read_part(&studio, cli->files[0], &part, error))
        return FALSE;
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
        g_autofree char *title = g_strdup_printf("vary %zu · %s · amount %g · seed %" G_GINT64_FORMAT, index,
                                                 stem, cli->amount, cli->seed);
        if (!write_piece(&studio, name, title, roll, part.timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

/* Pieces that belong together: written one by one as NAME-001 ..., and as one sheet NAME. */
static gboolean write_steps(studio_t *studio, const char *name, const char *title, const char *about,
                            const compose_piece_t *pieces, char *const *labels, size_t n,
                            const timeline_t *timeline, GError **error) {
    g_autoptr(GPtrArray) rolls = g_ptr_array_new_with_free_func((GDestroyNotify)roll_free);
    studio->total = n * pieces[0].frames;
    for (size_t i = 0; i < n; i++) {
        roll_t *roll = make_piece(studio, &pieces[i]);
        g_ptr_array_add(rolls, roll);
        g_autofree char *step = g_strdup_printf("%s-%03zu", name, i + 1),
                        *heading = g_strdup_printf("%s · %s", title, labels[i]);
        g_autoptr(GPtrArray) texts = result_texts(studio->writer, i + 1);
        result_add_text(texts, "%s", about);
        result_add_text(texts, "step: %s", labels[i]);
        if (!write_piece(studio, step, heading, roll, timeline, texts, error)) return FALSE;
    }
    g_autoptr(GPtrArray) texts = result_texts(studio->writer, 0);
    result_add_text(texts, "%s", about);
    return result_write_sheet(studio->writer, name, title, (roll_t *const *)rolls->pdata, labels, n, timeline,
                              texts, error);
}

/* One piece that is A at its first segment and B at its last. */
static gboolean write_morph(studio_t *studio, const part_t *a, const part_t *b, size_t frames,
                            const char *title, const char *about, GError **error) {
    const size_t Z = studio->writer->model->checkpoint.model.latent,
                 W = compose_segments(studio->compose, frames);
    g_autofree real_t *z = g_new(real_t, W * Z);
    for (size_t w = 0; w < W; w++)
        latent_slerp(a->mu + w * Z, b->mu + w * Z, W > 1 ? (double)w / (double)(W - 1) : 0, z + w * Z, Z);
    compose_piece_t piece = plan_piece(studio, 1, frames);
    piece.latents.centres = z;
    piece.latents.segments = W;
    studio->total = frames;
    g_autoptr(roll_t) roll = make_piece(studio, &piece);
    g_autoptr(GPtrArray) texts = result_texts(studio->writer, 1);
    result_add_text(texts, "%s", about);
    return write_piece(studio, "morph", title, roll, a->timeline, texts, error);
}

static gboolean write_interpolate(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t Z = writer->model->checkpoint.model.latent, n = (size_t)cli->steps;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) a = {0}, b = {0};
    if (!studio_open(&studio, writer, error) || !read_pair(&studio, &a, &b, error)) return FALSE;
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
    return write_steps(&studio, "interpolate", title, about, pieces, labels, n, a.timeline, error);
}

typedef struct {
    size_t feature;
    double sd;
} activity_t;

static int compare_activity(const void *a, const void *b) {
    const double x = ((const activity_t *)a)->sd, y = ((const activity_t *)b)->sd;
    return (x < y) - (x > y);
}

/* Which features the song moves, by the standard deviation of their posterior means over its segments: the
 * others are likely to do nothing. */
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
    program_say("%s: latent feature %zu varies by %.2g over the song; those that vary most:", path, feature,
                own);
    for (size_t i = 0; i < MIN(SHOWN, Z); i++)
        fprintf(stderr, "%s %zu (%.2g)", i > 0 ? "," : "", all[i].feature, all[i].sd);
    fputc('\n', stderr);
}

static gboolean write_traverse(const result_writer_t *writer, GError **error) {
    const cli_t *cli = writer->cli;
    const size_t n = (size_t)cli->steps, dim = (size_t)cli->dim;
    g_auto(studio_t) studio = {0};
    g_auto(part_t) part = {0};
    if (!studio_open(&studio, writer, error) || !read_part(&studio, cli->files[0], &part, error))
        return FALSE;
    const size_t W = compose_segments(studio.compose, part.frames);
    if (!cli->quiet) say_activity(cli->files[0], part.mu, W, writer->model->checkpoint.model.latent, dim);
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
    g_autofree char *title = g_strdup_printf("traverse · %s · feature %zu", stem, dim),
                    *about = g_strdup_printf("song: %s", stem);
    return write_steps(&studio, name, title, about, pieces, labels, n, part.timeline, error);
}

const verb_write_t verbs_piece[VERB_COUNT] = {
    [VERB_PRIOR] = write_new,         [VERB_SONG] = write_new,
    [VERB_CONTINUE] = write_continue, [VERB_RECONSTRUCT] = write_reconstruct,
    [VERB_VARY] = write_vary,         [VERB_INTERPOLATE] = write_interpolate,
    [VERB_TRAVERSE] = write_traverse,
};
