/* notes: owns features of lists of notes. Refuses nothing. */
#include "sampler/score/notes.h"

#include <math.h>
#include <stdlib.h>

enum { SQUARE = NOTES_CLASSES * NOTES_CLASSES, UNITS_A_BEAT = 24, PITCHES = 128 };

static const struct {
    const char *name;
    size_t first, size;
} histograms[NOTES_HISTOGRAMS] = {
    [NOTES_PITCH_CLASSES] = {"pitch_class_histogram", 0, NOTES_CLASSES},
    [NOTES_PITCH_CLASS_TRANSITIONS] = {"pitch_class_transitions", NOTES_CLASSES, SQUARE},
    [NOTES_LENGTHS] = {"note_length_histogram", NOTES_CLASSES + SQUARE, NOTES_CLASSES},
    [NOTES_LENGTH_TRANSITIONS] = {"note_length_transitions", 2 * NOTES_CLASSES + SQUARE, SQUARE},
};

const char *notes_histogram_name(notes_histogram_t histogram) { return histograms[histogram].name; }
size_t notes_histogram_first(notes_histogram_t histogram) { return histograms[histogram].first; }
size_t notes_histogram_size(notes_histogram_t histogram) { return histograms[histogram].size; }

static size_t length_class(int64_t ticks, int64_t ticks_a_beat) {
    static const int64_t units[NOTES_CLASSES] = {96, 48, 24, 12, 6, 72, 36, 18, 9, 32, 16, 8};
    size_t nearest = 0;
    int64_t least = G_MAXINT64;
    for (size_t i = 0; i < NOTES_CLASSES; i++) {
        const int64_t distance = llabs(UNITS_A_BEAT * ticks - units[i] * ticks_a_beat);
        if (distance >= least) continue;
        least = distance;
        nearest = i;
    }
    return nearest;
}

static void remove_drums(GArray *notes, const grid_t *grid) {
    guint kept = 0;
    for (guint i = 0; i < notes->len; i++) {
        const note_t note = g_array_index(notes, note_t, i);
        if (grid->roles[note.track] != ROLE_DRUMS) g_array_index(notes, note_t, kept++) = note;
    }
    g_array_set_size(notes, kept);
}

/* Counts the notes of note i's track that begin where it ends. */
static void add_followers(const GArray *list, guint i, double *transitions) {
    const note_t *note = &g_array_index(list, note_t, i);
    for (guint j = i + 1; j < list->len; j++) {
        const note_t *next = &g_array_index(list, note_t, j);
        if (next->onset > note->onset + note->length) return;
        if (next->onset == note->onset + note->length && next->track == note->track)
            transitions[note->pitch % NOTES_CLASSES * NOTES_CLASSES + next->pitch % NOTES_CLASSES]++;
    }
}

static void make_shares(double *counts, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += counts[i];
    for (size_t i = 0; i < n; i++) counts[i] = sum > 0 ? counts[i] / sum : NAN;
}

void notes_measure(const roll_t *roll, const grid_t *grid, const timeline_t *timeline, notes_t *notes) {
    g_autoptr(song_t) song = roll_to_song(roll, grid, timeline);
    const GArray *list = song->notes;
    remove_drums(song->notes, grid);
    *notes = (notes_t){.notes = list->len};
    double *of[NOTES_HISTOGRAMS], intervals = 0, onsets = 0, pairs = 0;
    gboolean played[PITCHES] = {FALSE};
    const note_t *last[ROLL_MAX_TRACKS] = {NULL};
    for (size_t h = 0; h < NOTES_HISTOGRAMS; h++) of[h] = notes->histograms + histograms[h].first;
    for (guint i = 0; i < list->len; i++) {
        const note_t *note = &g_array_index(list, note_t, i), *before = last[note->track];
        const size_t length = length_class(note->length, song->ticks_per_beat);
        notes->pitches += !played[note->pitch];
        played[note->pitch] = TRUE;
        onsets += i == 0 || note->onset > note[-1].onset;
        of[NOTES_PITCH_CLASSES][note->pitch % NOTES_CLASSES] += (double)note->length;
        of[NOTES_LENGTHS][length]++;
        add_followers(list, i, of[NOTES_PITCH_CLASS_TRANSITIONS]);
        last[note->track] = note;
        if (!before) continue;
        pairs++;
        intervals += abs(note->pitch - before->pitch);
        of[NOTES_LENGTH_TRANSITIONS]
          [length_class(before->length, song->ticks_per_beat) * NOTES_CLASSES + length]++;
    }
    for (size_t h = 0; h < NOTES_HISTOGRAMS; h++) make_shares(of[h], histograms[h].size);
    notes->interval = pairs > 0 ? intervals / pairs : NAN;
    notes->inter_onset_interval = NAN;
    if (onsets < 2) return;
    const int64_t first = g_array_index(list, note_t, 0).onset,
                  end = g_array_index(list, note_t, list->len - 1).onset;
    notes->inter_onset_interval = (double)(end - first) / song->ticks_per_beat / (onsets - 1);
}
