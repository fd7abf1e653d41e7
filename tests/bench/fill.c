/* fill: how well music is written around what is known (sampler/make/particles.h). Not a test.
 *
 *   fill top CHECKPOINT SHARDS [SPLIT [PARTICLES [SONGS]]]
 *       The top line of each song is known. By a model without latents, in nats a frame: the loss of the
 *       rest as the model has it in its own order (causal: from the past and the lower keys), and exactly,
 *       given the whole top line too, between two bounds.
 *   fill joins CHECKPOINT JUDGE SHARDS [SPLIT [PARTICLES [SONGS]]]
 *       Of each song 8 frames are written, every 24th from the 16th on. The judge, a model of another seed,
 *       says how probable the two frames after each gap are, and the gap itself: after the true music, after
 *       what is written by particles, and after what is drawn without a look ahead.
 *   fill accompany CHECKPOINT SHARDS [SPLIT [PARTICLES [SONGS [FOLDER [TEMPERATURE]]]]]
 *       The melody of each song is known, and the other tracks are written, without and with chords that are
 *       asked for, a triad a bar, the one that the true song is most like: how many bars are then most like
 *       it, and what asking costs in evidence. The pieces without go to FOLDER as MIDI files.
 *
 * A guide that the checkpoint has is used. SPLIT is valid unless given, PARTICLES 200, SONGS all, TEMPERATURE
 * 1. It is built by
 * make build/release/tests/bench/fill. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/midi/midi.h"
#include "preprocess/shard/shard.h"
#include "sampler/make/chord.h"
#include "sampler/make/known.h"
#include "sampler/make/particles.h"
#include "sampler/make/sample.h"
#include "sampler/make/wishes.h"
#include "trainer/model/stream.h"

enum { GAP = 8, EVERY = 24, FIRST_GAP = 16, AFTER = 2, LOOK_AHEAD = 16 };

typedef struct {
    sample_model_t *model;
    guide_t *guide; /* NULL: the checkpoint has none */
    particles_t *particles;
    stream_t *stream;
    shard_set_t *set;
    uint8_t *bits;
    size_t K, songs;
    double temperature;
    split_t split;
} bench_t;

static void die(const GError *error) {
    fprintf(stderr, "fill: %s\n",
            error ? error->message : "top, joins or accompany; see the top of tests/bench/fill.c");
    exit(1);
}

