/* spool: the file of parsed entries. Owns its record format, which only this version of the program reads again: a spool lives as long as one run that was interrupted. */
#include "preprocess/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

G_DEFINE_QUARK(mpianist_spool_error, spool_error)

/* Of a file and the grid that it was laid on: a record is found again only where all of these are the same. */
typedef struct {
    char hex[65];
} spool_key_t;

typedef struct {
    spool_key_t key;
    char checksum[65]; /* SHA-256 of entry and bits */
    entry_t entry;
    guint64 bytes; /* of bits that follow */
} record_t;

typedef struct {
    entry_t entry;
    gint64 offset;
} known_t;

struct spool {
    int fd;
    char *path;
    char *grid; /* as text, part of each key */
    gint64 end;
    GHashTable *known; /* key -> known_t */
};

static gboolean fail(GError **error, spool_error_t code, const char *path, const char *doing, int cause) {
    g_autofree char *shown = g_filename_display_name(path);
    g_set_error(error, SPOOL_ERROR, (gint)code, "%s: cannot %s: %s; choose another --output, or free some space", shown, doing, g_strerror(cause));
    return FALSE;
}

static char *grid_key(const grid_t *grid) {
    g_autofree char *tracks = grid_tracks_string(grid);
    return g_strdup_printf(MPIANIST_VERSION " %zu %d %d %d %d %d %s", sizeof(record_t), grid->steps_per_beat, grid->pitch_low, grid->pitches,
                           grid->fold_octaves, grid->sustain_pedal, tracks);
}

static spool_key_t key_of(const spool_t *spool, const char *path) {
    GStatBuf status = {0};
    spool_key_t key;
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    if (g_stat(path, &status) != 0) memset(&status, 0, sizeof status);
    const gint64 file[3] = {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    g_checksum_update(checksum, (const guchar *)spool->grid, -1);
    g_checksum_update(checksum, (const guchar *)path, (gssize)strlen(path) + 1);
    g_checksum_update(checksum, (const guchar *)file, sizeof file);
    g_strlcpy(key.hex, g_checksum_get_string(checksum), sizeof key.hex);
    return key;
}

static void seal(const record_t *record, const uint8_t *bits, char *hex) {
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(checksum, (const guchar *)&record->key, sizeof record->key);
    g_checksum_update(checksum, (const guchar *)&record->entry, sizeof record->entry);
    if (record->bytes > 0) g_checksum_update(checksum, bits, (gssize)record->bytes);
    g_strlcpy(hex, g_checksum_get_string(checksum), 65);
}

static gboolean read_at(const spool_t *spool, gint64 offset, void *to, size_t bytes) {
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

static gboolean write_at(const spool_t *spool, gint64 offset, const void *from, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(spool->fd, (const char *)from + done, bytes - done, offset + (gint64)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FALSE;
        done += (size_t)n;
    }
    return TRUE;
}

static void remember(spool_t *spool, const record_t *record, gint64 offset) {
    known_t *known = g_new(known_t, 1);
    *known = (known_t){record->entry, offset};
    g_hash_table_replace(spool->known, g_strdup(record->key.hex), known);
}

/* Takes up all whole records; the file ends after the last of them. */
static void load(spool_t *spool) {
    gint64 size = lseek(spool->fd, 0, SEEK_END);
    g_autoptr(GByteArray) bits = g_byte_array_new();
    record_t record;
    while (spool->end + (gint64)sizeof record <= size && read_at(spool, spool->end, &record, sizeof record)) {
        gint64 offset = spool->end + (gint64)sizeof record;
        char checksum[65];
        if (record.bytes > (guint64)(size - offset)) break;
        g_byte_array_set_size(bits, (guint)record.bytes);
        if (!read_at(spool, offset, bits->data, record.bytes)) break;
        seal(&record, bits->data, checksum);
        if (memcmp(checksum, record.checksum, sizeof checksum) != 0) break;
        remember(spool, &record, offset);
        spool->end = offset + (gint64)record.bytes;
    }
}

spool_t *spool_open(const char *folder, const grid_t *grid, GError **error) {
    spool_t *spool = g_new0(spool_t, 1);
    spool->path = g_build_filename(folder, "preprocess.spool", NULL);
    spool->grid = grid_key(grid);
    spool->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    spool->fd = open(spool->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (spool->fd < 0) {
        fail(error, SPOOL_ERROR_OPEN, spool->path, "write", errno);
        return spool_close(spool, FALSE), NULL;
    }
    if (flock(spool->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        g_autofree char *shown = g_filename_display_name(folder);
        g_set_error(error, SPOOL_ERROR, SPOOL_ERROR_LOCKED, "%s: another preprocess is writing there; wait for it, or choose another --output",
                    shown);
        return spool_close(spool, FALSE), NULL;
    }
    load(spool);
    return spool;
}

gboolean spool_find(spool_t *spool, const char *path, entry_t *entry, gint64 *offset) {
    spool_key_t key = key_of(spool, path);
    const known_t *known = g_hash_table_lookup(spool->known, key.hex);
    if (!known) return FALSE;
    *entry = known->entry;
    *offset = known->offset;
    return TRUE;
}

gboolean spool_add(spool_t *spool, const char *path, const entry_t *entry, const GByteArray *bits, gint64 *offset, GError **error) {
    record_t record;
    memset(&record, 0, sizeof record);
    record.key = key_of(spool, path);
    record.entry = *entry;
    record.bytes = bits ? bits->len : 0;
    seal(&record, bits ? bits->data : NULL, record.checksum);
    *offset = spool->end + (gint64)sizeof record;
    /* The record last: its checksum makes what lies behind it count. */
    if ((bits && !write_at(spool, *offset, bits->data, bits->len)) || !write_at(spool, spool->end, &record, sizeof record))
        return fail(error, SPOOL_ERROR_WRITE, spool->path, "write", errno);
    spool->end = *offset + (gint64)record.bytes;
    return TRUE;
}

gboolean spool_read(spool_t *spool, gint64 offset, uint8_t *bits, size_t bytes, GError **error) {
    return read_at(spool, offset, bits, bytes) || fail(error, SPOOL_ERROR_READ, spool->path, "read", errno);
}

void spool_close(spool_t *spool, gboolean done) {
    if (!spool) return;
    if (spool->fd >= 0) {
        if (done) unlink(spool->path);
        close(spool->fd);
    }
    g_hash_table_unref(spool->known);
    g_free(spool->grid);
    g_free(spool->path);
    g_free(spool);
}
