/* rank_batches: owns the arrays of a pass (bits, lengths, noise) and which samples are this rank's. Refuses
 * nothing: train has checked that each rank can have a sample. */
#include "trainer/data/rank_batches.h"

#include <stdlib.h>

#include "trainer/data/batch_order.h"
#include "trainer/parallel/comm.h"

struct passes {
    const data_t *data;
    rank_batches_config_t config;
    gboolean sequences;
    int64_t epoch; /* under way; sequences: planned, -1: none */
    size_t frame_bytes, context;
    size_t max_B, max_T;
    batch_t batch;
    uint8_t *bits;   /* [max_B, window bytes], or [max_B, context + max_T, frame bytes] */
    uint32_t *valid; /* [max_B] */

    noise_t *noise;
    uint64_t *samples; /* [max_B] of the pass: places in the epoch's order */

    /* windows */
    int64_t next, last; /* of the epoch's order: this rank's [next, last) are to come */

    /* sequences */
    batch_order_t *order;
    uint32_t *frames;         /* [samples] of the epoch's sequences */
    uint32_t *mine;           /* [batch]: this rank's slots, longest first */
    uint32_t *lengths, *part; /* [batch] scratch of sharing */
    uint64_t *load;           /* [ranks or passes] scratch of sharing */
    uint32_t *pass_of;        /* [batch]: the pass of each of mine */
    size_t n_mine, pass;
};

