/* place: owns how frames are told from each other within a bar and a song. Refuses nothing. */
#include "trainer/model/place.h"

/* Frames back to the frame `since` frames after the line of the bar `lag` bars before; 0: there is none. */
static size_t look_back(meters_t meters, size_t frame, bar_span_t bar, size_t lag) {
    const int64_t since = (int64_t)frame - bar.first;
    for (; lag > 0; lag--)
        if (!meters_bar_before(meters, &bar)) return 0;
    return bar.first + since < bar.end ? frame - (size_t)(bar.first + since) : 0;
}

size_t place_table_rows(const model_config_t *config) {
    return config->sequence.bar > 0 ? 2 * (config->sequence.bar + PLACE_BARS) : 0;
}

/* How many such bars so many frames take, up to PLACE_BARS - 1. */
static size_t count_bars(int64_t frames, bar_span_t bar) {
    const int64_t length = bar.end - bar.first;
    return (size_t)CLAMP((frames + length - 1) / length, 0, PLACE_BARS - 1);
}

void place_find(meters_t meters, size_t frame, const model_config_t *config, place_t *place) {
    const sequence_sizes_t *sizes = &config->sequence;
    const size_t B = sizes->bar, context = model_context(config);
    const bar_span_t bar = meters_bar(meters, (int64_t)frame);
    const size_t after = meters.frames > 0 ? count_bars(meters.frames - bar.end, bar) : PLACE_BARS - 1;
    *place = (place_t){.rows = {(uint16_t)MIN(frame - (size_t)bar.first, B - 1),
                                (uint16_t)(B + MIN((size_t)bar.end - frame - 1, B - 1)),
                                (uint16_t)(2 * B + count_bars(bar.first, bar)),
                                (uint16_t)(2 * B + PLACE_BARS + after)}};
    for (size_t i = 0; i < sizes->n_bar_lags; i++) {
        const size_t back = look_back(meters, frame, bar, sizes->bar_lags[i]);
        place->back[i] = (uint16_t)(back <= context ? back : 0);
    }
}
