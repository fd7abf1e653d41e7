/* attribute_effect CHECKPOINT SHARDS [STRENGTH [SONGS [SPLIT]]]: what the vectors of `trainer --attributes`
 * do to music. The songs of a split (default valid, all) are encoded and decoded again, with draws at
 * temperature 1, from their latents as they are and with each vector added and taken away, STRENGTH times
 * (default 1). Of a sequence model as many new pieces of NEW_FRAMES frames are drawn in the same way. Prints
 * mean attributes of segments, in their units, with each vector. Not a test. make
 * build/release/tests/bench/attribute_effect && build/release/tests/bench/attribute_effect run/best.h5 shards
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess/shard/shard.h"
#include "sampler/make/compose.h"
#include "sampler/make/sample.h"

enum { NEW_FRAMES = 128 };

typedef enum { SONGS, DECODED, NEW } source_t;

typedef struct {
    sample_model_t *model;
    compose_t *compose; /* of the sequence model */
    shard_set_t *set;
    uint8_t *bits;
    attributes_t attributes;
    attribute_t kinds[ATTRIBUTE_COUNT]; /* of the vectors */
    size_t S, songs;
    split_t split;
} bench_t;

static void die(const GError *error) {
    fprintf(stderr, "attribute_effect: %s\n",
            error ? error->message : "CHECKPOINT SHARDS [STRENGTH [SONGS [SPLIT]]]");
    exit(1);
}

static roll_t *song_roll(const bench_t *bench, const shard_song_t *song) {
    const grid_t *grid = &bench->set->grid;
    roll_t *roll = roll_new((size_t)song->frames, (size_t)grid->n_tracks, (size_t)grid->pitches);
    memcpy(roll->bits, bench->bits + (size_t)song->first_frame * grid_frame_bytes(grid),
           roll->frames * grid_frame_bytes(grid));
    return roll;
}

/* Moved by shift [Z]. */
static roll_t *decode(const bench_t *bench, const roll_t *song, const timeline_t *timeline,
                      const real_t *shift, size_t index) {
    const size_t Z = bench->attributes.Z, n = (song->frames + bench->S - 1) / bench->S;
    g_autofree real_t *z = bench->compose ? compose_encode(bench->compose, song, 0, song->frames)
                                          : sample_encode(bench->model, song, 0, n);
    if (bench->compose) {
        const compose_piece_t piece = {.frames = song->frames,
                                       .timeline = timeline,
                                       .seed = 1,
                                       .index = index,
                                       .draw = TRUE,
                                       .temperature = 1,
                                       .latents = {.centres = z, .segments = n, .keep = 1, .shift = shift}};
        return compose_piece(bench->compose, &piece);
    }
    for (size_t i = 0; i < n * Z; i++) z[i] += shift[i % Z];
    return sample_windows(bench->model, z, n, song->frames,
                          &(sample_rule_t){.draw = TRUE, .seed = 1, .index = index});
}

static roll_t *draw_new(const bench_t *bench, const timeline_t *timeline, const real_t *shift, size_t index) {
    const compose_piece_t piece = {.frames = NEW_FRAMES,
                                   .timeline = timeline,
                                   .seed = 1,
                                   .index = index,
                                   .draw = TRUE,
                                   .temperature = 1,
                                   .latents = {.keep = 1, .noise = 1, .shift = shift}};
    return compose_piece(bench->compose, &piece);
}

/* Adds the attributes of a roll's whole segments, and how many sound. */
static double add_segments(const bench_t *bench, const roll_t *roll, double *sums) {
    const size_t frame_bytes = roll->tracks * ROLL_PLANES * roll->stride;
    double sounding = 0;
    for (size_t first = 0; first + bench->S <= roll->frames; first += bench->S) {
        double values[ATTRIBUTE_COUNT];
        const attribute_span_t span = {.grid = &bench->set->grid,
                                       .planes = ROLL_PLANES,
                                       .bits = roll->bits + first * frame_bytes,
                                       .frames = bench->S};
        if (!attribute_measure(&span, values)) continue;
        for (size_t a = 0; a < ATTRIBUTE_COUNT; a++) sums[a] += values[a];
        sounding++;
    }
    return sounding;
}

