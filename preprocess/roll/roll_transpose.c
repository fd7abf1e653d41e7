/* roll_transpose: owns the shift of a roll's planes by semitones, and how far it can go. */
#include "preprocess/roll/roll.h"

enum { MAX_STRIDE = 16 };

void roll_shift_plane(const uint8_t *from, uint8_t *to, size_t pitches, int semitones) {
    const int stride = (int)roll_stride(pitches);
    const int bytes = semitones >= 0 ? semitones / 8 : -((7 - semitones) / 8); /* rounded down */
    const unsigned shift = (unsigned)(semitones - 8 * bytes);
    for (int i = 0; i < stride; i++) {
        const int upper = i - bytes, lower = upper - 1; /* the bytes whose bits go to byte i */
        const unsigned high = upper >= 0 && upper < stride ? from[upper] : 0,
                       low = lower >= 0 && lower < stride ? from[lower] : 0;
        to[i] = (uint8_t)(high << shift | low >> (8 - shift));
    }
    to[stride - 1] &= (uint8_t)(0xFF >> (8 * (size_t)stride - pitches)); /* bits past the last pitch */
}

gboolean roll_pitch_range(const uint8_t *bits, size_t frames, const grid_t *grid, int *lowest, int *highest) {
    size_t stride = roll_stride((size_t)grid->pitches);
    uint8_t any[MAX_STRIDE] = {0};
    for (size_t frame = 0; frame < frames; frame++)
        for (int track = 0; track < grid->n_tracks; track++, bits += ROLL_PLANES * stride)
            if (grid->roles[track] != ROLE_DRUMS)
                for (size_t i = 0; i < stride; i++) any[i] |= bits[i];
    *lowest = *highest = -1;
    for (int p = 0; p < grid->pitches; p++) {
        if (!(any[p / 8] >> (p % 8) & 1)) continue;
        if (*lowest < 0) *lowest = p;
        *highest = p;
    }
    return *lowest >= 0;
}
