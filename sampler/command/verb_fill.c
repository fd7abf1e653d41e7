/* verb_fill: owns the verbs fill, accompany and harmonise: a song of which a part stays and the rest is
 * written. Refuses bars, tracks and keys that are not there. */
#include <stdlib.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/command/region.h"
#include "sampler/command/rest.h"
#include "sampler/command/rows.h"
#include "sampler/make/known.h"

enum { PITCHES = 128 };

/* ---- which cells ---- */

/* Reads "9-12,17" as ranges of bars, counted from 1, and forgets them in known; region has the rest. */
static gboolean forget_bars(const char *text, const part_t *part, known_region_t region, const char *path,
                            roll_t *known, GError **error) {
    const size_t bars = timeline_bars_of(part->timeline, part->roll->frames);
    g_auto(GStrv) ranges = g_strsplit(text, ",", -1);
    for (size_t i = 0; ranges[i]; i++) {
        char *end = g_strstrip(ranges[i]);
        guint64 first = g_ascii_isdigit(*end) ? g_ascii_strtoull(end, &end, 10) : 0, last = first;
        if (*end == '-' && g_ascii_isdigit(end[1])) last = g_ascii_strtoull(end + 1, &end, 10);
        if (*end == '\0' && last < first)
            return option_fail(error, "--bars %s: %s is the wrong way round; give the first bar first", text,
                               ranges[i]);
        if (*end != '\0' || first == 0)
            return option_fail(error,
                               "--bars %s: '%s' is no range of bars; give one like 9-12, or several "
                               "with commas between",
                               text, ranges[i]);
        if (last > bars)
            return option_fail(error, "--bars %s: %s has %zu %s; give bars from 1 to %zu", text, path, bars,
                               g_dngettext(NULL, "bar", "bars", bars), bars);
        region.first = timeline_frames_of(part->timeline, (size_t)first - 1);
        region.end = MIN(timeline_frames_of(part->timeline, (size_t)last), part->roll->frames);
        known_forget(known, &region);
    }
    return TRUE;
}

/* The whole song, known in all its cells, filled up to its last bar's end. */
static gboolean open_rest(job_t *job, part_t *part, rest_t *rest, GError **error) {
    if (!job_open_part(job, job->cli->files[0], part, error)) return FALSE;
    memcpy(rest->programs, part->programs, sizeof rest->programs);
    rest->played = g_steal_pointer(&part->played);
    rest->from = roll_new(part->roll->frames, part->roll->tracks, part->roll->pitches);
    roll_copy(part->roll, 0, part->roll->frames, rest->from, 0);
    const size_t frames =
        timeline_frames_of(part->timeline, timeline_bars_of(part->timeline, part->roll->frames));
    rest->timeline = timeline_slice(part->timeline, 0, (int64_t)frames);
    rest->song = roll_new(MAX(frames, part->roll->frames), part->roll->tracks, part->roll->pitches);
    roll_copy(part->roll, 0, part->roll->frames, rest->song, 0);
    rest->known = known_all(rest->song);
    return TRUE;
}

/* ---- fill ---- */

/* The tracks in which the song has no notes. */
static unsigned silent_tracks(const roll_t *roll) {
    unsigned silent = 0;
    for (size_t k = 0; k < roll->tracks; k++) {
        size_t notes = 0;
        for (size_t t = 0; t < roll->frames; t++)
            notes += roll_count_bits(roll_plane(roll, t, k, PLANE_SOUNDING), roll->stride);
        if (notes == 0) silent |= 1u << k;
    }
    return silent;
}

