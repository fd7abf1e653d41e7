/* typo: what GLib's option parser leaves to do for the words of a command line. */
#ifndef MPIANIST_PREPROCESS_COMMON_TYPO_H
#define MPIANIST_PREPROCESS_COMMON_TYPO_H

#include <glib.h>

/* Single-byte edits (insert, delete, substitute) that make one word of the other: Levenshtein 1966. Of b the
 * first 63 bytes count. */
size_t typo_distance(const char *a, const char *b);

/* A copy of argv in which a number attached to its one-letter flag stands alone, as GLib wants it: -j2
 * becomes -j 2. From a word "--" on nothing changes. Owner: caller (g_strfreev()). */
char **typo_split_numbers(int argc, char *const *argv);

#endif
