/* rolls: owns one copy a host of the songs and of the frames in memory. Refuses hosts that see different
 * corpora, and memory limits too small for a step. */
#include "trainer/data/rolls.h"

#include <math.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/data/ring.h"
#include "trainer/parallel/comm.h"
#include "trainer/parallel/watch.h"

#define MIB        1048576.0
#define PART_BYTES ((size_t)64 << 20)

struct rolls {
    shard_set_t set;        /* songs and files are shared; tempi and meters stay empty */
    meter_change_t *meters; /* shared: of all songs, in order */
    size_t frame_bytes;
    uint8_t *bits;    /* shared: all frames; NULL where they are streamed */
    played_t *played; /* shared: of all onsets; NULL where it is not asked for */
    ring_t *ring;     /* NULL unless frames are streamed and trained on */
    size_t resident;  /* bytes of the ring */
    uint8_t *some;    /* if frames are streamed: those that rolls_songs() read last on this rank */
    size_t first, n;  /* the songs in `some`; n 0: none */
    GError *failure;  /* the first that rolls_songs() met since rolls_agree() */
};

/* Gives every rank what rank 0 knows of the corpus, but for the songs; it is an error if the leader of a host
 * has read another corpus. set: NULL but on the leaders of hosts. */
static gboolean share_set(rolls_t *rolls, const char *folder, const shard_set_t *set, GError **error) {
    GError *local = NULL;
    shard_set_t *shared = &rolls->set;
    if (comm_rank() == 0) *shared = *set;
    comm_broadcast(shared, sizeof *shared);
    shared->options = comm_broadcast_string(set ? set->options : NULL, 0);
    shared->folder = g_strdup(folder);
    shared->files = NULL;
    shared->songs = NULL;
    shared->tempi = shared->meters = NULL;
    if (set && (strcmp(set->corpus_id, shared->corpus_id) != 0 || set->n_shards != shared->n_shards))
        program_fail(&local,
                     "%s: holds corpus %.12s here but %.12s on rank 0's host; give every host the same "
                     "folder, or copy it there",
                     folder, set->corpus_id, shared->corpus_id);
    return comm_agree(local, error);
}

rolls_t *rolls_open(const char *folder, GError **error) {
    GError *local = NULL;
    g_autoptr(shard_set_t) set = comm_node_rank() == 0 ? shard_set_open(folder, &local) : NULL;
    if (!comm_agree(local, error)) return NULL;
    rolls_t *rolls = g_new0(rolls_t, 1);
    if (share_set(rolls, folder, set, error)) {
        size_t meters_bytes = set ? set->meters->len * sizeof(meter_change_t) : 0;
        comm_broadcast(&meters_bytes, sizeof meters_bytes);
        const size_t songs_bytes = rolls->set.n_songs * sizeof(shard_song_t),
                     files_bytes = rolls->set.n_shards * sizeof(shard_file_t);
        rolls->frame_bytes = grid_frame_bytes(&rolls->set.grid);
        rolls->set.songs = comm_shared_alloc(songs_bytes + files_bytes + meters_bytes, error);
        rolls->set.files = (shard_file_t *)(rolls->set.songs ? rolls->set.songs + rolls->set.n_songs : NULL);
        rolls->meters =
            (meter_change_t *)(rolls->set.songs ? (void *)(rolls->set.files + rolls->set.n_shards) : NULL);
        if (set && rolls->set.songs) {
            memcpy(rolls->set.songs, set->songs, songs_bytes);
            memcpy(rolls->set.files, set->files, files_bytes);
            memcpy(rolls->meters, set->meters->data, meters_bytes);
        }
    }
    if (rolls->set.songs) {
        comm_node_barrier();
        return rolls;
    }
    rolls_free(rolls);
    return NULL;
}

void rolls_free(rolls_t *rolls) {
    if (!rolls) return;
    ring_free(rolls->ring);
    comm_shared_free(rolls->bits);
    comm_shared_free(rolls->played);
    comm_shared_free(rolls->set.songs);
    g_free(rolls->some);
    g_clear_error(&rolls->failure);
    g_free(rolls->set.options);
    g_free(rolls->set.folder);
    g_free(rolls);
}

const shard_set_t *rolls_set(const rolls_t *rolls) { return &rolls->set; }

meters_t rolls_meters(const rolls_t *rolls, size_t song) {
    const shard_song_t *row = &rolls->set.songs[song];
    return (meters_t){rolls->set.grid.steps_per_beat, rolls->meters + row->first_meter, (size_t)row->meters,
                      row->frames};
}

static size_t all_bytes(const rolls_t *rolls) { return (size_t)rolls->set.frames * rolls->frame_bytes; }

static size_t played_bytes(const rolls_t *rolls) { return (size_t)rolls->set.onsets * sizeof(played_t); }

char *rolls_describe(const rolls_t *rolls) {
    if (rolls->bits) return NULL;
    return g_strdup_printf("%.0f of %.0f MiB in memory, what comes next is read ahead",
                           (double)rolls->resident / MIB,
                           (double)(all_bytes(rolls) + (rolls->played ? played_bytes(rolls) : 0)) / MIB);
}

/* Reads all frames, in parts, so that others see that it gets on. */
static gboolean read_parts(const rolls_t *rolls, GError **error) {
    const shard_set_t *set = &rolls->set;
    for (size_t first = 0, end; first < set->n_songs; first = end) {
        size_t frames = 0;
        for (end = first; end < set->n_songs && frames * rolls->frame_bytes < PART_BYTES; end++)
            frames += (size_t)set->songs[end].frames;
        if (!shard_set_read_songs(set, first, end - first,
                                  rolls->bits + (size_t)set->songs[first].first_frame * rolls->frame_bytes,
                                  error))
            return FALSE;
        watch_tick();
    }
    return TRUE;
}

