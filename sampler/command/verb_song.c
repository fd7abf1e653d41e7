/* verb_song: owns the verbs reconstruct and vary: pieces with a song's latents, or near them. */
#include <math.h>
#include <string.h>

#include "sampler/command/excerpt.h"
#include "sampler/command/job.h"
#include "sampler/command/region.h"
#include "sampler/command/rest.h"
#include "sampler/command/rows.h"

/* "reconstruct-STEM" for the i-th file, with "-i" behind where names has that already, as for two songs of
 * one name from two folders. Added to names, which owns it. */
static const char *name_song(const char *stem, guint i, GHashTable *names) {
    char *name = g_strdup_printf("reconstruct-%s", stem);
    if (g_hash_table_contains(names, name)) {
        g_free(name);
        name = g_strdup_printf("reconstruct-%s-%u", stem, i + 1);
    }
    g_hash_table_add(names, name);
    return name;
}

static gboolean run_reconstruct(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < cli->n_files; i++) {
        g_auto(part_t) part = {.whole = TRUE};
        if (!job_read_part(job, cli->files[i], &part, error)) return FALSE;
        job->total = job->done + part.frames * (cli->n_files - i); /* as if all songs left were as long */
        const size_t index = (size_t)cli->first + i;
        const compose_piece_t piece = job_plan_part(job, index, &part);
        g_autoptr(GPtrArray) texts = job_texts(job, index);
        g_autofree char *stem = job_stem(cli->files[i]), *title = g_strdup_printf("reconstruct · %s", stem);
        job_add_text(texts, "song: %s", stem);
        if (!job_write_piece(job, &piece, name_song(stem, i, names), title, part.timeline, texts, error))
            return FALSE;
    }
    return TRUE;
}

static const option_t reconstruct_rows[] = {
    CHECKPOINT_ROW,
    NUMBER("first", 0, OPTION_INT, first, ANY, "N", "1", "number of the first song: its draws depend on it",
           1, 1000000, .excludes = "greedy"),
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static gboolean check_reconstruct(cli_t *cli, const model_config_t *model, GError **error) {
    if (!model || model->kind != MODEL_DENSE || cli->draw || !option_given(&cli->line, "first")) return TRUE;
    return option_fail(error, "--first needs --sample, or nothing reads it; give both or leave it out");
}

const verb_t verb_reconstruct = {
    .name = "reconstruct",
    .takes = "SONG.mid...",
    .summary = "What the model keeps of a song: encoded and decoded.",
    .example = "reconstruct --checkpoint best.h5 song.mid",
    .min_files = 1,
    .max_files = G_MAXUINT,
    .kinds = DENSE | VAE,
    .rows = reconstruct_rows,
    .check = check_reconstruct,
    .run = run_reconstruct,
};

/* Only some tracks or keys of the part are varied: the rest of it stays, and they are written around it. */
static gboolean vary_region(job_t *job, const roll_t *song, const part_t *part, const compose_latents_t *near,
                            GError **error) {
    const cli_t *cli = job->cli;
    g_auto(rest_t) rest = {.near = near};
    known_region_t region;
    if (!region_read(cli, &job->model->checkpoint.grid, part->frames, &region, error)) return FALSE;
    rest.from =
        excerpt_take(song, part->played, &(excerpt_t){part->first, part->first, part->frames}, &rest.played);
    memcpy(rest.programs, part->programs, sizeof rest.programs);
    rest.timeline = timeline_slice(part->timeline, 0, (int64_t)part->frames);
    rest.song = roll_new(part->frames, song->tracks, song->pitches);
    roll_copy(rest.from, 0, part->frames, rest.song, 0);
    rest.known = known_all(rest.song);
    known_forget(rest.known, &region);
    g_autofree char *about = g_strdup_printf(" · amount %g", cli->amount);
    rest.about = about;
    return rest_write(job, &rest, error);
}

static gboolean run_vary(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    g_auto(part_t) part = {0};
    if (!job_open_part(job, cli->files[0], &part, error)) return FALSE;
    g_autoptr(roll_t) song = roll_new(part.roll->frames, part.roll->tracks, part.roll->pitches);
    roll_copy(part.roll, 0, part.roll->frames, song, 0);
    job->kind->encode(job, cli->files[0], &part);
    /* keep^2 + noise^2 = 1, so that latents are spread as the prior's are. */
    const compose_latents_t near = {.centres = part.mu,
                                    .segments = part.n,
                                    .keep = sqrt(1 - cli->amount * cli->amount),
                                    .noise = cli->amount,
                                    .shift = job->shift,
                                    .feature = SIZE_MAX};
    if (cli->tracks || cli->keys) return vary_region(job, song, &part, &near, error);
    g_autofree char *stem = job_stem(cli->files[0]);
    job->total = (size_t)cli->count * part.frames;
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = job_plan_part(job, index, &part);
        piece.latents = near;
        g_autoptr(GPtrArray) texts = job_texts(job, index);
        job_add_text(texts, "song: %s", stem);
        g_autofree char *name = g_strdup_printf("vary-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf("vary %zu · %s · amount %g · seed %" G_GINT64_FORMAT, index,
                                                 stem, cli->amount, cli->seed);
        if (!job_write_piece(job, &piece, name, title, part.timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

static const option_t vary_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_NOTES_ROW,
    PART_ROWS,
    NUMBER("amount", 'a', OPTION_REAL, amount, ANY | TOLD, "X", "0.3",
           "0: the song as the model keeps it, 1: a draw from the prior", 0, 1),
    TEXT("tracks", 0, tracks, VAE | TOLD, "NAMES", NULL,
         "vary these tracks only, the others stay: bass,drums", .excludes = "greedy,sample,best-of"),
    TEXT("keys", 0, keys, VAE | TOLD, "LOW-HIGH", NULL, "vary these keys only, the others stay: C2-B3",
         .excludes = "greedy,sample,best-of"),
    PARTICLES_ROW(.needs = "tracks,keys"),
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    SONG_SAMPLE_ROWS,
    MUSIC_ROWS,
};

static gboolean check_vary(cli_t *cli, const model_config_t *model, GError **error) {
    (void)model;
    return !(cli->tracks || cli->keys) || cli->temperature > 0 ||
           option_fail(error, "--temperature 0: notes around those that stay are drawn; give more than 0");
}

const verb_t verb_vary = {
    .name = "vary",
    .takes = "SONG.mid",
    .summary = "Variations on a song: decoded from near its latent vectors.",
    .example = "vary --checkpoint best.h5 song.mid --amount 0.3 -n 4",
    .min_files = 1,
    .max_files = 1,
    .kinds = DENSE | VAE,
    .rows = vary_rows,
    .check = check_vary,
    .run = run_vary,
};
