/* timeline: owns how a song's tempi and meters are laid on the grid. Refuses nothing: callers that read rows
 * from a file ask timeline_rows_valid(). */
#include "preprocess/roll/timeline.h"

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

static tempo_change_t *tempo_at(const timeline_t *timeline, guint i) {
    return &g_array_index(timeline->tempi, tempo_change_t, i);
}

static meter_change_t *meter_at(const timeline_t *timeline, guint i) {
    return &g_array_index(timeline->meters, meter_change_t, i);
}

/* Adds a tempo that begins no earlier than the last one does. */
static void add_tempo(timeline_t *timeline, int64_t frame, double bpm) {
    GArray *tempi = timeline->tempi;
    if (tempi->len > 0 && tempo_at(timeline, tempi->len - 1)->frame == frame)
        g_array_set_size(tempi, tempi->len - 1);
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
    if (meters->len > 0 && meter_at(timeline, meters->len - 1)->frame == frame)
        g_array_set_size(meters, meters->len - 1);
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

timeline_t *timeline_from_rows(int steps_per_beat, const tempo_change_t *tempi, size_t n_tempi,
                               const meter_change_t *meters, size_t n_meters) {
    timeline_t *timeline = timeline_empty(steps_per_beat);
    g_array_append_vals(timeline->tempi, tempi, (guint)n_tempi);
    g_array_append_vals(timeline->meters, meters, (guint)n_meters);
    return timeline;
}

timeline_t *timeline_from_song(const song_t *song, int steps_per_beat, int64_t frames) {
    timeline_t *timeline =
        timeline_new(steps_per_beat, MIDI_DEFAULT_BPM, (meter_t){.numerator = 4, .denominator = 4});
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

timeline_t *timeline_slice(const timeline_t *timeline, int64_t first, int64_t frames) {
    timeline_t *slice = timeline_empty(timeline->steps_per_beat);
    for (guint i = 0; i < timeline->tempi->len; i++) {
        const tempo_change_t *tempo = tempo_at(timeline, i);
        if (i == 0 || tempo->frame < first + frames)
            add_tempo(slice, MAX(tempo->frame - first, 0), tempo->bpm);
    }
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_change_t *meter = meter_at(timeline, i);
        if (i == 0 || meter->frame < first + frames)
            add_meter(slice, MAX(meter->frame - first, 0), meter->numerator, meter->denominator);
    }
    return slice;
}

void timeline_append(timeline_t *timeline, int64_t frame, const timeline_t *next) {
    for (guint i = 0; i < next->tempi->len; i++)
        add_tempo(timeline, frame + tempo_at(next, i)->frame, tempo_at(next, i)->bpm);
    for (guint i = 0; i < next->meters->len; i++) {
        const meter_change_t *meter = meter_at(next, i);
        add_meter(timeline, frame + meter->frame, meter->numerator, meter->denominator);
    }
}

gboolean timeline_equal(const timeline_t *a, const timeline_t *b) {
    if (a->steps_per_beat != b->steps_per_beat || a->tempi->len != b->tempi->len ||
        a->meters->len != b->meters->len)
        return FALSE;
    for (guint i = 0; i < a->tempi->len; i++)
        if (tempo_at(a, i)->frame != tempo_at(b, i)->frame || tempo_at(a, i)->bpm != tempo_at(b, i)->bpm)
            return FALSE;
    for (guint i = 0; i < a->meters->len; i++) {
        const meter_change_t *meter = meter_at(b, i);
        if (meter_at(a, i)->frame != meter->frame ||
            !same_meter(meter_at(a, i), meter->numerator, meter->denominator))
            return FALSE;
    }
    return TRUE;
}

void timeline_to_song(const timeline_t *timeline, song_t *song) {
    const int64_t ticks = song->ticks_per_beat / timeline->steps_per_beat;
    for (guint i = 0; i < timeline->tempi->len; i++) {
        const tempo_t tempo = {.tick = tempo_at(timeline, i)->frame * ticks,
                               .bpm = tempo_at(timeline, i)->bpm};
        g_array_append_val(song->tempi, tempo);
    }
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_change_t *change = meter_at(timeline, i);
        const meter_t meter = {.tick = change->frame * ticks,
                               .numerator = change->numerator,
                               .denominator = change->denominator};
        g_array_append_val(song->meters, meter);
    }
}

