/* deflate: what zlib does for us: the chunks of a dataset, compressed by several threads, and CRC-32. */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Is given chunk `index` as it is to lie in the file; returns FALSE to stop. */
typedef gboolean (*deflate_write_fn)(gpointer user, size_t index, const uint8_t *bytes, size_t size);

/* Cuts data into chunks of chunk_bytes (>= 1), the last one filled up with zeros, and gives each to
 * write() as HDF5's filters would make it: deflate at that level (1 to 9), then Fletcher-32 of the result.
 * write() is called in order and by the calling thread; `threads` (>= 1) others compress, a few chunks
 * ahead of it at most. The bytes do not depend on threads. FALSE where write() stopped. */
gboolean deflate_chunks(const uint8_t *data, size_t bytes, size_t chunk_bytes, int level, int threads,
                        deflate_write_fn write, gpointer user);

/* Goes on with a CRC-32: crc is that of the bytes before these (0: there are none). */
uint32_t deflate_crc32(uint32_t crc, const void *bytes, size_t size);
