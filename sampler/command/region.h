/* region: the cells that --tracks and --keys name. */
#pragma once

#include "sampler/command/cli.h"
#include "sampler/make/known.h"

/* "bass,drums" as bits of the grid's tracks. FALSE with OPTION_ERROR_USAGE set. */
gboolean region_read_tracks(const char *text, const grid_t *grid, unsigned *tracks, GError **error);
/* The cells of the first so many frames that --tracks and --keys name: all, where they are not given. FALSE with
 * OPTION_ERROR_USAGE set. */
gboolean region_read(const cli_t *cli, const grid_t *grid, size_t frames, known_region_t *region,
                     GError **error);