/* ---- bars ---- */

meters_t timeline_meters(const timeline_t *timeline, size_t frames) {
    return (meters_t){timeline->steps_per_beat, meter_at(timeline, 0), timeline->meters->len,
                      (int64_t)frames};
}

static meter_stretch_t stretch_at(const timeline_t *timeline, guint i) {
    return meters_stretch(timeline_meters(timeline, 0), i);
}

GArray *timeline_bars(const timeline_t *timeline, int64_t frames) {
    GArray *bars = g_array_new(FALSE, FALSE, sizeof(bar_t));
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_stretch_t stretch = stretch_at(timeline, i);
        for (double b = 0; b < stretch.bars; b++) {
            const bar_t bar = {.frame = stretch.first + b * stretch.frames,
                               .frames = stretch.frames,
                               .meter = *meter_at(timeline, i)};
            if (bar.frame >= (double)frames - 1e-9) return bars;
            g_array_append_val(bars, bar);
        }
    }
    g_assert_not_reached();
}

double timeline_bar_frame(const timeline_t *timeline, size_t bar) {
    double left = (double)bar;
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_stretch_t stretch = stretch_at(timeline, i);
        if (left < stretch.bars) return stretch.first + left * stretch.frames;
        left -= stretch.bars;
    }
    g_assert_not_reached();
}

double timeline_bar_at(const timeline_t *timeline, double frame) {
    double before = 0;
    for (guint i = 0; i < timeline->meters->len; i++) {
        const meter_stretch_t stretch = stretch_at(timeline, i);
        if (frame < stretch.next) {
            const double bar = fmin(floor((frame - stretch.first) / stretch.frames + 1e-9), stretch.bars - 1);
            const double begins = stretch.first + bar * stretch.frames;
            const double ends = bar + 1 < stretch.bars ? begins + stretch.frames : stretch.next;
            return before + bar + fmax(frame - begins, 0) / (ends - begins);
        }
        before += stretch.bars;
    }
    g_assert_not_reached();
}

/* Rounds up, with room for errors of rounding, so that a whole number stays one. */
static size_t whole_up(double number) { return (size_t)ceil(number - 1e-9); }

size_t timeline_frames_of(const timeline_t *timeline, size_t bars) {
    return whole_up(timeline_bar_frame(timeline, bars));
}

size_t timeline_bars_of(const timeline_t *timeline, size_t frames) {
    return whole_up(timeline_bar_at(timeline, (double)frames));
}

double timeline_seconds(const timeline_t *timeline, int64_t frames) {
    double seconds = 0;
    for (guint i = 0; i < timeline->tempi->len; i++) {
        const tempo_change_t *tempo = tempo_at(timeline, i);
        const int64_t next =
            i + 1 < timeline->tempi->len ? MIN(tempo_at(timeline, i + 1)->frame, frames) : frames;
        seconds += (double)MAX(next - tempo->frame, 0) / timeline->steps_per_beat * 60 / tempo->bpm;
    }
    return seconds;
}

/* ---- rows from a file ---- */

static gboolean frames_ascend(int64_t frame, const int64_t *before, int64_t frames) {
    return (before ? frame > *before : frame == 0) && frame < frames;
}

gboolean timeline_rows_valid(const tempo_change_t *tempi, size_t n_tempi, const meter_change_t *meters,
                             size_t n_meters, int64_t frames) {
    for (size_t i = 0; i < n_tempi; i++)
        if (!frames_ascend(tempi[i].frame, i > 0 ? &tempi[i - 1].frame : NULL, frames) ||
            !(tempi[i].bpm > 0) || isinf(tempi[i].bpm))
            return FALSE;
    for (size_t i = 0; i < n_meters; i++)
        if (!frames_ascend(meters[i].frame, i > 0 ? &meters[i - 1].frame : NULL, frames) ||
            meters[i].numerator == 0 || meters[i].denominator == 0 ||
            (meters[i].denominator & (meters[i].denominator - 1)) != 0)
            return FALSE;
    return n_tempi > 0 && n_meters > 0;
}
