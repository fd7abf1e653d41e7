/* word: the word that was meant by a mistyped one. */
#ifndef MPIANIST_PREPROCESS_WORD_H
#define MPIANIST_PREPROCESS_WORD_H

#include <glib.h>

/* Single-byte edits (insert, delete, substitute) that make one word of the other: Levenshtein 1966. Of b the first 63 bytes count. */
size_t word_distance(const char *a, const char *b);

#endif
