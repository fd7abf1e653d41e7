/* parsed_cache: the file of parsed entries. Owns its record format, which only this version of the program
 * reads again: a spool lives no longer than one corpus is in the making. */
#include "preprocess/corpus/parsed_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preprocess/shard/deflate.h"
#include "preprocess/shard/h5.h"

G_DEFINE_QUARK(mpianist_spool_error, parsed_cache_error)

enum { HEAD_BYTES = 64 };
enum { KIND_ENTRY = 1, KIND_SEAL };

/* On disk, and then `bytes` bytes: music of a song, or a seal's text. */
typedef struct {
    guint32 checksum; /* CRC-32 of all that follows here, and of those bytes */
    guint32 kind;
    guint64 bytes;
    digest_t key;
    song_file_t entry;
} record_t;

struct parsed_cache {
    int fd;
    char *path;
    gint64 end;    /* of the last whole record */
    gboolean torn; /* something lies behind it */
};

static gboolean fail(GError **error, parsed_cache_error_t code, const char *path, const char *doing,
                     int cause) {
    g_autofree char *shown = g_filename_display_name(path);
    g_set_error(error, PARSED_CACHE_ERROR, (gint)code,
                "%s: cannot %s: %s; choose another --output, or free some space", shown, doing,
                g_strerror(cause));
    return FALSE;
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

static gboolean is_whole(const record_t *record, const uint8_t *bytes) {
    return record->checksum == checksum_of(record, bytes);
}

static gboolean read_at(const parsed_cache_t *spool, gint64 offset, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(spool->fd, (char *)to + done, bytes - done, offset + (gint64)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO; /* shorter than it was */
            return FALSE;
        }
        done += (size_t)n;
    }
    return TRUE;
}

static gboolean write_at(const parsed_cache_t *spool, gint64 offset, const void *from, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(spool->fd, (const char *)from + done, bytes - done, offset + (gint64)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FALSE;
        done += (size_t)n;
    }
    return TRUE;
}

#define FORMAT "mpianist-spool "

static void make_head(char head[HEAD_BYTES]) {
    memset(head, 0, HEAD_BYTES);
    g_snprintf(head, HEAD_BYTES, FORMAT MPIANIST_VERSION " %zu\n", sizeof(record_t));
}

gboolean parsed_cache_is_foreign(parsed_cache_t *spool) {
    char wanted[HEAD_BYTES], head[HEAD_BYTES];
    make_head(wanted);
    return read_at(spool, 0, head, sizeof head) && memcmp(head, wanted, sizeof head) != 0 &&
           memcmp(head, FORMAT, strlen(FORMAT)) == 0;
}

static parsed_cache_t *open_file(const char *path, int flags, const char *doing, GError **error) {
    parsed_cache_t *spool = g_new0(parsed_cache_t, 1);
    spool->path = g_strdup(path);
    spool->fd = open(path, flags | O_CLOEXEC, 0666);
    if (spool->fd >= 0) return spool;
    fail(error, PARSED_CACHE_ERROR_OPEN, path, doing, errno);
    parsed_cache_close(spool, FALSE);
    return NULL;
}

parsed_cache_t *parsed_cache_open(const char *path, GError **error) {
    return open_file(path, O_RDWR | O_CREAT, "write", error);
}
parsed_cache_t *parsed_cache_open_sealed(const char *path, GError **error) {
    return open_file(path, O_RDONLY, "read", error);
}

/* The record at `at`, whole, with its bytes; FALSE where there is none. */
static gboolean read_record(const parsed_cache_t *spool, gint64 at, gint64 size, record_t *record,
                            GByteArray *bytes) {
    if (at + (gint64)sizeof *record > size || !read_at(spool, at, record, sizeof *record)) return FALSE;
    if (record->bytes > (guint64)(size - at) - sizeof *record || record->bytes > G_MAXUINT) return FALSE;
    g_byte_array_set_size(bytes, (guint)record->bytes);
    return read_at(spool, at + (gint64)sizeof *record, bytes->data, record->bytes) &&
           is_whole(record, bytes->data);
}

