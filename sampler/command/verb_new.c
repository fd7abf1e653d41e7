/* verb_new: owns the verbs prior, song and continue: pieces with latents of their own, not a song's. */
#include <math.h>

#include "preprocess/common/program.h"
#include "sampler/command/job.h"
#include "sampler/command/rows.h"
#include "sampler/make/latent.h"

/* A piece for each --latent, else --count of them. */
static size_t count_pieces(const job_t *job) {
    return job->latents ? g_strv_length(job->cli->latents) : (size_t)job->cli->count;
}

/* Writes new pieces of so many frames; length: what their titles say of that. */
static gboolean write_new(job_t *job, const timeline_t *timeline, size_t frames, const char *length,
                          GError **error) {
    const cli_t *cli = job->cli;
    const size_t Z = job->model->checkpoint.model.latent, count = count_pieces(job);
    job->total = count * frames;
    for (size_t i = 0; i < count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = job_plan(job, index, frames, timeline);
        g_autoptr(GPtrArray) texts = job_texts(job, index);
        g_autofree char *name = g_strdup_printf("%s-%03zu", cli->verb->name, index), *title = NULL;
        if (job->latents) {
            piece.latents.centres = job->latents + i * Z;
            title = g_strdup_printf("prior %zu · given latent vector", index);
        } else {
            piece.latents.noise = cli->temperature;
            title = g_strdup_printf("%s %zu · seed %" G_GINT64_FORMAT " · temperature %g%s", cli->verb->name,
                                    index, cli->seed, cli->temperature, length);
        }
        if (job->latents && job->shift) {
            g_autofree char *given = latent_to_text(piece.latents.centres, Z);
            job_add_text(texts, "given: %s", given);
        }
        if (!job_write_piece(job, &piece, name, title, timeline, texts, error)) return FALSE;
    }
    return TRUE;
}

static gboolean write_bars(job_t *job, GError **error) {
    const int bars = job->cli->bars;
    g_autoptr(timeline_t) timeline = job_own_timeline(job);
    g_autofree char *length =
        g_strdup_printf(" · %d %s", bars, g_dngettext(NULL, "bar", "bars", (gulong)bars));
    return write_new(job, timeline, timeline_frames_of(timeline, (size_t)bars), length, error);
}

static gboolean run_prior(job_t *job, GError **error) {
    g_autoptr(timeline_t) timeline = job_own_timeline(job);
    return job_is_dense(job) ? write_new(job, timeline, job->model->checkpoint.model.window, "", error)
                             : write_bars(job, error);
}

static const option_t prior_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(.excludes = "latent", .because = "one result a vector"),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(.excludes = "latent", .because = "a given vector is not drawn"),
    LIST("latent", latents, DENSE, "V1,V2,...", "decode this latent vector (may be given several times)",
         .instead = "--seed and --first make a piece again"),
    BARS_ROW(SEQUENCE | TOLD, "8", "length of each piece",
             .instead = "a piece is one window; see the verb song"),
    METER_ROW(SEQUENCE | TOLD, "meter of the piece (default: the training songs')"),
    KEY_ROW,
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_prior = {
    .name = "prior",
    .takes = "",
    .summary = "New pieces drawn from the model's prior; of a dense model one window each.",
    .example = "prior --checkpoint best.h5 -n 8 --seed 1 --picture",
    .kinds = ANY,
    .draws = TRUE,
    .rows = prior_rows,
    .check = cli_check_meter,
    .run = run_prior,
};

static gboolean run_song(job_t *job, GError **error) {
    job->path = TRUE;
    return write_bars(job, error);
}

static const option_t song_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(),
    BARS_ROW(ANY | TOLD, "64", "length of the piece"),
    METER_ROW(SEQUENCE | TOLD, "meter of the piece (default: the training songs')"),
    KEY_ROW,
    NUMBER("correlation", 0, OPTION_REAL, correlation, DENSE | TOLD, "X", "0.8",
           "of neighbouring windows: 0 jumps, 1 stays where it began", 0, 1,
           .instead = "it goes on from what it has written; see --temperature"),
    ATTRIBUTE_ROWS,
    WINDOW_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_song = {
    .name = "song",
    .takes = "",
    .summary = "A long piece; of a dense model along a smooth path in latent space, windows cross-faded.",
    .example = "song --checkpoint best.h5 --bars 64 --key Am --audio",
    .kinds = ANY,
    .draws = TRUE,
    .rows = song_rows,
    .check = cli_check_meter,
    .run = run_song,
};