static roll_t *song_roll(const bench_t *bench, const shard_song_t *song) {
    const grid_t *grid = &bench->set->grid;
    roll_t *roll = roll_new((size_t)song->frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    memcpy(roll->bits, bench->bits + (size_t)song->first_frame * grid_frame_bytes(grid),
           roll->frames * grid_frame_bytes(grid));
    return roll;
}

static roll_t *copy_roll(const roll_t *roll) {
    roll_t *copy = roll_new(roll->frames, roll->tracks, roll->pitches);
    roll_copy(roll, 0, roll->frames, copy, 0);
    return copy;
}

/* Losses [T] of a roll's frames by a model without latents. */
static void score_frames(stream_t *stream, const model_config_t *config, const roll_t *roll,
                         const timeline_t *timeline, double *nll) {
    g_autofree uint8_t *frame = g_malloc(model_frame_bytes(config));
    stream_start(stream, 1);
    stream_set_meters(stream, 0, timeline_meters(timeline, roll->frames));
    for (size_t t = 0; t < roll->frames; t++) {
        roll_read_frame(roll, t, config->planes, frame);
        stream_force(stream, frame, TRUE, &nll[t]);
    }
}

static double sum_of(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum;
}

static particles_piece_t plan(const bench_t *bench, const roll_t *song, const roll_t *known,
                              const timeline_t *timeline, size_t index) {
    return (particles_piece_t){.song = song,
                               .known = known,
                               .timeline = timeline,
                               .particles = bench->K,
                               .look_ahead = LOOK_AHEAD,
                               .temperature = bench->temperature,
                               .guide = bench->guide,
                               .seed = 1,
                               .index = index};
}

/* ---- top ---- */

/* Loss of the cells below the top line given the past and the cells below each: that of the frames with the
 * top line left open, since what is above the lower cells comes after them. */
static double causal_loss(const bench_t *bench, const roll_t *song, const roll_t *known_top,
                          const timeline_t *timeline) {
    const model_config_t *config = &bench->model->checkpoint.model;
    const size_t bytes = model_frame_bytes(config);
    g_autofree uint8_t *known = g_malloc(bytes), *frame = g_malloc(bytes), *told = g_malloc(bytes);
    const rng_t rng = rng_make(1, RNG_EVALUATE, 0, 0);
    double sum = 0;
    stream_start(bench->stream, 1);
    stream_set_meters(bench->stream, 0, timeline_meters(timeline, song->frames));
    for (size_t t = 0; t < song->frames; t++) {
        double log_p;
        roll_read_frame(song, t, config->planes, told);
        roll_read_frame(known_top, t, config->planes, known);
        for (size_t i = 0; i < bytes; i++) known[i] = (uint8_t)~known[i];
        memcpy(frame, told, bytes);
        const head_rule_t rule = {.rng = &rng, .temperature = 1, .known = known, .told = told};
        stream_draw(bench->stream, &rule, frame, &log_p);
        sum -= log_p;
    }
    return sum;
}

static void run_top(bench_t *bench) {
    double causal = 0, exact[2] = {0}, frames = 0;
    size_t done = 0;
    for (size_t i = 0; i < bench->set->n_songs && done < bench->songs; i++) {
        if (bench->set->songs[i].split != (uint8_t)bench->split) continue;
        g_autoptr(roll_t) truth = song_roll(bench, &bench->set->songs[i]), song = copy_roll(truth),
                          known = known_all(truth);
        g_autoptr(timeline_t) timeline = shard_set_timeline(bench->set, i);
        g_autofree double *nll = g_new(double, truth->frames);
        known_keep_top(known, song, 0, song->frames);
        causal += causal_loss(bench, truth, known, timeline);
        known_close(known, song);
        score_frames(bench->stream, &bench->model->checkpoint.model, truth, timeline, nll);
        const double all = sum_of(nll, truth->frames);
        for (int upper = 0; upper < 2; upper++) {
            particles_piece_t piece = plan(bench, song, known, timeline, i);
            particles_evidence_t evidence;
            piece.truth = upper ? truth : NULL;
            g_autoptr(roll_t) roll = particles_write(bench->particles, &piece, &evidence);
            exact[upper] += all + evidence.log_evidence;
        }
        frames += (double)truth->frames;
        done++;
    }
    printf("%zu songs, %.0f frames, %zu particles: causal %.4f, exact between %.4f and %.4f, %.1f %% less\n",
           done, frames, bench->K, causal / frames, exact[0] / frames, exact[1] / frames,
           100 * (1 - exact[1] / causal));
}

/* ---- joins ---- */

typedef enum { TRUE_MUSIC, PARTICLES, DRAWN, WAYS } way_t;

/* Fills a gap of one song in one way; adds the least effective sample size of particles. Owner: caller. */
static roll_t *fill_gap(bench_t *bench, const roll_t *truth, const timeline_t *timeline, size_t first,
                        way_t way, double *effective) {
    g_autoptr(roll_t) song = copy_roll(truth), known = known_all(truth);
    if (way == TRUE_MUSIC) return g_steal_pointer(&song);
    known_forget(known, &(known_region_t){first, first + GAP, ~0u, 0, truth->pitches});
    known_close(known, song);
    particles_piece_t piece = plan(bench, song, known, timeline, first);
    if (way == DRAWN) piece.particles = 1;
    particles_evidence_t evidence;
    roll_t *roll = particles_write(bench->particles, &piece, &evidence);
    if (way == PARTICLES) *effective += evidence.fewest;
    return roll;
}

static void run_joins(bench_t *bench, model_t *judge) {
    static const char *const names[WAYS] = {"true music", "particles", "drawn without look-ahead"};
    g_autoptr(GError) error = NULL;
    g_autoptr(stream_t) stream = stream_new(judge, 1, &error);
    double after[WAYS] = {0}, within[WAYS] = {0}, effective = 0;
    size_t gaps = 0, done = 0;
    if (!stream) die(error);
    for (size_t i = 0; i < bench->set->n_songs && done < bench->songs; i++) {
        if (bench->set->songs[i].split != (uint8_t)bench->split) continue;
        g_autoptr(roll_t) truth = song_roll(bench, &bench->set->songs[i]);
        g_autoptr(timeline_t) timeline = shard_set_timeline(bench->set, i);
        g_autofree double *nll = g_new(double, truth->frames);
        for (size_t first = FIRST_GAP; first + GAP + LOOK_AHEAD <= truth->frames; first += EVERY, gaps++)
            for (way_t way = 0; way < WAYS; way++) {
                g_autoptr(roll_t) roll = fill_gap(bench, truth, timeline, first, way, &effective);
                score_frames(stream, model_config(judge), roll, timeline, nll);
                after[way] += sum_of(nll + first + GAP, AFTER) / AFTER;
                within[way] += sum_of(nll + first, GAP) / GAP;
            }
        done++;
    }
    printf("%zu songs, %zu gaps of %d frames, %zu particles, of which at least %.1f are effective (mean of "
           "gaps); "
           "nats a frame by the judge:\n",
           done, gaps, GAP, bench->K, effective / (double)gaps);
    for (way_t way = 0; way < WAYS; way++)
        printf("  %-26s the %d frames after the gap %.3f, the gap %.3f\n", names[way], AFTER,
               after[way] / (double)gaps, within[way] / (double)gaps);
}

/* ---- accompany ---- */

/* How long each pitch class sounds in a bar, in pitched tracks. */
static void measure_bar(const roll_t *roll, const grid_t *grid, size_t first, size_t end,
                        double durations[TONAL_CLASSES]) {
    memset(durations, 0, TONAL_CLASSES * sizeof *durations);
    for (size_t t = first; t < MIN(end, roll->frames); t++)
        for (size_t k = 0; k < roll->tracks; k++)
            for (size_t p = 0; grid->roles[k] != ROLE_DRUMS && p < roll->pitches; p++)
                if (roll_get(roll, t, k, PLANE_SOUNDING, p))
                    durations[((size_t)grid->pitch_low + p) % TONAL_CLASSES]++;
}

/* The triad that a bar is most like; 0: none. */
static uint16_t find_triad(const double durations[TONAL_CLASSES]) {
    for (unsigned root = 0; root < TONAL_CLASSES; root++)
        for (unsigned third = 3; third <= 4; third++) {
            const uint16_t triad = (uint16_t)(1u << root | 1u << (root + third) % TONAL_CLASSES |
                                              1u << (root + 7) % TONAL_CLASSES);
            if (chord_found(durations, triad)) return triad;
        }
    return 0;
}

typedef struct {
    double bars, found[2], evidence[2], frames;
} asked_t;

static void write_midi(const bench_t *bench, const roll_t *roll, const timeline_t *timeline,
                       const char *folder, size_t index) {
    g_autoptr(GError) error = NULL;
    g_autoptr(song_t) song = roll_to_song(roll, &bench->set->grid, timeline);
    g_autofree char *path = g_strdup_printf("%s/accompany-%03zu.mid", folder, index);
    if (!midi_write(song, path, &error)) die(error);
}

static void accompany(bench_t *bench, const roll_t *truth, const timeline_t *timeline, const char *folder,
                      size_t index, asked_t *asked) {
    const grid_t *grid = &bench->set->grid;
    g_autoptr(roll_t) song = copy_roll(truth), known = known_all(truth);
    g_autoptr(GArray) bars = timeline_bars(timeline, (int64_t)truth->frames);
    g_autofree uint16_t *triads = g_new0(uint16_t, bars->len), *chords = g_new0(uint16_t, truth->frames);
    double durations[TONAL_CLASSES];
    known_forget(known, &(known_region_t){0, truth->frames, ~1u, 0, truth->pitches});
    known_close(known, song);
    for (guint b = 0; b < bars->len; b++) {
        const size_t first = timeline_frames_of(timeline, b), end = timeline_frames_of(timeline, b + 1);
        measure_bar(truth, grid, first, end, durations);
        triads[b] = find_triad(durations);
        for (size_t t = first; t < MIN(end, truth->frames); t++) chords[t] = triads[b];
    }
    const wishes_config_t config = {.grid = grid,
                                    .planes = bench->model->checkpoint.model.planes,
                                    .timeline = timeline,
                                    .chords = chords,
                                    .strength = 1};
    g_autoptr(wishes_t) wishes = wishes_new(&config, bench->K, truth->frames);
    for (int ask = 0; ask < 2; ask++) {
        particles_piece_t piece = plan(bench, song, known, timeline, index);
        particles_evidence_t evidence;
        if (ask) piece.wish = wishes_begin(wishes);
        g_autoptr(roll_t) roll = particles_write(bench->particles, &piece, &evidence);
        if (!ask && folder) write_midi(bench, roll, timeline, folder, index);
        asked->evidence[ask] += evidence.log_evidence;
        for (guint b = 0; b < bars->len; b++) {
            measure_bar(roll, grid, timeline_frames_of(timeline, b), timeline_frames_of(timeline, b + 1),
                        durations);
            asked->found[ask] += triads[b] && chord_found(durations, triads[b]);
        }
    }
    for (guint b = 0; b < bars->len; b++) asked->bars += triads[b] != 0;
    asked->frames += (double)truth->frames;
}

static void run_accompany(bench_t *bench, const char *folder) {
    asked_t asked = {0};
    size_t done = 0;
    if (folder && g_mkdir_with_parents(folder, 0777) != 0) die(NULL);
    for (size_t i = 0; i < bench->set->n_songs && done < bench->songs; i++) {
        if (bench->set->songs[i].split != (uint8_t)bench->split) continue;
        g_autoptr(roll_t) truth = song_roll(bench, &bench->set->songs[i]);
        g_autoptr(timeline_t) timeline = shard_set_timeline(bench->set, i);
        accompany(bench, truth, timeline, folder, ++done, &asked);
    }
    printf("%zu songs, %.0f bars with a chord, %zu particles: found in %.1f %% of bars, where asked for in "
           "%.1f %%; "
           "evidence %.3f and %.3f nats a frame, asking costs %.3f\n",
           done, asked.bars, bench->K, 100 * asked.found[0] / asked.bars, 100 * asked.found[1] / asked.bars,
           asked.evidence[0] / asked.frames, asked.evidence[1] / asked.frames,
           (asked.evidence[0] - asked.evidence[1]) / asked.frames);
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    const char *mode = argc > 1 ? argv[1] : "";
    const int at = g_str_equal(mode, "joins") ? 4 : 3; /* SHARDS */
    bench_t bench = {.split = SPLIT_VALID};
    if (argc <= at || (argc > at + 1 && !split_from_name(argv[at + 1], &bench.split))) die(NULL);
    bench.K = argc > at + 2 ? strtoul(argv[at + 2], NULL, 10) : 200;
    bench.temperature = argc > at + 5 ? g_ascii_strtod(argv[at + 5], NULL) : 1;
    bench.songs = argc > at + 3 ? strtoul(argv[at + 3], NULL, 10) : SIZE_MAX;
    if (!(bench.model = sample_model_open(argv[2], &error)) ||
        !sample_open_guide(bench.model, &bench.guide, &error) ||
        !(bench.particles =
              particles_new(bench.model->model, MAX(bench.K, 1), g_get_num_processors(), &error)) ||
        !(bench.stream = stream_new(bench.model->model, 1, &error)) ||
        !(bench.set = shard_set_open(argv[at], &error)))
        die(error);
    bench.bits = g_malloc((size_t)bench.set->frames * grid_frame_bytes(&bench.set->grid));
    if (!shard_set_read(bench.set, bench.bits, &error)) die(error);
    if (g_str_equal(mode, "top")) {
        run_top(&bench);
    } else if (g_str_equal(mode, "accompany")) {
        run_accompany(&bench, argc > at + 4 ? argv[at + 4] : NULL);
    } else if (g_str_equal(mode, "joins")) {
        g_autoptr(sample_model_t) judge = sample_model_open(argv[3], &error);
        if (!judge) die(error);
        run_joins(&bench, judge->model);
    } else {
        die(NULL);
    }
    particles_free(bench.particles);
    stream_free(bench.stream);
    sample_model_free(bench.model);
    guide_free(bench.guide);
    shard_set_free(bench.set);
    g_free(bench.bits);
    return 0;
}