/* Mean attributes of the songs, of these decoded, or of as many new pieces, moved by * vector (NULL: not
 * moved). */
static void measure(const bench_t *bench, source_t source, const real_t *vector, double by, double *means) {
    const size_t Z = bench->attributes.Z;
    g_autofree real_t *shift = g_new0(real_t, Z);
    size_t done = 0;
    double segments = 0;
    memset(means, 0, ATTRIBUTE_COUNT * sizeof *means);
    for (size_t i = 0; i < Z && vector; i++) shift[i] = (real_t)(by * vector[i]);
    for (size_t i = 0; i < bench->set->n_songs && done < bench->songs; i++) {
        if (bench->set->songs[i].split != (uint8_t)bench->split) continue;
        g_autoptr(roll_t) song = song_roll(bench, &bench->set->songs[i]);
        g_autoptr(timeline_t) timeline = shard_set_timeline(bench->set, i);
        g_autoptr(roll_t) result = NULL;
        done++;
        if (source != SONGS)
            result = source == NEW ? draw_new(bench, timeline, shift, done)
                                   : decode(bench, song, timeline, shift, done);
        segments += add_segments(bench, result ? result : song, means);
    }
    for (size_t a = 0; a < ATTRIBUTE_COUNT; a++) means[a] /= segments;
}

static void print_row(const bench_t *bench, const char *name, source_t source, const real_t *vector,
                      double by) {
    double means[ATTRIBUTE_COUNT];
    measure(bench, source, vector, by, means);
    printf("%-12s %+5.1f", name, by);
    for (size_t i = 0; i < bench->attributes.n; i++) printf(" %11.3f", means[bench->kinds[i]]);
    printf("\n");
    fflush(stdout);
}

static void run(const bench_t *bench, double strength) {
    const attributes_t *attributes = &bench->attributes;
    printf("%-18s", "");
    for (size_t i = 0; i < attributes->n; i++) printf(" %11s", attributes->info[i].name);
    printf("\n");
    print_row(bench, "songs", SONGS, NULL, 0);
    for (source_t source = DECODED; source <= (bench->compose ? NEW : DECODED); source++) {
        print_row(bench, source == NEW ? "new pieces" : "decoded", source, NULL, 0);
        for (size_t i = 0; i < attributes->n; i++)
            for (int sign = -1; sign <= 1; sign += 2)
                print_row(bench, attributes->info[i].name, source, attributes->vectors + i * attributes->Z,
                          sign * strength);
    }
}

int main(int argc, char **argv) {
    g_autoptr(GError) error = NULL;
    bench_t bench = {.split = SPLIT_VALID};
    if (argc < 3 || (argc > 5 && !split_from_name(argv[5], &bench.split))) die(NULL);
    bench.songs = argc > 4 ? strtoul(argv[4], NULL, 10) : SIZE_MAX;
    if (!(bench.model = sample_model_open(argv[1], &error)) ||
        !checkpoint_read_attributes(argv[1], &bench.attributes, &error) ||
        !(bench.set = shard_set_open(argv[2], &error)))
        die(error);
    bench.bits = g_malloc((size_t)bench.set->frames * grid_frame_bytes(&bench.set->grid));
    if (!shard_set_read(bench.set, bench.bits, &error)) die(error);
    const model_config_t *config = &bench.model->checkpoint.model;
    bench.S = config->kind == MODEL_DENSE ? config->window : config->sequence.segment;
    if (config->kind == MODEL_SEQUENCE && !(bench.compose = compose_new(bench.model->model, 1, &error)))
        die(error);
    for (attribute_t a = 0; a < ATTRIBUTE_COUNT; a++) {
        const size_t i = attributes_find(&bench.attributes, attribute_name(a));
        if (i < bench.attributes.n) bench.kinds[i] = a;
    }
    run(&bench, argc > 3 ? g_ascii_strtod(argv[3], NULL) : 1);
    compose_free(bench.compose);
    sample_model_free(bench.model);
    shard_set_free(bench.set);
    attributes_clear(&bench.attributes);
    g_free(bench.bits);
    return 0;
}