static gboolean run_fill(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    const grid_t *grid = &job->model->checkpoint.grid;
    g_auto(part_t) part = {0};
    g_auto(rest_t) rest = {0};
    if (!open_rest(job, &part, &rest, error)) return FALSE;
    known_region_t region;
    if (!region_read(cli, grid, part.roll->frames, &region, error)) return FALSE;
    if (!cli->tracks)
        region.tracks &= ~silent_tracks(part.roll); /* instruments that the song does not have */
    if (!cli->where)
        known_forget(rest.known, &region);
    else if (!forget_bars(cli->where, &part, region, cli->files[0], rest.known, error))
        return FALSE;
    g_autofree char *about =
        g_strdup_printf("%s%s%s%s", cli->where ? " · bars " : "", cli->where ? cli->where : "",
                        cli->tracks ? " · " : "", cli->tracks ? cli->tracks : "");
    rest.about = about;
    return rest_write(job, &rest, error);
}

static gboolean check_fill(cli_t *cli, const model_config_t *model, GError **error) {
    (void)model;
    return cli->where || cli->tracks || cli->keys ||
           option_fail(error, "fill: what is to be written? Give --bars 9-12, --tracks bass or --keys C2-B3");
}

static const option_t fill_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_REST_ROW,
    TEXT("bars", 'b', where, SEQUENCE | TOLD, "FIRST-LAST", NULL, "write these bars: 9-12, or 9-12,17"),
    TEXT("tracks", 0, tracks, SEQUENCE | TOLD, "NAMES", NULL, "write these tracks only: bass,drums"),
    TEXT("keys", 0, keys, SEQUENCE | TOLD, "LOW-HIGH", NULL, "write these keys only: C2-B3"),
    LOOK_AHEAD_ROW,
    REST_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_fill = {
    .name = "fill",
    .takes = "SONG.mid",
    .summary = "Your song with some bars, tracks or keys written anew so that they fit the rest.",
    .example = "fill --checkpoint best.h5 song.mid --bars 9-12 --tracks bass,drums -n 4",
    .min_files = 1,
    .max_files = 1,
    .kinds = SEQUENCE,
    .draws = TRUE,
    .rows = fill_rows,
    .check = check_fill,
    .run = run_fill,
};

/* ---- accompany ---- */

/* The notes of a roll, all of them, as the notes of one track. */
static void move_to_track(roll_t *song, size_t track) {
    g_autoptr(roll_t) from = roll_new(song->frames, song->tracks, song->pitches);
    roll_copy(song, 0, song->frames, from, 0);
    memset(song->bits, 0, song->frames * roll_frame_bytes(song));
    for (size_t t = 0; t < song->frames; t++)
        for (size_t k = 0; k < song->tracks; k++)
            for (int plane = 0; plane < ROLL_PLANES; plane++)
                for (size_t i = 0; i < song->stride; i++)
                    roll_plane(song, t, track, plane)[i] |= roll_plane(from, t, k, plane)[i];
    roll_make_canonical(song);
}

/* The same for all that is known of the file, which keeps the instrument of its first track with notes.
 * Onsets that become one are played as the first of them. */
static void give_to_track(rest_t *rest, size_t track) {
    const size_t first = (size_t)g_bit_nth_lsf(~silent_tracks(rest->from), -1);
    g_autoptr(roll_t) was = g_steal_pointer(&rest->from);
    GArray *played = g_array_new(FALSE, FALSE, sizeof(played_t));
    size_t onset = 0;
    rest->programs[track] = rest->programs[first];
    rest->from = roll_new(was->frames, was->tracks, was->pitches);
    roll_copy(was, 0, was->frames, rest->from, 0);
    move_to_track(rest->from, track);
    move_to_track(rest->song, track);
    for (size_t t = 0; t < was->frames; t++) {
        played_t of_pitch[PITCHES];
        gboolean begins[PITCHES] = {FALSE};
        for (size_t k = 0; k < was->tracks; k++)
            for (size_t p = 0; p < was->pitches; p++) {
                if (!roll_get(was, t, k, PLANE_ONSET, p)) continue;
                if (!begins[p]) of_pitch[p] = rest->played[onset];
                begins[p] = TRUE;
                onset++;
            }
        for (size_t p = 0; p < was->pitches; p++)
            if (begins[p]) g_array_append_val(played, of_pitch[p]);
    }
    g_free(rest->played);
    rest->played = (played_t *)(void *)g_array_free(played, FALSE);
}

