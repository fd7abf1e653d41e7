/* parsed_cache: what has been parsed so far, in a file: a run that was killed goes on from here, a part waits
 * here for its join, and memory holds no rolls.
 *
 * A header that names this version of the program, then records, each under a CRC-32, appended in any order.
 * A last record that is not whole is cut off when the next one is added. A file that is complete ends with a
 * seal, a text that says what it is. One writer at a time: its caller sees to that. */
#pragma once

#include "preprocess/corpus/find.h"
#include "preprocess/corpus/song_file.h"

typedef struct parsed_cache parsed_cache_t;

/* Half a SHA-256: what tells files, rolls and shapes apart where many are held in memory. */
typedef struct {
    guint8 bytes[16];
} digest_t;

/* Of a file as it is (name, size, time of change) and of how notes are laid on the grid: a record is found
 * again only where all are the same. */
digest_t parsed_cache_key(const found_t *file, const char *layout);

/* Opens a sealed file for reading, or else opens or makes one for adding to. NULL with error set. Owner:
 * caller. */
parsed_cache_t *parsed_cache_open(const char *path, gboolean sealed, GError **error);

/* A record: its key, what was parsed, and where it lies. */
typedef void (*parsed_cache_each_t)(const digest_t *key, const song_file_t *parsed, gint64 at, gpointer data);
/* Calls each for all whole records, in the order in which they were added; to be called once, before anything
 * is added or read. Returns the seal's text where the file is whole up to it (owner: caller), NULL where it
 * has none: then what lies behind the last whole record is cut off by the next one added. */
char *parsed_cache_load(parsed_cache_t *cache, parsed_cache_each_t each, gpointer data);

/* Whether its header is another version's. */
gboolean parsed_cache_is_foreign(parsed_cache_t *cache);

/* Adds a record; music may be NULL where it is not wanted again. *at: where it lies. FALSE with error set (a
 * full disk by name). */
gboolean parsed_cache_add(parsed_cache_t *cache, const digest_t *key, const song_file_t *parsed,
                          const GByteArray *music, gint64 *at, GError **error);
/* Reads a record, which had so many frames when it was added or loaded; its music, too, where that is not
 * NULL. FALSE with error set, too, where it is not as it was written, which is told of the frames and,
 * where the music is read, of all. */
gboolean parsed_cache_read(parsed_cache_t *cache, gint64 at, gint64 frames, song_file_t *parsed,
                           GByteArray *music, GError **error);
/* Ends the file with a seal, makes sure that it is on disk, and gives it the name `path`. */
gboolean parsed_cache_seal(parsed_cache_t *cache, const char *seal, const char *path, GError **error);

/* Closes; removes the file where `removed`. NULL is allowed. */
void parsed_cache_close(parsed_cache_t *cache, gboolean removed);
