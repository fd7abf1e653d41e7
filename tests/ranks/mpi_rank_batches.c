/* mpi_rank_batches DATA CHUNK BATCH ACCUMULATE [GROUP MEMORY]: GROUP bytes are shuffled together, MEMORY
 * bytes of the data are in memory. What tests/ranks/rank_batches.sh runs under mpirun: the passes of two
 * epochs, the second begun in its middle as after a resume. Prints a line a step: samples, frames, and a sum
 * over samples of a checksum of each one's cells and noise, which must not depend on the ranks. Fails where
 * passes do not keep to rank_batches.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/rank_batches.h"
#include "trainer/parallel/comm.h"

enum { SEGMENT = 4, LATENT = 3, STATE = 5, CONTEXT = 4 };

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "rank %d: %s:%d: not true: %s\n", comm_rank(), __FILE__, __LINE__, #condition);  \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

static int failures;

/* FNV-1a. */
static uint32_t add_bytes(uint32_t hash, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 16777619U;
    return hash;
}

static double checksum(const batch_t *batch, size_t b, size_t frame_bytes) {
    const size_t T = batch->T, W = (T + SEGMENT - 1) / SEGMENT, frames = batch->valid[b],
                 segments = (frames + SEGMENT - 1) / SEGMENT;
    uint32_t hash = add_bytes(2166136261U, batch->bits + b * (CONTEXT + T) * frame_bytes,
                              (CONTEXT + frames) * frame_bytes);
    hash = add_bytes(hash, batch->eps + b * W * LATENT, segments * LATENT * sizeof *batch->eps);
    hash = add_bytes(hash, batch->keep_input + b * T, frames);
    hash = add_bytes(hash, batch->keep_past + b * W, segments);
    return add_bytes(hash, batch->keep_state + b * T * STATE, frames * STATE);
}

/* Of a step on this rank: passes, samples, frames, checksums. */
typedef struct {
    double passes, samples, frames, checksums;
} part_t;

static void run_step(rank_batches_t *passes, const rank_batches_sizes_t *sizes, size_t accumulate,
                     int64_t epoch, int64_t step, size_t frame_bytes) {
    GError *error = NULL;
    rank_batches_step_t global;
    if (!rank_batches_begin(passes, epoch, step, &global, &error)) g_error("%s", error->message);
    part_t part = {0};
    int64_t longest = 0;
    rank_batches_share(passes, (size_t)comm_rank(), 1);
    for (const batch_t *batch; (batch = rank_batches_next(passes));) {
        double frames = 0;
        CHECK(batch->B >= 1 && batch->B <= sizes->B && batch->T == batch->valid[0]);
        for (size_t b = 0; b < batch->B; b++) {
            CHECK(batch->valid[b] >= 1 && (b == 0 || batch->valid[b] <= batch->valid[b - 1]));
            frames += batch->valid[b];
            part.checksums += checksum(batch, b, frame_bytes);
        }
        CHECK(frames <= (double)sizes->frames);
        longest = MAX(longest, (int64_t)batch->T);
        part.passes++;
        part.samples += (double)batch->B;
        part.frames += frames;
    }
    CHECK(!rank_batches_next(passes) && part.passes <= (double)accumulate);
    longest = comm_max(longest);
    CHECK(comm_max((int64_t)part.frames) + comm_max(-(int64_t)part.frames) <= longest); /* most - least */
    comm_sum_doubles((double *)&part, sizeof part / sizeof(double));
    CHECK((int64_t)part.samples == global.samples && global.weight == part.frames);
    if (comm_rank() == 0)
        printf("%.0f samples, %.0f frames, checksum %.0f\n", part.samples, part.frames, part.checksums);
}

static void begin_share(rank_batches_t *passes, int64_t step) {
    GError *error = NULL;
    rank_batches_step_t global;
    if (!rank_batches_begin(passes, 0, step, &global, &error)) g_error("%s", error->message);
    rank_batches_share(passes, (size_t)comm_rank(), 1);
}

