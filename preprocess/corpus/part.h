/* part: a corpus in parts, each parsed by a run of its own and all joined by a last one: which files a part
 * takes, what its file says of itself, and what keeps parts from being joined.
 *
 * A part under way is DIR/preprocess-part-00003-of-00008.spool; once it is complete, sealed and on disk, it
 * is ...00008.part. */
#pragma once

#include "preprocess/corpus/rows.h"

#define PART_MOST 4096

/* Sets each row's part, from 0, so that the sizes of any two parts' files differ by the largest file at
 * most. */
void part_deal(rows_t *rows, int parts);

/* The path of part `part` (from 0) of `parts`; ending: "spool" or "part". Owner: caller. */
char *part_path(const char *folder, int part, int parts, const char *ending);

/* What all parts of a corpus have in common, as text: the options, and a hash of the names, sizes and times
 * of all files in their order. Owner: caller. */
char *part_identity(const found_list_t *files, const char *options);
/* The text of the seal of one part (from 0) of it. Owner: caller. */
char *part_seal(const char *identity, int part, int parts);

/* *parts: of how many parts the part files in a folder are; 0 where there are none. FALSE with error set
 * where they disagree. */
gboolean part_count(const char *folder, int *parts, GError **error);
/* Opens all parts for reading and fills in rows from them. caches: [parts], owner: caller, also on failure.
 * FALSE with error set: all that is missing or does not fit, and the way out. */
gboolean part_open_all(const char *folder, int parts, const char *identity, rows_t *rows,
                       parsed_cache_t **caches, GError **error);

/* Writes FOLDER/preprocess.joined, which says what was joined, so that a join or a part that comes late knows
 * that nothing is left to do. FALSE with error set. */
gboolean part_mark_joined(const char *folder, const char *identity, int parts, GError **error);
/* Removes that mark, before other shards take the place of the joined ones. */
gboolean part_forget_joined(const char *folder, GError **error);
/* Whether the folder has the shards of this identity, joined from so many parts (0: from any number). */
gboolean part_is_joined(const char *folder, const char *identity, int parts);
