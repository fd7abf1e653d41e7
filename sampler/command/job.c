/* job: owns parts of songs, the making and the writing of pieces, and the texts that tell of them. Refuses
 * bars that the song does not have. */
#include "sampler/command/job.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "preprocess/corpus/song_file.h"
#include "sampler/make/latent.h"

size_t job_threads(const job_t *job) {
    return job->cli->threads > 0 ? (size_t)job->cli->threads : g_get_num_processors();
}

gboolean job_is_dense(const job_t *job) { return job->model->checkpoint.model.kind == MODEL_DENSE; }

timeline_t *job_own_timeline(const job_t *job) {
    const checkpoint_t *checkpoint = &job->model->checkpoint;
    const double tempo_bpm = job->cli->tempo_bpm > 0 ? job->cli->tempo_bpm : checkpoint->tempo_bpm;
    const meter_t meter = job->cli->bar_meter.numerator > 0 ? job->cli->bar_meter : checkpoint->meter;
    return timeline_new(checkpoint->grid.steps_per_beat, tempo_bpm, meter);
}

/* ---- parts of songs ---- */

void part_clear(part_t *part) {
    g_clear_pointer(&part->roll, roll_free);
    g_clear_pointer(&part->timeline, timeline_free);
    g_clear_pointer(&part->played, g_free);
    g_clear_pointer(&part->mu, g_free);
}

gboolean job_open_part(const job_t *job, const char *path, part_t *part, GError **error) {
    const cli_t *cli = job->cli;
    song_file_t song;
    g_autoptr(timeline_t) timeline = NULL;
    part->roll =
        song_file_read_roll(path, &job->model->checkpoint.grid, &song, &timeline, &part->played, error);
    if (!part->roll) return FALSE;
    memcpy(part->programs, song.counts.programs, sizeof part->programs);
    if (song.counts.out_of_range > 0)
        program_say("warning: %s: %zu %s outside the model's keys, %d to %d, left out\n", path,
                    song.counts.out_of_range,
                    g_dngettext(NULL, "note is", "notes are", song.counts.out_of_range),
                    job->model->checkpoint.grid.pitch_low,
                    job->model->checkpoint.grid.pitch_low + job->model->checkpoint.grid.pitches - 1);
    part->tempo_bpm = cli->tempo_bpm > 0 ? cli->tempo_bpm : song.tempo_bpm;
    part->meter = song.meter;
    if (cli->tempo_bpm > 0) timeline_set_tempo(timeline, cli->tempo_bpm);
    part->first = (size_t)floor(timeline_bar_frame(timeline, (size_t)cli->bar - 1) + 1e-9);
    if (part->first >= part->roll->frames) {
        const size_t bars = timeline_bars_of(timeline, part->roll->frames);
        return option_fail(error, "%s: cannot begin at bar %d: the song has %zu %s; give a smaller --bar",
                           path, cli->bar, bars, g_dngettext(NULL, "bar", "bars", bars));
    }
    part->frames = job->kind->measure(job, path, part);
    part->timeline = timeline_slice(timeline, (int64_t)part->first, (int64_t)part->frames);
    return TRUE;
}

gboolean job_read_part(const job_t *job, const char *path, part_t *part, GError **error) {
    if (!job_open_part(job, path, part, error)) return FALSE;
    job->kind->encode(job, path, part);
    return TRUE;
}

/* ---- pieces ---- */

static void show_frame(void *data) {
    job_t *job = data;
    progress_show(&job->progress, ++job->done, job->total);
}

compose_piece_t job_plan(job_t *job, size_t index, size_t frames, const timeline_t *timeline) {
    const cli_t *cli = job->cli;
    return (compose_piece_t){.frames = frames,
                             .timeline = timeline,
                             .seed = (uint64_t)cli->seed,
                             .index = index,
                             .draw = cli->draw,
                             .temperature = cli->temperature,
                             .best_of = (size_t)cli->best_of,
                             .latents = {.keep = 1, .shift = job->shift, .feature = SIZE_MAX},
                             .tick = show_frame,
                             .tick_data = job};
}

compose_piece_t job_plan_part(job_t *job, size_t index, const part_t *part) {
    compose_piece_t piece = job_plan(job, index, part->frames, part->timeline);
    piece.latents.centres = part->mu;
    piece.latents.segments = part->n;
    return piece;
}

static void clear_made(void *data) {
    made_t *made = data;
    g_clear_pointer(&made->roll, roll_free);
    g_clear_pointer(&made->z, g_array_unref);
}

