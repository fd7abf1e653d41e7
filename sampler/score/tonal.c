/* tonal: owns chroma, its likeness to profiles, and the tonal space of Harte et al. Refuses nothing; silence
 * has no centroid. */
#include "sampler/score/tonal.h"

#include <math.h>
#include <string.h>

void tonal_merge_tracks(const roll_t *roll, const grid_t *grid, guint tracks, size_t frame,
                        uint8_t keys[TONAL_MAX_STRIDE]) {
    memset(keys, 0, TONAL_MAX_STRIDE);
    for (size_t k = 0; k < roll->tracks; k++) {
        const uint8_t *plane = roll_plane(roll, frame, k, PLANE_SOUNDING);
        for (size_t i = 0; i < roll->stride && (tracks >> k & 1) && grid->roles[k] != ROLE_DRUMS; i++)
            keys[i] |= plane[i];
    }
}

size_t tonal_add_plane(const uint8_t *plane, const grid_t *grid, double chroma[TONAL_CLASSES]) {
    size_t keys = 0;
    const int stride = (int)roll_stride((size_t)grid->pitches);
    for (int i = 0; i < stride; i++)
        for (unsigned bits = plane[i]; bits != 0; bits &= bits - 1, keys++)
            chroma[(grid->pitch_low + 8 * i + __builtin_ctz(bits)) % TONAL_CLASSES] += 1;
    return keys;
}

double tonal_correlation(const double chroma[TONAL_CLASSES], int first, const double profile[TONAL_CLASSES]) {
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < TONAL_CLASSES; i++) {
        x += chroma[i] / TONAL_CLASSES;
        y += profile[i] / TONAL_CLASSES;
    }
    for (int i = 0; i < TONAL_CLASSES; i++) {
        const double dx = chroma[(first + i) % TONAL_CLASSES] - x, dy = profile[i] - y;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

gboolean tonal_centroid(const double chroma[TONAL_CLASSES], double centroid[TONAL_DIMENSIONS]) {
    static const double radius[] = {1, 1, 0.5},
                        turn[] = {7 * M_PI / 6, 3 * M_PI / 2,
                                  2 * M_PI / 3}; /* a semitone's angle on each circle */
    double sum = 0;
    for (int c = 0; c < TONAL_CLASSES; c++) sum += chroma[c];
    if (sum <= 0) return FALSE;
    for (int circle = 0; circle < TONAL_DIMENSIONS / 2; circle++) {
        double x = 0, y = 0;
        for (int c = 0; c < TONAL_CLASSES; c++) {
            x += chroma[c] * sin(c * turn[circle]);
            y += chroma[c] * cos(c * turn[circle]);
        }
        centroid[2 * circle] = radius[circle] * x / sum;
        centroid[2 * circle + 1] = radius[circle] * y / sum;
    }
    return TRUE;
}

double tonal_distance(const double a[TONAL_DIMENSIONS], const double b[TONAL_DIMENSIONS]) {
    double sum = 0;
    for (int i = 0; i < TONAL_DIMENSIONS; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}
