/* known: which cells of a piece are known, as a roll of the same shape: a set bit for each cell that is to
 * stay as it is. Rolls only; no model. */
#pragma once

#include "preprocess/roll/roll.h"

/* Where cells are forgotten. */
typedef struct {
    size_t first, end; /* frames first .. end - 1 */
    unsigned tracks;   /* bit k: track k */
    size_t low, high;  /* pitches low .. high - 1 above the grid's lowest */
} known_region_t;

/* All cells of a roll. Owner: caller. */
roll_t *known_all(const roll_t *song);
/* Forgets the cells of a region. */
void known_forget(roll_t *known, const known_region_t *region);
/* Forgets in frames first .. end - 1 all that lies below the highest note that sounds; where none does, below
 * the last one that did. */
void known_keep_top(roll_t *known, const roll_t *song, size_t first, size_t end);
/* Call it last: silences what is not known in song, and adds to both what follows from the rest: a known note
 * that sounds without beginning sounds in the frame before, too. */
void known_close(roll_t *known, roll_t *song);