/* Frames of the song that are kept. The silence after the bar in which it ends is not: it would only ask for
 * more silence. */
static size_t count_kept(const cli_t *cli, const part_t *song) {
    const size_t bars = timeline_bars_of(song->timeline, roll_sounding_end(song->roll)),
                 keep = (size_t)MAX(cli->keep, 0); /* 0: all */
    if (keep > bars)
        program_say("warning: %s: has %zu %s, not the %zu of --keep: all is kept\n", cli->files[0], bars,
                    g_dngettext(NULL, "bar", "bars", bars), keep);
    return MIN(song->roll->frames, timeline_frames_of(song->timeline, keep > 0 ? MIN(keep, bars) : bars));
}

/* What follows the first `kept` frames, as a piece that begins at frame `first`, the bar line before them;
 * the song's part of that bar becomes silence. */
static roll_t *cut_roll(const roll_t *roll, size_t kept, size_t first) {
    roll_t *part = roll_new(roll->frames - first, roll->tracks, roll->pitches);
    roll_copy(roll, kept, roll->frames - kept, part, kept - first);
    roll_make_canonical(part);
    return part;
}

/* New music goes on in the last tempo and meter of what is kept. */
static gboolean run_continue(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    g_auto(part_t) song = {0};
    if (!job_open_part(job, cli->files[0], &song, error)) return FALSE;
    const size_t kept = count_kept(cli, &song);
    g_autoptr(timeline_t) timeline = timeline_slice(song.timeline, 0, (int64_t)kept);
    const double bar = timeline_bar_at(timeline, (double)kept);
    const size_t frames = timeline_frames_of(timeline, timeline_bars_of(timeline, kept) + (size_t)cli->bars),
                 first = (size_t)floor(timeline_bar_frame(timeline, (size_t)(bar + 1e-9)) + 1e-9);
    g_autoptr(timeline_t) after = timeline_slice(timeline, (int64_t)first, (int64_t)(frames - first));
    g_autofree char *stem = job_stem(cli->files[0]);
    g_autoptr(GArray) z = g_array_new(FALSE, FALSE, sizeof(real_t));
    job->total = (size_t)cli->count * frames;
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        const size_t index = (size_t)cli->first + i;
        compose_piece_t piece = job_plan(job, index, frames, timeline);
        piece.latents.noise = cli->temperature;
        piece.given = song.roll;
        piece.given_frames = kept;
        g_autoptr(roll_t) whole = job_make(job, &piece, z, error);
        if (!whole) return FALSE;
        g_autoptr(roll_t) part = cli->only_new ? cut_roll(whole, kept, first) : NULL;
        g_autoptr(GPtrArray) texts = job_texts(job, index);
        job_add_text(texts, "song: %s", stem);
        job_add_text(texts, "kept: %zu frames", kept);
        g_autofree char *name = g_strdup_printf("continue-%s-%03zu", stem, index);
        g_autofree char *title = g_strdup_printf(
            "continue %zu · %s, from bar %.4g on · seed %" G_GINT64_FORMAT " · temperature %g", index, stem,
            bar + 1, cli->seed, cli->temperature);
        if (!job_write(job, name, title, part ? part : whole, part ? after : timeline, texts, error))
            return FALSE;
    }
    return TRUE;
}

static const option_t continue_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_ROW(),
    BARS_ROW(SEQUENCE | TOLD, "16", "how many bars to add"),
    UNSET("keep", 0, OPTION_INT, keep, SEQUENCE | TOLD, "N",
          "go on after so many bars of the song (default: all)", 1, 1000000),
    FLAG("only-new", 0, only_new, SEQUENCE | TOLD, "write the continuation without the song"),
    ATTRIBUTE_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_continue = {
    .name = "continue",
    .takes = "SONG.mid",
    .summary = "A song, and how a sequence model goes on with it.",
    .example = "continue --checkpoint best.h5 song.mid --bars 16 -n 4",
    .min_files = 1,
    .max_files = 1,
    .kinds = SEQUENCE,
    .draws = TRUE,
    .rows = continue_rows,
    .run = run_continue,
};
