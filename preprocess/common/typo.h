/* typo: how near a misspelt name is to a known one. */
#pragma once

#include <glib.h>

/* How many single-byte edits (insert, delete, substitute) make a of b: Levenshtein 1966. Only the first 63
 * bytes of b count. */
size_t typo_distance(const char *a, const char *b);
