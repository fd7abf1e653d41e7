/* parsed_cache: a file of what has been parsed so far. A run that was killed goes on from it, a part waits in
 * it for its join, and memory holds no rolls.
 *
 * A header names this version of the program; records follow, each with a CRC-32, in any order. A last record
 * that is not whole is cut off when the next one is added. A complete file ends with a seal, a text that says
 * what it is. The caller sees to it that there is one writer at a time. */
#pragma once

#include "preprocess/corpus/find.h"
#include "preprocess/corpus/song_file.h"

typedef struct parsed_cache parsed_cache_t;

/* Half a SHA-256: tells files, rolls and shapes apart where many are held in memory. */
typedef struct {
    guint8 bytes[16];
} digest_t;

/* The key of a file's record, made of the file (name, size, time of change) and of layout, the options by
 * which notes are laid on the grid: a record is found again only where all are the same. */
digest_t parsed_cache_key(const found_t *file, const char *layout);

/* Opens a sealed file for reading, or else opens or makes one to add to. NULL with error set. Owner:
 * caller. */
parsed_cache_t *parsed_cache_open(const char *path, gboolean sealed, GError **error);

/* Called with a record: its key, what was parsed, and its offset in the file. */
typedef void (*parsed_cache_each_t)(const digest_t *key, const song_file_t *parsed, gint64 at, gpointer data);
/* Calls each for all whole records, in the order in which they were added. Call it once, before anything is
 * added or read. Returns the seal's text where the file is whole up to it (owner: caller), else NULL: then
 * the next record added cuts off what lies behind the last whole one. */
char *parsed_cache_load(parsed_cache_t *cache, parsed_cache_each_t each, gpointer data);

/* Whether another version of the program wrote the file. */
gboolean parsed_cache_is_foreign(parsed_cache_t *cache);

/* Adds a record. music: NULL where nobody will read it. *at: the record's offset. FALSE with error set (a
 * full disk by name). */
gboolean parsed_cache_add(parsed_cache_t *cache, const digest_t *key, const song_file_t *parsed,
                          const GByteArray *music, gint64 *at, GError **error);
/* Reads the record at `at`, which had so many frames when it was added or loaded, and its music unless that
 * is NULL. FALSE with error set, also where the record has changed: told by the frames and, where the music
 * is read, by the CRC-32. */
gboolean parsed_cache_read(parsed_cache_t *cache, gint64 at, gint64 frames, song_file_t *parsed,
                           GByteArray *music, GError **error);
/* Ends the file with a seal, syncs it to disk and gives it the name `path`. FALSE with error set. */
gboolean parsed_cache_seal(parsed_cache_t *cache, const char *seal, const char *path, GError **error);

/* Closes; removes the file where `removed`. NULL is allowed. */
void parsed_cache_close(parsed_cache_t *cache, gboolean removed);
