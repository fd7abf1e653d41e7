/* place: where a frame is in its bar, by the song's own meters, and in the song: what the sequence model
 * knows of it where config.sequence.bar is not 0 (B in what follows).
 *
 * The decoder and the memories read four rows of a table [2 B + 2 PLACE_BARS] each. Two are for the bar:
 * that of the frames since the bar line, and that of the frames left until the next one. Both together tell
 * the length of the bar, so that bars of all meters, and bars that a change of meter cuts short, have
 * places of their own; of a bar of more than B frames those within B of both its lines. Two are for the
 * song, so that music begins and ends where it should, and not in between: the bars before this one, and
 * the bars after it until the song ends, each counted as if they were as long as this one, PLACE_BARS - 1
 * standing for that many or more.
 *
 * The head's lags in bars (config.sequence.bar_lags) are the frames at the same distance from the bar line
 * so many bars before: none where that bar is shorter, where the song had not begun, or further back than
 * model_context(). */
#pragma once

#include "trainer/model/sizes.h"

enum { PLACE_ROWS = 4, PLACE_BARS = 16 };

typedef struct {
    uint16_t rows[PLACE_ROWS];         /* of the table */
    uint16_t back[MODEL_MAX_BAR_LAGS]; /* frames, for each of bar_lags; 0: there is none */
} place_t;

/* Rows of the table; 0 where the model knows no places. */
size_t place_table_rows(const model_config_t *config);
/* Finds the place of a frame of a song, counted from 0. */
void place_find(meters_t meters, size_t frame, const model_config_t *config, place_t *place);