/* Adds to counts: sequences with notes before them, and those of them that are hidden. */
static void compare_context(const batch_t *whole, const batch_t *hidden, size_t frame_bytes,
                            double counts[2]) {
    const size_t context = CONTEXT * frame_bytes, bytes = context + whole->T * frame_bytes;
    g_autofree uint8_t *silence = g_malloc0(context);
    for (size_t b = 0; b < whole->B; b++) {
        const uint8_t *here = whole->bits + b * bytes, *there = hidden->bits + b * bytes;
        const gboolean silent = memcmp(there, silence, context) == 0;
        CHECK(silent || memcmp(there, here, context) == 0);
        CHECK(memcmp(there + context, here + context, whole->valid[b] * frame_bytes) == 0);
        if (memcmp(here, silence, context) == 0) continue;
        counts[0]++;
        counts[1] += silent;
    }
}

/* With --context-dropout the same sequences have silence before them or what is there without it. */
static void check_context(data_t *data, const model_config_t *model, const rank_batches_config_t *config,
                          int64_t steps) {
    rank_batches_config_t none = *config, most = *config;
    none.context_dropout = 0;
    most.context_dropout = 0.9;
    g_autoptr(rank_batches_t) whole = rank_batches_new(data, model, &none);
    g_autoptr(rank_batches_t) hidden = rank_batches_new(data, model, &most);
    double counts[] = {0, 0};
    for (int64_t step = 0; step < steps; step++) {
        begin_share(whole, step);
        begin_share(hidden, step);
        for (const batch_t *batch; (batch = rank_batches_next(whole));)
            compare_context(batch, rank_batches_next(hidden), model_frame_bytes(model), counts);
    }
    comm_sum_doubles(counts, G_N_ELEMENTS(counts));
    CHECK(counts[1] >= 0.75 * counts[0] && (counts[0] < 30 || counts[1] < counts[0]));
    if (comm_rank() == 0) printf("%.0f of %.0f sequences begin in silence\n", counts[1], counts[0]);
}

static void run(const char *folder, const rank_batches_config_t *config, size_t chunk, size_t group_bytes,
                size_t memory) {
    GError *error = NULL;
    const data_config_t sequences = {.chunk = chunk,
                                     .align = SEGMENT,
                                     .context = CONTEXT,
                                     .planes = 2,
                                     .seed = 3,
                                     .random_offsets = TRUE,
                                     .memory = memory,
                                     .batch = config->batch,
                                     .group_bytes = group_bytes,
                                     .transpose_low = -5,
                                     .transpose_high = 6};
    data_t *data = data_load(rolls_open(folder, &error), &sequences, &error);
    if (!data) g_error("%s", error->message);
    const grid_t *grid = &data_shards(data)->grid;
    const model_config_t model = {
        .kind = MODEL_SEQUENCE,
        .tracks = (size_t)grid->n_tracks,
        .planes = 2,
        .pitches = (size_t)grid->pitches,
        .latent = LATENT,
        .sequence = {.segment = SEGMENT, .state = STATE, .lags = {CONTEXT}, .n_lags = 1}};
    const rank_batches_sizes_t sizes = rank_batches_sizes(data, MODEL_SEQUENCE, config);
    const int64_t steps = (data_samples(data) + (int64_t)config->batch - 1) / (int64_t)config->batch;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        g_autoptr(rank_batches_t) passes = rank_batches_new(data, &model, config);
        for (int64_t step = epoch ? steps / 2 : 0; step < steps; step++)
            run_step(passes, &sizes, config->accumulate, epoch, step, model_frame_bytes(&model));
    }
    if (group_bytes == 0) check_context(data, &model, config, steps);
    data_free(data);
}

int main(int argc, char **argv) {
    GError *error = NULL;
    if (!comm_init(&argc, &argv, &error)) g_error("%s", error->message);
    const rank_batches_config_t config = {.batch = strtoul(argv[3], NULL, 10),
                                          .shares = (size_t)comm_size(),
                                          .accumulate = strtoul(argv[4], NULL, 10),
                                          .seed = 3,
                                          .rates = {.input_dropout = 0.2, .lag_dropout = 0.3, .dropout = 0.4},
                                          .context_dropout = 0.5};
    const size_t group_bytes = argc > 5 ? strtoul(argv[5], NULL, 10) : 0,
                 memory = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    run(argv[1], &config, strtoul(argv[2], NULL, 10), group_bytes, memory);
    const gboolean passed = !comm_any(failures > 0);
    comm_finalize();
    return passed ? 0 : 1;
}
