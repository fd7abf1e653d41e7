/* sizes: owns the way from text to the sizes of a model that are lists. Refuses what is no list of numbers in
 * range. */
#include "trainer/model/sizes.h"

#define HIDDEN_MAX 65536

/* 1 to `most` whole numbers from 1 to `high` with commas between. */
static gboolean parse_sizes(const char *text, guint64 high, size_t most, size_t *sizes, size_t *n) {
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    *n = g_strv_length(parts);
    if (*n < 1 || *n > most) return FALSE;
    for (size_t i = 0; i < *n; i++) {
        guint64 size;
        if (!g_ascii_string_to_unsigned(g_strstrip(parts[i]), 10, 1, high, &size, NULL)) return FALSE;
        sizes[i] = (size_t)size;
    }
    return TRUE;
}

/* The same, rising, of frames. */
static gboolean parse_frames(const char *text, size_t most, size_t *frames, size_t *n) {
    if (!parse_sizes(text, MODEL_MAX_LAG, most, frames, n)) return FALSE;
    for (size_t i = 1; i < *n; i++)
        if (frames[i] <= frames[i - 1]) return FALSE;
    return TRUE;
}

gboolean sizes_parse_hidden(const char *text, size_t hidden[MODEL_MAX_HIDDEN], size_t *n) {
    return parse_sizes(text, HIDDEN_MAX, MODEL_MAX_HIDDEN, hidden, n);
}

gboolean sizes_parse_lags(const char *text, size_t lags[MODEL_MAX_LAGS], size_t *n) {
    return parse_frames(text, MODEL_MAX_LAGS, lags, n);
}

gboolean sizes_parse_profiles(const char *text, size_t profiles[MODEL_MAX_PROFILES], size_t *n) {
    *n = 0;
    return g_str_equal(text, "0") || parse_frames(text, MODEL_MAX_PROFILES, profiles, n);
}
