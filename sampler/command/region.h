/* region: the cells that --tracks and --keys name. */
#pragma once

#include "sampler/command/cli.h"
#include "sampler/make/known.h"

/* "C2", "F#4", "Bb-1" or a MIDI number; middle C is C4, 60. -1: text is none. */
int region_read_pitch(const char *text);
/* "bass,drums", the value of an option, as bits of the grid's tracks. FALSE with OPTION_ERROR_USAGE set. */
gboolean region_read_tracks(const char *option, const char *text, const grid_t *grid, unsigned *tracks,
                            GError **error);
/* The cells of the first so many frames that --tracks and --keys name: all, where they are not given; keys of
 * drums only where --tracks names them. FALSE with
 * OPTION_ERROR_USAGE set. */
gboolean region_read(const cli_t *cli, const grid_t *grid, size_t frames, known_region_t *region,
                     GError **error);
