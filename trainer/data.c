/* data: owns the training set: one copy a host of all rolls and songs in shared memory, and a small index of windows on every rank. What a sample is
 * depends on (seed, epoch, sample) alone, so any rank can make any sample. Refuses hosts that see different corpora. */
#include "trainer/data.h"

#include <math.h>
#include <string.h>

#include "trainer/comm.h"

typedef struct {
    size_t n_songs;
    size_t *songs;       /* [n_songs], indices into set.songs */
    int64_t *first_slot; /* [n_songs + 1], the last is the count of slots */
    int64_t frames;
} split_index_t;

struct data {
    data_config_t config;
    shard_set_t set; /* songs points into shared */
    void *shared;
    const uint8_t *bits;
    size_t frame_bytes;  /* of the shards: both planes */
    size_t sample_bytes; /* of a frame of samples: planes that the model learns */
    size_t stride, window_bytes;
    split_index_t splits[SPLIT_COUNT];
};

/* What a rank needs to know of the corpus before it can map the songs. */
typedef struct {
    grid_t grid;
    char corpus_id[65];
    uint64_t n_shards, n_songs, options_bytes;
    int64_t frames;
} head_t;

/* Frames from one slot of a song to the next. */
static int64_t slot_frames(const data_config_t *config, const shard_song_t *song) {
    return config->window ? (int64_t)config->window : config->chunk ? (int64_t)config->chunk : song->frames;
}

static void index_split(data_t *data, split_t split) {
    split_index_t *index = &data->splits[split];
    for (size_t i = 0; i < data->set.n_songs; i++) index->n_songs += data->set.songs[i].split == split;
    index->songs = g_new(size_t, index->n_songs);
    index->first_slot = g_new0(int64_t, index->n_songs + 1);
    for (size_t i = 0, k = 0; i < data->set.n_songs; i++) {
        const shard_song_t *song = &data->set.songs[i];
        if (song->split != split) continue;
        index->songs[k] = i;
        int64_t step = slot_frames(&data->config, song);
        index->first_slot[k + 1] = index->first_slot[k] + (song->frames + step - 1) / step;
        index->frames += song->frames;
        k++;
    }
}

/* Rank 0's view of the corpus to every rank; a host whose leader read another one is an error. set: NULL but on the leaders of hosts. */
static gboolean share_head(data_t *data, const char *folder, const shard_set_t *set, GError **error) {
    GError *local = NULL;
    head_t head = {0};
    if (comm_rank() == 0) {
        head.grid = set->grid;
        g_strlcpy(head.corpus_id, set->corpus_id, sizeof head.corpus_id);
        head.n_shards = set->n_shards;
        head.n_songs = set->n_songs;
        head.frames = set->frames;
        head.options_bytes = set->options ? strlen(set->options) : 0;
    }
    comm_broadcast(&head, sizeof head);
    data->set.options = g_malloc0(head.options_bytes + 1);
    if (comm_rank() == 0 && set->options) memcpy(data->set.options, set->options, head.options_bytes);
    comm_broadcast(data->set.options, head.options_bytes);
    if (set && strcmp(set->corpus_id, head.corpus_id) != 0)
        g_set_error(&local, SHARD_ERROR, SHARD_ERROR_MIXED,
                    "%s: holds corpus %.12s here but %.12s on rank 0's host; give every host the same folder, or copy it there", folder,
                    set->corpus_id, head.corpus_id);
    if (!comm_agree_error(&local)) {
        g_propagate_error(error, local);
        return FALSE;
    }
    data->set.grid = head.grid;
    memcpy(data->set.corpus_id, head.corpus_id, sizeof head.corpus_id);
    data->set.n_shards = head.n_shards;
    data->set.n_songs = head.n_songs;
    data->set.frames = head.frames;
    data->set.folder = g_strdup(folder);
    return TRUE;
}

