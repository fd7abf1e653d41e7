/* shard_played: how the onsets of a shard were played: /velocity and /offset. Private to preprocess/shard. */
#pragma once

#include "preprocess/shard/h5.h"
#include "preprocess/shard/shard.h"

/* Counts the onsets of the songs, whose frames are in bits, into their rows; returns the sum. */
size_t shard_played_place(const grid_t *grid, shard_song_t *songs, size_t n_songs, const uint8_t *bits);
/* n onsets that were typed. Owner: caller. */
played_t *shard_played_typed(size_t n);
void shard_played_checksum(shard_song_t *songs, size_t n_songs, const played_t *played);
/* Writes both datasets, none where n is 0. FALSE with error set. */
gboolean shard_played_write(h5_file_t *file, const played_t *played, size_t n, GError **error);

/* Whether the rows of a file's songs fit its datasets; afterwards they count in the set, to whose onsets the
 * file's are added. FALSE with error set. */
gboolean shard_played_check(h5_file_t *file, shard_set_t *set, shard_song_t *songs, size_t n_songs,
                            GError **error);
/* Reads a file's onsets from `first` on. FALSE with error set. */
gboolean shard_played_read(h5_file_t *file, int64_t first, int64_t n, played_t *played, GError **error);
/* Whether so many songs are played as was written. FALSE with error set, naming the file and the song. */
gboolean shard_played_verify(const char *path, const shard_song_t *songs, size_t n_songs,
                             const played_t *played, GError **error);
