/* data: owns the index of windows or sequences, the order of an epoch, and augmentation; the frames come from
 * rolls. A sample depends on (seed, epoch, slot) alone, so any rank can make any sample. Refuses nothing. */
#include "trainer/data/data.h"

#include <math.h>
#include <string.h>

#include "trainer/parallel/comm.h"

typedef struct {
    size_t n_songs;
    size_t *songs;       /* [n_songs], indices into set->songs */
    int64_t *first_slot; /* [n_songs + 1], the last is the count of slots */
    int64_t frames;
} split_index_t;

struct data {
    data_config_t config;
    rolls_t *rolls;
    const shard_set_t *set;
    size_t frame_bytes;  /* of the shards: both planes */
    size_t sample_bytes; /* of a frame of samples: planes that the model learns */
    size_t stride, window_bytes;
    split_index_t splits[SPLIT_COUNT];
    GArray *blocks;     /* order_block_t of the train songs */
    uint32_t *block_of; /* [train songs] */
    order_t *order;
};

/* Frames from one slot of a song to the next. */
static int64_t slot_frames(const data_config_t *config, const shard_song_t *song) {
    return config->window ? (int64_t)config->window : config->chunk ? (int64_t)config->chunk : song->frames;
}

static void index_split(data_t *data, split_t split) {
    split_index_t *index = &data->splits[split];
    for (size_t i = 0; i < data->set->n_songs; i++) index->n_songs += data->set->songs[i].split == split;
    index->songs = g_new(size_t, index->n_songs);
    index->first_slot = g_new0(int64_t, index->n_songs + 1);
    for (size_t i = 0, k = 0; i < data->set->n_songs; i++) {
        const shard_song_t *song = &data->set->songs[i];
        if (song->split != split) continue;
        index->songs[k] = i;
        int64_t step = slot_frames(&data->config, song);
        index->first_slot[k + 1] = index->first_slot[k] + (song->frames + step - 1) / step;
        index->frames += song->frames;
        k++;
    }
}

/* Cuts the train songs, with the songs of other splits between them, into blocks. */
static void make_blocks(data_t *data, size_t most_bytes) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    const shard_song_t *songs = data->set->songs;
    data->blocks = g_array_new(FALSE, TRUE, sizeof(order_block_t));
    data->block_of = g_new(uint32_t, train->n_songs);
    order_block_t *block = NULL;
    for (size_t k = 0; k < train->n_songs; k++) {
        const size_t song = train->songs[k];
        const int64_t end = songs[song].first_frame + songs[song].frames;
        size_t bytes = block ? (size_t)(end - songs[block->first_song].first_frame) * data->frame_bytes : 0;
        if (!block || bytes > most_bytes) {
            const order_block_t next = {.first_song = song, .first_slot = train->first_slot[k]};
            g_array_append_val(data->blocks, next);
            block = &g_array_index(data->blocks, order_block_t, data->blocks->len - 1);
            bytes = (size_t)songs[song].frames * data->frame_bytes;
        }
        block->n_songs = song + 1 - block->first_song;
        block->slots = train->first_slot[k + 1] - block->first_slot;
        block->bytes = bytes;
        data->block_of[k] = data->blocks->len - 1;
    }
}

/* Indexes songs and slots; reads no frames. */
static void make_index(data_t *data) {
    const data_config_t *config = &data->config;
    const size_t group_bytes = config->group_bytes ? config->group_bytes : ORDER_GROUP_BYTES;
    data->set = rolls_set(data->rolls);
    data->stride = roll_stride((size_t)data->set->grid.pitches);
    data->frame_bytes = grid_frame_bytes(&data->set->grid);
    data->sample_bytes = (size_t)data->set->grid.n_tracks * config->planes * data->stride;
    data->window_bytes = config->window * data->sample_bytes;
    for (int split = 0; split < SPLIT_COUNT; split++) index_split(data, (split_t)split);
    make_blocks(data, group_bytes / ORDER_GROUP_BLOCKS);
    data->order =
        order_new((order_block_t *)(void *)data->blocks->data, data->blocks->len, group_bytes, config->seed);
}

