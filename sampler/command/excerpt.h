/* excerpt: part of a roll as a piece by itself, with how it is played. */
#pragma once

#include "preprocess/roll/roll.h"

/* `frames` frames from `first` on; those before `from` (first or later), and those past the roll's end,
 * become silence. */
typedef struct {
    size_t first, from, frames;
} excerpt_t;

/* The excerpt, canonical, and how its onsets are played (*part, owner: caller, g_free()): as in `played`,
 * those of the roll. Notes that are held into it begin with it, typed. Owner: caller. */
roll_t *excerpt_take(const roll_t *roll, const played_t *played, const excerpt_t *excerpt, played_t **part);
