/* meters: owns where bars begin. Refuses nothing. */
#include "preprocess/roll/meters.h"

#include <math.h>

/* Changes lie on frames, but bars of some meters begin between them: both ends of a stretch may be off by
 * half a frame. So a length that is less than a frame off a whole number of bars counts as that number. */
meter_stretch_t meters_stretch(meters_t meters, size_t i) {
    const meter_change_t *meter = &meters.rows[i];
    const double frames = fmax(4.0 * meters.steps_per_beat * meter->numerator / meter->denominator, 1);
    meter_stretch_t stretch = {
        .first = (double)meter->frame, .frames = frames, .next = INFINITY, .bars = INFINITY};
    if (i + 1 == meters.n) return stretch;
    stretch.next = (double)meters.rows[i + 1].frame;
    const double all = stretch.next - stretch.first, nearest = round(all / frames);
    const double off = frames == floor(frames) ? 1e-6 : 1 - 1e-6;
    stretch.bars = fmax(1, fabs(all - nearest * frames) < off ? nearest : ceil(all / frames));
    return stretch;
}

static int64_t first_frame(const meter_stretch_t *stretch, double bar) {
    return (int64_t)floor(stretch->first + bar * stretch->frames + 1e-9);
}

static bar_span_t span_of(const meter_stretch_t *stretch, size_t row, double bar) {
    return (bar_span_t){.first = first_frame(stretch, bar),
                        .end =
                            bar + 1 < stretch->bars ? first_frame(stretch, bar + 1) : (int64_t)stretch->next,
                        .row = row,
                        .number = (size_t)bar};
}

bar_span_t meters_bar(meters_t meters, int64_t frame) {
    size_t row = 0;
    while (row + 1 < meters.n && meters.rows[row + 1].frame <= frame) row++;
    const meter_stretch_t stretch = meters_stretch(meters, row);
    const double begun = ceil(((double)frame + 1 - stretch.first) / stretch.frames - 1e-9);
    return span_of(&stretch, row, fmax(fmin(begun, stretch.bars) - 1, 0));
}

gboolean meters_bar_before(meters_t meters, bar_span_t *bar) {
    if (bar->row == 0 && bar->number == 0) return FALSE;
    const size_t row = bar->number > 0 ? bar->row : bar->row - 1;
    const meter_stretch_t stretch = meters_stretch(meters, row);
    *bar = span_of(&stretch, row, (bar->number > 0 ? (double)bar->number : stretch.bars) - 1);
    return TRUE;
}