GArray *job_make(job_t *job, const compose_piece_t *pieces, size_t n, GError **error) {
    g_autoptr(GArray) made = g_array_new(FALSE, TRUE, sizeof(made_t));
    g_array_set_clear_func(made, clear_made);
    g_array_set_size(made, (guint)n);
    for (guint i = 0; i < n; i++)
        g_array_index(made, made_t, i).z = g_array_new(FALSE, FALSE, sizeof(real_t));
    const gboolean done = job->kind->make(job, pieces, n, &g_array_index(made, made_t, 0), error);
    progress_end(&job->progress);
    return done ? g_steal_pointer(&made) : NULL;
}

gboolean job_write_piece(job_t *job, const compose_piece_t *piece, const char *name, const char *title,
                         const timeline_t *timeline, GPtrArray *texts, GError **error) {
    g_autoptr(GArray) all = job_make(job, piece, 1, error);
    if (!all) return FALSE;
    const made_t *made = &g_array_index(all, made_t, 0);
    job_add_latents(job, texts, made->z);
    return job_write(job, name, title, made->roll, timeline, texts, error);
}

/* Transposes roll to --key and says so in texts. Does nothing where it is not given. */
static void set_key(const job_t *job, const char *name, roll_t *roll, GPtrArray *texts) {
    const cli_t *cli = job->cli;
    const grid_t *grid = &job->model->checkpoint.grid;
    musical_key_t found;
    size_t folded = 0;
    if (!cli->key) return;
    job_add_text(texts, "key: %s", key_to_text(cli->wanted_key));
    if (!key_estimate(roll, grid, &found)) {
        program_say("warning: %s has no pitches that would make a key: --key changes nothing\n", name);
        return;
    }
    const int semitones = key_transpose(roll, grid, key_interval(found, cli->wanted_key), &folded);
    job_add_text(texts, "transposed: %d", semitones);
    if (!cli->quiet) program_say("%s: was in %s, transposed by %+d\n", name, key_to_text(found), semitones);
    if (folded > 0)
        program_say("warning: %s: %zu %s would leave the model's pitches: moved in by octaves\n", name,
                    folded, g_dngettext(NULL, "note", "notes", folded));
}

played_t *job_perform(void *data, const roll_t *roll, meters_t meters) {
    const job_t *job = data;
    const grid_t *grid = &job->model->checkpoint.grid;
    if (!job->performer || roll->frames == 0) return NULL;
    played_t *played = g_new(played_t, roll_count_onsets(roll->bits, roll->frames, grid) + 1);
    performance_piece_t piece = {.meters = meters, .drawn = played, .on_grid = TRUE};
    performer_play(job->performer, roll->bits, roll->frames, (uint64_t)job->cli->seed, 0, &piece);
    return played;
}

void job_add_performance(const job_t *job, GPtrArray *texts) {
    if (job->performer) job_add_text(texts, "perform: %.10g", job->cli->perform);
}

gboolean job_write(job_t *job, const char *name, const char *title, roll_t *roll, const timeline_t *timeline,
                   GPtrArray *texts, GError **error) {
    set_key(job, name, roll, texts);
    job_add_performance(job, texts);
    g_autofree played_t *played = job_perform(job, roll, timeline_meters(timeline, roll->frames));
    return result_write(&job->writer, name, title, roll, played, timeline, texts, error);
}

/* ---- texts and names ---- */

void job_add_text(GPtrArray *texts, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(texts, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

GPtrArray *job_texts_given(const job_t *job, size_t index) {
    const cli_t *cli = job->cli;
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    job_add_text(texts, "tool: mpianist-sampler %s", MPIANIST_VERSION);
    job_add_text(texts, "verb: %s", cli->verb->name);
    job_add_text(texts, "checkpoint: %s", job->model->hash);
    if (index > 0) job_add_text(texts, "result: %zu", index);
    cli_add_texts(cli, texts);
    return texts;
}

GPtrArray *job_texts(const job_t *job, size_t index) {
    const cli_t *cli = job->cli;
    GPtrArray *texts = job_texts_given(job, index);
    if (cli->best_of > 0)
        job_add_text(texts, "draws: best");
    else if (cli->draw || !job_is_dense(job))
        job_add_text(texts, "draws: %s", cli->draw ? "bernoulli" : "greedy");
    else if (cli->density)
        job_add_text(texts, "threshold: density");
    else
        job_add_text(texts, "threshold: %.10g", cli->threshold);
    return texts;
}

void job_add_latents(const job_t *job, GPtrArray *texts, const GArray *z) {
    const size_t Z = job->model->checkpoint.model.latent, n = Z > 0 ? z->len / Z : 0;
    for (size_t i = 0; i < n; i++) {
        g_autofree char *text = latent_to_text(&g_array_index(z, real_t, i * Z), Z);
        if (n == 1)
            job_add_text(texts, "latent: %s", text);
        else
            job_add_text(texts, "latent %zu: %s", i + 1, text);
    }
}

char *job_stem(const char *path) {
    char *name = g_path_get_basename(path), *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = '\0';
    return name;
}
