/* wishes: what a musician asks of the cells that are written, as nats for the cells of each particle
 * (sampler/make/particles.h): chords, a key, how many notes, how high. A wish is soft: it is weighed against
 * what the model holds to be likely. No options, no files. */
#pragma once

#include "sampler/make/particles.h"

/* Numbers a bar, from the first bar on; the list begins again where it ends. n 0: not wished. */
typedef struct {
    const double *values;
    size_t n;
} wishes_bars_t;

typedef struct {
    const grid_t *grid; /* of the rolls */
    size_t planes;      /* of the model's frames */
    const timeline_t *timeline;
    const uint16_t *chords;  /* [frames]: pitch classes, bit 0 = C; 0: none; NULL: not wished */
    uint16_t scale;          /* pitch classes of a key; 0: not wished */
    wishes_bars_t density;   /* notes begun a beat (a quarter note), in all tracks together */
    wishes_bars_t polyphony; /* keys that sound at once, in all pitched tracks together */
    wishes_bars_t height;    /* their mean pitch, MIDI */
    double strength;         /* 1 is usual */
} wishes_config_t;

typedef struct wishes wishes_t;

/* For up to `most` particles of a piece of so many frames. Nothing of config is copied: it must outlive it.
 * Owner: caller. */
wishes_t *wishes_new(const wishes_config_t *config, size_t most, size_t frames);
void wishes_free(wishes_t *wishes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(wishes_t, wishes_free)
/* Begins a piece; its address is good as long as the wishes are. */
const particles_wish_t *wishes_begin(wishes_t *wishes);

/* The pitch classes of a major key, or of a natural and harmonic minor one. */
uint16_t wishes_scale(int tonic, gboolean minor);
