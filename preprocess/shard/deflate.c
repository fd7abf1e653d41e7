/* deflate: owns zlib and the bytes that HDF5's deflate and Fletcher-32 filters make of a chunk, which HDF5
 * itself makes on one thread only. Knows nothing of files. Memory stays small: few chunks wait to be written
 * at any time. */
#include "preprocess/shard/deflate.h"

#include <string.h>
#include <zlib.h>

enum { CHECKSUM_BYTES = 4, AHEAD = 3 /* chunks a thread */ };

typedef struct {
    const uint8_t *data; /* of all chunks */
    size_t bytes, chunk_bytes;
    int level;
    GMutex lock;
    GCond done;
} task_t;

/* A chunk that is compressed, or waits to be written. */
typedef struct {
    size_t index;
    uint8_t *out;
    size_t size; /* of out; 0 until it is done */
} slot_t;

/* HDF5's Fletcher-32: of 16-bit words, the more significant byte first. Sums are folded before they can
 * overflow. */
static uint32_t fletcher32(const uint8_t *bytes, size_t size) {
    enum { FOLD_WORDS = 360 };
    uint32_t sum1 = 0, sum2 = 0;
    for (size_t i = 0; i < size; i += 2) {
        sum1 += (uint32_t)bytes[i] << 8 | (i + 1 < size ? bytes[i + 1] : 0);
        sum2 += sum1;
        if ((i / 2 + 1) % FOLD_WORDS != 0) continue;
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    for (int i = 0; i < 2; i++) {
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    return sum2 << 16 | sum1;
}

/* Runs in a thread of the pool: compresses one chunk and adds its checksum. */
static void compress_chunk(gpointer data, gpointer user) {
    slot_t *slot = data;
    task_t *task = user;
    const uint8_t *chunk = task->data + slot->index * task->chunk_bytes;
    const size_t there = MIN(task->chunk_bytes, task->bytes - slot->index * task->chunk_bytes);
    g_autofree uint8_t *filled = NULL;
    if (there < task->chunk_bytes) {
        filled = g_malloc0(task->chunk_bytes);
        memcpy(filled, chunk, there);
        chunk = filled;
    }
    uLongf size = compressBound(task->chunk_bytes);
    if (compress2(slot->out, &size, chunk, task->chunk_bytes, task->level) != Z_OK)
        g_error("deflate: failed to allocate memory");
    const uint32_t checksum = GUINT32_TO_LE(fletcher32(slot->out, size));
    memcpy(slot->out + size, &checksum, CHECKSUM_BYTES);
    g_mutex_lock(&task->lock);
    slot->size = size + CHECKSUM_BYTES;
    g_cond_signal(&task->done);
    g_mutex_unlock(&task->lock);
}

static void start_chunk(GThreadPool *pool, slot_t *slot, size_t index) {
    slot->index = index;
    slot->size = 0;
    g_thread_pool_push(pool, slot, NULL);
}

static void wait_for(task_t *task, const slot_t *slot) {
    g_mutex_lock(&task->lock);
    while (slot->size == 0) g_cond_wait(&task->done, &task->lock);
    g_mutex_unlock(&task->lock);
}

gboolean deflate_chunks(const uint8_t *data, size_t bytes, size_t chunk_bytes, int level, int threads,
                        deflate_write_fn write, gpointer user) {
    task_t task = {.data = data, .bytes = bytes, .chunk_bytes = chunk_bytes, .level = level};
    const size_t chunks = (bytes + chunk_bytes - 1) / chunk_bytes, n = MIN(chunks, (size_t)threads * AHEAD);
    g_autofree slot_t *slots = g_new0(slot_t, n);
    gboolean good = TRUE;
    g_mutex_init(&task.lock);
    g_cond_init(&task.done);
    GThreadPool *pool = g_thread_pool_new(compress_chunk, &task, threads, FALSE, NULL);
    for (size_t i = 0; i < n; i++) {
        slots[i].out = g_malloc(compressBound(chunk_bytes) + CHECKSUM_BYTES);
        start_chunk(pool, &slots[i], i);
    }
    for (size_t i = 0; good && i < chunks; i++) {
        slot_t *slot = &slots[i % n];
        wait_for(&task, slot);
        good = write(user, i, slot->out, slot->size);
        if (good && i + n < chunks) start_chunk(pool, slot, i + n);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    for (size_t i = 0; i < n; i++) g_free(slots[i].out);
    g_cond_clear(&task.done);
    g_mutex_clear(&task.lock);
    return good;
}

uint32_t deflate_crc32(uint32_t crc, const void *bytes, size_t size) {
    return size == 0 ? crc : (uint32_t)crc32_z(crc, bytes, size); /* of NULL crc32_z() gives 0 */
}
