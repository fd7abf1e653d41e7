/* timeline: owns how a song's tempi and meters are laid on the grid. Refuses nothing: who reads rows from a file asks
 * timeline_rows_valid(). */
#include "preprocess/timeline.h"

#include <math.h>

static timeline_t *timeline_empty(int steps_per_beat) {
    timeline_t *timeline = g_new(timeline_t, 1);
    *timeline = (timeline_t){.steps_per_beat = steps_per_beat,
                             .tempi = g_array_new(FALSE, TRUE, sizeof(tempo_change_t)),
                             .meters = g_array_new(FALSE, TRUE, sizeof(meter_change_t))};
    return timeline;
}

void timeline_free(timeline_t *timeline) {
    if (!timeline) return;
    g_array_unref(timeline->tempi);
    g_array_unref(timeline->meters);
    g_free(timeline);
}

static tempo_change_t *tempo_at(const timeline_t *timeline, guint i) { return &g_array_index(timeline->tempi, tempo_change_t, i); }

static meter_change_t *meter_at(const timeline_t *timeline, guint i) { return &g_array_index(timeline->meters, meter_change_t, i); }

/* Adds a tempo that begins no earlier than the last one does. */
static void add_tempo(timeline_t *timeline, int64_t frame, double bpm) {
    GArray *tempi = timeline->tempi;
    if (tempi->len > 0 && tempo_at(timeline, tempi->len - 1)->frame == frame) g_array_set_size(tempi, tempi->len - 1);
    if (tempi->len > 0 && tempo_at(timeline, tempi->len - 1)->bpm == bpm) return;
    g_array_set_size(tempi, tempi->len + 1);
    tempo_change_t *last = tempo_at(timeline, tempi->len - 1);
    last->frame = frame;
    last->bpm = bpm;
}

static gboolean same_meter(const meter_change_t *a, uint8_t numerator, uint8_t denominator) {
    return a->numerator == numerator && a->denominator == denominator;
}

static void add_meter(timeline_t *timeline, int64_t frame, uint8_t numerator, uint8_t denominator) {
    GArray *meters = timeline->meters;
    if (meters->len > 0 && meter_at(timeline, meters->len - 1)->frame == frame) g_array_set_size(meters, meters->len - 1);
    if (meters->len > 0 && same_meter(meter_at(timeline, meters->len - 1), numerator, denominator)) return;
    g_array_set_size(meters, meters->len + 1); /* cleared, the padding too: rows travel as bytes */
    meter_change_t *last = meter_at(timeline, meters->len - 1);
    last->frame = frame;
    last->numerator = numerator;
    last->denominator = denominator;
}

timeline_t *timeline_new(int steps_per_beat, double bpm, meter_t meter) {
    timeline_t *timeline = timeline_empty(steps_per_beat);
    add_tempo(timeline, 0, bpm);
    add_meter(timeline, 0, meter.numerator, meter.denominator);
    return timeline;
}

timeline_t *timeline_from_rows(int steps_per_beat, const tempo_change_t *tempi, size_t n_tempi, const meter_change_t *meters, size_t n_meters) {
    timeline_t *timeline = timeline_empty(steps_per_beat);
    g_array_append_vals(timeline->tempi, tempi, (guint)n_tempi);
    g_array_append_vals(timeline->meters, meters, (guint)n_meters);
    return timeline;
}

timeline_t *timeline_from_song(const song_t *song, int steps_per_beat, int64_t frames) {
    timeline_t *timeline = timeline_new(steps_per_beat, MIDI_DEFAULT_BPM, (meter_t){.numerator = 4, .denominator = 4});
    for (guint i = 0; i < song->tempi->len; i++) {
        const tempo_t *tempo = &g_array_index(song->tempi, tempo_t, i);
        const int64_t frame = song_frame(song, tempo->tick, steps_per_beat);
        if (frame < frames) add_tempo(timeline, frame, tempo->bpm);
    }
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        const int64_t frame = song_frame(song, meter->tick, steps_per_beat);
        if (frame < frames) add_meter(timeline, frame, meter->numerator, meter->denominator);
    }
    return timeline;
}

void timeline_set_tempo(timeline_t *timeline, double bpm) {
    g_array_set_size(timeline->tempi, 0);
    add_tempo(timeline, 0, bpm);
}

void timeline_set_meter(timeline_t *timeline, meter_t meter) {
    g_array_set_size(timeline->meters, 0);
    add_meter(timeline, 0, meter.numerator, meter.denominator);
}

static gboolean frames_ascend(int64_t frame, const int64_t *before, int64_t frames) {
    return (before ? frame > *before : frame == 0) && frame < frames;
}

gboolean timeline_rows_valid(const tempo_change_t *tempi, size_t n_tempi, const meter_change_t *meters, size_t n_meters, int64_t frames) {
    for (size_t i = 0; i < n_tempi; i++)
        if (!frames_ascend(tempi[i].frame, i > 0 ? &tempi[i - 1].frame : NULL, frames) || !(tempi[i].bpm > 0) || isinf(tempi[i].bpm)) return FALSE;
    for (size_t i = 0; i < n_meters; i++)
        if (!frames_ascend(meters[i].frame, i > 0 ? &meters[i - 1].frame : NULL, frames) || meters[i].numerator == 0 || meters[i].denominator == 0 ||
            (meters[i].denominator & (meters[i].denominator - 1)) != 0)
            return FALSE;
    return n_tempi > 0 && n_meters > 0;
}
