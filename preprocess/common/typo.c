/* typo: owns the edit distance of short names. */
#include "preprocess/common/typo.h"

#include <string.h>

size_t typo_distance(const char *a, const char *b) {
    size_t row[64], n = MIN(strlen(b), G_N_ELEMENTS(row) - 1);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(substituted, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}