static int compare_down(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* The most frames that each sequence has in any epoch, longest first, [data_samples()]. Owner: caller. */
static uint32_t *longest_sequences(const data_t *data) {
    const size_t samples = (size_t)data_samples(data);
    uint32_t *frames = g_new(uint32_t, samples);
    for (size_t i = 0; i < samples; i++) frames[i] = data_sequence_most_frames(data, (int64_t)i);
    qsort(frames, samples, sizeof *frames, compare_down);
    return frames;
}

/* Of sequences: whichever meet in a batch. The first of a batch go to a part each, so that a part has all but
 * the others' first at most. */
rank_batches_sizes_t rank_batches_sizes(const data_t *data, model_kind_t kind,
                                        const rank_batches_config_t *config) {
    const size_t ranks = (size_t)comm_size(), batch = config->batch, accumulate = config->accumulate;
    if (kind != MODEL_SEQUENCE) {
        const size_t share = (batch + ranks - 1) / ranks;
        return (rank_batches_sizes_t){.B = (share + accumulate - 1) / accumulate};
    }
    g_autofree uint32_t *frames = longest_sequences(data);
    uint64_t total = 0;
    for (size_t i = 0; i < batch; i++) total += frames[i];
    const size_t of_rank = batch > ranks ? batch - ranks + 1 : 1;
    return (rank_batches_sizes_t){
        .B = of_rank > accumulate ? of_rank - accumulate + 1 : 1,
        .frames = batch_order_most(batch_order_most(total, frames[0], ranks), frames[0], accumulate)};
}

static void create_windows(rank_batches_t *passes, const model_config_t *model) {
    passes->bits = g_malloc(passes->max_B * model_window_bytes(model));
    passes->noise = noise_new(model, &passes->config.rates, passes->max_B, passes->max_B);
}

static void create_sequences(rank_batches_t *passes, const model_config_t *model) {
    const size_t samples = (size_t)data_samples(passes->data), batch = passes->config.batch;
    passes->frames = longest_sequences(passes->data);
    passes->max_T = passes->frames[0];
    passes->order = batch_order_new(samples, batch);
    passes->noise = noise_new(model, &passes->config.rates, passes->max_B, passes->max_B * passes->max_T);
    passes->context = model_context(model);
    passes->bits = g_malloc(passes->max_B * (passes->context + passes->max_T) * passes->frame_bytes);
    passes->mine = g_new(uint32_t, batch);
    passes->lengths = g_new(uint32_t, batch);
    passes->part = g_new(uint32_t, batch);
    passes->pass_of = g_new(uint32_t, batch);
    passes->load = g_new(uint64_t, MAX((size_t)comm_size(), passes->config.accumulate));
}

rank_batches_t *rank_batches_new(const data_t *data, const model_config_t *model,
                                 const rank_batches_config_t *config) {
    rank_batches_t *passes = g_new0(rank_batches_t, 1);
    passes->data = data;
    passes->config = *config;
    passes->sequences = model->kind == MODEL_SEQUENCE;
    passes->epoch = -1;
    passes->max_B = rank_batches_sizes(data, model->kind, config).B;
    passes->frame_bytes = model_frame_bytes(model);
    if (passes->sequences)
        create_sequences(passes, model);
    else
        create_windows(passes, model);
    passes->valid = g_new(uint32_t, passes->max_B);
    passes->samples = g_new(uint64_t, passes->max_B);
    passes->batch = (batch_t){.bits = passes->bits, .valid = passes->valid};
    return passes;
}

void rank_batches_free(rank_batches_t *passes) {
    if (!passes) return;
    void *const buffers[] = {passes->bits,    passes->valid, passes->frames,  passes->mine,   passes->part,
                             passes->lengths, passes->load,  passes->pass_of, passes->samples};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    batch_order_free(passes->order);
    noise_free(passes->noise);
    g_free(passes);
}

static gboolean begin_windows(rank_batches_t *passes, int64_t step, rank_batches_step_t *global,
                              GError **error) {
    const int64_t batch = (int64_t)passes->config.batch, first = step * batch,
                  n = MIN(batch, data_samples(passes->data) - first);
    int64_t offset = 0;
    *global = (rank_batches_step_t){.samples = n, .scale = 1.0 / (double)n};
    const size_t mine = data_part(n, comm_rank(), comm_size(), &offset);
    passes->next = first + offset;
    passes->last = passes->next + (int64_t)mine;
    return data_turn(passes->data, passes->epoch, first, (size_t)n, &global->stopped, error);
}

static const batch_t *next_windows(rank_batches_t *passes) {
    batch_t *batch = &passes->batch;
    if (passes->next == passes->last) return NULL;
    batch->B = MIN(passes->max_B, (size_t)(passes->last - passes->next));
    data_train_batch(passes->data, passes->epoch, passes->next, batch->B, passes->bits, passes->valid);
    for (size_t b = 0; b < batch->B; b++) passes->samples[b] = (uint64_t)passes->next++;
    noise_draw(passes->noise, passes->config.seed, (uint64_t)passes->epoch, passes->samples, batch);
    return batch;
}

static void plan_epoch(rank_batches_t *passes, int64_t epoch) {
    const int64_t samples = data_samples(passes->data);
    for (int64_t slot = 0; slot < samples; slot++)
        passes->frames[slot] = data_sequence_frames(passes->data, epoch, slot);
    batch_order_plan(passes->order, data_plan(passes->data, epoch), passes->frames);
}

/* Frames of the slots [n] to lengths; returns their sum. */
static uint64_t look_up_lengths(rank_batches_t *passes, const uint32_t *slots, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += passes->lengths[i] = passes->frames[slots[i]];
    return sum;
}

static gboolean begin_sequences(rank_batches_t *passes, int64_t step, rank_batches_step_t *global,
                                GError **error) {
    size_t n = 0;
    const uint32_t *slots = batch_order_step(passes->order, (size_t)step, &n);
    const uint64_t frames = look_up_lengths(passes, slots, n);
    batch_order_split(passes->lengths, n, (size_t)comm_size(), passes->part, passes->load);
    passes->n_mine = passes->pass = 0;
    for (size_t i = 0; i < n; i++)
        if (passes->part[i] == (uint32_t)comm_rank()) passes->mine[passes->n_mine++] = slots[i];
    look_up_lengths(passes, passes->mine, passes->n_mine);
    batch_order_split(passes->lengths, passes->n_mine, passes->config.accumulate, passes->pass_of,
                      passes->load);
    *global = (rank_batches_step_t){.samples = (int64_t)n, .scale = 1.0 / (double)frames};
    return data_turn(passes->data, passes->epoch, batch_order_step_first(passes->order, (size_t)step), n,
                     &global->stopped, error);
}

static const batch_t *next_sequences(rank_batches_t *passes) {
    batch_t *batch = &passes->batch;
    for (batch->B = 0; batch->B == 0; passes->pass++) {
        if (passes->pass == passes->config.accumulate) return NULL;
        for (size_t i = 0; i < passes->n_mine; i++)
            if (passes->pass_of[i] == passes->pass) passes->samples[batch->B++] = passes->mine[i];
    }
    batch->T = passes->frames[passes->samples[0]];
    for (size_t b = 0; b < batch->B; b++) {
        uint8_t *bits = passes->bits + b * (passes->context + batch->T) * passes->frame_bytes;
        passes->valid[b] =
            data_sequence(passes->data, passes->epoch, (int64_t)passes->samples[b], batch->T, bits);
    }
    noise_draw(passes->noise, passes->config.seed, (uint64_t)passes->epoch, passes->samples, batch);
    return batch;
}

gboolean rank_batches_begin(rank_batches_t *passes, int64_t epoch, int64_t step, rank_batches_step_t *global,
                            GError **error) {
    if (passes->sequences && passes->epoch != epoch) plan_epoch(passes, epoch);
    passes->epoch = epoch;
    return passes->sequences ? begin_sequences(passes, step, global, error)
                             : begin_windows(passes, step, global, error);
}

const batch_t *rank_batches_next(rank_batches_t *passes) {
    return passes->sequences ? next_sequences(passes) : next_windows(passes);
}
