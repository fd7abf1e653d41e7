/* place: where a frame is in its bar, by the song's own meters: what the sequence model knows of it where
 * config.sequence.bar is not 0 (B in what follows).
 *
 * The decoder and the memories read two rows of a table [2 B] each: that of the frames since the bar line,
 * and that of the frames left until the next one. Both together tell the length of the bar, so that bars
 * of all meters, and bars that a change of meter cuts short, have places of their own; of a bar of more
 * than B frames those within B of both its lines. The head's lags in bars (config.sequence.bar_lags) are
 * the frames at the same distance from the bar line so many bars before: none where that bar is shorter,
 * where the song had not begun, or further back than model_context(). */
#pragma once

#include "trainer/model/sizes.h"

typedef struct {
    uint16_t rows[2];                  /* of the table */
    uint16_t back[MODEL_MAX_BAR_LAGS]; /* frames, for each of bar_lags; 0: there is none */
} place_t;

/* Finds the place of a frame of a song, counted from 0. */
void place_find(meters_t meters, size_t frame, const model_config_t *config, place_t *place);
