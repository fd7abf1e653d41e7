/* hash: SHA-256 of whole files and rolls: it tells duplicates and chooses splits. */
#pragma once

#include <stddef.h>

#define HASH_HEX_BYTES 65

/* SHA-256 of prefix, then body (either may be empty), as 64 hexadecimal digits and a zero. */
void hash_sha256(const void *prefix, size_t prefix_bytes, const void *body, size_t body_bytes,
                 char hex[HASH_HEX_BYTES]);