data_t *data_load(const char *folder, const data_config_t *config, GError **error) {
    GError *local = NULL;
    g_autoptr(shard_set_t) set = comm_node_rank() == 0 ? shard_set_open(folder, &local) : NULL;
    if (!comm_agree_error(&local)) {
        g_propagate_error(error, local);
        return NULL;
    }
    data_t *data = g_new0(data_t, 1);
    data->config = *config;
    if (!share_head(data, folder, set, error)) goto fail;

    size_t songs_bytes = data->set.n_songs * sizeof(shard_song_t);
    data->stride = ((size_t)data->set.grid.pitches + 7) / 8;
    data->frame_bytes = grid_frame_bytes(&data->set.grid);
    data->sample_bytes = (size_t)data->set.grid.n_tracks * config->planes * data->stride;
    data->window_bytes = config->window * data->sample_bytes;
    data->shared = comm_shared_alloc(songs_bytes + (size_t)data->set.frames * data->frame_bytes, error);
    if (!data->shared) goto fail;
    data->set.songs = data->shared;
    uint8_t *bits = (uint8_t *)data->shared + songs_bytes;
    data->bits = bits;
    if (set) {
        memcpy(data->set.songs, set->songs, songs_bytes);
        shard_set_read(set, bits, &local);
    }
    if (!comm_agree_error(&local)) {
        g_propagate_error(error, local);
        goto fail;
    }
    for (int split = 0; split < SPLIT_COUNT; split++) index_split(data, (split_t)split);
    return data;
fail:
    data_free(data);
    return NULL;
}

void data_free(data_t *data) {
    if (!data) return;
    comm_shared_free(data->shared);
    for (int split = 0; split < SPLIT_COUNT; split++) {
        g_free(data->splits[split].songs);
        g_free(data->splits[split].first_slot);
    }
    g_free(data->set.options);
    g_free(data->set.folder);
    g_free(data);
}

const shard_set_t *data_shards(const data_t *data) { return &data->set; }
int64_t data_windows(const data_t *data, split_t split) { return data->splits[split].first_slot[data->splits[split].n_songs]; }
int64_t data_samples(const data_t *data) { return data_windows(data, SPLIT_TRAIN); }
int64_t data_frames(const data_t *data, split_t split) { return data->splits[split].frames; }

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double data_median_tempo(const data_t *data) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    if (train->n_songs == 0) return MIDI_DEFAULT_BPM;
    g_autofree double *tempi = g_new(double, train->n_songs);
    for (size_t i = 0; i < train->n_songs; i++) tempi[i] = data->set.songs[train->songs[i]].tempo_bpm;
    qsort(tempi, train->n_songs, sizeof *tempi, compare_doubles);
    return tempi[train->n_songs / 2];
}

/* Counts by numerator and denominator; of equally frequent meters the first in this order wins, whatever the songs' order. */
meter_t data_main_meter(const data_t *data) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    g_autofree size_t *counts = g_new0(size_t, 256 * 256);
    size_t best = 4 * 256 + 4;
    for (size_t i = 0; i < train->n_songs; i++) {
        const shard_song_t *song = &data->set.songs[train->songs[i]];
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

void data_log_odds(const data_t *data, double *log_odds) {
    const split_index_t *train = &data->splits[SPLIT_TRAIN];
    const size_t tracks = (size_t)data->set.grid.n_tracks, planes = data->config.planes, pitches = (size_t)data->set.grid.pitches;
    const size_t cells = tracks * planes * pitches;
    memset(log_odds, 0, cells * sizeof *log_odds);
    for (size_t i = 0; i < train->n_songs; i++) {
        const shard_song_t *song = &data->set.songs[train->songs[i]];
        for (int64_t t = 0; t < song->frames; t++) {
            const uint8_t *frame = data->bits + (size_t)(song->first_frame + t) * data->frame_bytes;
            for (size_t k = 0; k < tracks; k++)
                count_cells(frame + k * ROLL_PLANES * data->stride, planes, data->stride, pitches, log_odds + k * planes * pitches);
        }
    }
    for (size_t i = 0; i < cells; i++) log_odds[i] = log((log_odds[i] + 0.5) / ((double)train->frames - log_odds[i] + 0.5));
}

/* The song that a slot is in, and the slot's number in that song. Binary search: first_slot[k] <= slot < first_slot[k + 1]. */
static const shard_song_t *find_slot(const data_t *data, split_t split, int64_t slot, int64_t *number) {
    const split_index_t *index = &data->splits[split];
    size_t low = 0, high = index->n_songs;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (index->first_slot[middle] <= slot)
            low = middle;
        else
            high = middle;
    }
    *number = slot - index->first_slot[low];
    return &data->set.songs[index->songs[low]];
}

