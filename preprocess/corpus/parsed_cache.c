/* parsed_cache: owns the format of the records. Only this version of the program reads them again: a cache
 * lives no longer than the making of its corpus. Believes no length that is larger than the file. */
#include "preprocess/corpus/parsed_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/program.h"
#include "preprocess/shard/deflate.h"

enum { HEADER_BYTES = 64 };
enum { KIND_SONG = 1, KIND_SEAL };

/* A record on disk. `bytes` bytes follow it: the music of a song, or the text of a seal. */
typedef struct {
    guint32 checksum; /* CRC-32 of the members below and of those bytes */
    guint32 kind;
    guint64 bytes;
    digest_t key;
    song_file_t parsed;
} record_t;

struct parsed_cache {
    int fd;
    char *path;
    gint64 end;    /* of the last whole record */
    gboolean torn; /* something lies behind it */
};

static gboolean fail(GError **error, const char *path, const char *doing) {
    return file_fail(error, path, doing, "choose another --output, or free some space");
}

digest_t parsed_cache_key(const found_t *file, const char *layout) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    const gint64 state[2] = {file->bytes, file->changed_ns};
    guint8 whole[32];
    gsize size = sizeof whole;
    digest_t digest;
    g_checksum_update(checksum, (const guchar *)layout, (gssize)strlen(layout) + 1);
    g_checksum_update(checksum, (const guchar *)file->name, (gssize)strlen(file->name) + 1);
    g_checksum_update(checksum, (const guchar *)state, sizeof state);
    g_checksum_get_digest(checksum, whole, &size);
    memcpy(digest.bytes, whole, sizeof digest.bytes);
    return digest;
}

static guint32 checksum_of(const record_t *record, const uint8_t *bytes) {
    const guint32 crc = deflate_crc32(0, &record->kind, sizeof *record - offsetof(record_t, kind));
    return deflate_crc32(crc, bytes, record->bytes);
}

static gboolean read_at(const parsed_cache_t *cache, gint64 offset, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(cache->fd, (char *)to + done, bytes - done, offset + (gint64)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO; /* the file is shorter than it was */
            return FALSE;
        }
        done += (size_t)n;
    }
    return TRUE;
}

#define FORMAT "mpianist-spool "

/* What every file of this version begins with. */
static void make_header(char header[HEADER_BYTES]) {
    memset(header, 0, HEADER_BYTES);
    g_snprintf(header, HEADER_BYTES, FORMAT MPIANIST_VERSION " %zu %zu\n", sizeof(record_t),
               sizeof(played_t));
}

/* Whether the file begins with the first `bytes` bytes of this version's header. */
static gboolean has_header(const parsed_cache_t *cache, size_t bytes) {
    char wanted[HEADER_BYTES], header[HEADER_BYTES];
    make_header(wanted);
    return read_at(cache, 0, header, sizeof header) && memcmp(header, wanted, bytes) == 0;
}

gboolean parsed_cache_is_foreign(parsed_cache_t *cache) {
    return has_header(cache, strlen(FORMAT)) && !has_header(cache, HEADER_BYTES);
}