data_t *data_load(rolls_t *rolls, const data_config_t *config, GError **error) {
    if (!rolls) return NULL;
    data_t *data = g_new0(data_t, 1);
    data->config = *config;
    data->rolls = rolls;
    make_index(data);
    if (rolls_fill(rolls, data->order, config->memory, config->batch, config->played, error)) return data;
    data_free(data);
    return NULL;
}

void data_free(data_t *data) {
    if (!data) return;
    rolls_free(data->rolls);
    order_free(data->order);
    for (int split = 0; split < SPLIT_COUNT; split++) {
        g_free(data->splits[split].songs);
        g_free(data->splits[split].first_slot);
    }
    if (data->blocks) g_array_unref(data->blocks);
    g_free(data->block_of);
    g_free(data);
}

rolls_t *data_rolls(const data_t *data) { return data->rolls; }
const shard_set_t *data_shards(const data_t *data) { return data->set; }
int64_t data_windows(const data_t *data, split_t split) {
    return data->splits[split].first_slot[data->splits[split].n_songs];
}
int64_t data_samples(const data_t *data) { return data_windows(data, SPLIT_TRAIN); }

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double data_median_tempo(const data_t *data) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    if (train->n_songs == 0) return MIDI_DEFAULT_BPM;
    g_autofree double *tempi = g_new(double, train->n_songs);
    for (size_t i = 0; i < train->n_songs; i++) tempi[i] = data->set->songs[train->songs[i]].tempo_bpm;
    qsort(tempi, train->n_songs, sizeof *tempi, compare_doubles);
    return tempi[train->n_songs / 2];
}

/* Counts meters by numerator and denominator. Of equally frequent ones the first in this order wins, so that
 * the order of the songs does not matter. */
meter_t data_main_meter(const data_t *data) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    g_autofree size_t *counts = g_new0(size_t, 256 * 256);
    size_t best = 4 * 256 + 4;
    for (size_t i = 0; i < train->n_songs; i++) {
        const shard_song_t *song = &data->set->songs[train->songs[i]];
        counts[song->meter_numerator * 256 + song->meter_denominator]++;
    }
    for (size_t i = 0; i < 256 * 256; i++)
        if (counts[i] > counts[best]) best = i;
    return (meter_t){.numerator = (uint8_t)(best / 256), .denominator = (uint8_t)(best % 256)};
}

/* Adds the set cells of a track's planes, [planes, stride], to counts [planes, pitches]. */
static void count_cells(const uint8_t *bits, size_t planes, size_t stride, size_t pitches, double *counts) {
    for (size_t l = 0; l < planes; l++)
        for (size_t i = 0; i < stride; i++)
            for (unsigned byte = bits[l * stride + i]; byte; byte &= byte - 1) {
                const size_t p = 8 * i + (size_t)__builtin_ctz(byte);
                if (p < pitches) counts[l * pitches + p]++;
            }
}

/* Adds the set cells of a song to counts [cells]. */
static void count_song(const data_t *data, const uint8_t *bits, int64_t frames, double *counts) {
    const size_t tracks = (size_t)data->set->grid.n_tracks, planes = data->config.planes,
                 pitches = (size_t)data->set->grid.pitches;
    for (int64_t t = 0; t < frames; t++, bits += data->frame_bytes)
        for (size_t k = 0; k < tracks; k++)
            count_cells(bits + k * ROLL_PLANES * data->stride, planes, data->stride, pitches,
                        counts + k * planes * pitches);
}

