/* typo: how near a misspelt name is to a known one. */
#pragma once

#include <glib.h>

/* Single-byte edits (insert, delete, substitute) that make one word of the other: Levenshtein 1966. Of b the
 * first 63 bytes count. */
size_t typo_distance(const char *a, const char *b);
