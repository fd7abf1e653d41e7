/* verb_continue: owns the verb continue: a song, how the model goes on with it, and the song, if any, that it
 * comes to. */
#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/command/excerpt.h"
#include "sampler/command/rest.h"
#include "sampler/command/rows.h"
#include "sampler/make/known.h"

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

/* Reads the song that the music comes to, if any: its roll from its first bar on. */
static gboolean open_end(const job_t *job, part_t *end, GError **error) {
    return !job->cli->until || job_open_part(job, job->cli->until, end, error);
}

/* The notes of both, in their places, and how they are played. */
static void join_notes(const grid_t *grid, const part_t *song, const part_t *end, size_t kept, size_t written,
                       rest_t *rest) {
    const excerpt_t beginning = {0, 0, kept}, ending = {0, 0, end->roll ? end->roll->frames : 0};
    g_autofree played_t *first = NULL, *second = NULL;
    g_autoptr(roll_t) from = excerpt_take(song->roll, song->played, &beginning, &first),
                      to = end->roll ? excerpt_take(end->roll, end->played, &ending, &second) : NULL;
    const size_t n = roll_count_onsets(from->bits, kept, grid),
                 m = to ? roll_count_onsets(to->bits, to->frames, grid) : 0;
    rest->from = roll_new(rest->song->frames, from->tracks, from->pitches);
    roll_copy(from, 0, kept, rest->from, 0);
    if (to) roll_copy(to, 0, to->frames, rest->from, written);
    rest->played = g_new(played_t, n + m + 1);
    memcpy(rest->played, first, n * sizeof *first);
    if (to) memcpy(rest->played + n, second, m * sizeof *second);
    memcpy(rest->programs, song->programs, sizeof rest->programs);
}

/* New music goes on in the last tempo and meter of what is kept; the end has its own. */
static void join(const job_t *job, const part_t *song, const part_t *end, size_t kept, rest_t *rest) {
    rest->timeline = timeline_slice(song->timeline, 0, (int64_t)kept);
    const size_t written =
        timeline_frames_of(rest->timeline, timeline_bars_of(rest->timeline, kept) + (size_t)job->cli->bars);
    const size_t frames = written + (end->roll ? end->roll->frames : 0);
    if (end->roll) timeline_append(rest->timeline, (int64_t)written, end->timeline);
    rest->song = roll_new(frames, song->roll->tracks, song->roll->pitches);
    join_notes(&job->model->checkpoint.grid, song, end, kept, written, rest);
    roll_copy(rest->from, 0, frames, rest->song, 0);
    rest->known = known_all(rest->song);
    known_forget(rest->known, &(known_region_t){kept, written, ~0u, 0, song->roll->pitches});
}

static gboolean run_continue(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    g_auto(part_t) song = {0}, end = {0};
    g_auto(rest_t) rest = {0};
    if (!job_open_part(job, cli->files[0], &song, error) || !open_end(job, &end, error)) return FALSE;
    const size_t kept = count_kept(cli, &song);
    join(job, &song, &end, kept, &rest);
    const double bar = timeline_bar_at(rest.timeline, (double)kept);
    if (cli->only_new) {
        rest.cut = (size_t)floor(timeline_bar_frame(rest.timeline, (size_t)(bar + 1e-9)) + 1e-9);
        rest.cut_from = kept;
    }
    g_autofree char *about = g_strdup_printf(", from bar %.4g on", bar + 1);
    rest.about = about;
    return rest_write(job, &rest, error);
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
    TEXT("until", 0, until, SEQUENCE | TOLD, "END.mid", NULL,
         "come to this song, which follows the new bars"),
    LOOK_AHEAD_ROW,
    REST_ROWS,
    ATTRIBUTE_ROWS,
    NEW_SAMPLE_ROWS,
    MUSIC_ROWS,
};

/* The likelier of each cell heeds no wish. */
static gboolean check_continue(cli_t *cli, const model_config_t *model, GError **error) {
    static const char *const wishes[] = {"chords", "key", "density", "polyphony", "register"};
    (void)model;
    for (size_t i = 0; i < G_N_ELEMENTS(wishes); i++)
        if (option_given(&cli->line, wishes[i]) && (cli->greedy || cli->temperature <= 0))
            return option_fail(
                error, "--%s: needs notes that are drawn; leave out --greedy and --temperature 0", wishes[i]);
    return TRUE;
}

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
    .check = check_continue,
    .run = run_continue,
};