static void count_block(const data_t *data, const order_block_t *block, double *counts) {
    const shard_song_t *songs = data->set->songs + block->first_song;
    const uint8_t *bits = rolls_songs(data->rolls, block->first_song, block->n_songs);
    for (size_t i = 0; i < block->n_songs; i++) {
        if (songs[i].split == SPLIT_TRAIN) count_song(data, bits, songs[i].frames, counts);
        bits += (size_t)songs[i].frames * data->frame_bytes;
    }
}

/* Each rank counts its share of the blocks. Counts are whole numbers, so their sum is exact. */
gboolean data_log_odds(const data_t *data, double *log_odds, GError **error) {
    const double frames = (double)data->splits[SPLIT_TRAIN].frames;
    const size_t cells =
        (size_t)data->set->grid.n_tracks * data->config.planes * (size_t)data->set->grid.pitches;
    int64_t first = 0;
    const size_t mine = data_part((int64_t)order_blocks(data->order), comm_rank(), comm_size(), &first);
    memset(log_odds, 0, cells * sizeof *log_odds);
    for (size_t i = (size_t)first; i < (size_t)first + mine && !rolls_failed(data->rolls); i++)
        count_block(data, order_block(data->order, i), log_odds);
    if (!rolls_agree(data->rolls, error)) return FALSE;
    comm_sum_doubles(log_odds, cells);
    for (size_t i = 0; i < cells; i++) log_odds[i] = log((log_odds[i] + 0.5) / (frames - log_odds[i] + 0.5));
    return TRUE;
}

gboolean data_pitch_range(const data_t *data, const double *log_odds, size_t *lowest, size_t *highest) {
    const size_t P = (size_t)data->set->grid.pitches,
                 planes = (size_t)data->set->grid.n_tracks * data->config.planes;
    const double never = log(0.5 / ((double)data->splits[SPLIT_TRAIN].frames + 0.5));
    *lowest = P;
    *highest = 0;
    for (size_t i = 0; i < planes * P; i++) {
        if (!(log_odds[i] > never)) continue;
        *lowest = MIN(*lowest, i % P);
        *highest = MAX(*highest, i % P);
    }
    return *lowest < P;
}

/* The song of a split that a slot is in, and the slot's number in that song. */
static size_t find_slot(const data_t *data, split_t split, int64_t slot, int64_t *number) {
    const split_index_t *index = &data->splits[split];
    const size_t k = order_find(index->first_slot, index->n_songs, slot);
    *number = slot - index->first_slot[k];
    return k;
}

/* Song k of a split. */
static const shard_song_t *song_of(const data_t *data, split_t split, size_t k) {
    return &data->set->songs[data->splits[split].songs[k]];
}

static const uint8_t *train_frames(const data_t *data, int64_t epoch, size_t k) {
    return rolls_train_song(data->rolls, data->order, epoch, data->block_of[k],
                            data->splits[SPLIT_TRAIN].songs[k]);
}

/* Clamps a transposition so that every sounding note of the frames stays inside the roll. */
static int clamp_transposition(const data_t *data, const uint8_t *frames, size_t n, int semitones) {
    int lowest = 0, highest = 0;
    if (semitones == 0 || !roll_pitch_range(frames, n, &data->set->grid, &lowest, &highest)) return 0;
    return CLAMP(semitones, -lowest, data->set->grid.pitches - 1 - highest);
}

/* Copies frames [start, start + n) of a song, transposed, keeping only the planes that the model learns. */
static void copy_frames(const data_t *data, const uint8_t *song, int64_t start, size_t n, int semitones,
                        uint8_t *to) {
    const grid_t *grid = &data->set->grid;
    size_t tracks = (size_t)grid->n_tracks, planes = data->config.planes, stride = data->stride;
    const uint8_t *from = song + (size_t)start * data->frame_bytes;
    semitones = clamp_transposition(data, from, n, semitones);
    for (size_t t = 0; t < n; t++) {
        for (size_t k = 0; k < tracks; k++) {
            int shift = grid->roles[k] == ROLE_DRUMS ? 0 : semitones;
            for (size_t l = 0; l < planes; l++) {
                const uint8_t *plane = from + ((t * tracks + k) * ROLL_PLANES + l) * stride;
                uint8_t *out = to + ((t * tracks + k) * planes + l) * stride;
                if (shift == 0)
                    memcpy(out, plane, stride);
                else
                    roll_shift_plane(plane, out, (size_t)grid->pitches, shift);
            }
        }
    }
}