/* Semitones that keep every sounding note of the frames inside the roll. */
static int clamp_transposition(const data_t *data, const uint8_t *frames, size_t n, int semitones) {
    int lowest = 0, highest = 0;
    if (semitones == 0 || !roll_pitch_range(frames, n, &data->set.grid, &lowest, &highest)) return 0;
    return CLAMP(semitones, -lowest, data->set.grid.pitches - 1 - highest);
}

/* A song's frames [start, start + n), transposed, to the planes that the model learns. */
static void copy_frames(const data_t *data, const shard_song_t *song, int64_t start, size_t n, int semitones, uint8_t *to) {
    const grid_t *grid = &data->set.grid;
    size_t tracks = (size_t)grid->n_tracks, planes = data->config.planes, stride = data->stride;
    const uint8_t *from = data->bits + (size_t)(song->first_frame + start) * data->frame_bytes;
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

/* Frames of a song from start, at most a window of them, to a packed window; returns how many. */
static uint32_t copy_window(const data_t *data, const shard_song_t *song, int64_t start, int semitones, uint8_t *to) {
    size_t frames = MIN(data->config.window, (size_t)(song->frames - start)), done = frames * data->sample_bytes;
    copy_frames(data, song, start, frames, semitones, to);
    memset(to + done, 0, data->window_bytes - done);
    return (uint32_t)frames;
}

static int draw_transposition(const data_t *data, int64_t epoch, int64_t slot) {
    const data_config_t *config = &data->config;
    if (config->transpose_high <= config->transpose_low) return config->transpose_low;
    rng_t rng = rng_make(config->seed, RNG_TRANSPOSE, (uint64_t)epoch, (uint64_t)slot);
    return config->transpose_low + (int)rng_below(&rng, 0, (uint64_t)(config->transpose_high - config->transpose_low) + 1);
}

/* What a slot's start is moved by, in [0, n). */
static int64_t draw_offset(const data_t *data, int64_t epoch, int64_t slot, int64_t n) {
    if (!data->config.random_offsets) return 0;
    rng_t rng = rng_make(data->config.seed, RNG_OFFSET, (uint64_t)epoch, (uint64_t)slot);
    return (int64_t)rng_below(&rng, 0, (uint64_t)n);
}

void data_train_batch(const data_t *data, int64_t epoch, int64_t first, size_t n, uint8_t *bits, uint32_t *valid) {
    const int64_t slots = data_windows(data, SPLIT_TRAIN), window = (int64_t)data->config.window;
    const rng_t order = rng_make(data->config.seed, RNG_SHUFFLE, (uint64_t)epoch, 0);
    for (size_t i = 0; i < n; i++) {
        int64_t slot = (int64_t)rng_permute(&order, (uint64_t)first + i, (uint64_t)slots), number = 0;
        const shard_song_t *song = find_slot(data, SPLIT_TRAIN, slot, &number);
        int64_t start = number * window + draw_offset(data, epoch, slot, window);
        if (data->config.random_offsets) start = CLAMP(song->frames - window, 0, start);
        valid[i] = copy_window(data, song, start, draw_transposition(data, epoch, slot), bits + i * data->window_bytes);
    }
}

void data_grid_batch(const data_t *data, split_t split, int64_t first, size_t n, uint8_t *bits, uint32_t *valid) {
    for (size_t i = 0; i < n; i++) {
        int64_t number = 0;
        const shard_song_t *song = find_slot(data, split, first + (int64_t)i, &number);
        valid[i] = copy_window(data, song, number * (int64_t)data->config.window, 0, bits + i * data->window_bytes);
    }
}

/* A sequence's song and frames [*start, *start + *frames) of it. */
static const shard_song_t *find_sequence(const data_t *data, int64_t epoch, int64_t slot, int64_t *start, size_t *frames) {
    const data_config_t *config = &data->config;
    const int64_t align = (int64_t)config->align, chunk = (int64_t)config->chunk;
    int64_t number = 0;
    const shard_song_t *song = find_slot(data, SPLIT_TRAIN, slot, &number);
    *start = 0;
    *frames = (size_t)song->frames;
    if (chunk == 0) return song;
    *start = (number * chunk + draw_offset(data, epoch, slot, chunk)) / align * align;
    if (config->random_offsets) *start = MIN(*start, (MAX(song->frames - chunk, 0) + align - 1) / align * align);
    *frames = (size_t)MIN(chunk, song->frames - *start);
    return song;
}

uint32_t data_sequence_frames(const data_t *data, int64_t epoch, int64_t slot) {
    int64_t start = 0;
    size_t frames = 0;
    find_sequence(data, epoch, slot, &start, &frames);
    return (uint32_t)frames;
}

uint32_t data_sequence_most_frames(const data_t *data, int64_t slot) {
    int64_t number = 0;
    const shard_song_t *song = find_slot(data, SPLIT_TRAIN, slot, &number);
    return (uint32_t)MIN(song->frames, slot_frames(&data->config, song));
}

/* A song's frames [start, start + n) with those before them, and silence where there are none. */
static void copy_sequence(const data_t *data, const shard_song_t *song, int64_t start, size_t n, int semitones, size_t T, uint8_t *to) {
    size_t before = MIN(data->config.context, (size_t)start), silent = data->config.context - before;
    memset(to, 0, silent * data->sample_bytes);
    copy_frames(data, song, start - (int64_t)before, before + n, semitones, to + silent * data->sample_bytes);
    memset(to + (data->config.context + n) * data->sample_bytes, 0, (T - n) * data->sample_bytes);
}

uint32_t data_sequence(const data_t *data, int64_t epoch, int64_t slot, size_t T, uint8_t *bits) {
    int64_t start = 0;
    size_t frames = 0;
    const shard_song_t *song = find_sequence(data, epoch, slot, &start, &frames);
    copy_sequence(data, song, start, frames, draw_transposition(data, epoch, slot), T, bits);
    return (uint32_t)frames;
}

int64_t data_pieces(const data_t *data, split_t split) { return (int64_t)data->splits[split].n_songs; }

static const shard_song_t *find_piece(const data_t *data, split_t split, int64_t piece) { return &data->set.songs[data->splits[split].songs[piece]]; }

uint32_t data_piece_frames(const data_t *data, split_t split, int64_t piece) { return (uint32_t)find_piece(data, split, piece)->frames; }

uint32_t data_longest_piece(const data_t *data, split_t split) {
    uint32_t longest = 0;
    for (int64_t piece = 0; piece < data_pieces(data, split); piece++) longest = MAX(longest, data_piece_frames(data, split, piece));
    return longest;
}

uint32_t data_piece(const data_t *data, split_t split, int64_t piece, size_t T, uint8_t *bits) {
    const shard_song_t *song = find_piece(data, split, piece);
    copy_sequence(data, song, 0, (size_t)song->frames, 0, T, bits);
    return (uint32_t)song->frames;
}

size_t data_part(int64_t n, int rank, int size, int64_t *first) {
    int64_t share = n / size, rest = n % size;
    *first = rank * share + MIN(rank, rest);
    return (size_t)(share + (rank < rest));
}
