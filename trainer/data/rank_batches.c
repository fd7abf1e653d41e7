/* rank_batches: owns the arrays of a batch (bits, lengths, noise) and decides which samples are whose.
 * Refuses nothing. */
#include "trainer/data/rank_batches.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/data/batch_order.h"

struct rank_batches {
    const data_t *data;
    rank_batches_config_t config;
    gboolean sequences;
    int64_t epoch; /* the one that was begun, -1: none */
    size_t frame_bytes, context;
    size_t max_B, max_T;
    batch_t batch;
    uint8_t *bits;   /* [max_B, window bytes], or [max_B, context + max_T, frame bytes] */
    uint32_t *valid; /* [max_B] */
    place_t *places; /* [max_B, max_T]; NULL where the model knows none */
    model_config_t model;

    noise_t *noise;
    uint64_t *samples; /* [max_B] of the batch: places in the epoch's order */
    uint32_t *grains;  /* [together + 1] where each share begins */

    /* windows */
    int64_t first, n;   /* the step's samples: [first, first + n) of the epoch's order */
    int64_t next, last; /* those of the shares still to come: [next, last) */

    /* sequences */
    batch_order_t *order;
    uint32_t *frames;      /* [samples] of the epoch's sequences */
    const uint32_t *slots; /* [n_slots] of the step, longest first */
    uint32_t *part;        /* [batch]: which share each is in */
    uint32_t *mine;        /* [batch]: the shares' slots, one after the other, each longest first */
    played_song_t *songs;  /* [max_B]: of the batch's sequences; NULL: how they are played is not learned */
    uint32_t *batch_of;    /* [batch]: which of the share's batches each of mine is in */
    uint32_t *lengths;     /* [batch] scratch of sharing */
    uint64_t *load;        /* [shares, accumulate at least] scratch of sharing */
    size_t n_slots, n_mine, next_batch;
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

/* For sequences, the bounds allow for any sequences in a batch. Each share gets one sequence before any gets
 * a second, so none has more than batch - shares + 1; likewise for the batches of a share. */
rank_batches_sizes_t rank_batches_sizes(const data_t *data, model_kind_t kind,
                                        const rank_batches_config_t *config) {
    const size_t shares = config->shares, batch = config->batch, accumulate = config->accumulate;
    if (kind != MODEL_SEQUENCE) {
        const size_t share = MIN(MAX(config->together, 1) * ((batch + shares - 1) / shares), batch);
        return (rank_batches_sizes_t){.B = (share + accumulate - 1) / accumulate};
    }
    g_autofree uint32_t *frames = longest_sequences(data);
    uint64_t total = 0;
    for (size_t i = 0; i < batch; i++) total += frames[i];
    const size_t together = MAX(config->together, 1),
                 of_shares = batch > shares ? batch - shares + together : MIN(together, batch);
    const uint64_t of_share =
        batch_order_most(batch_order_most(total, frames[0], shares), frames[0], accumulate);
    return (rank_batches_sizes_t){.B = of_shares > accumulate ? of_shares - accumulate + 1 : 1,
                                  .frames = MIN(total, together * of_share)};
}

static void create_windows(rank_batches_t *batches, const model_config_t *model) {
    batches->bits = g_malloc(batches->max_B * model_window_bytes(model));
    batches->noise = noise_new(model, &batches->config.rates, batches->max_B, batches->max_B);
}

static void create_sequences(rank_batches_t *batches, const model_config_t *model) {
    const size_t samples = (size_t)data_samples(batches->data), batch = batches->config.batch;
    batches->frames = longest_sequences(batches->data);
    batches->max_T = batches->frames[0];
    batches->order = batch_order_new(samples, batch);
    batches->noise =
        noise_new(model, &batches->config.rates, batches->max_B, batches->max_B * batches->max_T);
    batches->context = model_context(model);
    batches->bits = g_malloc(batches->max_B * (batches->context + batches->max_T) * batches->frame_bytes);
    if (model->sequence.bar > 0) batches->places = g_new(place_t, batches->max_B * batches->max_T);
    batches->mine = g_new(uint32_t, batch);
    batches->lengths = g_new(uint32_t, batch);
    batches->part = g_new(uint32_t, batch);
    batches->batch_of = g_new(uint32_t, batch);
    if (model->sequence.performance) batches->songs = g_new0(played_song_t, batches->max_B);
    batches->load = g_new(uint64_t, MAX(batches->config.shares, batches->config.accumulate));
}

rank_batches_t *rank_batches_new(const data_t *data, const model_config_t *model,
                                 const rank_batches_config_t *config) {
    rank_batches_t *batches = g_new0(rank_batches_t, 1);
    batches->data = data;
    batches->config = *config;
    batches->model = *model;
    batches->sequences = model->kind == MODEL_SEQUENCE;
    batches->epoch = -1;
    batches->max_B = rank_batches_sizes(data, model->kind, config).B;
    batches->grains = g_new0(uint32_t, MAX(config->together, 1) + 1);
    batches->frame_bytes = model_frame_bytes(model);
    if (batches->sequences)
        create_sequences(batches, model);
    else
        create_windows(batches, model);
    batches->valid = g_new(uint32_t, batches->max_B);
    batches->samples = g_new(uint64_t, batches->max_B);
    batches->batch = (batch_t){.bits = batches->bits, .valid = batches->valid, .places = batches->places};
    return batches;
}

void rank_batches_free(rank_batches_t *batches) {
    if (!batches) return;
    void *const buffers[] = {batches->grains,   batches->bits,    batches->valid,   batches->frames,
                             batches->mine,     batches->part,    batches->lengths, batches->load,
                             batches->batch_of, batches->samples, batches->songs,   batches->places};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    batch_order_free(batches->order);
    noise_free(batches->noise);
    g_free(batches);
}

static gboolean begin_windows(rank_batches_t *batches, int64_t step, rank_batches_step_t *global,
                              GError **error) {
    const int64_t batch = (int64_t)batches->config.batch, first = step * batch,
                  n = MIN(batch, data_samples(batches->data) - first);
    *global = (rank_batches_step_t){.samples = n, .weight = (double)n};
    batches->first = first;
    batches->n = n;
    return data_turn(batches->data, batches->epoch, first, (size_t)n, &global->stopped, error);
}

static const batch_t *next_windows(rank_batches_t *batches) {
    batch_t *batch = &batches->batch;
    if (batches->next == batches->last) return NULL;
    batch->B = MIN(batches->max_B, (size_t)(batches->last - batches->next));
    data_train_batch(batches->data, batches->epoch, batches->next, batch->B, batches->bits, batches->valid);
    for (size_t b = 0; b < batch->B; b++) batches->samples[b] = (uint64_t)batches->next++;
    noise_draw(batches->noise, batches->config.seed, (uint64_t)batches->epoch, batches->samples, batch);
    return batch;
}

static void plan_epoch(rank_batches_t *batches, int64_t epoch) {
    const int64_t samples = data_samples(batches->data);
    for (int64_t slot = 0; slot < samples; slot++)
        batches->frames[slot] = data_sequence_frames(batches->data, epoch, slot);
    batch_order_plan(batches->order, data_plan(batches->data, epoch), batches->frames);
}

/* Looks up the frames of slots [n] into lengths; returns their sum. */
static uint64_t look_up_lengths(rank_batches_t *batches, const uint32_t *slots, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += batches->lengths[i] = batches->frames[slots[i]];
    return sum;
}

static gboolean begin_sequences(rank_batches_t *batches, int64_t step, rank_batches_step_t *global,
                                GError **error) {
    batches->slots = batch_order_step(batches->order, (size_t)step, &batches->n_slots);
    const size_t n = batches->n_slots;
    const uint64_t frames = look_up_lengths(batches, batches->slots, n);
    batch_order_split(batches->lengths, n, batches->config.shares, batches->part, batches->load);
    *global = (rank_batches_step_t){.samples = (int64_t)n, .weight = (double)frames};
    return data_turn(batches->data, batches->epoch, batch_order_step_first(batches->order, (size_t)step), n,
                     &global->stopped, error);
}

/* Finds where the frames of the batch's b-th sequence are in their bars. */
static void find_places(rank_batches_t *batches, size_t b) {
    int64_t start;
    size_t frames;
    const size_t song =
        data_find_sequence(batches->data, batches->epoch, (int64_t)batches->samples[b], &start, &frames);
    const meters_t meters = data_piece_meters(batches->data, SPLIT_TRAIN, (int64_t)song);
    for (size_t t = 0; t < frames; t++)
        place_find(meters, (size_t)start + t, &batches->model, &batches->places[b * batches->batch.T + t]);
}

/* Puts silence before the batch's b-th sequence in a share of the sequences. */
static void hide_context(const rank_batches_t *batches, size_t b, uint8_t *bits) {
    const rng_t rng =
        rng_make(batches->config.seed, RNG_CONTEXT_DROPOUT, (uint64_t)batches->epoch, batches->samples[b]);
    if (rng_uniform(&rng, 0) < batches->config.context_dropout)
        memset(bits, 0, batches->context * batches->frame_bytes);
}

static const batch_t *next_sequences(rank_batches_t *batches) {
    batch_t *batch = &batches->batch;
    for (batch->B = 0; batch->B == 0; batches->next_batch++) {
        if (batches->next_batch == batches->config.accumulate) return NULL;
        for (size_t i = 0; i < batches->n_mine; i++)
            if (batches->batch_of[i] == batches->next_batch) batches->samples[batch->B++] = batches->mine[i];
    }
    batch->T = 0;
    for (size_t b = 0; b < batch->B; b++) batch->T = MAX(batch->T, batches->frames[batches->samples[b]]);
    for (size_t b = 0; b < batch->B; b++) {
        uint8_t *bits = batches->bits + b * (batches->context + batch->T) * batches->frame_bytes;
        batches->valid[b] = data_sequence(batches->data, batches->epoch, (int64_t)batches->samples[b],
                                          batch->T, bits, batches->songs ? &batches->songs[b] : NULL);
        hide_context(batches, b, bits);
        if (batches->places) find_places(batches, b);
    }
    batch->songs = batches->songs;
    noise_draw(batches->noise, batches->config.seed, (uint64_t)batches->epoch, batches->samples, batch);
    return batch;
}

gboolean rank_batches_begin(rank_batches_t *batches, int64_t epoch, int64_t step, rank_batches_step_t *global,
                            GError **error) {
    if (batches->sequences && batches->epoch != epoch) plan_epoch(batches, epoch);
    batches->epoch = epoch;
    return batches->sequences ? begin_sequences(batches, step, global, error)
                              : begin_windows(batches, step, global, error);
}

double rank_batches_weight(const rank_batches_t *batches, size_t share, size_t count) {
    double weight = 0;
    int64_t offset;
    for (size_t i = share; i < share + count && !batches->sequences; i++)
        weight += (double)data_part(batches->n, (int)i, (int)batches->config.shares, &offset);
    for (size_t i = 0; i < batches->n_slots; i++)
        if (batches->part[i] >= share && batches->part[i] < share + count)
            weight += (double)batches->frames[batches->slots[i]];
    return weight;
}

static void share_windows(rank_batches_t *batches, size_t share, size_t count) {
    int64_t begin, offset;
    data_part(batches->n, (int)share, (int)batches->config.shares, &begin);
    for (size_t i = 0; i < count; i++) {
        const size_t n = data_part(batches->n, (int)(share + i), (int)batches->config.shares, &offset);
        batches->grains[i + 1] = batches->grains[i] + (uint32_t)n;
    }
    batches->next = batches->first + begin;
    batches->last = batches->next + batches->grains[count];
    if (batches->config.together > 0)
        batches->batch.grains = (grains_t){.begin = batches->grains, .n = count};
}

static void share_sequences(rank_batches_t *batches, size_t share, size_t count) {
    batches->n_mine = batches->next_batch = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t slot = 0; slot < batches->n_slots; slot++)
            if (batches->part[slot] == share + i) batches->mine[batches->n_mine++] = batches->slots[slot];
        batches->grains[i + 1] = (uint32_t)batches->n_mine;
    }
    if (batches->config.together > 0) {
        batches->batch.grains = (grains_t){.begin = batches->grains, .n = count};
        memset(batches->batch_of, 0, batches->n_mine * sizeof *batches->batch_of);
        return;
    }
    g_assert(count == 1);
    look_up_lengths(batches, batches->mine, batches->n_mine);
    batch_order_split(batches->lengths, batches->n_mine, batches->config.accumulate, batches->batch_of,
                      batches->load);
}

void rank_batches_share(rank_batches_t *batches, size_t share, size_t count) {
    if (!batches->sequences) {
        share_windows(batches, share, count);
        return;
    }
    share_sequences(batches, share, count);
}

gboolean rank_batches_more(const rank_batches_t *batches) {
    if (!batches->sequences) return batches->next < batches->last;
    for (size_t i = 0; i < batches->n_mine; i++)
        if (batches->batch_of[i] >= batches->next_batch) return TRUE;
    return FALSE;
}

const batch_t *rank_batches_next(rank_batches_t *batches) {
    return batches->sequences ? next_sequences(batches) : next_windows(batches);
}
