/* kind_sequence: owns how verbs are done by the sequence model: pieces of any length, frame by frame. */
#include "preprocess/common/program.h"
#include "sampler/command/job.h"

static gboolean open(job_t *job, GError **error) {
    job->compose = compose_new(job->model->model, job_threads(job), error);
    return job->compose != NULL;
}

static size_t measure(const job_t *job, const char *path, const part_t *part) {
    (void)job, (void)path;
    return part->roll->frames - part->first;
}

/* Takes roll; returns it, or one filled up with silence to so many frames where it has fewer. */
static roll_t *pad_roll(roll_t *roll, size_t frames) {
    g_autoptr(roll_t) given = roll;
    if (frames <= roll->frames) return g_steal_pointer(&given);
    roll_t *padded = roll_new(frames, roll->tracks, roll->pitches);
    roll_copy(roll, 0, roll->frames, padded, 0);
    return padded;
}

/* Where bars are asked for the part is whole bars, the last filled up with silence. */
static void encode(const job_t *job, const char *path, part_t *part) {
    const cli_t *cli = job->cli;
    const timeline_t *timeline = part->timeline;
    const double there = timeline_bar_at(timeline, (double)part->frames);
    if (cli->bars > 0 || part->whole_bars)
        part->frames = timeline_frames_of(timeline, timeline_bars_of(timeline, part->frames));
    if (cli->bars > 0) part->frames = MIN(part->frames, timeline_frames_of(timeline, (size_t)cli->bars));
    if (cli->bars > there + 1e-9) {
        g_autofree char *meters = result_meters_text(timeline);
        program_say("warning: %s: has %.4g %s of %s from bar %d on, not the %d of --bars: all is taken\n",
                    path, there, there == 1 ? "bar" : "bars", meters, cli->bar, cli->bars);
    }
    g_autoptr(roll_t) filled = pad_roll(g_steal_pointer(&part->roll), part->first + part->frames);
    part->n = compose_segments(job->compose, part->frames);
    part->mu = compose_encode(job->compose, filled, part->first, part->frames);
}

static gboolean make(job_t *job, const compose_piece_t *pieces, size_t n, made_t *made, GError **error) {
    roll_t *rolls[COMPOSE_TOGETHER];
    (void)error;
    compose_pieces(job->compose, pieces, n, rolls);
    for (size_t i = 0; i < n; i++) made[i].roll = rolls[i];
    return TRUE;
}

const kind_t kind_sequence = {open, measure, encode, make};