/* Copies frames of a song of n, from start, to a packed window; returns how many fit. */
static uint32_t copy_window(const data_t *data, const uint8_t *song, int64_t n, int64_t start, int semitones,
                            uint8_t *to) {
    size_t frames = MIN(data->config.window, (size_t)(n - start)), done = frames * data->sample_bytes;
    copy_frames(data, song, start, frames, semitones, to);
    memset(to + done, 0, data->window_bytes - done);
    return (uint32_t)frames;
}

static int draw_transposition(const data_t *data, int64_t epoch, int64_t slot) {
    const data_config_t *config = &data->config;
    if (config->transpose_high <= config->transpose_low) return config->transpose_low;
    rng_t rng = rng_make(config->seed, RNG_TRANSPOSE, (uint64_t)epoch, (uint64_t)slot);
    return config->transpose_low +
           (int)rng_below(&rng, 0, (uint64_t)(config->transpose_high - config->transpose_low) + 1);
}

/* Random offset of a slot's start, in [0, n). */
static int64_t draw_offset(const data_t *data, int64_t epoch, int64_t slot, int64_t n) {
    if (!data->config.random_offsets) return 0;
    rng_t rng = rng_make(data->config.seed, RNG_OFFSET, (uint64_t)epoch, (uint64_t)slot);
    return (int64_t)rng_below(&rng, 0, (uint64_t)n);
}

const order_t *data_plan(const data_t *data, int64_t epoch) {
    order_plan(data->order, epoch);
    return data->order;
}

gboolean data_turn(const data_t *data, int64_t epoch, int64_t first, size_t n, gboolean *stopped,
                   GError **error) {
    const order_t *order = data_plan(data, epoch);
    return rolls_turn(data->rolls, epoch, order_group_of(order, first),
                      order_group_of(order, first + (int64_t)n - 1), stopped, error);
}

void data_train_batch(const data_t *data, int64_t epoch, int64_t first, size_t n, uint8_t *bits,
                      uint32_t *valid) {
    const int64_t window = (int64_t)data->config.window;
    const order_t *order = data_plan(data, epoch);
    for (size_t i = 0; i < n; i++) {
        int64_t slot = order_slot(order, first + (int64_t)i), number = 0;
        const size_t k = find_slot(data, SPLIT_TRAIN, slot, &number);
        const int64_t frames = song_of(data, SPLIT_TRAIN, k)->frames;
        int64_t start = number * window + draw_offset(data, epoch, slot, window);
        if (data->config.random_offsets) start = CLAMP(frames - window, 0, start);
        const int semitones = draw_transposition(data, epoch, slot);
        valid[i] = copy_window(data, train_frames(data, epoch, k), frames, start, semitones,
                               bits + i * data->window_bytes);
    }
}

void data_grid_batch(const data_t *data, split_t split, int64_t first, size_t n, uint8_t *bits,
                     uint32_t *valid) {
    for (size_t i = 0; i < n; i++) {
        int64_t number = 0;
        const size_t k = find_slot(data, split, first + (int64_t)i, &number);
        const uint8_t *song = rolls_songs(data->rolls, data->splits[split].songs[k], 1);
        const int64_t start = number * (int64_t)data->config.window;
        valid[i] =
            copy_window(data, song, song_of(data, split, k)->frames, start, 0, bits + i * data->window_bytes);
    }
}

