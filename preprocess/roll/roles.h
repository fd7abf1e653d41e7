/* roles: which part of the music each note of a song plays. The rules stand at the top of roles.c. */
#pragma once

#include "preprocess/roll/roll.h"

/* The role of each note of the song, ROLE_COUNTER to ROLE_DRUMS, in the order of song->notes; decided by
 * track, channel and, where a track changes its instrument, program. Call it before any pedal is applied.
 * counter: whether names may tell a countermelody; else none is ROLE_COUNTER. Owner: caller, g_free(). NULL
 * where the song has no notes. */
role_t *roles_of_notes(const song_t *song, gboolean counter);
