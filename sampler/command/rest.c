/* rest: owns the order of a result: written around what is known, played, told, ranked. Refuses what no
 * particle reaches. */
#include "sampler/command/rest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/command/excerpt.h"
#include "sampler/command/wanted.h"
#include "sampler/make/known.h"
#include "sampler/make/particles.h"

/* With fewer effective particles than this in a frame, the choice there was hardly one. */
enum { FEW = 5 };

typedef struct {
    size_t index;
    particles_evidence_t evidence;
} ranked_t;

void rest_clear(rest_t *rest) {
    g_clear_pointer(&rest->song, roll_free);
    g_clear_pointer(&rest->known, roll_free);
    g_clear_pointer(&rest->timeline, timeline_free);
    g_clear_pointer(&rest->from, roll_free);
    g_clear_pointer(&rest->played, g_free);
}

/* ---- how the result is played ---- */

/* Velocity of the notes of a track that nobody has played: the mean of its others, or of the song's. */
static void find_velocities(const rest_t *rest, uint8_t *velocity) {
    const roll_t *roll = rest->from;
    double sum[ROLL_MAX_TRACKS + 1] = {0}, n[ROLL_MAX_TRACKS + 1] = {0};
    size_t onset = 0;
    g_assert(roll->tracks <= ROLL_MAX_TRACKS);
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            for (size_t left = roll_count_bits(roll_plane(roll, t, k, PLANE_ONSET), roll->stride); left > 0;
                 left--, onset++) {
                sum[k] += rest->played[onset].velocity;
                sum[roll->tracks] += rest->played[onset].velocity;
                n[k]++;
                n[roll->tracks]++;
            }
    for (size_t k = 0; k < MIN(roll->tracks, ROLL_MAX_TRACKS); k++) {
        const size_t from = n[k] > 0 ? k : roll->tracks;
        velocity[k] = n[from] > 0 ? (uint8_t)lround(sum[from] / n[from]) : PLAYED_VELOCITY;
    }
}

/* --perform of what the model plays. */
static played_t scale(played_t how, double amount) {
    return (played_t){
        (uint8_t)CLAMP(lround(PLAYED_VELOCITY + amount * (how.velocity - PLAYED_VELOCITY)), 1, 127),
        (int8_t)CLAMP(lround(amount * how.offset), INT8_MIN, INT8_MAX)};
}

/* Onsets of the file keep how they were played; the others are the model's, or like the rest of their track.
 * Owner: caller. */
static played_t *play(const job_t *job, const rest_t *rest, const roll_t *roll) {
    const roll_t *from = rest->from;
    uint8_t velocity[ROLL_MAX_TRACKS];
    g_autofree played_t *model =
        job_perform((void *)job, roll, timeline_meters(rest->timeline, roll->frames));
    GArray *played = g_array_new(FALSE, FALSE, sizeof(played_t));
    size_t theirs = 0;
    find_velocities(rest, velocity);
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            for (size_t p = 0; p < roll->pitches; p++) {
                const gboolean was = t < from->frames && roll_get(from, t, k, PLANE_ONSET, p);
                if (roll_get(roll, t, k, PLANE_ONSET, p)) {
                    played_t how = {velocity[k], 0};
                    if (was && roll_get(rest->known, t, k, PLANE_ONSET, p))
                        how = rest->played[theirs];
                    else if (model)
                        how = scale(model[played->len], job->cli->perform);
                    g_array_append_val(played, how);
                }
                theirs += was ? 1 : 0;
            }
    return (played_t *)(void *)g_array_free(played, FALSE);
}

/* ---- results ---- */

/* Says how sure a result is, and where too few particles were left. */
static void tell(const job_t *job, const rest_t *rest, const char *name,
                 const particles_evidence_t *evidence) {
    const int K = job->cli->particles;
    const size_t bar = (size_t)(timeline_bar_at(rest->timeline, (double)evidence->fewest_frame) + 1e-9) + 1;
    if (evidence->frames == 0) return;
    if (!job->cli->quiet) {
        program_say("%s: fit %.2f nats, %.3f a frame of %zu in which something is known; evidence %.2f", name,
                    evidence->log_fit, evidence->log_fit / (double)evidence->frames, evidence->frames,
                    evidence->log_evidence);
        if (K > 1)
            fprintf(stderr, "; at least %.0f of %d particles effective\n", evidence->fewest, K);
        else
            fputc('\n', stderr);
    }
    if (K > 1 && evidence->fewest < FEW)
        program_say("warning: %s: in bar %zu only %.1f of %d particles fit what is known, too few to choose "
                    "from; try --particles %d%s\n",
                    name, bar, evidence->fewest, K, 4 * K,
                    job->cli->look_ahead > 0 ? ", or a shorter --look-ahead" : "");
}

static gboolean check_reached(const particles_evidence_t *evidence, const rest_t *rest, const char *name,
                              GError **error) {
    if (evidence->log_evidence > -INFINITY) return TRUE;
    return program_fail(error, "%s: no particle reached what is known after bar %.0f; give more --particles",
                        name, floor(timeline_bar_at(rest->timeline, (double)evidence->fewest_frame) + 1e-9));
}

