/* shard_tables: the tables of a shard beside /roll, and what all its datasets share. Private to shard.c. */
#pragma once

#include "preprocess/shard/h5.h"
#include "preprocess/shard/shard.h"

enum { SHARD_DEFLATE_LEVEL = 5 };

/* Both set a SHARD_ERROR, "PATH: CAUSE", and return FALSE. The cause, as for printf(), ends with the way out;
 * shard_fail_damaged() adds it. */
gboolean shard_fail(GError **error, shard_error_t code, const char *path, const char *cause, ...)
    G_GNUC_PRINTF(4, 5);
#define shard_fail_damaged(error, file, what, ...)                                                           \
    shard_fail(error, SHARD_ERROR_FORMAT, h5_file_path(file),                                                \
               what "; the file is damaged: preprocess again", ##__VA_ARGS__)

/* Makes a compressed, checksummed dataset. Negative with error set. Owner: caller. */
hid_t shard_dataset_make(h5_file_t *file, const char *name, hid_t type, int rank, const hsize_t *size,
                         const hsize_t *chunk, GError **error);
/* Opens a dataset of `rank` dimensions, whose sizes go to size. Negative with error set. Owner: caller. */
hid_t shard_dataset_open(h5_file_t *file, const char *name, int rank, hsize_t *size, GError **error);

/* Writes /songs, /tempi and /meters as shard_write() describes, once the rows of songs have all but checksums
 * of bits, made by so many threads, and rows of maps. FALSE with error set. */
gboolean shard_tables_write(h5_file_t *file, const grid_t *grid, shard_song_t *songs,
                            timeline_t *const *timelines, size_t n_songs, const uint8_t *bits, int threads,
                            GError **error);
/* Appends the songs of a file of so many frames to songs (shard_song_t), their tempi and meters to the set's;
 * their rows count in the set then. FALSE with error set. */
gboolean shard_tables_read(h5_file_t *file, int64_t version, int64_t frames, shard_set_t *set, GArray *songs,
                           GError **error);