size_t data_find_sequence(const data_t *data, int64_t epoch, int64_t slot, int64_t *start, size_t *frames) {
    const data_config_t *config = &data->config;
    const int64_t align = (int64_t)config->align, chunk = (int64_t)config->chunk;
    int64_t number = 0;
    const size_t k = find_slot(data, SPLIT_TRAIN, slot, &number);
    const shard_song_t *song = song_of(data, SPLIT_TRAIN, k);
    *start = 0;
    *frames = (size_t)song->frames;
    if (chunk == 0) return k;
    *start = (number * chunk + draw_offset(data, epoch, slot, chunk)) / align * align;
    if (config->random_offsets)
        *start = MIN(*start, (MAX(song->frames - chunk, 0) + align - 1) / align * align);
    *frames = (size_t)MIN(chunk, song->frames - *start);
    return k;
}

uint32_t data_sequence_frames(const data_t *data, int64_t epoch, int64_t slot) {
    int64_t start = 0;
    size_t frames = 0;
    data_find_sequence(data, epoch, slot, &start, &frames);
    return (uint32_t)frames;
}

uint32_t data_sequence_most_frames(const data_t *data, int64_t slot) {
    int64_t number = 0;
    const shard_song_t *song = song_of(data, SPLIT_TRAIN, find_slot(data, SPLIT_TRAIN, slot, &number));
    return (uint32_t)MIN(song->frames, slot_frames(&data->config, song));
}

/* Copies frames [start, start + n) of a song and the context before them, with silence outside the song. */
static void copy_sequence(const data_t *data, const uint8_t *song, int64_t start, size_t n, int semitones,
                          size_t T, uint8_t *to) {
    size_t before = MIN(data->config.context, (size_t)start), silent = data->config.context - before;
    memset(to, 0, silent * data->sample_bytes);
    copy_frames(data, song, start - (int64_t)before, before + n, semitones, to + silent * data->sample_bytes);
    memset(to + (data->config.context + n) * data->sample_bytes, 0, (T - n) * data->sample_bytes);
}

uint32_t data_sequence(const data_t *data, int64_t epoch, int64_t slot, size_t T, uint8_t *bits,
                       played_song_t *whole) {
    int64_t start = 0;
    size_t frames = 0;
    data_plan(data, epoch);
    const size_t k = data_find_sequence(data, epoch, slot, &start, &frames);
    const uint8_t *song = train_frames(data, epoch, k);
    copy_sequence(data, song, start, frames, draw_transposition(data, epoch, slot), T, bits);
    if (whole)
        *whole = (played_song_t){song, (size_t)song_of(data, SPLIT_TRAIN, k)->frames, (size_t)start,
                                 rolls_played(data->rolls, data->splits[SPLIT_TRAIN].songs[k])};
    return (uint32_t)frames;
}

int64_t data_pieces(const data_t *data, split_t split) { return (int64_t)data->splits[split].n_songs; }

uint32_t data_piece_frames(const data_t *data, split_t split, int64_t piece) {
    return (uint32_t)song_of(data, split, (size_t)piece)->frames;
}

uint32_t data_longest_piece(const data_t *data, split_t split) {
    uint32_t longest = 0;
    for (int64_t piece = 0; piece < data_pieces(data, split); piece++)
        longest = MAX(longest, data_piece_frames(data, split, piece));
    return longest;
}

uint32_t data_piece(const data_t *data, split_t split, int64_t piece, int semitones, size_t T, uint8_t *bits,
                    const played_t **played) {
    const uint32_t frames = data_piece_frames(data, split, piece);
    const size_t song = data->splits[split].songs[piece];
    copy_sequence(data, rolls_songs(data->rolls, song, 1), 0, frames, semitones, T, bits);
    if (played) *played = rolls_played(data->rolls, song);
    return frames;
}

meters_t data_piece_meters(const data_t *data, split_t split, int64_t piece) {
    return rolls_meters(data->rolls, data->splits[split].songs[piece]);
}