static particles_piece_t plan(job_t *job, const rest_t *rest, const wanted_t *wanted, size_t index) {
    const cli_t *cli = job->cli;
    const compose_piece_t piece = job_plan(job, index, rest->song->frames, rest->timeline);
    const double bar = timeline_bar_frame(rest->timeline, 1);
    return (particles_piece_t){.song = rest->song,
                               .known = rest->known,
                               .timeline = rest->timeline,
                               .particles = (size_t)cli->particles,
                               .look_ahead = (size_t)lround(cli->look_ahead * bar),
                               .temperature = cli->draw ? cli->temperature : 0,
                               .shift = job->shift,
                               .near = rest->near,
                               .seed = (uint64_t)cli->seed,
                               .index = index,
                               .wish = wanted_begin(wanted),
                               .tick = piece.tick,
                               .tick_data = piece.tick_data};
}

static gboolean write_result(job_t *job, const rest_t *rest, const char *name, const roll_t *roll,
                             const particles_evidence_t *evidence, size_t index, GError **error) {
    const cli_t *cli = job->cli;
    g_autofree char *stem = job_stem(cli->files[0]),
                    *title = g_strdup_printf("%s %zu · %s%s · seed %" G_GINT64_FORMAT " · temperature %g",
                                             cli->verb->name, index, stem, rest->about, cli->seed,
                                             cli->temperature);
    g_autoptr(GPtrArray) texts = job_texts(job, index);
    job_add_text(texts, "song: %s", stem);
    if (evidence->frames > 0) {
        job_add_text(texts, "fit: %.4f", evidence->log_fit);
        job_add_text(texts, "evidence: %.4f", evidence->log_evidence);
    }
    job_add_performance(job, texts);
    g_autofree played_t *played = play(job, rest, roll);
    result_writer_t writer = job->writer;
    writer.programs = rest->programs;
    writer.perform = 1; /* play() has scaled what the model plays */
    writer.given = rest->cut == 0 ? rest->song : NULL;
    if (rest->cut == 0) return result_write(&writer, name, title, roll, played, rest->timeline, texts, error);
    const excerpt_t excerpt = {rest->cut, rest->cut_from, roll->frames - rest->cut};
    g_autofree played_t *of_part = NULL;
    g_autoptr(roll_t) part = excerpt_take(roll, played, &excerpt, &of_part);
    g_autoptr(timeline_t) timeline =
        timeline_slice(rest->timeline, (int64_t)rest->cut, (int64_t)excerpt.frames);
    return result_write(&writer, name, title, part, of_part, timeline, texts, error);
}

static int compare_fit(gconstpointer a, gconstpointer b) {
    const double x = ((const ranked_t *)a)->evidence.log_fit, y = ((const ranked_t *)b)->evidence.log_fit;
    return (x < y) - (x > y);
}

/* The results, those first after which what is known is the likeliest. */
static void tell_ranks(const job_t *job, GArray *ranked) {
    g_autoptr(GString) list = g_string_new(NULL);
    if (ranked->len < 2 || job->cli->quiet || g_array_index(ranked, ranked_t, 0).evidence.frames == 0) return;
    g_array_sort(ranked, compare_fit);
    for (guint i = 0; i < ranked->len; i++) {
        const ranked_t *result = &g_array_index(ranked, ranked_t, i);
        g_string_append_printf(list, "%s%03zu (%.2f)", i > 0 ? ", " : "", result->index,
                               result->evidence.log_fit);
    }
    program_say("by fit, the best first: %s\n", list->str);
}

/* Refuses to write all of a song anew. */
static gboolean check_kept(const job_t *job, const rest_t *rest, GError **error) {
    if (roll_sounding_end(rest->song) > 0) return TRUE;
    return option_fail(error, "%s: no note of %s would stay; see song for new music", job->cli->verb->name,
                       job->cli->files[0]);
}

gboolean rest_write(job_t *job, rest_t *rest, GError **error) {
    const cli_t *cli = job->cli;
    g_autoptr(guide_t) guide = NULL;
    if (!sample_open_guide(job->model, &guide, error)) return FALSE;
    g_autoptr(particles_t) particles =
        particles_new(job->model->model, (size_t)cli->particles, job_threads(job), error);
    g_autoptr(GArray) ranked = g_array_new(FALSE, FALSE, sizeof(ranked_t));
    g_autofree char *stem = job_stem(cli->files[0]);
    g_autoptr(wanted_t) wanted = wanted_new(job, rest->timeline, rest->song->frames, error);
    if (!particles || !wanted) return FALSE;
    known_close(rest->known, rest->song);
    if (!check_kept(job, rest, error)) return FALSE;
    job->total = (size_t)cli->count * rest->song->frames;
    for (size_t i = 0; i < (size_t)cli->count; i++) {
        ranked_t result = {.index = (size_t)cli->first + i};
        particles_piece_t piece = plan(job, rest, wanted, result.index);
        piece.guide = guide;
        g_autofree char *name = g_strdup_printf("%s-%s-%03zu", cli->verb->name, stem, result.index);
        g_autoptr(roll_t) roll = particles_write(particles, &piece, &result.evidence);
        progress_end(&job->progress);
        if (!check_reached(&result.evidence, rest, name, error) ||
            !write_result(job, rest, name, roll, &result.evidence, result.index, error))
            return FALSE;
        tell(job, rest, name, &result.evidence);
        g_array_append_val(ranked, result);
    }
    tell_ranks(job, ranked);
    return TRUE;
}
