/* masks: which cells of a song are taken to be known while a guide is learned (trainer/model/guide.h), as
 * musicians will keep them: gaps of any length, some tracks, the top or the bottom line, a range of keys. */
#pragma once

#include "trainer/model/rng.h"
#include "trainer/model/sizes.h"

typedef enum { MASK_GAPS, MASK_TRACKS, MASK_LINE, MASK_KEYS, MASK_KINDS } mask_kind_t;
const char *mask_kind_name(mask_kind_t kind);

/* Draws what is known of a song, bits [frames, frame bytes], to known, of the same shape: a set bit for each
 * known cell. Both cells of a pitch, sound and onset, are known or neither is, but that a note known to go on
 * is known to sound in the frame before. Songs of one track get MASK_LINE in place of MASK_TRACKS. */
mask_kind_t mask_draw(const model_config_t *config, const rng_t *rng, const uint8_t *bits, size_t frames,
                      uint8_t *known);
