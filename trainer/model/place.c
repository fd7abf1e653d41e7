/* place: owns how frames are told from each other within a bar. Refuses nothing. */
#include "trainer/model/place.h"

/* Frames back to the frame `since` frames after the line of the bar `lag` bars before; 0: there is none. */
static size_t look_back(meters_t meters, size_t frame, bar_span_t bar, size_t lag) {
    const int64_t since = (int64_t)frame - bar.first;
    for (; lag > 0; lag--)
        if (!meters_bar_before(meters, &bar)) return 0;
    return bar.first + since < bar.end ? frame - (size_t)(bar.first + since) : 0;
}

void place_find(meters_t meters, size_t frame, const model_config_t *config, place_t *place) {
    const sequence_sizes_t *sizes = &config->sequence;
    const size_t B = sizes->bar, context = model_context(config);
    const bar_span_t bar = meters_bar(meters, (int64_t)frame);
    *place = (place_t){.rows = {(uint16_t)MIN(frame - (size_t)bar.first, B - 1),
                                (uint16_t)(B + MIN((size_t)bar.end - frame - 1, B - 1))}};
    for (size_t i = 0; i < sizes->n_bar_lags; i++) {
        const size_t back = look_back(meters, frame, bar, sizes->bar_lags[i]);
        place->back[i] = (uint16_t)(back <= context ? back : 0);
    }
}
