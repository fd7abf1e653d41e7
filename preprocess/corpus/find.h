/* find: the MIDI files that a command line means, in a stable order. */
#pragma once

#include "preprocess/shard/shard.h"

typedef struct {
    const char *path; /* to open */
    /* The path below the folder where that is the only input, else the path as given; bytes as on disk. Files
     * are ordered by it and reported under it. */
    const char *name;
    gint64 bytes, changed_ns; /* size; time of last change; -1 where stat(2) failed */
    gboolean has_split;
    split_t split; /* of the innermost folder named train, valid (or validation) or test in name or path */
} found_t;

typedef struct {
    found_t *files; /* [n] */
    size_t n;
    GStringChunk *text; /* paths and names */
} found_list_t;

/* Files named in `inputs` (NULL-terminated; whatever their ending) and in `list` (a line each; "-": standard
 * input; NULL: none), and all .mid, .midi, .kar and .rmi files (any case) below the folders among them, links
 * followed once. Ordered by name, byte by byte; a file reached twice counts once. A name that is not there is
 * an error, and so are folders without any MIDI file. NULL with error set. Owner: caller. */
found_list_t *find_files(char *const *inputs, const char *list, GError **error);
void found_list_free(found_list_t *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(found_list_t, found_list_free)