/* Reads how all onsets were played, which is little beside their frames. */
static gboolean read_played(rolls_t *rolls, GError **error) {
    GError *local = NULL;
    const shard_set_t *set = &rolls->set;
    rolls->played = comm_shared_alloc(MAX(played_bytes(rolls), 1), error);
    if (!rolls->played) return FALSE;
    for (size_t i = 0; comm_node_rank() == 0 && !local && i < set->n_shards; i++) {
        const size_t first = i ? set->files[i - 1].end_song : 0, n = set->files[i].end_song - first;
        if (n > 0)
            shard_set_read_played(set, first, n, rolls->played + set->songs[first].first_onset, &local);
        watch_tick();
    }
    return comm_agree(local, error);
}

static gboolean read_all(rolls_t *rolls, GError **error) {
    GError *local = NULL;
    rolls->bits = comm_shared_alloc(all_bytes(rolls), error);
    if (!rolls->bits) return FALSE;
    if (comm_node_rank() == 0) read_parts(rolls, &local);
    return comm_agree(local, error);
}

/* The ring takes all the memory it may have, but for what is kept: the further ahead it reads, the longer a
 * disk may stall. */
static gboolean make_ring(rolls_t *rolls, const order_t *order, size_t memory, size_t kept, size_t batch,
                          GError **error) {
    const size_t all = all_bytes(rolls) + kept, group_bytes = order_group_bytes(order),
                 needed = MAX(2, order_most_groups(order, batch));
    const size_t slots = MIN((memory - MIN(memory, kept)) / group_bytes, MAX(needed, order_groups(order)));
    if (slots < needed)
        return program_fail(
            error,
            "--data-memory: %.0f MiB are too little for a step's songs and the next ones; give %.0f "
            "or more, or 0 for all %.0f MiB of %s",
            (double)memory / MIB, ceil((double)MIN(kept + needed * group_bytes, all) / MIB),
            ceil((double)all / MIB), rolls->set.folder);
    rolls->resident = kept + slots * group_bytes;
    rolls->ring = ring_new(&rolls->set, order_copy(order), slots, error);
    return rolls->ring != NULL;
}

gboolean rolls_fill(rolls_t *rolls, const order_t *order, size_t memory, size_t batch, gboolean played,
                    GError **error) {
    if (batch == 0) played = played && rolls->set.played;
    if (played && !rolls->set.played)
        return program_fail(error,
                            "%s: does not say how notes were played, as shards before version 3; preprocess "
                            "again, into another folder, or leave out --performance",
                            rolls->set.folder);
    if (played && !read_played(rolls, error)) return FALSE;
    const size_t kept = rolls->played ? played_bytes(rolls) : 0;
    if (memory == 0 || kept + all_bytes(rolls) <= memory) return read_all(rolls, error);
    size_t most = order_block_bytes(order);
    for (size_t i = 0; i < rolls->set.n_songs; i++)
        most = MAX(most, (size_t)rolls->set.songs[i].frames * rolls->frame_bytes);
    rolls->some = g_malloc(most);
    return batch == 0 || order_samples(order) == 0 || make_ring(rolls, order, memory, kept, batch, error);
}

gboolean rolls_turn(rolls_t *rolls, int64_t epoch, size_t first, size_t last, gboolean *stopped,
                    GError **error) {
    *stopped = FALSE;
    if (!rolls->ring) return TRUE;
    const uint64_t before = ring_groups_before(rolls->ring, epoch);
    return ring_turn(rolls->ring, before + first, before + last, stopped, error);
}

const uint8_t *rolls_train_song(const rolls_t *rolls, const order_t *order, int64_t epoch, size_t block,
                                size_t song) {
    const shard_song_t *songs = rolls->set.songs;
    if (rolls->bits) return rolls->bits + (size_t)songs[song].first_frame * rolls->frame_bytes;
    size_t group = 0;
    const size_t offset = order_block_offset(order, block, &group);
    const int64_t frames = songs[song].first_frame - songs[order_block(order, block)->first_song].first_frame;
    return ring_group(rolls->ring, ring_groups_before(rolls->ring, epoch) + group) + offset +
           (size_t)frames * rolls->frame_bytes;
}

const uint8_t *rolls_songs(rolls_t *rolls, size_t first, size_t n) {
    const shard_song_t *songs = rolls->set.songs, *last = &songs[first + n - 1];
    if (rolls->bits) return rolls->bits + (size_t)songs[first].first_frame * rolls->frame_bytes;
    if (rolls->first == first && rolls->n == n) return rolls->some;
    GError *error = NULL;
    rolls->first = first;
    rolls->n = n;
    if (shard_set_read_songs(&rolls->set, first, n, rolls->some, &error)) return rolls->some;
    rolls->n = 0;
    memset(rolls->some, 0,
           (size_t)(last->first_frame + last->frames - songs[first].first_frame) * rolls->frame_bytes);
    g_prefix_error(&error, "reading song %s and %zu after it: ", songs[first].path, n - 1);
    if (rolls->failure)
        g_error_free(error);
    else
        rolls->failure = error;
    return rolls->some;
}

const played_t *rolls_played(const rolls_t *rolls, size_t song) {
    return rolls->played + rolls->set.songs[song].first_onset;
}

gboolean rolls_failed(const rolls_t *rolls) { return rolls->failure != NULL; }

gboolean rolls_agree(rolls_t *rolls, GError **error) {
    return comm_agree(g_steal_pointer(&rolls->failure), error);
}
