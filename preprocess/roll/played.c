/* played: owns what a note's velocity and time say beside the roll, and figures of that. Refuses nothing. */
#include "preprocess/roll/played.h"

#include <math.h>

/* song_frame() rounds halves up, so offsets are in [-1/2, 1/2) of a frame; what rounds to 1/2 is cut. */
played_t played_of_note(const song_t *song, const note_t *note, int steps_per_beat) {
    const int64_t beat = song->ticks_per_beat, frame = song_frame(song, note->onset, steps_per_beat),
                  left = PLAYED_UNITS * (note->onset * steps_per_beat - frame * beat); /* in units / beat */
    const double units = floor((double)(2 * left + beat) / (double)(2 * beat));
    return (played_t){note->velocity, (int8_t)CLAMP(units, INT8_MIN, INT8_MAX)};
}

void played_to_song(const played_t *played, double amount, int steps_per_beat, song_t *song) {
    enum { KEYS = 128 };
    const int64_t frame = song->ticks_per_beat / steps_per_beat, most = frame / 2 - 1;
    g_autofree note_t **last = g_new0(note_t *, song->track_names->len * KEYS); /* of each key */
    for (guint i = 0; i < song->notes->len; i++) {
        note_t *note = &g_array_index(song->notes, note_t, i),
               **before = &last[note->track * KEYS + note->pitch];
        const double louder = amount * (played[i].velocity - PLAYED_VELOCITY),
                     later = amount * played[i].offset * (double)frame / PLAYED_UNITS;
        const int64_t end = note->onset + note->length;
        note->velocity = (uint8_t)CLAMP(lround(PLAYED_VELOCITY + louder), 1, 127);
        note->onset = MAX(note->onset + CLAMP(llround(later), -most, most), 0);
        note->length = end - note->onset;
        if (*before && (*before)->onset + (*before)->length > note->onset)
            (*before)->length = note->onset - (*before)->onset;
        *before = note;
    }
    song_sort_notes(song);
}

void played_add(played_sums_t *sums, const played_t *played, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double velocity = played[i].velocity, offset = (double)played[i].offset / PLAYED_UNITS;
        sums->velocity += velocity;
        sums->velocity_squares += velocity * velocity;
        sums->offset += offset;
        sums->offset_squares += offset * offset;
    }
    sums->n += (double)n;
}

static double deviation(double sum, double squares, double n) {
    return n > 0 ? sqrt(fmax(squares / n - sum / n * (sum / n), 0)) : 0;
}

double played_velocity_sd(const played_sums_t *sums) {
    return deviation(sums->velocity, sums->velocity_squares, sums->n);
}

double played_offset_sd(const played_sums_t *sums) {
    return deviation(sums->offset, sums->offset_squares, sums->n);
}