char *parsed_cache_load(parsed_cache_t *spool, parsed_cache_each_t each, gpointer data) {
    const gint64 size = lseek(spool->fd, 0, SEEK_END);
    char wanted[HEAD_BYTES], head[HEAD_BYTES];
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    record_t record;
    make_head(wanted);
    spool->torn = size > 0;
    if (size < HEAD_BYTES || !read_at(spool, 0, head, sizeof head) || memcmp(head, wanted, sizeof head) != 0)
        return NULL;
    for (gint64 at = HEAD_BYTES; read_record(spool, at, size, &record, bytes); at = spool->end) {
        const gint64 end = at + (gint64)(sizeof record + record.bytes);
        if (record.kind == KIND_SEAL)
            return end == size ? g_strndup((const char *)bytes->data, bytes->len) : NULL;
        each(&record.key, &record.entry, at, data);
        spool->end = end;
    }
    spool->torn = spool->end < size;
    return NULL;
}

static gboolean append(parsed_cache_t *spool, record_t *record, const void *bytes, gint64 *at,
                       GError **error) {
    char head[HEAD_BYTES];
    make_head(head);
    record->checksum = checksum_of(record, bytes);
    if (spool->torn && ftruncate(spool->fd, spool->end) != 0)
        return fail(error, PARSED_CACHE_ERROR_WRITE, spool->path, "write", errno);
    *at = MAX(spool->end, HEAD_BYTES);
    spool->torn = TRUE;
    if ((spool->end == 0 && !write_at(spool, 0, head, sizeof head)) ||
        !write_at(spool, *at, record, sizeof *record) ||
        (record->bytes > 0 && !write_at(spool, *at + (gint64)sizeof *record, bytes, record->bytes)))
        return fail(error, PARSED_CACHE_ERROR_WRITE, spool->path, "write", errno);
    spool->end = *at + (gint64)(sizeof *record + record->bytes);
    spool->torn = FALSE;
    return TRUE;
}

gboolean parsed_cache_add(parsed_cache_t *spool, const digest_t *key, const song_file_t *entry,
                          const GByteArray *bits, gint64 *at, GError **error) {
    record_t record;
    memset(&record, 0, sizeof record);
    record.key = *key;
    record.entry = *entry;
    record.kind = KIND_ENTRY;
    record.bytes = bits ? bits->len : 0;
    return append(spool, &record, bits ? bits->data : NULL, at, error);
}

gboolean parsed_cache_read(parsed_cache_t *spool, gint64 at, song_file_t *entry, uint8_t *bits, size_t bytes,
                           GError **error) {
    record_t record;
    if (!read_at(spool, at, &record, sizeof record))
        return fail(error, PARSED_CACHE_ERROR_READ, spool->path, "read", errno);
    *entry = record.entry;
    if (!bits) return TRUE;
    if (record.bytes == bytes && !read_at(spool, at + (gint64)sizeof record, bits, bytes))
        return fail(error, PARSED_CACHE_ERROR_READ, spool->path, "read", errno);
    if (record.bytes == bytes && is_whole(&record, bits)) return TRUE;
    g_autofree char *shown = g_filename_display_name(spool->path);
    g_set_error(error, PARSED_CACHE_ERROR, PARSED_CACHE_ERROR_DAMAGED,
                "%s: changed while it was read: does another program write there? Run the same command again",
                shown);
    return FALSE;
}

gboolean parsed_cache_seal(parsed_cache_t *spool, const char *seal, const char *path, GError **error) {
    record_t record;
    gint64 at;
    memset(&record, 0, sizeof record);
    record.kind = KIND_SEAL;
    record.bytes = strlen(seal);
    if (!append(spool, &record, seal, &at, error)) return FALSE;
    if (fsync(spool->fd) != 0 || rename(spool->path, path) != 0 || !h5_sync_folder_of(path))
        return fail(error, PARSED_CACHE_ERROR_WRITE, path, "write", errno);
    g_free(spool->path);
    spool->path = g_strdup(path);
    return TRUE;
}

void parsed_cache_close(parsed_cache_t *spool, gboolean removed) {
    if (!spool) return;
    if (spool->fd >= 0) {
        if (removed) unlink(spool->path);
        close(spool->fd);
    }
    g_free(spool->path);
    g_free(spool);
}