parsed_cache_t *parsed_cache_open(const char *path, gboolean sealed, GError **error) {
    parsed_cache_t *cache = g_new0(parsed_cache_t, 1);
    cache->path = g_strdup(path);
    cache->fd = open(path, (sealed ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0666);
    if (cache->fd >= 0) return cache;
    fail(error, path, sealed ? "read" : "write");
    parsed_cache_close(cache, FALSE);
    return NULL;
}

/* Reads the record at `at` of a file that ends at `end` and, unless bytes is NULL, the bytes that follow it,
 * which must be as written. FALSE where there is no such record (errno is 0) or it cannot be read. */
static gboolean read_record(const parsed_cache_t *cache, gint64 at, gint64 end, record_t *record,
                            GByteArray *bytes) {
    const gint64 room = end - at - (gint64)sizeof *record;
    errno = 0;
    if (room < 0 || !read_at(cache, at, record, sizeof *record)) return FALSE;
    if (record->bytes > MIN((guint64)room, G_MAXUINT)) return FALSE;
    if (!bytes) return TRUE;
    g_byte_array_set_size(bytes, (guint)record->bytes);
    if (!read_at(cache, at + (gint64)sizeof *record, bytes->data, bytes->len)) return FALSE;
    errno = 0;
    return record->checksum == checksum_of(record, bytes->data);
}

char *parsed_cache_load(parsed_cache_t *cache, parsed_cache_each_t each, gpointer data) {
    const gint64 size = lseek(cache->fd, 0, SEEK_END);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    record_t record;
    cache->torn = size > 0;
    if (!has_header(cache, HEADER_BYTES)) return NULL;
    for (gint64 at = HEADER_BYTES; read_record(cache, at, size, &record, bytes); at = cache->end) {
        const gint64 end = at + (gint64)(sizeof record + record.bytes);
        if (record.kind == KIND_SEAL)
            return end == size ? g_strndup((const char *)bytes->data, bytes->len) : NULL;
        each(&record.key, &record.parsed, at, data);
        cache->end = end;
    }
    cache->torn = cache->end < size;
    return NULL;
}

static gboolean append(parsed_cache_t *cache, record_t *record, const void *bytes, gint64 *at,
                       GError **error) {
    char header[HEADER_BYTES];
    make_header(header);
    record->checksum = checksum_of(record, bytes);
    if (cache->torn && ftruncate(cache->fd, cache->end) != 0) return fail(error, cache->path, "write");
    *at = MAX(cache->end, HEADER_BYTES);
    cache->torn = TRUE;
    if ((cache->end == 0 && !file_write_at(cache->fd, 0, header, sizeof header)) ||
        !file_write_at(cache->fd, *at, record, sizeof *record) ||
        (record->bytes > 0 && !file_write_at(cache->fd, *at + (gint64)sizeof *record, bytes, record->bytes)))
        return fail(error, cache->path, "write");
    cache->end = *at + (gint64)(sizeof *record + record->bytes);
    cache->torn = FALSE;
    return TRUE;
}

gboolean parsed_cache_add(parsed_cache_t *cache, const digest_t *key, const song_file_t *parsed,
                          const GByteArray *music, gint64 *at, GError **error) {
    record_t record;
    memset(&record, 0, sizeof record);
    record.key = *key;
    record.parsed = *parsed;
    record.kind = KIND_SONG;
    record.bytes = music ? music->len : 0;
    return append(cache, &record, music ? music->data : NULL, at, error);
}

gboolean parsed_cache_read(parsed_cache_t *cache, gint64 at, gint64 frames, song_file_t *parsed,
                           GByteArray *music, GError **error) {
    record_t record;
    const gboolean good = read_record(cache, at, cache->end, &record, music);
    if (!good && errno) return fail(error, cache->path, "read");
    if (good && record.parsed.frames == frames) {
        *parsed = record.parsed;
        return TRUE;
    }
    g_autofree char *shown = g_filename_display_name(cache->path);
    return program_fail(
        error, "%s: changed while it was read: does another program write there? Run the same command again",
        shown);
}

gboolean parsed_cache_seal(parsed_cache_t *cache, const char *seal, const char *path, GError **error) {
    record_t record;
    gint64 at;
    memset(&record, 0, sizeof record);
    record.kind = KIND_SEAL;
    record.bytes = strlen(seal);
    if (!append(cache, &record, seal, &at, error)) return FALSE;
    if (fsync(cache->fd) != 0 || rename(cache->path, path) != 0 || !file_sync_folder_of(path))
        return fail(error, path, "write");
    g_free(cache->path);
    cache->path = g_strdup(path);
    return TRUE;
}

void parsed_cache_close(parsed_cache_t *cache, gboolean removed) {
    if (!cache) return;
    if (cache->fd >= 0) {
        if (removed) unlink(cache->path);
        close(cache->fd);
    }
    g_free(cache->path);
    g_free(cache);
}