static gboolean run_accompany(job_t *job, GError **error) {
    const cli_t *cli = job->cli;
    const grid_t *grid = &job->model->checkpoint.grid;
    g_auto(part_t) part = {0};
    g_auto(rest_t) rest = {0};
    if (!open_rest(job, &part, &rest, error)) return FALSE;
    known_region_t region;
    unsigned given = 0;
    if (!region_read(cli, grid, rest.song->frames, &region, error)) return FALSE;
    if (cli->given) {
        if (!region_read_tracks("given", cli->given, grid, &given, error)) return FALSE;
        give_to_track(&rest, (size_t)g_bit_nth_lsf(given, -1));
    }
    if (!cli->tracks) region.tracks = silent_tracks(rest.song);
    if (region.tracks == 0)
        return option_fail(error,
                           "%s: has notes in all tracks of the model; say which are to be written anew, "
                           "as in --tracks bass,drums",
                           cli->files[0]);
    known_forget(rest.known, &region);
    rest.about = "";
    return rest_write(job, &rest, error);
}

static gboolean check_accompany(cli_t *cli, const model_config_t *model, GError **error) {
    if (cli->given && strchr(cli->given, ','))
        return option_fail(error, "--given %s: give one track", cli->given);
    return !model || model->tracks > 1 ||
           option_fail(error, "%s: has no meaning for a model of one track; see harmonise and fill --keys",
                       cli->verb->name);
}

static const option_t accompany_rows[] = {
    CHECKPOINT_ROW,
    COUNT_ROW(),
    FIRST_ROW,
    SEED_OF_DRAWS_ROW,
    TEMPERATURE_OF_REST_ROW,
    TEXT("tracks", 0, tracks, SEQUENCE | TOLD, "NAMES", NULL,
         "write these tracks (default: those in which the file has no notes)"),
    TEXT("given", 0, given, SEQUENCE | TOLD, "NAME", NULL,
         "all notes of the file are this track (default: what its tracks look like)"),
    REST_ROWS,
    MUSIC_ROWS,
};

const verb_t verb_accompany = {
    .name = "accompany",
    .takes = "MELODY.mid",
    .summary = "The other tracks to a melody, or to any track.",
    .example = "accompany --checkpoint best.h5 melody.mid -n 4 --audio",
    .min_files = 1,
    .max_files = 1,
    .kinds = SEQUENCE,
    .draws = TRUE,
    .rows = accompany_rows,
    .check = check_accompany,
    .run = run_accompany,
};

/* ---- harmonise ---- */

static gboolean run_harmonise(job_t *job, GError **error) {
    g_auto(part_t) part = {0};
    g_auto(rest_t) rest = {0};
    if (!open_rest(job, &part, &rest, error)) return FALSE;
    known_keep_top(rest.known, rest.song, 0, rest.song->frames);
    rest.about = "";
    return rest_write(job, &rest, error);
}

static gboolean check_harmonise(cli_t *cli, const model_config_t *model, GError **error) {
    return !model || model->tracks == 1 ||
           option_fail(error, "%s: has no meaning for a model of several tracks; see accompany",
                       cli->verb->name);
}

static const option_t harmonise_rows[] = {
    CHECKPOINT_ROW, COUNT_ROW(), FIRST_ROW, SEED_OF_DRAWS_ROW, TEMPERATURE_OF_REST_ROW, REST_ROWS, MUSIC_ROWS,
};

const verb_t verb_harmonise = {
    .name = "harmonise",
    .takes = "MELODY.mid",
    .summary = "Voices below a melody, the top line of the file; of a model of one track.",
    .example = "harmonise --checkpoint best.h5 melody.mid -n 4",
    .min_files = 1,
    .max_files = 1,
    .kinds = SEQUENCE,
    .draws = TRUE,
    .rows = harmonise_rows,
    .check = check_harmonise,
    .run = run_harmonise,
};
