/* ring: owns the memory of the groups and the thread that fills it. The thread plans epochs itself, so it
 * need only be told how far the ranks are. It calls no MPI; it shares HDF5 with the main thread under h5's
 * lock, a block at a time. Refuses nothing. */
#include "trainer/data/ring.h"

#include "trainer/parallel/comm.h"
#include "trainer/parallel/stop.h"
#include "trainer/parallel/watch.h"

#define POLL_US 100000 /* how often a wait looks for signals */

struct ring {
    const shard_set_t *set;
    order_t *order; /* the thread's */
    size_t slots, group_bytes;
    uint8_t *memory;     /* [slots, group_bytes], shared */
    gboolean begun;      /* ring_turn() was called */
    uint64_t first, end; /* groups first to end - 1 are known to be in memory; the same on all ranks */

    /* Used by the host's leader only. lock guards the members below, but for thread. */
    GThread *thread;
    GMutex lock;
    GCond changed;
    uint64_t from, read_end; /* groups before from may be overwritten; those before read_end are read */
    gboolean quit;
    GError *error; /* ended the thread */
};

ring_t *ring_new(const shard_set_t *set, order_t *order, size_t slots, GError **error) {
    ring_t *ring = g_new0(ring_t, 1);
    ring->set = set;
    ring->order = order;
    ring->slots = slots;
    ring->group_bytes = order_group_bytes(order);
    g_mutex_init(&ring->lock);
    g_cond_init(&ring->changed);
    ring->memory = comm_shared_alloc(slots * ring->group_bytes, error);
    if (ring->memory) return ring;
    ring_free(ring);
    return NULL;
}

static void end_thread(ring_t *ring) {
    if (!ring->thread) return;
    g_mutex_lock(&ring->lock);
    ring->quit = TRUE;
    g_cond_broadcast(&ring->changed);
    g_mutex_unlock(&ring->lock);
    g_thread_join(g_steal_pointer(&ring->thread));
}

void ring_free(ring_t *ring) {
    if (!ring) return;
    end_thread(ring);
    comm_shared_free(ring->memory);
    order_free(ring->order);
    g_clear_error(&ring->error);
    g_mutex_clear(&ring->lock);
    g_cond_clear(&ring->changed);
    g_free(ring);
}

/* Waits until there is room for a group. FALSE where the thread is to end. */
static gboolean wait_for_room(ring_t *ring, uint64_t group) {
    g_mutex_lock(&ring->lock);
    while (!ring->quit && group >= ring->from + ring->slots) g_cond_wait(&ring->changed, &ring->lock);
    const gboolean goes_on = !ring->quit;
    g_mutex_unlock(&ring->lock);
    return goes_on;
}

static gboolean read_block(ring_t *ring, uint64_t group, const order_block_t *block, size_t offset,
                           GError **error) {
    uint8_t *bits = ring->memory + (group % ring->slots) * ring->group_bytes + offset;
    if (shard_set_read_songs(ring->set, block->first_song, block->n_songs, bits, error)) return TRUE;
    g_prefix_error(error, "reading song %s and %zu after it: ", ring->set->songs[block->first_song].path,
                   block->n_songs - 1);
    return FALSE;
}

/* FALSE with error set, or without one if the thread is to end. */
static gboolean read_group(ring_t *ring, uint64_t group, GError **error) {
    const size_t groups = order_groups(ring->order);
    size_t n = 0, in_epoch = group % groups;
    order_plan(ring->order, (int64_t)(group / groups));
    const uint32_t *blocks = order_group_blocks(ring->order, in_epoch, &n);
    for (size_t i = 0; i < n; i++) {
        const size_t offset = order_block_offset(ring->order, blocks[i], &in_epoch);
        if (!wait_for_room(ring, group) ||
            !read_block(ring, group, order_block(ring->order, blocks[i]), offset, error))
            return FALSE;
        watch_tick();
    }
    return TRUE;
}

static gpointer read_ahead(gpointer data) {
    ring_t *ring = data;
    for (uint64_t group = ring->read_end; wait_for_room(ring, group); group++) {
        GError *error = NULL;
        const gboolean read = read_group(ring, group, &error);
        g_mutex_lock(&ring->lock);
        if (read)
            ring->read_end = group + 1;
        else
            ring->error = error;
        g_cond_broadcast(&ring->changed);
        g_mutex_unlock(&ring->lock);
        if (!read) break;
    }
    return NULL;
}

/* Restarts reading at group first, when a run begins or goes on. */
static void start(ring_t *ring, uint64_t first) {
    ring->begun = TRUE;
    ring->first = ring->end = first;
    if (comm_node_rank() != 0) return;
    end_thread(ring);
    g_clear_error(&ring->error);
    ring->quit = FALSE;
    ring->from = ring->read_end = first;
    ring->thread = g_thread_new("read ahead", read_ahead, ring);
}

/* The leader's part of ring_turn(). FALSE where a signal came first. */
static gboolean wait_for_group(ring_t *ring, uint64_t group, GError **error) {
    g_mutex_lock(&ring->lock);
    while (ring->read_end <= group && !ring->error && stop_signal() == 0)
        g_cond_wait_until(&ring->changed, &ring->lock, g_get_monotonic_time() + POLL_US);
    const gboolean there = ring->read_end > group;
    if (!there && ring->error) g_propagate_error(error, g_error_copy(ring->error));
    g_mutex_unlock(&ring->lock);
    return there;
}

static void give_room(ring_t *ring, uint64_t first) {
    g_mutex_lock(&ring->lock);
    ring->from = first;
    g_cond_broadcast(&ring->changed);
    g_mutex_unlock(&ring->lock);
}

gboolean ring_turn(ring_t *ring, uint64_t first, uint64_t last, gboolean *stopped, GError **error) {
    g_assert(first <= last && last - first < ring->slots);
    const gboolean leader = comm_node_rank() == 0;
    *stopped = FALSE;
    if (!ring->begun || first < ring->first || first > ring->end) start(ring, first);
    if (leader && first > ring->first) give_room(ring, first);
    ring->first = first;
    if (last < ring->end) return TRUE;
    GError *local = NULL;
    const gboolean waits = leader && !wait_for_group(ring, last, &local);
    if (!comm_agree(local, error)) return FALSE;
    *stopped = comm_any(waits);
    if (!*stopped) ring->end = last + 1;
    return TRUE;
}

uint64_t ring_groups_before(const ring_t *ring, int64_t epoch) {
    return (uint64_t)epoch * order_groups(ring->order);
}

const uint8_t *ring_group(const ring_t *ring, uint64_t group) {
    g_assert(group >= ring->first && group < ring->end);
    return ring->memory + (group % ring->slots) * ring->group_bytes;
}
